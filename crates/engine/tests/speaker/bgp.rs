//! Which nodes announce over BGP, to which peers and with what, and why not (`spec/metallb.md` §6),
//! row by row; and what of it gets into the table.

use crate::world::{
    Station, add_node, add_pool, add_service, apps, empty, hosts, ingress, ip, key, label, members,
    node, only, reject, service, set_endpoints, usual, web,
};
use corten_api::annotation::{HoldDown, PeerWire};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::advertise::bgp::{Attributes, BgpTable, Reason, Verdict};
use corten_engine::config::Filter;
use corten_engine::config::bgp::BgpAdvertisement;
use corten_engine::config::community::Community;
use corten_engine::config::frr::{Frr, Holding};
use corten_engine::config::peer::{Bfd, Password, Peer, PeerAsn, Remote, Timers};
use corten_engine::config::selector::Selectors;
use corten_engine::explain::{Allocation, explain};
use corten_engine::facts::{Changes, Class, Endpoint, Endpoints, Facts, Ingress, TrafficPolicy};
use corten_engine::membership::Membership;
use corten_engine::rejection::Kind;
use corten_engine::speaker::{BgpDriver, Input, Protocol, Speaker, SpeakerOptions};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn bgp_ad(name: &str) -> BgpAdvertisement {
    BgpAdvertisement {
        name: name.to_owned(),
        pools: Filter::Any,
        by_label: false,
        nodes: Selectors::Everything,
        services: Selectors::Everything,
        peers: Filter::Any,
        aggregation_v4: 32,
        aggregation_v6: 128,
        local_pref: 0,
        communities: [].into(),
        hold_down: HoldDown::Off,
    }
}

pub(crate) fn add_bgp_ad(facts: &mut Facts, ad: BgpAdvertisement) {
    facts.config.bgp.advertisements.insert(ad.name.clone(), ad);
}

pub(crate) fn peer(name: &str, address: &str) -> Peer {
    Peer {
        name: name.to_owned(),
        my_asn: 64512,
        peer_asn: PeerAsn::Number(64513),
        local_asn: None,
        remote: Remote::Address(ip(address)),
        source: None,
        port: 179,
        timers: Timers::Default,
        connect_time: None,
        router_id: None,
        nodes: Selectors::Everything,
        password: Password::None,
        secret: None,
        bfd: Bfd::Off,
        graceful_restart: false,
        multihop: false,
        vrf: None,
        disable_mp: false,
        dual_stack: false,
        wire: PeerWire::default(),
    }
}

pub(crate) fn add_peer(facts: &mut Facts, peer: Peer) {
    facts.config.bgp.peers.insert(peer.name.clone(), peer);
}

/// The usual world, announced over BGP to one IPv4 peer of every node.
fn routed() -> Facts {
    let mut facts = usual();
    add_bgp_ad(&mut facts, bgp_ad("bgp"));
    add_peer(&mut facts, peer("tor", "198.51.100.254"));
    facts
}

fn the_bgp_ad(facts: &mut Facts) -> &mut BgpAdvertisement {
    facts.config.bgp.advertisements.get_mut("bgp").unwrap()
}

fn the_peer(facts: &mut Facts) -> &mut Peer {
    facts.config.bgp.peers.get_mut("tor").unwrap()
}

const OFF: Membership = Membership::Disabled;
const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// What a row says of a node: it announces, or the tag of its reason.
fn told(facts: &Facts, on: &str) -> String {
    let station = Station::on("node-a", facts, &OFF);
    let decision = station.speaker.bgp_decision(facts, &key("web"));
    match decision.verdict(&on.into()) {
        Verdict::Announce(_) => "announce".to_owned(),
        Verdict::Withhold(reason) => {
            let reason = serde_json::to_value(reason).unwrap();
            reason["reason"].as_str().unwrap().to_owned()
        }
    }
}

type Row = (&'static str, fn(&mut Facts), [&'static str; 3]);

/// Checks the verdicts of the three nodes, and that each one's table holds them.
fn check_rows(rows: &[Row]) {
    for (name, change, wanted) in rows {
        let mut facts = routed();
        change(&mut facts);
        assert_eq!(NODES.map(|on| told(&facts, on)), *wanted, "{name}");
        for (on, wanted) in NODES.iter().zip(wanted) {
            let station = Station::on(on, &facts, &OFF);
            let routes = station.speaker.bgp_table();
            let routes = routes.peers.values().any(|p| !p.routes.is_empty());
            assert_eq!(routes, *wanted == "announce", "{name}: the table of {on}");
        }
    }
}

