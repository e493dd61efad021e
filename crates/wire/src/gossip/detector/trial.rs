//! An accusation, and what others say of it.

use super::{Detector, Said, Timers};
use crate::gossip::detector::Features;
use crate::gossip::message::{Accusation, Message, Ping};
use crate::gossip::{Drop, Gossip, Member};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Members asked about an accused one.
const JUDGES: usize = 3;
/// Most questions of others at a time.
const INQUIRIES_MAX: usize = 64;
/// For question and answer on their way.
const WAY: Duration = Duration::from_millis(20);

/// A neighbour that is accused.
#[derive(Debug)]
pub(super) struct Trial {
    number: u32,
    /// Our own probe.
    sequence: u32,
    /// What those asked said.
    judges: BTreeMap<SocketAddr, Option<bool>>,
    begun: Instant,
    pub(super) until: Instant,
}

/// Somebody else asks.
#[derive(Debug)]
pub(super) struct Inquiry {
    asker: SocketAddr,
    number: u32,
    pub(super) until: Instant,
}

/// What a trial came to.
enum Outcome {
    Pending,
    Alive,
    Dead,
    /// Too few answered.
    Unclear,
}

impl Trial {
    fn outcome(&self, timers: Timers, now: Instant) -> Outcome {
        let said = |what| self.judges.values().filter(|v| **v == Some(what)).count();
        if said(true) > 0 {
            return Outcome::Alive;
        }
        let asked = self.judges.len();
        let own_probe_over = now >= self.begun + timers.confirm;
        if said(false) == asked && own_probe_over {
            // Also where nobody is left to ask: then our own probe decides.
            return Outcome::Dead;
        }
        if now < self.until {
            return Outcome::Pending;
        }
        if said(false) * 2 > asked {
            Outcome::Dead
        } else {
            Outcome::Unclear
        }
    }
}

impl Detector {
    fn trial_of(&mut self, number: u32) -> Option<&mut Trial> {
        let trials = self.watches.values_mut().filter_map(|w| w.trial.as_mut());
        trials.into_iter().find(|t| t.number == number)
    }
}

