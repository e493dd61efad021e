//! Sessions come up, or say why not.

use super::*;
use crate::bgp::Count;

#[test]
fn a_session_comes_up_and_tables_arrive() {
    let mut net = Net::external();
    let both = table(&["192.0.2.1/32", "198.51.100.0/24"]);
    net.peers[A].handle_routes(Arc::clone(&both), net.now);
    net.peers[B].handle_routes(table(&["203.0.113.0/24"]), net.now);
    net.start();
    net.expect_up();
    assert_eq!(
        heard(&net.said[A]).keys().collect::<Vec<_>>(),
        both.keys().collect::<Vec<_>>()
    );
    let a = &net.peers[A];
    assert_eq!(
        (a.announced(), a.pending(), a.received()),
        (2, 0, Count::Exactly(1))
    );
    assert_eq!(net.peers[B].received(), Count::Exactly(2));
    let session = a.session().unwrap();
    let negotiated = session.negotiated;
    assert_eq!((negotiated.peer_asn, negotiated.external), (64513, true));
    assert_eq!(negotiated.hold_time, Duration::from_secs(90));
    assert_eq!(negotiated.keepalive, Duration::from_secs(30));
    assert!(negotiated.four_octet_as && negotiated.route_refresh && negotiated.enhanced_refresh);
    assert!(negotiated.extended_messages && !negotiated.extended_next_hop);
    assert_eq!(session.since, net.now);
    let expected = [
        Notice::SessionUp(Box::new(negotiated.clone())),
        Notice::EndOfRib(Family::Ipv4),
        Notice::EndOfRib(Family::Ipv6),
    ];
    assert_eq!(net.notices[A], expected);
    let sent = a.counters().sent;
    // One UPDATE with both prefixes, two End-of-RIBs.
    assert_eq!(
        (sent.open, sent.update, sent.keepalive, sent.notification),
        (1, 3, 1, 0)
    );
    assert_eq!(net.peers[B].counters().received, sent);
    assert_eq!(a.last_error(), None);
}

#[test]
fn an_internal_session_has_a_local_preference_and_no_path() {
    let b = PeerOptions {
        dial: Dial::Passive,
        ..internal(64512, [10, 0, 0, 2])
    };
    let mut net = Net::new(internal(64512, [10, 0, 0, 1]), b);
    net.peers[A].handle_routes(table(&["192.0.2.1/32"]), net.now);
    net.start();
    net.expect_up();
    let attributes = &heard(&net.said[A])[&prefix("192.0.2.1/32")];
    assert_eq!(attributes.local_pref, Some(100));
    assert_eq!(attributes.as_path, Some(crate::bgp::AsPath::default()));
}

#[test]
fn keepalives_hold_a_session() {
    let mut net = Net::external().up();
    net.seconds(3600);
    net.expect_up();
    let sent = net.peers[A].counters().sent.keepalive;
    assert!((120..=161).contains(&sent), "{sent} in an hour");
}

#[test]
fn a_hold_time_of_zero_has_no_keepalives() {
    let mut net = Net::external();
    net.peers[A] = Peer::new(
        PeerOptions {
            hold_time: Duration::ZERO,
            ..options(64512, [10, 0, 0, 1])
        },
        1,
    );
    let mut net = net.up();
    net.deaf = [true, true];
    net.seconds(86_400);
    net.expect_up();
    assert_eq!(net.peers[A].counters().sent.keepalive, 1);
    assert_eq!(net.peers[A].poll_timeout(), None);
}