#[test]
fn what_no_node_announces() {
    check_rows(&[
        (
            "usual: every node, without election",
            |_| {},
            ["announce"; 3],
        ),
        (
            "not listed",
            |f| f.listed.retain(|k| *k != Kind::BGPPeer),
            ["notReady"; 3],
        ),
        ("no Service", |f| f.services.clear(), ["noSuchService"; 3]),
        (
            "ClusterIP",
            |f| web(f).is_load_balancer = false,
            ["notLoadBalancer"; 3],
        ),
        (
            "class",
            |f| web(f).class = Class::Named("x.example/lb".into()),
            ["otherClass"; 3],
        ),
        (
            "pending",
            |f| web(f).ingress = Ingress::Empty,
            ["noAllocation"; 3],
        ),
        (
            "host name",
            |f| web(f).ingress = Ingress::Unreadable("lb.example".into()),
            ["invalidAddress"; 3],
        ),
        (
            "elsewhere",
            |f| web(f).ingress = ingress(&["203.0.113.1"]),
            ["notInPool"; 3],
        ),
        (
            "in no known pool",
            |f| {
                f.config.pools.clear();
                reject(f, &["other"]);
                the_bgp_ad(f).pools = only(&["pool"]);
            },
            ["poolUnknown"; 3],
        ),
    ]);
}

#[test]
fn what_no_node_announces_for_want_of_advertisements_endpoints_or_peers() {
    check_rows(&[
        (
            "no advertisement",
            |f| f.config.bgp.advertisements.clear(),
            ["noAdvertisement"; 3],
        ),
        (
            "for another pool",
            |f| the_bgp_ad(f).pools = only(&["other"]),
            ["noAdvertisement"; 3],
        ),
        (
            "for no pool",
            |f| the_bgp_ad(f).pools = only(&[]),
            ["noAdvertisement"; 3],
        ),
        (
            "for other Services",
            |f| the_bgp_ad(f).services = apps(&["db"]),
            ["noMatchingServiceSelector"; 3],
        ),
        (
            "no endpoint",
            |f| f.endpoints.clear(),
            ["noServingEndpoint"; 3],
        ),
        (
            "nothing serving",
            |f| set_endpoints(f, &key("web"), &[(Some("node-a"), false)]),
            ["noServingEndpoint"; 3],
        ),
        ("no peer", |f| f.config.bgp.peers.clear(), ["noPeer"; 3]),
        (
            "no peer listed",
            |f| the_bgp_ad(f).peers = only(&["dummy"]),
            ["peerNotListed"; 3],
        ),
        (
            "an empty list of peers isn't everyone",
            |f| the_bgp_ad(f).peers = only(&[]),
            ["peerNotListed"; 3],
        ),
        (
            "a family no session carries",
            |f| web(f).ingress = ingress(&["2001:db8::1"]),
            ["familyNotCarried"; 3],
        ),
    ]);
}

#[test]
fn what_one_node_announces_and_another_does_not() {
    let (yes, none) = ("announce", "noMatchingNodeSelector");
    check_rows(&[
        (
            "node selector of the advertisement",
            |f| the_bgp_ad(f).nodes = hosts(&["node-a", "node-c"]),
            [yes, none, yes],
        ),
        (
            "a selector list that matches nobody isn't everyone",
            |f| the_bgp_ad(f).nodes = Selectors::AnyOf(Vec::new()),
            [none; 3],
        ),
        (
            "one advertisement for the node, another for the Service",
            |f| {
                the_bgp_ad(f).nodes = hosts(&["node-a"]);
                let mut other = bgp_ad("other");
                other.services = apps(&["db"]);
                add_bgp_ad(f, other);
            },
            [
                yes,
                "noMatchingServiceSelector",
                "noMatchingServiceSelector",
            ],
        ),
        (
            "node selector of the peer",
            |f| the_peer(f).nodes = hosts(&["node-b"]),
            ["noPeer", yes, "noPeer"],
        ),
        (
            "no Node object",
            |f| drop(f.nodes.remove(&"node-b".into())),
            [yes, "unknownNode", yes],
        ),
        (
            "NetworkUnavailable",
            |f| node(f, "node-b").network_unavailable = true,
            [yes, "networkUnavailable", yes],
        ),
        (
            "exclude label",
            |f| {
                let labels = &mut node(f, "node-a").labels;
                labels.insert(EXCLUDE_FROM_LB.into(), String::new());
            },
            ["nodeExcluded", yes, yes],
        ),
        (
            "out of service",
            |f| node(f, "node-b").out_of_service = true,
            [yes, "nodeOutOfService", yes],
        ),
    ]);
}

#[test]
fn endpoints_on_the_node() {
    let yes = "announce";
    check_rows(&[
        (
            "Local: nodes with a serving endpoint",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                let on = [
                    (Some("node-a"), true),
                    (Some("node-b"), false),
                    (None, true),
                ];
                set_endpoints(f, &key("web"), &on);
            },
            [yes, "noLocalEndpoint", "noLocalEndpoint"],
        ),
        (
            "Local without any endpoint",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                f.endpoints.clear();
            },
            ["noLocalEndpoint"; 3],
        ),
        (
            "an endpoint without address doesn't count",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                let endpoint = |node: &str, has_address| Endpoint {
                    node: Some(node.into()),
                    serving: true,
                    has_address,
                };
                let endpoints = vec![endpoint("node-a", false), endpoint("node-b", true)];
                let slices = [("slice".into(), endpoints.into())].into();
                f.endpoints.insert(key("web"), Endpoints { slices });
            },
            ["noLocalEndpoint", yes, "noLocalEndpoint"],
        ),
        (
            "Cluster: any node, wherever the endpoint is",
            |f| set_endpoints(f, &key("web"), &[(None, true)]),
            [yes; 3],
        ),
        (
            "another Service on the address doesn't matter",
            |f| {
                add_service(f, service("other", &["192.168.1.240"]));
                f.endpoints.remove(&key("other"));
            },
            [yes; 3],
        ),
    ]);
}

