//! Others answering for our addresses (RFC 5227 §2.4): who they are and what is done about it.
//!
//! Everything said about an address of ours by a MAC that isn't this node's comes here. A
//! successor ends our yielding; a fellow node is told of; whoever can't be told from a fellow is
//! `unverified` and nothing is done; anyone else is a stranger, and the entry's policy decides.
//! All that is kept is bounded, and each thing is told once.

use super::L2;
use super::address::Phase;
use super::fellows::{Question, Whose};
use super::mac::Mac;
use super::notice::{Conflict, Notice};
use super::pending::Budget;
use super::say::To;
use super::table::Policy;
use super::timers::Timers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// A stranger not heard for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// How often a stranger is asked whether he still answers.
const RECHECK: Duration = Duration::from_secs(25);
/// RFC 5227 §2.4 (c): DEFEND_INTERVAL.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// At most one notice about a fellow for an address in this long.
const FELLOW_INTERVAL: Duration = Duration::from_secs(10);
/// Strangers, and unverified MACs, kept for each address.
const PER_ADDRESS: usize = 4;

/// One stranger at one address on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    ip: IpAddr,
    link: u32,
    mac: Mac,
}

impl Key {
    fn all_of(ip: IpAddr) -> RangeInclusive<Self> {
        let (link, mac) = (0, Mac::ZERO);
        let (last, broadcast) = (u32::MAX, Mac::BROADCAST);
        Self { ip, link, mac }..=Self {
            ip,
            link: last,
            mac: broadcast,
        }
    }
}

#[derive(Clone, Debug)]
struct Known {
    heard: Instant,
    interface: String,
    proxy_arp: bool,
    /// The address nobody should have that the link was asked for.
    asked: Option<IpAddr>,
}

impl Known {
    fn conflict(&self, key: Key) -> Conflict {
        Conflict {
            ip: key.ip,
            mac: key.mac,
            interface: self.interface.clone(),
            proxy_arp: self.proxy_arp,
        }
    }
}

/// Strangers, and who might be one.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    known: BTreeMap<Key, Known>,
    checks: Timers<Key>,
    proxies: BTreeMap<(u32, IpAddr), Key>,
    unverified: BTreeSet<Key>,
    forget: Timers<Key>,
    /// Counts changes of what [`Self::all`] says.
    pub(super) changes: u64,
}

impl Conflicts {
    pub(super) fn all(&self) -> BTreeSet<Conflict> {
        let known = self.known.iter();
        known.map(|(&key, known)| known.conflict(key)).collect()
    }

    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.known.range(Key::all_of(ip)).next().is_some()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        [self.checks.next(), self.forget.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn remove(&mut self, key: Key) -> Option<Conflict> {
        self.checks.cancel(key);
        let known = self.known.remove(&key)?;
        self.changes += 1;
        if let Some(asked) = known.asked {
            self.proxies.remove(&(key.link, asked));
        }
        Some(known.conflict(key))
    }

    fn doubt(&mut self, key: Key, now: Instant) -> bool {
        let room = self.unverified.range(Key::all_of(key.ip)).count() < PER_ADDRESS;
        if !room && !self.unverified.contains(&key) {
            return false;
        }
        self.forget.set(key, now + GONE_AFTER);
        self.unverified.insert(key)
    }

    fn decided(&mut self, key: Key) {
        self.unverified.remove(&key);
        self.forget.cancel(key);
    }
}

impl L2 {
    /// `mac` said on `link` that it has `ip`.
    pub(super) fn hear_claim(&mut self, link: u32, ip: IpAddr, mac: Mac, now: Instant) {
        if self.macs.contains(&mac) {
            return;
        }
        self.catch_up(ip, now);
        if self.fellows.heard(link, ip, mac, now) {
            self.judge_unverified(now);
            self.pump(now);
        }
        if let Some(&key) = self.conflicts.proxies.get(&(link, ip)) {
            self.hear_proxy(key, ip, mac);
        }
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        if !address.on.contains(&link) {
            return;
        }
        if let Phase::Yielding { heard } = &mut address.phase {
            let news = heard.insert(link);
            let everywhere = *heard == address.on;
            if news {
                let interface = self.name_of(link);
                self.tell(Notice::Successor { ip, mac, interface });
            }
            if everywhere {
                self.remove(ip);
            }
            return;
        }
        self.judge(Key { ip, link, mac }, now);
        self.ask_fellows(now);
        self.pump(now);
    }

