//! Rejected is not deleted: an address that loses its pool is announced on (§12 #28).

use crate::world::{
    Station, UP, ad, add_ad, add_pool, announcers, ingress, ip, members, only, reject, stations,
    the_ad, usual, web,
};
use corten_engine::config::Filter;
use corten_engine::facts::Facts;
use corten_engine::membership::Membership;
use corten_engine::speaker::Input;

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
            station.tell(&facts, Input::Membership(members(&["node-b", "node-c"])));
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

#[test]
fn who_ran_on_and_who_started_anew_announce_alike() {
    // Interfaces of the advertisement for each pool, when the pool on record is `recorded`, those
    // accepted lack the address, and `rejected` are rejected.
    type Row = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );
    let rows: [Row; 4] = [
        ("rejected", &["rejected", "other"], &["rejected0"]),
        ("accepted", &["other"], &["other0"]),
        ("unknown", &["other"], &["unknown0"]),
        ("unadvertised", &["other"], &["other0"]),
    ];
    for (recorded, rejected, wanted) in rows {
        let mut facts = usual();
        facts.config.l2.clear();
        web(&mut facts).allocated_from = Some(recorded.into());
        let mut running = Station::on("node-a", &facts, &OFF);
        facts.config.pools.clear();
        add_pool(&mut facts, "accepted", &["10.0.0.0/24"]);
        for name in ["rejected", "accepted", "unknown", "other"] {
            let mut ad = ad(name);
            ad.pools = only(&[name]);
            ad.interfaces = only(&[&format!("{name}0")]);
            add_ad(&mut facts, ad);
        }
        reject(&mut facts, rejected);
        running.all_changed(&facts);
        let links = rows.map(|(_, _, w)| (w[0].to_owned(), UP));
        for mut station in [running, Station::on("node-a", &facts, &OFF)] {
            station.tell(&facts, Input::Links(links.clone().into()));
            let entry = station.entry("192.168.1.240").unwrap();
            assert_eq!(entry.interfaces, only(wanted), "{recorded}");
        }
    }
}

#[test]
fn what_the_facts_say_goes_before_what_is_remembered() {
    let mut facts = usual();
    web(&mut facts).allocated_from = Some("pool".into());
    the_ad(&mut facts).interfaces = only(&["eth0"]);
    let mut station = Station::on("node-a", &facts, &OFF);
    facts.config.pools.clear();
    reject(&mut facts, &["pool"]);
    let mut more = ad("more");
    more.interfaces = only(&["eth1"]);
    add_ad(&mut facts, more);
    station.all_changed(&facts);
    let entry = station.entry("192.168.1.240").unwrap();
    assert_eq!(entry.interfaces, only(&["eth0", "eth1"]));
}