#[test]
fn what_does_not_fit_is_said_in_words() {
    let check = |a: PeerOptions, b: PeerOptions, at_b: &str, at_a: &str| {
        let b = PeerOptions {
            dial: Dial::Passive,
            ..b
        };
        let mut net = Net::new(a, b);
        net.start();
        assert_eq!(net.peers[B].counters().established, 0);
        assert_eq!(net.last_error(B), at_b);
        assert_eq!(net.last_error(A), at_a);
    };
    let a = || options(64512, [10, 0, 0, 1]);
    let b = || options(64513, [10, 0, 0, 2]);
    check(
        a(),
        PeerOptions {
            peer_asn: PeerAsn::Number(64999),
            ..b()
        },
        "sent OPEN Message Error/Bad Peer AS (the peer is AS 64512, not 64999)",
        "received OPEN Message Error/Bad Peer AS",
    );
    check(
        PeerOptions {
            families: Families::Ipv4,
            ..a()
        },
        PeerOptions {
            families: Families::Ipv6,
            ..b()
        },
        "sent OPEN Message Error/Unsupported Capability, data 010400020001 \
         (no address family is spoken by both ends)",
        "sent OPEN Message Error/Unsupported Capability, data 010400010001 \
         (no address family is spoken by both ends)",
    );
    check(
        PeerOptions {
            peer_asn: PeerAsn::Internal,
            ..a()
        },
        PeerOptions {
            asn: 64512,
            peer_asn: PeerAsn::Internal,
            identifier: [10, 0, 0, 1].into(),
            ..b()
        },
        "sent OPEN Message Error/Bad BGP Identifier (the peer's BGP identifier 10.0.0.1 can't be its own)",
        "sent OPEN Message Error/Bad BGP Identifier (the peer's BGP identifier 10.0.0.1 can't be its own)",
    );
}

