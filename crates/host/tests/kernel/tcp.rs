//! TCP connections: what goes over the wire, and what the kernel refuses.

use crate::netns::{Netns, cable};
use corten_host::tcp::{
    Algorithm, AoKey, Auth, CS6, Hops, Key, ListenOptions, Listener, Options, TcpError, Whom,
    connect, has_ao, rekey, source_of,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PORT: u16 = 179;

/// A cable with addresses of both families: .1 is near, .2 is far.
pub(crate) fn addressed() -> (Netns, Netns) {
    let (near, far) = cable();
    for (netns, name, host) in [(&near, "near", 1), (&far, "far", 2)] {
        netns.ip(&format!("address add 192.0.2.{host}/24 dev {name}"));
        netns.ip(&format!("address add 2001:db8::{host}/64 dev {name} nodad"));
    }
    (near, far)
}

fn v4() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], PORT))
}

fn v6() -> SocketAddr {
    format!("[2001:db8::2]:{PORT}").parse().unwrap()
}

fn everywhere(of: SocketAddr) -> ListenOptions {
    let any: IpAddr = if of.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
    ListenOptions {
        local: SocketAddr::new(any, PORT),
        device: None,
        dscp: CS6,
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Runs `server` in one namespace; once it listens, `client` in the other.
fn both<S: Send, C: Send>(
    (near, far): &(Netns, Netns),
    of: SocketAddr,
    server: impl AsyncFnOnce(Listener) -> S + Send,
    client: impl AsyncFnOnce() -> C + Send,
) -> (S, C) {
    let (listening, ready) = channel();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            far.run(|| async move {
                let listener = Listener::bind(&everywhere(of)).unwrap();
                listening.send(()).unwrap();
                server(listener).await
            })
        });
        ready.recv().unwrap();
        let client = near.run(|| async move { client().await });
        (server.join().unwrap(), client)
    })
}

/// Says `byte` and waits for the same.
async fn echo(stream: &mut TcpStream, byte: u8) {
    stream.write_all(&[byte]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), byte);
}

/// A counter of `/proc/net/netstat` in the namespace of the calling thread.
fn counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
    let lines: Vec<_> = text.lines().collect();
    let pairs = lines
        .chunks(2)
        .flat_map(|pair| pair[0].split_whitespace().zip(pair[1].split_whitespace()));
    let found = pairs.filter(|(n, _)| *n == name).map(|(_, value)| value);
    found.last().unwrap().parse().unwrap()
}

/// Waits until a counter counts.
async fn counts(name: &str) {
    let before = counter(name);
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while counter(name) == before {
        tick.tick().await;
    }
}

#[test]
fn a_connection_of_each_family() {
    let world = addressed();
    for target in [v4(), v6()] {
        let (from, ()) = both(
            &world,
            target,
            async |listener| {
                let (mut stream, from) = listener.accept().await.unwrap();
                let byte = stream.read_u8().await.unwrap();
                stream.write_all(&[byte]).await.unwrap();
                from.ip()
            },
            async || {
                let options = Options {
                    mss: Some(1200),
                    user_timeout: Some(Duration::from_secs(20)),
                    ..Options::to(target)
                };
                let mut stream = connect(&options).await.unwrap();
                let socket = socket2::SockRef::from(&stream);
                assert!(socket.tcp_nodelay().unwrap());
                assert!(socket.tcp_mss().unwrap() <= 1200);
                let timeout = socket.tcp_user_timeout().unwrap();
                assert_eq!(timeout, Some(Duration::from_secs(20)));
                echo(&mut stream, 7).await;
            },
        );
        assert_eq!(from.is_ipv4(), target.is_ipv4());
    }
}

#[test]
fn a_link_local_peer_needs_its_link() {
    let world = addressed();
    let target = |scope| {
        let ip = "fe80::ff:fe00:2".parse().unwrap();
        SocketAddr::V6(std::net::SocketAddrV6::new(ip, PORT, 0, scope))
    };
    let index = world.0.index("near");
    let (from, ()) = both(
        &world,
        v6(),
        async |listener| listener.accept().await.unwrap().1.ip(),
        async || {
            let error = connect(&Options::to(target(0))).await.unwrap_err();
            assert!(matches!(error, TcpError::NoScope { .. }), "{error}");
            let options = Options {
                source: Some("fe80::ff:fe00:1".parse().unwrap()),
                hops: Hops::within(1),
                ..Options::to(target(index))
            };
            connect(&options).await.unwrap();
        },
    );
    assert_eq!(from, "fe80::ff:fe00:1".parse::<IpAddr>().unwrap());
}

