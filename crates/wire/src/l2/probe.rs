//! Asking the LAN for an address before it is announced for the first time (RFC 5227 §2.1.1,
//! RFC 4862 §5.4), and again while a stranger makes us withhold it.
//!
//! Addresses take turns, so that probing many uses at most half of the pace. An address whose
//! policy is to report is never kept waiting longer than an undisturbed probe takes.
// DEVIATION: probes are 100 ms apart and the last is waited for as long, 300 ms together;
// RFC 5227 §1.1 takes up to 7 s, which no Service should wait for.

use super::L2;
use super::address::Phase;
use super::pace::Pace;
use super::pending::Budget;
use super::table::Policy;
use super::timers::Timers;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// First wait until a withheld address is probed again; doubles.
pub(super) const BACKOFF: Duration = Duration::from_secs(10);
/// Longest such wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The test of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// Probes sent on each link.
    pub probes: u32,
    /// Time between them, and after the last.
    pub every: Duration,
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            probes: 3,
            every: Duration::from_millis(100),
        }
    }
}

/// Addresses waiting to be probed, longest first.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    queue: Timers<IpAddr>,
    pace: Pace,
}

impl Prober {
    /// For links that send `rate` frames a second.
    pub(super) fn new(rate: NonZeroU32) -> Self {
        let turns = NonZeroU32::new(rate.get() / 6).unwrap_or(NonZeroU32::MIN);
        Self {
            queue: Timers::default(),
            pace: Pace::new(turns),
        }
    }

    /// When the next address has its turn.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.next().map(|at| self.pace.not_before(at))
    }

    pub(super) fn cancel(&mut self, ip: IpAddr) {
        self.queue.cancel(ip);
    }
}

impl L2 {
    /// Puts an address in the queue; without a link it waits for one outside.
    pub(super) fn queue_probe(&mut self, ip: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        address.enter(Phase::Queued, &mut self.answering);
        self.phases.cancel(ip);
        self.prober.cancel(ip);
        if address.on.is_empty() {
            return;
        }
        self.prober.queue.set(ip, now);
        let Probing { probes, every } = self.options.probing;
        let hurry = address.entry.conflict == Policy::Report;
        let latest = hurry.then(|| now + every * probes);
        address.doubts_mut().probed_by = latest;
        if let Some(at) = latest {
            self.phases.set(ip, at);
        }
    }

    /// Starts the probes of addresses whose turn it is.
    pub(super) fn admit_probes(&mut self, now: Instant) {
        while self.prober.queue.next().is_some_and(|since| since <= now)
            && self.prober.pace.take(now)
        {
            let Some(ip) = self.prober.queue.pop_due(now) else {
                return;
            };
            self.catch_up(ip, now);
            if let Some(address) = self.addresses.get_mut(&ip)
                && address.phase == Phase::Queued
            {
                self.prober.cancel(ip);
                address.phase = Phase::Probing { sent: 0 };
                self.probe_step(ip, now);
            }
        }
    }

    /// Ends and steps of phases that are due, as far as the budget goes.
    pub(super) fn phases_due(&mut self, budget: &mut Budget, now: Instant) {
        while budget.is_left()
            && let Some(ip) = self.phases.first_due(now)
        {
            budget.change();
            self.catch_up(ip, now);
        }
    }

    /// The alarm of a phase has gone off.
    pub(super) fn phase_due(&mut self, ip: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get(&ip) else {
            return;
        };
        match address.phase {
            Phase::Queued => self.activate(ip, now),
            Phase::Probing { .. } => self.probe_step(ip, now),
            Phase::Withheld => self.queue_probe(ip, now),
            Phase::Asking { .. } => self.ask_step(ip, now),
            Phase::Deferring => self.ask_first(ip, now),
            Phase::Yielding { .. } => self.remove(ip),
            Phase::Active => {}
        }
    }

    fn probe_step(&mut self, ip: IpAddr, now: Instant) {
        let Probing { probes, every } = self.options.probing;
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let latest = address.probed_by();
        let Phase::Probing { sent } = &mut address.phase else {
            return;
        };
        if *sent >= probes || latest.is_some_and(|at| now >= at) {
            self.clear_conflicts(ip);
            self.activate(ip, now);
            return;
        }
        *sent += 1;
        let links: Vec<u32> = address.on.iter().copied().collect();
        let next = now + every;
        self.phases.set(ip, latest.map_or(next, |at| at.min(next)));
        for link in links {
            self.say_probe(link, ip, now);
        }
    }

    /// Answers and announces from now on.
    pub(super) fn activate(&mut self, ip: IpAddr, now: Instant) {
        self.phases.cancel(ip);
        self.prober.cancel(ip);
        self.deference.going_on.remove(&ip);
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        address.enter(Phase::Active, &mut self.answering);
        address.settle();
        self.announce(ip, now);
        self.arm_refresh(ip, now);
    }

    /// Leaves the address to the stranger and asks for it again later.
    pub(super) fn withhold(&mut self, ip: IpAddr, now: Instant) {
        self.prober.cancel(ip);
        self.silence(ip);
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        address.enter(Phase::Withheld, &mut self.answering);
        let doubts = address.doubts_mut();
        let wait = self.rng.jitter(doubts.backoff);
        doubts.backoff = (doubts.backoff * 2).min(BACKOFF_MAX);
        self.phases.set(ip, now + wait);
    }
}
