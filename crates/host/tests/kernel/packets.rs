//! [`PacketSocket`]: what the filter passes, sending, and interfaces that go away.

use corten_host::netlink::LinkMonitor;
use corten_host::packet::{PacketError, PacketSocket};

use crate::netns::{Netns, cable};

const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const ALL: [u8; 6] = [0xff; 6];
const GROUP: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 7];

/// An Ethernet frame.
fn frame(to: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &FAR, &ethertype.to_be_bytes(), payload].concat()
}

/// An ARP packet, with its first eight bytes as given.
fn arp(head: [u8; 8]) -> Vec<u8> {
    let mut packet = head.to_vec();
    packet.extend_from_slice(&FAR);
    packet.extend_from_slice(&[10, 0, 0, 2]);
    packet.extend_from_slice(&[0; 6]);
    packet.extend_from_slice(&[10, 0, 0, 7]);
    packet
}

/// A neighbour discovery packet without options; the checksum doesn't matter to the filter.
fn icmpv6(next_header: u8, hop_limit: u8, kind: u8, code: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 24, next_header, hop_limit];
    packet.extend_from_slice(&[0xfe; 32]);
    packet.extend_from_slice(&[kind, code, 0, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(&[0xfd; 16]);
    packet
}

const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
const REPLY: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 2];

/// Frames that reach us.
fn passing() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ARP request to all", frame(ALL, 0x0806, &arp(REQUEST))),
        ("ARP request to us", frame(NEAR, 0x0806, &arp(REQUEST))),
        ("ARP reply to all", frame(ALL, 0x0806, &arp(REPLY))),
        ("ARP reply to us", frame(NEAR, 0x0806, &arp(REPLY))),
        (
            "ARP with padding",
            frame(ALL, 0x0806, &[arp(REQUEST), vec![0; 18]].concat()),
        ),
        (
            "solicitation to a group",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 135, 0)),
        ),
        (
            "solicitation to us",
            frame(NEAR, 0x86dd, &icmpv6(58, 255, 135, 0)),
        ),
        (
            "solicitation with options",
            frame(
                GROUP,
                0x86dd,
                &[icmpv6(58, 255, 135, 0), vec![1, 1, 2, 0, 0, 0, 0, 2]].concat(),
            ),
        ),
        (
            "advertisement to a group",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 136, 0)),
        ),
        (
            "advertisement to us",
            frame(NEAR, 0x86dd, &icmpv6(58, 255, 136, 0)),
        ),
    ]
}

/// Frames that must not.
fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let mut version4 = icmpv6(58, 255, 135, 0);
    version4[0] = 0x40;
    let tagged = [&[0, 10, 8, 6][..], &arp(REQUEST)].concat();
    vec![
        ("ARP to another host", frame(OTHER, 0x0806, &arp(REQUEST))),
        (
            "ARP, RARP's operation",
            frame(ALL, 0x0806, &arp([0, 1, 8, 0, 6, 4, 0, 3])),
        ),
        (
            "ARP, operation 0x0101",
            frame(ALL, 0x0806, &arp([0, 1, 8, 0, 6, 4, 1, 1])),
        ),
        (
            "ARP, other hardware",
            frame(ALL, 0x0806, &arp([0, 6, 8, 0, 6, 4, 0, 1])),
        ),
        (
            "ARP, other protocol",
            frame(ALL, 0x0806, &arp([0, 1, 8, 1, 6, 4, 0, 1])),
        ),
        (
            "ARP, other lengths",
            frame(ALL, 0x0806, &arp([0, 1, 8, 0, 8, 4, 0, 1])),
        ),
        (
            "ARP, one byte short",
            frame(ALL, 0x0806, &arp(REQUEST)[..27]),
        ),
        ("ARP in VLAN 10", frame(ALL, 0x8100, &tagged)),
        ("ARP in provider VLAN 10", frame(ALL, 0x88a8, &tagged)),
        (
            "solicitation to another host",
            frame(OTHER, 0x86dd, &icmpv6(58, 255, 135, 0)),
        ),
        (
            "forwarded solicitation",
            frame(GROUP, 0x86dd, &icmpv6(58, 254, 135, 0)),
        ),
        (
            "solicitation, code 1",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 135, 1)),
        ),
        (
            "solicitation, IP version 4",
            frame(GROUP, 0x86dd, &version4),
        ),
        (
            "solicitation, one byte short",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 135, 0)[..63]),
        ),
        (
            "router solicitation",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 133, 0)),
        ),
        (
            "router advertisement",
            frame(GROUP, 0x86dd, &icmpv6(58, 255, 134, 0)),
        ),
        ("redirect", frame(GROUP, 0x86dd, &icmpv6(58, 255, 137, 0))),
        ("echo", frame(NEAR, 0x86dd, &icmpv6(58, 255, 128, 0))),
        (
            "UDP over IPv6",
            frame(NEAR, 0x86dd, &icmpv6(17, 255, 135, 0)),
        ),
        ("IPv4", frame(NEAR, 0x0800, &[0x45; 64])),
        ("another EtherType", frame(ALL, 0x88cc, &arp(REQUEST))),
        ("garbage", frame(ALL, 0x0000, &[0xa5; 200])),
        ("a header alone", frame(ALL, 0x0806, &[])),
    ]
}

/// A cable whose ends say nothing on their own: no IPv6.
fn quiet_cable() -> (Netns, Netns) {
    let (near, far) = cable();
    for (netns, name) in [(&near, "near"), (&far, "far")] {
        netns.enter(|| {
            let knob = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
            std::fs::write(knob, "1").unwrap();
        });
    }
    (near, far)
}

