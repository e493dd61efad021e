//! Vectors of `spec/metallb.md` §5.2 and the election's properties.

use super::{Candidate, rank};
use crate::names::NodeName;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Names in order of election, each with the first 8 bytes of its digest.
fn order(ip: IpAddr, scores: &BTreeMap<NodeName, i64>) -> Vec<(String, String)> {
    let candidates = scores.iter().map(|(node, &score)| Candidate {
        node,
        score,
        claims: false,
    });
    rank(ip, candidates)
        .into_iter()
        .map(|r| {
            let hex: String = r.digest[..8].iter().map(|b| format!("{b:02x}")).collect();
            (r.candidate.node.to_string(), hex)
        })
        .collect()
}

fn nodes(scores: &[(&str, i64)]) -> BTreeMap<NodeName, i64> {
    scores.iter().map(|&(n, s)| (n.into(), s)).collect()
}

fn names(ip: &str, scores: &[(&str, i64)]) -> Vec<String> {
    order(ip.parse().unwrap(), &nodes(scores))
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn equal_scores_go_by_hash() {
    let rows = [
        (
            "192.168.1.240",
            [
                ("node-a", "0905ce28e61d7edb"),
                ("node-c", "a6530f9db1eb6e43"),
                ("node-b", "c5db69956edf2871"),
            ],
        ),
        (
            "192.168.1.241",
            [
                ("node-c", "792a46a57ec63bb6"),
                ("node-a", "ab24a5f9134003b0"),
                ("node-b", "fbd0fccea9ae7fd3"),
            ],
        ),
        (
            "fc00:f853:ccd:e799::",
            [
                ("node-b", "90dcb721422de153"),
                ("node-c", "94b0ace4bf6f7461"),
                ("node-a", "ba02b6700b044640"),
            ],
        ),
    ];
    let three = nodes(&[("node-a", 0), ("node-b", 0), ("node-c", 0)]);
    for (ip, wanted) in rows {
        let wanted = wanted.map(|(n, d)| (n.to_owned(), d.to_owned()));
        assert_eq!(order(ip.parse().unwrap(), &three), wanted, "{ip}");
    }
}

#[test]
fn the_address_is_hashed_in_its_canonical_text() {
    let three = nodes(&[("node-a", 0), ("node-b", 0), ("node-c", 0)]);
    let rows = [
        ("::ffff:192.168.1.240", "192.168.1.240"),
        ("FC00:F853:0CCD:E799:0:0:0:0", "fc00:f853:ccd:e799::"),
    ];
    for (written, canonical) in rows {
        assert_eq!(
            order(written.parse().unwrap(), &three),
            order(canonical.parse().unwrap(), &three),
            "{written}"
        );
    }
}

#[test]
fn a_score_beats_the_hash() {
    let rows = [
        (
            [("node-a", 0), ("node-b", 1), ("node-c", 0)],
            ["node-b", "node-a", "node-c"],
        ),
        (
            [("node-a", 0), ("node-b", 100), ("node-c", 99)],
            ["node-b", "node-c", "node-a"],
        ),
        (
            [("node-a", 5), ("node-b", 5), ("node-c", 5)],
            ["node-a", "node-c", "node-b"],
        ),
        (
            [("node-a", 0), ("node-b", 3), ("node-c", 3)],
            ["node-c", "node-b", "node-a"],
        ),
    ];
    for (scores, wanted) in rows {
        assert_eq!(names("192.168.1.240", &scores), wanted, "{scores:?}");
    }
}

#[test]
fn nobody_stands_nobody_wins() {
    assert_eq!(names("192.168.1.240", &[]), Vec::<String>::new());
}

proptest! {
    #[test]
    fn losing_a_loser_moves_nothing_and_a_newcomer_only_wins_for_itself(
        ip in any::<u128>().prop_map(|b| IpAddr::from(b.to_be_bytes())),
        scores in prop::collection::btree_map("[a-z0-9.-]{1,40}", 0_i64..3, 1..12),
        gone in any::<prop::sample::Index>(),
    ) {
        let all: BTreeMap<NodeName, i64> =
            scores.into_iter().map(|(n, s)| (n.into(), s)).collect();
        let before: Vec<_> = order(ip, &all);
        let gone = gone.get(&before).0.clone();
        let mut rest = all.clone();
        rest.remove(&NodeName::from(gone.clone()));
        let after = order(ip, &rest);
        let expected: Vec<_> = before.iter().filter(|(n, _)| *n != gone).cloned().collect();
        prop_assert_eq!(after, expected);
        let ranked: BTreeSet<_> = before.iter().map(|(n, _)| n.as_str()).collect();
        prop_assert_eq!(ranked.len(), all.len());
    }
}