impl Gossip {
    /// Accuses who was silent for too long.
    pub(super) fn accuse_silent(&mut self, timers: Timers, now: Instant) {
        let watches = self.detector.watches.iter();
        let silent: Vec<String> = watches
            .filter(|(_, w)| w.is_silent(timers, now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in silent {
            self.accuse(&name, timers, now);
        }
    }

    fn accuse(&mut self, name: &str, timers: Timers, now: Instant) {
        let Some(member) = self.members.get(name).cloned() else {
            return;
        };
        self.counters.accusations += 1;
        let own = &self.options.name;
        let other =
            |m: &Member| m.alive.node != *own && m.alive.node != name && m.state.is_present();
        let able = |m: &Member| other(m) && Features::of(&m.alive.meta).detector;
        // Those that are silent, too, can't be asked; but that they are is no reason to do
        // without them: it may be this node that hears nobody.
        let others = self.members.iter().filter(|m| other(m)).count();
        let judges = self.members.random(JUDGES, able, &mut self.rng);
        if judges.is_empty() && others > 0 {
            return self.doubt(&member, now);
        }
        let number = self.rng.random();
        let sequence = self.next_sequence();
        let ping = Message::Ping(Ping {
            sequence,
            node: name.to_owned(),
            source: Some(self.source()),
        });
        self.send_alone(member.address(), ping.encode(), member.takes_checksums());
        let ask = Said::Ask {
            number,
            incarnation: member.alive.incarnation,
            node: name.to_owned(),
        };
        for judge in &judges {
            self.say(judge.address(), &ask);
        }
        if let Some(watch) = self.detector.watches.get_mut(name) {
            watch.trial = Some(Trial {
                number,
                sequence,
                judges: judges.iter().map(|m| (m.address(), None)).collect(),
                begun: now,
                until: now + timers.confirm + WAY.max(timers.confirm),
            });
        }
    }

    /// Leaves it to SWIM.
    fn doubt(&mut self, member: &Member, now: Instant) {
        if let Some(watch) = self.detector.watches.get_mut(&member.alive.node) {
            watch.forgive(now);
        }
        let suspect = Accusation {
            incarnation: member.alive.incarnation,
            node: member.alive.node.clone(),
            from: self.options.name.clone(),
        };
        self.hear_suspect(suspect, now);
    }

    /// Ends the trials that can be ended.
    pub(super) fn judge(&mut self, timers: Timers, now: Instant) {
        let mut ended = Vec::new();
        for (name, watch) in &self.detector.watches {
            if let Some(trial) = &watch.trial {
                ended.push((name.clone(), trial.outcome(timers, now)));
            }
        }
        for (name, outcome) in ended {
            let member = self.members.get(&name).cloned();
            let (Some(watch), Some(member)) = (self.detector.watches.get_mut(&name), member) else {
                continue;
            };
            match outcome {
                Outcome::Pending => {}
                Outcome::Alive => {
                    self.counters.acquittals += 1;
                    watch.forgive(now);
                }
                Outcome::Unclear => self.doubt(&member, now),
                Outcome::Dead => {
                    watch.forgive(now);
                    let dead = Accusation {
                        incarnation: member.alive.incarnation,
                        node: name,
                        from: self.options.name.clone(),
                    };
                    self.hear_dead(dead, now);
                }
            }
        }
    }

    pub(super) fn hear_verdict(
        &mut self,
        from: SocketAddr,
        number: u32,
        alive: bool,
        now: Instant,
    ) {
        let trial = self.detector.trial_of(number);
        match trial.and_then(|t| t.judges.get_mut(&from)) {
            Some(said) => *said = Some(alive),
            None => return self.drop(Drop::Unasked),
        }
        if let Some(timers) = self.detector.timers {
            self.judge(timers, now);
        }
    }

    /// An answer to one of the detector's probes; false if it is none.
    pub(in crate::gossip) fn hear_detector_ack(&mut self, sequence: u32, now: Instant) -> bool {
        if let Some(inquiry) = self.detector.inquiries.remove(&sequence) {
            let verdict = Said::Verdict {
                number: inquiry.number,
                alive: true,
            };
            self.say(inquiry.asker, &verdict);
            return true;
        }
        for watch in self.detector.watches.values_mut() {
            if watch.trial.as_ref().is_some_and(|t| t.sequence == sequence) {
                self.counters.acquittals += 1;
                watch.forgive(now);
                return true;
            }
        }
        false
    }

    /// Somebody asks whether we hear a member.
    pub(super) fn inquire(
        &mut self,
        asker: SocketAddr,
        number: u32,
        incarnation: u32,
        node: &str,
        now: Instant,
    ) {
        let Some(timers) = self.detector.timers else {
            return;
        };
        let Some(member) = self.members.get(node).cloned() else {
            return self.drop(Drop::Unknown);
        };
        let known = self.members.iter().any(|m| m.address() == asker);
        if !known {
            return self.drop(Drop::Stranger);
        }
        let verdict = |alive| Said::Verdict { number, alive };
        let watch = self.detector.watches.get(node);
        let fresh = watch.is_some_and(|w| w.is_fresh(timers, now));
        if node == self.options.name || fresh || member.alive.incarnation > incarnation {
            return self.say(asker, &verdict(true));
        }
        if !member.state.is_present() {
            return self.say(asker, &verdict(false));
        }
        if self.detector.inquiries.len() >= INQUIRIES_MAX {
            return self.drop(Drop::Full);
        }
        let sequence = self.next_sequence();
        let ping = Message::Ping(Ping {
            sequence,
            node: node.to_owned(),
            source: Some(self.source()),
        });
        self.send_alone(member.address(), ping.encode(), member.takes_checksums());
        let inquiry = Inquiry {
            asker,
            number,
            until: now + timers.confirm,
        };
        self.detector.inquiries.insert(sequence, inquiry);
    }

    pub(super) fn answer_inquiries(&mut self, now: Instant) {
        let inquiries = self.detector.inquiries.iter();
        let over: Vec<u32> = inquiries
            .filter(|(_, i)| i.until <= now)
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in over {
            if let Some(inquiry) = self.detector.inquiries.remove(&sequence) {
                let verdict = Said::Verdict {
                    number: inquiry.number,
                    alive: false,
                };
                self.say(inquiry.asker, &verdict);
            }
        }
    }
}
