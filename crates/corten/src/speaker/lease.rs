//! The right to answer, while membership is on: a lease that the gossip loop renews as it goes
//! round.
//!
//! A process that was stopped, or whose machine was paused, may be dead for the others, who answer
//! in its stead. A gap in the renewals as long as that takes ends the lease: nothing is answered
//! until the members were asked what happened, and what follows from it was decided. The clock is
//! the one that counts sleep, too.

// DEVIATION: MetalLB's speaker goes on answering when it wakes up, until gossip tells it more.

use corten_node::lease::Lease;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Whether this process may answer.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// Membership is off: always.
    Unconditional,
    /// While the lease is held.
    Leased(SharedLease),
}

impl Right {
    /// Whether it is held at this moment.
    pub(crate) fn is_held(&self) -> bool {
        match self {
            Self::Unconditional => true,
            Self::Leased(lease) => lease.update(Lease::check),
        }
    }

    /// What was decided in `term` is carried out: whether this process may answer from now on.
    pub(crate) fn resume(&self, term: u64) -> bool {
        match self {
            Self::Unconditional => true,
            Self::Leased(lease) => lease.update(|lease, now| lease.resume(term, now)),
        }
    }
}

/// The lease as the drivers of one thread share it.
#[derive(Clone, Debug)]
pub(crate) struct SharedLease(Rc<Cell<Lease>>);

impl SharedLease {
    /// One that is held now and ends by a gap longer than `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        let now = corten_host::clock::since_boot();
        Self(Rc::new(Cell::new(Lease::new(limit, now))))
    }

    /// Renews it; the term it is in.
    pub(crate) fn renew(&self) -> u64 {
        self.update(Lease::renew)
    }

    /// Between renewals.
    pub(crate) fn period(&self) -> Duration {
        self.0.get().period()
    }

    fn update<T>(&self, change: impl FnOnce(&mut Lease, Duration) -> T) -> T {
        let mut lease = self.0.get();
        let result = change(&mut lease, corten_host::clock::since_boot());
        self.0.set(lease);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::{Right, SharedLease};
    use std::time::Duration;

    #[test]
    fn without_membership_nothing_ends_the_right() {
        assert!(Right::Unconditional.is_held());
        let right = Right::Leased(SharedLease::new(Duration::from_secs(3600)));
        assert!(right.is_held());
    }
}
