//! What the members as a whole can do: whether claims may count.
//!
//! Claims count only where everybody elects by them. So a fleet changes over to them when all
//! members have spoken them for long enough that present owners have claimed what they have, and
//! back at once when somebody who doesn't speak them is present. Whoever has changed over says so,
//! and one who is new to such a fleet follows at once: he knows its claims from joining it.

use super::detector::Features;
use super::message::Message;
use super::{Gossip, Member, claims};
use std::time::{Duration, Instant};

/// How long all members must have spoken claims.
const SPOKEN: Duration = Duration::from_secs(30);

/// Whether claims count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fleet {
    /// They don't.
    Stateless,
    /// They may.
    Claiming {
        /// Whether every member wants them to count unless told otherwise.
        sticky: bool,
    },
}

/// Whether this node speaks claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claiming {
    /// It neither makes nor heeds them.
    Off,
    /// It does.
    On {
        /// Whether they should count unless told otherwise.
        sticky: bool,
    },
}

impl Gossip {
    /// Whether claims may count now, as every member sees it sooner or later.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        if !self.features.ready {
            return Fleet::Stateless;
        }
        let mut present = self.members.iter().filter(|m| m.state.is_present());
        let sticky = present.all(|m| Features::of(&m.alive.meta).sticky);
        Fleet::Claiming { sticky }
    }

    /// When the members will have spoken claims for long enough.
    pub(super) fn fleet_next(&self) -> Option<Instant> {
        let since = self.spoken_since.filter(|_| !self.features.ready)?;
        Some(since + SPOKEN)
    }

    pub(super) fn fleet_due(&mut self, now: Instant) {
        if self.fleet_next().is_some_and(|at| at <= now) {
            self.fleet_follow(now);
        }
    }

    /// The members changed, or time passed.
    pub(super) fn fleet_follow(&mut self, now: Instant) {
        if self.features.life.is_none() {
            return;
        }
        let own = &self.options.name;
        let present = || self.members.iter().filter(|m| m.state.is_present());
        let changed_over = |m: &Member| Features::of(&m.alive.meta).ready && m.alive.node != *own;
        let ready = if present().all(claims::speaks) {
            let since = self.spoken_since.unwrap_or(now);
            let long = now >= since + SPOKEN;
            let ready = self.features.ready || long || present().any(changed_over);
            self.spoken_since = Some(since);
            ready
        } else {
            self.spoken_since = None;
            false
        };
        if self.features.ready != ready {
            self.features.ready = ready;
            self.generation += 1;
            self.describe();
            self.hurry(now);
        }
    }

    /// Tells what this node is anew; like a refutation without an accusation.
    fn describe(&mut self) {
        self.options.meta = self.features.meta(&self.meta);
        self.incarnation = self.incarnation.saturating_add(1);
        let alive = self.own_alive();
        let node = alive.node.clone();
        if let Some(member) = self.members.get_mut(&node) {
            member.alive = alive.clone();
        }
        self.broadcast(&node, &Message::Alive(alive));
    }
}

#[cfg(test)]
mod tests;
