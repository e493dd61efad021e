//! The BGP table, put together from the Services' verdicts and kept prefix by prefix, so that a
//! change of one Service touches its prefixes only, and peers that are told the same share a map.

use super::{BgpDriver, Input, SpeakerOptions, taken_out};
use crate::advertise::bgp::{
    BgpPeer, BgpTable, Decision, Families, Grounds, Last, Path, Reason, Route, Session, Situation,
    Verdict, decide, offer, ready, sessions,
};
use crate::aside::Aside;
use crate::config::frr::Held;
use crate::event::{EventRecord, Severity};
use crate::facts::Facts;
use crate::flat::FlatSet;
use crate::names::ServiceKey;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What this node announces over BGP.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Whether everything was decided once.
    started: bool,
    states: BTreeMap<ServiceKey, Box<State>>,
    /// Services by prefix they announce.
    holders: BTreeMap<IpNet, FlatSet<ServiceKey>>,
    /// The peers of this node.
    peers: BTreeMap<String, (Arc<Session>, Audience)>,
    told: BTreeMap<Audience, Told>,
    /// Whether the node leaves load balancing.
    leaving: bool,
    aside: Aside,
    /// Whether the table changed since it was last taken.
    changed: bool,
    /// Services that have just lost their last endpoint, and how long they are held down.
    fallen: VecDeque<(ServiceKey, Duration)>,
}

/// What was decided about a Service last.
#[derive(Debug)]
struct State {
    verdict: Verdict,
    /// Its addresses, in ingress order.
    addresses: Box<[IpAddr]>,
    grounds: Grounds,
    /// Whether it lost its last endpoint, and its hold-down isn't over yet.
    fallen: bool,
}

/// Whom the same is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Audience {
    /// Families the sessions carry.
    families: Families,
    /// Advertisements for the peers.
    advertisements: BTreeSet<String>,
    /// Why nothing is told by this process.
    held: Option<Held>,
}

/// What an audience is told.
#[derive(Debug, Default)]
struct Told {
    routes: Arc<BTreeMap<IpNet, Route>>,
    withheld: Arc<BTreeMap<IpNet, Reason>>,
}

impl Side {
    /// Decides what an input asks for; what isn't BGP's, only if nothing was decided yet.
    pub(super) fn handle(
        &mut self,
        facts: &Facts,
        options: &SpeakerOptions,
        input: &Input,
        events: &mut VecDeque<EventRecord>,
    ) {
        let mut changes = None;
        let all = match input {
            Input::Facts(c) => {
                changes = Some(c);
                c.pools || c.config || c.nodes || c.listed
            }
            Input::Aside(aside) => {
                let changed = self.aside != *aside;
                self.aside.clone_from(aside);
                changed
            }
            Input::Membership(_) | Input::Ownership(_) | Input::Links(_) | Input::Conflicts(_) => {
                false
            }
            Input::Released(services) => return self.release(facts, options, services, events),
        };
        if !ready(facts) {
            return;
        }
        if all || !self.started {
            let keys = facts.services.keys().chain(self.states.keys());
            let keys = keys.cloned().collect();
            let touched = self.decide_all(facts, options, &keys, events);
            let leaving = self.leaves(facts, options);
            self.changed |= leaving != self.leaving;
            self.leaving = leaving;
            if self.meet(facts, options) {
                self.settle_all();
            } else {
                self.settle(&touched);
            }
            self.changed |= !self.started;
            self.started = true;
        } else if let Some(changes) = changes {
            let touched = self.decide_all(facts, options, &changes.services, events);
            self.settle(&touched);
        }
    }

    /// Hold-downs are over.
    fn release(
        &mut self,
        facts: &Facts,
        options: &SpeakerOptions,
        services: &BTreeSet<ServiceKey>,
        events: &mut VecDeque<EventRecord>,
    ) {
        for key in services {
            if let Some(state) = self.states.get_mut(key) {
                state.fallen = false;
            }
        }
        let touched = self.decide_all(facts, options, services, events);
        self.settle(&touched);
    }

    /// Whether everything was decided once.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// A Service to be held down from now on, and how long.
    pub(super) fn take_fallen(&mut self) -> Option<(ServiceKey, Duration)> {
        self.fallen.pop_front()
    }

    /// The table, if it changed since it was last taken.
    pub(super) fn take_changed(&mut self) -> Option<BgpTable> {
        std::mem::take(&mut self.changed).then(|| self.table())
    }

    pub(super) fn table(&self) -> BgpTable {
        let peers = self.peers.iter().filter_map(|(name, (session, audience))| {
            let told = self.told.get(audience)?;
            let peer = BgpPeer {
                session: Arc::clone(session),
                routes: Arc::clone(&told.routes),
                withheld: Arc::clone(&told.withheld),
            };
            Some((name.clone(), peer))
        });
        BgpTable {
            peers: peers.collect(),
            leaving: self.leaving,
        }
    }

