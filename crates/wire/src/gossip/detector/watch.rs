//! One neighbour: its heartbeats, ours to it, and whether the pair is armed.

use super::said::{Beat, Said};
use super::trial::Trial;
use super::{ARMED, Timers};
use crate::gossip::Drop;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A neighbour on the ring.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) address: SocketAddr,
    /// Its life, as it says; 0 until it did.
    session: u32,
    /// The number of its last heartbeat.
    number: u32,
    /// Its heartbeats to this life of ours, in a row.
    heard: u32,
    /// Ours that it heard.
    heard_there: u32,
    last: Instant,
    /// The longest gap lately.
    worst: Duration,
    pub(super) trial: Option<Trial>,
}

impl Watch {
    pub(super) fn new(address: SocketAddr, now: Instant) -> Self {
        Self {
            address,
            session: 0,
            number: 0,
            heard: 0,
            heard_there: 0,
            last: now,
            worst: Duration::ZERO,
            trial: None,
        }
    }

    /// The neighbour is elsewhere now.
    pub(super) fn move_to(&mut self, address: SocketAddr, now: Instant) {
        if self.address != address {
            *self = Self::new(address, now);
        }
    }

    pub(super) fn beat(&self, own: u32, number: u32) -> Said {
        Said::Beat(Beat {
            session: own,
            to: self.session,
            number,
            heard: self.heard,
        })
    }

    /// A heartbeat came.
    pub(super) fn hear(&mut self, beat: &Beat, own: u32, now: Instant) -> Result<(), Drop> {
        if beat.session != self.session {
            // Another life, or a replay of one: a pair that works isn't given up for it.
            if self.is_armed() && self.trial.is_none() {
                return Err(Drop::Stale);
            }
            *self = Self {
                session: beat.session,
                ..Self::new(self.address, now)
            };
        } else if beat.number <= self.number {
            return Err(Drop::Stale);
        }
        self.number = beat.number;
        if beat.to != own {
            // It doesn't know of this life of ours yet.
            self.heard = 0;
            return Ok(());
        }
        let gap = now.duration_since(self.last);
        self.worst = gap.max(self.worst - self.worst / 256);
        self.last = now;
        self.heard = self.heard.saturating_add(1);
        self.heard_there = beat.heard;
        self.trial = None;
        Ok(())
    }

    fn is_armed(&self) -> bool {
        self.heard >= ARMED && self.heard_there >= ARMED
    }

    /// Silence that is too long.
    fn limit(&self, timers: Timers) -> Duration {
        let base = timers.interval.saturating_mul(timers.multiplier);
        let jittery = self.worst.saturating_add(timers.interval * 2);
        jittery.clamp(base, base.saturating_mul(5) / 2)
    }

    /// When silence becomes an accusation, if it may.
    fn deadline(&self, timers: Timers) -> Option<Instant> {
        let watching = self.is_armed() && self.trial.is_none();
        watching.then(|| self.last + self.limit(timers))
    }

    pub(super) fn next(&self, timers: Timers) -> Option<Instant> {
        let trial = self.trial.as_ref().map(|t| t.until);
        [self.deadline(timers), trial].into_iter().flatten().min()
    }

    pub(super) fn is_silent(&self, timers: Timers, now: Instant) -> bool {
        self.deadline(timers).is_some_and(|at| at <= now)
    }

    /// Whether it was heard so lately that it must be alive.
    pub(super) fn is_fresh(&self, timers: Timers, now: Instant) -> bool {
        self.is_armed() && now.duration_since(self.last) < timers.interval * 2
    }

    /// It may have been this node's fault: ten more heartbeats until the next accusation.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.last = now;
        self.heard = 0;
        self.trial = None;
    }
}
