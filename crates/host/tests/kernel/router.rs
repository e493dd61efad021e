//! Router advertisements: what crosses the link, and how it arrives.

use crate::tcp::addressed;
use corten_host::router::RouterSocket;
use std::sync::mpsc;

#[test]
fn an_advertisement_crosses_the_link_and_nothing_else_is_heard() {
    let (near, far) = addressed();
    let (here, there) = (near.index("near"), far.index("far"));
    let ready = mpsc::channel();
    let heard = std::thread::scope(|scope| {
        let far = scope.spawn(|| {
            far.run(|| async {
                let socket = RouterSocket::open("far", there).unwrap();
                ready.0.send(()).unwrap();
                let mut buf = [0; 64];
                let heard = socket.recv(&mut buf).await.unwrap();
                assert_eq!(buf[0], 134);
                heard
            })
        });
        ready.1.recv().unwrap();
        near.run(|| async {
            let socket = RouterSocket::open("near", here).unwrap();
            // A neighbour advertisement isn't for routers; the checksums are the kernel's.
            let mut other = [0; 24];
            other[0] = 136;
            socket.send(&other).unwrap();
            let mut message = [0; 16];
            message[0] = 134;
            socket.send(&message).unwrap();
        });
        far.join().unwrap()
    });
    assert_eq!((heard.length, heard.hop_limit), (16, 255));
    assert_eq!(heard.from.to_string(), "fe80::ff:fe00:1");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let (near, _far) = addressed();
    let error = near.run(|| async { RouterSocket::open("gone", 99).unwrap_err() });
    assert!(error.to_string().contains("gone"), "{error}");
}
