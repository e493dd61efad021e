//! Every cause in words and in MetalLB's names.

use super::Reason;
use crate::advertise::l2::{Conflict, Mac};
use std::collections::BTreeSet;

fn check(reason: &Reason, metallb: &str, words: &str) {
    assert_eq!(reason.metallb_name(), metallb, "{reason:?}");
    assert_eq!(reason.to_string(), words, "{reason:?}");
}

#[test]
fn metallb_has_one_name_for_many_causes() {
    let lost = |rank| Reason::LostElection {
        winner: "a".into(),
        rank,
    };
    check(
        &lost(1),
        "notOwner",
        "a won the election; the node came 2nd",
    );
    check(
        &lost(10),
        "notOwner",
        "a won the election; the node came 11th",
    );
    check(
        &lost(22),
        "notOwner",
        "a won the election; the node came 23rd",
    );
    check(
        &Reason::NoServingEndpoint,
        "notOwner",
        "the Service has no endpoint that can serve",
    );
    check(
        &Reason::NoMatchingNodeSelector {
            advertisements: vec!["x".into(), "y".into(), "z".into()],
        },
        "noMatchingAdvertisement",
        "no node selector of L2Advertisement x, y and z matches the node",
    );
    check(
        &Reason::NotInPool {
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        },
        "ipNotAllowed",
        "no pool has 192.0.2.1 and 2001:db8::1",
    );
    check(
        &Reason::PoolUnknown {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            rejected: ["p".into()].into(),
        },
        "ipNotAllowed",
        "no accepted pool has 192.0.2.1; it may be in a rejected one (p), which no advertisement is for",
    );
    check(
        &Reason::AddressConflict(Conflict {
            ip: "192.0.2.1".parse().unwrap(),
            mac: Mac([2, 0, 0, 0, 0, 0x1f]),
            interface: "eth0".into(),
            proxy_arp: true,
        }),
        "addressConflict",
        "02:00:00:00:00:1f answers for 192.0.2.1 on eth0 (and for unused addresses: proxy ARP)",
    );
}

#[test]
fn an_empty_list_reads_as_what_it_means() {
    check(
        &Reason::NoInterface {
            wanted: BTreeSet::new(),
        },
        "noInterface",
        "the node won the election but has no usable interface",
    );
    check(
        &Reason::OtherClass {
            class: String::new(),
        },
        "otherClass",
        "the Service names no loadBalancerClass, and only one is served here",
    );
}

#[test]
fn the_cause_is_a_tag_with_its_data_beside_it() {
    let lost = Reason::LostElection {
        winner: "a".into(),
        rank: 2,
    };
    assert_eq!(
        serde_json::to_string(&lost).unwrap(),
        r#"{"reason":"lostElection","winner":"a","rank":2}"#
    );
}