/// The first cause in the order of §6.3 is the one told.
#[test]
fn causes_in_their_order() {
    let mut facts = routed();
    facts.config.bgp.peers.clear();
    facts.endpoints.clear();
    let labels = &mut node(&mut facts, "node-a").labels;
    labels.insert(EXCLUDE_FROM_LB.into(), String::new());
    node(&mut facts, "node-a").network_unavailable = true;
    let mut other = bgp_ad("other");
    other.local_pref = 7;
    add_bgp_ad(&mut facts, other);
    the_bgp_ad(&mut facts).nodes = hosts(&["node-b"]);
    let mut seen = Vec::new();
    let mut next = |facts: &Facts| seen.push(told(facts, "node-a"));
    let other = |f: &mut Facts| {
        let other = f.config.bgp.advertisements.get_mut("other");
        std::mem::replace(other.unwrap(), bgp_ad("other"))
    };
    facts
        .config
        .bgp
        .advertisements
        .get_mut("other")
        .unwrap()
        .nodes = hosts(&["node-b"]);
    next(&facts);
    facts
        .config
        .bgp
        .advertisements
        .get_mut("other")
        .unwrap()
        .services = apps(&["db"]);
    the_bgp_ad(&mut facts).services = apps(&["db"]);
    the_bgp_ad(&mut facts).nodes = Selectors::Everything;
    next(&facts);
    the_bgp_ad(&mut facts).services = Selectors::Everything;
    let local_pref = other(&mut facts).local_pref;
    facts
        .config
        .bgp
        .advertisements
        .get_mut("other")
        .unwrap()
        .local_pref = local_pref;
    next(&facts);
    other(&mut facts);
    next(&facts);
    node(&mut facts, "node-a").network_unavailable = false;
    next(&facts);
    node(&mut facts, "node-a").labels.remove(EXCLUDE_FROM_LB);
    next(&facts);
    set_endpoints(&mut facts, &key("web"), &[(Some("node-a"), true)]);
    next(&facts);
    add_peer(&mut facts, peer("tor", "198.51.100.254"));
    next(&facts);
    assert_eq!(
        seen,
        [
            "noMatchingNodeSelector",
            "noMatchingServiceSelector",
            "conflictingAdvertisements",
            "networkUnavailable",
            "nodeExcluded",
            "noServingEndpoint",
            "noPeer",
            "announce",
        ]
    );
}

/// The rule of §2.4, for the advertisements of one Service on one node.
#[test]
fn two_local_prefs_for_one_prefix() {
    type Change = fn(&mut Facts, &mut BgpAdvertisement);
    let rows: &[(&str, Change, &str)] = &[
        ("as they are", |_, _| {}, "conflictingAdvertisements"),
        ("the same", |_, two| two.local_pref = 100, "announce"),
        (
            "no common peer",
            |f, two| {
                the_bgp_ad(f).peers = only(&["tor"]);
                two.peers = only(&["other"]);
            },
            "announce",
        ),
        (
            "every peer is a common one",
            |f, two| {
                the_bgp_ad(f).peers = only(&["tor"]);
                two.peers = Filter::Any;
            },
            "conflictingAdvertisements",
        ),
        (
            "one length of a dual-stack pool is the same",
            |_, two| two.aggregation_v4 = 24,
            "conflictingAdvertisements",
        ),
        (
            "both lengths differ",
            |_, two| {
                two.aggregation_v4 = 24;
                two.aggregation_v6 = 64;
            },
            "announce",
        ),
        (
            "a pool of IPv4 only",
            |f, two| {
                f.config.pools.clear();
                add_pool(f, "pool", &["192.168.1.0/24"]);
                two.aggregation_v4 = 24;
            },
            "announce",
        ),
        (
            "on other nodes",
            |_, two| two.nodes = hosts(&["node-b"]),
            "announce",
        ),
        (
            "for other Services",
            |_, two| two.services = apps(&["db"]),
            "announce",
        ),
        (
            "that select the Service",
            |f, two| {
                the_bgp_ad(f).services = apps(&["web"]);
                two.services = apps(&["web"]);
            },
            "conflictingAdvertisements",
        ),
    ];
    for (name, change, wanted) in rows {
        let mut facts = routed();
        the_bgp_ad(&mut facts).local_pref = 100;
        let mut two = bgp_ad("two");
        two.local_pref = 200;
        change(&mut facts, &mut two);
        add_bgp_ad(&mut facts, two);
        assert_eq!(told(&facts, "node-a"), *wanted, "{name}");
    }
}

