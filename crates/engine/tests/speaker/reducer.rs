//! The reducer: when it speaks, what the table says, and which events it emits.

use crate::world::{
    Station, UP, ad, add_ad, add_node, add_pool, add_service, announcers, apps, empty, ingress, ip,
    key, members, node, only, prefer, service, set_endpoints, stations, the_ad, usual, web,
};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::advertise::l2::{Conflict, Mac, Reason, Verdict};
use corten_engine::config::ConflictPolicy;
use corten_engine::facts::{Changes, Facts, Sharing};
use corten_engine::membership::Membership;
use corten_engine::rejection::Kind;
use corten_engine::speaker::{Input, LinkState};
use std::collections::BTreeSet;

/// What a row changes, and whether the address is yielded then.
type Row = (&'static str, fn(&mut Facts), bool);

const OFF: Membership = Membership::Disabled;

fn links() -> Input {
    Input::Links([("eth0".to_owned(), UP)].into())
}

fn conflict(address: &str) -> Conflict {
    Conflict {
        ip: ip(address),
        mac: Mac([2, 0, 0, 0, 0, 9]),
        interface: "eth0".into(),
        proxy_arp: false,
    }
}

#[test]
fn no_table_before_everything_is_known() {
    let mut facts = usual();
    let all = facts.listed.clone();
    let needed = [
        Kind::Service,
        Kind::EndpointSlice,
        Kind::Node,
        Kind::Namespace,
        Kind::IPAddressPool,
        Kind::L2Advertisement,
    ];
    for missing in needed {
        facts.listed = all.clone();
        facts.listed.remove(&missing);
        let mut station = Station::on("node-a", &facts, &OFF);
        station.all_changed(&facts);
        assert_eq!(station.tables, [], "without {missing}");
        facts.listed = needed.into();
        station.tell(
            &facts,
            Input::Facts(Changes {
                listed: true,
                ..Changes::default()
            }),
        );
        assert!(
            station.entry("192.168.1.240").is_some(),
            "without {missing}"
        );
    }
    for told in [Input::Membership(OFF), links()] {
        let mut station = Station::deaf("node-a");
        station.tell(&facts, told.clone());
        station.all_changed(&facts);
        assert_eq!(station.tables, [], "told only {told:?}");
        assert_eq!(station.speaker.verdicts().count(), 0);
    }
}

#[test]
fn the_first_table_goes_out_even_if_empty_and_no_table_twice() {
    let mut facts = usual();
    facts.services.clear();
    let mut station = Station::on("node-a", &facts, &OFF);
    assert_eq!(station.tables.len(), 1);
    assert!(station.table().entries.is_empty());
    station.all_changed(&facts);
    station.tell(
        &facts,
        Input::Membership(members(&["node-a", "node-b", "node-c"])),
    );
    assert_eq!(station.tables.len(), 1, "nothing changed");
}

#[test]
fn off_is_not_empty_and_empty_is_not_off() {
    let facts = usual();
    let announcing =
        |membership: &Membership| announcers(&stations(&facts, membership), ip("192.168.1.240"));
    assert_eq!(announcing(&OFF), ["node-a"]);
    assert_eq!(announcing(&members(&[])), Vec::<String>::new());
    // Also as a change, both ways.
    let mut station = Station::on("node-a", &facts, &OFF);
    station.tell(&facts, Input::Membership(members(&[])));
    assert_eq!(station.entry("192.168.1.240"), None);
    station.tell(&facts, Input::Membership(OFF));
    assert!(station.entry("192.168.1.240").is_some());
}

#[test]
fn an_epoch_is_raised_on_every_gain_and_stays_otherwise() {
    let mut facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    let first = station.entry("192.168.1.240").unwrap().epoch;
    add_service(&mut facts, service("more", &["192.168.1.240"]));
    station.service_changed(&facts, "more");
    let entry = station.entry("192.168.1.240").unwrap();
    assert_eq!((entry.epoch, entry.services.len()), (first, 2));
    station.tell(&facts, Input::Membership(members(&["node-b"])));
    station.tell(&facts, Input::Membership(OFF));
    assert!(station.entry("192.168.1.240").unwrap().epoch > first);
}

#[test]
fn only_what_another_node_won_is_yielded() {
    let facts = usual();
    let rows: [Row; 6] = [
        ("drained", |f| drain(f, &["node-a"]), true),
        (
            "outvoted",
            |f| the_ad(f).preferences = vec![prefer(1, &["node-b"])],
            true,
        ),
        (
            "all drained",
            |f| drain(f, &["node-a", "node-b", "node-c"]),
            false,
        ),
        ("no endpoint", |f| set_endpoints(f, &key("web"), &[]), false),
        ("Service deleted", |f| f.services.clear(), false),
        (
            "address taken off",
            |f| web(f).ingress = ingress(&[]),
            false,
        ),
    ];
    for (name, change, yielded) in rows {
        let mut facts_now = usual();
        change(&mut facts_now);
        let mut station = Station::on("node-a", &facts, &OFF);
        assert!(!station.yields("192.168.1.240"), "{name}");
        station.all_changed(&facts_now);
        assert_eq!(station.entry("192.168.1.240"), None, "{name}");
        assert_eq!(station.yields("192.168.1.240"), yielded, "{name}");
    }
    let mut station = Station::on("node-a", &facts, &OFF);
    station.tell(&facts, Input::Links([].into()));
    assert_eq!(
        (
            station.entry("192.168.1.240"),
            station.yields("192.168.1.240")
        ),
        (None, false)
    );
}

fn drain(facts: &mut Facts, names: &[&str]) {
    for name in names {
        let labels = &mut node(facts, name).labels;
        labels.insert(EXCLUDE_FROM_LB.into(), String::new());
    }
}

#[test]
fn the_drained_node_says_so_and_still_yields() {
    let mut facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    drain(&mut facts, &["node-a"]);
    station.all_changed(&facts);
    let label = EXCLUDE_FROM_LB.to_owned();
    assert_eq!(
        *station.verdict("web"),
        Verdict::Withhold(Reason::NodeExcluded { label })
    );
    assert!(station.yields("192.168.1.240"));
}

#[test]
fn only_a_new_address_is_probed() {
    let mut facts = usual();
    // At the start: never.
    let mut station = Station::on("node-a", &facts, &OFF);
    assert!(!station.entry("192.168.1.240").unwrap().probe);
    // From no address to one: yes, and it stays so while the entry stays.
    web(&mut facts).ingress = ingress(&[]);
    station.service_changed(&facts, "web");
    web(&mut facts).ingress = ingress(&["192.168.1.240"]);
    station.service_changed(&facts, "web");
    assert!(station.entry("192.168.1.240").unwrap().probe);
    station.all_changed(&facts);
    assert!(station.entry("192.168.1.240").unwrap().probe);
    // Lost and regained: no.
    station.tell(&facts, Input::Membership(members(&["node-b"])));
    station.tell(&facts, Input::Membership(OFF));
    assert!(!station.entry("192.168.1.240").unwrap().probe);
}

#[test]
fn a_fail_over_is_not_probed_by_the_successor() {
    let mut facts = usual();
    facts.services.clear();
    let mut station = Station::on("node-c", &facts, &OFF);
    add_service(&mut facts, service("web", &["192.168.1.240"]));
    station.service_changed(&facts, "web");
    assert!(station.yields("192.168.1.240"), "node-a has it first");
    station.tell(&facts, Input::Membership(members(&["node-b", "node-c"])));
    assert!(!station.entry("192.168.1.240").unwrap().probe);
}

#[test]
fn an_address_nobody_could_announce_yet_is_still_new() {
    let mut facts = usual();
    facts.services.clear();
    let mut station = Station::on("node-a", &facts, &OFF);
    add_service(&mut facts, service("web", &["192.168.1.240"]));
    set_endpoints(&mut facts, &key("web"), &[]);
    station.service_changed(&facts, "web");
    set_endpoints(&mut facts, &key("web"), &[(Some("node-b"), true)]);
    station.service_changed(&facts, "web");
    assert!(station.entry("192.168.1.240").unwrap().probe);
}

#[test]
fn a_newcomer_on_a_shared_address_is_not_probed() {
    let mut facts = usual();
    web(&mut facts).sharing = Sharing::Key("k".into());
    set_endpoints(&mut facts, &key("web"), &[]);
    let mut station = Station::on("node-a", &facts, &OFF);
    let mut second = service("second", &["192.168.1.240"]);
    second.sharing = Sharing::Key("k".into());
    add_service(&mut facts, second);
    station.service_changed(&facts, "second");
    assert!(!station.entry("192.168.1.240").unwrap().probe);
}

#[test]
fn fellows_are_all_nodes_by_name() {
    let mut facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    add_node(&mut facts, "node-d");
    station.all_changed(&facts);
    let fellows = &station.table().fellows;
    assert_eq!(fellows.len(), 4);
    assert_eq!(fellows[&"node-a".into()], [ip("198.51.100.1")]);
}

#[test]
fn an_interface_not_usable_fails_here_and_moves_nothing() {
    let mut facts = usual();
    the_ad(&mut facts).interfaces = only(&["eth7"]);
    let mut all = stations(&facts, &OFF);
    assert_eq!(announcers(&all, ip("192.168.1.240")), Vec::<String>::new());
    let [a, b, ..] = &mut all[..] else { panic!() };
    let wanted = BTreeSet::from(["eth7".to_owned()]);
    assert_eq!(
        *a.verdict("web"),
        Verdict::Withhold(Reason::NoInterface { wanted })
    );
    assert_eq!(a.take_events(), ["announceFailed"]);
    assert_eq!(b.take_events(), Vec::<&str>::new());
    assert_eq!(a.speaker.announced().count(), 0);
    // It is not said again until it changes.
    a.all_changed(&facts);
    assert_eq!(a.take_events(), Vec::<&str>::new());
    let arp_only = LinkState {
        arp: true,
        ndp: false,
    };
    a.tell(&facts, Input::Links([("eth7".to_owned(), arp_only)].into()));
    assert_eq!(a.take_events(), ["nodeAssigned"]);
    let ndp_only = LinkState {
        arp: false,
        ndp: true,
    };
    a.tell(&facts, Input::Links([("eth7".to_owned(), ndp_only)].into()));
    assert_eq!(a.take_events(), ["announceFailed"]);
}

#[test]
fn node_assigned_is_said_on_gain_and_change() {
    let mut facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    assert_eq!(
        station.events[0].message,
        "announcing from node \"node-a\" with protocol \"layer2\""
    );
    assert_eq!(station.take_events(), ["nodeAssigned"]);
    station.all_changed(&facts);
    assert_eq!(station.take_events(), Vec::<&str>::new());
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::1"]);
    station.service_changed(&facts, "web");
    assert_eq!(station.take_events(), ["nodeAssigned"]);
    the_ad(&mut facts).interfaces = only(&["eth0"]);
    station.all_changed(&facts);
    assert_eq!(station.take_events(), ["nodeAssigned"], "elsewhere now");
    assert_eq!(station.speaker.announced().count(), 2);
}

#[test]
fn a_conflict_is_told_once_and_treated_by_policy() {
    let rows = [
        (ConflictPolicy::Report, true),
        (ConflictPolicy::Withhold, false),
        (ConflictPolicy::Defend, true),
    ];
    for (policy, announces) in rows {
        let mut facts = usual();
        the_ad(&mut facts).conflict = policy;
        let mut station = Station::on("node-a", &facts, &OFF);
        let epoch = station.entry("192.168.1.240").unwrap().epoch;
        station.take_events();
        let heard = BTreeSet::from([conflict("192.168.1.240"), conflict("203.0.113.9")]);
        station.tell(&facts, Input::Conflicts(heard.clone()));
        station.tell(&facts, Input::Conflicts(heard));
        station.all_changed(&facts);
        assert_eq!(station.take_events(), ["AddressConflict"], "{policy:?}");
        match station.verdict("web") {
            Verdict::Announce(a) => assert_eq!(a.conflicts, [conflict("192.168.1.240")]),
            Verdict::Withhold(reason) => {
                assert_eq!(*reason, Reason::AddressConflict(conflict("192.168.1.240")));
            }
        }
        assert_eq!(
            station.speaker.announced().count() == 1,
            announces,
            "{policy:?}"
        );
        // Whoever withholds goes on looking: the entry stays, with the policy in it.
        let entry = station.entry("192.168.1.240").unwrap();
        assert_eq!((entry.conflict, entry.epoch), (policy, epoch));
        station.tell(&facts, Input::Conflicts(BTreeSet::new()));
        assert_eq!(station.speaker.announced().count(), 1, "{policy:?}");
    }
}

#[test]
fn a_stranger_heard_by_a_loser_concerns_nobody() {
    let facts = usual();
    let mut station = Station::on("node-b", &facts, &OFF);
    station.tell(&facts, Input::Conflicts([conflict("192.168.1.240")].into()));
    assert_eq!(station.take_events(), Vec::<&str>::new());
}

#[test]
fn a_shared_address_is_one_entry() {
    let mut facts = usual();
    for name in ["web", "second"] {
        let mut shared = service(name, &["192.168.1.240"]);
        shared.sharing = Sharing::Key("k".into());
        add_service(&mut facts, shared);
    }
    let mut second = ad("second");
    second.interfaces = only(&["eth0"]);
    the_ad(&mut facts).interfaces = only(&["eth1"]);
    add_ad(&mut facts, second);
    let mut station = Station::on("node-a", &facts, &OFF);
    let entry = station.entry("192.168.1.240").unwrap();
    assert_eq!(entry.services, [key("second"), key("web")].into());
    assert_eq!(entry.interfaces, only(&["eth0", "eth1"]));
    set_endpoints(&mut facts, &key("web"), &[]);
    station.service_changed(&facts, "web");
    assert_eq!(
        station.entry("192.168.1.240").unwrap().services,
        [key("second")].into()
    );
    facts.services.remove(&key("second"));
    station.service_changed(&facts, "second");
    assert_eq!(station.entry("192.168.1.240"), None);
    assert_eq!(station.speaker.verdicts().count(), 1);
}

#[test]
fn an_address_that_passes_to_another_service_is_held_on() {
    let mut facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    let epoch = station.entry("192.168.1.240").unwrap().epoch;
    facts.services.remove(&key("web"));
    add_service(&mut facts, service("heir", &["192.168.1.240"]));
    let services = [key("web"), key("heir")].into();
    station.tell(
        &facts,
        Input::Facts(Changes {
            services,
            ..Changes::default()
        }),
    );
    let entry = station.entry("192.168.1.240").unwrap();
    assert_eq!(
        (entry.epoch, &entry.services),
        (epoch, &[key("heir")].into())
    );
}

#[test]
fn an_address_held_for_one_service_is_not_yielded_for_another() {
    // A second address goes with the first, so the same address alone may be another node's.
    let mut facts = usual();
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::"]);
    add_service(&mut facts, service("alone", &["2001:db8::"]));
    let station = Station::on("node-a", &facts, &OFF);
    let alone = station.speaker.decision(&facts, &key("alone")).unwrap();
    assert_ne!(alone.winner(), Some(&"node-a".into()));
    assert_eq!(
        station.entry("2001:db8::").unwrap().services,
        [key("web")].into()
    );
    assert!(!station.yields("2001:db8::"));
}

#[test]
fn each_change_alone_is_heeded() {
    type Row = (&'static str, fn(&mut Facts), fn(&mut Changes));
    let rows: [Row; 4] = [
        (
            "a node",
            |f| node(f, "node-a").network_unavailable = true,
            |c| c.nodes = true,
        ),
        (
            "the advertisement",
            |f| f.config.l2.clear(),
            |c| {
                c.config = true;
            },
        ),
        (
            "the pool",
            |f| {
                the_ad(f).pools = only(&["pool"]);
                f.config.pools.clear();
                add_pool(f, "other", &["192.168.1.0/24"]);
            },
            |c| c.pools = true,
        ),
        (
            "the Service",
            |f| web(f).is_load_balancer = false,
            |c| _ = c.services.insert(key("web")),
        ),
    ];
    for (row, change, says) in rows {
        let mut facts = usual();
        let mut station = Station::on("node-a", &facts, &OFF);
        assert!(station.entry("192.168.1.240").is_some(), "{row}");
        change(&mut facts);
        let mut changes = Changes::default();
        says(&mut changes);
        station.tell(&facts, Input::Facts(changes));
        assert_eq!(station.entry("192.168.1.240"), None, "{row}");
    }
}

#[test]
fn a_world_of_nothing_has_a_table_and_no_table_goes_out_twice() {
    let facts = empty();
    let station = Station::on("node-a", &facts, &OFF);
    assert_eq!(station.tables.len(), 1);
    let facts = usual();
    let mut station = Station::on("node-a", &facts, &OFF);
    station.service_changed(&facts, "web");
    station.all_changed(&facts);
    assert_eq!(station.tables.len(), 1);
}

#[test]
fn an_address_in_the_place_of_another_is_not_probed() {
    let mut facts = usual();
    facts.services.clear();
    let mut station = Station::on("node-a", &facts, &OFF);
    add_service(&mut facts, service("web", &["192.168.1.240"]));
    set_endpoints(&mut facts, &key("web"), &[]);
    station.service_changed(&facts, "web");
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::1"]);
    station.service_changed(&facts, "web");
    set_endpoints(&mut facts, &key("web"), &[(None, true)]);
    station.service_changed(&facts, "web");
    assert!(!station.entry("192.168.1.240").unwrap().probe);
}

#[test]
fn one_family_is_enough_to_announce() {
    let mut facts = usual();
    web(&mut facts).ingress = ingress(&["192.168.1.240", "2001:db8::1"]);
    let mut station = Station::on("node-a", &facts, &OFF);
    let link = |arp, ndp| Input::Links([("eth0".to_owned(), LinkState { arp, ndp })].into());
    for (arp, ndp) in [(true, false), (false, true), (true, true)] {
        station.tell(&facts, link(arp, ndp));
        assert_eq!(station.speaker.announced().count(), 2, "{arp} {ndp}");
    }
    station.tell(&facts, link(false, false));
    assert_eq!(station.speaker.announced().count(), 0);
}

#[test]
fn a_stranger_known_before_the_gain_is_told_at_the_gain() {
    let facts = usual();
    let mut station = Station::on("node-a", &facts, &members(&["node-b"]));
    station.tell(&facts, Input::Conflicts([conflict("192.168.1.240")].into()));
    // Decided about again as the loser.
    station.all_changed(&facts);
    assert_eq!(station.take_events(), Vec::<&str>::new());
    station.tell(&facts, Input::Membership(OFF));
    assert_eq!(station.take_events(), ["nodeAssigned", "AddressConflict"]);
}

#[test]
fn services_on_one_address_add_up() {
    let mut facts = usual();
    facts.config.l2.clear();
    let rows = [
        ("second", "eth0", ConflictPolicy::Report),
        ("third", "eth1", ConflictPolicy::Withhold),
        ("web", "eth2", ConflictPolicy::Defend),
    ];
    for (name, interface, policy) in rows {
        add_service(&mut facts, service(name, &["192.168.1.240"]));
        let mut ad = ad(name);
        ad.services = apps(&[name]);
        ad.interfaces = only(&[interface]);
        ad.conflict = policy;
        add_ad(&mut facts, ad);
    }
    let mut station = Station::on("node-a", &facts, &OFF);
    let links = rows.map(|(_, interface, _)| (interface.to_owned(), UP));
    station.tell(&facts, Input::Links(links.into()));
    let entry = station.entry("192.168.1.240").unwrap();
    assert_eq!(entry.interfaces, only(&["eth0", "eth1", "eth2"]));
    assert_eq!(entry.conflict, ConflictPolicy::Withhold);
}