    pub(super) fn verdicts(&self) -> impl Iterator<Item = (&ServiceKey, &Verdict)> {
        self.states.iter().map(|(key, state)| (key, &state.verdict))
    }

    /// Peers that are told of a prefix the Service announces, whichever Services it stands for
    /// (§6.8).
    pub(super) fn peers_of(&self, service: &ServiceKey) -> BTreeSet<&str> {
        let prefixes: BTreeSet<_> = self.paths(service).iter().map(|p| p.prefix).collect();
        let hears = |audience: &Audience| {
            let told = self.told.get(audience);
            told.is_some_and(|told| prefixes.iter().any(|p| told.routes.contains_key(p)))
        };
        let peers = self.peers.iter().filter(|(_, (_, a))| hears(a));
        peers.map(|(name, _)| name.as_str()).collect()
    }

    pub(super) fn decision<'a>(
        &'a self,
        facts: &'a Facts,
        options: &'a SpeakerOptions,
        key: &ServiceKey,
    ) -> Decision<'a> {
        self.decision_if(facts, options, &self.aside, key)
    }

    /// The decision if these stood aside.
    pub(super) fn decision_if<'a>(
        &self,
        facts: &'a Facts,
        options: &'a SpeakerOptions,
        aside: &'a Aside,
        key: &ServiceKey,
    ) -> Decision<'a> {
        let state = self.states.get(key);
        let situation = Situation {
            facts,
            node: &options.node,
            aside,
            class: &options.class,
            ignore_exclude_lb: options.ignore_exclude_lb,
            fallen: state.is_some_and(|state| state.fallen),
        };
        let unknown = Grounds::Unknown;
        let last = Last {
            addresses: state.map_or(&[], |state| &state.addresses),
            grounds: state.map_or(&unknown, |state| &state.grounds),
        };
        decide(situation, key, last)
    }

    /// Takes over the peers of this node; whether the audiences changed.
    fn meet(&mut self, facts: &Facts, options: &SpeakerOptions) -> bool {
        let ads = &facts.config.bgp.advertisements;
        let peers: BTreeMap<_, _> = sessions(facts, &options.node)
            .into_iter()
            .map(|(name, session)| {
                let admitting = ads.values().filter(|ad| ad.peers.admits(&name));
                let audience = Audience {
                    families: session.families,
                    advertisements: admitting.map(|ad| ad.name.clone()).collect(),
                    held: session.held.clone(),
                };
                (name, (Arc::new(session), audience))
            })
            .collect();
        if self.peers == peers {
            return false;
        }
        let audiences: BTreeSet<_> = peers.values().map(|(_, a)| a.clone()).collect();
        let new = !audiences.iter().eq(self.told.keys());
        if new {
            self.told.retain(|audience, _| audiences.contains(audience));
            for audience in audiences {
                self.told.entry(audience).or_default();
            }
        }
        self.peers = peers;
        self.changed = true;
        new
    }

    /// Decides anew about `keys`; the prefixes that may have to be told differently.
    fn decide_all(
        &mut self,
        facts: &Facts,
        options: &SpeakerOptions,
        keys: &BTreeSet<ServiceKey>,
        events: &mut VecDeque<EventRecord>,
    ) -> BTreeSet<IpNet> {
        let mut touched = BTreeSet::new();
        // Where nothing is advertised, nothing is remembered of any Service.
        let idle = facts.config.bgp.advertisements.is_empty();
        let keys = keys
            .iter()
            .filter(|key| !idle || self.states.contains_key(*key));
        for key in keys.cloned().collect::<Vec<_>>() {
            let key = &key;
            let decision = self.decision(facts, options, key);
            let verdict = decision.verdict(&options.node);
            let last = self.states.get(key);
            let before = last.map(|state| &state.verdict);
            let falls = before.is_some_and(served) && unserved(&verdict);
            let hold = decision.hold_down();
            let state = State {
                verdict,
                addresses: decision.addresses().into(),
                grounds: decision.grounds().clone(),
                // Without a hold-down there is nothing to wait for.
                fallen: hold.is_some() && (falls || last.is_some_and(|last| last.fallen)),
            };
            if let (true, Some(time)) = (falls, hold) {
                self.fallen.push_back((key.clone(), time));
            }
            if before == Some(&state.verdict) && !idle {
                self.states.insert(key.clone(), Box::new(state));
                continue;
            }
            if options.bgp != BgpDriver::Absent {
                events.extend(news(options, key, before, &state.verdict));
            }
            let old: BTreeSet<_> = before
                .into_iter()
                .flat_map(paths)
                .map(|p| p.prefix)
                .collect();
            let new: BTreeSet<_> = paths(&state.verdict).iter().map(|p| p.prefix).collect();
            for prefix in old.difference(&new) {
                if let Some(holders) = self.holders.get_mut(prefix) {
                    holders.remove(key);
                    if holders.is_empty() {
                        self.holders.remove(prefix);
                    }
                }
            }
            for prefix in new.difference(&old) {
                self.holders.entry(*prefix).or_default().insert(key.clone());
            }
            touched.extend(old);
            touched.extend(new);
            if idle || state.verdict == Verdict::Withhold(Reason::NoSuchService) {
                self.states.remove(key);
            } else {
                self.states.insert(key.clone(), Box::new(state));
            }
        }
        touched
    }

    fn settle_all(&mut self) {
        let told = self.told.values();
        let known = told.flat_map(|t| t.routes.keys().chain(t.withheld.keys()));
        let prefixes: BTreeSet<_> = known.chain(self.holders.keys()).copied().collect();
        self.settle(&prefixes);
    }

    /// Tells every audience of `prefixes` what the Services that have them ask for.
    fn settle(&mut self, prefixes: &BTreeSet<IpNet>) {
        for prefix in prefixes {
            let none = FlatSet::new();
            let holders = self.holders.get(prefix).unwrap_or(&none);
            let paths = |key: &ServiceKey| self.states.get(key).map(|s| paths(&s.verdict));
            let paths: Vec<(&ServiceKey, &Path)> = holders
                .iter()
                .flat_map(|key| paths(key).into_iter().flatten().map(move |p| (key, p)))
                .filter(|(_, path)| path.prefix == *prefix)
                .collect();
            for (audience, told) in &mut self.told {
                let (route, withheld) = audience.hear(&paths);
                self.changed |= put(&mut told.routes, *prefix, route);
                self.changed |= put(&mut told.withheld, *prefix, withheld);
            }
        }
    }

    /// Whether this node is taken out of load balancing.
    fn leaves(&self, facts: &Facts, options: &SpeakerOptions) -> bool {
        let ordered = taken_out(facts, &options.node, options.ignore_exclude_lb);
        ordered || self.aside.drained.contains(&options.node)
    }

    fn paths(&self, key: &ServiceKey) -> &[Path] {
        self.states
            .get(key)
            .map_or(&[], |state| paths(&state.verdict))
    }
}

