//! Datagrams: what arrives with them, and what they leave with.

use crate::tcp::addressed;
use corten_host::udp::{Receiver, SOURCE_PORT_MIN, SendOptions, Sender, UdpError};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

const PORT: u16 = 3784;

fn options(remote: SocketAddr) -> SendOptions {
    SendOptions {
        remote,
        source: None,
        device: None,
        ttl: 255,
        dscp: 48,
        seed: 1,
    }
}

fn any(like: SocketAddr) -> SocketAddr {
    let any = if like.is_ipv4() { "0.0.0.0" } else { "::" };
    SocketAddr::new(any.parse().unwrap(), PORT)
}

#[test]
fn what_is_known_of_a_datagram() {
    let (near, far) = addressed();
    let (index, here) = (far.index("far"), near.index("near"));
    let link_local = "fe80::ff:fe00:2".parse().unwrap();
    let rows = [
        ("192.0.2.2:3784".parse().unwrap(), "192.0.2.1"),
        ("[2001:db8::2]:3784".parse().unwrap(), "2001:db8::1"),
        (
            SocketAddr::V6(SocketAddrV6::new(link_local, PORT, 0, here)),
            "fe80::ff:fe00:1",
        ),
    ];
    for (remote, source) in rows {
        let source: IpAddr = source.parse().unwrap();
        let (sent, ready) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let (received, port) = std::thread::scope(|scope| {
            let far = scope.spawn(|| {
                far.run(|| async {
                    let receiver = Receiver::bind(any(remote), Some("far")).unwrap();
                    let mut buf = [0; 8];
                    assert_eq!(receiver.try_recv(&mut buf).unwrap(), None);
                    ready.0.send(()).unwrap();
                    let received = receiver.recv(&mut buf).await.unwrap();
                    assert_eq!(buf, *b"datagram", "cut to the buffer");
                    received
                })
            });
            ready.1.recv().unwrap();
            near.enter(|| {
                let options = SendOptions {
                    source: Some(source),
                    device: Some("near".to_owned()),
                    ttl: 254,
                    ..options(remote)
                };
                let sender = Sender::open(&options).unwrap();
                sender.send(b"datagram, cut").unwrap();
                sent.0.send(()).unwrap();
                (far.join().unwrap(), sender.local().port())
            })
        });
        sent.1.recv().unwrap();
        assert_eq!(received.length, 8);
        assert_eq!((received.from.ip(), received.from.port()), (source, port));
        assert_eq!((received.to, received.interface), (remote.ip(), index));
        assert_eq!(received.ttl, 254, "{remote}");
        assert!(port >= SOURCE_PORT_MIN);
        if let SocketAddr::V6(from) = received.from
            && from.ip().is_unicast_link_local()
        {
            assert_eq!(from.scope_id(), index);
        }
    }
}

#[test]
fn each_sender_has_a_port_of_its_own() {
    let (near, _far) = addressed();
    near.enter(|| {
        let remote = "192.0.2.2:3784".parse().unwrap();
        let open = |seed| {
            Sender::open(&SendOptions {
                seed,
                ..options(remote)
            })
            .unwrap()
        };
        let senders = [open(16382), open(16382), open(16382), open(16383)];
        let mut ports = senders.each_ref().map(|s| s.local().port());
        ports.sort_unstable();
        // The range ends at 65535 and goes on at its beginning.
        assert_eq!(ports, [49152, 49153, 65534, 65535]);
    });
}

#[test]
fn class_and_ttl_on_the_wire() {
    let (near, far) = addressed();
    // Protocol numbers are in network order.
    let ethertype = i32::from(0x0800_u16.to_be());
    let mut sniffer = far.enter(|| {
        Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ethertype))).unwrap()
    });
    sniffer
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    near.enter(|| {
        let remote = "192.0.2.2:3784".parse().unwrap();
        Sender::open(&options(remote)).unwrap().send(b"x").unwrap();
    });
    let mut buf = [0; 64];
    let header = loop {
        let length = sniffer.read(&mut buf).unwrap();
        if length >= 28 && buf[22..24] == PORT.to_be_bytes() {
            break (buf[1], buf[8]);
        }
    };
    assert_eq!(header, (0xc0, 255), "CS6, 255");
}

#[test]
fn what_is_missing_is_named() {
    let (near, _far) = addressed();
    near.run(|| async {
        let remote = "192.0.2.2:3784".parse().unwrap();
        let refused = |change: fn(&mut SendOptions)| {
            let mut options = options(remote);
            change(&mut options);
            Sender::open(&options).unwrap_err().to_string()
        };
        assert_eq!(
            refused(|o| o.device = Some("red".into())),
            "192.0.2.2:3784: there is no interface or VRF device red"
        );
        assert_eq!(
            refused(|o| o.source = Some("192.0.2.99".parse().unwrap())),
            "192.0.2.2:3784: this host has no address 192.0.2.99 to use"
        );
        assert_eq!(
            refused(|o| o.source = Some("2001:db8::1".parse().unwrap())),
            "192.0.2.2:3784: the local address 2001:db8::1 is of the other family"
        );
        let link_local = options("[fe80::1]:3784".parse().unwrap());
        let error = Sender::open(&link_local).unwrap_err();
        assert!(matches!(error, UdpError::NoScope { .. }), "{error}");
        let receiver = Receiver::bind(any(remote), Some("red")).unwrap_err();
        assert!(matches!(receiver, UdpError::NoDevice { .. }), "{receiver}");
        let nowhere = Sender::open(&options("203.0.113.1:3784".parse().unwrap())).unwrap();
        let error = nowhere.send(b"x").unwrap_err().to_string();
        assert_eq!(
            error,
            "203.0.113.1:3784: sendto: Network is unreachable (os error 101)"
        );
        // One of each family side by side, and one for every device.
        let _v4 = Receiver::bind(any(remote), None).unwrap();
        let _v6 = Receiver::bind(any("[::]:0".parse().unwrap()), None).unwrap();
        let twice = Receiver::bind(any(remote), None).unwrap_err().to_string();
        assert!(twice.contains("Address already in use"), "{twice}");
    });
}
