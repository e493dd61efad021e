//! The controller: keeps every Service's allocation as its spec asks and the pools allow
//! (`spec/metallb.md` §4).
//!
//! Invariants: nothing is decided before Services, pools and Namespaces are listed; every address
//! in a status is taken up by its Service before anyone is given a new one; what is in memory
//! wins over a status that lags behind; an action is not repeated while the facts stay the same.
//! A change of one Service costs a look at that Service, and at those that wait if it gave
//! something up.

mod decide;
mod doubts;
mod state;

pub use state::{AllocationReason, AllocationState};

use crate::allocate::{Allocator, Home, PoolCounters};
use crate::event::{Assignment, EventRecord, Severity};
use crate::facts::{Changes, Class, Facts, Ingress, Service};
use crate::flat;
use crate::names::{PoolName, ServiceKey};
use crate::rejection::Kind;
use corten_api::pool::IPAddressPoolStatus;
use decide::{Case, Held};
use doubts::Doubts;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Kinds that must be listed before anything is decided.
const NEEDED: [Kind; 3] = [Kind::Service, Kind::IPAddressPool, Kind::Namespace];

/// What the controller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Persist status and annotation together.
    Assign {
        /// The Service.
        service: ServiceKey,
        /// Its allocation.
        assignment: Assignment,
    },
    /// Record an event on a Service.
    Emit(EventRecord),
    /// Write a pool's counters.
    PoolStatus {
        /// The pool.
        pool: PoolName,
        /// Its counters.
        status: IPAddressPoolStatus,
    },
}

/// How a controller is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerOptions {
    /// The load balancer class handled; Services of another class are not touched at all.
    pub class: Class,
}

/// An assignment asked for, and the status it was to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    assignment: Assignment,
    over: Shown,
}

/// An allocation as the facts show it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    ingress: Ingress,
    pool: Option<PoolName>,
}

impl Shown {
    fn of(service: &Service) -> Self {
        Self {
            ingress: service.ingress.clone(),
            pool: service.allocated_from.clone(),
        }
    }

    fn is(&self, assignment: &Assignment) -> bool {
        let ingress = match &self.ingress {
            Ingress::Empty => assignment.ingress.is_empty(),
            Ingress::Addresses(addresses) => *addresses == assignment.ingress,
            Ingress::Unreadable(_) => false,
        };
        ingress && self.pool == assignment.pool
    }
}

/// Gives Services their addresses: facts in, actions out.
#[derive(Debug)]
pub struct Controller {
    options: ControllerOptions,
    started: bool,
    allocator: Allocator,
    doubts: Doubts,
    states: BTreeMap<ServiceKey, Box<AllocationState>>,
    /// Services that another one's move may help.
    waiting: BTreeSet<ServiceKey>,
    /// What was last said to stand in a Service's way.
    complaints: BTreeMap<ServiceKey, Vec<EventRecord>>,
    /// Assignments the facts don't show yet.
    sent: BTreeMap<ServiceKey, Sent>,
    pool_status: BTreeMap<PoolName, IPAddressPoolStatus>,
    actions: VecDeque<Action>,
}

impl Controller {
    /// A controller that knows nothing yet.
    #[must_use]
    pub fn new(options: ControllerOptions) -> Self {
        Self {
            options,
            started: false,
            allocator: Allocator::default(),
            doubts: Doubts::default(),
            states: BTreeMap::new(),
            waiting: BTreeSet::new(),
            complaints: BTreeMap::new(),
            sent: BTreeMap::new(),
            pool_status: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Takes note of changed facts and decides anew where they matter.
    pub fn handle(&mut self, facts: &Facts, changes: &Changes) {
        if !self.started && !NEEDED.iter().all(|kind| facts.listed.contains(kind)) {
            return;
        }
        let starting = !std::mem::replace(&mut self.started, true);
        let mut seen = self.allocator.openings();
        if starting || changes.reserved {
            self.allocator.set_reserved(&facts.reserved);
        }
        let config = changes.pools || changes.config || changes.namespaces;
        let unread = changes.rejections || changes.listed;
        if ((starting || config || unread) && self.learn_pools(facts)) || starting {
            seen = self.allocator.openings();
            let known = self.states.keys();
            let everyone = facts.services.keys().chain(known).cloned().collect();
            self.decide(facts, &everyone);
        } else {
            self.decide(facts, &changes.services);
        }
        // Whoever waits is asked again as long as someone gives something up.
        while self.allocator.openings() != seen {
            seen = self.allocator.openings();
            let waiting = self.waiting.clone();
            self.decide(facts, &waiting);
        }
        self.report_pools();
    }

    /// The next thing to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_none() {
            // The room a first list took isn't needed again.
            self.actions = VecDeque::new();
        }
        action
    }