    fn judge(&mut self, key: Key, now: Instant) {
        let Key { ip, link, mac } = key;
        match self.fellows.whose(link, mac, now) {
            Whose::Fellow(node) => {
                self.conflicts.decided(key);
                self.fellow_answers(key, &node, now);
                self.fellow_claims(link, ip, &node, now);
            }
            Whose::Unknown => {
                if self.conflicts.doubt(key, now) {
                    let interface = self.name_of(link);
                    self.tell(Notice::Unverified { ip, mac, interface });
                }
            }
            Whose::Stranger => {
                self.conflicts.decided(key);
                self.stranger(key, now);
            }
        }
    }

    fn fellow_answers(&mut self, key: Key, node: &str, now: Instant) {
        let Key { ip, link, mac } = key;
        let interface = self.name_of(link);
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let doubts = address.doubts_mut();
        doubts.claimed.insert(link, now);
        if doubts
            .fellow_told
            .is_some_and(|told| now < told + FELLOW_INTERVAL)
        {
            return;
        }
        doubts.fellow_told = Some(now);
        self.tell(Notice::FellowAnswers {
            ip,
            node: node.to_owned(),
            mac,
            interface,
        });
    }

    fn stranger(&mut self, key: Key, now: Instant) {
        if let Some(known) = self.conflicts.known.get_mut(&key) {
            known.heard = now;
        } else if self.conflicts.known.range(Key::all_of(key.ip)).count() < PER_ADDRESS {
            let known = Known {
                heard: now,
                interface: self.name_of(key.link),
                proxy_arp: false,
                asked: self.unused_address(key),
            };
            self.tell(Notice::Conflict(known.conflict(key)));
            if let Some(unused) = known.asked {
                self.conflicts.proxies.insert((key.link, unused), key);
                self.say_question(key.link, unused, To::Everyone, now);
            }
            self.conflicts.known.insert(key, known);
            self.conflicts.changes += 1;
            self.conflicts.checks.set(key, now + RECHECK);
        }
        self.apply_policy(key, now);
    }

    fn apply_policy(&mut self, Key { ip, link, .. }: Key, now: Instant) {
        let Some(address) = self.addresses.get_mut(&ip) else {
            return;
        };
        let testing = matches!(address.phase, Phase::Queued | Phase::Probing { .. });
        let asking = matches!(address.phase, Phase::Asking { .. });
        let active = address.phase == Phase::Active;
        match address.entry.conflict {
            Policy::Report if testing => self.activate(ip, now),
            Policy::Withhold if testing || asking || active => {
                self.deference.going_on.remove(&ip);
                self.withhold(ip, now);
            }
            Policy::Defend if testing => {
                address.doubts_mut().defended = Some(now);
                self.activate(ip, now);
            }
            Policy::Defend if active => {
                let last = address.doubts().and_then(|doubts| doubts.defended);
                let waited = last.is_none_or(|last| now >= last + DEFEND_INTERVAL);
                if let (true, Some(port)) = (waited, self.ports.get_mut(&link)) {
                    address.doubts_mut().defended = Some(now);
                    port.announcer.defend(ip, now);
                }
            }
            Policy::Report | Policy::Withhold | Policy::Defend => {}
        }
    }

    fn hear_proxy(&mut self, key: Key, ip: IpAddr, mac: Mac) {
        if key.mac != mac || self.addresses.contains_key(&ip) {
            return;
        }
        if let Some(known) = self.conflicts.known.get_mut(&key)
            && !known.proxy_arp
        {
            known.proxy_arp = true;
            self.conflicts.changes += 1;
            let conflict = known.conflict(key);
            self.tell(Notice::Conflict(conflict));
        }
    }

