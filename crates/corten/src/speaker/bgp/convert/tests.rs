use super::{Identifier, Plan, Reach, Watch, table};
use crate::speaker::bfd;
use corten_api::annotation::{PeerRole, PeerWire, Role};
use corten_engine::advertise::bgp::{
    Attributes, BgpPeer, BgpTable, Families, Hops, Kind, Route, RouterId, Session,
};
use corten_engine::config::bfd::BfdProfile;
use corten_engine::config::community::Community;
use corten_engine::config::peer::{Bfd, Password, PeerAsn, Remote};
use corten_engine::flat::FlatSet;
use corten_host::tcp;
use corten_wire::bfd as path;
use corten_wire::bgp as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

fn session() -> Session {
    Session {
        peer: "tor".to_owned(),
        remote: Remote::Address("192.0.2.9".parse().unwrap()),
        port: 1790,
        source: None,
        vrf: None,
        local_asn: 64512,
        remote_asn: PeerAsn::Number(64513),
        kind: Kind::External,
        hops: Hops::One,
        hold: Duration::from_secs(9),
        keepalive: Duration::from_secs(3),
        connect_time: None,
        router_id: RouterId::Derived {
            fallback: Ipv4Addr::new(1, 2, 3, 4),
        },
        password: Password::None,
        bfd: Bfd::Off,
        graceful_restart: false,
        families: Families::V4,
        wire: PeerWire::default(),
        held: None,
    }
}

fn plan(session: Session) -> Plan {
    let peer = BgpPeer {
        session: Arc::new(session),
        routes: Arc::default(),
        withheld: Arc::default(),
    };
    let peers = BTreeMap::from([("tor".to_owned(), peer)]);
    table(&BgpTable {
        peers,
        leaving: false,
    })
    .peers
    .remove("tor")
    .unwrap()
    .plan
}

fn spoken(session: Session) -> super::Session {
    match plan(session) {
        Plan::Speak(session) => *session,
        Plan::Wait(why) => panic!("{why}"),
    }
}

