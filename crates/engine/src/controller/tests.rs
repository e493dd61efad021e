//! Tables for the controller; the property tests against a model are in `tests/controller.rs`.

use super::{Action, AllocationReason, AllocationState, Controller, ControllerOptions};
use crate::config::selector::Selectors;
use crate::config::{Coverage, Entry, Filter, Pinning, Pool, PoolScope, RejectedPool};
use crate::event::{Assignment, EventRecord};
use crate::facts::{
    Changes, Class, Facts, Families, FamilyPolicy, Ingress, Labels, Origin, Port, Protocol,
    Requested, Service, Sharing, TrafficPolicy,
};
use crate::ip::Family;
use crate::names::{PoolName, ServiceKey};
use crate::rejection::{Kind, ObjectRef, Rejection, Subject};
use std::net::IpAddr;

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|t| t.parse().unwrap())
        .collect()
}

fn text(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(" ")
}

fn pool(name: &str, cidrs: &str) -> Pool {
    let entries = cidrs.split_whitespace().map(|c| Entry {
        text: c.to_owned(),
        cidrs: vec![c.parse().unwrap()],
    });
    Pool {
        name: name.into(),
        labels: Labels::new(),
        entries: entries.collect(),
        auto_assign: true,
        avoid_buggy_ips: false,
        scope: PoolScope::Everyone,
    }
}

fn service(name: &str) -> Service {
    let port = Port {
        protocol: Protocol::Tcp,
        port: 80,
    };
    Service {
        key: ServiceKey::new("ns", name),
        created: None,
        labels: Labels::new(),
        is_load_balancer: true,
        class: Class::Default,
        families: Families::Single(Family::V4),
        family_policy: FamilyPolicy::SingleStack,
        primary_family: Family::V4,
        traffic_policy: TrafficPolicy::Cluster,
        selector: Labels::new(),
        ports: [port].into(),
        requested: Requested::Any,
        requested_pool: None,
        sharing: Sharing::Absent,
        ingress: Ingress::Empty,
        allocated_from: None,
        deprecated_annotations: Vec::new(),
    }
}

fn with(name: &str, change: impl FnOnce(&mut Service)) -> Service {
    let mut s = service(name);
    change(&mut s);
    s
}

fn on_record(s: &mut Service, addresses: &str, pool: &str) {
    s.ingress = Ingress::Addresses(ips(addresses));
    s.allocated_from = Some(pool.into());
}

/// Facts, a controller, and a source that writes what it is asked to.
struct World {
    facts: Facts,
    controller: Controller,
    events: Vec<EventRecord>,
    writes: usize,
}

impl World {
    fn new(pools: &[Pool]) -> Self {
        let mut facts = Facts::new(Origin::Kubernetes);
        facts.listed = Kind::ALL.into();
        facts.config.coverage = Coverage::Complete;
        facts.config.pools = pools.iter().map(|p| (p.name.clone(), p.clone())).collect();
        Self {
            facts,
            controller: controller(),
            events: Vec::new(),
            writes: 0,
        }
    }

    /// Puts Services in place before anything is decided.
    fn given(mut self, services: &[Service]) -> Self {
        for s in services {
            self.facts.services.insert(s.key.clone(), s.clone().into());
        }
        self
    }

    fn start(mut self) -> Self {
        self.handle(&Changes::default());
        self
    }

    /// Feeds changes, then writes and echoes until nothing is left to write.
    fn handle(&mut self, changes: &Changes) {
        self.controller.handle(&self.facts, changes);
        for _ in 0..10 {
            let echo = self.write();
            if echo.services.is_empty() {
                return;
            }
            self.controller.handle(&self.facts, &echo);
        }
        panic!("flapping: {:?}", self.facts.services);
    }

    /// Carries out what is asked for.
    fn write(&mut self) -> Changes {
        let mut echo = Changes::default();
        while let Some(action) = self.controller.poll_action() {
            match action {
                Action::Emit(event) => self.events.push(event),
                Action::PoolStatus { .. } => {}
                Action::Assign {
                    service,
                    assignment: Assignment { ingress, pool },
                } => {
                    self.writes += 1;
                    let s = self.facts.services.get_mut(&service).unwrap();
                    s.ingress = if ingress.is_empty() {
                        Ingress::Empty
                    } else {
                        Ingress::Addresses(ingress)
                    };
                    s.allocated_from = pool;
                    echo.services.insert(service);
                }
            }
        }
        echo
    }

