//! Who keeps an address, where claims count.

use crate::world::{Station, UP, ad, add_ad, key, members, node, prefer, the_ad, usual};
use corten_engine::advertise::l2::Verdict;
use corten_engine::config::Ownership as Wish;
use corten_engine::explain::{Allocation, explain};
use corten_engine::facts::Facts;
use corten_engine::membership::Membership;
use corten_engine::ownership::{Claim, Fleet, Ownership, Policy};
use corten_engine::speaker::Input;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const ALL: [&str; 3] = ["node-a", "node-b", "node-c"];
const IP: &str = "192.168.1.240";
const STICKY: Fleet = Fleet::Claiming {
    default: Policy::Sticky,
};

type Names<'a> = &'a [&'a str];

fn claims(of: &[(&str, u64, &[&str])]) -> BTreeMap<IpAddr, Claim> {
    let claim = |(ip, epoch, nodes): &(&str, u64, &[&str])| {
        let nodes = nodes.iter().map(|&n| n.into()).collect();
        let epoch = *epoch;
        (ip.parse().unwrap(), Claim { epoch, nodes })
    };
    of.iter().map(claim).collect()
}

fn ownership(fleet: Fleet, of: &[(&str, u64, &[&str])]) -> Ownership {
    let claims = claims(of);
    Ownership {
        fleet,
        claims,
        ..Ownership::default()
    }
}

/// The nodes that announce the Service, each asked itself.
fn announcing(facts: &Facts, ownership: &Ownership, membership: &Membership) -> Vec<String> {
    let nodes = facts.nodes.keys();
    let announces = |name: &str| {
        let mut station = Station::deaf(name);
        station.tell(facts, Input::Ownership(ownership.clone()));
        station.tell(facts, Input::Membership(membership.clone()));
        station.tell(facts, Input::Links([("eth0".to_owned(), UP)].into()));
        let mut verdicts = station.speaker.verdicts();
        let verdict = verdicts.find(|(k, _)| **k == key("web"));
        matches!(verdict, Some((_, Verdict::Announce(_))))
    };
    nodes
        .filter(|name| announces(name.as_str()))
        .map(ToString::to_string)
        .collect()
}

/// Who wins by hash among these.
fn by_hash(facts: &Facts, alive: &[&str]) -> String {
    let none = Ownership::default();
    let winner = announcing(facts, &none, &members(alive));
    assert_eq!(winner.len(), 1);
    winner[0].clone()
}

fn check(facts: &Facts, ownership: &Ownership, alive: &[&str], want: &str, what: &str) {
    let got = announcing(facts, ownership, &members(alive));
    assert_eq!(got, [want], "{what}");
}

#[test]
fn a_claim_goes_before_the_hash_where_it_counts() {
    let facts = usual();
    let hash = by_hash(&facts, &ALL);
    let other = *ALL.iter().find(|n| **n != hash).unwrap();
    let claimed = [(IP, 3, &[other][..])];
    check(&facts, &ownership(STICKY, &claimed), &ALL, other, "sticky");
    let metallb = Fleet::Claiming {
        default: Policy::Metallb,
    };
    for fleet in [Fleet::Stateless, metallb] {
        check(
            &facts,
            &ownership(fleet, &claimed),
            &ALL,
            &hash,
            "stateless",
        );
    }
    // Advertisements go before the default, but can't make claims count where they aren't spoken.
    let mut asked = usual();
    the_ad(&mut asked).ownership = Wish::Sticky;
    check(&asked, &ownership(metallb, &claimed), &ALL, other, "asked");
    check(
        &asked,
        &ownership(Fleet::Stateless, &claimed),
        &ALL,
        &hash,
        "asked in vain",
    );
    let mut more = ad("more");
    more.ownership = Wish::Metallb;
    add_ad(&mut asked, more);
    check(
        &asked,
        &ownership(STICKY, &claimed),
        &ALL,
        &hash,
        "one asks for the hash",
    );
}

#[test]
fn only_a_candidate_s_claim_counts() {
    let facts = usual();
    let hash = by_hash(&facts, &ALL);
    let others: Vec<&str> = ALL.iter().copied().filter(|n| *n != hash).collect();
    let claimed = ownership(STICKY, &[(IP, 3, &others[..1])]);
    // Dead, drained, or less preferred.
    let alive: Vec<&str> = ALL.iter().copied().filter(|n| *n != others[0]).collect();
    check(&facts, &claimed, &alive, &by_hash(&facts, &alive), "dead");
    let mut drained = usual();
    node(&mut drained, others[0]).labels.insert(
        "node.kubernetes.io/exclude-from-external-load-balancers".to_owned(),
        String::new(),
    );
    check(&drained, &claimed, &ALL, &hash, "drained");
    let mut preferred = usual();
    the_ad(&mut preferred).preferences = vec![prefer(10, &[others[1]])];
    check(&preferred, &claimed, &ALL, others[1], "less preferred");
    // Two claim at once: the hash decides between them.
    let both = ownership(STICKY, &[(IP, 3, &others[..])]);
    check(&facts, &both, &ALL, &by_hash(&facts, &others), "two");
}

#[test]
fn the_explanation_names_who_claims_it() {
    let facts = usual();
    let mut station = Station::on("node-a", &facts, &members(&ALL));
    let remark = |station: &Station| {
        let allocation = Allocation::Elsewhere;
        let said = explain(&facts, &station.speaker, allocation, &key("web")).unwrap();
        said.remarks
    };
    assert_eq!(remark(&station), [""; 0]);
    let rows = [
        (
            Fleet::Stateless,
            &["node-b"][..],
            "the hash decides between candidates; node-b claims it, epoch 3",
        ),
        (
            STICKY,
            &["node-b", "node-c"][..],
            "whoever has the address keeps it; node-b and node-c claim it, epoch 3",
        ),
    ];
    for (fleet, nodes, want) in rows {
        let owned = ownership(fleet, &[(IP, 3, nodes)]);
        station.tell(&facts, Input::Ownership(owned));
        assert_eq!(remark(&station), [want]);
    }
    station.tell(&facts, Input::Ownership(ownership(STICKY, &[])));
    let want = "whoever has the address keeps it; no live member claims it";
    assert_eq!(remark(&station), [want]);
}

#[test]
fn the_explanation_marks_claimants_and_suspects() {
    let facts = usual();
    let mut station = Station::on("node-a", &facts, &members(&ALL));
    let mut owned = ownership(STICKY, &[(IP, 3, &["node-b"])]);
    owned.doubted = ["node-c".into()].into();
    station.tell(&facts, Input::Ownership(owned));
    let said = explain(&facts, &station.speaker, Allocation::Elsewhere, &key("web"));
    let nodes = said.unwrap().nodes;
    let marks = nodes
        .iter()
        .map(|n| (n.node.as_str(), n.claims, n.suspected));
    assert_eq!(
        marks.collect::<Vec<_>>(),
        [
            ("node-b", true, false),
            ("node-a", false, false),
            ("node-c", false, true)
        ]
    );
}

#[test]
fn a_changed_claim_decides_its_services_only_and_nothing_where_none_count() {
    let facts = usual();
    let hash = by_hash(&facts, &ALL);
    let other = *ALL.iter().find(|n| **n != hash).unwrap();
    let mut station = Station::on(&hash, &facts, &members(&ALL));
    let held = |s: &Station| s.tables.last().unwrap().entries.len();
    assert_eq!(held(&station), 1);
    let claimed = |fleet| ownership(fleet, &[(IP, 3, &[other][..])]);
    station.tell(&facts, Input::Ownership(claimed(Fleet::Stateless)));
    assert_eq!((held(&station), station.tables.len()), (1, 1));
    station.tell(&facts, Input::Ownership(claimed(STICKY)));
    assert_eq!((held(&station), station.tables.len()), (0, 2));
    assert!(station.tables[1].yielded.contains(&IP.parse().unwrap()));
    station.tell(
        &facts,
        Input::Ownership(ownership(STICKY, &[(IP, 4, &[&hash])])),
    );
    assert_eq!((held(&station), station.tables.len()), (1, 3));
    station.tell(
        &facts,
        Input::Ownership(ownership(STICKY, &[("192.168.1.9", 1, &[other])])),
    );
    assert_eq!(
        (held(&station), station.tables.len()),
        (1, 3),
        "nobody claims it: the hash"
    );
}

/// What happens to a fleet.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Dies(usize),
    Returns(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let node = 0..ALL.len();
    prop_oneof![
        node.clone().prop_map(Happening::Dies),
        node.prop_map(Happening::Returns),
    ]
}

proptest! {
    /// Given the same, all agree: one node announces, or none where nobody is alive.
    #[test]
    fn all_agree(
        alive in prop::collection::btree_set(prop::sample::select(&ALL[..]), 0..=3),
        claimants in prop::collection::btree_set(prop::sample::select(&ALL[..]), 0..=3),
        sticky in any::<bool>(),
    ) {
        let facts = usual();
        let alive: Vec<&str> = alive.into_iter().collect();
        let claimants: Vec<&str> = claimants.into_iter().collect();
        let fleet = if sticky { STICKY } else { Fleet::Stateless };
        let owned = ownership(fleet, &[(IP, 1, &claimants)]);
        let got = announcing(&facts, &owned, &members(&alive));
        prop_assert_eq!(got.len(), usize::from(!alive.is_empty()));
        prop_assert!(got.iter().all(|n| alive.contains(&n.as_str())));
    }

    /// Only the end of its owner moves an address, and a return never does.
    #[test]
    fn only_the_owners_end_moves_an_address(
        all in prop::collection::vec(happening(), 0..20),
    ) {
        let facts = usual();
        let mut alive: BTreeSet<&str> = ALL.into();
        let mut claim = (0, None::<String>);
        for happening in all {
            match happening {
                Happening::Dies(i) => alive.remove(ALL[i]),
                Happening::Returns(i) => alive.insert(ALL[i]),
            };
            let owner = claim.1.clone().filter(|o| alive.contains(o.as_str()));
            let claimants: Vec<&str> = owner.iter().map(String::as_str).collect();
            let owned = ownership(STICKY, &[(IP, claim.0, &claimants)]);
            let alive: Vec<&str> = alive.iter().copied().collect();
            let now = announcing(&facts, &owned, &members(&alive)).pop();
            match (&owner, &now) {
                (Some(owner), Some(now)) => prop_assert_eq!(owner, now),
                (None, Some(_)) => claim.0 += 1,
                (Some(_) | None, None) => prop_assert!(alive.is_empty()),
            }
            claim.1 = now;
        }
    }
}

#[test]
fn who_isnt_reached_and_comes_before_is_a_rival() {
    let facts = usual();
    // The order of election is node-a, node-c, node-b.
    let table = |alive: &[&str], doubted: &[&str], of: &str| {
        let mut station = Station::deaf(of);
        let doubted = doubted.iter().map(|&n| n.into()).collect();
        let known = Ownership {
            doubted,
            ..Ownership::default()
        };
        station.tell(&facts, Input::Ownership(known));
        station.tell(&facts, Input::Membership(members(alive)));
        station.tell(&facts, Input::Links([("eth0".to_owned(), UP)].into()));
        let table = station.table().clone();
        let names = |set: &BTreeSet<corten_engine::names::NodeName>| {
            set.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let rivals = table.rivals.get(&IP.parse().unwrap()).map(names);
        (
            names(&table.unreached),
            rivals.unwrap_or_default(),
            table.alone,
        )
    };
    let all = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rows: [(Names<'_>, Names<'_>, &str, Names<'_>, Names<'_>, bool); 6] = [
        (&ALL, &[], "node-a", &[], &[], false),
        (
            &["node-b"],
            &[],
            "node-b",
            &["node-a", "node-c"],
            &["node-a", "node-c"],
            true,
        ),
        (&["node-a"], &[], "node-a", &["node-b", "node-c"], &[], true),
        (
            &["node-b", "node-c"],
            &[],
            "node-c",
            &["node-a"],
            &["node-a"],
            false,
        ),
        // It lost: there is nothing to leave to anybody.
        (
            &["node-b", "node-c"],
            &[],
            "node-b",
            &["node-a"],
            &[],
            false,
        ),
        // Suspected is as good as not reached, though still a candidate.
        (
            &ALL,
            &["node-b", "node-c"],
            "node-a",
            &["node-b", "node-c"],
            &[],
            true,
        ),
    ];
    for (alive, doubted, of, unreached, rivals, alone) in rows {
        let got = table(alive, doubted, of);
        assert_eq!(got, (all(unreached), all(rivals), alone), "{alive:?} {of}");
    }
    let mut station = Station::deaf("node-a");
    station.tell(&facts, Input::Membership(Membership::Disabled));
    station.tell(&facts, Input::Links([("eth0".to_owned(), UP)].into()));
    assert!(station.table().unreached.is_empty() && !station.table().alone);
}

#[test]
fn one_that_has_left_has_nothing_and_nobody_has_to_be_asked() {
    let facts = usual();
    for (alive, of) in [
        (&["node-c"][..], "node-c"),
        (&["node-b", "node-c"], "node-c"),
    ] {
        let mut station = Station::deaf(of);
        let left = ALL.iter().filter(|n| !alive.contains(n));
        let known = Ownership {
            left: left.map(|&n| n.into()).collect(),
            ..Ownership::default()
        };
        station.tell(&facts, Input::Membership(members(&ALL)));
        station.tell(&facts, Input::Ownership(known));
        station.tell(&facts, Input::Membership(members(alive)));
        station.tell(&facts, Input::Links([("eth0".to_owned(), UP)].into()));
        let table = station.table();
        assert!(
            table.unreached.is_empty() && table.rivals.is_empty(),
            "{alive:?}"
        );
        assert!(!table.alone && !table.entries.is_empty(), "{alive:?}");
    }
}
