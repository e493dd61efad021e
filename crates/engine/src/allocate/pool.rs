//! A pool with its stock: what is free, what can be shared, and how much is in use.

use super::claim::{Claim, SharingKey};
use super::slot::Slot;
use super::spans::{Position, Spans};
use crate::config::{self, PoolScope};
use crate::facts::{Labels, Port};
use crate::ip::Family;
use corten_api::pool::IPAddressPoolStatus;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Addresses of one family in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// Usable ones, saturating.
    pub total: i64,
    /// Those in use; a shared one counts once.
    pub in_use: i64,
}

impl Count {
    /// Those neither in use nor kept back.
    #[must_use]
    pub fn available(self) -> i64 {
        self.total.saturating_sub(self.in_use)
    }
}

/// Counters of a pool (`spec/metallb.md` §4.8).
// DEVIATION: sizes saturate instead of wrapping to negative numbers when CIDRs follow a huge one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolCounters {
    /// IPv4.
    pub ipv4: Count,
    /// IPv6.
    pub ipv6: Count,
}

impl PoolCounters {
    /// Both families together, saturating.
    #[must_use]
    pub fn both(&self) -> Count {
        Count {
            total: self.ipv4.total.saturating_add(self.ipv6.total),
            in_use: self.ipv4.in_use.saturating_add(self.ipv6.in_use),
        }
    }

    /// The counters as the pool's status has them.
    #[must_use]
    pub fn status(&self) -> IPAddressPoolStatus {
        IPAddressPoolStatus {
            assigned_ipv4: self.ipv4.in_use,
            assigned_ipv6: self.ipv6.in_use,
            available_ipv4: self.ipv4.available(),
            available_ipv6: self.ipv6.available(),
        }
    }

    fn of(&mut self, family: Family) -> &mut Count {
        match family {
            Family::V4 => &mut self.ipv4,
            Family::V6 => &mut self.ipv6,
        }
    }
}

/// Addresses others may join, by the ports in use on them.
type ByPorts = BTreeMap<Vec<Port>, BTreeSet<Position>>;

/// A pool and its stock.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    /// As configured.
    pub(super) pool: config::Pool,
    /// Its counters.
    pub(super) counters: PoolCounters,
    /// Its CIDRs in allocation order.
    slots: Vec<Slot>,
    free: BTreeMap<Family, Spans>,
    shareable: BTreeMap<(Family, SharingKey), ByPorts>,
}

impl Stock {
    /// A pool nobody uses yet.
    pub(super) fn new(pool: &config::Pool) -> Self {
        let mut stock = Self {
            pool: pool.clone(),
            counters: PoolCounters::default(),
            slots: Vec::new(),
            free: BTreeMap::new(),
            shareable: BTreeMap::new(),
        };
        for cidr in pool.entries.iter().flat_map(|e| &e.cidrs) {
            let slot = Slot::new(cidr, pool.avoid_buggy_ips);
            let count = stock.counters.of(slot.family);
            count.total = count.total.saturating_add(slot.size);
            if !slot.ranks.is_empty() {
                let spans = stock.free.entry(slot.family).or_default();
                spans.add_slot(stock.slots.len(), *slot.ranks.start(), *slot.ranks.end());
            }
            stock.slots.push(slot);
        }
        stock
    }

    /// Position of an address in a slot; `None` if `avoidBuggyIPs` keeps it back.
    pub(super) fn position(&self, slot: usize, ip: IpAddr) -> Option<Position> {
        let rank = self.slots.get(slot)?.rank(ip)?;
        Some(Position { slot, rank })
    }

    /// Whether the pool is for such a Service (`spec/metallb.md` §4.4).
    // DEVIATION: a pool whose namespaceSelectors match no namespace admits none, instead of
    // accepting explicit requests from every namespace.
    pub(super) fn is_for(&self, namespace: &str, labels: &Labels) -> bool {
        match &self.pool.scope {
            PoolScope::Everyone => true,
            PoolScope::Pinned(pinning) => {
                pinning.namespaces.admits(namespace) && pinning.services.matches(labels)
            }
        }
    }

    /// The first address of a family, in the order of allocation, that is free or can be shared.
    pub(super) fn lowest(&self, family: Family, claim: &Claim) -> Option<IpAddr> {
        let free = self.free.get(&family).and_then(Spans::first);
        let shared = self.lowest_shared(family, claim);
        let at = match (free, shared) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(self.slots.get(at.slot)?.address(at.rank))
    }

    fn lowest_shared(&self, family: Family, claim: &Claim) -> Option<Position> {
        if claim.sharing == SharingKey::Exclusive {
            return None;
        }
        let group = self.shareable.get(&(family, claim.sharing.clone()))?;
        group
            .iter()
            .filter(|(used, _)| {
                let clashes = |port| used.binary_search(port).is_ok();
                !claim.ports.iter().any(clashes)
            })
            .filter_map(|(_, positions)| positions.first().copied())
            .min()
    }

    /// Marks a position as in use.
    pub(super) fn take(&mut self, at: Position, family: Family) {
        if self.free.get_mut(&family).is_some_and(|s| s.take(at)) {
            self.counters.of(family).in_use += 1;
        }
    }

    /// Marks a position as free.
    pub(super) fn give(&mut self, at: Position, family: Family) {
        if self.free.get_mut(&family).is_some_and(|s| s.give(at)) {
            self.counters.of(family).in_use -= 1;
        }
    }

    /// Lets others join an address on which these ports are in use.
    pub(super) fn open(
        &mut self,
        at: Position,
        family: Family,
        key: &SharingKey,
        ports: Vec<Port>,
    ) {
        let group = self.shareable.entry((family, key.clone())).or_default();
        group.entry(ports).or_default().insert(at);
    }

    /// Undoes [`Stock::open`].
    pub(super) fn close(
        &mut self,
        at: Position,
        family: Family,
        key: &SharingKey,
        ports: &Vec<Port>,
    ) {
        let group_key = (family, key.clone());
        let Some(group) = self.shareable.get_mut(&group_key) else {
            return;
        };
        if let Some(positions) = group.get_mut(ports) {
            positions.remove(&at);
            if positions.is_empty() {
                group.remove(ports);
            }
        }
        if group.is_empty() {
            self.shareable.remove(&group_key);
        }
    }
}

#[cfg(any(test, feature = "bench"))]
impl Stock {
    /// Leaves only these addresses of a family free.
    pub(super) fn leave_free(&mut self, family: Family, free: &[Position]) {
        let mut spans = Spans::default();
        for &at in free {
            spans.give(at);
        }
        self.free.insert(family, spans);
    }
}