    fn apply(&mut self, s: Service) {
        let key = s.key.clone();
        self.facts.services.insert(key.clone(), s.into());
        self.changed(&key);
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Service)) {
        let key = ServiceKey::new("ns", name);
        change(self.facts.services.get_mut(&key).unwrap());
        self.changed(&key);
    }

    fn delete(&mut self, name: &str) {
        let key = ServiceKey::new("ns", name);
        self.facts.services.remove(&key);
        self.changed(&key);
    }

    fn changed(&mut self, key: &ServiceKey) {
        self.handle(&Changes {
            services: [key.clone()].into(),
            ..Changes::default()
        });
    }

    fn pools(&mut self, pools: &[Pool]) {
        self.facts.config.pools = pools.iter().map(|p| (p.name.clone(), p.clone())).collect();
        self.pools_changed();
    }

    fn reject(&mut self, pools: &[&str]) {
        let rejected = pools.iter().map(|p| ((*p).into(), RejectedPool::default()));
        self.facts.config.coverage = Coverage::Incomplete {
            rejected: rejected.collect(),
        };
        self.pools_changed();
    }

    fn accept(&mut self) {
        self.facts.config.coverage = Coverage::Complete;
        self.pools_changed();
    }

    fn pools_changed(&mut self) {
        self.handle(&Changes {
            pools: true,
            ..Changes::default()
        });
    }

    /// Address list and pool in the status of a Service.
    fn shows(&self, name: &str) -> String {
        let s = &self.facts.services[&ServiceKey::new("ns", name)];
        let ingress = match &s.ingress {
            Ingress::Empty => String::new(),
            Ingress::Addresses(a) => text(a),
            Ingress::Unreadable(t) => format!("unreadable {t}"),
        };
        match &s.allocated_from {
            Some(pool) => format!("{ingress} from {pool}"),
            None => ingress,
        }
    }

    fn state(&self, name: &str) -> &AllocationState {
        self.controller.state(&ServiceKey::new("ns", name)).unwrap()
    }

    fn why(&self, name: &str) -> String {
        self.state(name)
            .reason()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Events so far, as `reason: message`; forgets them.
    fn said(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .map(|e| format!("{}: {}", e.reason, e.message))
            .collect()
    }
}

fn controller() -> Controller {
    Controller::new(ControllerOptions {
        class: Class::Default,
    })
}

