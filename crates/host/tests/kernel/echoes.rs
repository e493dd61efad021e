//! [`EchoSocket`]: what the filter passes, where it came from, and what a neighbour returns.

use crate::netns::Netns;
use crate::tcp::addressed;
use corten_host::echo::{EchoSocket, forwards};
use corten_host::packet::PacketError;

const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A UDP datagram in an IPv4 packet; the checksum of its header is right for TTL 255 alone.
fn packet(port: u16, fragment: [u8; 2], protocol: u8) -> Vec<u8> {
    let mut packet = vec![
        0x45,
        0xc0,
        0,
        32,
        0,
        0,
        fragment[0],
        fragment[1],
        255,
        protocol,
    ];
    packet.extend([0, 0, 192, 0, 2, 1, 192, 0, 2, 1]);
    let sum: u32 = packet
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet.splice(10..12, sum.to_be_bytes());
    packet.extend([0xc0, 0]);
    packet.extend(port.to_be_bytes());
    packet.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    packet
}

const WHOLE: [u8; 2] = [0x40, 0];

fn far_sends(far: &Netns, to: [u8; 6], packets: &[Vec<u8>]) {
    let index = far.index("far");
    far.run(|| async {
        let socket = EchoSocket::open(index).unwrap();
        for packet in packets {
            socket.send(packet, to).unwrap();
        }
    });
}

#[test]
fn only_bfd_passes_and_says_where_it_came_from() {
    let (near, far) = addressed();
    let index = near.index("near");
    near.run(|| async {
        let socket = EchoSocket::open(index).unwrap();
        let others = [
            packet(3786, WHOLE, 17),
            packet(3785, [0x20, 0], 17),
            packet(3785, [0, 1], 17),
            packet(3785, WHOLE, 6),
        ];
        far_sends(&far, NEAR, &others);
        far_sends(&far, OTHER, &[packet(3785, WHOLE, 17)]);
        let (control, echo) = (packet(3784, WHOLE, 17), packet(3785, WHOLE, 17));
        far_sends(&far, NEAR, &[control.clone(), echo.clone()]);
        for want in [control, echo] {
            let mut buf = [0; 128];
            let (length, from) = socket.recv(&mut buf).await.unwrap();
            assert_eq!((&buf[..length], from), (&want[..], FAR));
        }
        assert_eq!(socket.try_recv(&mut [0; 128]).unwrap(), None);
    });
}

#[test]
fn a_neighbour_that_forwards_returns_what_is_ours() {
    let (near, far) = addressed();
    let index = near.index("near");
    assert!(!far.enter(|| forwards("far")));
    far.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    assert!(far.enter(|| forwards("far")));
    assert!(!far.enter(|| forwards("none") || forwards("../far")));
    // It has to know our hardware address, as whoever hears our control packets does.
    far.ip("neighbour replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev far");
    near.run(|| async {
        let socket = EchoSocket::open(index).unwrap();
        let sent = packet(3785, WHOLE, 17);
        socket.send(&sent, FAR).unwrap();
        let mut buf = [0; 128];
        let (length, from) = socket.recv(&mut buf).await.unwrap();
        let returned = &buf[..length];
        assert_eq!(
            (from, returned[8], &returned[12..]),
            (FAR, 254, &sent[12..])
        );
    });
}

#[test]
fn an_interface_that_is_not_there() {
    let near = Netns::new();
    near.run(|| async {
        let refused = EchoSocket::open(77).unwrap_err();
        assert!(
            matches!(refused, PacketError::Gone { interface: 77 }),
            "{refused}"
        );
    });
}
