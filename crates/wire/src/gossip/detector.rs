//! The fast detector: members that both know it watch each other by heartbeats, and a silent one
//! is dead as soon as others confirm it (BFD's asynchronous mode, RFC 5880 §3.2, with SWIM's
//! habit of asking others).
//!
//! Every node exchanges heartbeats with its next two neighbours on either side of a ring, so what
//! it costs doesn't grow with the cluster. A pair is *armed* after ten heartbeats each way, and
//! accuses only then: that a member announces the detector doesn't mean it can be reached by it.
//! A node whose own loop was late accuses nobody. Members without the detector are left to SWIM,
//! and so is everything in which too few answer to be sure.

mod said;
mod trial;
mod watch;

pub(super) use said::{Features, Said};

use super::{Drop, Gossip, Member};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trial::Inquiry;
use watch::Watch;

/// Neighbours on either side of the ring.
const NEIGHBOURS: usize = 2;
/// Heartbeats each way before a pair may accuse.
const ARMED: u32 = 10;

/// Whether and how fast members watch each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// SWIM alone.
    Off,
    /// By heartbeats.
    On {
        /// Between heartbeats.
        interval: Duration,
        /// Heartbeats missing before a member is accused. With jitter it takes longer, up to
        /// twice as long and a half.
        multiplier: u32,
        /// How long others have to hear the accused.
        confirm: Duration,
    },
}

impl Detection {
    /// 50 ms × 4, and 40 ms for others to confirm.
    pub const FAST: Self = Self::On {
        interval: Duration::from_millis(50),
        multiplier: 4,
        confirm: Duration::from_millis(40),
    };

    /// 200 ms × 5, and 250 ms for others to confirm: for slow machines and long ways.
    pub const CONSERVATIVE: Self = Self::On {
        interval: Duration::from_millis(200),
        multiplier: 5,
        confirm: Duration::from_millis(250),
    };
}

/// The timers of [`Detection::On`].
#[derive(Clone, Copy, Debug)]
struct Timers {
    interval: Duration,
    multiplier: u32,
    confirm: Duration,
}

/// What is watched, and what is asked.
#[derive(Debug)]
pub(super) struct Detector {
    timers: Option<Timers>,
    /// Tells this life of the node from earlier ones.
    session: u32,
    /// The number of the last heartbeat: one count for everybody and ever, so that a neighbour
    /// that comes back doesn't take what is new for old.
    beats: u32,
    /// Whether the ring has to be put together anew.
    stale: bool,
    tick: Option<Instant>,
    watches: BTreeMap<String, Watch>,
    /// Questions of others, by the sequence number of our probe.
    inquiries: BTreeMap<u32, Inquiry>,
}

impl Detector {
    pub(super) fn new(detection: Detection, now: Instant, rng: &mut StdRng) -> Self {
        let timers = match detection {
            Detection::Off => None,
            Detection::On {
                interval,
                multiplier,
                confirm,
            } => Some(Timers {
                interval,
                multiplier,
                confirm,
            }),
        };
        Self {
            timers,
            session: rng.random(),
            beats: 0,
            stale: false,
            tick: timers.map(|t| now + t.interval),
            watches: BTreeMap::new(),
            inquiries: BTreeMap::new(),
        }
    }

    /// The members changed.
    pub(super) fn changed(&mut self) {
        self.stale = true;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let timers = self.timers?;
        // Without anybody to watch there is nothing to do.
        let tick = self.tick.filter(|_| !self.watches.is_empty());
        let watches = self.watches.values().filter_map(|w| w.next(timers));
        let inquiries = self.inquiries.values().map(|i| i.until);
        watches.chain(inquiries).chain(tick).min()
    }
}

impl Gossip {
    /// Puts the ring together anew if members came, changed or went.
    pub(super) fn ring(&mut self, now: Instant) {
        if !std::mem::take(&mut self.detector.stale) || self.detector.timers.is_none() {
            return;
        }
        let own = self.options.name.clone();
        let place = |name: &str| (crc32fast::hash(name.as_bytes()), name.to_owned());
        let watching = |m: &&Member| {
            m.alive.node == own || (m.state.is_present() && Features::of(&m.alive.meta).detector)
        };
        let mut ring: Vec<(u32, String)> = self
            .members
            .iter()
            .filter(watching)
            .map(|m| place(&m.alive.node))
            .collect();
        ring.sort();
        let here = ring.iter().position(|(_, name)| *name == own).unwrap_or(0);
        let mut wanted = BTreeSet::new();
        for step in 1..=NEIGHBOURS.min(ring.len().saturating_sub(1)) {
            for at in [here + step, here + ring.len() - step] {
                wanted.extend(ring.get(at % ring.len()).map(|(_, name)| name.clone()));
            }
        }
        wanted.remove(&own);
        self.detector
            .watches
            .retain(|name, _| wanted.contains(name));
        if self.detector.watches.is_empty() {
            self.detector.tick = Some(now);
        }
        for name in wanted {
            let Some(address) = self.members.get(&name).map(Member::address) else {
                continue;
            };
            let watch = self.detector.watches.entry(name);
            watch
                .and_modify(|w| w.move_to(address, now))
                .or_insert_with(|| Watch::new(address, now));
        }
    }

    pub(super) fn detector_due(&mut self, now: Instant) {
        let Some(timers) = self.detector.timers else {
            return;
        };
        if let Some(at) = self.detector.tick.filter(|at| *at <= now) {
            // Lifeguard's idea: who hears nothing because he doesn't listen blames nobody.
            let late = now.duration_since(at) > timers.interval;
            if late {
                self.forgive_all(now);
            }
            let next = at + timers.interval;
            self.detector.tick = Some(if next > now {
                next
            } else {
                now + timers.interval
            });
            self.beat();
        }
        self.accuse_silent(timers, now);
        self.judge(timers, now);
        self.answer_inquiries(now);
    }

    /// Whatever was missed while this node didn't listen is no sign of anything.
    fn forgive_all(&mut self, now: Instant) {
        for watch in self.detector.watches.values_mut() {
            watch.forgive(now);
        }
        self.detector.inquiries.clear();
    }

    fn beat(&mut self) {
        let session = self.detector.session;
        let number = self.detector.beats.wrapping_add(1);
        self.detector.beats = number;
        let beats: Vec<(SocketAddr, Said)> = self
            .detector
            .watches
            .values()
            .map(|w| (w.address, w.beat(session, number)))
            .collect();
        for (to, said) in beats {
            self.say(to, &said);
        }
    }

    fn say(&mut self, to: SocketAddr, said: &Said) {
        self.send_alone(to, super::Message::User(said.encode()).encode(), false);
    }

    /// Something of the detector was heard.
    pub(super) fn hear_detector(&mut self, from: SocketAddr, said: Said, now: Instant) {
        if self.detector.timers.is_none() {
            return self.drop(Drop::Unexpected);
        }
        match said {
            Said::Beat(beat) => {
                let own = self.detector.session;
                let mut watches = self.detector.watches.values_mut();
                let heard = match watches.find(|w| w.address == from) {
                    Some(watch) => watch.hear(&beat, own, now),
                    // Its ring isn't ours yet, or no more.
                    None => Ok(()),
                };
                self.heard_from(from, now);
                if let Err(drop) = heard {
                    self.drop(drop);
                }
            }
            Said::Ask {
                number,
                incarnation,
                node,
            } => self.inquire(from, number, incarnation, &node, now),
            Said::Verdict { number, alive } => self.hear_verdict(from, number, alive, now),
        }
    }
}

#[cfg(test)]
mod tests;
