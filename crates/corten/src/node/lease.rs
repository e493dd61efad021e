//! The right to answer, while membership is on: a lease that the gossip loop renews as it goes
//! round, and that a gap in the renewals ends.

use std::time::Duration;

/// The lease; `now` is the time since the machine started.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    limit: Duration,
    renewed: Duration,
    /// Raised each time it ends.
    term: u64,
    held: bool,
}

impl Lease {
    /// One that is held at `now` and ends by a gap longer than `limit`.
    #[must_use]
    pub fn new(limit: Duration, now: Duration) -> Self {
        Self {
            limit,
            renewed: now,
            term: 0,
            held: true,
        }
    }

    /// Whether it is held; a gap ends it.
    pub fn check(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.renewed) > self.limit {
            self.term += 1;
            self.held = false;
            // The gap is noted: what comes after it is another one.
            self.renewed = now;
        }
        self.held
    }

    /// Renews it; the term it is in.
    pub fn renew(&mut self, now: Duration) -> u64 {
        self.check(now);
        self.renewed = now;
        self.term
    }

    /// A decision of an earlier term doesn't know of the last gap.
    pub fn resume(&mut self, term: u64, now: Duration) -> bool {
        self.check(now);
        self.held |= term == self.term;
        self.held
    }

    /// Between renewals.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.limit / 4
    }
}

#[cfg(test)]
mod tests;
