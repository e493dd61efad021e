//! OPEN: what MetalLB sends, what RFC 9072 allows, and what is refused.

use crate::bgp::tests::{EXTERNAL, hex, message, read};
use crate::bgp::*;
use std::net::Ipv4Addr;
use std::time::Duration;

fn open(bytes: &[u8]) -> Result<Open, Notification> {
    match read(bytes, &EXTERNAL) {
        Ok(Received::Open(open)) => Ok(open),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.notification()),
    }
}

fn multiprotocol(family: Family) -> Capability {
    Capability::Multiprotocol(family.into())
}

/// `spec/metallb.md` §6.4's example.
#[test]
fn metallbs_open_is_written_and_read() {
    let whole = hex(
        "ffffffffffffffffffffffffffffffff 0031 01 04 fc00 005a 0a000001 14
         02 12 01040001 0001 01040002 0001 4104 0000fc00",
    );
    let expected = Open::new(
        64512,
        90,
        Ipv4Addr::new(10, 0, 0, 1),
        vec![multiprotocol(Family::Ipv4), multiprotocol(Family::Ipv6)],
    );
    assert_eq!(open(&whole), Ok(expected.clone()));
    assert_eq!(
        Message::Open(expected.clone()).encode(true, MAX_LEN),
        Ok(whole)
    );
    assert_eq!(expected.asn(), 64512);
    assert_eq!(expected.families(), Some(Families::Both));
}

#[test]
fn an_as_of_four_octets_is_in_its_capability() {
    let big = Open::new(4_200_000_000, 0, Ipv4Addr::new(10, 0, 0, 1), vec![]);
    assert_eq!((big.my_as, big.asn()), (23456, 4_200_000_000));
    let bytes = Message::Open(big).encode(true, MAX_LEN).unwrap();
    assert!(bytes.ends_with(&hex("5ba0 0000 0a000001 08 02 06 41 04 fa56ea00")));
}

#[test]
fn optional_parameters_of_either_length_are_read() {
    let check = |parameters: &str, expected: Result<usize, (u8, u8)>| {
        let body = hex(&format!("04 fde8 005a 0a000001 {parameters}"));
        let got = open(&message(1, &body));
        let got = got.map(|open| open.capabilities.len());
        assert_eq!(
            got.map_err(|n| (n.code, n.subcode)),
            expected,
            "{parameters}"
        );
    };
    check("00", Ok(0));
    check("04 02 02 02 00", Ok(1));
    // Two parameters of one capability, as some speakers send it.
    check("08 02 02 02 00 02 02 46 00", Ok(2));
    check("02 02 00", Ok(0));
    // RFC 9072: the one-octet length is 255 or anything but 0.
    check("ff ff 0005 02 0002 02 00", Ok(1));
    check("01 ff 0005 02 0002 02 00", Ok(1));
    check("ff ff 0000", Ok(0));
    check("00 ff 0000", Err((2, 0)));
    check("ff ff 0006 02 0002 02 00", Err((2, 0)));
    check("ff ff", Err((2, 0)));
    // RFC 4271 §6.2.
    check("04 01 02 02 00", Err((2, 4)));
    check("05 02 02 02 00", Err((2, 0)));
    check("03 02 02 02 00", Err((2, 0)));
    check("04 02 03 02 00", Err((2, 0)));
    check("04 02 02 02 01", Err((2, 0)));
    check("03 02 01 02", Err((2, 0)));
    check("01 02", Err((2, 0)));
}

#[test]
fn another_version_is_answered_with_ours() {
    let body = hex("03 fde8 005a 0a000001 00");
    let expected = Notification::with_data(2, 1, [0, 4]);
    assert_eq!(open(&message(1, &body)), Err(expected));
}

#[test]
fn capabilities_out_of_form_survive() {
    let check = |text: &str, known: bool| {
        let bytes = hex(text);
        let capability = Capability::decode(bytes[0], &bytes[2..]);
        assert_eq!(
            !matches!(capability, Capability::Other { .. }),
            known,
            "{text}"
        );
        let mut again = Vec::new();
        capability.encode(&mut again);
        assert_eq!(again, bytes);
    };
    check("01 04 0001 00 01", true);
    check("01 03 0001 00", false);
    check("02 00", true);
    check("02 01 00", false);
    check("05 06 0001 0001 0002", true);
    check("05 05 0001 0001 00", false);
    check("06 00", true);
    check("09 01 03", true);
    check("09 01 05", false);
    check("09 02 0303", false);
    check("40 02 c078", true);
    check("40 06 4078 0001 01 80", true);
    check("40 05 4078 0001 01", false);
    check("41 04 fa56ea00", true);
    check("41 02 fde8", false);
    check("46 00", true);
    check("45 04 0001 01 03", false);
    check("49 08 06 6e6f64652d31 00", false);
}

#[test]
fn graceful_restart_flags_are_where_the_rfcs_have_them() {
    let restart = GracefulRestart {
        restarted: true,
        notification: true,
        time: Duration::from_secs(120),
        families: vec![RestartFamily {
            family: Family::Ipv6.into(),
            forwarding: true,
        }],
    };
    let mut bytes = Vec::new();
    Capability::GracefulRestart(restart.clone()).encode(&mut bytes);
    assert_eq!(bytes, hex("40 06 c078 0002 01 80"));
    assert!(restart.covers(Family::Ipv6.into()) && !restart.covers(Family::Ipv4.into()));
    let long = GracefulRestart {
        restarted: false,
        notification: false,
        time: Duration::from_secs(5000),
        families: vec![],
    };
    let mut bytes = Vec::new();
    Capability::GracefulRestart(long).encode(&mut bytes);
    assert_eq!(
        bytes,
        hex("40 02 0fff"),
        "the longest time that can be said"
    );
}

#[test]
fn families_are_those_spoken_here() {
    let check = |capabilities: Vec<Capability>, expected| {
        let open = Open::new(65000, 90, Ipv4Addr::LOCALHOST, capabilities);
        assert_eq!(open.families(), expected);
    };
    let vpn = Capability::Multiprotocol(AfiSafi { afi: 1, safi: 128 });
    check(vec![], Some(Families::Ipv4));
    check(vec![vpn.clone()], None);
    check(vec![vpn, multiprotocol(Family::Ipv6)], Some(Families::Ipv6));
    check(vec![multiprotocol(Family::Ipv4)], Some(Families::Ipv4));
}
