//! Random worlds against a model of `spec/metallb.md` §5.2 that is written down a second time, as
//! plainly as possible.

use crate::world::{
    Station, ad, add_ad, add_node, add_pool, add_service, announcers, apps, empty, key, label,
    only, prefer, reject, service, set_endpoints, stations,
};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::config::selector::Selectors;
use corten_engine::facts::{Facts, Ingress, TrafficPolicy};
use corten_engine::membership::Membership;
use corten_engine::names::NodeName;
use corten_engine::speaker::Input;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Each address has one Service of the same number, so that an address has one election.
const SERVICES: usize = 6;
const NODES: usize = 5;

#[derive(Clone, Debug)]
struct RandomNode {
    zone: usize,
    excluded: bool,
    unavailable: bool,
}

#[derive(Clone, Debug)]
struct RandomAd {
    /// 0: every pool; 1, 2: that pool.
    pool: usize,
    /// Zones allowed; 2 stands for no selector.
    zone: usize,
    /// Service selected; `SERVICES` and above stand for no selector.
    service: usize,
    weight: i32,
    preferred: usize,
}

#[derive(Clone, Debug)]
struct RandomService {
    /// 0: no address; 1, 2: in that pool; 3: in no pool.
    pool: usize,
    local: bool,
    /// Nodes with an endpoint, and whether it serves.
    endpoints: BTreeMap<usize, bool>,
}

#[derive(Clone, Debug)]
struct World {
    nodes: Vec<RandomNode>,
    ads: Vec<RandomAd>,
    services: Vec<RandomService>,
    members: Option<BTreeSet<usize>>,
}

fn name(i: usize) -> String {
    format!("node-{i}")
}

fn address(pool: usize, i: usize) -> String {
    format!("10.{pool}.0.{i}")
}

prop_compose! {
    fn world()(
        nodes in prop::collection::vec(
            (0..2_usize, prop::bool::weighted(0.15), prop::bool::weighted(0.15)), 1..=NODES),
        ads in prop::collection::vec(
            (0..3_usize, 0..6_usize, 0..SERVICES * 4, 1..=3_i32, 0..NODES * 2), 0..5),
        services in prop::collection::vec(
            (prop::sample::select(vec![0, 1, 1, 1, 2, 2, 2, 3]), any::<bool>(),
             prop::collection::btree_map(0..NODES, prop::bool::weighted(0.8), 0..=NODES)), 0..=SERVICES),
        members in prop::option::of(prop::collection::btree_set(0..NODES, 1..=NODES)),
    ) -> World {
        World {
            nodes: nodes.into_iter().map(|(zone, excluded, unavailable)|
                RandomNode { zone, excluded, unavailable }).collect(),
            ads: ads.into_iter().map(|(pool, zone, service, weight, preferred)|
                RandomAd { pool, zone, service, weight, preferred }).collect(),
            services: services.into_iter().map(|(pool, local, endpoints)|
                RandomService { pool, local, endpoints }).collect(),
            members,
        }
    }
}

impl World {
    fn facts(&self) -> Facts {
        let mut facts = empty();
        add_pool(&mut facts, "pool-1", &["10.1.0.0/16"]);
        add_pool(&mut facts, "pool-2", &["10.2.0.0/16"]);
        for (i, random) in self.nodes.iter().enumerate() {
            add_node(&mut facts, &name(i));
            let node = facts.nodes.get_mut(&NodeName(name(i))).unwrap();
            node.network_unavailable = random.unavailable;
            node.labels.insert("zone".into(), random.zone.to_string());
            if random.excluded {
                node.labels.insert(EXCLUDE_FROM_LB.into(), String::new());
            }
        }
        for (i, random) in self.ads.iter().enumerate() {
            let mut ad = ad(&format!("ad-{i}"));
            if random.pool > 0 {
                ad.pools = only(&[&format!("pool-{}", random.pool)]);
            }
            if random.zone < 2 {
                let zone = random.zone.to_string();
                ad.nodes = Selectors::AnyOf(vec![label("zone", &[&zone])]);
            }
            if random.service < SERVICES {
                ad.services = apps(&[&random.service.to_string()]);
            }
            ad.preferences = vec![prefer(random.weight, &[&name(random.preferred)])];
            add_ad(&mut facts, ad);
        }
        for i in 0..self.services.len() {
            self.add_service(&mut facts, i);
        }
        facts
    }

