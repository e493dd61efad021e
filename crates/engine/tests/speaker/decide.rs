//! Who announces and why the others don't (`spec/metallb.md` §5.1, §5.2), row by row.

use crate::world::{
    Station, ad, add_ad, add_node, add_service, apps, empty, hosts, ingress, ip, key, members,
    node, only, prefer, reject, service, set_endpoints, the_ad, usual, web,
};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::advertise::l2::{Reason, Verdict};
use corten_engine::config::selector::Selectors;
use corten_engine::config::{ConflictPolicy, Filter, Refresh};
use corten_engine::facts::{Class, Facts, Ingress, Sharing, TrafficPolicy};
use corten_engine::membership::Membership;
use corten_engine::rejection::Kind;
use std::time::Duration;

/// The order of election of 192.168.1.240, a vector of §5.2; the rows below rest on it.
const ORDER: [&str; 3] = ["node-a", "node-c", "node-b"];

/// What a row says of a node: it announces, or the tag of its reason.
fn told(facts: &Facts, membership: &Membership, on: &str) -> String {
    let station = Station::on("node-a", facts, membership);
    let decision = station.speaker.decision(facts, &key("web")).unwrap();
    match decision.verdict(&on.into()) {
        Verdict::Announce(_) => "announce".to_owned(),
        Verdict::Withhold(reason) => {
            let reason = serde_json::to_value(reason).unwrap();
            reason["reason"].as_str().unwrap().to_owned()
        }
    }
}

/// Checks the verdicts of node-a, node-b and node-c, as every one of the three sees them.
fn check(row: &str, facts: &Facts, membership: &Membership, wanted: [&str; 3]) {
    let names = ["node-a", "node-b", "node-c"];
    let seen = names.map(|on| told(facts, membership, on));
    assert_eq!(seen, wanted, "{row}");
    for local in names {
        let station = Station::on(local, facts, membership);
        let decision = station.speaker.decision(facts, &key("web")).unwrap();
        let winner = decision.winner().map(|n| n.to_string());
        let expected = names.iter().zip(wanted).find(|(_, w)| *w == "announce");
        assert_eq!(
            winner.as_deref(),
            expected.map(|(n, _)| *n),
            "{row}: seen by {local}"
        );
    }
}

/// A row: what it changes, and the verdicts of the three nodes then.
type Row = (&'static str, fn(&mut Facts), [&'static str; 3]);

fn check_rows(rows: &[Row]) {
    for (name, change, wanted) in rows {
        let mut facts = usual();
        change(&mut facts);
        check(name, &facts, &Membership::Disabled, *wanted);
    }
}

const LOST: &str = "lostElection";

#[test]
fn the_order_the_rows_rest_on() {
    let facts = usual();
    let station = Station::on("node-a", &facts, &Membership::Disabled);
    let decision = station.speaker.decision(&facts, &key("web")).unwrap();
    let order: Vec<_> = decision
        .ranking()
        .iter()
        .map(|r| r.candidate.node.as_str())
        .collect();
    assert_eq!(order, ORDER);
    let last = Verdict::Withhold(Reason::LostElection {
        winner: "node-a".into(),
        rank: 2,
    });
    assert_eq!(decision.verdict(&"node-b".into()), last);
}

#[test]
fn what_no_node_announces() {
    check_rows(&[
        ("usual", |_| {}, ["announce", LOST, LOST]),
        (
            "not listed",
            |f| f.listed.retain(|k| *k != Kind::Node),
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
            "one address of two",
            |f| web(f).ingress = ingress(&["192.168.1.240", "2001:db9::1"]),
            ["notInPool"; 3],
        ),
    ]);
}

#[test]
fn what_no_node_announces_for_want_of_endpoints_or_advertisements() {
    check_rows(&[
        (
            "no slice",
            |f| f.endpoints.clear(),
            ["noServingEndpoint"; 3],
        ),
        (
            "nothing ready",
            |f| set_endpoints(f, &key("web"), &[(Some("node-a"), false)]),
            ["noServingEndpoint"; 3],
        ),
        (
            "no advertisement",
            |f| f.config.l2.clear(),
            ["noAdvertisement"; 3],
        ),
        (
            "for another pool",
            |f| the_ad(f).pools = only(&["other"]),
            ["noAdvertisement"; 3],
        ),
        (
            "for no pool",
            |f| the_ad(f).pools = only(&[]),
            ["noAdvertisement"; 3],
        ),
        (
            "for other Services",
            |f| the_ad(f).services = apps(&["db"]),
            ["noMatchingServiceSelector"; 3],
        ),
        (
            "shared with a selector",
            |f| {
                the_ad(f).services = apps(&["web"]);
                web(f).sharing = Sharing::Key(String::new());
            },
            ["sharedIpWithServiceSelector"; 3],
        ),
        (
            "shared, the selector is another's",
            |f| {
                let other = ad("other");
                add_ad(
                    f,
                    corten_engine::config::L2Advertisement {
                        services: apps(&["db"]),
                        ..other
                    },
                );
                web(f).sharing = Sharing::Key("k".into());
            },
            ["announce", LOST, LOST],
        ),
    ]);
}

