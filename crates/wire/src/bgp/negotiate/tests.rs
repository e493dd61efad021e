//! What two OPENs make of each other.

use super::*;
use crate::bgp::options::Dial;

fn options(asn: u32, id: u8) -> PeerOptions {
    PeerOptions {
        asn,
        identifier: Ipv4Addr::new(10, 0, 0, id),
        ..PeerOptions::default()
    }
}

fn meet(ours: &PeerOptions, theirs: &Open) -> Result<Negotiated, NegotiateError> {
    negotiate(ours, &ours.open(false, false), theirs)
}

#[test]
fn the_as_number_is_the_one_configured() {
    let check = |expected, asn, good: bool| {
        let ours = PeerOptions {
            peer_asn: expected,
            ..options(64512, 1)
        };
        let got = meet(&ours, &options(asn, 2).open(false, false));
        assert_eq!(got.is_ok(), good, "{expected:?} {asn}");
        match got {
            Ok(session) => assert_eq!(session.external, asn != 64512),
            Err(error) => assert_eq!(error.notification(), Notification::new(2, 2)),
        }
    };
    check(PeerAsn::Number(64513), 64513, true);
    check(PeerAsn::Number(4_200_000_000), 4_200_000_000, true);
    check(PeerAsn::Number(64513), 64514, false);
    check(PeerAsn::Internal, 64512, true);
    check(PeerAsn::Internal, 64513, false);
    check(PeerAsn::External, 64513, true);
    check(PeerAsn::External, 64512, false);
    check(PeerAsn::External, 0, false);
}

#[test]
fn a_two_octet_speaker_is_understood() {
    let mut theirs = options(64513, 2).open(false, false);
    theirs.capabilities.clear();
    let session = meet(&options(64512, 1), &theirs).unwrap();
    assert_eq!((session.peer_asn, session.four_octet_as), (64513, false));
    assert_eq!(session.families, Families::Ipv4);
    assert!(!session.route_refresh && !session.enhanced_refresh && !session.extended_messages);
    assert_eq!((session.limit(), session.restart), (4096, None));
    // AS_TRANS without the capability is just an AS number.
    theirs.my_as = 23456;
    assert_eq!(meet(&options(64512, 1), &theirs).unwrap().peer_asn, 23456);
}

