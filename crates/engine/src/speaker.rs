//! The speaker: what this node announces (`spec/metallb.md` §5.1, §5.2, §6).
//!
//! Invariants: nothing is decided before everything a decision rests on is known (the first full
//! list of each kind; for layer 2 also who is alive and this node's interfaces), so that a start
//! never says that nothing is announced. A verdict comes from the two decision functions of
//! [`crate::advertise`] only. A table goes out only when it changed, and whole.

mod bgp;
mod board;
mod moving;
mod report;

pub use moving::{Immovable, Move, Succession};

pub use crate::advertise::l2::LinkState;

use crate::advertise::bgp::{BgpTable, Decision as BgpDecision, Verdict as BgpVerdict};
use crate::advertise::l2::{
    Conflict, Decision, Grounds, L2Table, Last, Local, Reason, Situation, Terms, Verdict, decide,
    ready,
};
use crate::aside::Aside;
use crate::event::EventRecord;
use crate::facts::{Changes, Class, Facts};
use crate::flat;
use crate::membership::Membership;
use crate::names::{NodeName, ServiceKey};
use crate::ownership::{Fleet, Ownership};
use board::Board;
use corten_api::names::EXCLUDE_FROM_LB;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// What the speaker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The facts changed.
    Facts(Changes),
    /// Who is alive. Told at least once, also where membership is off.
    Membership(Membership),
    /// Who has which address already; told before the membership it belongs to.
    Ownership(Ownership),
    /// Who stands aside by its own word; told before the membership it belongs to.
    Aside(Aside),
    /// Interfaces of this node by name, and whether ARP and NDP can be spoken on them now. Told
    /// at least once.
    Links(BTreeMap<String, LinkState>),
    /// Every conflict known now, latest wins.
    Conflicts(BTreeSet<Conflict>),
    /// The time of these Services' last [`Action::HoldDown`] is over.
    Released(BTreeSet<ServiceKey>),
}

/// What the speaker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole layer-2 table, latest wins.
    L2(L2Table),
    /// The whole BGP table, latest wins.
    Bgp(BgpTable),
    /// Record an event on a Service.
    Emit(EventRecord),
    /// Say [`Input::Released`] of the Service once so much time is over; a later one counts instead
    /// of an earlier one. It has lost its last endpoint, and isn't announced over BGP before.
    HoldDown(ServiceKey, Duration),
}

/// Who this speaker is and whom it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerOptions {
    /// This node.
    pub node: NodeName,
    /// The `loadBalancerClass` served (`--lb-class`).
    pub class: Class,
    /// Whether nodes with the exclude label are candidates all the same (`--ignore-exclude-lb`).
    pub ignore_exclude_lb: bool,
    /// Whether somebody speaks BGP as the table says.
    pub bgp: BgpDriver,
}

/// Whether somebody speaks BGP as the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BgpDriver {
    /// Nobody: BGP is decided and explained, but no event and no metric says that it happens.
    Absent,
    /// The process's BGP driver.
    Present,
    /// FRR, which is told by an FRRConfiguration (frr-k8s).
    Frr,
}

/// How an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// ARP and NDP.
    Layer2,
    /// BGP.
    Bgp,
}

impl Protocol {
    /// As in metrics and events (`spec/metallb.md` §5.1).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Bgp => "bgp",
        }
    }
}

/// The speaker of one node.
#[derive(Debug)]
pub struct Speaker {
    options: SpeakerOptions,
    /// `None` until told; neither off nor empty.
    membership: Option<Membership>,
    ownership: Ownership,
    aside: Aside,
    /// `None` until told.
    links: Option<BTreeMap<String, LinkState>>,
    conflicts: BTreeSet<Conflict>,
    /// Whether everything was decided once.
    started: bool,
    states: BTreeMap<ServiceKey, Box<State>>,
    board: Board,
    bgp: bgp::Side,
    events: VecDeque<EventRecord>,
}

