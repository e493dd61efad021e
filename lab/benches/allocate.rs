//! Allocation: what one address costs in an empty and in a nearly full pool, and what a start
//! with many waiting Services costs.

use corten_engine::allocate::{Allocator, Claim, Request, SharingKey, Tenure, Wanted};
use corten_engine::config::{Coverage, Entry, Pool, PoolScope};
use corten_engine::controller::{Controller, ControllerOptions};
use corten_engine::facts::{
    Changes, Class, Facts, Families, FamilyPolicy, Ingress, Labels, Origin, Port, Protocol,
    Requested, Service, Sharing, TrafficPolicy,
};
use corten_engine::flat::FlatSet;
use corten_engine::ip::Family;
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn pool(cidr: &str, avoid_buggy_ips: bool) -> Pool {
    Pool {
        name: "pool".into(),
        labels: Labels::new(),
        entries: vec![Entry {
            text: cidr.to_owned(),
            cidrs: cidr.parse().into_iter().collect(),
        }],
        auto_assign: true,
        avoid_buggy_ips,
        scope: PoolScope::Everyone,
    }
}

fn allocator(cidr: &str, avoid: bool) -> Allocator {
    let pool = pool(cidr, avoid);
    let mut allocator = Allocator::default();
    allocator.set_pools(&[(pool.name.clone(), pool)].into());
    allocator
}

fn key(i: usize) -> ServiceKey {
    ServiceKey::new("bench", &format!("service-{i}"))
}

fn http() -> FlatSet<Port> {
    let port = Port {
        protocol: Protocol::Tcp,
        port: 80,
    };
    [port].into()
}

fn give(allocator: &mut Allocator, service: &ServiceKey, claim: &Claim, family: Family) {
    let labels = Labels::new();
    let request = Request {
        service,
        labels: &labels,
        claim,
        wanted: Wanted::Single(family),
    };
    if let Ok((_, addresses)) = allocator.choose(request) {
        drop(allocator.assign(request, &addresses, Tenure::New));
    }
}

fn alone() -> Claim {
    Claim {
        sharing: SharingKey::Exclusive,
        ports: http(),
    }
}