/// `peer prefix localPref communities` of every route of a table, and what is withheld.
fn lines(table: &BgpTable) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, peer) in &table.peers {
        lines.extend(peer.routes.iter().map(|(prefix, route)| {
            let Attributes {
                local_pref,
                communities,
            } = &route.attributes;
            let communities: Vec<_> = communities.iter().map(ToString::to_string).collect();
            format!("{name} {prefix} {local_pref} [{}]", communities.join(" "))
        }));
        let withheld = peer.withheld.iter();
        lines.extend(withheld.map(|(prefix, reason)| format!("{name} {prefix}: {reason}")));
    }
    lines
}

fn check_table(row: &str, facts: &Facts, wanted: &[&str]) {
    let station = Station::on("node-a", facts, &OFF);
    let table = station.speaker.bgp_table();
    assert_eq!(lines(&table), wanted, "{row}");
    assert_eq!(station.bgp_tables.last(), Some(&table), "{row}");
    // What is explained is what is in the table.
    for told in station
        .speaker
        .bgp_decision(facts, &key("web"))
        .told(&"node-a".into())
    {
        let Some(peer) = table.peers.get(told.peer) else {
            assert!(told.outcome.is_err(), "{row}: {told:?}");
            continue;
        };
        let route = peer.routes.get(&told.prefix).map(|r| r.attributes.clone());
        assert_eq!(route, told.outcome.clone().ok(), "{row}");
        assert_eq!(
            peer.withheld.get(&told.prefix),
            told.outcome.err().as_ref(),
            "{row}"
        );
    }
}

#[test]
fn prefixes_and_attributes() {
    let mut facts = routed();
    check_table("alone", &facts, &["tor 192.168.1.240/32 0 []"]);
    the_bgp_ad(&mut facts).aggregation_v4 = 24;
    the_bgp_ad(&mut facts).local_pref = 150;
    the_bgp_ad(&mut facts).communities = [
        Community::Large(1, 2, 3),
        Community::Standard(65535, 1),
        Community::Standard(1, 1),
    ]
    .into();
    check_table(
        "aggregated, communities by value",
        &facts,
        &["tor 192.168.1.0/24 150 [large:1:2:3 1:1 65535:1]"],
    );
    let mut other = bgp_ad("other");
    other.aggregation_v4 = 24;
    other.local_pref = 150;
    other.communities = [Community::Standard(7, 7)].into();
    add_bgp_ad(&mut facts, other);
    check_table(
        "two advertisements for one prefix",
        &facts,
        &["tor 192.168.1.0/24 150 [large:1:2:3 1:1 7:7 65535:1]"],
    );
    let other = facts.config.bgp.advertisements.get_mut("other").unwrap();
    other.aggregation_v4 = 28;
    other.aggregation_v6 = 64;
    other.local_pref = 10;
    check_table(
        "two prefixes of one address",
        &facts,
        &[
            "tor 192.168.1.0/24 150 [large:1:2:3 1:1 65535:1]",
            "tor 192.168.1.240/28 10 [7:7]",
        ],
    );
}

#[test]
fn who_is_told_what() {
    let mut facts = routed();
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::1"]);
    add_peer(&mut facts, peer("six", "2001:db8:1::1"));
    let mut both = peer("both", "2001:db8:1::2");
    both.dual_stack = true;
    add_peer(&mut facts, both);
    let mut link = peer("link", "192.0.2.1");
    link.remote = Remote::Interface("eth1".into());
    add_peer(&mut facts, link);
    let mut far = peer("far", "192.0.2.7");
    far.nodes = hosts(&["node-c"]);
    add_peer(&mut facts, far);
    check_table(
        "by family",
        &facts,
        &[
            "both 192.168.1.240/32 0 []",
            "both 2001:db8::1/128 0 []",
            "link 192.168.1.240/32 0 []",
            "link 2001:db8::1/128 0 []",
            "six 2001:db8::1/128 0 []",
            "six 192.168.1.240/32: the session with the peer doesn't carry IPv4",
            "tor 192.168.1.240/32 0 []",
            "tor 2001:db8::1/128: the session with the peer doesn't carry IPv6",
        ],
    );
    the_bgp_ad(&mut facts).peers = only(&["both", "unknown"]);
    let mut marked = bgp_ad("marked");
    marked.peers = only(&["both", "six"]);
    marked.communities = [Community::Standard(1, 2)].into();
    add_bgp_ad(&mut facts, marked);
    let unlisted = "the peer isn't in the list of BGPAdvertisement bgp and marked";
    check_table(
        "by the lists of peers",
        &facts,
        &[
            "both 192.168.1.240/32 0 [1:2]",
            "both 2001:db8::1/128 0 [1:2]",
            &format!("link 192.168.1.240/32: {unlisted}"),
            &format!("link 2001:db8::1/128: {unlisted}"),
            "six 2001:db8::1/128 0 [1:2]",
            "six 192.168.1.240/32: the session with the peer doesn't carry IPv4",
            &format!("tor 192.168.1.240/32: {unlisted}"),
            "tor 2001:db8::1/128: the session with the peer doesn't carry IPv6",
        ],
    );
    let station = Station::on("node-a", &facts, &OFF);
    let peers: Vec<_> = station.speaker.bgp_peers(&key("web")).into_iter().collect();
    assert_eq!(peers, ["both", "six"]);
    assert_eq!(station.speaker.bgp_peers(&key("none")).len(), 0);
}