    /// What became of a Service; `None` if it is unknown or nothing has been decided yet.
    #[must_use]
    pub fn state(&self, service: &ServiceKey) -> Option<&AllocationState> {
        self.states.get(service).map(|state| &**state)
    }

    /// What became of every Service.
    pub fn states(&self) -> impl Iterator<Item = (&ServiceKey, &AllocationState)> {
        self.states.iter().map(|(key, state)| (key, &**state))
    }

    /// Whether everything needed has been listed, and decisions are made.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Counters of every pool.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<PoolName, PoolCounters> {
        self.allocator.counters()
    }

    /// Takes over pools and what is doubtful about them; whether anything changed.
    fn learn_pools(&mut self, facts: &Facts) -> bool {
        let doubts = Doubts::of(facts);
        let doubts_changed = doubts != self.doubts;
        self.doubts = doubts;
        let pools_changed = self.allocator.set_pools(&facts.config.pools);
        if pools_changed {
            self.pool_status
                .retain(|pool, _| facts.config.pools.contains_key(pool));
        }
        doubts_changed || pools_changed
    }

    fn decide(&mut self, facts: &Facts, keys: &BTreeSet<ServiceKey>) {
        let mut services = Vec::new();
        for key in keys {
            match facts.services.get(key) {
                Some(service) => services.push(service),
                None => self.forget(key),
            }
        }
        // Addresses on record first, the oldest Service first among those.
        // DEVIATION: MetalLB takes them up one by one between new allocations, in any order.
        services.sort_by_key(|s| (s.ingress == Ingress::Empty, s.created.is_none(), &s.created));
        for service in &services {
            self.take_up(service);
        }
        for service in services {
            self.decide_one(service);
        }
        flat::pack(&mut self.states, keys.len());
        self.allocator.pack(keys.len());
    }

    /// Takes up the addresses in a status before anyone is given new ones.
    fn take_up(&mut self, service: &Service) {
        if !self.is_ours(service) {
            self.set_aside(service);
            return;
        }
        if let Some(AllocationState::Ignored { .. }) = self.state(&service.key) {
            // It is ours now, with whatever its status says.
            self.allocator.release(&service.key);
        }
        if service.is_load_balancer
            && self.allocator.get(&service.key).is_none()
            && let Held::Addresses(addresses, last) = self.held(service)
        {
            let case = Case::new(service, &self.doubts, &mut self.allocator);
            case.adopt(&addresses, last.as_ref());
        }
    }

    /// Keeps the addresses in the status of a Service of another class from everyone who is given
    /// a new one: someone else may have them on the network.
    // DEVIATION: MetalLB goes on holding them for a Service that changed its class until it is
    // deleted, and gives them to others after a restart.
    fn set_aside(&mut self, service: &Service) {
        self.sent.remove(&service.key);
        self.complaints.remove(&service.key);
        match &service.ingress {
            Ingress::Addresses(addresses) => {
                let case = Case::new(service, &self.doubts, &mut self.allocator);
                case.set_aside(addresses);
            }
            Ingress::Empty | Ingress::Unreadable(_) => {
                self.allocator.release(&service.key);
            }
        }
    }

    fn decide_one(&mut self, service: &Service) {
        if !self.is_ours(service) {
            let class = match &service.class {
                Class::Default => None,
                Class::Named(name) => Some(name.clone()),
            };
            self.waiting.remove(&service.key);
            let ignored = AllocationState::Ignored { class };
            self.states.insert(service.key.clone(), Box::new(ignored));
            return;
        }
        let held = self.held(service);
        let case = Case::new(service, &self.doubts, &mut self.allocator);
        let decision = case.decide(held);
        self.publish(service, &decision.state);
        let said = self.complaints.remove(&service.key).unwrap_or_default();
        // DEVIATION: MetalLB repeats a failure's event on every reconcile.
        let fresh = decision.complaints.iter().filter(|c| !said.contains(c));
        let events = decision.news.iter().chain(fresh).cloned();
        self.actions.extend(events.map(Action::Emit));
        if !decision.complaints.is_empty() {
            self.complaints
                .insert(service.key.clone(), decision.complaints);
        }
        if decision.state.waits() {
            self.waiting.insert(service.key.clone());
        } else {
            self.waiting.remove(&service.key);
        }
        self.states
            .insert(service.key.clone(), Box::new(decision.state));
    }

    fn is_ours(&self, service: &Service) -> bool {
        service.class == self.options.class
    }

    /// What a Service has: what is in memory, else what its status says.
    // DEVIATION: MetalLB goes by the status alone, which lags behind its own writes; someone who
    // edits a status gets the allocation back.
    fn held(&self, service: &Service) -> Held {
        if let Some(allocation) = self.allocator.get(&service.key) {
            let pool = match &allocation.home {
                Home::Pool(pool) => Some(pool.clone()),
                Home::Kept(pool) | Home::Disputed(pool) => pool.clone(),
            };
            return Held::Addresses(allocation.addresses.clone(), pool);
        }
        let shown = Shown::of(service);
        if self.sent.get(&service.key).is_some_and(|s| s.over == shown) {
            // This status has been dealt with; the write hasn't come back yet.
            return Held::Nothing;
        }
        match shown.ingress {
            Ingress::Empty => Held::Nothing,
            Ingress::Unreadable(text) => Held::Unreadable(text),
            Ingress::Addresses(addresses) => Held::Addresses(addresses, shown.pool),
        }
    }

    /// Asks for a status and annotation that differ from what the facts show.
    fn publish(&mut self, service: &Service, state: &AllocationState) {
        let Some(assignment) = state.assignment() else {
            return;
        };
        // DEVIATION: MetalLB writes the status of an assigned Service on every reconcile.
        let over = Shown::of(service);
        let last = self.sent.get(&service.key);
        // What was last asked for may be on its way still, and has to be overtaken.
        if over.is(&assignment) && last.is_none_or(|s| s.assignment == assignment) {
            self.sent.remove(&service.key);
            return;
        }
        let sent = Sent { assignment, over };
        if self.sent.get(&service.key) == Some(&sent) {
            return;
        }
        self.actions.push_back(Action::Assign {
            service: service.key.clone(),
            assignment: sent.assignment.clone(),
        });
        if !service.deprecated_annotations.is_empty() {
            let names = service.deprecated_annotations.join(", ");
            self.actions.push_back(Action::Emit(EventRecord {
                service: service.key.clone(),
                severity: Severity::Warning,
                reason: "deprecatedAnnotation",
                message: format!("deprecated annotations in use: {names}"),
            }));
        }
        self.sent.insert(service.key.clone(), sent);
    }

    fn forget(&mut self, key: &ServiceKey) {
        self.allocator.release(key);
        self.states.remove(key);
        self.waiting.remove(key);
        self.complaints.remove(key);
        self.sent.remove(key);
    }

    fn report_pools(&mut self) {
        for (pool, counters) in self.allocator.take_touched() {
            let status = counters.status();
            if self.pool_status.get(&pool) != Some(&status) {
                self.pool_status.insert(pool.clone(), status.clone());
                self.actions.push_back(Action::PoolStatus { pool, status });
            }
        }
    }
}

#[cfg(test)]
mod tests;
