use super::{endpoints, identifier};
use corten_host::netlink::{Address, Link, Scope};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn link(addresses: &[(&str, u8)]) -> Link {
    let address = |&(ip, prefix_len): &(&str, u8)| {
        let ip: IpAddr = ip.parse().unwrap();
        Address {
            ip,
            prefix_len,
            scope: match ip {
                IpAddr::V6(ip) if ip.is_unicast_link_local() => Scope::Link,
                IpAddr::V4(_) | IpAddr::V6(_) => Scope::Global,
            },
            tentative: false,
            dad_failed: false,
            deprecated: false,
            expires: false,
        }
    };
    Link {
        index: 2,
        name: "eth0".to_owned(),
        mac: None,
        kind: None,
        ethernet: true,
        up: true,
        carrier: true,
        broadcast: true,
        loopback: false,
        noarp: false,
        master: None,
        addresses: addresses.iter().map(address).collect(),
    }
}

#[test]
fn the_other_family_is_that_of_the_interface() {
    let links = [
        link(&[("198.51.100.7", 24)]),
        link(&[("192.0.2.1", 24), ("2001:db8::1", 64), ("fe80::1", 64)]),
    ];
    type Row = (
        &'static str,
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        Option<&'static str>,
    );
    let rows: &[Row] = &[
        (
            "192.0.2.1:1",
            "192.0.2.2:179",
            Some("192.0.2.1"),
            Some("2001:db8::1"),
            Some("fe80::1"),
        ),
        // Not on the link: no link-local next hop (RFC 2545 §3).
        (
            "192.0.2.1:1",
            "203.0.113.2:179",
            Some("192.0.2.1"),
            Some("2001:db8::1"),
            None,
        ),
        (
            "[2001:db8::1]:1",
            "[2001:db8::2]:179",
            Some("192.0.2.1"),
            Some("2001:db8::1"),
            Some("fe80::1"),
        ),
        (
            "[2001:db8::1]:1",
            "[2001:db8:1::2]:179",
            Some("192.0.2.1"),
            Some("2001:db8::1"),
            None,
        ),
        (
            "198.51.100.7:1",
            "198.51.100.8:179",
            Some("198.51.100.7"),
            None,
            None,
        ),
        ("203.0.113.1:1", "203.0.113.2:179", None, None, None),
    ];
    for (local, peer, ipv4, ipv6, link_local) in rows {
        let ends = endpoints(&links, local.parse().unwrap(), peer.parse().unwrap());
        let six = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        assert_eq!(
            ends.ipv4,
            ipv4.map(|t| t.parse().unwrap()),
            "{local} {peer}"
        );
        assert_eq!(ends.ipv6, ipv6.map(six), "{local} {peer}");
        assert_eq!(ends.link_local, link_local.map(six), "{local} {peer}");
    }
}

#[test]
fn the_identifier_is_an_ipv4_address_of_this_end() {
    let links = [link(&[("192.0.2.1", 24), ("2001:db8::1", 64)])];
    let fallback = Ipv4Addr::new(1, 2, 3, 4);
    for (local, wanted) in [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "192.0.2.1"),
        ("2001:db8::2", "1.2.3.4"),
    ] {
        let found = identifier(&links, local.parse().unwrap(), fallback);
        assert_eq!(found, wanted.parse::<Ipv4Addr>().unwrap(), "{local}");
    }
}