impl Audience {
    /// What the audience is told of paths of one prefix, or why it isn't.
    fn hear(&self, paths: &[(&ServiceKey, &Path)]) -> (Option<Route>, Option<Reason>) {
        if paths.is_empty() {
            return (None, None);
        }
        if let Some(held) = &self.held {
            return (None, Some(held.clone().into()));
        }
        let admits = |ad: &str| self.advertisements.contains(ad);
        match offer(self.families, admits, paths.iter().map(|(_, path)| *path)) {
            Ok(attributes) => {
                let told = paths.iter().filter(|(_, path)| admits(&path.advertisement));
                let services = told.map(|(key, _)| (*key).clone()).collect();
                let route = Route {
                    attributes,
                    services,
                };
                (Some(route), None)
            }
            Err(reason) => (None, Some(reason)),
        }
    }
}

/// Puts a value into a shared map; whether that changed it.
fn put<T: Clone + PartialEq>(
    map: &mut Arc<BTreeMap<IpNet, T>>,
    prefix: IpNet,
    value: Option<T>,
) -> bool {
    if map.get(&prefix) == value.as_ref() {
        return false;
    }
    let map = Arc::make_mut(map);
    match value {
        Some(value) => map.insert(prefix, value),
        None => map.remove(&prefix),
    };
    true
}

/// Whether the Service had an endpoint.
fn served(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Announce(_) | Verdict::Withhold(Reason::HeldDown { .. })
    )
}

/// Whether nothing but an endpoint is missing.
fn unserved(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Withhold(Reason::NoLocalEndpoint | Reason::NoServingEndpoint)
    )
}

fn paths(verdict: &Verdict) -> &[Path] {
    match verdict {
        Verdict::Announce(announcement) => &announcement.paths,
        Verdict::Withhold(_) => &[],
    }
}

/// Addresses a verdict announces.
pub(super) fn addresses(verdict: &Verdict) -> &[IpAddr] {
    match verdict {
        Verdict::Announce(announcement) => &announcement.addresses,
        Verdict::Withhold(_) => &[],
    }
}

/// The event on a Service whose addresses this node gains (`spec/metallb.md` §3.6).
fn news(
    options: &SpeakerOptions,
    service: &ServiceKey,
    before: Option<&Verdict>,
    after: &Verdict,
) -> Option<EventRecord> {
    let was = before.map_or(&[][..], addresses);
    let now = addresses(after);
    // DEVIATION: MetalLB emits nodeAssigned on every successful reconcile; this on gain and change only.
    let gained = !now.is_empty() && now != was;
    gained.then(|| EventRecord {
        service: service.clone(),
        severity: Severity::Normal,
        reason: "nodeAssigned",
        message: format!(
            "announcing from node \"{}\" with protocol \"bgp\"",
            options.node
        ),
    })
}
