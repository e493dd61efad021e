//! Random worlds against a model of `spec/metallb.md` §6.1 to §6.3 that is written down a second
//! time, as plainly as possible.

use crate::bgp::{add_bgp_ad, add_peer, bgp_ad, peer};
use crate::world::{
    Station, add_node, add_pool, add_service, apps, empty, label, members, only, service,
    set_endpoints,
};
use corten_api::names::EXCLUDE_FROM_LB;
use corten_engine::advertise::bgp::BgpTable;
use corten_engine::config::Filter;
use corten_engine::config::community::Community;
use corten_engine::config::selector::Selectors;
use corten_engine::facts::{Facts, Ingress, TrafficPolicy};
use corten_engine::membership::Membership;
use corten_engine::names::NodeName;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SERVICES: usize = 5;
const NODES: usize = 3;
const PEERS: usize = 3;

#[derive(Clone, Debug)]
struct RandomAd {
    /// 0: every pool; 1, 2: that pool.
    pool: usize,
    /// Zones allowed; 2 and above stand for no selector.
    zone: usize,
    /// Service selected; `SERVICES` and above stand for no selector.
    service: usize,
    /// Peers listed.
    peers: Option<BTreeSet<usize>>,
    wide: bool,
    local_pref: u32,
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
    /// Zone, excluded, unavailable.
    nodes: Vec<(usize, bool, bool)>,
    ads: Vec<RandomAd>,
    /// Zone (2 and above: any), and whether the session carries IPv4.
    peers: Vec<(usize, bool)>,
    services: Vec<RandomService>,
}

prop_compose! {
    fn world()(
        nodes in prop::collection::vec(
            (0..2_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.1)), 1..=NODES),
        ads in prop::collection::vec(
            (0..3_usize, 0..6_usize, 0..SERVICES * 3,
             prop::option::weighted(0.4, prop::collection::btree_set(0..PEERS, 0..=2)),
             any::<bool>(), prop::sample::select(vec![0, 0, 0, 0, 0, 100])), 0..6),
        peers in prop::collection::vec((0..6_usize, prop::bool::weighted(0.8)), 0..=PEERS),
        services in prop::collection::vec(
            (prop::sample::select(vec![0, 1, 1, 1, 2, 2, 2, 3]), prop::bool::weighted(0.3),
             prop::collection::btree_map(0..NODES, prop::bool::weighted(0.8), 0..=NODES)), 1..=SERVICES),
    ) -> World {
        World {
            nodes,
            ads: ads.into_iter().map(|(pool, zone, service, peers, wide, local_pref)|
                RandomAd { pool, zone, service, peers, wide, local_pref }).collect(),
            peers,
            services: services.into_iter().map(|(pool, local, endpoints)|
                RandomService { pool, local, endpoints }).collect(),
        }
    }
}

fn zone(zone: usize) -> Selectors {
    if zone >= 2 {
        return Selectors::Everything;
    }
    Selectors::AnyOf(vec![label("zone", &[&zone.to_string()])])
}

/// Services of one pool are neighbours, so that they share aggregates.
fn prefix(pool: usize, i: usize, wide: bool) -> String {
    if wide {
        format!("10.{pool}.0.0/24")
    } else {
        format!("10.{pool}.0.{i}/32")
    }
}

/// What one node tells each of its peers: per prefix the communities and the LOCAL_PREF.
type Routes = BTreeMap<usize, BTreeMap<String, (BTreeSet<u16>, u32)>>;

