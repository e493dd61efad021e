//! The network: what is lost, delayed, doubled, and what passes between whom.

use super::plan::{Medium, Plan};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Duration;

/// A cut in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) side: BTreeSet<usize>,
    pub(super) medium: Medium,
    pub(super) one_way: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Lan {
    pub(super) cuts: Vec<Cut>,
    /// In thousandths.
    pub(super) loss: u32,
    doubled: u32,
    delay: Duration,
}

impl Lan {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            cuts: Vec::new(),
            loss: plan.loss,
            doubled: plan.doubled,
            delay: plan.delay,
        }
    }

    /// Whether what one node says reaches another; on the LAN of the addresses, or in gossip.
    pub(super) fn passes(&self, from: usize, to: usize, gossip: bool) -> bool {
        !self.cuts.iter().any(|cut| {
            let hits = gossip || cut.medium == Medium::Both;
            let (out, into) = (cut.side.contains(&from), cut.side.contains(&to));
            hits && out != into && (out || !cut.one_way)
        })
    }

    /// When the copies of something sent now arrive: none, one or two.
    pub(super) fn arrivals(&self, rng: &mut StdRng) -> Vec<Duration> {
        let lost = self.loss > 0 && rng.random_range(0..1000) < self.loss;
        let twice = self.doubled > 0 && rng.random_range(0..1000) < self.doubled;
        let copies = if lost { 0 } else { 1 + usize::from(twice) };
        (0..copies).map(|_| self.way(rng)).collect()
    }

    pub(super) fn way(&self, rng: &mut StdRng) -> Duration {
        let longest = u64::try_from(self.delay.as_micros()).unwrap_or(1).max(51);
        // Most are fast, some are late.
        let micros = if rng.random_range(0..10) == 0 {
            rng.random_range(50..longest)
        } else {
            rng.random_range(50..longest.clamp(51, 300))
        };
        Duration::from_micros(micros)
    }
}
