use super::*;
use std::time::Duration;

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), work)
            .await
            .expect("in time");
    });
}

/// An endpoint on a port of the kernel's choice, for both kinds of socket.
fn endpoint(ip: &str) -> (Endpoint, SocketAddr) {
    for _ in 0..100 {
        let free = std::net::UdpSocket::bind((ip, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        // Another process may have been faster.
        if let Ok(endpoint) = Endpoint::bind(address) {
            return (endpoint, address);
        }
    }
    panic!("no port is free");
}

#[test]
fn a_port_that_is_taken_is_told_from_an_address_that_isn_t_here() {
    block_on(async {
        let (_endpoint, address) = endpoint("127.0.0.1");
        assert!(Endpoint::bind(address).unwrap_err().is_taken());
        // Documentation's, nobody's.
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 7946));
        assert!(!Endpoint::bind(elsewhere).unwrap_err().is_taken());
    });
}

#[test]
fn datagrams_and_streams_both_ways() {
    for ip in ["127.0.0.1", "::1"] {
        block_on(async {
            let (a, a_at) = endpoint(ip);
            let (b, b_at) = endpoint(ip);
            assert!(a.send(b"hello", b_at));
            let mut buffer = [0; 100];
            assert_eq!(b.receive(&mut buffer).await.unwrap(), (5, a_at));
            assert_eq!(b.try_receive(&mut buffer), None);

            let (mut here, mut there) = (Streams::default(), Streams::default());
            here.open(1, b_at);
            here.write(1, b"ask".to_vec());
            let (stream, from) = b.accept().await.unwrap();
            assert_eq!(from.ip(), a_at.ip());
            there.accept('x', stream);
            assert_eq!(
                there.next().await,
                ('x', StreamEvent::Data(b"ask".to_vec()))
            );
            there.write('x', b"answer".to_vec());
            there.close('x');
            assert_eq!(
                here.next().await,
                (1, StreamEvent::Data(b"answer".to_vec()))
            );
            assert_eq!(here.next().await, (1, StreamEvent::Closed));
        });
    }
}

#[test]
fn much_is_written_before_the_stream_closes() {
    block_on(async {
        let (a, at) = endpoint("127.0.0.1");
        let (mut here, mut there) = (Streams::default(), Streams::default());
        let much = vec![7; 5 << 20];
        here.open(1, at);
        here.write(1, much.clone());
        here.close(1);
        let (stream, _) = a.accept().await.unwrap();
        there.accept(2, stream);
        let mut came = Vec::new();
        loop {
            // `here` has nothing to say any more, but its task has work to do.
            tokio::select! {
                (_, event) = there.next() => match event {
                    StreamEvent::Data(data) => came.extend(data),
                    StreamEvent::Closed => break,
                },
                said = here.next() => panic!("{said:?}"),
            }
        }
        assert_eq!(came.len(), much.len());
    });
}

#[test]
fn a_closed_port_says_so_and_a_taken_one_is_an_error() {
    block_on(async {
        let (a, at) = endpoint("127.0.0.1");
        let error = Endpoint::bind(at).unwrap_err().to_string();
        assert!(error.contains("UDP"), "{error}");
        drop(a);
        let mut streams = Streams::default();
        streams.open(1, at);
        assert_eq!(streams.next().await, (1, StreamEvent::Closed));
    });
}