/// 100,000 addresses given from an empty pool.
fn many(c: &mut Criterion) {
    let keys: Vec<_> = (0..100_000).map(key).collect();
    let shared = Claim {
        sharing: SharingKey::Shared {
            key: "one for all".into(),
            backend: String::new(),
        },
        ports: http(),
    };
    let mut group = c.benchmark_group("allocate 100,000");
    group.sample_size(10);
    let rows = [
        ("IPv4 /8", "10.0.0.0/8", Family::V4, alone()),
        ("IPv6 /64", "fd00::/64", Family::V6, alone()),
        (
            "one sharing key, one port",
            "10.0.0.0/8",
            Family::V4,
            shared,
        ),
    ];
    for (name, cidr, family, claim) in rows {
        group.bench_function(name, |b| {
            b.iter_batched(
                || allocator(cidr, false),
                |mut a| {
                    for key in &keys {
                        give(&mut a, key, &claim, family);
                    }
                    a
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// One address given and taken back, when 100,000 are in use: everything before the last gap, or
/// every second address, the worst pattern for intervals.
fn one_more(c: &mut Criterion) {
    let labels = Labels::new();
    let claim = alone();
    let mut group = c.benchmark_group("next free");
    let rows = [
        ("IPv4 /8, 100,000 in a row", "10.0.0.0/8", false, 1),
        ("IPv4 /8, every second", "10.0.0.0/8", false, 2),
        (
            "IPv4 /8 avoiding .0 and .255, 100,000 in a row",
            "10.0.0.0/8",
            true,
            1,
        ),
        ("IPv6 /64, 100,000 in a row", "fd00::/64", false, 1),
        ("IPv6 /64, every second", "fd00::/64", false, 2),
        ("IPv4 /15, all but 1,072 in use", "10.0.0.0/15", false, 0),
    ];
    for (name, cidr, avoid, step) in rows {
        let family = if cidr.contains(':') {
            Family::V6
        } else {
            Family::V4
        };
        let mut a = allocator(cidr, avoid);
        let count: u32 = if step == 0 { 130_000 } else { 100_000 };
        for i in 0..count {
            let service = key(i as usize);
            let request = Request {
                service: &service,
                labels: &labels,
                claim: &claim,
                wanted: Wanted::Single(family),
            };
            if step == 2 {
                let ip = match family {
                    Family::V4 => IpAddr::V4(Ipv4Addr::from((10 << 24) + 2 * i)),
                    Family::V6 => IpAddr::V6(Ipv6Addr::from((0xfd00 << 112) + 2 * u128::from(i))),
                };
                drop(a.assign(request, &[ip], Tenure::New));
            } else {
                give(&mut a, &service, &claim, family);
            }
        }
        let late = key(1_000_000);
        group.bench_function(name, |b| {
            b.iter(|| {
                give(&mut a, &late, &claim, family);
                black_box(a.release(&late));
            });
        });
    }
    group.finish();
}

/// The last addresses of a pool, given and taken back: as if every other one were in use.
fn nearly_full(c: &mut Criterion) {
    let claim = alone();
    let mut group = c.benchmark_group("nearly full");
    let rows = [
        ("IPv4 /8, one free", "10.0.0.0/8", "10.255.255.255", 1),
        (
            "IPv4 /8, 1,000 apart",
            "10.0.0.0/8",
            "10.255.255.255",
            1_000,
        ),
        (
            "IPv6 /64, one free",
            "fd00::/64",
            "fd00::ffff:ffff:ffff:ffff",
            1,
        ),
        (
            "IPv6 /64, 1,000 apart",
            "fd00::/64",
            "fd00::ffff:ffff:ffff:ffff",
            1_000,
        ),
    ];
    for (name, cidr, last, count) in rows {
        let (family, free): (_, Vec<IpAddr>) = match last.parse() {
            Ok(IpAddr::V4(ip)) => {
                let apart = (0..count).map(|i| Ipv4Addr::from(u32::from(ip) - 2 * i).into());
                (Family::V4, apart.collect())
            }
            Ok(IpAddr::V6(ip)) => {
                let number = |i| u128::from(ip) - 2 * u128::from(i);
                let apart = (0..count).map(|i| Ipv6Addr::from(number(i)).into());
                (Family::V6, apart.collect())
            }
            Err(_) => continue,
        };
        let mut a = allocator(cidr, false);
        a.leave_free(&free);
        let late = key(0);
        group.bench_function(name, |b| {
            b.iter(|| {
                give(&mut a, &late, &claim, family);
                black_box(a.release(&late));
            });
        });
    }
    // Filled for real: 65,535 Services, and the last address for one more.
    let mut a = allocator("10.0.0.0/16", false);
    for i in 0..65_535 {
        give(&mut a, &key(i), &claim, Family::V4);
    }
    let late = key(65_535);
    group.bench_function("IPv4 /16, 65,535 Services", |b| {
        b.iter(|| {
            give(&mut a, &late, &claim, Family::V4);
            black_box(a.release(&late));
        });
    });
    group.finish();
}

/// A /16 from empty to its last address.
fn fill(c: &mut Criterion) {
    let keys: Vec<_> = (0..65_536).map(key).collect();
    let claim = alone();
    let mut group = c.benchmark_group("fill");
    group.sample_size(10);
    group.bench_function("IPv4 /16, 65,536 Services", |b| {
        b.iter_batched(
            || allocator("10.0.0.0/16", false),
            |mut a| {
                for key in &keys {
                    give(&mut a, key, &claim, Family::V4);
                }
                a
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn service(i: usize) -> Service {
    Service {
        key: key(i),
        created: None,
        labels: Labels::new(),
        is_load_balancer: true,
        class: Class::Default,
        families: Families::Single(Family::V4),
        family_policy: FamilyPolicy::SingleStack,
        primary_family: Family::V4,
        traffic_policy: TrafficPolicy::Cluster,
        selector: Labels::new(),
        ports: http(),
        requested: Requested::Any,
        requested_pool: None,
        sharing: Sharing::Absent,
        ingress: Ingress::Empty,
        allocated_from: None,
        deprecated_annotations: Vec::new(),
    }
}

fn facts(cidr: &str) -> Facts {
    let mut facts = Facts::new(Origin::Directory);
    let pool = pool(cidr, false);
    facts.config.pools = [(pool.name.clone(), pool)].into();
    facts.config.coverage = Coverage::Complete;
    facts.listed = Kind::ALL.into();
    facts.services = (0..10_000).map(|i| (key(i), service(i).into())).collect();
    facts
}

fn drained(facts: &Facts) -> Controller {
    let mut controller = Controller::new(ControllerOptions {
        class: Class::Default,
    });
    controller.handle(facts, &Changes::default());
    while let Some(action) = controller.poll_action() {
        black_box(action);
    }
    controller
}

/// A start with 10,000 Services, and one change among them.
fn controller(c: &mut Criterion) {
    let mut group = c.benchmark_group("controller, 10,000 Services");
    group.sample_size(10);
    let room = facts("10.0.0.0/8");
    group.bench_function("start, all waiting", |b| b.iter(|| drained(&room)));
    let full = facts("10.0.0.0/24");
    group.bench_function("start, pool has 256", |b| b.iter(|| drained(&full)));
    let mut settled = drained(&room);
    let changes = Changes {
        services: [key(5_000)].into(),
        ..Changes::default()
    };
    group.bench_function("one Service changes", |b| {
        b.iter(|| {
            settled.handle(&room, &changes);
            black_box(settled.poll_action());
        });
    });
    group.finish();
}

criterion_group!(benches, many, one_more, nearly_full, fill, controller);
criterion_main!(benches);
