//! When to join whom, and from when on membership may be relied on.
//!
//! A node that starts must not decide as if it were alone before it looked for others: it waits
//! for the first exchange with one of them, for the word that there are none, or ten seconds.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// What discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It hasn't looked yet.
    Nothing,
    /// So much is known, and some couldn't be asked.
    Some(BTreeSet<SocketAddr>),
    /// Everything that there is to find.
    All(BTreeSet<SocketAddr>),
}

/// Longest wait for others.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between attempts while nobody else is seen.
const EAGER: Duration = Duration::from_secs(1);
/// Between attempts to join who isn't a member; `spec/metallb.md` §5.6 looks for them every minute,
/// which is how long a partition would outlast its cause.
const CALM: Duration = Duration::from_secs(10);
/// Most that are tried at a time by one that sees others: any one heals a partition.
const CALM_TRIES: usize = 3;
/// Most by one that doesn't.
const EAGER_TRIES: usize = 16;

/// Who is to be joined, and how that went.
#[derive(Debug)]
pub struct Joiner {
    own: SocketAddr,
    found: Found,
    attempt_at: Instant,
    patience: Option<Instant>,
    /// Who was tried last: those after it have their turn.
    tried: Option<SocketAddr>,
    /// Whether this node was away: whoever it took for a member then proves nothing.
    afresh: bool,
    /// Those that couldn't be joined, as far as that was said.
    failed: BTreeSet<SocketAddr>,
}

impl Joiner {
    /// For the node at `own`, which starts at `now`.
    #[must_use]
    pub fn new(own: SocketAddr, now: Instant) -> Self {
        Self {
            own,
            found: Found::Nothing,
            attempt_at: now,
            patience: Some(now + PATIENCE),
            tried: None,
            afresh: false,
            failed: BTreeSet::new(),
        }
    }

    /// This node was away: it waits for an exchange again before it relies on membership.
    pub fn again(&mut self, now: Instant) {
        self.patience = Some(now + PATIENCE);
        self.attempt_at = now;
        self.afresh = true;
    }

    /// Whether members are to be asked now what happened while this node was away.
    #[must_use]
    pub fn asks_again(&self, now: Instant) -> bool {
        self.afresh && self.attempt_at <= now
    }

    /// Discovery looked: whoever is new is joined now.
    pub fn found(&mut self, found: Found, now: Instant) {
        if self.found != found {
            self.found = found;
            self.attempt_at = now;
        }
    }

    /// When [`Self::due`] has to be called next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let attempts = Some(self.attempt_at).filter(|_| self.afresh || !self.others().is_empty());
        [attempts, self.patience].into_iter().flatten().min()
    }

    fn others(&self) -> BTreeSet<SocketAddr> {
        match &self.found {
            Found::Nothing => BTreeSet::new(),
            Found::Some(all) | Found::All(all) => {
                all.iter().copied().filter(|a| *a != self.own).collect()
            }
        }
    }

    /// Whom to join now, given the addresses of the members present.
    pub fn due(&mut self, present: &BTreeSet<SocketAddr>, now: Instant) -> BTreeSet<SocketAddr> {
        if self.patience.is_some_and(|at| at <= now) {
            self.patience = None;
        }
        if self.attempt_at > now {
            return BTreeSet::new();
        }
        let alone = !present.iter().any(|address| *address != self.own);
        let eager = alone || self.afresh;
        self.attempt_at = now + if eager { EAGER } else { CALM };
        let missing = &self.others() - present;
        let from = self.tried.map_or(Bound::Unbounded, Bound::Excluded);
        let after = missing.range((from, Bound::Unbounded));
        let turns = after.chain(&missing).copied();
        let tries = if eager { EAGER_TRIES } else { CALM_TRIES };
        let now: Vec<SocketAddr> = turns.take(tries.min(missing.len())).collect();
        self.tried = now.last().copied();
        now.into_iter().collect()
    }

    /// An exchange succeeded.
    pub fn exchanged(&mut self, with: SocketAddr) {
        self.patience = None;
        self.afresh = false;
        self.failed.remove(&with);
    }

    /// An exchange failed; whether that is news.
    pub fn failed(&mut self, with: SocketAddr) -> bool {
        self.failed.insert(with)
    }

    /// Whether membership may be relied on, given whether states were ever exchanged, whoever
    /// began, and whether others are members.
    pub fn is_settled(&mut self, exchanged: bool, others_present: bool) -> bool {
        let none_to_find = matches!(self.found, Found::All(_)) && self.others().is_empty();
        let enough = if self.afresh {
            none_to_find && !others_present
        } else {
            none_to_find || exchanged
        };
        if enough {
            self.patience = None;
        }
        self.afresh &= self.patience.is_some();
        self.patience.is_none()
    }
}

#[cfg(test)]
mod tests;