#[test]
fn which_nodes_stand_by_endpoints() {
    check_rows(&[
        (
            "endpoints elsewhere don't matter to Cluster",
            |f| set_endpoints(f, &key("web"), &[(Some("node-b"), true)]),
            ["announce", LOST, LOST],
        ),
        (
            "an endpoint without a node is enough for Cluster",
            |f| set_endpoints(f, &key("web"), &[(None, true)]),
            ["announce", LOST, LOST],
        ),
        (
            "Local asks for one on the node",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                set_endpoints(
                    f,
                    &key("web"),
                    &[(Some("node-b"), true), (Some("node-a"), false)],
                );
            },
            ["noLocalEndpoint", "announce", "noLocalEndpoint"],
        ),
        (
            "Local, one ready of two on a node",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                set_endpoints(
                    f,
                    &key("web"),
                    &[(Some("node-b"), false), (Some("node-b"), true)],
                );
            },
            ["noLocalEndpoint", "announce", "noLocalEndpoint"],
        ),
        (
            "Local, endpoint without a node",
            |f| {
                web(f).traffic_policy = TrafficPolicy::Local;
                set_endpoints(f, &key("web"), &[(None, true)]);
            },
            ["noLocalEndpoint"; 3],
        ),
    ]);
}

#[test]
fn which_nodes_stand_by_their_state_and_by_selectors() {
    let none = "noMatchingNodeSelector";
    check_rows(&[
        (
            "excluded, whatever the value",
            |f| {
                node(f, "node-a")
                    .labels
                    .insert(EXCLUDE_FROM_LB.into(), "false".into());
            },
            ["nodeExcluded", LOST, "announce"],
        ),
        (
            "out of service",
            |f| node(f, "node-a").out_of_service = true,
            ["nodeOutOfService", LOST, "announce"],
        ),
        (
            "network unavailable",
            |f| node(f, "node-a").network_unavailable = true,
            ["networkUnavailable", LOST, "announce"],
        ),
        (
            "node selector",
            |f| the_ad(f).nodes = hosts(&["node-b"]),
            [none, "announce", none],
        ),
        (
            "two advertisements, a node each",
            |f| {
                the_ad(f).nodes = hosts(&["node-b"]);
                let mut other = ad("other");
                other.nodes = hosts(&["node-c"]);
                add_ad(f, other);
            },
            [none, LOST, "announce"],
        ),
        (
            "an advertisement for other Services adds no node",
            |f| {
                the_ad(f).nodes = hosts(&["node-b"]);
                let mut other = ad("other");
                other.services = apps(&["db"]);
                add_ad(f, other);
            },
            [none, "announce", none],
        ),
        (
            "a selector list that matches nobody isn't everyone",
            |f| the_ad(f).nodes = Selectors::AnyOf(Vec::new()),
            [none; 3],
        ),
    ]);
}

#[test]
fn preferred_nodes() {
    check_rows(&[
        (
            "a preference beats the hash",
            |f| the_ad(f).preferences = vec![prefer(1, &["node-b"])],
            [LOST, "announce", LOST],
        ),
        (
            "weights add up over advertisements",
            |f| {
                the_ad(f).preferences = vec![prefer(60, &["node-c"]), prefer(50, &["node-b"])];
                let mut other = ad("other");
                other.preferences = vec![prefer(11, &["node-b"])];
                add_ad(f, other);
            },
            [LOST, "announce", LOST],
        ),
        (
            "only advertisements that allow the node count",
            |f| {
                let mut other = ad("other");
                other.nodes = hosts(&["node-c"]);
                other.preferences = vec![prefer(100, &["node-b"])];
                add_ad(f, other);
            },
            ["announce", LOST, LOST],
        ),
        (
            "fail-over goes by weight",
            |f| {
                the_ad(f).preferences = vec![prefer(9, &["node-b"]), prefer(5, &["node-c"])];
                node(f, "node-b").network_unavailable = true;
            },
            [LOST, "networkUnavailable", "announce"],
        ),
        (
            "preferred but excluded",
            |f| {
                the_ad(f).preferences = vec![prefer(9, &["node-b"])];
                node(f, "node-b")
                    .labels
                    .insert(EXCLUDE_FROM_LB.into(), String::new());
            },
            ["announce", "nodeExcluded", LOST],
        ),
    ]);
}

#[test]
fn membership() {
    let gone = "notAMember";
    let rows = [
        ("off", Membership::Disabled, ["announce", LOST, LOST]),
        ("nobody", members(&[]), [gone; 3]),
        (
            "all",
            members(&["node-a", "node-b", "node-c"]),
            ["announce", LOST, LOST],
        ),
        (
            "two",
            members(&["node-b", "node-c"]),
            [gone, LOST, "announce"],
        ),
        ("a stranger only", members(&["node-x"]), [gone; 3]),
    ];
    for (name, membership, wanted) in rows {
        check(name, &usual(), &membership, wanted);
    }
    // A member without a Node object is named, and stands for nothing.
    let facts = usual();
    assert_eq!(told(&facts, &members(&["node-x"]), "node-x"), "unknownNode");
    let membership = members(&["node-x"]);
    let station = Station::on("node-a", &facts, &membership);
    let decision = station.speaker.decision(&facts, &key("web")).unwrap();
    assert!(decision.nodes().iter().any(|n| n.as_str() == "node-x"));
}