#[test]
fn an_aggregate_stays_as_long_as_a_service_is_in_it() {
    let mut facts = routed();
    the_bgp_ad(&mut facts).aggregation_v4 = 24;
    add_service(&mut facts, service("db", &["192.168.1.7"]));
    let mut station = Station::on("node-a", &facts, &OFF);
    let services = |station: &Station| {
        let table = station.speaker.bgp_table();
        let route = table.peers["tor"].routes.values().next();
        route.map_or(0, |route| route.services.len())
    };
    assert_eq!(services(&station), 2);
    facts.endpoints.remove(&key("web"));
    station.service_changed(&facts, "web");
    assert_eq!(services(&station), 1);
    // It is credited with whoever hears of the aggregate only while it announces itself.
    assert_eq!(station.speaker.bgp_peers(&key("db")), ["tor"].into());
    assert_eq!(station.speaker.bgp_peers(&key("web")), [].into());
    facts.services.remove(&key("db"));
    station.service_changed(&facts, "db");
    assert_eq!(services(&station), 0);
}

#[test]
fn services_that_share_an_address_add_up() {
    let mut facts = routed();
    the_bgp_ad(&mut facts).services = apps(&["web"]);
    the_bgp_ad(&mut facts).local_pref = 100;
    the_bgp_ad(&mut facts).communities = [Community::Standard(1, 1)].into();
    let mut other = bgp_ad("db");
    other.services = apps(&["db"]);
    other.local_pref = 200;
    other.communities = [Community::Standard(2, 2)].into();
    add_bgp_ad(&mut facts, other);
    add_service(&mut facts, service("db", &["192.168.1.240"]));
    let mut station = Station::on("node-a", &facts, &OFF);
    assert_eq!(
        lines(station.bgp_tables.last().unwrap()),
        ["tor 192.168.1.240/32 200 [1:1 2:2]"]
    );
    facts.endpoints.remove(&key("db"));
    station.service_changed(&facts, "db");
    assert_eq!(
        lines(station.bgp_tables.last().unwrap()),
        ["tor 192.168.1.240/32 100 [1:1]"]
    );
}

#[test]
fn the_table_goes_out_whole_once_and_only_when_it_changed() {
    let mut facts = routed();
    let mut station = Station::deaf("node-a");
    // Neither who is alive nor which interfaces there are matters.
    station.service_changed(&facts, "web");
    assert_eq!(station.bgp_tables.len(), 1);
    assert_eq!(station.tables.len(), 0);
    station.tell(&facts, Input::Membership(members(&[])));
    station.tell(&facts, Input::Links([].into()));
    station.all_changed(&facts);
    assert_eq!(station.bgp_tables.len(), 1);
    // A change of routes leaves the session alone, and peers that are told the same share a map.
    add_peer(&mut facts, peer("two", "198.51.100.253"));
    station.all_changed(&facts);
    let before = station.bgp_tables.last().unwrap().clone();
    web(&mut facts).ingress = ingress(&["192.168.1.241"]);
    station.service_changed(&facts, "web");
    assert_eq!(station.bgp_tables.len(), 3);
    let after = station.bgp_tables.last().unwrap();
    assert_eq!(before.peers["tor"].session, after.peers["tor"].session);
    let shared = |t: &BgpTable| std::ptr::eq(&*t.peers["tor"].routes, &*t.peers["two"].routes);
    assert!(shared(after));
    assert_eq!(
        lines(after),
        ["tor 192.168.1.241/32 0 []", "two 192.168.1.241/32 0 []"]
    );
    // A peer that changed is another session with the same routes.
    the_peer(&mut facts).port = 1179;
    station.all_changed(&facts);
    let changed = station.bgp_tables.last().unwrap();
    assert_eq!(changed.peers["tor"].session.port, 1179);
    assert_eq!(changed.peers["tor"].routes.len(), 1);
    // Nothing configured is a table without peers, told once.
    facts.config.bgp = corten_engine::config::Bgp::default();
    station.all_changed(&facts);
    station.all_changed(&facts);
    assert_eq!(station.bgp_tables.len(), 5);
    assert_eq!(station.bgp_tables.last(), Some(&BgpTable::default()));
    assert_eq!(
        station.speaker.bgp_verdicts().count(),
        0,
        "nothing is remembered"
    );
}

#[test]
fn no_table_before_everything_is_known_and_secrets_are_not_waited_for() {
    let mut facts = routed();
    let needed: Vec<_> = Kind::ALL.into_iter().collect();
    for missing in needed {
        facts.listed = Kind::ALL.into();
        facts.listed.remove(&missing);
        let waits = !matches!(missing, Kind::L2Advertisement | Kind::Secret);
        let station = Station::on("node-a", &facts, &OFF);
        assert_eq!(station.bgp_tables.is_empty(), waits, "without {missing}");
    }
}