    fn add_service(&self, facts: &mut Facts, i: usize) {
        let random = &self.services[i];
        let mut new = service(&i.to_string(), &[]);
        if random.pool > 0 {
            new.ingress = Ingress::Addresses(vec![address(random.pool, i).parse().unwrap()]);
        }
        if random.local {
            new.traffic_policy = TrafficPolicy::Local;
        }
        let key = new.key.clone();
        add_service(facts, new);
        let names: Vec<_> = random
            .endpoints
            .iter()
            .map(|(n, s)| (name(*n), *s))
            .collect();
        let on: Vec<_> = names.iter().map(|(n, s)| (Some(n.as_str()), *s)).collect();
        set_endpoints(facts, &key, &on);
    }

    fn membership(&self) -> Membership {
        match &self.members {
            None => Membership::Disabled,
            Some(alive) => Membership::Members(alive.iter().map(|&i| NodeName(name(i))).collect()),
        }
    }

    /// §5.2 by the letter: the node that announces Service `i`.
    fn winner(&self, i: usize) -> Option<usize> {
        let service = &self.services[i];
        if service.pool == 0 || service.pool == 3 || !service.endpoints.values().any(|s| *s) {
            return None;
        }
        let ads: Vec<_> = self
            .ads
            .iter()
            .filter(|a| a.pool == 0 || a.pool == service.pool)
            .filter(|a| a.service >= SERVICES || a.service == i)
            .collect();
        let mut best: Option<(i32, [u8; 32], usize)> = None;
        for (n, node) in self.nodes.iter().enumerate() {
            let allowing: Vec<_> = ads
                .iter()
                .filter(|a| a.zone >= 2 || a.zone == node.zone)
                .collect();
            let alive = self.members.as_ref().is_none_or(|m| m.contains(&n));
            let serving = !service.local || service.endpoints.get(&n) == Some(&true);
            if allowing.is_empty() || !alive || node.excluded || node.unavailable || !serving {
                continue;
            }
            let score: i32 = allowing
                .iter()
                .filter(|a| a.preferred == n)
                .map(|a| a.weight)
                .sum();
            let text = format!("{}#{}", name(n), address(service.pool, i));
            let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
            if best.is_none_or(|(s, h, _)| score > s || (score == s && hash < h)) {
                best = Some((score, hash, n));
            }
        }
        best.map(|(_, _, n)| n)
    }

    /// Who announces each address that anyone announces, by the model.
    fn expected(&self) -> BTreeMap<IpAddr, Vec<String>> {
        (0..self.services.len())
            .filter_map(|i| {
                let ip = address(self.services[i].pool, i).parse().unwrap();
                Some((ip, vec![name(self.winner(i)?)]))
            })
            .collect()
    }
}

