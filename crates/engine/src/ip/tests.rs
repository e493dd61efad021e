use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn blocks(text: &str) -> Result<Vec<String>, String> {
    match parse_block(text) {
        Ok(cidrs) => Ok(cidrs.iter().map(ToString::to_string).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn readable_blocks() {
    let rows: &[(&str, &[&str])] = &[
        ("192.168.10.0/24", &["192.168.10.0/24"]),
        ("192.168.10.77/24", &["192.168.10.0/24"]),
        ("10.0.0.1/32", &["10.0.0.1/32"]),
        ("0.0.0.0/0", &["0.0.0.0/0"]),
        ("fd00::1/64", &["fd00::/64"]),
        (
            "1.1.1.1-1.1.1.100",
            &[
                "1.1.1.1/32",
                "1.1.1.2/31",
                "1.1.1.4/30",
                "1.1.1.8/29",
                "1.1.1.16/28",
                "1.1.1.32/27",
                "1.1.1.64/27",
                "1.1.1.96/30",
                "1.1.1.100/32",
            ],
        ),
        ("  1.1.1.4 - 1.1.1.7 ", &["1.1.1.4/30"]),
        ("1.1.1.4-1.1.1.4", &["1.1.1.4/32"]),
        ("0.0.0.0-255.255.255.255", &["0.0.0.0/0"]),
        ("255.255.255.254-255.255.255.255", &["255.255.255.254/31"]),
        ("fd00::-fd00::3", &["fd00::/126"]),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &["::/0"]),
        ("::ffff:1.1.1.4-1.1.1.5", &["1.1.1.4/31"]),
    ];
    for (text, expected) in rows {
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(blocks(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn unreadable_blocks() {
    let rows = [
        (
            "",
            "invalid CIDR \"\": expected address/length or start-end",
        ),
        (
            "10.0.0.1",
            "invalid CIDR \"10.0.0.1\": expected address/length or start-end",
        ),
        (
            " 10.0.0.0/24",
            "invalid CIDR \" 10.0.0.0/24\": \" 10.0.0.0\" is not an IP address",
        ),
        (
            "10.0.0.0/24 ",
            "invalid CIDR \"10.0.0.0/24 \": the prefix length must be a number from 0 to 32",
        ),
        (
            "10.0.0.0/33",
            "invalid CIDR \"10.0.0.0/33\": the prefix length must be a number from 0 to 32",
        ),
        (
            "10.0.0.0/+8",
            "invalid CIDR \"10.0.0.0/+8\": the prefix length must be a number from 0 to 32",
        ),
        (
            "fd00::/129",
            "invalid CIDR \"fd00::/129\": the prefix length must be a number from 0 to 128",
        ),
        (
            "010.0.0.0/8",
            "invalid CIDR \"010.0.0.0/8\": \"010.0.0.0\" is not an IP address",
        ),
        (
            "::ffff:10.0.0.0/120",
            "invalid CIDR \"::ffff:10.0.0.0/120\": an IPv4-mapped IPv6 address, write it as IPv4",
        ),
        (
            "10.0.0.9-10.0.0.1",
            "invalid IP range \"10.0.0.9-10.0.0.1\": the start is after the end",
        ),
        (
            "10.0.0.1-fd00::1",
            "invalid IP range \"10.0.0.1-fd00::1\": the ends are of different address families",
        ),
        (
            "fd00::1-10.0.0.1",
            "invalid IP range \"fd00::1-10.0.0.1\": the ends are of different address families",
        ),
        (
            "10.0.0.0/30-10.0.0.9",
            "invalid IP range \"10.0.0.0/30-10.0.0.9\": \"10.0.0.0/30\" is not an IP address",
        ),
        (
            "10.0.0.1-10.0.0.2-10.0.0.3",
            "invalid IP range \"10.0.0.1-10.0.0.2-10.0.0.3\": \"10.0.0.2-10.0.0.3\" is not an IP \
             address",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(blocks(text), Err(expected.to_owned()), "{text:?}");
    }
}

#[test]
fn overlaps_are_found_whichever_contains_the_other() {
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    let mut taken = Disjoint::default();
    for text in ["10.0.0.0/24", "10.0.2.0/24", "10.0.4.0/32", "fd00::/64"] {
        taken.insert(net(text), text);
    }
    let rows: &[(&str, &[&str])] = &[
        ("10.0.0.128/25", &["10.0.0.0/24"]),
        ("10.0.0.0/25", &["10.0.0.0/24"]),
        ("10.0.0.0/24", &["10.0.0.0/24"]),
        ("10.0.1.0/24", &[]),
        (
            "10.0.0.0/16",
            &["10.0.0.0/24", "10.0.2.0/24", "10.0.4.0/32"],
        ),
        ("0.0.0.0/0", &["10.0.0.0/24", "10.0.2.0/24", "10.0.4.0/32"]),
        ("10.0.4.1/32", &[]),
        ("fd00::1/128", &["fd00::/64"]),
        ("::/0", &["fd00::/64"]),
    ];
    for (text, expected) in rows {
        let found: Vec<_> = taken
            .overlaps(&net(text))
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(found, *expected, "{text}");
    }
}

proptest! {
    /// Ascending, without gap or overlap, from start to end, and no two neighbours could be one.
    #[test]
    fn v4_ranges_are_summarised_exactly(a: u32, b: u32) {
        let (start, end) = (a.min(b), a.max(b));
        let text = format!("{}-{}", Ipv4Addr::from(start), Ipv4Addr::from(end));
        let mut next = Some(start);
        for cidr in parse_block(&text).unwrap() {
            let IpNet::V4(cidr) = cidr else { panic!("{cidr}") };
            prop_assert_eq!(Some(u32::from(cidr.network())), next);
            // The block is the widest one that starts here and stays in the range.
            if let Some(wider) = cidr.supernet() {
                prop_assert!(wider.network() != cidr.network() || u32::from(wider.broadcast()) > end);
            }
            next = u32::from(cidr.broadcast()).checked_add(1);
        }
        prop_assert_eq!(next, end.checked_add(1));
    }

    #[test]
    fn v6_ranges_are_summarised_exactly(a: u128, b: u128) {
        let (start, end) = (a.min(b), a.max(b));
        let text = format!("{}-{}", Ipv6Addr::from(start), Ipv6Addr::from(end));
        let mut next = Some(start);
        for cidr in parse_block(&text).unwrap() {
            let IpNet::V6(cidr) = cidr else { panic!("{cidr}") };
            prop_assert_eq!(Some(u128::from(cidr.network())), next);
            next = u128::from(cidr.broadcast()).checked_add(1);
        }
        prop_assert_eq!(next, end.checked_add(1));
    }

    #[test]
    fn no_text_panics(text in "[0-9a-f:./ -]{0,40}") {
        let _ = parse_block(&text);
        let _ = parse_address(&text);
    }
}
