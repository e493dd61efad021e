//! Deadlines by key: at most one each, found in time order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// An alarm clock with one alarm a key.
#[derive(Clone, Debug)]
pub(super) struct Timers<K> {
    at: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            at: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets the alarm of `key`, replacing the one before.
    pub(super) fn set(&mut self, key: K, at: Instant) {
        self.cancel(key);
        self.at.insert(key, at);
        self.order.insert((at, key));
    }

    /// Takes the alarm of `key` back.
    pub(super) fn cancel(&mut self, key: K) {
        if let Some(at) = self.at.remove(&key) {
            self.order.remove(&(at, key));
        }
    }

    /// The earliest alarm.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Whether the alarm of `key` is due.
    pub(super) fn is_due(&self, key: K, now: Instant) -> bool {
        self.at.get(&key).is_some_and(|&at| at <= now)
    }

    /// The earliest alarm that is due.
    pub(super) fn first_due(&self, now: Instant) -> Option<K> {
        let &(at, key) = self.order.first()?;
        (at <= now).then_some(key)
    }

    /// Takes the earliest alarm that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let key = self.first_due(now)?;
        self.cancel(key);
        Some(key)
    }
}