#[test]
fn times_are_the_smaller_ones() {
    let check = |ours: u64, keepalive: u64, theirs: u16, expected: Result<(u64, u64), u16>| {
        let ours = PeerOptions {
            hold_time: Duration::from_secs(ours),
            keepalive: Duration::from_secs(keepalive),
            ..options(64512, 1)
        };
        let mut open = options(64513, 2).open(false, false);
        open.hold_time = theirs;
        let got = meet(&ours, &open);
        let expected = expected
            .map(|(hold, keepalive)| (Duration::from_secs(hold), Duration::from_secs(keepalive)));
        match (got, expected) {
            (Ok(session), Ok(times)) => {
                assert_eq!((session.hold_time, session.keepalive), times);
            }
            (Err(error), Err(seconds)) => {
                assert_eq!(error, NegotiateError::HoldTime(seconds));
                assert_eq!(error.notification(), Notification::new(2, 6));
            }
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    };
    check(90, 30, 180, Ok((90, 30)));
    check(90, 30, 9, Ok((9, 3)));
    check(90, 10, 180, Ok((90, 10)));
    check(180, 60, 90, Ok((90, 30)));
    check(90, 30, 3, Ok((3, 1)));
    check(90, 30, 0, Ok((0, 0)));
    check(0, 0, 90, Ok((0, 0)));
    check(90, 30, 1, Err(1));
    check(90, 30, 2, Err(2));
}

#[test]
fn identifiers_must_be_possible() {
    let check = |ours: PeerOptions, asn, id: [u8; 4], good: bool| {
        let theirs = Open::new(asn, 90, id.into(), vec![]);
        let got = meet(&ours, &theirs);
        assert_eq!(got.is_ok(), good);
        if let Err(error) = got {
            assert_eq!(error.notification(), Notification::new(2, 3));
        }
    };
    let internal = || PeerOptions {
        peer_asn: PeerAsn::Internal,
        ..options(64512, 1)
    };
    check(options(64512, 1), 64513, [0, 0, 0, 0], false);
    check(options(64512, 1), 64513, [10, 0, 0, 1], true);
    check(internal(), 64512, [10, 0, 0, 1], false);
    check(internal(), 64512, [10, 0, 0, 2], true);
    // RFC 6286 §2.1: any other 32 bits will do.
    check(options(64512, 1), 64513, [224, 0, 0, 1], true);
}

#[test]
fn families_are_those_of_both() {
    let check = |ours, theirs, expected: Option<Families>| {
        let ours = PeerOptions {
            families: ours,
            ..options(64512, 1)
        };
        let theirs = PeerOptions {
            families: theirs,
            ..options(64513, 2)
        };
        let got = meet(&ours, &theirs.open(false, false));
        assert_eq!(got.ok().map(|session| session.families), expected);
    };
    check(Families::Both, Families::Both, Some(Families::Both));
    check(Families::Both, Families::Ipv6, Some(Families::Ipv6));
    check(Families::Ipv4, Families::Both, Some(Families::Ipv4));
    check(Families::Ipv4, Families::Ipv6, None);
}

#[test]
fn roles_must_fit() {
    let check = |ours: RoleOption,
                 theirs: &[Role],
                 external: bool,
                 expected: Result<Option<Role>, &str>| {
        let asn = if external { 64513 } else { 64512 };
        let expected_asn = if external {
            PeerAsn::External
        } else {
            PeerAsn::Internal
        };
        let ours = PeerOptions {
            role: ours,
            peer_asn: expected_asn,
            ..options(64512, 1)
        };
        let mut open = options(asn, 2).open(false, false);
        open.capabilities
            .extend(theirs.iter().copied().map(Capability::Role));
        let got = meet(&ours, &open);
        if let Err(error) = &got {
            assert_eq!(error.notification(), Notification::new(2, 11));
        }
        let got = got
            .map(|session| session.role)
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    };
    use Role::{Customer, Peer, Provider, RouteServer, RouteServerClient};
    for (ours, theirs) in [
        (Provider, Customer),
        (Customer, Provider),
        (RouteServer, RouteServerClient),
        (RouteServerClient, RouteServer),
        (Peer, Peer),
    ] {
        check(RoleOption::Is(ours), &[theirs], true, Ok(Some(theirs)));
        check(
            RoleOption::Strict(ours),
            &[theirs, theirs],
            true,
            Ok(Some(theirs)),
        );
    }
    let mismatch = Err("our role is customer, the peer's is customer");
    check(RoleOption::Is(Customer), &[Customer], true, mismatch);
    check(RoleOption::Is(Customer), &[], true, Ok(None));
    let missing = Err("our role is customer, the peer's is not said");
    check(RoleOption::Strict(Customer), &[], true, missing);
    let twice = Err("our role is customer, the peer's is said twice, differently");
    check(RoleOption::Is(Customer), &[Provider, Peer], true, twice);
    // Not ours to judge without a role, or within the AS.
    check(RoleOption::None, &[Customer], true, Ok(Some(Customer)));
    check(RoleOption::Strict(Customer), &[], false, Ok(None));
}

#[test]
fn extended_next_hops_are_offered_over_ipv6_only() {
    let ours = options(64512, 1);
    let theirs = options(64513, 2);
    let check = |ours_v6, theirs_v6, expected| {
        let open = ours.open(ours_v6, false);
        let session = negotiate(&ours, &open, &theirs.open(theirs_v6, false)).unwrap();
        assert_eq!(session.extended_next_hop, expected);
    };
    check(true, true, true);
    check(true, false, false);
    check(false, true, false);
}

#[test]
fn graceful_restart_is_what_both_say() {
    let keep = |restarted| Restart::Keep {
        time: Duration::from_secs(60),
        restarted,
    };
    let check = |ours: Restart, theirs: Restart, kept: bool, notification: bool| {
        let ours = PeerOptions {
            restart: ours,
            dial: Dial::Active,
            ..options(64512, 1)
        };
        let theirs = PeerOptions {
            restart: theirs,
            ..options(64513, 2)
        };
        let session = meet(&ours, &theirs.open(false, false)).unwrap();
        assert_eq!(
            (session.kept, session.notification_restart),
            (kept, notification)
        );
    };
    check(keep(false), Restart::Helper, true, true);
    check(keep(true), keep(false), true, true);
    check(keep(false), Restart::Off, false, false);
    check(Restart::Helper, keep(false), false, true);
    check(Restart::Helper, Restart::Helper, false, true);
    check(Restart::Off, keep(false), false, false);
}

#[test]
fn the_open_says_what_is_configured() {
    let codes = |options: &PeerOptions, over_ipv6| {
        let open = options.open(over_ipv6, false);
        let codes = open.capabilities.iter().map(Capability::code);
        codes.collect::<Vec<_>>()
    };
    let plain = options(64512, 1);
    assert_eq!(codes(&plain, false), [1, 1, 2, 6, 64, 70, 65]);
    assert_eq!(codes(&plain, true), [1, 1, 2, 5, 6, 64, 70, 65]);
    let off = PeerOptions {
        restart: Restart::Off,
        families: Families::Ipv6,
        role: RoleOption::Is(Role::Customer),
        ..plain
    };
    assert_eq!(codes(&off, true), [1, 2, 6, 9, 70, 65]);
}
