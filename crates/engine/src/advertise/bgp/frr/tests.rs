//! The object as frr-k8s reads it.

use super::{Passwords, idle, name, render};
use crate::advertise::bgp::{Attributes, BgpPeer, BgpTable, Route, Session};
use crate::config::Bgp;
use crate::config::community::Community;
use crate::config::peer::Password;
use crate::event::manifest::{custom, facts};
use crate::flat::FlatSet;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Peers and profiles of `objects`, and a table in which each peer is told `routes`.
fn world(objects: &[String], routes: &[(&str, u32, &[Community])]) -> (Bgp, BgpTable) {
    let facts = facts(&objects.join("\n---\n"));
    assert_eq!(facts.problems(), []);
    let routes: BTreeMap<_, _> = routes
        .iter()
        .map(|(prefix, local_pref, communities)| {
            let attributes = Attributes {
                local_pref: *local_pref,
                communities: communities.iter().copied().collect(),
            };
            let services = FlatSet::new();
            let route = Route {
                attributes,
                services,
            };
            (prefix.parse().unwrap(), route)
        })
        .collect();
    let routes = Arc::new(routes);
    let peers = facts.config.bgp.peers.values().map(|peer| {
        let told = BgpPeer {
            session: Arc::new(Session::of(peer, &"node-1".into())),
            routes: Arc::clone(&routes),
            withheld: Arc::default(),
        };
        (peer.name.clone(), told)
    });
    let table = BgpTable {
        peers: peers.collect(),
        leaving: false,
    };
    (facts.config.bgp.clone(), table)
}

fn peer(name: &str, spec: &str) -> String {
    custom("BGPPeer", name, &format!("myASN: 64512, {spec}"))
}

fn rendered(config: &Bgp, table: &BgpTable, passwords: Passwords) -> Value {
    serde_json::to_value(render(&"node-1".into(), config, table, passwords)).unwrap()
}

#[test]
fn every_field_of_a_peer() {
    let objects = [
        peer(
            "p",
            "peerASN: 64513, localASN: 64600, peerAddress: 192.0.2.1, peerPort: 1179, \
             sourceAddress: 192.0.2.9, holdTime: 10s, connectTime: 7s, routerID: 10.0.0.1, \
             password: secret, bfdProfile: fast, enableGracefulRestart: true, ebgpMultiHop: true, \
             vrf: red, disableMP: true, dualStackAddressFamily: true",
        ),
        custom("BFDProfile", "fast", "receiveInterval: 50, minimumTtl: 10"),
    ];
    let gold = Community::Standard(1, 2);
    let large = Community::Large(1, 2, 3);
    let routes: &[(&str, u32, &[Community])] = &[
        ("192.0.2.0/24", 100, &[gold]),
        ("198.51.100.1/32", 0, &[gold, large]),
    ];
    let (config, table) = world(&objects, routes);
    let spec = rendered(&config, &table, Passwords::Refer);
    let wanted = json!({
        "bgp": {
            "routers": [{
                "asn": 64512,
                "id": "10.0.0.1",
                "vrf": "red",
                "prefixes": ["192.0.2.0/24", "198.51.100.1/32"],
                "neighbors": [{
                    "address": "192.0.2.1",
                    "asn": 64513,
                    "localASN": 64600,
                    "sourceaddress": "192.0.2.9",
                    "port": 1179,
                    "holdTime": "10s",
                    "keepaliveTime": "3333ms",
                    "connectTime": "7s",
                    "password": "secret",
                    "bfdProfile": "fast",
                    "enableGracefulRestart": true,
                    "ebgpMultiHop": true,
                    "dualStackAddressFamily": true,
                    "disableMP": true,
                    "toAdvertise": {
                        "allowed": {"prefixes": ["192.0.2.0/24", "198.51.100.1/32"]},
                        "withLocalPref": [{"localPref": 100, "prefixes": ["192.0.2.0/24"]}],
                        "withCommunity": [
                            {"community": "large:1:2:3", "prefixes": ["198.51.100.1/32"]},
                            {"community": "1:2", "prefixes": ["192.0.2.0/24", "198.51.100.1/32"]},
                        ],
                    },
                }],
            }],
            "bfdProfiles": [{
                "name": "fast",
                "receiveInterval": 50,
                "transmitInterval": 300,
                "detectMultiplier": 3,
                "echoInterval": 50,
                "echoMode": false,
                "passiveMode": false,
                "minimumTtl": 10,
            }],
        },
        "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "node-1"}},
    });
    assert_eq!(spec, wanted);
    assert_eq!(name(&"node-1".into()), "metallb-node-1");
}