#[test]
fn an_address_that_lost_its_pool_is_announced_on() {
    let mut facts = routed();
    the_bgp_ad(&mut facts).pools = only(&["pool"]);
    let mut station = Station::on("node-a", &facts, &OFF);
    let gone = facts.config.pools.remove(&"pool".into()).unwrap();
    station.all_changed(&facts);
    assert_eq!(
        lines(&station.speaker.bgp_table()),
        ["tor 192.168.1.240/32 0 []"]
    );
    reject(&mut facts, &["pool"]);
    station.all_changed(&facts);
    assert_eq!(
        lines(&station.speaker.bgp_table()),
        ["tor 192.168.1.240/32 0 []"]
    );
    // A newcomer on the address of no pool isn't.
    facts.config.coverage = corten_engine::config::Coverage::Complete;
    add_service(&mut facts, service("new", &["192.168.1.9"]));
    station.all_changed(&facts);
    assert_eq!(
        lines(&station.speaker.bgp_table()),
        ["tor 192.168.1.240/32 0 []"]
    );
    // Without the advertisement it is withdrawn, and a pool that is back is as before.
    let ad = facts.config.bgp.advertisements.remove("bgp").unwrap();
    station.all_changed(&facts);
    assert_eq!(lines(&station.speaker.bgp_table()), [""; 0]);
    add_bgp_ad(&mut facts, ad);
    facts.config.pools.insert("pool".into(), gone);
    station.all_changed(&facts);
    assert_eq!(station.speaker.bgp_table().peers["tor"].routes.len(), 2);
}

#[test]
fn events_and_the_gauge_only_where_bgp_is_spoken() {
    let mut facts = routed();
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::1"]);
    facts.config.l2.clear();
    let mut station = Station::on("node-a", &facts, &OFF);
    let gauge: Vec<_> = station.speaker.announced().collect();
    assert_eq!(gauge, [(&key("web"), Protocol::Bgp, ip("192.168.1.240"))]);
    let messages: Vec<_> = station.events.drain(..).map(|e| e.message).collect();
    assert_eq!(
        messages,
        ["announcing from node \"node-a\" with protocol \"bgp\""]
    );
    the_bgp_ad(&mut facts).communities = [Community::Standard(1, 1)].into();
    station.all_changed(&facts);
    assert_eq!(
        station.take_events(),
        [""; 0],
        "another attribute is no news"
    );
    facts.endpoints.remove(&key("web"));
    station.service_changed(&facts, "web");
    assert_eq!(
        (
            station.take_events().len(),
            station.speaker.announced().count()
        ),
        (0, 0)
    );
    let mut silent = Speaker::new(SpeakerOptions {
        node: "node-a".into(),
        class: Class::Default,
        ignore_exclude_lb: false,
        bgp: BgpDriver::Absent,
    });
    let facts = routed();
    silent.handle(&facts, Input::Membership(OFF));
    assert_eq!(silent.bgp_table().peers["tor"].routes.len(), 1);
    assert_eq!(silent.announced().count(), 0);
}

#[test]
fn a_peer_that_frr_holds_is_told_nothing() {
    let here = |neighbor: &str, vrf: Option<&str>, host| {
        let remote = Remote::Address(neighbor.parse().unwrap());
        Frr::Holds(vec![Holding {
            name: "theirs".to_owned(),
            nodes: label("host", &[host]),
            neighbors: vec![(remote, vrf.map(str::to_owned))],
        }])
    };
    let tor = "198.51.100.254";
    let named = "FRR holds the session with the peer on the node: FRRConfiguration theirs names it";
    for (frr, wanted) in [
        (Frr::Ignored, None),
        (Frr::Holds(Vec::new()), None),
        (here("198.51.100.253", None, "node-a"), None),
        (here(tor, Some("red"), "node-a"), None),
        (here(tor, None, "node-b"), None),
        (here(tor, None, "node-a"), Some(named)),
        (
            Frr::Unlisted,
            Some(
                "FRR may hold the session with the peer on the node: FRRConfigurations aren't \
                 listed yet",
            ),
        ),
    ] {
        let mut facts = routed();
        facts.frr = frr.clone();
        let station = Station::on("node-a", &facts, &OFF);
        let peer = &station.speaker.bgp_table().peers["tor"];
        assert_eq!(peer.routes.is_empty(), wanted.is_some(), "{frr:?}");
        assert_eq!(peer.session.held.is_some(), wanted.is_some(), "{frr:?}");
        let decision = station.speaker.bgp_decision(&facts, &key("web"));
        let why = decision.told(&"node-a".into()).remove(0).outcome.err();
        assert_eq!(why.map(|r| r.to_string()).as_deref(), wanted, "{frr:?}");
        let verdict = decision.verdict(&"node-a".into());
        let said = matches!(&verdict, Verdict::Withhold(Reason::PeerHeldByFrr { .. }));
        assert_eq!(said, wanted.is_some(), "{verdict}");
        let told = station.speaker.bgp_peers(&key("web"));
        assert_eq!(told.is_empty(), wanted.is_some(), "{frr:?}");
    }
}

