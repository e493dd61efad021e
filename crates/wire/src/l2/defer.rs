//! Fellows that gossip doesn't reach: with them nothing can be agreed on, so the LAN decides.
//!
//! A node that sees nobody takes an address only after three questions went unanswered. An address
//! is left to an unreached fellow that comes before this node ([`super::Table::rivals`]) and answers
//! for it; it is asked for every second and taken back when nobody answers. Towards one that comes
//! after it this node says that it has the address, so that he hears it. Only a MAC bound to a
//! fellow counts, never a stranger's.

use super::L2;
use super::address::Phase;
use super::fellows::Whose;
use super::mac::Mac;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Questions before an address is taken.
const QUESTIONS: u32 = 3;
/// Time between them, and after the last.
const BETWEEN: Duration = Duration::from_millis(50);
/// Until an address left to a fellow is asked for again; also the least time between two words
/// against a fellow that comes after this node.
const AGAIN: Duration = Duration::from_secs(1);

/// Who is deferred to, and where that is going on.
#[derive(Clone, Debug, Default)]
pub(super) struct Deference {
    unreached: BTreeSet<String>,
    alone: bool,
    /// Addresses asked for, and the fellow each is left to once one answered.
    pub(super) going_on: BTreeMap<IpAddr, Option<String>>,
}

impl L2 {
    /// Takes over whom gossip doesn't reach.
    pub(super) fn set_unreached(
        &mut self,
        unreached: &BTreeSet<String>,
        rivals: &BTreeMap<IpAddr, BTreeSet<String>>,
        alone: bool,
        now: Instant,
    ) {
        self.rivalry.set(rivals, now);
        let deference = &mut self.deference;
        deference.alone = alone;
        if deference.unreached != *unreached {
            deference.unreached.clone_from(unreached);
        }
    }

    /// What was left to nobody in particular any more is answered, once the table has been applied.
    pub(super) fn end_deference(&mut self, now: Instant) {
        if self.deference.alone || self.deference.going_on.is_empty() {
            return;
        }
        let rivalry = &self.rivalry;
        let going_on = self.deference.going_on.keys();
        let over: Vec<IpAddr> = going_on.filter(|ip| !rivalry.has(**ip)).copied().collect();
        for ip in over {
            self.catch_up(ip, now);
            if self.deference.going_on.contains_key(&ip) {
                self.activate(ip, now);
            }
        }
    }

    /// Whether something new has to be asked for first.
    pub(super) fn asks_first(&self) -> bool {
        self.deference.alone
    }

    /// Begins to ask whether a fellow answers.
    pub(super) fn ask_first(&mut self, ip: IpAddr, now: Instant) {
        self.enter_deference(ip, Phase::Asking { sent: 0 });
        self.ask_step(ip, now);
    }

    pub(super) fn ask_step(&mut self, ip: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let Phase::Asking { sent } = &mut address.phase else {
            return;
        };
        if *sent >= QUESTIONS {
            return self.activate(ip, now);
        }
        *sent += 1;
        let links: Vec<u32> = address.on.iter().copied().collect();
        self.phases.set(ip, now + BETWEEN);
        for link in links {
            self.say_probe(link, ip, now);
        }
    }

    fn enter_deference(&mut self, ip: IpAddr, phase: Phase) {
        self.prober.cancel(ip);
        self.silence(ip);
        if let Some(address) = self.addresses.get_mut(&ip) {
            address.enter(phase, &mut self.answering);
            self.deference.going_on.entry(ip).or_default();
        }
    }

    fn defer(&mut self, ip: IpAddr, to: &str, now: Instant) {
        self.enter_deference(ip, Phase::Deferring);
        self.phases.set(ip, now + AGAIN);
        if let Some(known) = self.deference.going_on.get_mut(&ip) {
            *known = Some(to.to_owned());
        }
    }

    /// Addresses of this node's that it doesn't answer for because gossip doesn't reach a fellow:
    /// the fellow it leaves each to, or none while the LAN is asked whether there is one.
    pub fn deferred(&self) -> impl Iterator<Item = (IpAddr, Option<&str>)> {
        let going_on = self.deference.going_on.iter();
        going_on.map(|(ip, to)| (*ip, to.as_deref()))
    }

    /// A fellow answers for an address of this node's, or says that it has it.
    pub(super) fn fellow_claims(&mut self, link: u32, ip: IpAddr, node: &str, now: Instant) {
        if !self.deference.unreached.contains(node) {
            return self.contest(ip, node, now);
        }
        let rival = self.rivalry.is_rival(ip, node);
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        match address.phase {
            // Whoever answers has it, whatever his rank.
            Phase::Asking { .. } => self.defer(ip, node, now),
            Phase::Deferring => self.phases.set(ip, now + AGAIN),
            Phase::Active if rival => self.defer(ip, node, now),
            Phase::Active => {
                let doubts = address.doubts_mut();
                let rested = doubts.answered_back.is_none_or(|at| now >= at + AGAIN);
                if let (true, Some(port)) = (rested, self.ports.get_mut(&link)) {
                    doubts.answered_back = Some(now);
                    port.announcer.defend(ip, now);
                }
            }
            Phase::Queued | Phase::Probing { .. } | Phase::Withheld | Phase::Yielding { .. } => {}
        }
    }

    /// A fellow that gossip is said to reach answers for an address of this node's: a hand-over
    /// crossed, or gossip doesn't reach it any more and nobody has noticed yet.
    fn contest(&mut self, ip: IpAddr, node: &str, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        if address.phase != Phase::Active {
            return;
        }
        let doubts = address.doubts_mut();
        if doubts.contested.is_none_or(|at| now >= at + AGAIN) {
            doubts.contested = Some(now);
            *self.contested.entry(node.to_owned()).or_default() += 1;
        }
    }

    /// A fellow asks for an address that this node asks for, too: the one that comes first goes on.
    pub(super) fn fellow_asks(&mut self, link: u32, ip: IpAddr, mac: Mac, now: Instant) {
        let asking = |a: &super::Address| matches!(a.phase, Phase::Asking { .. });
        if !self.addresses.get(&ip).is_some_and(|a| asking(a)) {
            return;
        }
        if let Whose::Fellow(node) = self.fellows.whose(link, mac, now)
            && self.rivalry.is_rival(ip, &node)
        {
            self.defer(ip, &node, now);
        }
    }

    /// Addresses that were answered before a time of silence are asked for first.
    pub(super) fn ask_for_all(&mut self, now: Instant) {
        let active = self
            .addresses
            .iter()
            .filter(|(_, a)| a.phase == Phase::Active);
        let active: Vec<IpAddr> = active.map(|(ip, _)| *ip).collect();
        for ip in active {
            self.ask_first(ip, now);
        }
    }
}
