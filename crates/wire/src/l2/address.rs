//! One address and where it stands.

use super::probe::BACKOFF;
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
    /// A fellow that gossip doesn't reach answers for it; asked for again every second.
    Deferring,
}

impl State {
    /// Whether questions for it are answered, at least on some of its links.
    pub fn is_answered(self) -> bool {
        match self {
            Self::Active | Self::Yielding => true,
            Self::Probing | Self::Withheld | Self::Deferring => false,
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
    /// The LAN is asked whether an unreached fellow answers.
    Asking {
        sent: u32,
    },
    /// One does.
    Deferring,
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
    /// What few addresses have; made when it is needed.
    doubts: Option<Box<Doubts>>,
}

/// What is known of an address that isn't simply answered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubts {
    /// Time until the next probe of a withheld address.
    pub(super) backoff: Duration,
    /// When a probe ends at the latest; unset for those that last as long as it takes.
    pub(super) probed_by: Option<Instant>,
    pub(super) defended: Option<Instant>,
    /// When an unreached fellow was answered back last.
    pub(super) answered_back: Option<Instant>,
    /// When a fellow that is said to be reached was counted last.
    pub(super) contested: Option<Instant>,
    pub(super) fellow_told: Option<Instant>,
    /// When a fellow claimed it last, by link: a successor may be heard before the table says
    /// that there is one.
    pub(super) claimed: BTreeMap<u32, Instant>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self {
            backoff: BACKOFF,
            probed_by: None,
            defended: None,
            answered_back: None,
            contested: None,
            fellow_told: None,
            claimed: BTreeMap::new(),
        }
    }
}

impl Address {
    /// One that nothing is known of yet; `linked` as in the field.
    pub(super) fn new(entry: Entry, linked: u64) -> Self {
        Self {
            entry,
            phase: Phase::Queued,
            on: BTreeSet::new(),
            linked,
            counters: Counters::default(),
            doubts: None,
        }
    }

    /// Its doubts, to be read.
    pub(super) fn doubts(&self) -> Option<&Doubts> {
        self.doubts.as_deref()
    }

    /// Its doubts, to be changed.
    pub(super) fn doubts_mut(&mut self) -> &mut Doubts {
        self.doubts.get_or_insert_default()
    }

    /// The end of a probe, if it has a latest one.
    pub(super) fn probed_by(&self) -> Option<Instant> {
        self.doubts()?.probed_by
    }

    /// Nothing stands against answering any more.
    pub(super) fn settle(&mut self) {
        if let Some(doubts) = &mut self.doubts {
            doubts.backoff = BACKOFF;
            doubts.probed_by = None;
            if **doubts == Doubts::default() {
                self.doubts = None;
            }
        }
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Queued | Phase::Probing { .. } | Phase::Asking { .. } => State::Probing,
            Phase::Active => State::Active,
            Phase::Withheld => State::Withheld,
            Phase::Deferring => State::Deferring,
            Phase::Yielding { .. } => State::Yielding,
        }
    }

    /// Links it is on where a fellow claimed it less than `recent` before `since`.
    pub(super) fn succeeded(&self, since: Instant, recent: Duration) -> BTreeSet<u32> {
        let claimed = |link: &u32| {
            let at = self.doubts().and_then(|doubts| doubts.claimed.get(link));
            at.is_some_and(|&at| since < at + recent)
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
            Phase::Queued
            | Phase::Probing { .. }
            | Phase::Withheld
            | Phase::Asking { .. }
            | Phase::Deferring => false,
        }
    }
}