impl World {
    fn facts(&self) -> Facts {
        let mut facts = empty();
        add_pool(&mut facts, "pool-1", &["10.1.0.0/16"]);
        add_pool(&mut facts, "pool-2", &["10.2.0.0/16"]);
        for (i, (zone, excluded, unavailable)) in self.nodes.iter().enumerate() {
            let name = format!("node-{i}");
            add_node(&mut facts, &name);
            let node = facts.nodes.get_mut(&NodeName(name)).unwrap();
            node.network_unavailable = *unavailable;
            node.labels.insert("zone".into(), zone.to_string());
            if *excluded {
                node.labels.insert(EXCLUDE_FROM_LB.into(), String::new());
            }
        }
        for (i, (peer_zone, v4)) in self.peers.iter().enumerate() {
            let address = if *v4 { "192.0.2.1" } else { "2001:db8::1" };
            let mut peer = peer(&i.to_string(), address);
            peer.nodes = zone(*peer_zone);
            add_peer(&mut facts, peer);
        }
        for (i, random) in self.ads.iter().enumerate() {
            let mut ad = bgp_ad(&i.to_string());
            if random.pool > 0 {
                ad.pools = only(&[&format!("pool-{}", random.pool)]);
            }
            ad.nodes = zone(random.zone);
            if random.service < SERVICES {
                ad.services = apps(&[&random.service.to_string()]);
            }
            if let Some(peers) = &random.peers {
                ad.peers = Filter::Only(peers.iter().map(ToString::to_string).collect());
            }
            ad.aggregation_v4 = if random.wide { 24 } else { 32 };
            ad.local_pref = random.local_pref;
            ad.communities = [Community::Standard(1, u16::try_from(i).unwrap())].into();
            add_bgp_ad(&mut facts, ad);
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
            let address = format!("10.{}.0.{i}", random.pool).parse().unwrap();
            new.ingress = Ingress::Addresses(vec![address]);
        }
        if random.local {
            new.traffic_policy = TrafficPolicy::Local;
        }
        let key = new.key.clone();
        add_service(facts, new);
        let on = random.endpoints.iter();
        let on: Vec<_> = on.map(|(n, s)| (format!("node-{n}"), *s)).collect();
        let on: Vec<_> = on.iter().map(|(n, s)| (Some(n.as_str()), *s)).collect();
        set_endpoints(facts, &key, &on);
    }

    /// §6 by the letter: what node `n` tells its peers.
    fn expected(&self, n: usize) -> Routes {
        let (node_zone, excluded, unavailable) = self.nodes[n];
        let in_zone = |zone: usize| zone >= 2 || zone == node_zone;
        let mut routes = Routes::new();
        for (p, (zone, _)) in self.peers.iter().enumerate() {
            if in_zone(*zone) {
                routes.insert(p, BTreeMap::new());
            }
        }
        for (i, service) in self.services.iter().enumerate() {
            let serving = if service.local {
                service.endpoints.get(&n) == Some(&true)
            } else {
                service.endpoints.values().any(|s| *s)
            };
            let pooled = service.pool == 1 || service.pool == 2;
            if !pooled || !serving || excluded || unavailable {
                continue;
            }
            let ads = self.ads.iter().enumerate().filter(|(_, a)| {
                (a.pool == 0 || a.pool == service.pool)
                    && in_zone(a.zone)
                    && (a.service >= SERVICES || a.service == i)
            });
            let ads: Vec<_> = ads.collect();
            let both = |a: &RandomAd, b: &RandomAd| match (&a.peers, &b.peers) {
                (Some(a), Some(b)) => a.intersection(b).next().is_some(),
                _ => true,
            };
            let conflict = ads.iter().any(|(_, a)| {
                ads.iter()
                    .any(|(_, b)| a.local_pref != b.local_pref && a.wide == b.wide && both(a, b))
            });
            if conflict {
                continue;
            }
            for (p, routes) in &mut routes {
                if !self.peers[*p].1 {
                    continue;
                }
                for (a, ad) in &ads {
                    if ad.peers.as_ref().is_none_or(|peers| peers.contains(p)) {
                        let prefix = prefix(service.pool, i, ad.wide);
                        let (communities, local_pref) = routes.entry(prefix).or_default();
                        communities.insert(u16::try_from(*a).unwrap());
                        *local_pref = ad.local_pref.max(*local_pref);
                    }
                }
            }
        }
        routes
    }
}

