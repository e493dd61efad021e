//! Taking over the desired state: what changed against the last table and the last links.

use super::address::{Address, Phase, State};
use super::announcer::Announcer;
use super::link::{Link, Links};
use super::probe::BACKOFF;
use super::recent::Recent;
use super::stats::Counters;
use super::table::{Entry, Policy, Refresh, Table};
use super::{L2, Output, Port};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a yielded address is answered without having heard its successor.
const YIELD: Duration = Duration::from_secs(1);

impl L2 {
    /// The table to follow from now on. Unchanged entries are left alone; a raised epoch, a new
    /// address and a new interface are announced.
    pub fn handle_table(&mut self, table: Table, now: Instant) {
        let Table {
            entries,
            yielded,
            fellows,
            node,
        } = table;
        let (left, touched) = self.compare(&entries);
        for ip in left {
            self.leave(ip, yielded.contains(&ip), now);
        }
        for ip in touched {
            let Some(entry) = entries.get(&ip).cloned() else {
                continue;
            };
            if self.addresses.contains_key(&ip) {
                self.update(ip, entry, now);
            } else {
                self.gain(ip, entry, now);
            }
        }
        if (&node, &fellows) != (&self.node, &self.nodes) {
            self.node = node;
            self.nodes = fellows;
            self.set_fellows(now);
        }
        self.settle(now);
    }

    /// The node's interfaces from now on.
    pub fn handle_links(&mut self, links: Links, now: Instant) {
        if links == self.links {
            return;
        }
        let same = links.usable == self.links.usable;
        let usable: BTreeMap<u32, Link> = links
            .usable
            .iter()
            .map(|link| (link.index, link.clone()))
            .collect();
        self.macs = links.macs.clone();
        self.macs.extend(usable.values().map(|link| link.mac));
        self.links = links;
        if same {
            return;
        }
        // A link with another MAC is another link: everyone has to be told.
        let gone: Vec<u32> = self
            .ports
            .iter()
            .filter(|(index, port)| {
                usable
                    .get(index)
                    .is_none_or(|link| link.mac != port.link.mac)
            })
            .map(|(&index, _)| index)
            .collect();
        for index in gone {
            self.ports.remove(&index);
        }
        let known: Vec<IpAddr> = self.addresses.keys().copied().collect();
        for &ip in &known {
            self.relink(ip, now);
        }
        for (index, link) in usable {
            let options = self.options;
            let port = self.ports.entry(index).or_insert_with(|| Port {
                link: link.clone(),
                announcer: Announcer::new(options.pace, options.schedule),
                recent: Recent::default(),
            });
            port.link = link;
        }
        for ip in known {
            self.relink(ip, now);
        }
        self.forget_conflicts_off_link();
        self.set_fellows(now);
        self.settle(now);
    }

    /// Addresses that left and entries that are new or changed: one walk along both, because
    /// answers wait for it and most tables change little.
    fn compare(&self, entries: &BTreeMap<IpAddr, Entry>) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let (mut left, mut touched) = (Vec::new(), Vec::new());
        let mut known = self.addresses.iter().peekable();
        for (ip, entry) in entries {
            while let Some((&gone, _)) = known.next_if(|&(old, _)| old < ip) {
                left.push(gone);
            }
            let same = known
                .next_if(|&(old, _)| old == ip)
                .is_some_and(|(_, address)| {
                    address.entry == *entry && address.state() != State::Yielding
                });
            if !same {
                touched.push(*ip);
            }
        }
        left.extend(known.map(|(&gone, _)| gone));
        (left, touched)
    }

    fn settle(&mut self, now: Instant) {
        self.admit_probes(now);
        self.ask_fellows(now);
        self.pump(now);
    }

    fn set_fellows(&mut self, now: Instant) {
        let links = self.ports.values().map(|port| &port.link);
        self.fellows.set(&self.node, &self.nodes, links, now);
        self.judge_unverified(now);
    }

    fn gain(&mut self, ip: IpAddr, entry: Entry, now: Instant) {
        let probe = entry.probe;
        let address = Address {
            entry,
            phase: Phase::Queued,
            on: BTreeSet::new(),
            counters: Counters::default(),
            backoff: BACKOFF,
            probed_by: None,
            defended: None,
            fellow_told: None,
        };
        self.addresses.insert(ip, address);
        self.relink(ip, now);
        if probe {
            self.queue_probe(ip, now);
        } else {
            self.activate(ip, now);
        }
    }

    fn update(&mut self, ip: IpAddr, entry: Entry, now: Instant) {
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
            self.forget_conflicts_off_link();
        }
        match phase {
            Phase::Yielding { .. } => self.activate(ip, now),
            Phase::Withheld if conflict != Policy::Withhold => self.activate(ip, now),
            Phase::Active if conflict == Policy::Withhold && self.conflicts.has(ip) => {
                self.withhold(ip, now);
            }
            Phase::Active if raised => self.announce(ip, now),
            Phase::Queued if conflict != before.conflict => self.queue_probe(ip, now),
            Phase::Queued | Phase::Probing { .. } | Phase::Active | Phase::Withheld => {}
        }
        if refresh != before.refresh {
            self.arm_refresh(ip, now);
        }
    }

    fn leave(&mut self, ip: IpAddr, yielded: bool, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        match (&address.phase, yielded) {
            (Phase::Yielding { .. }, true) => {}
            (Phase::Active, true) => {
                address.phase = Phase::Yielding {
                    heard: BTreeSet::new(),
                };
                self.silence(ip);
                self.clear_conflicts(ip);
                self.forget_doubts(ip);
                self.phases.set(ip, now + YIELD);
            }
            (
                Phase::Queued
                | Phase::Probing { .. }
                | Phase::Active
                | Phase::Withheld
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
        let Some(address) = self.addresses.remove(&ip) else {
            return;
        };
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
    fn relink(&mut self, ip: IpAddr, now: Instant) {
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
        let before = std::mem::replace(&mut address.on, on.clone());
        for &link in before.difference(&on) {
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
        if address.phase == Phase::Queued && before.is_empty() && !on.is_empty() {
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
