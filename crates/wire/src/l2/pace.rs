//! A token bucket: so many frames a second, a few at once.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The bucket, kept as the time at which it would be full again (the generic cell rate
/// algorithm): no arithmetic that drifts, no timer to refill it.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    interval: Duration,
    depth: u32,
    full_at: Option<Instant>,
}

impl Pace {
    /// `rate` frames a second; as many at once as fit in 10 ms, and at least two, a gratuitous
    /// pair.
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.get(),
            depth: (rate.get() / 100).max(2),
            full_at: None,
        }
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let free = self
            .full_at
            .is_none_or(|full_at| full_at <= now + self.interval * (self.depth - 1));
        if free {
            self.debit(now);
        }
        free
    }

    /// Takes a token whether there is one or not: what is owed delays what is taken later.
    pub(super) fn debit(&mut self, now: Instant) {
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(from + self.interval);
    }

    /// When half of the bucket is full, if it isn't from the start: waking for each token would
    /// cost more than it gives. May be past.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        self.full_at?.checked_sub(self.interval * (self.depth / 2))
    }

    /// The later of `at` and [`Self::ready_at`].
    pub(super) fn not_before(&self, at: Instant) -> Instant {
        self.ready_at().map_or(at, |ready| ready.max(at))
    }
}
