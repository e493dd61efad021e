//! Addresses answered that a fellow which gossip doesn't reach would have before this node: he may
//! not know yet that gossip doesn't reach this one, and then objects to nothing. So the LAN is
//! asked whether he answers, soon and then ever more seldom.

use super::L2;
use super::address::Phase;
use super::pace::Pace;
use super::timers::Timers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Until the first question, which leaves the first announcements alone; doubles with each.
const FIRST: Duration = Duration::from_millis(50);
/// Longest time between two questions for an address.
const LONGEST: Duration = Duration::from_secs(32);

/// Who might have which address, and when the LAN is asked for it.
#[derive(Clone, Debug)]
pub(super) struct Rivalry {
    rivals: BTreeMap<IpAddr, BTreeSet<String>>,
    waits: BTreeMap<IpAddr, Duration>,
    timers: Timers<IpAddr>,
    pace: Pace,
}

impl Rivalry {
    /// For links that send `rate` frames a second.
    pub(super) fn new(rate: NonZeroU32) -> Self {
        let rate = NonZeroU32::new(rate.get() / 6).unwrap_or(NonZeroU32::MIN);
        Self {
            rivals: BTreeMap::new(),
            waits: BTreeMap::new(),
            timers: Timers::default(),
            pace: Pace::new(rate),
        }
    }

    /// Takes over who they are; whoever is new to an address makes its questions begin anew.
    pub(super) fn set(&mut self, rivals: &BTreeMap<IpAddr, BTreeSet<String>>, now: Instant) {
        if self.rivals == *rivals {
            return;
        }
        for ip in self.rivals.keys().filter(|ip| !rivals.contains_key(ip)) {
            self.waits.remove(ip);
            self.timers.cancel(*ip);
        }
        for (ip, nodes) in rivals {
            let before = self.rivals.get(ip);
            if before.is_none_or(|before| !nodes.is_subset(before)) {
                self.waits.insert(*ip, FIRST);
                self.timers.set(*ip, now + FIRST);
            }
        }
        self.rivals.clone_from(rivals);
    }

    /// Whether an address has any.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.rivals.contains_key(&ip)
    }

    /// Whether the node would have the address before this one.
    pub(super) fn is_rival(&self, ip: IpAddr, node: &str) -> bool {
        let rivals = self.rivals.get(&ip);
        rivals.is_some_and(|rivals| rivals.contains(node))
    }

    /// When there is something to ask.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next().map(|at| self.pace.not_before(at))
    }

    /// The next address to ask for, if one is due.
    fn next_question(&mut self, now: Instant) -> Option<IpAddr> {
        self.timers.first_due(now)?;
        if !self.pace.take(now) {
            return None;
        }
        let ip = self.timers.pop_due(now)?;
        let wait = self.waits.entry(ip).or_insert(FIRST);
        *wait = (*wait * 2).min(LONGEST);
        self.timers.set(ip, now + *wait);
        Some(ip)
    }
}

impl L2 {
    /// Asks for the addresses whose turn it is, where they are answered.
    pub(super) fn ask_rivals(&mut self, now: Instant) {
        while let Some(ip) = self.rivalry.next_question(now) {
            self.catch_up(ip, now);
            let Some(address) = self.addresses.get(&ip) else {
                continue;
            };
            if address.phase != Phase::Active {
                continue;
            }
            let links: Vec<u32> = address.on.iter().copied().collect();
            for link in links {
                self.say_probe(link, ip, now);
            }
        }
    }
}
