//! A node's clocks: they run at their own pace, and stand still or not while its machine sleeps.

use std::time::{Duration, Instant};

/// What a node's clocks say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// CLOCK_MONOTONIC.
    pub(super) instant: Instant,
    /// CLOCK_BOOTTIME.
    pub(super) boot: Duration,
}

/// The clocks of one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What they said when the true time was `set`.
    at: Now,
    set: Duration,
    /// Local seconds in a true one.
    rate: f64,
}

impl Clock {
    pub(super) fn new(start: Instant, rate: f64) -> Self {
        Self {
            at: Now {
                instant: start,
                boot: Duration::ZERO,
            },
            set: Duration::ZERO,
            rate,
        }
    }

    pub(super) fn now(&self, time: Duration) -> Now {
        let passed = time.saturating_sub(self.set).mul_f64(self.rate);
        Now {
            instant: self.at.instant + passed,
            boot: self.at.boot + passed,
        }
    }

    /// When it will be `instant` here; not before `time`.
    pub(super) fn when(&self, instant: Instant, time: Duration) -> Duration {
        let wait = instant.saturating_duration_since(self.at.instant);
        // What is rounded away must not make an alarm early.
        let wait = wait.mul_f64(1.0 / self.rate) + Duration::from_micros(1);
        (self.set + wait).max(time)
    }

    /// The machine slept from `from` to `to`: the monotonic clock stood still.
    pub(super) fn slept(&mut self, from: Duration, to: Duration) {
        let before = self.now(from);
        self.at = Now {
            instant: before.instant,
            boot: before.boot + to.saturating_sub(from),
        };
        self.set = to;
    }
}