#[test]
fn the_exclude_label_can_be_ignored() {
    let mut facts = routed();
    let labels = &mut node(&mut facts, "node-a").labels;
    labels.insert(EXCLUDE_FROM_LB.into(), String::new());
    let mut speaker = Speaker::new(SpeakerOptions {
        node: "node-a".into(),
        class: Class::Default,
        ignore_exclude_lb: true,
        bgp: BgpDriver::Present,
    });
    speaker.handle(&facts, Input::Membership(OFF));
    assert_eq!(speaker.announced().count(), 1);
    assert!(!speaker.bgp_table().leaving);
    let station = Station::on("node-a", &facts, &OFF);
    assert!(station.speaker.bgp_table().leaving);
}

#[test]
fn a_node_out_of_service_leaves() {
    let mut facts = routed();
    node(&mut facts, "node-b").out_of_service = true;
    for (name, leaving) in [("node-a", false), ("node-b", true)] {
        let station = Station::on(name, &facts, &OFF);
        assert_eq!(station.speaker.bgp_table().leaving, leaving, "{name}");
    }
}

#[test]
fn explained() {
    let mut facts = routed();
    the_bgp_ad(&mut facts).local_pref = 5;
    the_bgp_ad(&mut facts).communities = [Community::Standard(1, 1)].into();
    the_bgp_ad(&mut facts).peers = only(&["far", "gone", "tor"]);
    add_peer(&mut facts, peer("six", "2001:db8:1::1"));
    let mut far = peer("far", "192.0.2.7");
    far.nodes = hosts(&["node-c"]);
    add_peer(&mut facts, far);
    let mut other = bgp_ad("other");
    other.pools = only(&["nowhere"]);
    other.nodes = Selectors::AnyOf(vec![label("host", &["none"])]);
    add_bgp_ad(&mut facts, other);
    node(&mut facts, "node-b").network_unavailable = true;
    let station = Station::on("node-a", &facts, &OFF);
    let explanation =
        explain(&facts, &station.speaker, Allocation::Elsewhere, &key("web")).unwrap();
    let report = explanation.bgp;
    let nodes: Vec<_> = report.nodes.iter().map(|n| n.text.as_str()).collect();
    let announces = "announces 192.168.1.240/32";
    assert_eq!(
        nodes,
        [announces, "the node's network is unavailable", announces]
    );
    let ads: BTreeMap<_, _> = report
        .advertisements
        .iter()
        .map(|a| (&*a.name, &*a.text))
        .collect();
    assert_eq!(
        ads,
        [
            ("bgp", "applies; names peer gone, which isn't known"),
            (
                "other",
                "isn't for the Service's pool; names pool nowhere, which isn't known; its node \
                 selectors match no node"
            ),
        ]
        .into()
    );
    let peers: Vec<_> = report
        .peers
        .iter()
        .map(|p| (&*p.peer, p.session.as_deref(), p.prefixes[0].text.as_str()))
        .collect();
    assert_eq!(
        peers,
        [
            (
                "far",
                None,
                "not announced: the peer's node selectors don't match the node"
            ),
            (
                "six",
                Some("eBGP to [2001:db8:1::1]:179, AS 64512 with AS 64513"),
                "not announced: the session with the peer doesn't carry IPv4"
            ),
            (
                "tor",
                Some("eBGP to 198.51.100.254:179, AS 64512 with AS 64513"),
                "announced, localPref 5, communities 1:1"
            ),
        ]
    );
    assert!(report.spoken && report.remarks.is_empty());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["peers"][2]["prefixes"][0]["outcome"]["announce"]["localPref"],
        5
    );
    let reason = &json["peers"][0]["prefixes"][0]["outcome"]["withhold"]["reason"];
    assert_eq!(reason, "peerOfOtherNodes");
}

#[test]
fn nothing_is_explained_where_nothing_of_bgp_is_configured() {
    let facts = usual();
    let station = Station::on("node-a", &facts, &OFF);
    let explanation =
        explain(&facts, &station.speaker, Allocation::Elsewhere, &key("web")).unwrap();
    assert_eq!(explanation.bgp.nodes, []);
    let mut facts = empty();
    add_node(&mut facts, "node-a");
    let station = Station::on("node-a", &facts, &OFF);
    assert_eq!(station.bgp_tables, [BgpTable::default()]);
}

/// What the station's own node says of `web`: it announces, or the reason.
fn own(station: &Station, facts: &Facts) -> String {
    let decision = station.speaker.bgp_decision(facts, &key("web"));
    decision.verdict(&"node-a".into()).to_string()
}

/// Whether the table has the Service's address.
fn has_route(station: &Station) -> bool {
    let table = station.speaker.bgp_table();
    table.peers.values().any(|peer| !peer.routes.is_empty())
}