#[test]
fn md5_right_and_rotated_without_losing_the_connection() {
    let world = addressed();
    for target in [v4(), v6()] {
        let (asked, ask) = tokio::sync::oneshot::channel();
        let (done, rotated) = tokio::sync::oneshot::channel();
        both(
            &world,
            target,
            async move |listener| {
                let prefix = if target.is_ipv4() { 24 } else { 64 };
                let whom = Whom {
                    prefix,
                    ..Whom::peer(target.ip())
                };
                listener.set_md5(whom, Some(&key("old"))).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                let byte = stream.read_u8().await.unwrap();
                stream.write_all(&[byte]).await.unwrap();
                // The peer signs with the new key now: refused, until we have it, too.
                ask.await.unwrap();
                counts("TCPMD5Failure").await;
                rekey(&stream, &key("new")).unwrap();
                let byte = stream.read_u8().await.unwrap();
                stream.write_all(&[byte]).await.unwrap();
                done.send(()).unwrap();
            },
            async move || {
                let options = Options {
                    auth: Auth::Md5(key("old")),
                    ..Options::to(target)
                };
                let mut stream = connect(&options).await.unwrap();
                echo(&mut stream, 1).await;
                rekey(&stream, &key("new")).unwrap();
                asked.send(()).unwrap();
                echo(&mut stream, 2).await;
                rotated.await.unwrap();
            },
        );
    }
}

#[test]
fn md5_wrong_or_missing_never_connects() {
    let world = addressed();
    let rows = [
        (Some("right"), Auth::Md5(key("wrong")), "TCPMD5Failure"),
        (Some("right"), Auth::None, "TCPMD5NotFound"),
        (None, Auth::Md5(key("right")), "TCPMD5Unexpected"),
    ];
    for (wanted, auth, refusal) in rows {
        let (refused, seen) = tokio::sync::oneshot::channel();
        let (guarded, guard) = tokio::sync::oneshot::channel();
        both(
            &world,
            v4(),
            async move |listener| {
                let whom = Whom::peer("192.0.2.1".parse().unwrap());
                listener.set_md5(whom, Some(&key("replaced"))).unwrap();
                listener.set_md5(whom, wanted.map(key).as_ref()).unwrap();
                // Taking away what isn't there is no failure.
                let nobody = Whom::peer("192.0.2.9".parse().unwrap());
                listener.set_md5(nobody, None).unwrap();
                guarded.send(()).unwrap();
                tokio::select! {
                    () = counts(refusal) => refused.send(()).unwrap(),
                    _ = listener.accept() => panic!("{refusal}: connected"),
                }
            },
            async move || {
                let options = Options {
                    auth,
                    ..Options::to(v4())
                };
                // Before that it is a listener without a key.
                guard.await.unwrap();
                tokio::select! {
                    _ = connect(&options) => panic!("{refusal}: connected"),
                    seen = seen => seen.unwrap(),
                }
            },
        );
    }
}

#[test]
fn gtsm_takes_neighbours_only() {
    let world = addressed();
    for target in [v4(), v6()] {
        // A peer that sends with a TTL below 255 isn't next to us.
        for (ttl, near_enough) in [(255, true), (254, false)] {
            let (limited, limit) = tokio::sync::oneshot::channel();
            let (seen, end) = tokio::sync::oneshot::channel();
            both(
                &world,
                target,
                async move |listener| {
                    let (mut stream, remote) = listener.accept().await.unwrap();
                    let hops = Hops::within(1);
                    let options = Options {
                        hops,
                        ..Options::to(remote)
                    };
                    listener.shape(&stream, &options).unwrap();
                    limited.send(()).unwrap();
                    tokio::select! {
                        () = counts("TCPMinTTLDrop") => assert!(!near_enough),
                        byte = stream.read_u8() => assert!(near_enough, "{byte:?}, TTL {ttl}"),
                    }
                    seen.send(()).unwrap();
                },
                async move || {
                    let hops = Hops { ttl, minimum: None };
                    let options = Options {
                        hops,
                        ..Options::to(target)
                    };
                    let mut stream = connect(&options).await.unwrap();
                    limit.await.unwrap();
                    stream.write_all(&[9]).await.unwrap();
                    end.await.unwrap();
                },
            );
        }
    }
    assert_eq!(Hops::within(1).minimum, Some(255));
    assert_eq!(
        Hops::within(3),
        Hops {
            ttl: 255,
            minimum: Some(253)
        }
    );
}

/// The first frame of `port` that arrives in the namespace of the calling thread.
fn first_frame(socket: &mut Socket, ip_header: usize) -> Vec<u8> {
    let mut buf = [0_u8; 256];
    loop {
        let length = socket.read(&mut buf).unwrap();
        let to = buf[..length].get(ip_header + 2..ip_header + 4);
        if to == Some(&PORT.to_be_bytes()) {
            return buf[..length].to_vec();
        }
    }
}