/// Sends a frame from `far`.
fn send(far: &Netns, frame: &[u8]) {
    let index = far.index("far");
    far.run(|| async move {
        PacketSocket::open(index).unwrap().try_send(frame).unwrap();
    });
}

#[test]
fn the_filter_passes_arp_and_neighbour_discovery_only() {
    let (near, far) = quiet_cable();
    let index = near.index("near");
    near.run(|| async {
        let socket = PacketSocket::open(index).unwrap();
        let mut buf = [0; PacketSocket::FRAME_MAX];
        socket.take_counters().unwrap();
        for (name, frame) in refused() {
            send(&far, &frame);
            // veth hands a frame over before the send returns only on the same CPU: a frame that
            // passes is the proof that the one before it was dropped.
            let (_, marker) = passing().swap_remove(0);
            send(&far, &marker);
            let length = socket.recv(&mut buf).await.unwrap();
            assert_eq!(buf[..length], marker, "{name} reached us");
        }
        for (name, frame) in passing() {
            send(&far, &frame);
            let length = socket.recv(&mut buf).await.unwrap();
            assert_eq!(buf[..length], frame, "{name}");
        }
        assert_eq!(socket.try_recv(&mut buf).unwrap(), None);
        let counters = socket.take_counters().unwrap();
        assert_eq!(counters.matched as usize, refused().len() + passing().len());
        assert_eq!(counters.dropped, 0);
    });
}

#[test]
fn own_frames_are_not_received_and_reach_the_peer() {
    let (near, far) = quiet_cable();
    let (near_index, far_index) = (near.index("near"), far.index("far"));
    let ours = frame(ALL, 0x0806, &arp(REPLY));
    let theirs = frame(ALL, 0x0806, &arp(REQUEST));
    near.run(|| async {
        let socket = PacketSocket::open(near_index).unwrap();
        let mut buf = [0; PacketSocket::FRAME_MAX];
        let seen = far.run(|| async {
            let listener = PacketSocket::open(far_index).unwrap();
            near.run(|| async {
                PacketSocket::open(near_index)
                    .unwrap()
                    .try_send(&ours)
                    .unwrap();
            });
            let mut buf = [0; PacketSocket::FRAME_MAX];
            let length = listener.recv(&mut buf).await.unwrap();
            buf[..length].to_vec()
        });
        assert_eq!(seen, ours);
        socket.try_send(&ours).unwrap();
        send(&far, &theirs);
        let length = socket.recv(&mut buf).await.unwrap();
        assert_eq!(buf[..length], theirs);
    });
}

#[test]
fn the_filter_cannot_be_removed() {
    let netns = Netns::new();
    netns.run(|| async {
        let socket = PacketSocket::open(1).unwrap();
        let error = socket2::SockRef::from(&socket).detach_filter().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
fn down_then_up_then_gone() {
    let (near, far) = quiet_cable();
    let index = near.index("near");
    let expected = frame(ALL, 0x0806, &arp(REQUEST));
    near.run(|| async {
        let socket = PacketSocket::open(index).unwrap();
        let mut monitor = LinkMonitor::new().unwrap();
        let mut buf = [0; PacketSocket::FRAME_MAX];

        near.ip("link set near down");
        assert!(matches!(socket.recv(&mut buf).await, Err(PacketError::Down { interface }) if interface == index));
        assert!(matches!(socket.try_send(&expected), Err(PacketError::Down { .. })));
        assert_eq!(socket.try_recv(&mut buf).unwrap(), None);

        near.ip("link set near up");
        // The far end sends nothing until it has taken note of the carrier, too.
        let far_index = far.index("far");
        far.run(|| async {
            let mut monitor = LinkMonitor::new().unwrap();
            while !monitor.next().await.unwrap().iter().any(|link| link.index == far_index && link.carrier) {}
        });
        while !monitor.next().await.unwrap().iter().any(|link| link.index == index && link.carrier) {}
        send(&far, &expected);
        let length = socket.recv(&mut buf).await.unwrap();
        assert_eq!(buf[..length], expected);

        near.ip("link del near");
        assert!(matches!(socket.recv(&mut buf).await, Err(PacketError::Gone { .. })));
        assert!(matches!(socket.try_send(&expected), Err(PacketError::Gone { .. })));
        assert!(matches!(PacketSocket::open(index), Err(PacketError::Gone { .. })));
    });
}

#[test]
fn a_burst_is_drained_and_losses_are_counted() {
    let (near, far) = quiet_cable();
    let (near_index, far_index) = (near.index("near"), far.index("far"));
    let frame = frame(ALL, 0x0806, &arp(REQUEST));
    near.run(|| async {
        let socket = PacketSocket::open(near_index).unwrap();
        socket2::SockRef::from(&socket)
            .set_recv_buffer_size(8 << 10)
            .unwrap();
        // Fewer than the kernel keeps in all before it looks at any (`netdev_max_backlog`).
        let sent = 500;
        far.run(|| async {
            let sender = PacketSocket::open(far_index).unwrap();
            for _ in 0..sent {
                sender.try_send(&frame).unwrap();
            }
        });
        let mut buf = [0; PacketSocket::FRAME_MAX];
        let mut got = 0;
        let (mut matched, mut dropped) = (0, 0);
        while matched < sent {
            socket.recv(&mut buf).await.unwrap();
            got += 1;
            while socket.try_recv(&mut buf).unwrap().is_some() {
                got += 1;
            }
            let counters = socket.take_counters().unwrap();
            matched += counters.matched;
            dropped += counters.dropped;
        }
        while socket.try_recv(&mut buf).unwrap().is_some() {
            got += 1;
        }
        assert!(dropped > 0);
        assert_eq!(got + dropped, sent);
    });
}
