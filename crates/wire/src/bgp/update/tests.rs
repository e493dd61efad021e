//! UPDATE: what MetalLB sends, and the treatment of every fault (RFC 7606).

use super::*;
use crate::bgp::community::Community;
use crate::bgp::tests::{EXTERNAL, hex, prefix, read};
use crate::bgp::{AsPath, Message, Origin, Received};
use std::net::Ipv4Addr;

const INTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: false,
    extended_next_hop: false,
};

fn metallb(local_pref: Option<u32>, path: &[u32]) -> Update {
    Update {
        attributes: Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::sequence(path)),
            next_hop: Some(Ipv4Addr::new(10, 0, 0, 1)),
            local_pref,
            communities: vec![Community::new(65535, 65282)],
            ..Attributes::default()
        },
        announced: vec![prefix("192.168.10.7/32")],
        ..Update::default()
    }
}

/// `spec/metallb.md` §6.4 and appendix E.
#[test]
fn metallbs_updates_are_written_and_read() {
    let check = |update: Update, context: UpdateContext, whole: &str| {
        let whole = hex(&format!("ffffffffffffffffffffffffffffffff {whole}"));
        let message = Message::Update(Box::new(update.clone()));
        assert_eq!(
            message.encode(context.four_octet_as, 4096),
            Ok(whole.clone())
        );
        let faults = Vec::new();
        let sound = Received::Update(Box::new(Decoded { update, faults }));
        assert_eq!(read(&whole, &context), Ok(sound));
    };
    check(
        metallb(None, &[64512]),
        EXTERNAL,
        "0037 02 0000 001b 40010100 40020602010000fc00 4003040a000001 c00804ffffff02 20c0a80a07",
    );
    check(
        metallb(Some(0), &[]),
        INTERNAL,
        "0038 02 0000 001c 40010100 400200 4003040a000001 40050400000000 c00804ffffff02
         20c0a80a07",
    );
    let two_octets = UpdateContext {
        four_octet_as: false,
        ..EXTERNAL
    };
    check(
        metallb(None, &[64512]),
        two_octets,
        "0035 02 0000 0019 40010100 4002040201fc00 4003040a000001 c00804ffffff02 20c0a80a07",
    );
    let withdraw = Update {
        withdrawn: vec![prefix("192.168.10.7/32")],
        ..Update::default()
    };
    check(withdraw, EXTERNAL, "001c 02 0005 20c0a80a07 0000");
}

#[test]
fn end_of_rib_is_known_from_everything_else() {
    for family in Family::ALL {
        let marker = Update::end_of_rib(family);
        assert_eq!(marker.is_end_of_rib(), Some(family));
        let bytes = Message::Update(Box::new(marker))
            .encode(true, 4096)
            .unwrap();
        let length = if family == Family::Ipv4 { 23 } else { 29 };
        assert_eq!(bytes.len(), length);
    }
    assert_eq!(metallb(None, &[]).is_end_of_rib(), None);
    let withdraw = Update {
        mp_unreach: Some(MpUnreach::Unicast {
            family: Family::Ipv6,
            prefixes: vec![prefix("2001:db8::/32")],
        }),
        ..Update::default()
    };
    assert_eq!(withdraw.is_end_of_rib(), None);
}

const SOUND: &str = "40010100 40020602010000fc00 4003040a000001";

