//! The allocator against a model that scans: same choices, same refusals, same counters, and no
//! address twice without legal sharing.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corten_engine::allocate::{Allocator, Claim, Home, Request, SharingKey, Tenure, Wanted};
use corten_engine::config::selector::Selectors;
use corten_engine::config::{Entry, Filter, Pinning, Pool, PoolScope};
use corten_engine::facts::{Labels, Port, Protocol};
use corten_engine::ip::Family;
use corten_engine::names::{PoolName, ServiceKey};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn pool(name: &str, cidrs: &[&str], avoid: bool, scope: PoolScope) -> Pool {
    let entries = cidrs.iter().map(|c| Entry {
        text: (*c).to_owned(),
        cidrs: vec![c.parse().unwrap()],
    });
    Pool {
        name: name.into(),
        labels: Labels::new(),
        entries: entries.collect(),
        auto_assign: name != "manual",
        avoid_buggy_ips: avoid,
        scope,
    }
}

fn pinned(priority: i64, namespaces: Filter<String>) -> PoolScope {
    PoolScope::Pinned(Pinning {
        priority,
        namespaces,
        services: Selectors::Everything,
    })
}

/// Pool sets a test switches between: grown, shrunk, renamed, split, gone.
fn pool_sets() -> Vec<BTreeMap<PoolName, Pool>> {
    let everyone = PoolScope::Everyone;
    let only = |ns: &str| Filter::Only([ns.to_owned()].into());
    let sets = [
        vec![
            pool(
                "a",
                &["10.0.0.254/31", "10.0.1.0/31", "fd00::/127"],
                false,
                everyone.clone(),
            ),
            pool(
                "b",
                &["10.0.3.0/31", "10.0.2.0/31"],
                false,
                pinned(0, only("n0")),
            ),
            pool("manual", &["10.0.4.0/31"], false, everyone.clone()),
        ],
        vec![
            pool(
                "a",
                &["10.0.0.252/30", "10.0.1.0/30", "fd00::/126"],
                true,
                everyone.clone(),
            ),
            pool(
                "c",
                &["10.0.3.0/31", "fd01::/127"],
                false,
                pinned(5, Filter::Any),
            ),
            pool("d", &["10.0.2.0/31"], false, pinned(2, only("n1"))),
        ],
        vec![
            pool(
                "z",
                &["10.0.0.254/31", "10.0.1.0/31"],
                false,
                everyone.clone(),
            ),
            pool("y", &["fd00::/127"], false, everyone),
        ],
        vec![],
    ];
    let named = |pools: Vec<Pool>| pools.into_iter().map(|p| (p.name.clone(), p)).collect();
    sets.into_iter().map(named).collect()
}

fn scan(pool: &Pool) -> Vec<IpAddr> {
    let cidrs = pool.entries.iter().flat_map(|e| &e.cidrs);
    let mut all = Vec::new();
    for cidr in cidrs {
        match (cidr.network(), cidr.broadcast()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                all.extend((u32::from(a)..=u32::from(b)).map(|n| IpAddr::V4(Ipv4Addr::from(n))));
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                all.extend((u128::from(a)..=u128::from(b)).map(|n| IpAddr::V6(Ipv6Addr::from(n))));
            }
            _ => unreachable!("one family a CIDR"),
        }
    }
    all.retain(|ip| match ip {
        IpAddr::V4(v4) => !pool.avoid_buggy_ips || !matches!(v4.octets()[3], 0 | 255),
        IpAddr::V6(_) => true,
    });
    all
}

/// What everyone has, with no index at all.
#[derive(Default)]
struct Model {
    pools: BTreeMap<PoolName, Pool>,
    held: BTreeMap<ServiceKey, (Vec<IpAddr>, Claim)>,
    reserved: BTreeMap<ServiceKey, Vec<IpAddr>>,
}

impl Model {
    fn others<'a>(&'a self, key: &'a ServiceKey, ip: IpAddr) -> impl Iterator<Item = &'a Claim> {
        let held = self.held.iter();
        held.filter(move |(k, (ips, _))| *k != key && ips.contains(&ip))
            .map(|(_, (_, claim))| claim)
    }

    fn is_reserved(&self, key: &ServiceKey, ip: IpAddr) -> bool {
        self.reserved
            .iter()
            .any(|(k, ips)| k != key && ips.contains(&ip))
    }

    fn may_join(&self, key: &ServiceKey, claim: &Claim, ip: IpAddr) -> bool {
        self.others(key, ip).all(|other| {
            claim.sharing != SharingKey::Exclusive
                && claim.sharing == other.sharing
                && !claim.ports.iter().any(|port| other.ports.contains(port))
        })
    }

    fn admits(pool: &Pool, key: &ServiceKey) -> bool {
        match &pool.scope {
            PoolScope::Everyone => true,
            PoolScope::Pinned(p) => p.namespaces.admits(key.namespace()),
        }
    }

