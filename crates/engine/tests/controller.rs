//! The controller under random histories: no address twice without legal sharing, none moved
//! without cause, none cleared while pools are rejected, all taken up again after a restart.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corten_engine::allocate::Claim;
use corten_engine::config::{Coverage, Entry, Pool, PoolScope, RejectedPool};
use corten_engine::controller::{
    Action, AllocationReason, AllocationState, Controller, ControllerOptions,
};
use corten_engine::event::Assignment;
use corten_engine::facts::{
    Changes, Class, Facts, Families, FamilyPolicy, Ingress, Labels, Origin, Port, Protocol,
    Requested, Service, Sharing, TrafficPolicy,
};
use corten_engine::ip::Family;
use corten_engine::names::{PoolName, ServiceKey};
use corten_engine::rejection::Kind;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

type Pools = BTreeMap<PoolName, Pool>;

/// Pool sets a history switches between. In the first rows names and ranges are split and moved;
/// the last is empty.
fn pool_sets() -> Vec<Pools> {
    let pool = |(name, cidrs): &(&str, &str)| {
        let entries = cidrs.split(' ').map(|c| Entry {
            text: c.to_owned(),
            cidrs: vec![c.parse().unwrap()],
        });
        let pool = Pool {
            name: (*name).into(),
            labels: Labels::new(),
            entries: entries.collect(),
            auto_assign: true,
            avoid_buggy_ips: *name == "careful",
            scope: PoolScope::Everyone,
        };
        (pool.name.clone(), pool)
    };
    let sets: [&[(&str, &str)]; 5] = [
        &[("a", "10.0.0.0/30 fd00::/126"), ("b", "10.0.1.0/31")],
        &[
            ("a", "10.0.0.0/31 fd00::/127"),
            ("b", "10.0.1.0/31 fd01::/127"),
        ],
        &[("b", "10.0.0.0/30 fd00::/126"), ("careful", "10.0.1.0/30")],
        &[("a", "10.0.0.2/31"), ("b", "10.0.1.0/31 fd00::/127")],
        &[],
    ];
    sets.map(|set| set.iter().map(pool).collect()).into()
}

fn key(i: usize) -> ServiceKey {
    ServiceKey::new("ns", &format!("s{i}"))
}

/// The spec of a Service, as a choice in each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spec {
    families: usize,
    sharing: usize,
    port: u16,
    request: usize,
    load_balancer: bool,
}

fn service(i: usize, spec: Spec, ingress: Ingress, allocated_from: Option<PoolName>) -> Service {
    let (families, family_policy) = match spec.families {
        0 | 1 => (Families::Single(Family::V4), FamilyPolicy::PreferDualStack),
        2 => (Families::Single(Family::V6), FamilyPolicy::SingleStack),
        3 => (Families::Dual, FamilyPolicy::PreferDualStack),
        _ => (Families::Dual, FamilyPolicy::RequireDualStack),
    };
    let asks = |ip: &str| Requested::Addresses(vec![ip.parse().unwrap()]);
    let requested = match spec.request {
        5 => asks("10.0.0.1"),
        6 => asks("fd00::1"),
        7 => Requested::Invalid("unreadable".into()),
        _ => Requested::Any,
    };
    let port = Port {
        protocol: Protocol::Tcp,
        port: spec.port,
    };
    Service {
        key: key(i),
        created: None,
        labels: Labels::new(),
        is_load_balancer: spec.load_balancer,
        class: Class::Default,
        families,
        family_policy,
        primary_family: Family::V4,
        traffic_policy: TrafficPolicy::Cluster,
        selector: Labels::new(),
        ports: [port].into(),
        requested,
        requested_pool: ["a", "b"].get(spec.request).map(|p| (*p).into()),
        sharing: match spec.sharing {
            0 | 1 => Sharing::Absent,
            n => Sharing::Key(format!("k{n}")),
        },
        ingress,
        allocated_from,
        deprecated_annotations: Vec::new(),
    }
}

fn spec() -> impl Strategy<Value = Spec> {
    (
        0..5usize,
        0..4usize,
        80..83u16,
        0..12usize,
        prop::bool::weighted(0.95),
    )
        .prop_map(|(families, sharing, port, request, load_balancer)| Spec {
            families,
            sharing,
            port,
            request,
            load_balancer,
        })
}

#[derive(Clone, Debug)]
enum Op {
    Put(usize, Spec),
    Touch(usize),
    Delete(usize),
    /// These pools, of which those with a bit set are rejected without a last good version.
    Pools(usize, u8),
    /// What has been asked for so far is written and shows.
    Echo,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..10usize, spec()).prop_map(|(i, s)| Op::Put(i, s)),
        2 => (0..10usize).prop_map(Op::Touch),
        3 => (0..10usize).prop_map(Op::Delete),
        2 => (0..5usize, 0..4u8).prop_map(|(set, rejected)| Op::Pools(set, rejected)),
        4 => Just(Op::Echo),
    ]
}

fn options() -> ControllerOptions {
    ControllerOptions {
        class: Class::Default,
    }
}