#[test]
fn what_is_not_set_is_not_written() {
    let (config, table) = world(&[peer("p", "dynamicASN: external, interface: eth1")], &[]);
    let spec = rendered(&config, &table, Passwords::Refer);
    let router = &spec["bgp"]["routers"][0];
    assert_eq!(
        *router,
        json!({
            "asn": 64512,
            "prefixes": [],
            "neighbors": [{
                "interface": "eth1",
                "dynamicASN": "external",
                "port": 179,
                "enableGracefulRestart": false,
                "ebgpMultiHop": false,
                "dualStackAddressFamily": false,
                "disableMP": false,
                "toAdvertise": {"allowed": {"prefixes": []}},
            }],
        })
    );
    assert_eq!(spec["bgp"].get("bfdProfiles"), None);
}

#[test]
fn routers_by_vrf_number_and_identifier_and_neighbors_by_place() {
    let objects = [
        peer("a", "peerASN: 1, peerAddress: 192.0.2.9"),
        peer("b", "peerASN: 1, peerAddress: 192.0.2.1"),
        peer("c", "peerASN: 1, peerAddress: 192.0.2.1, peerPort: 1000"),
        peer("d", "peerASN: 1, peerAddress: 192.0.2.1, vrf: red"),
        peer(
            "e",
            "peerASN: 1, peerAddress: 192.0.2.5, routerID: 10.0.0.1",
        ),
    ];
    let (config, table) = world(&objects, &[]);
    let spec = render(&"n".into(), &config, &table, Passwords::Refer);
    assert!(!spec.is_idle());
    let routers: Vec<_> = spec
        .bgp
        .routers
        .iter()
        .map(|router| {
            let neighbors = router.neighbors.iter();
            let neighbors: Vec<_> = neighbors
                .map(|n| format!("{}:{}", n.address.unwrap(), n.port))
                .collect();
            (
                router.vrf.as_deref(),
                router.id.is_some(),
                neighbors.join(" "),
            )
        })
        .collect();
    assert_eq!(
        routers,
        [
            (
                None,
                false,
                "192.0.2.1:179 192.0.2.1:1000 192.0.2.9:179".to_owned()
            ),
            (None, true, "192.0.2.5:179".to_owned()),
            (Some("red"), false, "192.0.2.1:179".to_owned()),
        ]
    );
    let nothing = render(&"n".into(), &config, &BgpTable::default(), Passwords::Refer);
    assert!(nothing.is_idle());
    assert_eq!(nothing, idle(&"n".into()));
}

#[test]
fn passwords_by_reference_in_clear_or_not_at_all() {
    let (mut config, table) = world(&[peer("p", "peerASN: 1, peerAddress: 192.0.2.1")], &[]);
    let text = || Password::Text("x".to_owned());
    let awaited = || Password::Awaited {
        secret: "s".to_owned(),
    };
    let by_name = json!({"name": "s"});
    let rows = [
        (Password::None, None, Passwords::Refer, Some((None, None))),
        (text(), None, Passwords::Refer, Some((Some("x"), None))),
        (
            text(),
            Some("s"),
            Passwords::Refer,
            Some((None, Some(&by_name))),
        ),
        (awaited(), Some("s"), Passwords::Refer, None),
        (
            awaited(),
            Some("s"),
            Passwords::Unseen,
            Some((None, Some(&by_name))),
        ),
        (text(), Some("s"), Passwords::Clear, Some((Some("x"), None))),
        (awaited(), Some("s"), Passwords::Clear, None),
    ];
    for (password, secret, how, wanted) in rows {
        let peer = config.peers.get_mut("p").unwrap();
        (peer.password, peer.secret) = (password.clone(), secret.map(str::to_owned));
        let spec = rendered(&config, &table, how);
        let neighbor = &spec["bgp"]["routers"][0]["neighbors"][0];
        let seen = (!neighbor.is_null()).then(|| {
            let password = neighbor.get("password").and_then(Value::as_str);
            (password, neighbor.get("passwordSecret"))
        });
        assert_eq!(seen, wanted, "{password:?} {secret:?} {how:?}");
    }
}
