//! Rejected is not deleted: an address that loses its pool is announced on (§12 #28).

use crate::world::{
    Station, add_pool, announcers, ingress, ip, members, only, reject, stations, the_ad, usual, web,
};
use corten_engine::config::Filter;
use corten_engine::facts::Facts;
use corten_engine::membership::Membership;

const OFF: Membership = Membership::Disabled;

/// Tells every station of a change and says who announces then.
fn after(stations: &mut [Station], facts: &Facts) -> Vec<String> {
    for station in stations.iter_mut() {
        station.all_changed(facts);
    }
    announcers(stations, ip("192.168.1.240"))
}

#[test]
fn a_pool_taken_away_leaves_its_addresses_announced_until_they_are_cleared() {
    let ads = [Filter::Any, only(&["pool"])];
    for pools in ads {
        let mut facts = usual();
        the_ad(&mut facts).pools = pools;
        let mut all = stations(&facts, &OFF);
        // The compiler drops a pool that is gone from advertisements that chose it by label.
        facts.config.pools.clear();
        the_ad(&mut facts).pools = only(&[]);
        assert_eq!(after(&mut all, &facts), ["node-a"]);
        // The election goes on among those who know.
        for station in &mut all {
            station.tell(
                &facts,
                corten_engine::speaker::Input::Membership(members(&["node-b", "node-c"])),
            );
        }
        assert_eq!(after(&mut all, &facts), ["node-c"]);
        // Cleared: silent.
        web(&mut facts).ingress = ingress(&[]);
        assert_eq!(after(&mut all, &facts), Vec::<String>::new());
        // The same address again has no grounds any more.
        web(&mut facts).ingress = ingress(&["192.168.1.240"]);
        assert_eq!(after(&mut all, &facts), Vec::<String>::new());
    }
}

#[test]
fn an_advertisement_taken_away_is_obeyed() {
    let mut facts = usual();
    let mut all = stations(&facts, &OFF);
    facts.config.pools.clear();
    facts.config.l2.clear();
    assert_eq!(after(&mut all, &facts), Vec::<String>::new());
}

#[test]
fn a_rejection_withdraws_nothing() {
    let rejections: [&[&str]; 3] = [&[], &["pool"], &["other"]];
    for rejected in rejections {
        let mut facts = usual();
        the_ad(&mut facts).pools = only(&["pool"]);
        let mut all = stations(&facts, &OFF);
        facts.config.pools.clear();
        reject(&mut facts, rejected);
        assert_eq!(after(&mut all, &facts), ["node-a"], "{rejected:?}");
        let before = all[0].entry("192.168.1.240").cloned();
        add_pool(&mut facts, "pool", &["192.168.1.0/24"]);
        assert_eq!(after(&mut all, &facts), ["node-a"], "{rejected:?}");
        assert_eq!(
            all[0].entry("192.168.1.240"),
            before.as_ref(),
            "not even a gain"
        );
    }
}

#[test]
fn a_restart_changes_nothing_if_the_annotation_or_a_name_is_there() {
    let mut facts = usual();
    the_ad(&mut facts).pools = only(&["pool"]);
    facts.config.pools.clear();
    reject(&mut facts, &["pool"]);
    assert_eq!(
        announcers(&stations(&facts, &OFF), ip("192.168.1.240")),
        ["node-a"]
    );
    reject(&mut facts, &[]);
    assert_eq!(
        announcers(&stations(&facts, &OFF), ip("192.168.1.240")),
        Vec::<String>::new()
    );
    web(&mut facts).allocated_from = Some("pool".into());
    assert_eq!(
        announcers(&stations(&facts, &OFF), ip("192.168.1.240")),
        ["node-a"]
    );
}