/// The table in the model's words.
fn routes(table: &BgpTable) -> Routes {
    let peers = table.peers.iter().map(|(name, peer)| {
        let routes = peer.routes.iter().map(|(prefix, route)| {
            let communities = route.attributes.communities.iter();
            let communities = communities.map(|c| match c {
                Community::Standard(_, value) => *value,
                Community::Large(..) => panic!("{c}"),
            });
            let route = (communities.collect(), route.attributes.local_pref);
            (prefix.to_string(), route)
        });
        (name.parse().unwrap(), routes.collect())
    });
    peers.collect()
}

fn station(facts: &Facts, n: usize, membership: &Membership) -> Station {
    Station::on(&format!("node-{n}"), facts, membership)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_tables_are_the_model_whoever_is_alive(world in world()) {
        let facts = world.facts();
        let alive = [Membership::Disabled, members(&[]), members(&["node-0"]), members(&["x"])];
        for n in 0..world.nodes.len() {
            for membership in &alive {
                let station = station(&facts, n, membership);
                let table = station.bgp_tables.last().unwrap();
                prop_assert_eq!(routes(table), world.expected(n), "{:?}", membership);
                for (key, verdict) in station.speaker.bgp_verdicts() {
                    let decision = station.speaker.bgp_decision(&facts, key);
                    prop_assert_eq!(&decision.verdict(station.speaker.node()), verdict);
                }
            }
        }
    }

    #[test]
    fn off_and_empty_are_not_everything(world in world()) {
        let full = world.facts();
        for n in 0..world.nodes.len() {
            let mut station = station(&full, n, &Membership::Disabled);
            let before = routes(&station.speaker.bgp_table());
            let mut change = |change: fn(&mut Facts)| {
                let mut facts = world.facts();
                change(&mut facts);
                station.all_changed(&facts);
                let after = routes(&station.speaker.bgp_table());
                station.all_changed(&full);
                (after, routes(&station.speaker.bgp_table()))
            };
            let rows: [fn(&mut Facts); 4] = [
                // No advertisement at all.
                |f| f.config.bgp.advertisements.clear(),
                // None for any peer, pool or node.
                |f| f.config.bgp.advertisements.values_mut().for_each(|ad| ad.peers = only(&[])),
                |f| f.config.bgp.advertisements.values_mut().for_each(|ad| ad.pools = only(&[])),
                |f| {
                    let ads = f.config.bgp.advertisements.values_mut();
                    ads.for_each(|ad| ad.nodes = Selectors::AnyOf(Vec::new()));
                },
            ];
            for row in rows {
                let (after, restored) = change(row);
                prop_assert!(after.keys().eq(before.keys()), "sessions stay");
                prop_assert!(after.values().all(BTreeMap::is_empty));
                prop_assert_eq!(&restored, &before);
            }
            let (after, restored) = change(|f| f.config.bgp.peers.clear());
            prop_assert!(after.is_empty());
            prop_assert_eq!(restored, before);
        }
    }

    #[test]
    fn one_change_at_a_time_leads_where_a_fresh_start_leads(world in world(), later in world()) {
        let mut now = world.clone();
        let mut facts = now.facts();
        let mut old: Vec<_> = (0..world.nodes.len())
            .map(|n| station(&facts, n, &Membership::Disabled))
            .collect();
        for i in 0..later.services.len().min(now.services.len()) {
            now.services[i] = later.services[i].clone();
            now.add_service(&mut facts, i);
            for station in &mut old {
                station.service_changed(&facts, &i.to_string());
            }
        }
        for (n, old) in old.iter().enumerate() {
            let fresh = station(&facts, n, &Membership::Disabled);
            prop_assert_eq!(old.speaker.bgp_table(), fresh.speaker.bgp_table());
            prop_assert_eq!(old.bgp_tables.last(), Some(&old.speaker.bgp_table()));
            prop_assert_eq!(routes(&fresh.speaker.bgp_table()), now.expected(n));
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
        announcing += usize::from(world.expected(0).values().any(|routes| !routes.is_empty()));
    }
    assert!(announcing > 20, "only {announcing} of 100");
}