#[test]
fn source_ttl_and_class_on_the_wire() {
    let world = addressed();
    world.0.ip("address add 192.0.2.7/24 dev near");
    world.0.ip("address add 2001:db8::7/64 dev near nodad");
    for (target, source) in [(v4(), "192.0.2.7"), (v6(), "2001:db8::7")] {
        let source: IpAddr = source.parse().unwrap();
        // Protocol numbers are in network order.
        let (ethertype, header) = if target.is_ipv4() {
            (0x0800_u16, 20)
        } else {
            (0x86dd, 40)
        };
        let ethertype = i32::from(ethertype.to_be());
        let mut sniffer = world.1.enter(|| {
            Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ethertype))).unwrap()
        });
        sniffer
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (from, ()) = both(
            &world,
            target,
            async |listener| listener.accept().await.unwrap().1.ip(),
            async || {
                let options = Options {
                    source: Some(source),
                    device: Some("near".to_owned()),
                    hops: Hops::ONE,
                    ..Options::to(target)
                };
                connect(&options).await.unwrap();
            },
        );
        assert_eq!(from, source);
        let frame = first_frame(&mut sniffer, header);
        let (class, ttl) = if target.is_ipv4() {
            (frame[1], frame[8])
        } else {
            ((frame[0] << 4) | (frame[1] >> 4), frame[7])
        };
        assert_eq!((class, ttl), (0xc0, 1), "CS6 on the first segment, too");
    }
}

#[test]
fn the_local_address_is_known_before_the_connection() {
    let world = addressed();
    world.0.ip("address add 192.0.2.7/24 dev near");
    world.0.run(|| async {
        let ask = |target, source: Option<&str>, device: Option<&str>| {
            let options = Options {
                source: source.map(|ip| ip.parse().unwrap()),
                device: device.map(str::to_owned),
                ..Options::to(target)
            };
            match source_of(&options) {
                Ok(ip) => ip.to_string(),
                Err(error) => error.to_string(),
            }
        };
        let far = SocketAddr::from(([203, 0, 113, 9], PORT));
        for (target, source, device, wanted) in [
            (v4(), None, None, "192.0.2.1"),
            (v4(), Some("192.0.2.7"), None, "192.0.2.7"),
            (v6(), None, Some("near"), "2001:db8::1"),
            (
                far,
                None,
                None,
                "203.0.113.9:179: connect: Network is unreachable (os error 101)",
            ),
            (
                v4(),
                Some("192.0.2.99"),
                None,
                "192.0.2.2:179: this host has no address 192.0.2.99 to use",
            ),
            (
                v4(),
                None,
                Some("red"),
                "192.0.2.2:179: there is no interface or VRF device red",
            ),
        ] {
            assert_eq!(ask(target, source, device), wanted);
        }
    });
}

#[test]
fn what_is_missing_is_named() {
    let world = addressed();
    world.0.run(|| async {
        let refused = async |change: fn(&mut Options)| {
            let mut options = Options::to(v4());
            change(&mut options);
            connect(&options).await.unwrap_err().to_string()
        };
        assert_eq!(
            refused(|o| o.device = Some("red".into())).await,
            "192.0.2.2:179: there is no interface or VRF device red"
        );
        assert_eq!(
            refused(|o| o.source = Some("192.0.2.99".parse().unwrap())).await,
            "192.0.2.2:179: this host has no address 192.0.2.99 to use"
        );
        assert_eq!(
            refused(|o| o.source = Some("2001:db8::1".parse().unwrap())).await,
            "192.0.2.2:179: the local address 2001:db8::1 is of the other family"
        );
        assert_eq!(
            refused(|_| {}).await,
            "192.0.2.2:179: connect: Connection refused (os error 111)"
        );
        let mut listen = everywhere(v4());
        listen.device = Some("red".into());
        assert_eq!(
            Listener::bind(&listen).unwrap_err().to_string(),
            "0.0.0.0:179: there is no interface or VRF device red"
        );
        let elsewhere = ListenOptions {
            local: SocketAddr::from(([192, 0, 2, 99], PORT)),
            ..everywhere(v4())
        };
        assert_eq!(
            Listener::bind(&elsewhere).unwrap_err().to_string(),
            "192.0.2.99:179: this host has no address 192.0.2.99 to use"
        );
        let first = Listener::bind(&everywhere(v4())).unwrap();
        assert_eq!(first.local().port(), PORT);
        let second = Listener::bind(&everywhere(v4())).unwrap_err();
        assert!(
            second.to_string().contains("Address already in use"),
            "{second}"
        );
        // One of each family side by side.
        Listener::bind(&everywhere(v6())).unwrap();
    });
}

#[test]
fn tcp_ao_as_the_kernel_has_it() {
    let world = addressed();
    let options = || Options {
        auth: Auth::Ao(AoKey {
            key: key("secret"),
            algorithm: Algorithm::HmacSha1,
            send_id: 1,
            receive_id: 1,
        }),
        ..Options::to(v4())
    };
    if has_ao().unwrap() {
        both(
            &world,
            v4(),
            async |listener| {
                let Auth::Ao(key) = options().auth else {
                    unreachable!()
                };
                listener
                    .add_ao(Whom::peer("192.0.2.1".parse().unwrap()), &key)
                    .unwrap();
                listener.accept().await.unwrap();
            },
            async || drop(connect(&options()).await.unwrap()),
        );
    } else {
        let error = world
            .0
            .run(|| async { connect(&options()).await.unwrap_err() });
        assert_eq!(
            error.to_string(),
            "192.0.2.2:179: this kernel has no TCP-AO: it needs Linux 6.7 or newer, built with \
             CONFIG_TCP_AO"
        );
    }
}
