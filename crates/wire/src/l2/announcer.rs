//! What is sent unasked on one link, and when (`spec/metallb.md` §5.3): for each address a
//! gratuitous round at once and then one each period of the schedule, all under the link's pace.
//!
//! The first frame of every address goes before anything else, most recently asked for first;
//! whatever else is due goes in the order it became due. A round is a request and a reply for
//! IPv4, one advertisement for IPv6.
// DEVIATION: the schedule counts from an address's own first frame, so that pacing stretches it
// instead of cutting it short.

use super::pace::Pace;
use super::timers::Timers;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// When an address is announced after it was gained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time between rounds.
    pub every: Duration,
    /// Rounds go on for this long.
    pub during: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(1100),
            during: Duration::from_secs(5),
        }
    }
}

impl Schedule {
    /// Rounds after the first.
    fn repeats(self) -> u32 {
        let every = self.every.as_nanos().max(1);
        u32::try_from(self.during.as_nanos() / every).unwrap_or(u32::MAX)
    }
}

/// Which frame of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// The request, and IPv6's only one.
    First,
    /// The reply.
    Second,
}

type Rank = Reverse<Option<Instant>>;

#[derive(Clone, Copy, Debug)]
struct Job {
    next: Half,
    repeats: u32,
    /// Whether the round is a whole one; a defence is one frame.
    whole: bool,
    round_at: Instant,
    rank: Option<Rank>,
}

/// The queue of one link.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    pub(super) pace: Pace,
    schedule: Schedule,
    jobs: BTreeMap<IpAddr, Job>,
    fresh: BTreeSet<(Rank, IpAddr)>,
    timed: Timers<IpAddr>,
}

impl Announcer {
    pub(super) fn new(rate: NonZeroU32, schedule: Schedule) -> Self {
        Self {
            pace: Pace::new(rate),
            schedule,
            jobs: BTreeMap::new(),
            fresh: BTreeSet::new(),
            timed: Timers::default(),
        }
    }

    /// Starts the schedule of `ip` anew; `asked` is when the LAN last asked for it.
    pub(super) fn gained(&mut self, ip: IpAddr, asked: Option<Instant>, now: Instant) {
        self.cancel(ip);
        let rank = Reverse(asked);
        self.fresh.insert((rank, ip));
        let repeats = self.schedule.repeats();
        let job = Job {
            next: Half::First,
            repeats,
            whole: true,
            round_at: now,
            rank: Some(rank),
        };
        self.jobs.insert(ip, job);
    }

    /// One round for `ip`, unless its schedule is still running.
    pub(super) fn refresh(&mut self, ip: IpAddr, now: Instant) {
        self.once(ip, true, now);
    }

    /// One frame for `ip`, unless its schedule is still running.
    pub(super) fn defend(&mut self, ip: IpAddr, now: Instant) {
        self.once(ip, false, now);
    }

    fn once(&mut self, ip: IpAddr, whole: bool, now: Instant) {
        if self.jobs.contains_key(&ip) {
            return;
        }
        let job = Job {
            next: Half::First,
            repeats: 0,
            whole,
            round_at: now,
            rank: None,
        };
        self.jobs.insert(ip, job);
        self.timed.set(ip, now);
    }

    /// Nothing more for `ip`.
    pub(super) fn cancel(&mut self, ip: IpAddr) {
        if let Some(job) = self.jobs.remove(&ip) {
            if let Some(rank) = job.rank {
                self.fresh.remove(&(rank, ip));
            }
            self.timed.cancel(ip);
        }
    }

    /// The next frame, if one is due and the pace allows it; only a first one while `gaining`,
    /// when more gains follow whose first frames go before everything else.
    pub(super) fn next_frame(&mut self, gaining: bool, now: Instant) -> Option<(IpAddr, Half)> {
        let timed = || !gaining && self.timed.first_due(now).is_some();
        let due = !self.fresh.is_empty() || timed();
        if !due || !self.pace.take(now) {
            return None;
        }
        let ip = match self.fresh.pop_first() {
            Some((_, ip)) => ip,
            None => self.timed.pop_due(now)?,
        };
        let job = self.jobs.get_mut(&ip)?;
        job.rank = None;
        let half = job.next;
        if half == Half::First {
            job.round_at = now;
        }
        if half == Half::First && ip.is_ipv4() && job.whole {
            job.next = Half::Second;
            self.timed.set(ip, now);
        } else if job.repeats > 0 {
            job.next = Half::First;
            job.repeats -= 1;
            self.timed
                .set(ip, (job.round_at + self.schedule.every).max(now));
        } else {
            self.jobs.remove(&ip);
        }
        Some((ip, half))
    }

    /// When there is something to send; may be past.
    pub(super) fn next(&self) -> Option<Instant> {
        let fresh = self
            .fresh
            .first()
            .and_then(|(_, ip)| self.jobs.get(ip))
            .map(|job| job.round_at);
        let due = [fresh, self.timed.next()].into_iter().flatten().min();
        due.map(|at| self.pace.not_before(at))
    }
}