#[test]
fn the_exclude_label_can_be_ignored_but_not_the_network() {
    use corten_engine::speaker::{BgpDriver, Input, Speaker, SpeakerOptions};
    let mut facts = usual();
    for name in ["node-a", "node-b", "node-c"] {
        node(&mut facts, name)
            .labels
            .insert(EXCLUDE_FROM_LB.into(), String::new());
    }
    node(&mut facts, "node-a").network_unavailable = true;
    node(&mut facts, "node-b").out_of_service = true;
    let mut speaker = Speaker::new(SpeakerOptions {
        node: "node-c".into(),
        class: Class::Default,
        ignore_exclude_lb: true,
        bgp: BgpDriver::Present,
    });
    speaker.handle(&facts, Input::Membership(Membership::Disabled));
    speaker.handle(
        &facts,
        Input::Links([("eth0".to_owned(), crate::world::UP)].into()),
    );
    assert_eq!(speaker.announced().count(), 1);
}

#[test]
fn a_second_address_goes_with_the_first() {
    // Alone, many of the second addresses would be another node's.
    let mut moved = 0;
    for last in 0..16 {
        let second = format!("2001:db8::{last:x}");
        let mut facts = usual();
        web(&mut facts).ingress = ingress(&["192.168.1.240", &second]);
        add_service(&mut facts, service("alone", &[&second]));
        let station = Station::on("node-a", &facts, &Membership::Disabled);
        let decision = |name| station.speaker.decision(&facts, &key(name)).unwrap();
        assert_eq!(decision("web").winner(), Some(&"node-a".into()), "{second}");
        moved += usize::from(decision("alone").winner() != Some(&"node-a".into()));
    }
    assert!(
        moved > 0,
        "no row where the second address alone goes elsewhere"
    );
}

#[test]
fn what_the_winner_announces_with() {
    let mut facts = usual();
    the_ad(&mut facts).interfaces = only(&["eth0"]);
    the_ad(&mut facts).refresh = Refresh::Every(Duration::from_secs(60));
    let mut second = ad("second");
    second.interfaces = only(&["eth1"]);
    second.refresh = Refresh::Every(Duration::from_secs(20));
    second.conflict = ConflictPolicy::Withhold;
    add_ad(&mut facts, second);
    let mut third = ad("third");
    third.nodes = hosts(&["node-b"]);
    third.conflict = ConflictPolicy::Defend;
    add_ad(&mut facts, third);
    let mut got = Vec::new();
    for owner in ["node-a", "node-b"] {
        the_ad(&mut facts).preferences = vec![prefer(1, &[owner])];
        let station = Station::on(owner, &facts, &Membership::Disabled);
        let Verdict::Announce(a) = station.verdict("web").clone() else {
            panic!("{owner} doesn't announce");
        };
        assert_eq!(a.addresses, [ip("192.168.1.240")]);
        got.push((a.interfaces, a.conflict, a.refresh));
    }
    let every = Refresh::Every(Duration::from_secs(20));
    assert_eq!(
        got,
        [
            (only(&["eth0", "eth1"]), ConflictPolicy::Withhold, every),
            (Filter::Any, ConflictPolicy::Withhold, every),
        ]
    );
}

#[test]
fn an_incomplete_configuration_never_says_not_in_pool() {
    let mut facts = empty();
    add_node(&mut facts, "node-a");
    add_node(&mut facts, "node-b");
    add_node(&mut facts, "node-c");
    add_service(&mut facts, service("web", &["192.168.1.240"]));
    let mut row = |name: &str, rejected: &[&str], from: Option<&str>, pools, wanted| {
        let mut facts_ad = ad("ad");
        facts_ad.pools = pools;
        add_ad(&mut facts, facts_ad);
        reject(&mut facts, rejected);
        web(&mut facts).allocated_from = from.map(Into::into);
        check(name, &facts, &Membership::Disabled, wanted);
    };
    let goes_on = ["announce", LOST, LOST];
    let unknown = ["poolUnknown"; 3];
    row("for every pool", &[], None, Filter::Any, goes_on);
    row("for a named one", &["p"], None, only(&["p"]), goes_on);
    row("for one of them", &["p", "q"], None, only(&["q"]), goes_on);
    row(
        "it was in another",
        &["p", "q"],
        Some("p"),
        only(&["q"]),
        unknown,
    );
    row(
        "it was in this one",
        &["p", "q"],
        Some("q"),
        only(&["q"]),
        goes_on,
    );
    row(
        "its pool can't be read",
        &["q"],
        Some("hidden"),
        only(&["hidden"]),
        goes_on,
    );
    row("for none of them", &["p"], None, only(&["q"]), unknown);
    row("for none known", &[], None, only(&["q"]), unknown);
}