#[test]
fn who_lost_its_endpoints_is_held_down() {
    let mut facts = routed();
    let time = Duration::from_secs(30);
    the_bgp_ad(&mut facts).hold_down = HoldDown::For(time);
    let mut longer = bgp_ad("longer");
    longer.hold_down = HoldDown::For(time * 2);
    // It isn't for this node, and so doesn't count.
    longer.nodes = apps(&["none"]);
    add_bgp_ad(&mut facts, longer);
    let mut station = Station::on("node-a", &facts, &OFF);
    assert!(has_route(&station), "a start is no loss");
    let serve = |facts: &mut Facts, station: &mut Station, on: &[(Option<&str>, bool)]| {
        set_endpoints(facts, &key("web"), on);
        station.service_changed(facts, "web");
    };
    let gone: &[(Option<&str>, bool)] = &[(Some("node-b"), false)];
    let back: &[(Option<&str>, bool)] = &[(Some("node-b"), true)];
    let held = vec![(key("web"), time)];
    // Withdrawn at once; back isn't announced.
    serve(&mut facts, &mut station, gone);
    assert!(!has_route(&station));
    assert_eq!(std::mem::take(&mut station.held), held);
    serve(&mut facts, &mut station, back);
    assert!(!has_route(&station));
    let why = own(&station, &facts);
    let text = "the Service lost its last endpoint less than 30s ago, and BGPAdvertisement bgp \
                holds it down so long";
    assert_eq!(why, text);
    assert_eq!(station.held, [], "nothing new");
    // Every loss counts anew.
    serve(&mut facts, &mut station, gone);
    serve(&mut facts, &mut station, back);
    assert_eq!(std::mem::take(&mut station.held), held);
    // Over: announced, with its event.
    station.take_events();
    station.tell(&facts, Input::Released([key("web")].into()));
    assert!(has_route(&station));
    assert_eq!(station.take_events(), ["nodeAssigned"]);
    // Over while there is no endpoint: announced as soon as there is one.
    serve(&mut facts, &mut station, gone);
    station.tell(&facts, Input::Released([key("web")].into()));
    assert!(!has_route(&station));
    serve(&mut facts, &mut station, back);
    assert!(has_route(&station));
    // Without the annotation nothing is held, and what was is free.
    serve(&mut facts, &mut station, gone);
    serve(&mut facts, &mut station, back);
    assert!(!has_route(&station));
    the_bgp_ad(&mut facts).hold_down = HoldDown::Off;
    station.all_changed(&facts);
    assert!(has_route(&station));
    station.held.clear();
    serve(&mut facts, &mut station, gone);
    serve(&mut facts, &mut station, back);
    assert!(has_route(&station) && station.held.is_empty());
}

#[test]
fn what_is_no_loss_of_endpoints_holds_nothing_down() {
    let mut facts = routed();
    the_bgp_ad(&mut facts).hold_down = HoldDown::For(Duration::from_secs(30));
    let mut station = Station::on("node-a", &facts, &OFF);
    type Change = fn(&mut Facts);
    let changes: [(Change, Change); 2] = [
        (
            |facts| node(facts, "node-a").network_unavailable = true,
            |facts| node(facts, "node-a").network_unavailable = false,
        ),
        (
            |facts| the_peer(facts).nodes = apps(&["none"]),
            |facts| the_peer(facts).nodes = Selectors::Everything,
        ),
    ];
    for (away, back) in changes {
        away(&mut facts);
        station.all_changed(&facts);
        assert!(!has_route(&station));
        back(&mut facts);
        station.all_changed(&facts);
        assert!(has_route(&station));
    }
    assert_eq!(station.held, []);
    // A Service that is deleted and made again is another one.
    set_endpoints(&mut facts, &key("web"), &[(Some("node-b"), false)]);
    station.service_changed(&facts, "web");
    let service = facts.services.remove(&key("web")).unwrap();
    station.service_changed(&facts, "web");
    facts.services.insert(key("web"), service);
    set_endpoints(&mut facts, &key("web"), &[(Some("node-b"), true)]);
    station.service_changed(&facts, "web");
    assert!(has_route(&station));
}

#[test]
fn with_local_traffic_the_nodes_own_endpoints_count() {
    let mut facts = routed();
    let time = Duration::from_millis(1500);
    the_bgp_ad(&mut facts).hold_down = HoldDown::For(time);
    web(&mut facts).traffic_policy = TrafficPolicy::Local;
    set_endpoints(
        &mut facts,
        &key("web"),
        &[(Some("node-a"), true), (Some("node-b"), true)],
    );
    let mut station = Station::on("node-a", &facts, &OFF);
    assert!(has_route(&station));
    set_endpoints(&mut facts, &key("web"), &[(Some("node-b"), true)]);
    station.service_changed(&facts, "web");
    set_endpoints(
        &mut facts,
        &key("web"),
        &[(Some("node-a"), true), (Some("node-b"), true)],
    );
    station.service_changed(&facts, "web");
    assert_eq!(station.held, [(key("web"), time)]);
    assert!(own(&station, &facts).contains("less than 1.5s ago"));
}

#[test]
fn each_begins_when_its_own_kinds_are_listed() {
    let mut facts = routed();
    facts.listed.retain(|kind| *kind != Kind::BGPPeer);
    let mut station = Station::on("node-a", &facts, &OFF);
    let started = |station: &Station| {
        let speaker = &station.speaker;
        (speaker.has_started(), speaker.bgp_has_started())
    };
    assert_eq!(started(&station), (true, false));
    facts.listed.insert(Kind::BGPPeer);
    let changes = Changes {
        listed: true,
        ..Changes::default()
    };
    station.tell(&facts, Input::Facts(changes));
    assert_eq!(started(&station), (true, true));
}
