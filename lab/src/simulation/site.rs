//! What all nodes know of the cluster: its Nodes, Services and advertisements.

use super::plan::{Plan, Policy};
use corten_engine::config::selector::Selectors;
use corten_engine::config::{
    ConflictPolicy, Coverage, Entry, Filter, L2Advertisement, Ownership, Pool, PoolScope, Refresh,
};
use corten_engine::facts::{
    Class, Endpoint, Endpoints, Facts, Families, FamilyPolicy, Ingress, Labels, Node, Origin,
    Requested, Service, Sharing, TrafficPolicy,
};
use corten_engine::flat::{FlatMap, FlatSet};
use corten_engine::ip::Family;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::Kind;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The label that takes a node out.
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

pub(super) fn name(i: usize) -> String {
    format!("node-{i}")
}

pub(super) fn ip(i: usize) -> Ipv4Addr {
    let host = u32::try_from(i).unwrap_or(0) + 1;
    Ipv4Addr::from_bits(0x0a01_0000 + host)
}

pub(super) fn address(i: usize) -> SocketAddr {
    SocketAddr::new(ip(i).into(), 7946)
}

/// An address of a Service.
pub(super) fn virtual_ip(i: usize) -> IpAddr {
    let host = u32::try_from(i).unwrap_or(0) + 1;
    Ipv4Addr::from_bits(0x0a01_c800 + host).into()
}

/// What the API says while these nodes carry the exclude label.
pub(super) fn facts(plan: &Plan, excluded: &BTreeSet<usize>) -> Facts {
    let mut facts = Facts::new(Origin::Directory);
    facts.listed = Kind::ALL.into();
    facts.config.coverage = Coverage::Complete;
    for i in 0..plan.nodes {
        let label = excluded.contains(&i);
        let labels = label.then(|| (EXCLUDE.to_owned(), String::new()));
        let known = plan.fellows.then(|| ip(i).into());
        let node = Node {
            name: name(i).as_str().into(),
            labels: labels.into_iter().collect(),
            network_unavailable: false,
            out_of_service: false,
            addresses: known.into_iter().collect(),
        };
        facts.nodes.insert(node.name.clone(), node);
    }
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        entries: vec![Entry {
            text: "10.1.200.0/22".to_owned(),
            cidrs: "10.1.200.0/22".parse().into_iter().collect(),
        }],
        auto_assign: true,
        avoid_buggy_ips: false,
        scope: PoolScope::Everyone,
    };
    facts.config.pools.insert(pool.name.clone(), pool);
    let advertisement = L2Advertisement {
        name: "all".to_owned(),
        pools: Filter::Any,
        by_label: false,
        nodes: Selectors::Everything,
        interfaces: Filter::Any,
        services: Selectors::Everything,
        preferences: Vec::new(),
        conflict: ConflictPolicy::Report,
        refresh: Refresh::Never,
        ownership: match plan.policy {
            Policy::Metallb => Ownership::Metallb,
            Policy::Sticky => Ownership::Sticky,
        },
    };
    let name = advertisement.name.clone();
    facts.config.l2.insert(name, advertisement);
    let nodes: Vec<NodeName> = facts.nodes.keys().cloned().collect();
    for i in 0..plan.addresses {
        add_service(&mut facts, i, &nodes);
    }
    facts
}

fn add_service(facts: &mut Facts, i: usize, nodes: &[NodeName]) {
    let key = ServiceKey::new("default", &format!("service-{i}"));
    let endpoints = nodes.iter().map(|node| Endpoint {
        node: Some(node.clone()),
        serving: true,
        has_address: true,
    });
    let slices = [("slice".into(), endpoints.collect())].into();
    facts.endpoints.insert(key.clone(), Endpoints { slices });
    let service = Service {
        key: key.clone(),
        created: None,
        labels: Labels::new(),
        is_load_balancer: true,
        class: Class::Default,
        families: Families::Single(Family::V4),
        family_policy: FamilyPolicy::SingleStack,
        primary_family: Family::V4,
        traffic_policy: TrafficPolicy::Cluster,
        selector: FlatMap::new(),
        ports: FlatSet::new(),
        requested: Requested::Any,
        requested_pool: None,
        sharing: Sharing::Absent,
        ingress: Ingress::Addresses(vec![virtual_ip(i)]),
        allocated_from: None,
        deprecated_annotations: Vec::new(),
    };
    facts.services.insert(key, service.into());
}