fn dual() -> Vec<Pool> {
    vec![pool("a", "1.2.3.0/24 fc00::/120"), pool("b", "3.2.1.0/24")]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of Services")]
fn one_service() {
    type Row = (&'static str, Service, &'static str, &'static [&'static str]);
    let dual_stack = |s: &mut Service, policy| {
        s.families = Families::Dual;
        s.family_policy = policy;
    };
    let ask = |s: &mut Service, addresses: &str| s.requested = Requested::Addresses(ips(addresses));
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        ("plain", service("s"), "1.2.3.0 from a", &[r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("no load balancer", with("s", |s| { s.is_load_balancer = false; on_record(s, "1.2.3.1", "a"); }), "", &[]),
        ("another class", with("s", |s| { s.class = Class::Named("x".into()); on_record(s, "1.2.3.1", "a"); }), "1.2.3.1 from a", &[]),
        ("no cluster address", with("s", |s| { s.families = Families::Unassigned; on_record(s, "1.2.3.1", "a"); }), "", &[]),
        ("headless", with("s", |s| s.families = Families::Headless), "",
            &[r#"AllocationFailed: Failed to allocate IP for "ns/s": the service is headless (clusterIP: None)"#]),
        ("requires both, has one", with("s", |s| { s.family_policy = FamilyPolicy::RequireDualStack; on_record(s, "1.2.3.1", "a"); }), "",
            &["not enough clusterips: RequireDualStack needs cluster IPs of both families"]),
        ("on record", with("s", |s| on_record(s, "1.2.3.9", "a")), "1.2.3.9 from a", &[]),
        ("on record, annotation lost", with("s", |s| s.ingress = Ingress::Addresses(ips("1.2.3.9"))), "1.2.3.9 from a", &[]),
        ("on record, no pool", with("s", |s| on_record(s, "9.9.9.9", "a")), "1.2.3.0 from a",
            &[r#"ClearAssignment: Assigned IP ["9.9.9.9"] is cleared: ["9.9.9.9"] is not allowed in config"#,
              r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("on record, wrong family", with("s", |s| on_record(s, "fc00::5", "a")), "1.2.3.0 from a",
            &[r#"ClearAssignment: Assigned IP ["fc00::5"] is cleared: the cluster IPs of the service are of other families"#,
              r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("on record, two of a family", with("s", |s| on_record(s, "1.2.3.4 1.2.3.5", "a")), "1.2.3.0 from a",
            &[r#"nolbIPsIPFamily: ["1.2.3.4" "1.2.3.5"] is neither single nor dual stack"#,
              r#"ClearAssignment: Assigned IP ["1.2.3.4" "1.2.3.5"] is cleared: ["1.2.3.4" "1.2.3.5"] is neither single nor dual stack"#,
              r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("unreadable status", with("s", |s| s.ingress = Ingress::Unreadable("foo".into())), "1.2.3.0 from a",
            &["nolbIPsIPFamily: foo in the status is no address, will be cleared", r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("asks for an address", with("s", |s| ask(s, "1.2.3.7")), "1.2.3.7 from a", &[r#"IPAllocated: Assigned IP ["1.2.3.7"]"#]),
        ("asks for another address", with("s", |s| { ask(s, "1.2.3.7"); on_record(s, "1.2.3.8", "a"); }), "1.2.3.7 from a",
            &[r#"ClearAssignment: Assigned IP ["1.2.3.8"] is cleared: the service asks for ["1.2.3.7"]"#,
              r#"IPAllocated: Assigned IP ["1.2.3.7"]"#]),
        ("asks for one outside", with("s", |s| { ask(s, "9.9.9.9"); on_record(s, "1.2.3.8", "a"); }), "",
            &[r#"ClearAssignment: Assigned IP ["1.2.3.8"] is cleared: the service asks for ["9.9.9.9"]"#,
              r#"AllocationFailed: Failed to allocate IP for "ns/s": ["9.9.9.9"] is not allowed in config"#]),
        ("asks in a way that can't be read", with("s", |s| s.requested = Requested::Invalid("bad".into())), "",
            &[r#"AllocationFailed: Failed to allocate IP for "ns/s": bad"#]),
        ("the same, with an address", with("s", |s| { s.requested = Requested::Invalid("bad".into()); on_record(s, "1.2.3.8", "a"); }), "1.2.3.8 from a",
            &["LoadBalancerFailed: bad; the assigned IP is kept"]),
        ("asks for a pool", with("s", |s| s.requested_pool = Some("b".into())), "3.2.1.0 from b", &[r#"IPAllocated: Assigned IP ["3.2.1.0"]"#]),
        ("asks for another pool", with("s", |s| { s.requested_pool = Some("b".into()); on_record(s, "1.2.3.8", "a"); }), "3.2.1.0 from b",
            &[r#"ClearAssignment: Assigned IP ["1.2.3.8"] is cleared: the service asks for pool b"#, r#"IPAllocated: Assigned IP ["3.2.1.0"]"#]),
        ("asks for no such pool", with("s", |s| s.requested_pool = Some("x".into())), "",
            &[r#"AllocationFailed: Failed to allocate IP for "ns/s": unknown pool x"#]),
        ("pool and address disagree", with("s", |s| { s.requested_pool = Some("b".into()); ask(s, "1.2.3.7"); }), "",
            &[r#"AllocationFailed: Failed to allocate IP for "ns/s": ["1.2.3.7"] is in pool a, not in the requested pool b"#]),
        ("both families", with("s", |s| dual_stack(s, FamilyPolicy::RequireDualStack)), "1.2.3.0 fc00:: from a",
            &[r#"IPAllocated: Assigned IP ["1.2.3.0" "fc00::"]"#]),
        ("requires both, one on record", with("s", |s| { dual_stack(s, FamilyPolicy::RequireDualStack); on_record(s, "1.2.3.5", "a"); }), "1.2.3.0 fc00:: from a",
            &[r#"ClearAssignment: Assigned IP ["1.2.3.5"] is cleared: the cluster IPs of the service are of other families"#,
              r#"IPAllocated: Assigned IP ["1.2.3.0" "fc00::"]"#]),
        ("order asked for stays", with("s", |s| { dual_stack(s, FamilyPolicy::RequireDualStack); ask(s, "fc00::1 1.2.3.4"); }), "fc00::1 1.2.3.4 from a",
            &[r#"IPAllocated: Assigned IP ["fc00::1" "1.2.3.4"]"#]),
        ("order on record stays", with("s", |s| { dual_stack(s, FamilyPolicy::RequireDualStack); ask(s, "fc00::1 1.2.3.4"); on_record(s, "1.2.3.4 fc00::1", "a"); }),
            "1.2.3.4 fc00::1 from a", &[]),
        ("prefers both, asks for one", with("s", |s| { dual_stack(s, FamilyPolicy::PreferDualStack); ask(s, "1.2.3.4"); }), "",
            &[r#"AllocationFailed: Failed to allocate IP for "ns/s": requested ["1.2.3.4"] but the cluster IPs of the service are of other families"#]),
        ("prefers both, single-stack cluster", with("s", |s| s.family_policy = FamilyPolicy::PreferDualStack), "1.2.3.0 from a",
            &[r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
        ("prefers both, one on record", with("s", |s| { dual_stack(s, FamilyPolicy::PreferDualStack); on_record(s, "fc00::7", "a"); }), "fc00::7 1.2.3.0 from a",
            &[r#"IPAllocated: Assigned additional IP "1.2.3.0""#]),
        ("prefers both, pool has one", with("s", |s| { dual_stack(s, FamilyPolicy::PreferDualStack); on_record(s, "3.2.1.5", "b"); }), "3.2.1.5 from b",
            &["AdditionalAssignFailed: Failed to assign an additional IPv6 IP: pool b has no IPv6 addresses"]),
        ("deprecated annotations", with("s", |s| s.deprecated_annotations = vec!["metallb.universe.tf/x".into()]), "1.2.3.0 from a",
            &["deprecatedAnnotation: deprecated annotations in use: metallb.universe.tf/x", r#"IPAllocated: Assigned IP ["1.2.3.0"]"#]),
    ];
    for (name, s, want, events) in rows {
        let mut restarted = World::new(&dual()).given(std::slice::from_ref(&s)).start();
        assert_eq!(restarted.shows("s"), want, "{name}");
        assert_eq!(restarted.said(), events, "{name}");
        let mut later = World::new(&dual()).start();
        later.apply(s.clone());
        assert_eq!(later.shows("s"), want, "{name}, later");
        assert_eq!(later.said(), events, "{name}, later");
        let writes = later.writes;
        later.edit("s", |s| _ = s.labels.insert("x".into(), "y".into()));
        assert_eq!(later.writes, writes, "{name}: no needless write");
        assert_eq!(
            later.said(),
            Vec::<String>::new(),
            "{name}: nothing said twice"
        );
    }
}

#[test]
fn nothing_before_everything_is_listed() {
    for missing in [Kind::Service, Kind::IPAddressPool, Kind::Namespace] {
        let mut w = World::new(&dual()).given(&[service("s")]);
        w.facts.listed.remove(&missing);
        w.pools_changed();
        assert!(!w.controller.has_started());
        assert_eq!((w.shows("s"), w.writes), (String::new(), 0), "{missing}");
        w.facts.listed.insert(missing);
        w.handle(&Changes {
            listed: true,
            ..Changes::default()
        });
        assert_eq!(w.shows("s"), "1.2.3.0 from a", "{missing}");
    }
}

#[test]
fn statuses_are_taken_up_before_anything_is_given() {
    let tiny = [pool("a", "10.0.0.0/31")];
    // `a` lost its address while nobody looked, `b` is new, `c` and `d` have theirs.
    let w = World::new(&tiny)
        .given(&[
            with("a", |s| on_record(s, "9.9.9.9", "a")),
            service("b"),
            with("c", |s| on_record(s, "10.0.0.0", "a")),
            with("d", |s| on_record(s, "10.0.0.1", "a")),
        ])
        .start();
    let all: Vec<_> = ["a", "b", "c", "d"].map(|n| w.shows(n)).into();
    assert_eq!(all, ["", "", "10.0.0.0 from a", "10.0.0.1 from a"]);
}

#[test]
fn the_older_of_two_keeps_an_address() {
    let at = |name: &str, created: Option<&str>| {
        with(name, |s| {
            s.created = created.map(str::to_owned);
            on_record(s, "10.0.0.1", "a");
        })
    };
    let (early, late) = (Some("2024-01-01T00:00:00Z"), Some("2025-01-01T00:00:00Z"));
    for (a, b, keeper) in [
        (late, early, "b"),
        (early, late, "a"),
        (None, early, "b"),
        (None, None, "a"),
    ] {
        let w = World::new(&[pool("a", "10.0.0.0/30")])
            .given(&[at("a", a), at("b", b)])
            .start();
        let other = if keeper == "a" { "b" } else { "a" };
        assert_eq!(w.shows(keeper), "10.0.0.1 from a", "{a:?} {b:?}");
        assert_eq!(w.shows(other), "10.0.0.0 from a", "{a:?} {b:?}");
    }
}

#[test]
fn who_waits_is_served_when_something_is_given_up() {
    let mut w = World::new(&[pool("a", "10.0.0.0/32")]).start();
    w.apply(service("a"));
    w.apply(service("b"));
    assert_eq!(w.why("b"), "no available IPs");
    w.said();
    w.edit("b", |s| _ = s.labels.insert("x".into(), "y".into()));
    assert_eq!(
        w.said(),
        Vec::<String>::new(),
        "the same failure is said once"
    );
    w.delete("a");
    assert_eq!(w.shows("b"), "10.0.0.0 from a");
    w.apply(with("c", |s| s.sharing = Sharing::Key("k".into())));
    assert_eq!(w.why("c"), "no available IPs");
    // The key of b changes in place, and its port makes room.
    w.edit("b", |s| s.sharing = Sharing::Key("k".into()));
    assert_eq!(w.shows("c"), "");
    w.edit("b", |s| {
        s.ports = [Port {
            protocol: Protocol::Udp,
            port: 80,
        }]
        .into();
    });
    assert_eq!(w.shows("c"), "10.0.0.0 from a");
    w.edit("b", |s| s.is_load_balancer = false);
    assert_eq!(
        (w.shows("b"), w.shows("c")),
        (String::new(), "10.0.0.0 from a".into())
    );
}

#[test]
fn a_status_that_lags_behind_is_not_believed() {
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
    let key = ServiceKey::new("ns", "s");
    let changed = Changes {
        services: [key.clone()].into(),
        ..Changes::default()
    };
    w.facts.services.insert(key.clone(), service("s").into());
    w.controller.handle(&w.facts, &changed);
    let assigns = |c: &mut Controller| {
        std::iter::from_fn(|| c.poll_action())
            .filter_map(|a| match a {
                Action::Assign { assignment, .. } => Some(text(&assignment.ingress)),
                Action::Emit(_) | Action::PoolStatus { .. } => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(assigns(&mut w.controller), ["10.0.0.0"]);
    // Something else changes before the status comes back: nothing is asked for again.
    w.facts
        .services
        .get_mut(&key)
        .unwrap()
        .labels
        .insert("x".into(), "y".into());
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), Vec::<String>::new());
    // Another address is asked for; then the first status arrives late.
    let s = w.facts.services.get_mut(&key).unwrap();
    s.requested = Requested::Addresses(ips("10.0.0.2"));
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), ["10.0.0.2"]);
    on_record(w.facts.services.get_mut(&key).unwrap(), "10.0.0.0", "a");
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), ["10.0.0.2"]);
    // Given up, and given to someone else before the clearing shows.
    w.facts.services.get_mut(&key).unwrap().requested = Requested::Invalid("bad".into());
    w.facts.services.get_mut(&key).unwrap().requested_pool = Some("x".into());
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), [""]);
    w.facts.services.get_mut(&key).unwrap().requested_pool = None;
    w.controller.handle(&w.facts, &changed);
    assert_eq!(
        assigns(&mut w.controller),
        Vec::<String>::new(),
        "not taken up again"
    );
    // An assignment on its way is overtaken when it isn't wanted any more.
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
    w.facts.services.insert(key.clone(), service("s").into());
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), ["10.0.0.0"]);
    w.facts.services.get_mut(&key).unwrap().is_load_balancer = false;
    w.controller.handle(&w.facts, &changed);
    assert_eq!(assigns(&mut w.controller), [""]);
    // A status someone edits is put right.
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
    w.apply(service("s"));
    w.edit("s", |s| on_record(s, "10.0.0.3", "a"));
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
}

#[test]
fn pools_change() {
    let mut w = World::new(&[pool("a", "10.0.0.0/31")]).start();
    w.apply(service("s"));
    w.apply(service("t"));
    w.pools(&[pool("b", "10.0.0.0/31")]);
    assert_eq!(
        (w.shows("s"), w.shows("t")),
        ("10.0.0.0 from b".into(), "10.0.0.1 from b".into())
    );
    w.said();
    w.pools(&[pool("b", "10.0.0.1/32 10.0.9.0/24")]);
    assert_eq!(
        (w.shows("s"), w.shows("t")),
        ("10.0.9.0 from b".into(), "10.0.0.1 from b".into())
    );
    assert_eq!(
        w.said(),
        [
            r#"ClearAssignment: Assigned IP ["10.0.0.0"] is cleared: ["10.0.0.0"] is not allowed in config"#,
            r#"IPAllocated: Assigned IP ["10.0.9.0"]"#,
        ]
    );
    w.pools(&[]);
    assert_eq!((w.shows("s"), w.shows("t")), (String::new(), String::new()));
    assert_eq!(
        w.state("s"),
        &AllocationState::Unallocated {
            reason: AllocationReason::NoPools
        }
    );
    w.pools(&[pool("c", "10.0.0.0/31")]);
    assert_eq!(
        (w.shows("s"), w.shows("t")),
        ("10.0.0.0 from c".into(), "10.0.0.1 from c".into())
    );
}

#[test]
fn dual_stack_follows_the_pool() {
    let mut w = World::new(&[pool("a", "10.0.0.0/24")]).start();
    w.apply(with("s", |s| {
        s.families = Families::Dual;
        s.family_policy = FamilyPolicy::PreferDualStack;
    }));
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
    w.pools(&[
        pool("a", "10.0.0.0/24"),
        pool("b", "10.1.0.0/24 fd00::/120"),
    ]);
    assert_eq!(w.shows("s"), "10.0.0.0 from a", "not moved to a dual pool");
    w.pools(&[pool("a", "10.0.0.0/24 fd01::/120")]);
    assert_eq!(w.shows("s"), "10.0.0.0 fd01:: from a");
    w.pools(&[pool("a", "10.0.0.0/24")]);
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
}

#[test]
fn rejected_is_not_deleted() {
    let mut w = World::new(&[pool("web", "10.0.0.0/24"), pool("x", "10.9.0.0/32")]).start();
    w.apply(with("s", |s| s.requested_pool = Some("web".into())));
    w.apply(with("t", |s| {
        s.requested = Requested::Addresses(ips("10.0.0.9"));
    }));
    let records: Vec<_> = w.facts.services.values().map(|s| (**s).clone()).collect();

    // With no last good version, right after a restart: everything stays, and is nobody else's.
    let mut w = World::new(&[pool("x", "10.9.0.0/32")]).given(&records);
    w.facts.config.coverage = Coverage::Incomplete {
        rejected: [("web".into(), RejectedPool::default())].into(),
    };
    let mut w = w.start();
    assert_eq!(
        (w.shows("s"), w.shows("t"), w.writes),
        ("10.0.0.0 from web".into(), "10.0.0.9 from web".into(), 0)
    );
    assert_eq!(w.why("s"), "pool web is rejected");
    w.apply(with("u", |s| {
        s.requested = Requested::Addresses(ips("10.0.0.9"));
    }));
    assert_eq!(
        (w.shows("u"), w.why("u")),
        (String::new(), "pool web is rejected".into())
    );
    w.apply(with("v", |s| s.requested_pool = Some("web".into())));
    assert_eq!(
        (w.shows("v"), w.why("v")),
        (String::new(), "pool web is rejected".into())
    );
    // Accepted pools still give.
    w.apply(service("y"));
    assert_eq!(w.shows("y"), "10.9.0.0 from x");
    // One that asks for the rejected pool keeps what it has.
    w.edit("y", |s| s.requested_pool = Some("web".into()));
    assert_eq!(
        (w.shows("y"), w.why("y")),
        ("10.9.0.0 from x".into(), "pool web is rejected".into())
    );
    // What the Service itself asks still counts.
    w.edit("t", |s| s.is_load_balancer = false);
    assert_eq!(w.shows("t"), "");
    w.edit("t", |s| s.is_load_balancer = true);

    // The pool is back.
    w.facts.config.coverage = Coverage::Complete;
    w.pools(&[pool("web", "10.0.0.0/24"), pool("x", "10.9.0.0/32")]);
    let all: Vec<_> = ["s", "t", "u", "v", "y"].map(|n| w.shows(n)).into();
    assert_eq!(
        all,
        [
            "10.0.0.0 from web",
            "10.0.0.9 from web",
            "",
            "10.0.0.2 from web",
            "10.0.0.1 from web",
        ]
    );
}

#[test]
fn no_pools_clears_only_when_that_is_certain() {
    let mut w = World::new(&[pool("a", "10.0.0.0/24")]).start();
    w.apply(service("s"));
    w.facts.config.pools.clear();
    w.reject(&["a"]);
    assert_eq!(
        (w.shows("s"), w.why("s")),
        ("10.0.0.0 from a".into(), "pool a is rejected".into())
    );
    w.reject(&[]);
    assert_eq!(
        (w.shows("s"), w.why("s")),
        (
            "10.0.0.0 from a".into(),
            "some pools can't be read now".into()
        )
    );
    w.accept();
    assert_eq!(w.shows("s"), "");
}

#[test]
fn a_kept_service_moves_only_where_it_asks_to() {
    let mut w = World::new(&[pool("a", "10.0.0.0/24"), pool("b", "10.1.0.0/24")]).start();
    w.apply(service("s"));
    w.facts.config.pools.remove(&PoolName::from("a"));
    w.reject(&["a"]);
    w.edit("s", |s| s.requested_pool = Some("nowhere".into()));
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
    w.edit("s", |s| s.requested_pool = Some("b".into()));
    assert_eq!(w.shows("s"), "10.1.0.0 from b");
}

#[test]
fn reserved_addresses_wait_for_their_service() {
    let hidden = ServiceKey::new("ns", "hidden");
    let mut w = World::new(&[pool("a", "10.0.0.0/31")]);
    w.facts.reserved = [(hidden, ips("10.0.0.0"))].into();
    let mut w = w.start();
    w.apply(service("s"));
    w.apply(service("t"));
    assert_eq!(
        (w.shows("s"), w.shows("t")),
        ("10.0.0.1 from a".into(), String::new())
    );
    w.facts.reserved.clear();
    w.handle(&Changes {
        reserved: true,
        ..Changes::default()
    });
    assert_eq!(w.shows("t"), "10.0.0.0 from a");
}

#[test]
fn an_address_of_another_class_is_nobodys_while_a_status_has_it() {
    let other = || Class::Named("other".into());
    let foreign = |address: &'static str| {
        with("foreign", move |s| {
            s.class = other();
            on_record(s, address, "a");
        })
    };
    // It changes its class while we look, or was of another class all along.
    let mut changed = World::new(&[pool("a", "10.0.0.0/32")]).start();
    changed.apply(service("foreign"));
    assert_eq!(changed.shows("foreign"), "10.0.0.0 from a");
    changed.edit("foreign", |s| s.class = other());
    let restarted = World::new(&[pool("a", "10.0.0.0/32")])
        .given(&[service("a"), foreign("10.0.0.0")])
        .start();
    for (mut w, name) in [(changed, "changed"), (restarted, "restarted")] {
        w.apply(service("s"));
        let writes = w.writes;
        assert_eq!(
            (w.shows("foreign"), w.shows("s"), w.why("s")),
            (
                "10.0.0.0 from a".into(),
                String::new(),
                "no available IPs".into()
            ),
            "{name}"
        );
        let asks = with("s", |s| s.requested = Requested::Addresses(ips("10.0.0.0")));
        w.apply(asks);
        assert_eq!(w.shows("s"), "", "{name}");
        // Its controller gives it another one.
        w.apply(foreign("192.0.2.9"));
        assert_eq!(w.writes, writes + 1, "{name}: only what is ours is written");
        assert_eq!(w.shows("foreign"), "192.0.2.9 from a", "{name}");
    }
}

#[test]
fn a_service_that_comes_from_another_class_has_what_its_status_says() {
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
    w.apply(service("s"));
    w.edit("s", |s| s.class = Class::Named("other".into()));
    w.edit("s", |s| {
        s.class = Class::Default;
        on_record(s, "10.0.0.2", "a");
    });
    assert_eq!(w.shows("s"), "10.0.0.2 from a");
    w.apply(service("t"));
    assert_eq!(w.shows("t"), "10.0.0.0 from a", "the first one is free");
    // Away and back before what was asked for shows: the status counts all the same.
    w.edit("s", |s| s.class = Class::Named("other".into()));
    w.edit("s", |s| s.ingress = Ingress::Empty);
    w.edit("s", |s| s.class = Class::Default);
    assert_eq!(w.shows("s"), "10.0.0.1 from a");
}

#[test]
fn counters_are_written_when_they_change() {
    let mut w = World::new(&[pool("a", "10.0.0.0/30 fd00::/127")]).start();
    let statuses = |w: &mut World, s: Service| {
        let key = s.key.clone();
        w.facts.services.insert(key.clone(), s.into());
        w.controller.handle(
            &w.facts,
            &Changes {
                services: [key].into(),
                ..Changes::default()
            },
        );
        std::iter::from_fn(|| w.controller.poll_action())
            .filter_map(|a| match a {
                Action::PoolStatus { status, .. } => Some((
                    status.assigned_ipv4,
                    status.available_ipv4,
                    status.available_ipv6,
                )),
                Action::Assign { .. } | Action::Emit(_) => None,
            })
            .collect::<Vec<_>>()
    };
    let shared = |name: &str, port| {
        with(name, |s| {
            s.sharing = Sharing::Key("k".into());
            s.ports = [Port {
                protocol: Protocol::Tcp,
                port,
            }]
            .into();
        })
    };
    assert_eq!(statuses(&mut w, shared("s", 1)), [(1, 3, 2)]);
    assert_eq!(
        statuses(&mut w, shared("t", 2)),
        [],
        "a shared address counts once"
    );
    assert_eq!(statuses(&mut w, shared("u", 2)), [(2, 2, 2)]);
}

#[test]
fn someone_new_of_an_old_name_is_dealt_with_anew() {
    let key = ServiceKey::new("ns", "s");
    let mut w = World::new(&[pool("a", "10.0.0.0/32")]).start();
    let changed = Changes {
        services: [key.clone()].into(),
        ..Changes::default()
    };
    // Deleted and made again before its status came back.
    for _ in 0..2 {
        w.facts.services.insert(key.clone(), service("s").into());
        w.controller.handle(&w.facts, &changed);
        let asked = std::iter::from_fn(|| w.controller.poll_action());
        let asked = asked.filter(|a| matches!(a, Action::Assign { .. }));
        assert_eq!(asked.count(), 1);
        w.facts.services.remove(&key);
        w.controller.handle(&w.facts, &changed);
    }
    // Its predecessor's complaint isn't its own.
    w.apply(service("s"));
    for _ in 0..2 {
        w.said();
        w.apply(service("t"));
        assert_eq!(w.said().len(), 1);
        w.delete("t");
    }
}

#[test]
fn an_emptied_status_is_filled_again() {
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
    w.apply(service("s"));
    w.edit("s", |s| s.ingress = Ingress::Empty);
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
}

#[test]
fn a_stale_status_of_no_load_balancer_takes_nothing() {
    let mut w = World::new(&[pool("a", "10.0.0.0/30")])
        .given(&[
            with("a", |s| {
                s.is_load_balancer = false;
                on_record(s, "10.0.0.1", "a");
            }),
            with("b", |s| on_record(s, "10.0.0.1", "a")),
        ])
        .start();
    assert_eq!(
        (w.shows("a"), w.shows("b")),
        ("".into(), "10.0.0.1 from a".into())
    );
    w.edit("b", |s| s.requested_pool = Some("unknown".into()));
    assert_eq!(w.shows("b"), "", "every pool is known, and that is none");
}

#[test]
fn a_requested_address_stays_alone() {
    let mut w = World::new(&[pool("a", "10.0.0.0/24")]).start();
    w.apply(with("s", |s| {
        s.families = Families::Dual;
        s.family_policy = FamilyPolicy::PreferDualStack;
    }));
    w.edit("s", |s| s.requested = Requested::Addresses(ips("10.0.0.0")));
    w.pools(&[pool("a", "10.0.0.0/24 fd00::/120")]);
    assert_eq!(w.shows("s"), "10.0.0.0 from a");
}

#[test]
fn the_second_family_is_waited_for() {
    let prefers = |s: &mut Service| {
        s.families = Families::Dual;
        s.family_policy = FamilyPolicy::PreferDualStack;
    };
    let mut w = World::new(&[pool("a", "10.0.0.0/24 fd00::/128")]).start();
    w.apply(with("s", prefers));
    w.apply(with("t", prefers));
    assert_eq!(w.shows("t"), "10.0.0.1 from a");
    w.delete("s");
    assert_eq!(w.shows("t"), "10.0.0.1 fd00:: from a");
}

#[test]
fn doubt_is_about_what_lies_outside_the_accepted_pools() {
    let outside = |name| with(name, |s| on_record(s, "10.9.0.0", "web"));
    let mut w = World::new(&[pool("a", "10.0.0.0/30")]).given(&[
        outside("b"),
        outside("c"),
        with("s", |s| on_record(s, "10.0.0.1", "a")),
    ]);
    w.facts.config.coverage = Coverage::Incomplete {
        rejected: [("web".into(), RejectedPool::default())].into(),
    };
    let mut w = w.start();
    let inside = AllocationState::Allocated {
        pool: "a".into(),
        addresses: ips("10.0.0.1"),
    };
    assert_eq!(w.state("s"), &inside);
    assert!(w.why("c").contains("sharing key"), "{}", w.why("c"));
    w.delete("b");
    assert_eq!(
        w.why("c"),
        "pool web is rejected",
        "nobody else is there now"
    );
}

#[test]
fn an_unreadable_namespace_takes_no_address_away() {
    let subjects = [
        Subject::Object(ObjectRef::new(Kind::Namespace, "", "ns")),
        Subject::Unidentified,
    ];
    for subject in subjects {
        let mut w = World::new(&[pool("a", "10.0.0.0/30")]).start();
        w.apply(service("s"));
        let mut pinned = pool("a", "10.0.0.0/30");
        pinned.scope = PoolScope::Pinned(Pinning {
            priority: 0,
            namespaces: Filter::Only(["elsewhere".to_owned()].into()),
            services: Selectors::Everything,
        });
        w.facts.rejections = vec![Rejection {
            subject: subject.clone(),
            place: String::new(),
            field: String::new(),
            cause: "broken".into(),
        }];
        w.pools(&[pinned]);
        let unknown = "pool a is for other namespaces, but a Namespace can't be read now";
        assert_eq!(
            (w.shows("s"), w.why("s")),
            ("10.0.0.0 from a".into(), unknown.into()),
            "{subject:?}"
        );
        w.facts.rejections.clear();
        w.handle(&Changes {
            rejections: true,
            ..Changes::default()
        });
        assert_eq!(w.shows("s"), "", "{subject:?}");
    }
}