/// A body with these attributes, and 192.0.2.0/24 announced.
fn body(attributes: &str) -> Vec<u8> {
    let attributes = hex(attributes);
    let mut body = vec![0, 0];
    body.extend_from_slice(&u16::try_from(attributes.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&attributes);
    body.extend_from_slice(&hex("18 c00002"));
    body
}

fn check(context: &UpdateContext, attributes: &str, expected: &[(u8, Cause, Treatment)]) {
    let decoded = Update::decode(&body(attributes), context).expect(attributes);
    let faults: Vec<_> = decoded
        .faults
        .iter()
        .map(|fault| (fault.attribute, fault.cause, fault.treatment))
        .collect();
    assert_eq!(faults, expected, "{attributes}");
    let withdraw = expected.iter().any(|(_, _, t)| *t == Withdraw);
    assert_eq!(decoded.is_withdrawn(), withdraw);
    let announced: Vec<_> = decoded.update.reachable().collect();
    let withdrawn: Vec<_> = decoded.update.unreachable().collect();
    let prefixes = vec![prefix("192.0.2.0/24")];
    let (up, down) = if withdraw {
        (vec![], prefixes)
    } else {
        (prefixes, vec![])
    };
    assert_eq!((announced, withdrawn), (up, down), "{attributes}");
}

use Cause::{Flags, Missing, Overrun, Repeated, Unexpected, Value};
use Treatment::{Discard, Withdraw};

fn external(attributes: &str, expected: &[(u8, Cause, Treatment)]) {
    check(&EXTERNAL, attributes, expected);
}

fn with(more: &str, expected: &[(u8, Cause, Treatment)]) {
    external(&format!("{SOUND} {more}"), expected);
}

#[test]
fn faults_of_mandatory_attributes_are_treated() {
    external(SOUND, &[]);
    // §3.d
    external(
        "",
        &[
            (1, Missing, Withdraw),
            (2, Missing, Withdraw),
            (3, Missing, Withdraw),
        ],
    );
    external("40010100 400200", &[(3, Missing, Withdraw)]);
    // §7.1
    external("40010103 400200 4003040a000001", &[(1, Value, Withdraw)]);
    external("4001020000 400200 4003040a000001", &[(1, Value, Withdraw)]);
    external("400100 400200 4003040a000001", &[(1, Value, Withdraw)]);
    // §7.2, RFC 5065 §5.3, RFC 7607
    for path in [
        "02010000fc",
        "02000000fc00",
        "03010000fc00",
        "020100000000",
        "0201",
        "02",
    ] {
        let length = path.len() / 2;
        let path = format!("40010100 4002{length:02x}{path} 4003040a000001");
        external(&path, &[(2, Value, Withdraw)]);
    }
    // §7.3
    for next_hop in [
        "030a0000",
        "050a00000101",
        "0400000000",
        "04e0000001",
        "04ffffffff",
    ] {
        let text = format!("40010100 400200 4003{next_hop}");
        external(&text, &[(3, Value, Withdraw)]);
    }
}

#[test]
fn faults_of_values_are_treated() {
    // §7.4, §7.5
    with("80040400000001", &[]);
    with("800403000001", &[(4, Value, Withdraw)]);
    with("40050400000064", &[(5, Unexpected, Discard)]);
    check(&INTERNAL, &format!("{SOUND} 40050400000064"), &[]);
    check(
        &INTERNAL,
        &format!("{SOUND} 4005020064"),
        &[(5, Value, Withdraw)],
    );
    // §7.6, §7.7
    with("400600", &[]);
    with("40060101", &[(6, Value, Discard)]);
    with("c007080000fc000a000001", &[]);
    with("c00706fc000a000001", &[(7, Value, Discard)]);
    // RFC 7607
    with("c00708000000000a000001", &[(7, Value, Discard)]);
    // §7.8, §7.14, RFC 8092 §5
    with("c00800", &[(8, Value, Withdraw)]);
    with("c00803fc0000", &[(8, Value, Withdraw)]);
    with("c01000", &[(16, Value, Withdraw)]);
    with("c01007 00000000000000", &[(16, Value, Withdraw)]);
    with("c02000", &[(32, Value, Withdraw)]);
    with("c0200b 0000000000000000000000", &[(32, Value, Withdraw)]);
    // §7.9, §7.10
    with("8009040a000001", &[(9, Unexpected, Discard)]);
    with("800a040a000001", &[(10, Unexpected, Discard)]);
    check(
        &INTERNAL,
        &format!("{SOUND} 8009040a000001 800a040a000001"),
        &[],
    );
    check(
        &INTERNAL,
        &format!("{SOUND} 8009030a0000"),
        &[(9, Value, Withdraw)],
    );
    check(
        &INTERNAL,
        &format!("{SOUND} 800a00"),
        &[(10, Value, Withdraw)],
    );
}

#[test]
fn faults_of_later_rfcs_and_of_the_list_are_treated() {
    // RFC 6793 §4.1, §6
    with("c0110602010000fc00", &[(17, Unexpected, Discard)]);
    let two_octets = UpdateContext {
        four_octet_as: false,
        ..EXTERNAL
    };
    let two = "40010100 4002040201fc00 4003040a000001";
    check(&two_octets, &format!("{two} c0110602010000fc00"), &[]);
    check(
        &two_octets,
        &format!("{two} c0110502010000fc"),
        &[(17, Value, Discard)],
    );
    check(
        &two_octets,
        &format!("{two} c0120700000000000000"),
        &[(18, Value, Discard)],
    );
    // RFC 9234 §5
    with("c023040000fc00", &[]);
    with("c0230300fc00", &[(35, Value, Withdraw)]);
    // §3.c, and Partial, which is no conflict
    with("c00404 00000001", &[(4, Flags, Withdraw)]);
    with("40080400000001", &[(8, Flags, Withdraw)]);
    with("e0080400000001", &[]);
    // §3.g
    with("800404 00000001 800404 00000002", &[(4, Repeated, Discard)]);
    // §4
    with("800405 00000001", &[(4, Overrun, Withdraw)]);
    with("80", &[(0, Overrun, Withdraw)]);
    with("9004 00", &[(4, Overrun, Withdraw)]);
    // An extended length that wouldn't be needed is none.
    with("900400 04 00000001", &[]);
    // Unknown and optional survives.
    with("e0c803010203", &[]);
    with("80c800", &[]);
}

#[test]
fn what_cannot_be_located_resets_the_session() {
    let check = |body: &[u8], subcode: u8, data: &str| {
        let error = Update::decode(body, &EXTERNAL).expect_err("a reset");
        assert_eq!(error.report(), (subcode, hex(data)), "{error}");
    };
    // Lengths (§3.a).
    check(&hex("0001 0000"), 1, "");
    check(&hex("0000 0001"), 1, "");
    check(&hex("0000"), 1, "");
    // Prefixes (§5.3).
    check(&hex("0000 0000 21c0000201 00"), 10, "");
    check(&hex("0000 0000 18c000"), 10, "");
    check(&hex("0002 18c0 0000"), 10, "");
    // A well-known attribute that isn't known (RFC 4271 §6.3), with the attribute.
    check(&body(&format!("{SOUND} 40c80101")), 2, "40c80101");
    // Multiprotocol attributes (§3.g, §7.11, §7.12).
    let reach = "800e15 0002 01 10 20010db8000000000000000000000001 00";
    check(&body(&format!("{SOUND} {reach} {reach}")), 1, "");
    check(&body(&format!("{SOUND} 800f030002")), 1, "");
    check(&body(&format!("{SOUND} 800f020002")), 9, "800f020002");
    check(
        &body(&format!("{SOUND} 800f05000201 81 20")),
        9,
        "800f05000201 81 20",
    );
    let short = "800e09 0002 01 04 0a000001 00";
    check(&body(&format!("{SOUND} {short}")), 9, short);
    // IPv4 through IPv6 that wasn't negotiated (RFC 8950).
    let via_ipv6 = "800e15 0001 01 10 20010db8000000000000000000000001 00";
    check(&body(&format!("{SOUND} {via_ipv6}")), 9, via_ipv6);
    // A fault with nothing to withdraw (§5.2).
    check(&hex("0000 0004 40010109"), 1, "");
}

#[test]
fn treat_as_withdraw_reaches_every_family() {
    let attributes = "40010109 400200
        800f08 0002 01 20 20010db9 
        800e1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8";
    let decoded = Update::decode(&body(attributes), &EXTERNAL).unwrap();
    let withdrawn: BTreeSet<_> = decoded.update.unreachable().collect();
    let expected = ["192.0.2.0/24", "2001:db8::/32", "2001:db9::/32"];
    assert_eq!(withdrawn, expected.map(prefix).into());
    assert_eq!(decoded.update.attributes, Attributes::default());
    assert_eq!(decoded.update.reachable().count(), 0);
}

#[test]
fn other_families_pass_through() {
    let attributes = format!("{SOUND} 800e04 0019 46 00 800f04 0001 80 01");
    let decoded = Update::decode(&body(&attributes), &EXTERNAL).unwrap();
    assert_eq!(decoded.faults, []);
    let bytes = Message::Update(Box::new(decoded.update.clone())).encode(true, 4096);
    let again = read(&bytes.unwrap(), &EXTERNAL);
    assert_eq!(again, Ok(Received::Update(Box::new(decoded))));
}
