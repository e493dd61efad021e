use super::{SILENCE, Unnumbered};
use corten_host::netlink::Link;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

fn link(name: &str, index: u32, up: bool) -> Link {
    Link {
        index,
        name: name.to_owned(),
        mac: None,
        kind: None,
        ethernet: true,
        up,
        carrier: up,
        broadcast: true,
        loopback: false,
        noarp: false,
        master: None,
        addresses: Vec::new(),
    }
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[tokio::test]
async fn who_was_heard_first_stays_until_it_is_silent() {
    let mut all = Unnumbered::default();
    let names = BTreeSet::from(["no-such-nic"]);
    assert!(
        all.router("no-such-nic")
            .unwrap_err()
            .contains("no interface")
    );
    all.watch(&names, &[link("no-such-nic", 7, false)]);
    assert!(all.router("no-such-nic").is_err(), "it is down");
    let there = [link("no-such-nic", 7, true), link("other", 8, true)];
    all.watch(&names, &there);
    assert!(all.router("no-such-nic").unwrap_err().contains("no router"));
    let now = Instant::now();
    let (a, b) = (ip("fe80::a"), ip("fe80::b"));
    assert!(all.hear("no-such-nic", a, now));
    assert_eq!(all.router("no-such-nic"), Ok((a, 7)));
    let soon = now + SILENCE - Duration::from_secs(1);
    assert!(!all.hear("no-such-nic", b, soon));
    assert!(!all.hear("no-such-nic", a, soon));
    assert!(!all.hear("no-such-nic", b, now + SILENCE));
    assert!(all.hear("no-such-nic", b, soon + SILENCE));
    assert_eq!(all.router("no-such-nic"), Ok((b, 7)));
    // Nobody asked for it.
    assert!(!all.hear("other", a, now));
    // As another interface it is another link.
    all.watch(&names, &[link("no-such-nic", 9, true)]);
    assert!(all.router("no-such-nic").is_err());
    all.watch(&BTreeSet::new(), &there);
    assert!(!all.hear("no-such-nic", a, now));
}
