//! The free addresses of a pool, as intervals: finding the lowest, taking one and giving one back
//! are logarithmic in the number of intervals, however large the pool is.
//!
//! Addresses are counted, not named: a [`Position`] is a slot (a CIDR, in allocation order) and
//! the address' rank in it. What no Service may have (`avoidBuggyIPs`) has no rank, so it costs
//! neither memory nor time.
//!
//! Invariants: intervals don't overlap, and two intervals of one slot never touch.

use std::collections::BTreeMap;

/// Place of an address in its pool; the order is the order of allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Index of the CIDR among the pool's, in spec order.
    pub(super) slot: usize,
    /// Rank of the address within the slot's numbering.
    pub(super) rank: u128,
}

/// Free positions, as intervals from the key to the value, both included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    spans: BTreeMap<Position, u128>,
}

impl Spans {
    /// Adds the positions `first..=last` of a slot that has none yet.
    pub(super) fn add_slot(&mut self, slot: usize, first: u128, last: u128) {
        self.spans.insert(Position { slot, rank: first }, last);
    }

    /// The lowest free position.
    pub(super) fn first(&self) -> Option<Position> {
        self.spans.first_key_value().map(|(start, _)| *start)
    }

    /// Takes a position; false if it isn't free.
    pub(super) fn take(&mut self, at: Position) -> bool {
        let Some((start, last)) = self.covering(at) else {
            return false;
        };
        if start.rank == at.rank {
            self.spans.remove(&start);
        } else {
            self.spans.insert(start, at.rank - 1);
        }
        if at.rank < last {
            self.spans.insert(next(at), last);
        }
        true
    }

    /// Gives a position back; false if it is free already.
    pub(super) fn give(&mut self, at: Position) -> bool {
        if self.covering(at).is_some() {
            return false;
        }
        let last = match at.rank.checked_add(1) {
            Some(_) => self.spans.remove(&next(at)).unwrap_or(at.rank),
            None => at.rank,
        };
        let start = match self.before(at) {
            Some((start, end)) if end.checked_add(1) == Some(at.rank) => start,
            Some(_) | None => at,
        };
        self.spans.insert(start, last);
        true
    }

    /// The interval a position lies in.
    fn covering(&self, at: Position) -> Option<(Position, u128)> {
        self.before(at).filter(|(_, last)| at.rank <= *last)
    }

    /// The last interval of the same slot that starts at or before a position.
    fn before(&self, at: Position) -> Option<(Position, u128)> {
        self.spans
            .range(..=at)
            .next_back()
            .map(|(start, last)| (*start, *last))
            .filter(|(start, _)| start.slot == at.slot)
    }
}

/// The position after this one; the caller knows that there is one.
fn next(at: Position) -> Position {
    Position {
        slot: at.slot,
        rank: at.rank.saturating_add(1),
    }
}

#[cfg(test)]
mod tests;