#[test]
fn a_peer_that_is_not_there_is_tried_again_and_again() {
    let mut net = Net::external();
    net.listens = [false; 2];
    net.start();
    assert_eq!(net.last_error(A), "connection refused");
    net.seconds(1800);
    let attempts = net.peers[A].counters().attempts;
    // At once, at once, then 1, 2, 4, 8, 16 and 30 s, with jitter.
    assert!((64..=90).contains(&attempts), "{attempts} in half an hour");
    net.listens = [false, true];
    net.seconds(31);
    net.expect_up();
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_in_time() {
    let mut net = Net::external();
    net.deaf = [false, true];
    net.start();
    net.seconds(31);
    assert_eq!(net.last_error(A), "the peer didn't answer in time");
    assert_eq!(net.peers[A].counters().attempts, 2);
}

#[test]
fn a_passive_peer_waits_for_the_other() {
    let mut net = Net::external();
    net.listens = [false; 2];
    net.peers[B].handle_start(net.now);
    net.settle();
    assert_eq!(
        (net.peers[B].state(), net.peers[B].poll_timeout()),
        (State::Active, None)
    );
    assert_eq!(net.peers[B].counters().attempts, 0);
}

#[test]
fn an_idle_peer_takes_no_connection() {
    let mut peer = Peer::new(options(64512, [10, 0, 0, 1]), 1);
    let now = start();
    assert_eq!(
        peer.handle_accepted(ends("10.0.0.1", "10.0.0.2"), now),
        Err(Refused)
    );
    assert_eq!(peer.poll_output(), None);
}

#[test]
fn delay_open_waits_for_the_peers_open() {
    let delay_open = Duration::from_secs(5);
    let delayed = |who: usize| {
        let mut net = Net::external();
        let old = net.peers[who].options().clone();
        net.peers[who] = Peer::new(PeerOptions { delay_open, ..old }, 1);
        net
    };
    for who in [A, B] {
        let net = delayed(who).up();
        assert!(matches!(net.said[who][0], Received::Open(_)));
    }
    // If both wait, both speak after the delay.
    let mut net = delayed(A);
    let old = net.peers[B].options().clone();
    net.peers[B] = Peer::new(PeerOptions { delay_open, ..old }, 1);
    net.start();
    assert!(net.said[A].is_empty());
    net.seconds(5);
    net.expect_up();
}

#[test]
fn unnumbered_sessions_carry_ipv4_over_link_local_addresses() {
    let mut net = Net::external();
    net.ends = [ends("fe80::1", "fe80::2"), ends("fe80::2", "fe80::1")];
    // The other end of the link needs no IPv4 address, even if this one has one.
    net.ends[A].ipv4 = Some([10, 0, 0, 1].into());
    net.peers[A].handle_routes(table(&["192.0.2.1/32", "2001:db8::1/128"]), net.now);
    net.start();
    net.expect_up();
    assert!(net.peers[A].session().unwrap().negotiated.extended_next_hop);
    let mut seen = 0;
    for said in &net.said[A] {
        if let Received::Update(decoded) = said
            && let Some(crate::bgp::MpReach::Unicast { next_hop, .. }) = &decoded.update.mp_reach
        {
            seen += 1;
            let expected = crate::bgp::MpNextHop::Ipv6("fe80::1".parse().unwrap());
            assert_eq!(*next_hop, expected);
        }
    }
    assert_eq!((seen, net.peers[B].received()), (2, Count::Exactly(2)));
}

#[test]
fn both_families_of_a_dual_stack_session_have_their_next_hop() {
    let mut net = Net::external();
    net.ends[A].ipv6 = Some("2001:db8::1".parse().unwrap());
    net.ends[A].link_local = Some("fe80::1".parse().unwrap());
    net.peers[A].handle_routes(table(&["192.0.2.1/32", "2001:db8::7/128"]), net.now);
    net.start();
    let hops: Vec<_> = net.said[A]
        .iter()
        .filter_map(|said| {
            let Received::Update(decoded) = said else {
                return None;
            };
            match &decoded.update.mp_reach {
                Some(crate::bgp::MpReach::Unicast { next_hop, .. }) => {
                    Some(format!("{next_hop:?}"))
                }
                Some(crate::bgp::MpReach::Other { .. }) | None => {
                    decoded.update.attributes.next_hop.map(|ip| ip.to_string())
                }
            }
        })
        .collect();
    assert_eq!(
        hops,
        ["10.0.0.1", "Ipv6WithLinkLocal(2001:db8::1, fe80::1)"]
    );
}

#[test]
fn ipv4_over_a_numbered_ipv6_session_goes_to_the_interface() {
    let mut net = Net::external();
    net.ends = [
        ends("2001:db8::1", "2001:db8::2"),
        ends("2001:db8::2", "2001:db8::1"),
    ];
    net.ends[A].ipv4 = Some([10, 0, 0, 1].into());
    net.peers[A].handle_routes(table(&["192.0.2.1/32"]), net.now);
    net.start();
    let attributes = &heard(&net.said[A])[&prefix("192.0.2.1/32")];
    assert_eq!(attributes.next_hop, Some([10, 0, 0, 1].into()));
}

#[test]
fn another_configuration_starts_again_at_once() {
    let mut net = Net::external();
    net.peers[A].handle_routes(table(&["192.0.2.1/32"]), net.now);
    net.start();
    let same = net.peers[A].options().clone();
    net.peers[A].handle_options(same.clone(), net.now);
    net.settle();
    assert_eq!(net.peers[A].counters().lost, 0, "the same is no change");
    net.seconds(40);
    let other = PeerOptions {
        hold_time: Duration::from_secs(9),
        ..same
    };
    net.peers[A].handle_options(other.clone(), net.now);
    net.settle();
    assert_eq!(
        net.last_error(B),
        "received Cease/Other Configuration Change"
    );
    net.seconds(1);
    net.expect_up();
    assert_eq!(
        net.peers[A].session().unwrap().negotiated.hold_time,
        other.hold_time
    );
    assert_eq!(net.peers[A].announced(), 1);
    // One that was stopped stays so.
    net.peers[A].handle_stop(&Stop::Deconfigured, net.now);
    net.peers[A].handle_options(PeerOptions { ring: 1, ..other }, net.now);
    net.seconds(100);
    assert_eq!(net.peers[A].state(), State::Idle);
}
