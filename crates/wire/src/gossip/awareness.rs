//! How far this node trusts itself (Lifeguard, "local health multiplier"): a node that hears
//! little blames itself before others.

use std::time::Duration;

/// The score, from 0 for healthy.
#[derive(Clone, Debug)]
pub(super) struct Awareness {
    score: u32,
    most: u32,
}

impl Awareness {
    /// Healthy; timers are never stretched more than `most` times.
    pub(super) fn new(most: u32) -> Self {
        Self {
            score: 0,
            most: most.saturating_sub(1),
        }
    }

    pub(super) fn score(&self) -> u32 {
        self.score
    }

    /// Something went wrong that may be this node's fault.
    pub(super) fn worse(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.most);
    }

    /// Something went well.
    pub(super) fn better(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// The period as it is to be now.
    pub(super) fn scale(&self, period: Duration) -> Duration {
        period.saturating_mul(self.score.saturating_add(1))
    }
}
