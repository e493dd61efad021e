//! What is resolved of a BGPPeer, field by field.

use super::{Families, Hops, Kind, RouterId, Session, crc32, is_for};
use crate::config::peer::{Password, Peer};
use crate::config::selector::Selectors;
use crate::event::manifest::{custom, facts};
use std::time::Duration;

fn peer(spec: &str) -> Peer {
    let facts = facts(&custom("BGPPeer", "p", &format!("myASN: 64512, {spec}")));
    let peer = facts.config.bgp.peers.get("p");
    peer.unwrap_or_else(|| panic!("{spec}: {:?}", facts.problems()))
        .clone()
}

fn session(spec: &str) -> Session {
    Session::of(&peer(spec), &"node-1".into())
}

#[test]
fn as_numbers_and_the_kind_that_follows() {
    let rows = [
        ("peerASN: 64512", 64512, Kind::Internal),
        ("peerASN: 64513", 64512, Kind::External),
        ("dynamicASN: internal", 64512, Kind::Internal),
        ("dynamicASN: external", 64512, Kind::External),
        ("peerASN: 64513, localASN: 64600", 64600, Kind::External),
        ("peerASN: 64600, localASN: 64600", 64600, Kind::Internal),
        ("peerASN: 64512, localASN: 64600", 64600, Kind::External),
    ];
    for (spec, local, kind) in rows {
        let session = session(&format!("peerAddress: 192.0.2.1, {spec}"));
        assert_eq!((session.local_asn, session.kind), (local, kind), "{spec}");
    }
}

#[test]
fn hops_and_families() {
    let rows = [
        (
            "peerASN: 1, peerAddress: 192.0.2.1",
            Hops::One,
            Families::V4,
        ),
        (
            "peerASN: 1, peerAddress: '2001:db8::1'",
            Hops::One,
            Families::V6,
        ),
        (
            "peerASN: 1, peerAddress: 192.0.2.1, ebgpMultiHop: true",
            Hops::Any,
            Families::V4,
        ),
        (
            "peerASN: 64512, peerAddress: 192.0.2.1",
            Hops::Any,
            Families::V4,
        ),
        ("peerASN: 64512, interface: eth1", Hops::One, Families::Both),
        (
            "dynamicASN: external, interface: eth1",
            Hops::One,
            Families::Both,
        ),
        (
            "peerASN: 1, peerAddress: '2001:db8::1', dualStackAddressFamily: true",
            Hops::One,
            Families::Both,
        ),
        (
            "peerASN: 1, peerAddress: 192.0.2.1, disableMP: true",
            Hops::One,
            Families::V4,
        ),
        (
            "peerASN: 1, peerAddress: 192.0.2.1, disableMP: true, dualStackAddressFamily: true",
            Hops::One,
            Families::Both,
        ),
    ];
    for (spec, hops, families) in rows {
        let session = session(spec);
        assert_eq!((session.hops, session.families), (hops, families), "{spec}");
    }
}

#[test]
fn timers() {
    let s = Duration::from_secs;
    let rows = [
        ("", s(90), s(30)),
        (", holdTime: 9s", s(9), s(3)),
        (", keepaliveTime: 10s", s(30), s(10)),
        (", holdTime: 0s", s(0), s(0)),
        (", holdTime: 20s, keepaliveTime: 5s", s(20), s(5)),
    ];
    for (spec, hold, keepalive) in rows {
        let session = session(&format!("peerASN: 1, peerAddress: 192.0.2.1{spec}"));
        assert_eq!(
            (session.hold, session.keepalive),
            (hold, keepalive),
            "{spec}"
        );
    }
}

#[test]
fn the_rest_as_written() {
    let session = session(
        "peerASN: 1, peerAddress: 192.0.2.1, peerPort: 1179, sourceAddress: 192.0.2.9, vrf: red, \
         connectTime: 10s, routerID: 10.0.0.1, password: secret, enableGracefulRestart: true",
    );
    assert_eq!(session.port, 1179);
    assert_eq!(session.source, Some("192.0.2.9".parse().unwrap()));
    assert_eq!(session.vrf.as_deref(), Some("red"));
    assert_eq!(session.connect_time, Some(Duration::from_secs(10)));
    assert_eq!(
        session.router_id,
        RouterId::Set("10.0.0.1".parse().unwrap())
    );
    assert_eq!(session.password, Password::Text("secret".into()));
    assert!(session.graceful_restart);
}

/// The vectors of `spec/metallb.md` §6.4 and of the algorithm's definition.
#[test]
fn an_identifier_from_the_nodes_name() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let session = session("peerASN: 1, peerAddress: '2001:db8::1'");
    let fallback = "95.28.242.19".parse().unwrap();
    assert_eq!(session.router_id, RouterId::Derived { fallback });
}

#[test]
fn only_a_peer_for_every_node_is_one_of_a_node_nobody_knows() {
    let labels = |rack: &str| [("rack".to_owned(), rack.to_owned())].into();
    let any = peer("peerASN: 1, peerAddress: 192.0.2.1");
    let selecting = |selector: &str| {
        let spec = format!("peerASN: 1, peerAddress: 192.0.2.1, nodeSelectors: [{selector}]");
        peer(&spec)
    };
    let one = selecting("{matchLabels: {rack: one}}");
    let everything = selecting("{}");
    let rows = [
        (&any, Some(labels("one")), true),
        (&any, None, true),
        (&one, Some(labels("one")), true),
        (&one, Some(labels("two")), false),
        (&one, None, false),
        (&everything, Some(labels("two")), true),
    ];
    for (peer, labels, wanted) in rows {
        assert_eq!(
            is_for(peer, labels.as_ref()),
            wanted,
            "{:?} {labels:?}",
            peer.nodes
        );
    }
    assert_ne!(everything.nodes, Selectors::Everything);
}

#[test]
fn in_words() {
    let rows = [
        (
            "peerASN: 64513, peerAddress: 192.0.2.1",
            "eBGP to 192.0.2.1:179, AS 64512 with AS 64513",
        ),
        (
            "dynamicASN: internal, peerAddress: '2001:db8::1', vrf: red",
            "iBGP to [2001:db8::1]:179 in VRF red, AS 64512 with the same AS",
        ),
        (
            "dynamicASN: external, interface: eth1",
            "eBGP over interface eth1, AS 64512 with any other AS",
        ),
    ];
    for (spec, words) in rows {
        assert_eq!(session(spec).to_string(), words);
    }
    let mut waiting = session("peerASN: 64512, peerAddress: 192.0.2.1");
    let secret = "s".to_owned();
    waiting.password = Password::Awaited { secret };
    assert!(
        waiting
            .to_string()
            .ends_with("; waits for its password in Secret s")
    );
}