    fn lowest(&self, pool: &Pool, key: &ServiceKey, claim: &Claim, f: Family) -> Option<IpAddr> {
        scan(pool).into_iter().find(|ip| {
            let mine = self.held.get(key).is_some_and(|(ips, _)| ips.contains(ip));
            Family::of(*ip) == f
                && !mine
                && !self.reserved.values().flatten().any(|r| r == ip)
                && self.may_join(key, claim, *ip)
        })
    }

    fn choose(&self, r: Request<'_>) -> Option<(PoolName, Vec<IpAddr>)> {
        let order = |pool: &&Pool| match &pool.scope {
            PoolScope::Pinned(p) if p.priority == 0 => (false, i64::MAX),
            PoolScope::Pinned(p) => (false, p.priority),
            PoolScope::Everyone => (true, 0),
        };
        let mut pools: Vec<_> = self
            .pools
            .values()
            .filter(|p| p.auto_assign && Self::admits(p, r.service))
            .collect();
        pools.sort_by_key(order);
        for pinned in [true, false] {
            let group = || {
                pools
                    .iter()
                    .filter(move |p| matches!(p.scope, PoolScope::Pinned(_)) == pinned)
            };
            let find = |p: &Pool, f| self.lowest(p, r.service, r.claim, f);
            let both = group().find_map(|p| {
                let ips = match r.wanted {
                    Wanted::Single(f) => vec![find(p, f)?],
                    Wanted::Both | Wanted::BothOr(_) => {
                        vec![find(p, Family::V4)?, find(p, Family::V6)?]
                    }
                };
                Some((p.name.clone(), ips))
            });
            let one = |f| group().find_map(|p| Some((p.name.clone(), vec![find(p, f)?])));
            let found = match r.wanted {
                Wanted::Single(_) | Wanted::Both => both,
                Wanted::BothOr(Family::V4) => {
                    both.or_else(|| one(Family::V4)).or_else(|| one(Family::V6))
                }
                Wanted::BothOr(Family::V6) => {
                    both.or_else(|| one(Family::V6)).or_else(|| one(Family::V4))
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn may_have(&self, r: Request<'_>, ips: &[IpAddr], tenure: Tenure) -> Option<PoolName> {
        let pool = self
            .pools
            .values()
            .find(|p| ips.iter().all(|ip| scan(p).contains(ip)))?;
        let fine = Self::admits(pool, r.service)
            && ips.iter().all(|ip| {
                (tenure == Tenure::Held || !self.is_reserved(r.service, *ip))
                    && self.may_join(r.service, r.claim, *ip)
            });
        fine.then(|| pool.name.clone())
    }

    fn in_use(&self, pool: &Pool, family: Family) -> i64 {
        let held = self.held.values().flat_map(|(ips, _)| ips);
        let used: BTreeSet<_> = held.chain(self.reserved.values().flatten()).collect();
        let counted = scan(pool)
            .into_iter()
            .filter(|ip| Family::of(*ip) == family);
        counted.filter(|ip| used.contains(ip)).count() as i64
    }
}

#[derive(Clone, Debug)]
enum Op {
    Any(usize, usize, Wanted),
    These(usize, usize, Vec<usize>, Tenure),
    Keep(usize, usize, Vec<usize>),
    Release(usize),
    Pools(usize),
    Reserve(Vec<(usize, usize)>),
}

fn key(i: usize) -> ServiceKey {
    ServiceKey::new(&format!("n{}", i % 3), &format!("s{i}"))
}

/// Every address worth asking for.
fn universe() -> Vec<IpAddr> {
    let texts = [
        "10.0.0.252",
        "10.0.0.254",
        "10.0.0.255",
        "10.0.1.0",
        "10.0.1.1",
        "10.0.2.0",
        "10.0.3.0",
        "10.0.3.1",
        "10.0.4.0",
        "fd00::",
        "fd00::1",
        "fd01::",
        "9.9.9.9",
    ];
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

fn claims() -> Vec<Claim> {
    let ports = |ports: &[u16]| {
        ports
            .iter()
            .map(|port| Port {
                protocol: Protocol::Tcp,
                port: *port,
            })
            .collect()
    };
    let shared = |key: &str, backend: &str, p: &[u16]| Claim {
        sharing: SharingKey::Shared {
            key: key.into(),
            backend: backend.into(),
        },
        ports: ports(p),
    };
    vec![
        Claim {
            sharing: SharingKey::Exclusive,
            ports: ports(&[80]),
        },
        shared("k", "", &[80]),
        shared("k", "", &[81]),
        shared("k", "", &[80, 82]),
        shared("k", "app=x", &[83]),
        shared("l", "", &[81]),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::Single(Family::V4)),
        Just(Wanted::Single(Family::V6)),
        Just(Wanted::Both),
        Just(Wanted::BothOr(Family::V4)),
        Just(Wanted::BothOr(Family::V6)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let services = 0..12usize;
    let claim = 0..6usize;
    let some = || prop::collection::vec(0..13usize, 1..3);
    let tenure = prop_oneof![Just(Tenure::New), Just(Tenure::Held)];
    prop_oneof![
        8 => (services.clone(), claim.clone(), wanted()).prop_map(|(s, c, w)| Op::Any(s, c, w)),
        6 => (services.clone(), claim.clone(), some(), tenure)
            .prop_map(|(s, c, i, t)| Op::These(s, c, i, t)),
        2 => (services.clone(), claim, some()).prop_map(|(s, c, i)| Op::Keep(s, c, i)),
        4 => services.clone().prop_map(Op::Release),
        1 => (0..4usize).prop_map(Op::Pools),
        1 => prop::collection::vec((services, 0..13usize), 0..3).prop_map(Op::Reserve),
    ]
}

fn run(a: &mut Allocator, m: &mut Model, op: &Op) -> Result<(), TestCaseError> {
    let labels = Labels::new();
    let pick = |is: &[usize]| {
        let set: BTreeSet<_> = is.iter().map(|i| universe()[*i]).collect();
        set.into_iter().collect::<Vec<_>>()
    };
    let claims = claims();
    match op {
        Op::Release(s) => {
            let had = a.release(&key(*s)).map(|x| x.addresses);
            prop_assert_eq!(had, m.held.remove(&key(*s)).map(|(ips, _)| ips));
        }
        Op::Pools(i) => {
            m.pools = pool_sets().remove(*i);
            a.set_pools(&m.pools);
        }
        Op::Reserve(list) => {
            m.reserved.clear();
            for (s, ip) in list {
                m.reserved.entry(key(*s)).or_default().push(universe()[*ip]);
            }
            a.set_reserved(&m.reserved);
        }
        Op::Any(s, c, wanted) => {
            let (service, claim) = (key(*s), &claims[*c]);
            a.release(&service);
            m.held.remove(&service);
            let r = Request {
                service: &service,
                labels: &labels,
                claim,
                wanted: *wanted,
            };
            let got = a.choose(r).ok();
            prop_assert_eq!(&got, &m.choose(r));
            if let Some((pool, ips)) = got {
                prop_assert_eq!(a.assign(r, &ips, Tenure::New), Ok(pool));
                m.held.insert(service, (ips, claim.clone()));
            }
        }
        Op::These(s, c, is, tenure) => {
            let (service, claim, ips) = (key(*s), &claims[*c], pick(is));
            let wanted = Wanted::Both;
            let r = Request {
                service: &service,
                labels: &labels,
                claim,
                wanted,
            };
            let want = m.may_have(r, &ips, *tenure);
            prop_assert_eq!(a.assign(r, &ips, *tenure).ok(), want.clone());
            if want.is_some() {
                m.held.insert(service, (ips, claim.clone()));
            }
        }
        Op::Keep(s, c, is) => {
            let (service, claim, ips) = (key(*s), &claims[*c], pick(is));
            let wanted = Wanted::Both;
            let r = Request {
                service: &service,
                labels: &labels,
                claim,
                wanted,
            };
            let fine = ips.iter().all(|ip| m.may_join(&service, claim, *ip));
            prop_assert_eq!(a.keep(r, &ips, None).is_ok(), fine);
            if fine {
                m.held.insert(service, (ips, claim.clone()));
            }
        }
    }
    Ok(())
}

fn compare(a: &Allocator, m: &Model) -> Result<(), TestCaseError> {
    let got = a.allocations();
    let got: BTreeMap<_, _> = got
        .map(|(k, x)| (k.clone(), (x.addresses.clone(), x.claim.clone())))
        .collect();
    prop_assert_eq!(&got, &m.held);
    for (service, (ips, claim)) in &m.held {
        for ip in ips {
            prop_assert!(
                m.may_join(service, claim, *ip),
                "{} twice without sharing",
                ip
            );
        }
        if let Some(Home::Pool(pool)) = a.get(service).map(|x| &x.home) {
            prop_assert!(ips.iter().all(|ip| m.pools[pool].contains(*ip)));
        }
    }
    let counters = a.counters();
    prop_assert!(counters.keys().eq(m.pools.keys()));
    for (name, counters) in counters {
        let pool = &m.pools[&name];
        let total = |f| {
            scan(pool)
                .into_iter()
                .filter(|ip| Family::of(*ip) == f)
                .count() as i64
        };
        prop_assert_eq!(counters.ipv4.total, total(Family::V4));
        prop_assert_eq!(counters.ipv6.total, total(Family::V6));
        prop_assert_eq!(counters.ipv4.in_use, m.in_use(pool, Family::V4));
        prop_assert_eq!(counters.ipv6.in_use, m.in_use(pool, Family::V6));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn like_a_scan(start in 0..3usize, ops in prop::collection::vec(op(), 1..60)) {
        let (mut a, mut m) = (Allocator::default(), Model::default());
        run(&mut a, &mut m, &Op::Pools(start))?;
        for op in &ops {
            run(&mut a, &mut m, op)?;
            compare(&a, &m)?;
        }
    }
}
