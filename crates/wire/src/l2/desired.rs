//! Taking over the desired state: what a table and a set of links change.

use super::address::{Address, Phase};
use super::announcer::Announcer;
use super::link::{Link, Links};
use super::pending::Budget;
use super::recent::Recent;
use super::table::{Entry, Policy, Refresh, Table};
use super::{L2, Output, Port};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a yielded address is answered without having heard its successor.
const YIELD: Duration = Duration::from_secs(1);

impl L2 {
    /// The table to follow from now on; the newest wins. Unchanged entries are left alone; a
    /// raised epoch, a new address and a new interface are announced.
    ///
    /// A small change is made at once, a big one a slice at each [`Self::handle_timeout`], which
    /// [`Self::poll_timeout`] asks for at once until everything is done. What is heard meanwhile
    /// is answered as if everything were done already.
    pub fn handle_table(&mut self, table: Arc<Table>, now: Instant) {
        let news = (&table.node, &table.fellows) != (&self.node, &self.nodes);
        if news {
            self.node.clone_from(&table.node);
            self.nodes.clone_from(&table.fellows);
            let nodes = &self.nodes;
            self.contested.retain(|node, _| nodes.contains_key(node));
        }
        self.set_unreached(&table.unreached, &table.rivals, table.alone, now);
        self.pending.replace(table);
        self.pending.restart(now);
        if news {
            self.set_fellows(now);
        }
        let mut budget = self.budget();
        self.apply(&mut budget, now);
        self.end_deference(now);
        self.settle(now);
    }

    /// The node's interfaces from now on. The addresses are put on them like a table is applied.
    pub fn handle_links(&mut self, links: Links, now: Instant) {
        if links == self.links {
            return;
        }
        let same = links.usable == self.links.usable;
        self.macs = links.macs.clone();
        self.macs.extend(links.usable.iter().map(|link| link.mac));
        self.links = links;
        if same {
            return;
        }
        if self.replace_ports() {
            self.pending.restart(now);
        }
        self.set_fellows(now);
        let mut budget = self.budget();
        self.apply(&mut budget, now);
        self.settle(now);
    }