    /// An address that nobody on the link is known to have, near the one in conflict: only a
    /// proxy answers for it.
    fn unused_address(&mut self, Key { ip, link, .. }: Key) -> Option<IpAddr> {
        for _ in 0..8 {
            let random = self.rng.next();
            let port = self.ports.get(&link)?;
            let candidate = match ip {
                IpAddr::V4(v4) => {
                    let length = port.link.prefix_of(ip).map_or(24, |(_, length)| length);
                    let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                    let bits = (random as u32) & host;
                    if bits == 0 || bits == host {
                        continue;
                    }
                    IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !host | bits))
                }
                IpAddr::V6(v6) => {
                    let length = port.link.prefix_of(ip).map_or(64, |(_, length)| length);
                    let host = u128::MAX.checked_shr(length.max(64).into()).unwrap_or(0);
                    let bits = u128::from(random) & host;
                    IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !host | bits))
                }
            };
            let taken = candidate == ip
                || self.addresses.contains_key(&candidate)
                || self.pending.wants(candidate)
                || self.fellows.has(link, candidate)
                || port.recent.last(candidate).is_some()
                || port.link.addresses.iter().any(|&(own, _)| own == candidate)
                || self.conflicts.proxies.contains_key(&(link, candidate));
            if !taken {
                return Some(candidate);
            }
        }
        None
    }

    /// Asks for the fellows whose turn it is; who stays silent may settle a doubt.
    pub(super) fn ask_fellows(&mut self, now: Instant) {
        while let Some(question) = self.fellows.next_question(now) {
            match question {
                Question::Ask(link, ip) => self.say_question(link, ip, To::Everyone, now),
                Question::GaveUp => self.judge_unverified(now),
            }
        }
    }

    /// Looks at every doubt again.
    pub(super) fn judge_unverified(&mut self, now: Instant) {
        let doubts: Vec<Key> = self.conflicts.unverified.iter().copied().collect();
        for key in doubts {
            self.catch_up(key.ip, now);
            let ours = self
                .addresses
                .get(&key.ip)
                .is_some_and(|address| address.on.contains(&key.link));
            match self.fellows.whose(key.link, key.mac, now) {
                Whose::Unknown if ours => {}
                Whose::Fellow(_) | Whose::Stranger if ours => self.judge(key, now),
                Whose::Fellow(_) | Whose::Stranger | Whose::Unknown => self.conflicts.decided(key),
            }
        }
    }

    /// Checks of strangers that are due, and doubts that nobody raised again.
    pub(super) fn conflicts_due(&mut self, budget: &mut Budget, now: Instant) {
        while budget.is_left()
            && let Some(key) = self.conflicts.forget.pop_due(now)
        {
            budget.change();
            self.conflicts.unverified.remove(&key);
        }
        while budget.is_left()
            && let Some(key) = self.conflicts.checks.pop_due(now)
        {
            budget.change();
            self.catch_up(key.ip, now);
            let Some(known) = self.conflicts.known.get(&key) else {
                continue;
            };
            let ends = known.heard + GONE_AFTER;
            let active = self
                .addresses
                .get(&key.ip)
                .is_some_and(|address| address.phase == Phase::Active);
            if !active {
                // The next probe decides.
                self.conflicts.checks.set(key, now + RECHECK);
            } else if now >= ends {
                self.clear(key);
            } else {
                self.say_question(key.link, key.ip, To::Station(key.mac), now);
                self.conflicts.checks.set(key, ends.min(now + RECHECK));
            }
        }
    }

    fn clear(&mut self, key: Key) {
        if let Some(conflict) = self.conflicts.remove(key) {
            self.tell(Notice::ConflictCleared(conflict));
        }
    }

    /// No conflict about an address any more.
    pub(super) fn clear_conflicts(&mut self, ip: IpAddr) {
        let all = Key::all_of(ip);
        let known: Vec<Key> = self
            .conflicts
            .known
            .range(all)
            .map(|(&key, _)| key)
            .collect();
        for key in known {
            self.clear(key);
        }
    }

    /// No doubt about an address any more.
    pub(super) fn forget_doubts(&mut self, ip: IpAddr) {
        let all = Key::all_of(ip);
        let doubts: Vec<Key> = self.conflicts.unverified.range(all).copied().collect();
        for key in doubts {
            self.conflicts.decided(key);
        }
    }

    /// Conflicts about an address on links that went, or that it is not on any more, are over.
    pub(super) fn forget_conflicts_off_link(&mut self, ip: IpAddr) {
        let on = self.addresses.get(&ip).map(|address| &address.on);
        let known = self.conflicts.known.range(Key::all_of(ip));
        let off: Vec<Key> = known
            .map(|(&key, _)| key)
            .filter(|key| on.is_none_or(|on| !on.contains(&key.link)))
            .collect();
        for key in off {
            self.clear(key);
        }
    }
}
