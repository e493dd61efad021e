//! Membership × traffic policy × node selectors: who announces in each cell. A membership that
//! is off and one that is empty are as different as can be; MetalLB 0.14.5 took the one for the
//! other, and nobody announced anything (`spec/metallb.md` §9.4).

use crate::world::{
    announcers, hosts, ip, key, members, set_endpoints, stations, the_ad, usual, web,
};
use corten_engine::facts::{Facts, TrafficPolicy};
use corten_engine::membership::Membership;

/// Who is alive for whoever decides.
fn memberships() -> [(&'static str, Membership); 8] {
    [
        ("off", Membership::Disabled),
        ("on", members(&["node-a", "node-b", "node-c"])),
        ("alone", members(&["node-b"])),
        ("empty", members(&[])),
        ("partitioned, one side", members(&["node-a"])),
        ("partitioned, the other", members(&["node-b", "node-c"])),
        ("one left", members(&["node-a", "node-c"])),
        // Each that leaves takes itself out.
        ("all left", members(&[])),
    ]
}

/// The usual world; with `Local`, node-a and node-b have endpoints; with selectors, only node-b
/// and node-c may announce.
fn facts(policy: TrafficPolicy, selected: bool) -> Facts {
    let mut facts = usual();
    web(&mut facts).traffic_policy = policy;
    if policy == TrafficPolicy::Local {
        let on = [(Some("node-a"), true), (Some("node-b"), true)];
        set_endpoints(&mut facts, &key("web"), &on);
    }
    if selected {
        the_ad(&mut facts).nodes = hosts(&["node-b", "node-c"]);
    }
    facts
}

#[test]
fn each_cell_has_its_owner() {
    let (a, b, c, nobody) = (Some("node-a"), Some("node-b"), Some("node-c"), None);
    // The order of election is node-a, node-c, node-b.
    let rows = [
        (
            TrafficPolicy::Cluster,
            false,
            [a, a, b, nobody, a, c, a, nobody],
        ),
        (
            TrafficPolicy::Cluster,
            true,
            [c, c, b, nobody, nobody, c, c, nobody],
        ),
        (
            TrafficPolicy::Local,
            false,
            [a, a, b, nobody, a, b, a, nobody],
        ),
        (
            TrafficPolicy::Local,
            true,
            [b, b, b, nobody, nobody, b, nobody, nobody],
        ),
    ];
    let documented = include_str!("../../../../docs/concepts/membership.md");
    let names = memberships().map(|(name, _)| name).join(" | ");
    assert!(documented.contains(&format!("| policy, selector | {names} |")));
    for (policy, selected, wanted) in rows {
        let cells = wanted.map(|w| w.unwrap_or("nobody").trim_start_matches("node-"));
        let selector = if selected { "b and c" } else { "none" };
        let row = format!("| {policy:?}, {selector} | {} |", cells.join(" | "));
        assert!(documented.contains(&row), "{row}");
        let facts = facts(policy, selected);
        for ((name, membership), wanted) in memberships().into_iter().zip(wanted) {
            let cell = format!("{name}, {policy:?}, selectors {selected}");
            let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
            // What all of them put on the wire together.
            let announcing = announcers(&stations(&facts, &membership), ip("192.168.1.240"));
            assert_eq!(announcing, wanted, "{cell}");
        }
    }
}