struct World {
    facts: Facts,
    controller: Controller,
    /// Asked for and not yet shown; the latest wins.
    pending: BTreeMap<ServiceKey, Assignment>,
    specs: BTreeMap<ServiceKey, Spec>,
}

fn only(i: usize) -> Changes {
    Changes {
        services: [key(i)].into(),
        ..Changes::default()
    }
}

impl World {
    fn new() -> Self {
        let mut facts = Facts::new(Origin::Directory);
        facts.listed = Kind::ALL.into();
        let mut world = Self {
            facts,
            controller: Controller::new(options()),
            pending: BTreeMap::new(),
            specs: BTreeMap::new(),
        };
        world.run(&Op::Pools(0, 0));
        world
    }

    fn handle(&mut self, changes: &Changes) {
        self.controller.handle(&self.facts, changes);
        while let Some(action) = self.controller.poll_action() {
            match action {
                Action::Assign {
                    service,
                    assignment,
                } => {
                    self.pending.insert(service, assignment);
                }
                Action::Emit(_) | Action::PoolStatus { .. } => {}
            }
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Put(i, spec) => {
                let (ingress, from) = match self.facts.services.get(&key(*i)) {
                    Some(s) => (s.ingress.clone(), s.allocated_from.clone()),
                    None => (Ingress::Empty, None),
                };
                let service = service(*i, *spec, ingress, from);
                self.facts.services.insert(key(*i), service.into());
                self.specs.insert(key(*i), *spec);
                self.handle(&only(*i));
            }
            Op::Touch(i) => {
                if let Some(s) = self.facts.services.get_mut(&key(*i)) {
                    let version = s.labels.len().to_string();
                    s.labels.insert(version, String::new());
                }
                self.handle(&only(*i));
            }
            Op::Delete(i) => {
                self.facts.services.remove(&key(*i));
                self.pending.remove(&key(*i));
                self.specs.remove(&key(*i));
                self.handle(&only(*i));
            }
            Op::Pools(set, mask) => {
                let mut pools = pool_sets().remove(*set);
                let bad: Vec<_> = pools
                    .keys()
                    .enumerate()
                    .filter(|(i, _)| mask & (1 << i) != 0)
                    .map(|(_, n)| n.clone())
                    .collect();
                pools.retain(|n, _| !bad.contains(n));
                self.facts.config.coverage = if bad.is_empty() {
                    Coverage::Complete
                } else {
                    let bad = bad.into_iter().map(|n| (n, RejectedPool::default()));
                    Coverage::Incomplete {
                        rejected: bad.collect(),
                    }
                };
                self.facts.config.pools = pools;
                self.handle(&Changes {
                    pools: true,
                    ..Changes::default()
                });
            }
            Op::Echo => {
                let pending = std::mem::take(&mut self.pending);
                let mut changes = Changes::default();
                for (key, assignment) in pending {
                    show(&mut self.facts, &key, assignment);
                    changes.services.insert(key);
                }
                self.handle(&changes);
            }
        }
    }

    /// Who has what; those whose address is in dispute, by their own doing, left out.
    fn settled(&self) -> BTreeMap<ServiceKey, Vec<IpAddr>> {
        let mut all = self.addresses();
        all.retain(|k, _| !self.controller.state(k).is_some_and(disputed));
        all
    }

    fn addresses(&self) -> BTreeMap<ServiceKey, Vec<IpAddr>> {
        let states = self.controller.states();
        states
            .filter_map(|(k, s)| Some((k.clone(), s.assignment()?.ingress)))
            .filter(|(_, ips)| !ips.is_empty())
            .collect()
    }

    /// The accepted pool that has all of these and may give them.
    fn home(&self, ips: &[IpAddr]) -> Option<&Pool> {
        let usable = |p: &Pool, ip: &IpAddr| {
            let buggy = matches!(ip, IpAddr::V4(v4) if matches!(v4.octets()[3], 0 | 255));
            p.contains(*ip) && !(p.avoid_buggy_ips && buggy)
        };
        let mut pools = self.facts.config.pools.values();
        pools.find(|p| ips.iter().all(|ip| usable(p, ip)))
    }

    fn outside(&self, ips: &[IpAddr]) -> bool {
        let mut pools = self.facts.config.pools.values();
        !pools.any(|p| ips.iter().all(|ip| p.contains(*ip)))
    }
}

fn show(facts: &mut Facts, key: &ServiceKey, assignment: Assignment) {
    if let Some(s) = facts.services.get_mut(key) {
        s.allocated_from = assignment.pool;
        s.ingress = if assignment.ingress.is_empty() {
            Ingress::Empty
        } else {
            Ingress::Addresses(assignment.ingress)
        };
    }
}

/// Whether a Service keeps its status though another one has the address.
fn disputed(state: &AllocationState) -> bool {
    matches!(
        state,
        AllocationState::Kept {
            reason: AllocationReason::Refused(_),
            ..
        }
    )
}