    /// Brings the ports in line with the links; whether addresses have to move.
    fn replace_ports(&mut self) -> bool {
        let shapes = |links: &[Link]| links.iter().map(Link::shape).collect::<BTreeSet<_>>();
        let before: Vec<Link> = self.ports.values().map(|port| port.link.clone()).collect();
        let moved = shapes(&before) != shapes(&self.links.usable);
        self.linked += u64::from(moved);
        let usable: BTreeMap<u32, &Link> = self.links.usable.iter().map(|l| (l.index, l)).collect();
        // A link with another MAC is another link: everyone has to be told.
        self.ports.retain(|index, port| {
            let link = usable.get(index);
            link.is_some_and(|link| link.mac == port.link.mac)
        });
        for (index, link) in usable {
            let port = self.ports.entry(index).or_insert_with(|| Port {
                link: link.clone(),
                announcer: Announcer::new(self.options.pace, self.options.schedule),
                recent: Recent::default(),
                born: self.linked,
            });
            port.link.clone_from(link);
        }
        moved
    }

    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.ports.len())
    }

    fn settle(&mut self, now: Instant) {
        if self.silent {
            // Nobody waits for an answer meanwhile, and nothing of before may be left to be
            // yielded afterwards.
            while self.pending.next().is_some() {
                let mut budget = self.budget();
                self.apply(&mut budget, now);
            }
            return;
        }
        self.admit_probes(now);
        self.ask_fellows(now);
        self.pump(now);
    }

    fn set_fellows(&mut self, now: Instant) {
        let links = self.ports.values().map(|port| &port.link);
        self.fellows.set(&self.node, &self.nodes, links, now);
        self.judge_unverified(now);
    }

    pub(super) fn gain(&mut self, ip: IpAddr, entry: Entry, now: Instant) {
        let probe = entry.probe;
        let address = Address::new(entry, self.linked);
        self.addresses.insert(ip, Box::new(address));
        self.relink(ip, now);
        if probe {
            self.queue_probe(ip, now);
        } else if self.asks_first() {
            self.ask_first(ip, now);
        } else {
            self.activate(ip, now);
        }
    }

    pub(super) fn update(&mut self, ip: IpAddr, entry: Entry, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let before = std::mem::replace(&mut address.entry, entry);
        let (raised, conflict, refresh) = (
            address.entry.epoch > before.epoch,
            address.entry.conflict,
            address.entry.refresh,
        );
        let phase = address.phase.clone();
        if before.interfaces != address.entry.interfaces {
            self.relink(ip, now);
        }
        match phase {
            Phase::Yielding { .. } => self.activate(ip, now),
            Phase::Withheld if conflict != Policy::Withhold => self.activate(ip, now),
            Phase::Active if conflict == Policy::Withhold && self.conflicts.has(ip) => {
                self.withhold(ip, now);
            }
            Phase::Active if raised => self.announce(ip, now),
            Phase::Queued if conflict != before.conflict => self.queue_probe(ip, now),
            Phase::Queued
            | Phase::Probing { .. }
            | Phase::Active
            | Phase::Withheld
            | Phase::Asking { .. }
            | Phase::Deferring => {}
        }
        if refresh != before.refresh {
            self.arm_refresh(ip, now);
        }
    }

    /// The address left the table at `since`.
    pub(super) fn leave(&mut self, ip: IpAddr, yielded: bool, since: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        match (&address.phase, yielded) {
            (Phase::Yielding { .. }, true) => {}
            (Phase::Active, true) if !self.silent => {
                let heard = address.succeeded(since, YIELD);
                if heard == address.on {
                    self.remove(ip);
                    return;
                }
                address.enter(Phase::Yielding { heard }, &mut self.answering);
                self.silence(ip);
                self.clear_conflicts(ip);
                self.forget_doubts(ip);
                self.phases.set(ip, since + YIELD);
            }
            (
                Phase::Queued
                | Phase::Probing { .. }
                | Phase::Active
                | Phase::Withheld
                | Phase::Asking { .. }
                | Phase::Deferring
                | Phase::Yielding { .. },
                _,
            ) => self.remove(ip),
        }
    }

    /// Forgets an address: not a word about it from now on.
    pub(super) fn remove(&mut self, ip: IpAddr) {
        self.silence(ip);
        self.clear_conflicts(ip);
        self.forget_doubts(ip);
        self.phases.cancel(ip);
        self.prober.cancel(ip);
        self.deference.going_on.remove(&ip);
        let Some(address) = self.addresses.remove(&ip) else {
            return;
        };
        self.answering += u64::from(address.state().is_answered());
        for link in address.on {
            if let Some(group) = self.groups.remove(link, ip) {
                self.outputs.push_back(Output::Leave { link, group });
            }
        }
    }

    /// Nothing unasked any more for an address.
    pub(super) fn silence(&mut self, ip: IpAddr) {
        self.refreshes.cancel(ip);
        for port in self.ports.values_mut() {
            port.announcer.cancel(ip);
        }
    }

    /// Puts an address on the links it belongs on now, and takes it off the others.
    pub(super) fn relink(&mut self, ip: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let on: BTreeSet<u32> = self
            .ports
            .values()
            .map(|port| &port.link)
            .filter(|link| link.speaks_for(ip) && address.entry.interfaces.admits(&link.name))
            .map(|link| link.index)
            .collect();
        // A link that came meanwhile, if only with another MAC, is not the one it was on.
        let seen = std::mem::replace(&mut address.linked, self.linked);
        let (before, lost): (BTreeSet<u32>, BTreeSet<u32>) =
            std::mem::replace(&mut address.on, on.clone())
                .into_iter()
                .partition(|link| {
                    on.contains(link) && self.ports.get(link).is_some_and(|p| p.born <= seen)
                });
        let was_nowhere = before.is_empty() && lost.is_empty();
        for link in lost {
            if let Some(port) = self.ports.get_mut(&link) {
                port.announcer.cancel(ip);
            }
            if let Some(group) = self.groups.remove(link, ip) {
                self.outputs.push_back(Output::Leave { link, group });
            }
        }
        for &link in on.difference(&before) {
            if let Some(group) = self.groups.add(link, ip) {
                self.outputs.push_back(Output::Join { link, group });
            }
            if let (Phase::Active, Some(port)) = (&address.phase, self.ports.get_mut(&link)) {
                let asked = port.recent.last(ip);
                port.announcer.gained(ip, asked, now);
            }
        }
        let waited = address.phase == Phase::Queued && was_nowhere && !on.is_empty();
        self.forget_conflicts_off_link(ip);
        if waited {
            self.queue_probe(ip, now);
        }
    }

    /// Starts the schedule of an address on all its links.
    pub(super) fn announce(&mut self, ip: IpAddr, now: Instant) {
        let Some(address) = self.addresses.get(&ip) else {
            return;
        };
        for link in &address.on {
            if let Some(port) = self.ports.get_mut(link) {
                let asked = port.recent.last(ip);
                port.announcer.gained(ip, asked, now);
            }
        }
    }

    /// Sets the alarm of the next refresh.
    pub(super) fn arm_refresh(&mut self, ip: IpAddr, now: Instant) {
        self.refreshes.cancel(ip);
        let Some(address) = self.addresses.get(&ip) else {
            return;
        };
        if let (Phase::Active, Refresh::Every(period)) = (&address.phase, address.entry.refresh) {
            let wait = self.rng.jitter(period.max(Duration::from_secs(1)));
            self.refreshes.set(ip, now + wait);
        }
    }

    pub(super) fn refresh_due(&mut self, ip: IpAddr, now: Instant) {
        if let Some(address) = self.addresses.get(&ip) {
            for link in &address.on {
                if let Some(port) = self.ports.get_mut(link) {
                    port.announcer.refresh(ip, now);
                }
            }
        }
        self.arm_refresh(ip, now);
    }
}