/// Who announces each address that anyone announces, by the tables.
fn announced(stations: &[Station]) -> BTreeMap<IpAddr, Vec<String>> {
    let tables = stations.iter().map(Station::table);
    let all: BTreeSet<_> = tables.flat_map(|t| t.entries.keys().copied()).collect();
    all.into_iter()
        .map(|ip| (ip, announcers(stations, ip)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_tables_are_the_model_and_no_address_has_two(world in world()) {
        let facts = world.facts();
        let stations = stations(&facts, &world.membership());
        prop_assert_eq!(announced(&stations), world.expected());
        for (i, random) in world.services.iter().enumerate() {
            let ip: IpAddr = address(random.pool, i).parse().unwrap();
            for station in &stations {
                let elsewhere = world.winner(i).is_some_and(|n| name(n) != station.speaker.node().0);
                prop_assert_eq!(station.table().yielded.contains(&ip), elsewhere);
                let decision = station.speaker.decision(&facts, &key(&i.to_string())).unwrap();
                prop_assert_eq!(
                    &decision.verdict(station.speaker.node()),
                    station.verdict(&i.to_string())
                );
            }
        }
    }

    #[test]
    fn off_is_everybody_and_empty_is_nobody(mut world in world()) {
        let facts = world.facts();
        world.members = None;
        let off = announced(&stations(&facts, &world.membership()));
        prop_assert_eq!(&off, &world.expected());
        prop_assert!(off.values().all(|by| by.len() == 1));
        world.members = Some((0..NODES).collect());
        prop_assert_eq!(announced(&stations(&facts, &world.membership())), off);
        world.members = Some(BTreeSet::new());
        prop_assert_eq!(announced(&stations(&facts, &world.membership())), BTreeMap::new());
    }

    #[test]
    fn a_death_moves_only_the_dead_nodes_addresses(
        mut world in world(),
        dead in any::<prop::sample::Index>(),
    ) {
        world.members = Some((0..NODES).collect());
        let facts = world.facts();
        let mut stations = stations(&facts, &world.membership());
        let before = announced(&stations);
        let dead = dead.index(world.nodes.len());
        world.members = Some((0..NODES).filter(|n| *n != dead).collect());
        for station in &mut stations {
            station.tell(&facts, Input::Membership(world.membership()));
        }
        let after = announced(&stations);
        prop_assert_eq!(&after, &world.expected());
        for (ip, by) in &before {
            if *by != [name(dead)] {
                prop_assert_eq!(after.get(ip), Some(by), "{} was moved", ip);
            }
        }
    }

    #[test]
    fn a_rejection_withdraws_and_moves_nothing(
        world in world(),
        named in prop::collection::btree_set(1..3_usize, 0..=2),
        gone in prop::collection::btree_set(1..3_usize, 1..=2),
    ) {
        let mut facts = world.facts();
        let mut stations = stations(&facts, &world.membership());
        let before = announced(&stations);
        for n in &gone {
            facts.config.pools.remove(&format!("pool-{n}").into());
        }
        let named: Vec<_> = named.iter().map(|n| format!("pool-{n}")).collect();
        reject(&mut facts, &named.iter().map(String::as_str).collect::<Vec<_>>());
        for station in &mut stations {
            station.all_changed(&facts);
        }
        let after = announced(&stations);
        for ip in before.keys() {
            prop_assert!(after.get(ip).is_some_and(|by| by.len() == 1), "{} has {:?}", ip, after.get(ip));
        }
        prop_assert!(after.values().all(|by| by.len() == 1), "{:?}", after);
        // Accepted again, all is as before.
        let facts = world.facts();
        for station in &mut stations {
            station.all_changed(&facts);
        }
        // But an address of no pool that came to be announced meanwhile waits to be cleared.
        let mut after = announced(&stations);
        after.retain(|ip, _| !ip.to_string().starts_with("10.3."));
        prop_assert_eq!(after, before);
    }

    #[test]
    fn a_restart_amid_a_rejection_changes_nothing_where_the_pool_is_on_record(world in world()) {
        let mut facts = world.facts();
        for (i, random) in world.services.iter().enumerate() {
            let service = facts.services.get_mut(&key(&i.to_string())).unwrap();
            service.allocated_from = Some(format!("pool-{}", random.pool).into());
        }
        let before = announced(&stations(&facts, &world.membership()));
        facts.config.pools.clear();
        reject(&mut facts, &["pool-1"]);
        let after = announced(&stations(&facts, &world.membership()));
        for (ip, by) in before {
            prop_assert_eq!(after.get(&ip), Some(&by), "{}", ip);
        }
    }

    #[test]
    fn one_change_at_a_time_leads_where_a_fresh_start_leads(
        world in world(),
        later in world(),
        order in Just((0..SERVICES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut now = world.clone();
        let mut facts = now.facts();
        let mut old = stations(&facts, &now.membership());
        for i in order {
            if i >= later.services.len() || i >= now.services.len() {
                continue;
            }
            now.services[i] = later.services[i].clone();
            now.add_service(&mut facts, i);
            for station in &mut old {
                station.service_changed(&facts, &i.to_string());
            }
        }
        prop_assert_eq!(announced(&old), now.expected());
        let fresh = stations(&facts, &now.membership());
        for (old, fresh) in old.iter().zip(&fresh) {
            prop_assert!(old.speaker.verdicts().eq(fresh.speaker.verdicts()));
            prop_assert_eq!(&old.table().yielded, &fresh.table().yielded);
            prop_assert!(old.table().entries.keys().eq(fresh.table().entries.keys()));
        }
    }
}

/// The generator is worth nothing if hardly any of its worlds announces anything.
#[test]
fn random_worlds_announce() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut announcing = 0;
    for _ in 0..100 {
        let world = world().new_tree(&mut runner).unwrap().current();
        announcing += usize::from(!world.expected().is_empty());
    }
    assert!(announcing > 30, "only {announcing} of 100");
}