/// No address twice without legal sharing; counters are what the states say.
fn sound(w: &World) -> Result<(), TestCaseError> {
    let mut users: BTreeMap<IpAddr, Vec<(&ServiceKey, Claim)>> = BTreeMap::new();
    for (key, state) in w.controller.states() {
        let disputed = disputed(state);
        let ips = state.assignment().map(|a| a.ingress).unwrap_or_default();
        for ip in ips.into_iter().filter(|_| !disputed) {
            users
                .entry(ip)
                .or_default()
                .push((key, Claim::of(&w.facts.services[key])));
        }
    }
    for (ip, users) in &users {
        for (i, (a, x)) in users.iter().enumerate() {
            for (b, y) in &users[i + 1..] {
                let legal = x.sharing == y.sharing
                    && x.sharing != corten_engine::allocate::SharingKey::Exclusive
                    && !x.ports.iter().any(|port| y.ports.contains(port));
                prop_assert!(legal, "{} of {} and {}", ip, a, b);
            }
        }
    }
    let disputes = w.controller.states().any(|(_, state)| disputed(state));
    for (name, counters) in w.controller.counters() {
        let pool = &w.facts.config.pools[&name];
        let used: BTreeSet<_> = users.keys().filter(|ip| pool.contains(**ip)).collect();
        if !disputes && !pool.avoid_buggy_ips {
            prop_assert_eq!(counters.both().in_use, used.len() as i64, "{}", name);
        }
    }
    Ok(())
}

/// Whoever had addresses before has them still, unless the operation gave a cause.
fn steady(
    before: &BTreeMap<ServiceKey, Vec<IpAddr>>,
    specs: &BTreeMap<ServiceKey, Spec>,
    op: &Op,
    w: &World,
) -> Result<(), TestCaseError> {
    let after = w.addresses();
    let incomplete = w.facts.config.coverage != Coverage::Complete;
    for (k, had) in before {
        let Some(service) = w.facts.services.get(k) else {
            continue;
        };
        let respecified = specs.get(k) != w.specs.get(k);
        if respecified {
            continue;
        }
        let have = after.get(k).cloned().unwrap_or_default();
        // A second family may be added.
        let kept = have.starts_with(had);
        let set = |ips: &[IpAddr]| ips.iter().copied().collect::<BTreeSet<_>>();
        let home = w.home(had).map(|pool| &pool.name);
        let asks = match &service.requested {
            Requested::Addresses(ips) => set(ips) != set(had),
            Requested::Any | Requested::Invalid(_) => false,
        } || (service.requested_pool.is_some()
            && service.requested_pool.as_ref() != home);
        if !matches!(op, Op::Pools(..)) || home.is_some() {
            prop_assert!(kept || asks, "{}: {:?} became {:?}", k, had, have);
        } else if incomplete && w.outside(had) {
            prop_assert!(!have.is_empty(), "{}: {:?} cleared", k, had);
            prop_assert!(kept || asks, "{}: {:?} became {:?}", k, had, have);
        }
    }
    Ok(())
}

/// A new controller, told the same facts piece by piece, changes nothing.
fn restarted(w: &World, order: &[usize]) -> Result<(), TestCaseError> {
    let mut facts = Facts::new(Origin::Directory);
    let mut controller = Controller::new(options());
    for i in order {
        if let Some(s) = w.facts.services.get(&key(*i)) {
            facts.services.insert(key(*i), s.clone());
            controller.handle(&facts, &only(*i));
        }
        if *i == 0 {
            facts.config.pools = w.facts.config.pools.clone();
            facts.config.coverage = w.facts.config.coverage.clone();
            facts.listed.insert(Kind::IPAddressPool);
            controller.handle(
                &facts,
                &Changes {
                    pools: true,
                    listed: true,
                    ..Changes::default()
                },
            );
        }
    }
    prop_assert!(
        controller.poll_action().is_none(),
        "nothing before all is listed"
    );
    facts.listed = Kind::ALL.into();
    controller.handle(
        &facts,
        &Changes {
            listed: true,
            ..Changes::default()
        },
    );
    while let Some(action) = controller.poll_action() {
        prop_assert!(!matches!(action, Action::Assign { .. }), "{:?}", action);
    }
    let keep = |c: &Controller| {
        c.states()
            .map(|(k, s)| (k.clone(), s.assignment()))
            .collect::<BTreeMap<_, _>>()
    };
    prop_assert_eq!(keep(&controller), keep(&w.controller));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories(
        ops in prop::collection::vec(op(), 1..50),
        order in Just((0..10usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut w = World::new();
        for op in &ops {
            let (before, specs) = (w.settled(), w.specs.clone());
            w.run(op);
            sound(&w)?;
            steady(&before, &specs, op, &w)?;
        }
        w.run(&Op::Echo);
        prop_assert!(w.pending.is_empty(), "still to write: {:?}", w.pending);
        // Of two that have an address on record illegally the older keeps it, whoever was at
        // fault: only then may a restart change something.
        if !w.controller.states().any(|(_, state)| disputed(state)) {
            restarted(&w, &order)?;
        }
    }
}
