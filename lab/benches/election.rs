//! Election of 10,000 Services × 100 nodes: what a membership change costs a speaker before it
//! knows its new addresses; the ranking alone, and a speaker's whole pass.

use corten_engine::advertise::l2::LinkState;
use corten_engine::config::selector::Selectors;
use corten_engine::config::{
    ConflictPolicy, Coverage, Entry, Filter, L2Advertisement, Ownership, Pool, PoolScope, Refresh,
};
use corten_engine::election::{Candidate, rank};
use corten_engine::facts::{
    Changes, Class, Endpoint, Endpoints, Facts, Families, FamilyPolicy, Ingress, Labels, Node,
    Origin, Requested, Service, Sharing, TrafficPolicy,
};
use corten_engine::flat::{FlatMap, FlatSet};
use corten_engine::ip::Family;
use corten_engine::membership::Membership;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::Kind;
use corten_engine::speaker::{BgpDriver, Input, Speaker, SpeakerOptions};
use criterion::{Criterion, criterion_group, criterion_main};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

const SERVICES: u32 = 10_000;
const NODES: u32 = 100;

fn name(n: u32) -> NodeName {
    format!("worker-{n:03}.example.net").into()
}

fn address(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + n).into()
}

fn election(c: &mut Criterion) {
    let nodes: Vec<NodeName> = (0..NODES).map(name).collect();
    let mut group = c.benchmark_group("election");
    group.sample_size(10);
    group.bench_function("10000 services x 100 nodes", |b| {
        b.iter(|| {
            for n in 0..SERVICES {
                let candidates = nodes.iter().map(|node| Candidate {
                    node,
                    score: 0,
                    claims: false,
                });
                black_box(rank(address(n), candidates));
            }
        });
    });
    group.finish();
}

fn service(n: u32) -> Service {
    Service {
        key: ServiceKey::new("bench", &format!("service-{n}")),
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
        ingress: Ingress::Addresses(vec![address(n)]),
        allocated_from: None,
        deprecated_annotations: Vec::new(),
    }
}

fn node(n: u32) -> Node {
    Node {
        name: name(n),
        labels: Labels::new(),
        network_unavailable: false,
        out_of_service: false,
        addresses: vec![Ipv4Addr::from_bits(0xc633_6400 + n).into()],
    }
}

fn advertisement() -> L2Advertisement {
    L2Advertisement {
        name: "all".to_owned(),
        pools: Filter::Any,
        by_label: false,
        nodes: Selectors::Everything,
        interfaces: Filter::Any,
        services: Selectors::Everything,
        preferences: Vec::new(),
        conflict: ConflictPolicy::Report,
        refresh: Refresh::Never,
        ownership: Ownership::Default,
    }
}

fn facts() -> Facts {
    let mut facts = Facts::new(Origin::Directory);
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        entries: vec![Entry {
            text: "10.0.0.0/8".to_owned(),
            cidrs: "10.0.0.0/8".parse().into_iter().collect(),
        }],
        auto_assign: true,
        avoid_buggy_ips: false,
        scope: PoolScope::Everyone,
    };
    facts.listed = Kind::ALL.into();
    facts.config.coverage = Coverage::Complete;
    facts.config.pools.insert(pool.name.clone(), pool);
    let all = advertisement();
    facts.config.l2.insert(all.name.clone(), all);
    facts.nodes = (0..NODES).map(|n| (name(n), node(n))).collect();
    for n in 0..SERVICES {
        let service = service(n);
        let endpoint = Endpoint {
            node: Some(name(n % NODES)),
            serving: true,
            has_address: true,
        };
        let slices = [("slice".into(), [endpoint].into())].into();
        let endpoints = Endpoints { slices };
        facts.endpoints.insert(service.key.clone(), endpoints);
        facts.services.insert(service.key.clone(), service.into());
    }
    facts
}

fn tell(speaker: &mut Speaker, facts: &Facts, input: Input) {
    speaker.handle(facts, input);
    while let Some(action) = speaker.poll_action() {
        black_box(action);
    }
}

fn speaker(facts: &Facts) -> Speaker {
    let mut speaker = Speaker::new(SpeakerOptions {
        node: name(0),
        class: Class::Default,
        ignore_exclude_lb: false,
        bgp: BgpDriver::Absent,
    });
    let up = LinkState {
        arp: true,
        ndp: true,
    };
    tell(&mut speaker, facts, Input::Membership(members(NODES)));
    let links = BTreeMap::from([("eth0".to_owned(), up)]);
    tell(&mut speaker, facts, Input::Links(links));
    speaker
}

fn members(count: u32) -> Membership {
    Membership::Members((0..count).map(name).collect())
}

/// Everything a speaker decides anew, its table included, when something changes.
fn pass(c: &mut Criterion) {
    let mut facts = facts();
    let mut group = c.benchmark_group("speaker, 10,000 Services, 100 nodes");
    group.sample_size(10);
    group.bench_function("start", |b| b.iter(|| speaker(&facts)));
    let mut settled = speaker(&facts);
    let mut alive = NODES;
    group.bench_function("a member dies or is back", |b| {
        b.iter(|| {
            alive = if alive == NODES { NODES - 1 } else { NODES };
            tell(&mut settled, &facts, Input::Membership(members(alive)));
        });
    });
    let mut settled = speaker(&facts);
    let nodes = Changes {
        nodes: true,
        ..Changes::default()
    };
    group.bench_function("a node's network fails or is back", |b| {
        b.iter(|| {
            if let Some(node) = facts.nodes.get_mut(&name(1)) {
                node.network_unavailable = !node.network_unavailable;
            }
            tell(&mut settled, &facts, Input::Facts(nodes.clone()));
        });
    });
    let one = Changes {
        services: [ServiceKey::new("bench", "service-5000")].into(),
        ..Changes::default()
    };
    group.bench_function("one Service changes", |b| {
        b.iter(|| tell(&mut settled, &facts, Input::Facts(one.clone())));
    });
    group.finish();
}

criterion_group!(benches, election, pass);
criterion_main!(benches);
