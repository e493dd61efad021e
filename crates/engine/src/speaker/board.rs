//! The layer-2 table, put together from the Services' verdicts and kept address by address, so
//! that a change of one Service touches its addresses only.

use super::{Age, State};
use crate::advertise::l2::{L2Entry, L2Table, Terms};
use crate::facts::Node;
use crate::flat::{self, FlatSet};
use crate::membership::Membership;
use crate::names::{NodeName, ServiceKey};
use crate::ownership::Ownership;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The table and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Board {
    table: L2Table,
    /// Services by address, announced or not.
    holders: BTreeMap<IpAddr, FlatSet<ServiceKey>>,
    /// The newest epoch given.
    epoch: u64,
    news: News,
}

/// Whether the table is to go out.
#[derive(Debug, Default, PartialEq, Eq)]
enum News {
    /// It never went out, and nothing was decided yet.
    #[default]
    Undecided,
    /// It changed since it last went out.
    Changed,
    /// It went out as it is.
    Sent,
}

impl Board {
    /// The table, if it changed since it was last taken.
    pub(super) fn take_changed(&mut self) -> Option<L2Table> {
        if self.news == News::Changed {
            self.news = News::Sent;
            Some(self.table.clone())
        } else {
            None
        }
    }

    /// The table as it stands.
    pub(super) fn table(&self) -> L2Table {
        self.table.clone()
    }

    /// Services that have the address.
    pub(super) fn holders(&self, ip: IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.holders.get(&ip).into_iter().flatten()
    }

    /// Takes note of the nodes' addresses; the first time, the table counts as changed.
    pub(super) fn know(&mut self, nodes: &BTreeMap<NodeName, Node>) {
        let fellows = nodes
            .iter()
            .map(|(name, node)| (name.clone(), node.addresses.clone()))
            .collect();
        if self.news == News::Undecided || self.table.fellows != fellows {
            self.table.fellows = fellows;
            self.news = News::Changed;
        }
    }

    /// Takes note of who isn't reached by gossip.
    pub(super) fn miss(
        &mut self,
        membership: &Membership,
        ownership: &Ownership,
        nodes: &BTreeMap<NodeName, Node>,
    ) {
        let (unreached, alone) = match membership {
            Membership::Disabled => (BTreeSet::new(), false),
            Membership::Members(present) => {
                let reached = |n: &&NodeName| ownership.reaches(n, membership);
                let unreached = nodes.keys().filter(|n| !reached(n)).cloned();
                let unreached: BTreeSet<_> = unreached.collect();
                let alone =
                    present.difference(&ownership.doubted).count() <= 1 && !unreached.is_empty();
                (unreached, alone)
            }
        };
        if (&self.table.unreached, self.table.alone) != (&unreached, alone) {
            self.table.unreached = unreached;
            self.table.alone = alone;
            self.news = News::Changed;
        }
    }

    /// Takes note of whether this node leaves load balancing.
    pub(super) fn leave(&mut self, leaving: bool) {
        if self.table.leaving != leaving {
            self.table.leaving = leaving;
            self.news = News::Changed;
        }
    }

    /// Takes note that a Service's addresses were `old` and are `new`.
    pub(super) fn hold(&mut self, service: &ServiceKey, old: &[IpAddr], new: &[IpAddr]) {
        for ip in old.iter().filter(|ip| !new.contains(ip)) {
            if let Some(holders) = self.holders.get_mut(ip) {
                holders.remove(service);
                if holders.is_empty() {
                    self.holders.remove(ip);
                }
            }
        }
        for ip in new.iter().filter(|ip| !old.contains(ip)) {
            self.holders.entry(*ip).or_default().insert(service.clone());
        }
    }

    /// Packs what is kept, see [`flat::pack`].
    pub(super) fn pack(&mut self, new: usize) {
        flat::pack(&mut self.holders, new);
        flat::pack(&mut self.table.entries, new);
    }

    /// Puts the address into the table as the Services that have it ask for.
    pub(super) fn settle(&mut self, ip: IpAddr, states: &BTreeMap<ServiceKey, Box<State>>) {
        let holders: Vec<_> = self
            .holders(ip)
            .filter_map(|key| Some((key, states.get(key)?)))
            .collect();
        let rivals = holders.iter().filter(|(_, s)| s.held.is_some());
        let rivals = rivals.flat_map(|(_, s)| s.rivals.iter().cloned()).collect();
        let terms = holders.iter().filter_map(|(_, s)| s.held.clone());
        let entry = terms.reduce(Terms::and).map(|terms| {
            let held = holders.iter().filter(|(_, state)| state.held.is_some());
            let services = held.map(|(key, _)| (*key).clone()).collect();
            let (epoch, probe) = match self.table.entries.get(&ip) {
                Some(entry) => (entry.epoch, entry.probe),
                None => {
                    let first = holders.iter().all(|(_, state)| state.age == Age::First);
                    (self.epoch.saturating_add(1), first)
                }
            };
            L2Entry {
                epoch,
                interfaces: terms.interfaces,
                conflict: terms.conflict,
                refresh: terms.refresh,
                probe,
                services,
            }
        });
        let yielded = entry.is_none() && holders.iter().any(|(_, state)| state.elsewhere);
        self.put(ip, entry, yielded);
        self.oppose(ip, rivals);
    }

    fn oppose(&mut self, ip: IpAddr, rivals: BTreeSet<NodeName>) {
        let all = &mut self.table.rivals;
        let before = if rivals.is_empty() {
            all.remove(&ip)
        } else {
            all.insert(ip, rivals)
        };
        if before.as_ref() != self.table.rivals.get(&ip) {
            self.news = News::Changed;
        }
    }

    fn put(&mut self, ip: IpAddr, entry: Option<L2Entry>, yielded: bool) {
        let was_yielded = if yielded {
            !self.table.yielded.insert(ip)
        } else {
            self.table.yielded.remove(&ip)
        };
        let same = self.table.entries.get(&ip) == entry.as_ref() && was_yielded == yielded;
        if !same {
            self.news = News::Changed;
        }
        match entry {
            Some(entry) => {
                self.epoch = self.epoch.max(entry.epoch);
                self.table.entries.insert(ip, entry);
            }
            None => {
                self.table.entries.remove(&ip);
            }
        }
    }
}