#[test]
fn a_session_is_carried_over_whole() {
    let unnumbered = spoken(Session {
        remote: Remote::Interface("eth9".to_owned()),
        ..session()
    });
    assert_eq!(unnumbered.interface.as_deref(), Some("eth9"));
    let plain = spoken(session());
    assert_eq!(plain.interface, None);
    assert_eq!(plain.target.remote, "192.0.2.9:1790".parse().unwrap());
    assert_eq!(plain.target.hops, tcp::Hops::ONE);
    assert_eq!(plain.target.auth, tcp::Auth::None);
    let fallback = Ipv4Addr::new(1, 2, 3, 4);
    assert_eq!(plain.identifier, Identifier::Local { fallback });
    let wanted = wire::PeerOptions {
        asn: 64512,
        peer_asn: wire::PeerAsn::Number(64513),
        families: wire::Families::Ipv4,
        hold_time: Duration::from_secs(9),
        keepalive: Duration::from_secs(3),
        ..wire::PeerOptions::default()
    };
    assert_eq!(plain.options, wanted);

    let other = spoken(Session {
        source: Some("192.0.2.1".parse().unwrap()),
        vrf: Some("red".to_owned()),
        remote_asn: PeerAsn::Internal,
        hops: Hops::Any,
        connect_time: Some(Duration::from_secs(7)),
        router_id: RouterId::Set(Ipv4Addr::new(9, 9, 9, 9)),
        password: Password::Text("secret".to_owned()),
        graceful_restart: true,
        families: Families::Both,
        ..session()
    });
    assert_eq!(other.target.source, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(other.target.device.as_deref(), Some("red"));
    assert_eq!(other.target.hops, tcp::Hops::ANY);
    let key = tcp::Key::new("secret").unwrap();
    assert_eq!(other.target.auth, tcp::Auth::Md5(key));
    assert_eq!(other.identifier, Identifier::Is(Ipv4Addr::new(9, 9, 9, 9)));
    assert_eq!(other.options.peer_asn, wire::PeerAsn::Internal);
    assert_eq!(other.options.connect_retry, Duration::from_secs(7));
    assert_eq!(other.options.families, wire::Families::Both);
    assert!(matches!(other.options.restart, wire::Restart::Keep { .. }));
}

#[test]
fn what_cannot_be_spoken_to_waits_with_a_reason() {
    let awaited = Session {
        password: Password::Awaited {
            secret: "tor-password".to_owned(),
        },
        ..session()
    };
    let long = Session {
        password: Password::Text("x".repeat(81)),
        ..session()
    };
    for (session, word) in [(awaited, "tor-password"), (long, "80 bytes")] {
        match plan(session) {
            Plan::Wait(why) => assert!(why.contains(word), "{why}"),
            Plan::Speak(session) => panic!("{session:?}"),
        }
    }
}

#[test]
fn routes_are_shared_as_they_are_in_the_engine() {
    let route = |local_pref, communities: &[Community]| Route {
        attributes: Attributes {
            local_pref,
            communities: communities.iter().copied().collect(),
        },
        services: FlatSet::new(),
    };
    let communities = [Community::Standard(64512, 7), Community::Large(1, 2, 3)];
    let routes = Arc::new(BTreeMap::from([
        ("192.0.2.1/32".parse().unwrap(), route(0, &[])),
        ("192.0.2.2/32".parse().unwrap(), route(0, &[])),
        ("2001:db8::/64".parse().unwrap(), route(150, &communities)),
    ]));
    let peer = BgpPeer {
        session: Arc::new(session()),
        routes,
        withheld: Arc::default(),
    };
    let peers = ["a", "b"].map(|name| (name.to_owned(), peer.clone()));
    let table = table(&BgpTable {
        peers: BTreeMap::from(peers),
        leaving: true,
    });
    assert!(table.leaving);
    let [a, b] = ["a", "b"].map(|name| Arc::clone(&table.peers[name].routes));
    assert!(Arc::ptr_eq(&a, &b));
    let plain = wire::Path::default();
    let marked = wire::Path {
        local_pref: Some(150),
        communities: BTreeSet::from([wire::Community::new(64512, 7)]),
        large_communities: BTreeSet::from([wire::LargeCommunity {
            global: 1,
            local1: 2,
            local2: 3,
        }]),
        ..wire::Path::default()
    };
    let paths: Vec<_> = a.values().map(|path| (**path).clone()).collect();
    assert_eq!(paths, [plain.clone(), plain, marked]);
    let mut paths = a.values();
    assert!(Arc::ptr_eq(paths.next().unwrap(), paths.next().unwrap()));
}

#[test]
fn a_profile_is_carried_over_whole() {
    let profile = BfdProfile {
        receive_interval: Duration::from_millis(60),
        transmit_interval: Duration::from_millis(50),
        detect_multiplier: 5,
        echo_interval: Duration::from_millis(40),
        echo_mode: true,
        passive_mode: true,
        minimum_ttl: 250,
    };
    let settings = bfd::Settings {
        timers: path::Timers {
            desired_min_tx: Duration::from_millis(50),
            required_min_rx: Duration::from_millis(60),
            detect_multiplier: 5,
        },
        role: path::Role::Passive,
        minimum_ttl: 250,
        echo: bfd::Echo::Off,
    };
    let check = |hops, kind, reach| {
        let bfd = Bfd::On {
            name: "fast".to_owned(),
            profile: profile.clone(),
        };
        let session = Session {
            bfd,
            hops,
            kind,
            ..session()
        };
        let want = Watch::Bfd {
            settings,
            reach,
            echo: Some(Duration::from_millis(40)),
        };
        assert_eq!(spoken(session).watch, want, "{hops:?} {kind:?}");
    };
    check(Hops::One, Kind::External, Reach::One);
    check(Hops::One, Kind::Internal, Reach::One);
    check(Hops::Any, Kind::External, Reach::Several);
    check(Hops::Any, Kind::Internal, Reach::AsItLies);
    assert_eq!(spoken(session()).watch, Watch::Off);
}

#[test]
fn annotations_are_carried_over() {
    let role = |strict| {
        let role = Role::Customer;
        Some(PeerRole { role, strict })
    };
    let tuned = |kind, strict| {
        spoken(Session {
            kind,
            wire: PeerWire {
                ttl_security: Some(2),
                role: role(strict),
                dscp: Some(8),
                graceful_shutdown: Some(Duration::from_secs(7)),
                listen: Some(1790),
                mss: Some(1200),
                user_timeout: Some(Duration::from_secs(20)),
            },
            ..session()
        })
    };
    let external = tuned(Kind::External, false);
    assert_eq!(external.target.hops, tcp::Hops::within(2));
    assert_eq!(external.target.dscp, 8);
    assert_eq!(external.target.mss, Some(1200));
    assert_eq!(external.target.user_timeout, Some(Duration::from_secs(20)));
    let plain = spoken(session()).target;
    assert_eq!((plain.mss, plain.user_timeout), (None, None));
    assert_eq!(external.listen, Some(1790));
    assert_eq!(external.options.dial, wire::Dial::Passive);
    assert_eq!(spoken(session()).options.dial, wire::Dial::Active);
    assert_eq!(external.farewell, Duration::from_secs(7));
    assert_eq!(spoken(session()).farewell, Duration::from_secs(5));
    let customer = wire::Role::Customer;
    assert_eq!(external.options.role, wire::RoleOption::Is(customer));
    let strict = tuned(Kind::External, true);
    assert_eq!(strict.options.role, wire::RoleOption::Strict(customer));
    let internal = tuned(Kind::Internal, true);
    assert_eq!(internal.options.role, wire::RoleOption::None);
    assert_eq!(spoken(session()).target.dscp, tcp::CS6);
}
