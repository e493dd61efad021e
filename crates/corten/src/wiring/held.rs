//! When Services that lost their last endpoint may be announced again.

use corten_engine::names::ServiceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Services held down, and until when.
#[derive(Default)]
pub(super) struct Held(BTreeMap<ServiceKey, Instant>);

impl Held {
    /// Holds these down from now on, however long they were to be.
    pub(super) fn add(&mut self, services: Vec<(ServiceKey, Duration)>, now: Instant) {
        for (service, time) in services {
            // A time beyond all clocks is none that ends.
            match now.checked_add(time) {
                Some(until) => self.0.insert(service, until),
                None => self.0.remove(&service),
            };
        }
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Those that are over.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeSet<ServiceKey> {
        let due = self.0.iter().filter(|(_, until)| **until <= now);
        let due: BTreeSet<_> = due.map(|(service, _)| service.clone()).collect();
        self.0.retain(|service, _| !due.contains(service));
        due
    }
}

#[cfg(test)]
mod tests;