/// What was decided about a Service last.
#[derive(Debug)]
struct State {
    verdict: Verdict,
    /// Addresses, in ingress order; none if there is nothing to announce.
    addresses: Vec<IpAddr>,
    /// How this node holds them, silently or not, if it does.
    held: Option<Terms>,
    /// Nodes that gossip doesn't reach and that come before this one.
    rivals: Box<[NodeName]>,
    /// Whether another node won them.
    elsewhere: bool,
    /// Strangers heard for them.
    conflicts: Vec<Conflict>,
    /// What the next decision may rest on.
    grounds: Grounds,
    age: Age,
}

/// How long the Service has had its addresses, as far as this process saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// It got them before this process looked, or somebody has announced them since.
    Known,
    /// This process saw it get them, and nobody was there to announce them yet.
    New,
    /// This process saw it get them, and the decision of this very moment is the first with a
    /// winner.
    First,
}

/// What an input asks to decide anew.
enum Scope {
    Nothing,
    Services(BTreeSet<ServiceKey>),
    All,
}

impl Speaker {
    /// A speaker that knows nothing yet.
    #[must_use]
    pub fn new(options: SpeakerOptions) -> Self {
        Self {
            options,
            membership: None,
            ownership: Ownership::default(),
            aside: Aside::default(),
            links: None,
            conflicts: BTreeSet::new(),
            started: false,
            states: BTreeMap::new(),
            board: Board::default(),
            bgp: bgp::Side::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes an input; `facts` are the facts with it applied.
    pub fn handle(&mut self, facts: &Facts, input: Input) {
        self.bgp
            .handle(facts, &self.options, &input, &mut self.events);
        let scope = self.take(facts, input);
        if self.membership.is_none() || self.links.is_none() || !ready(facts) {
            return;
        }
        let all = || facts.services.keys().chain(self.states.keys()).cloned();
        let keys = match scope {
            Scope::Services(keys) if self.started => keys,
            Scope::Nothing if self.started => return,
            Scope::All | Scope::Services(_) | Scope::Nothing => {
                let keys = all().collect();
                self.board.know(&facts.nodes);
                if let Some(membership) = &self.membership {
                    let ownership = &self.ownership;
                    self.board.miss(membership, ownership, &facts.nodes);
                    let own = &self.options.node;
                    let ordered = taken_out(facts, own, self.options.ignore_exclude_lb);
                    let aside = self.aside.drained.contains(own) || !membership.admits(own);
                    self.board.leave(ordered || aside);
                }
                keys
            }
        };
        self.decide_all(facts, &keys);
        self.started = true;
    }

    /// What is asked for next, if anything; to be called until it isn't.
    pub fn poll_action(&mut self) -> Option<Action> {
        let table = self.board.take_changed().map(Action::L2);
        let table = table.or_else(|| self.bgp.take_changed().map(Action::Bgp));
        let mut held = || self.bgp.take_fallen();
        let table = table.or_else(|| held().map(|(key, time)| Action::HoldDown(key, time)));
        table.or_else(|| {
            let event = self.events.pop_front();
            if event.is_none() {
                // The room a first list took isn't needed again.
                self.events = VecDeque::new();
            }
            event.map(Action::Emit)
        })
    }

    /// This node's layer-2 verdict on every Service; none before the first decision.
    pub fn verdicts(&self) -> impl Iterator<Item = (&ServiceKey, &Verdict)> {
        self.states.iter().map(|(key, state)| (key, &state.verdict))
    }

    /// This node's BGP verdict on every Service; none before the first decision.
    pub fn bgp_verdicts(&self) -> impl Iterator<Item = (&ServiceKey, &BgpVerdict)> {
        self.bgp.verdicts()
    }

    /// The layer-2 table as it stands; none before the first decision.
    #[must_use]
    pub fn l2_table(&self) -> Option<L2Table> {
        self.started.then(|| self.board.table())
    }

    /// The BGP table as it stands.
    #[must_use]
    pub fn bgp_table(&self) -> BgpTable {
        self.bgp.table()
    }

    /// BGPPeers that are told of a Service, by name (`ServiceBGPStatus`, `spec/metallb.md` §6.8).
    #[must_use]
    pub fn bgp_peers(&self, service: &ServiceKey) -> BTreeSet<&str> {
        self.bgp.peers_of(service)
    }

    /// What this node announces, Service by Service
    /// (`metallb_speaker_announced{service,protocol,node,ip}`).
    pub fn announced(&self) -> impl Iterator<Item = (&ServiceKey, Protocol, IpAddr)> {
        let layer2 = self.verdicts().flat_map(|(key, verdict)| {
            let addresses: &[IpAddr] = match verdict {
                Verdict::Announce(announcement) => &announcement.addresses,
                Verdict::Withhold(_) => &[],
            };
            addresses.iter().map(move |&ip| (key, Protocol::Layer2, ip))
        });
        let spoken = self.options.bgp != BgpDriver::Absent;
        let bgp = self.bgp.verdicts().filter(move |_| spoken);
        layer2.chain(bgp.flat_map(|(key, verdict)| {
            let addresses = bgp::addresses(verdict).iter();
            addresses.map(move |&ip| (key, Protocol::Bgp, ip))
        }))
    }

    /// Whether everything that is announced over BGP was decided once: it rests on other kinds than
    /// layer 2, which may be listed later.
    #[must_use]
    pub fn bgp_has_started(&self) -> bool {
        self.bgp.has_started()
    }

    /// Whether everything that is announced on layer 2 was decided once.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.options.node
    }

    /// This node's interfaces, as last told.
    pub fn links(&self) -> impl Iterator<Item = (&str, LinkState)> {
        let links = self.links.iter().flatten();
        links.map(|(name, link)| (name.as_str(), *link))
    }

    /// Whether somebody speaks BGP as the table says.
    #[must_use]
    pub fn bgp_driver(&self) -> BgpDriver {
        self.options.bgp
    }

    /// The BGP decision about a Service as it stands.
    #[must_use]
    pub fn bgp_decision<'a>(&'a self, facts: &'a Facts, key: &ServiceKey) -> BgpDecision<'a> {
        self.bgp.decision(facts, &self.options, key)
    }

    /// The layer-2 decision about a Service as it stands; none before membership and interfaces
    /// are known.
    #[must_use]
    pub fn decision<'a>(&'a self, facts: &'a Facts, key: &ServiceKey) -> Option<Decision<'a>> {
        self.decision_if(facts, &self.aside, key)
    }

    /// Who stands aside, as last told.
    #[must_use]
    pub fn aside(&self) -> &Aside {
        &self.aside
    }

    /// The decision if these stood aside.
    fn decision_if<'a>(
        &'a self,
        facts: &'a Facts,
        aside: &'a Aside,
        key: &ServiceKey,
    ) -> Option<Decision<'a>> {
        let situation = Situation {
            facts,
            membership: self.membership.as_ref()?,
            ownership: &self.ownership,
            aside,
            class: &self.options.class,
            ignore_exclude_lb: self.options.ignore_exclude_lb,
            local: Local {
                node: &self.options.node,
                links: self.links.as_ref()?,
                conflicts: &self.conflicts,
            },
        };
        let unknown = Grounds::Unknown;
        let state = self.states.get(key);
        let last = Last {
            addresses: state.map_or(&[], |state| &state.addresses),
            grounds: state.map_or(&unknown, |state| &state.grounds),
        };
        Some(decide(situation, key, last))
    }

    /// Who claims what, as last told.
    #[must_use]
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    fn take(&mut self, facts: &Facts, input: Input) -> Scope {
        match input {
            Input::Facts(changes)
                if changes.pools || changes.config || changes.nodes || changes.listed =>
            {
                Scope::All
            }
            Input::Facts(changes) => Scope::Services(changes.services),
            Input::Membership(membership) => {
                scope_of(self.membership.replace(membership) != self.membership)
            }
            Input::Aside(aside) => {
                let changed = self.aside != aside;
                self.aside = aside;
                scope_of(changed)
            }
            Input::Ownership(ownership) => self.take_ownership(facts, ownership),
            Input::Links(links) => scope_of(self.links.replace(links) != self.links),
            Input::Conflicts(conflicts) => {
                let changed = self.conflicts.symmetric_difference(&conflicts);
                let keys = changed
                    .flat_map(|c| self.board.holders(c.ip))
                    .cloned()
                    .collect();
                self.conflicts = conflicts;
                Scope::Services(keys)
            }
            Input::Released(_) => Scope::Nothing,
        }
    }

    fn take_ownership(&mut self, facts: &Facts, ownership: Ownership) -> Scope {
        let before = std::mem::replace(&mut self.ownership, ownership);
        let who = |o: &Ownership| (o.fleet, o.doubted.clone(), o.left.clone());
        if who(&before) != who(&self.ownership) {
            return Scope::All;
        }
        if before.fleet == Fleet::Stateless {
            return Scope::Nothing;
        }
        let changed = before.differences(&self.ownership);
        let holders = changed.iter().flat_map(|ip| self.board.holders(*ip));
        Scope::Services(holders.flat_map(|key| facts.companions(key)).collect())
    }

    fn decide_all(&mut self, facts: &Facts, keys: &BTreeSet<ServiceKey>) {
        let mut touched = BTreeSet::new();
        for key in keys {
            let before = self.states.get(key).map(|state| &**state);
            let Some(after) = self.state(facts, key, before) else {
                continue;
            };
            report::tell(&self.options.node, key, before, &after, &mut self.events);
            let old = before.map_or(&[][..], |state| &state.addresses);
            self.board.hold(key, old, &after.addresses);
            touched.extend(old.iter().chain(&after.addresses).copied());
            if after.verdict == Verdict::Withhold(Reason::NoSuchService) {
                self.states.remove(key);
            } else {
                self.states.insert(key.clone(), Box::new(after));
            }
        }
        flat::pack(&mut self.states, keys.len());
        for ip in &touched {
            self.board.settle(*ip, &self.states);
        }
        self.board.pack(touched.len());
    }

    fn state(&self, facts: &Facts, key: &ServiceKey, before: Option<&State>) -> Option<State> {
        let decision = self.decision(facts, key)?;
        let addresses = decision.addresses().to_vec();
        let age = match before {
            _ if addresses.is_empty() || !self.started => Age::Known,
            None => Age::New,
            Some(before) if before.addresses.is_empty() => Age::New,
            Some(before) if before.addresses == addresses && before.age == Age::New => Age::New,
            Some(_) => Age::Known,
        };
        Some(State {
            verdict: decision.verdict(&self.options.node),
            held: decision.held(),
            rivals: decision.rivals().into_iter().collect(),
            elsewhere: decision.winner().is_some_and(|w| *w != self.options.node),
            conflicts: decision.conflicts(),
            grounds: decision.grounds().clone(),
            age: match (age, decision.winner()) {
                (Age::New, Some(_)) => Age::First,
                (Age::New, None) => Age::New,
                (Age::Known | Age::First, _) => Age::Known,
            },
            addresses,
        })
    }
}

/// Whether an order in the facts takes a node out of load balancing.
fn taken_out(facts: &Facts, node: &NodeName, ignore_exclude_lb: bool) -> bool {
    facts.nodes.get(node).is_some_and(|node| {
        let excluded = node.labels.contains_key(EXCLUDE_FROM_LB) && !ignore_exclude_lb;
        excluded || node.out_of_service
    })
}

fn scope_of(changed: bool) -> Scope {
    if changed { Scope::All } else { Scope::Nothing }
}
