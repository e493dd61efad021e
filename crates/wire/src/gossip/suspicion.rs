//! A suspicion: the more members confirm it, the sooner it ends (Lifeguard, "local health aware
//! suspicion").

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The time a suspected member has to say that it is alive.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    start: Instant,
    shortest: Duration,
    longest: Duration,
    /// Confirmations that make it the shortest.
    wanted: usize,
    /// Who suspects; the first doesn't confirm.
    by: BTreeSet<String>,
}

impl Suspicion {
    /// Begins now, on the word of `by`.
    pub(super) fn new(
        by: String,
        wanted: usize,
        shortest: Duration,
        longest: Duration,
        now: Instant,
    ) -> Self {
        Self {
            start: now,
            shortest,
            longest: longest.max(shortest),
            wanted,
            by: BTreeSet::from([by]),
        }
    }

    /// Another suspects, too; false if that isn't news or no more are needed.
    pub(super) fn confirm(&mut self, by: &str) -> bool {
        self.confirmations() < self.wanted && self.by.insert(by.to_owned())
    }

    /// Those who suspect.
    pub(super) fn by(&self) -> &BTreeSet<String> {
        &self.by
    }

    fn confirmations(&self) -> usize {
        self.by.len().saturating_sub(1)
    }

    /// When the member is dead.
    pub(super) fn deadline(&self) -> Instant {
        if self.wanted == 0 {
            return self.start + self.shortest;
        }
        let log = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX)).ln_1p();
        let part = log(self.confirmations()) / log(self.wanted);
        let span = self.longest.saturating_sub(self.shortest);
        let timeout = self
            .longest
            .saturating_sub(span.mul_f64(part.clamp(0.0, 1.0)));
        // memberlist counts whole milliseconds.
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.start + Duration::from_millis(millis).max(self.shortest)
    }
}

#[cfg(test)]
mod tests;
