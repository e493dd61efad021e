//! One address and where it stands.

use super::stats::Counters;
use super::table::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The LAN is asked for it; not answered yet.
    Probing,
    /// Answered and announced.
    Active,
    /// A stranger has it and the policy is to leave it to him.
    Withheld,
    /// Another node's now; answered until that one is heard.
    Yielding,
}

impl State {
    /// Whether questions for it are answered, at least on some of its links.
    pub fn is_answered(self) -> bool {
        match self {
            Self::Active | Self::Yielding => true,
            Self::Probing | Self::Withheld => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its turn to be probed hasn't come.
    Queued,
    /// Probes are being sent.
    Probing {
        sent: u32,
    },
    Active,
    Withheld,
    Yielding {
        /// Links the successor was heard on.
        heard: BTreeSet<u32>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) entry: Entry,
    pub(super) phase: Phase,
    /// Links it is on: they speak its family and the entry admits them.
    pub(super) on: BTreeSet<u32>,
    /// Which links that was said of, see [`super::L2::handle_links`].
    pub(super) linked: u64,
    pub(super) counters: Counters,
    /// Time until the next probe of a withheld address.
    pub(super) backoff: Duration,
    /// When a probe ends at the latest; unset for those that last as long as it takes.
    pub(super) probed_by: Option<Instant>,
    pub(super) defended: Option<Instant>,
    pub(super) fellow_told: Option<Instant>,
    /// When a fellow claimed it last, by link: a successor may be heard before the table says
    /// that there is one.
    pub(super) claimed: BTreeMap<u32, Instant>,
}

impl Address {
    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Queued | Phase::Probing { .. } => State::Probing,
            Phase::Active => State::Active,
            Phase::Withheld => State::Withheld,
            Phase::Yielding { .. } => State::Yielding,
        }
    }

    /// Links it is on where a fellow claimed it less than `recent` before `since`.
    pub(super) fn succeeded(&self, since: Instant, recent: Duration) -> BTreeSet<u32> {
        let claimed = |link: &u32| {
            self.claimed
                .get(link)
                .is_some_and(|&at| since < at + recent)
        };
        self.on.iter().copied().filter(claimed).collect()
    }

    /// Changes the phase, and counts if that changes whether it is answered.
    pub(super) fn enter(&mut self, phase: Phase, changes: &mut u64) {
        let before = self.state().is_answered();
        self.phase = phase;
        *changes += u64::from(self.state().is_answered() != before);
    }

    /// Whether a question heard on `link` is answered.
    pub(super) fn answers(&self, link: u32) -> bool {
        match &self.phase {
            Phase::Active => true,
            Phase::Yielding { heard } => !heard.contains(&link),
            Phase::Queued | Phase::Probing { .. } | Phase::Withheld => false,
        }
    }
}
