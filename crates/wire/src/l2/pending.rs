//! What of the desired state isn't applied yet, and applying it a slice at a time.
//!
//! A table or a set of links is only stored when it comes; every call then does a bounded share
//! of the work. First the addresses known are compared with those wanted, and what is not wanted
//! any more falls silent; then follow the gains and changes, most recently asked for first.
//!
//! Nobody sees that it takes a while: whatever touches an address (a frame, an alarm) brings that
//! one up to date first, with [`L2::catch_up`], which can be done any number of times. A newer
//! table starts the walk again; what was applied already then costs a comparison. An address that
//! neither a slice nor a frame touched meanwhile is as if the older table had never been.

use super::address::State;
use super::table::{Entry, Table};
use super::{Address, L2};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

/// How much one call may do, in comparisons.
const SLICE: u32 = 1024;
/// What changing an address on one link costs, in comparisons: some twenty look-ups.
const CHANGE: u32 = 64;

/// What one call may still do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: u32,
    change: u32,
}

impl Budget {
    /// For a node with so many links.
    pub(super) fn new(links: usize) -> Self {
        let links = u32::try_from(links).unwrap_or(u32::MAX).max(1);
        Self {
            left: SLICE,
            change: CHANGE.saturating_mul(links),
        }
    }

    /// Whether anything may be done; the last thing done may overdraw.
    pub(super) fn is_left(self) -> bool {
        self.left > 0
    }

    /// An address was changed.
    pub(super) fn change(&mut self) {
        self.left = self.left.saturating_sub(self.change);
    }

    fn compare(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

/// How far known and wanted addresses are compared.
#[derive(Clone, Copy, Debug, Default)]
enum Walk {
    #[default]
    Done,
    From(Bound<IpAddr>),
}

/// What is to be applied yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// When the newest table or links came; unset when everything is applied.
    since: Option<Instant>,
    /// The newest table, while something of it may be missing.
    table: Option<Arc<Table>>,
    walk: Walk,
    /// Addresses found new or changed, those asked for last first.
    gains: BTreeSet<(Reverse<Option<Instant>>, IpAddr)>,
}

impl Pending {
    /// Something came at `now`: compare from the start.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = Some(now);
        self.walk = Walk::From(Bound::Unbounded);
    }

    /// Replaces the table; the walk is still to be started again.
    pub(super) fn replace(&mut self, table: Arc<Table>) {
        self.table = Some(table);
    }

    /// When there is something to do: at once, or never.
    pub(super) fn next(&self) -> Option<Instant> {
        self.since
    }

    /// Whether a table still to be applied allows a word about `ip` on the link of this name.
    pub(super) fn admits(&self, ip: IpAddr, link: &str) -> bool {
        self.table.as_ref().is_none_or(|table| {
            let entry = table.entries.get(&ip);
            entry.is_some_and(|entry| entry.interfaces.admits(link))
        })
    }

    /// Whether `ip` is wanted by a table still to be applied.
    pub(super) fn wants(&self, ip: IpAddr) -> bool {
        let table = self.table.as_ref();
        table.is_some_and(|table| table.entries.contains_key(&ip))
    }
}

/// What a slice of the comparison found.
#[derive(Default)]
struct Compared {
    left: Vec<IpAddr>,
    touched: Vec<IpAddr>,
    rest: Walk,
}

impl L2 {
    /// Does what the budget allows of what is pending.
    pub(super) fn apply(&mut self, budget: &mut Budget, now: Instant) {
        if self.pending.since.is_none() {
            return;
        }
        if let (true, Walk::From(from)) = (budget.is_left(), self.pending.walk) {
            let Compared {
                left,
                touched,
                rest,
            } = self.compare(from, budget);
            self.pending.walk = rest;
            for ip in left {
                self.catch_up(ip, now);
            }
            for ip in touched {
                let ports = self.ports.values();
                let asked = ports.filter_map(|port| port.recent.last(ip)).max();
                self.pending.gains.insert((Reverse(asked), ip));
            }
        }
        let Walk::Done = self.pending.walk else {
            return;
        };
        while budget.is_left() {
            let Some((_, ip)) = self.pending.gains.pop_first() else {
                self.pending = Pending::default();
                return;
            };
            budget.change();
            self.catch_up(ip, now);
        }
    }

    /// One walk along the known addresses and the wanted ones, as far as the budget goes.
    fn compare(&self, from: Bound<IpAddr>, budget: &mut Budget) -> Compared {
        let range = (from, Bound::Unbounded);
        let table = self.pending.table.as_deref();
        let mut known = self.addresses.range(range).peekable();
        let mut wanted = table
            .into_iter()
            .flat_map(|table| table.entries.range(range))
            .peekable();
        let mut found = Compared::default();
        loop {
            let heads = [
                known.peek().map(|(ip, _)| **ip),
                wanted.peek().map(|(ip, _)| **ip),
            ];
            let Some(ip) = heads.into_iter().flatten().min() else {
                return found;
            };
            budget.compare();
            let old = known.next_if(|(known, _)| **known == ip);
            let new = wanted.next_if(|(wanted, _)| **wanted == ip);
            match (old, new, table) {
                (Some((_, address)), None, Some(table)) if leaves(ip, address, table) => {
                    budget.change();
                    found.left.push(ip);
                }
                (Some((_, address)), None, _) if address.linked == self.linked => {}
                (Some((_, address)), Some((_, entry)), _)
                    if address.linked == self.linked && follows(address, entry) => {}
                (Some(_) | None, Some(_) | None, _) => {
                    // Remembering it costs about as much as a few comparisons.
                    (0..8).for_each(|_| budget.compare());
                    found.touched.push(ip);
                }
            }
            if !budget.is_left() {
                found.rest = Walk::From(Bound::Excluded(ip));
                return found;
            }
        }
    }

    /// Brings one address up to date: with the links, with the table still to be applied, and
    /// with its alarm.
    pub(super) fn catch_up(&mut self, ip: IpAddr, now: Instant) {
        if let Some(since) = self.pending.since {
            if let Some(address) = self.addresses.get(&ip)
                && address.linked != self.linked
            {
                self.relink(ip, now);
            }
            if let Some(table) = self.pending.table.clone() {
                self.follow(ip, &table, since, now);
            }
        }
        if self.phases.is_due(ip, now) {
            self.phases.cancel(ip);
            self.phase_due(ip, now);
        }
    }

    fn follow(&mut self, ip: IpAddr, table: &Table, since: Instant, now: Instant) {
        match (self.addresses.get(&ip), table.entries.get(&ip)) {
            (None, None) => {}
            (None, Some(entry)) => self.gain(ip, entry.clone(), now),
            (Some(address), Some(entry)) if follows(address, entry) => {}
            (Some(_), Some(entry)) => self.update(ip, entry.clone(), now),
            (Some(_), None) => self.leave(ip, table.yielded.contains(&ip), since),
        }
    }
}

/// Whether the address is as its entry says already.
fn follows(address: &Address, entry: &Entry) -> bool {
    address.entry == *entry && address.state() != State::Yielding
}

/// Whether an address without an entry has to go, or to be yielded.
fn leaves(ip: IpAddr, address: &Address, table: &Table) -> bool {
    address.state() != State::Yielding || !table.yielded.contains(&ip)
}
