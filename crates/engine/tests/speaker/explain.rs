//! What is explained is what is acted on, and every part says why.

use crate::world::{
    Station, UP, ad, add_ad, apps, hosts, key, members, node, only, prefer, reject, the_ad, usual,
    web,
};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::config::ConflictPolicy;
use corten_engine::controller::{AllocationReason, AllocationState};
use corten_engine::explain::{Allocation, Explanation, InterfaceState, explain};
use corten_engine::facts::Facts;
use corten_engine::membership::Membership;
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use std::collections::BTreeSet;

fn explained(on: &str, facts: &Facts, membership: &Membership) -> Explanation {
    let station = Station::on(on, facts, membership);
    explain(facts, &station.speaker, Allocation::Elsewhere, &key("web")).unwrap()
}

#[test]
fn every_node_with_its_place_and_its_words() {
    let mut facts = usual();
    the_ad(&mut facts).preferences = vec![prefer(7, &["node-b"])];
    let labels = &mut node(&mut facts, "node-c").labels;
    labels.insert(EXCLUDE_FROM_LB.into(), String::new());
    let membership = members(&["node-a", "node-b", "node-c", "node-x"]);
    let explanation = explained("node-b", &facts, &membership);
    let rows: Vec<_> = explanation
        .nodes
        .iter()
        .map(|n| (n.node.as_str(), n.rank, n.score, n.text.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            (
                "node-b",
                Some(0),
                Some(7),
                "announces 192.168.1.240 on every usable interface"
            ),
            (
                "node-a",
                Some(1),
                Some(0),
                "node-b won the election; the node came 2nd"
            ),
            (
                "node-c",
                None,
                None,
                "the node carries the label node.kubernetes.io/exclude-from-external-load-balancers"
            ),
            ("node-x", None, None, "there is no Node object node-x"),
        ]
    );
    let station = Station::on("node-b", &facts, &membership);
    assert_eq!(&explanation.nodes[0].verdict, station.verdict("web"));
    assert_eq!(explanation.winner, Some("node-b".into()));
}

#[test]
fn every_advertisement_with_its_standing() {
    let mut facts = usual();
    the_ad(&mut facts).interfaces = only(&["eth0", "eth9"]);
    let mut other_pool = ad("b");
    other_pool.pools = only(&["nowhere"]);
    other_pool.nodes = hosts(&["gone"]);
    let mut other_service = ad("c");
    other_service.services = apps(&["db"]);
    let mut strict = ad("d");
    strict.conflict = ConflictPolicy::Withhold;
    strict.interfaces = only(&["eth0"]);
    for ad in [other_pool, other_service, strict] {
        add_ad(&mut facts, ad);
    }
    let explanation = explained("node-a", &facts, &Membership::Disabled);
    let texts: Vec<_> = explanation
        .advertisements
        .iter()
        .map(|ad| (ad.name.as_str(), ad.nodes.len(), ad.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            ("ad", 3, "applies"),
            (
                "b",
                0,
                "isn't for the Service's pool; names pool nowhere, which isn't known; its \
                 node selectors match no node"
            ),
            (
                "c",
                3,
                "is for the pool, but no service selector matches the Service"
            ),
            ("d", 3, "applies"),
        ]
    );
    assert_eq!(
        explanation.remarks,
        [
            "L2Advertisements ad, d ask for different conflict policies; the strictest holds",
            "L2Advertisements ad, d name different interfaces; each node uses those of every one \
             that allows it",
        ]
    );
    let interfaces: Vec<_> = explanation
        .interfaces
        .iter()
        .map(|i| (i.name.as_str(), i.state))
        .collect();
    assert_eq!(
        interfaces,
        [
            ("eth0", InterfaceState::Present(UP)),
            ("eth9", InterfaceState::Absent)
        ]
    );
}

#[test]
fn rejections_that_may_concern_the_service() {
    let mut facts = usual();
    let rejection = |kind, namespace, name| Rejection {
        subject: Subject::Object(ObjectRef::new(kind, namespace, name)),
        field: String::new(),
        cause: "x".into(),
        place: String::new(),
    };
    facts.rejections = vec![
        rejection(Kind::Service, "default", "web"),
        rejection(Kind::Service, "default", "other"),
        rejection(Kind::IPAddressPool, "", "pool"),
        rejection(Kind::IPAddressPool, "", "other"),
        rejection(Kind::L2Advertisement, "", "any"),
        rejection(Kind::BGPPeer, "", "any"),
        Rejection {
            subject: Subject::Unidentified,
            ..rejection(Kind::Node, "", "")
        },
    ];
    let shown = |facts: &Facts| {
        let explanation = explained("node-a", facts, &Membership::Disabled);
        let shown: BTreeSet<_> = explanation.rejections.into_iter().collect();
        let all = facts.rejections.iter();
        all.map(|r| shown.contains(r)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&facts), [true, false, true, false, true, true, true]);
    // Where the pool isn't known, every pool may be the one.
    facts.config.pools.clear();
    reject(&mut facts, &["pool", "other"]);
    assert_eq!(shown(&facts), [true, false, true, true, true, true, true]);
}

#[test]
fn no_service_no_explanation_and_no_answer_before_anything_is_known() {
    let facts = usual();
    let deaf = Station::deaf("node-z").speaker;
    assert_eq!(
        explain(&facts, &deaf, Allocation::Elsewhere, &key("none")),
        None
    );
    let early = explain(&facts, &deaf, Allocation::Elsewhere, &key("web")).unwrap();
    let texts: BTreeSet<_> = early.nodes.iter().map(|n| n.text.as_str()).collect();
    assert_eq!(texts, ["not everything has been read yet"].into());
    assert_eq!(early.nodes.len(), 4, "three nodes and this one");
}

#[test]
fn programs_read_it_in_camel_case() {
    let mut facts = usual();
    web(&mut facts).allocated_from = Some("pool".into());
    let json = serde_json::to_value(explained("node-a", &facts, &Membership::Disabled)).unwrap();
    assert_eq!(json["service"], "default/web");
    assert_eq!(json["pool"]["pool"], "pool");
    assert_eq!(
        json["nodes"][1]["verdict"]["withhold"]["reason"],
        "lostElection"
    );
    assert_eq!(json["nodes"][1]["verdict"]["withhold"]["rank"], 1);
    assert_eq!(json["nodes"][0]["verdict"]["announce"]["interfaces"], "any");
    assert_eq!(json["advertisements"][0]["standing"], "applies");
}

#[test]
fn the_allocation_in_the_allocators_words() {
    let decided = [
        (
            AllocationState::Allocated {
                pool: "p".into(),
                addresses: Vec::new(),
            },
            "allocated from pool p",
        ),
        (
            AllocationState::Unallocated {
                reason: AllocationReason::NoPools,
            },
            "no address: there are no pools",
        ),
    ];
    let facts = usual();
    let station = Station::on("node-a", &facts, &Membership::Disabled);
    for (state, words) in decided {
        let allocation = Allocation::Decided(state);
        let explanation = explain(&facts, &station.speaker, allocation, &key("web")).unwrap();
        assert_eq!(explanation.allocation_text, words);
    }
}
