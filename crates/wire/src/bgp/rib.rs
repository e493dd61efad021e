//! What a peer has, what it shall have, and the messages from one to the other (RFC 4271 §9.2).
//!
//! The latest table wins: a prefix that changes twice before there was room to send is sent once,
//! one that changes back isn't sent at all. Withdrawals go before announcements. Once all is sent,
//! only a reference to the table is kept, however many peers share it.
// DEVIATION: there is no MinRouteAdvertisementInterval (RFC 4271 §9.2.1.1): the paths announced
// are our own, a burst of changes is one table, and a failed node's traffic must not wait.

mod egress;

pub use egress::Withheld;

pub(super) use egress::Egress;

use super::family::Family;
use super::message::{MAX_LEN, Message};
use super::prefix::Prefix;
use super::refresh::{RefreshKind, RouteRefresh};
use super::routes::{self, Path, Routes};
use super::update::Update;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is wanted.
#[derive(Clone, Debug)]
enum Desired {
    /// Not known yet: nothing is sent, above all no End-of-RIB, which would make a peer forget
    /// the routes it kept over our restart.
    Unknown,
    Known(Arc<Routes>),
}

/// What is known about a prefix and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// It isn't to be sent, and wasn't.
    No,
    /// It isn't sent, for this reason.
    Withheld(Withheld),
    /// There was no room for it yet.
    Pending,
    /// It was sent.
    Sent,
}

/// The routes for one peer, over all of its sessions.
#[derive(Clone, Debug)]
pub(super) struct AdjRibOut {
    desired: Desired,
    sending: Option<Sending>,
}

/// What one session has sent, and has to.
#[derive(Clone, Debug)]
struct Sending {
    egress: Egress,
    enhanced_refresh: bool,
    /// What the peer has, apart from what `differs`.
    base: Arc<Routes>,
    differs: BTreeMap<Prefix, Option<Arc<Path>>>,
    withdraw: BTreeSet<Prefix>,
    announce: BTreeMap<Arc<Path>, BTreeSet<Prefix>>,
    /// Families whose End-of-RIB is to follow.
    initial: BTreeSet<Family>,
    /// Families that were asked for again.
    refreshing: BTreeMap<Family, Refreshing>,
    announced: usize,
}

/// How far a refresh is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refreshing {
    /// BoRR is to be sent.
    Begins,
    /// EoRR is to be sent once all is.
    Begun,
    /// Without demarcation.
    Plain,
}

impl AdjRibOut {
    pub(super) fn new() -> Self {
        Self {
            desired: Desired::Unknown,
            sending: None,
        }
    }

    /// Whether a table was ever given.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.desired, Desired::Known(_))
    }

    /// The table that is wanted now.
    pub(super) fn desired(&self) -> Option<&Arc<Routes>> {
        match &self.desired {
            Desired::Known(routes) => Some(routes),
            Desired::Unknown => None,
        }
    }

    /// Wants another table.
    pub(super) fn set(&mut self, new: Arc<Routes>) {
        let same = matches!(&self.desired, Desired::Known(old) if Arc::ptr_eq(old, &new));
        let changed = match (&self.desired, &self.sending) {
            (Desired::Known(old), Some(_)) if !same => routes::changed(old, &new),
            (Desired::Unknown, Some(_)) => new.keys().copied().collect(),
            (Desired::Known(_) | Desired::Unknown, _) => Vec::new(),
        };
        self.set_changed(new, &changed);
    }

    /// Wants another table, of which others have found what changed.
    pub(super) fn set_changed(&mut self, new: Arc<Routes>, changed: &[Prefix]) {
        let old = match std::mem::replace(&mut self.desired, Desired::Known(Arc::clone(&new))) {
            Desired::Known(old) => old,
            Desired::Unknown => Arc::default(),
        };
        if let Some(sending) = &mut self.sending {
            for prefix in changed {
                sending.change(*prefix, old.get(prefix), new.get(prefix));
            }
        }
        self.settle();
    }

    /// A session is up: the peer has nothing.
    pub(super) fn begin(&mut self, egress: Egress, enhanced_refresh: bool) {
        let mut sending = Sending {
            initial: egress.families.iter().collect(),
            egress,
            enhanced_refresh,
            base: Arc::default(),
            differs: BTreeMap::new(),
            withdraw: BTreeSet::new(),
            announce: BTreeMap::new(),
            refreshing: BTreeMap::new(),
            announced: 0,
        };
        if let Desired::Known(routes) = &self.desired {
            sending.announce_all(routes);
        }
        self.sending = Some(sending);
    }

    /// The session is over.
    pub(super) fn end(&mut self) {
        self.sending = None;
    }

    /// The peer wants everything of a family again (RFC 2918 §4); asked for twice it starts
    /// over (RFC 7313 §4). A family the session doesn't carry is ignored.
    pub(super) fn refresh(&mut self, family: Family) {
        let (Some(sending), Desired::Known(routes)) = (&mut self.sending, &self.desired) else {
            // Everything is still to be sent anyway.
            return;
        };
        if !sending.egress.families.has(family) {
            return;
        }
        if sending.refreshing.get(&family) == Some(&Refreshing::Begins) {
            return;
        }
        // RFC 7313 §4: no BoRR before the End-of-RIB; the first table isn't complete then.
        let demarcated = sending.enhanced_refresh && !sending.initial.contains(&family);
        let refreshing = if demarcated {
            Refreshing::Begins
        } else {
            Refreshing::Plain
        };
        sending.refreshing.insert(family, refreshing);
        for (&prefix, path) in routes.iter() {
            if prefix.family() == family {
                sending.change(prefix, Some(path), Some(path));
            }
        }
    }

    /// The next message, with what it is.
    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        let known = self.is_known();
        let message = self.sending.as_mut()?.next_message(known);
        self.settle();
        message
    }

    /// Whether there is nothing left to send.
    pub(super) fn is_settled(&self) -> bool {
        self.sending.as_ref().is_none_or(Sending::is_settled)
    }

    /// Prefixes the peer has.
    pub(super) fn announced(&self) -> usize {
        self.sending.as_ref().map_or(0, |sending| sending.announced)
    }

    /// Prefixes still to be announced or withdrawn.
    pub(super) fn pending(&self) -> usize {
        self.sending.as_ref().map_or(0, |sending| {
            let announce: usize = sending.announce.values().map(BTreeSet::len).sum();
            sending.withdraw.len() + announce
        })
    }

    /// What is known about a prefix.
    pub(super) fn advertised(&self, prefix: Prefix) -> Advertised {
        let path = self.desired().and_then(|routes| routes.get(&prefix));
        let Some(sending) = &self.sending else {
            return if path.is_some() {
                Advertised::Pending
            } else {
                Advertised::No
            };
        };
        let pending = match path {
            None => sending.withdraw.contains(&prefix),
            Some(path) => match sending.egress.check(prefix, path) {
                Err(why) => return Advertised::Withheld(why),
                Ok(()) => sending
                    .announce
                    .get(path)
                    .is_some_and(|all| all.contains(&prefix)),
            },
        };
        match (pending, path) {
            (true, _) => Advertised::Pending,
            (false, Some(_)) => Advertised::Sent,
            (false, None) => Advertised::No,
        }
    }

    /// Forgets what differs once the peer has what is wanted.
    fn settle(&mut self) {
        if let (Some(sending), Desired::Known(routes)) = (&mut self.sending, &self.desired)
            && sending.withdraw.is_empty()
            && sending.announce.is_empty()
        {
            sending.base = Arc::clone(routes);
            sending.differs.clear();
        }
    }
}

impl Sending {
    /// What the peer has for `prefix`.
    fn sent(&self, prefix: Prefix) -> Option<&Arc<Path>> {
        match self.differs.get(&prefix) {
            Some(path) => path.as_ref(),
            None => self
                .base
                .get(&prefix)
                .filter(|path| self.egress.check(prefix, path).is_ok()),
        }
    }

    /// Everything is wanted, and the peer has nothing: the same as a change of each, in bulk.
    fn announce_all(&mut self, routes: &Routes) {
        let mut groups: BTreeMap<&Arc<Path>, Vec<Prefix>> = BTreeMap::new();
        for (&prefix, path) in routes {
            if self.egress.check(prefix, path).is_ok() {
                groups.entry(path).or_default().push(prefix);
            }
        }
        let groups = groups.into_iter();
        self.announce = groups
            .map(|(path, prefixes)| (Arc::clone(path), prefixes.into_iter().collect()))
            .collect();
    }

    /// What was wanted for `prefix` was `old` and is `new`.
    fn change(&mut self, prefix: Prefix, old: Option<&Arc<Path>>, new: Option<&Arc<Path>>) {
        self.withdraw.remove(&prefix);
        if let Some(old) = old
            && let Some(group) = self.announce.get_mut(old)
        {
            group.remove(&prefix);
            if group.is_empty() {
                self.announce.remove(old);
            }
        }
        let new = new.filter(|path| self.egress.check(prefix, path).is_ok());
        let sent = self.sent(prefix);
        match new {
            Some(new) => {
                let again = self.refreshing.contains_key(&prefix.family());
                if again || sent != Some(new) {
                    let group = self.announce.entry(Arc::clone(new)).or_default();
                    group.insert(prefix);
                }
            }
            None if sent.is_some() => {
                self.withdraw.insert(prefix);
            }
            None => {}
        }
    }

    fn is_settled(&self) -> bool {
        self.withdraw.is_empty()
            && self.announce.is_empty()
            && self.initial.is_empty()
            && self.refreshing.is_empty()
    }

    fn next_message(&mut self, known: bool) -> Option<Vec<u8>> {
        let mut refreshing = self.refreshing.iter_mut();
        if let Some((&family, state)) = refreshing.find(|(_, s)| **s == Refreshing::Begins) {
            *state = Refreshing::Begun;
            return demarcation(family, RefreshKind::Begin);
        }
        let mut taken = Vec::new();
        let message = self
            .egress
            .withdraw(self.withdraw.iter().copied(), &mut taken);
        if message.is_some() {
            for prefix in taken {
                self.withdraw.remove(&prefix);
                self.differs.insert(prefix, None);
                self.announced = self.announced.saturating_sub(1);
            }
            return message;
        }
        if let Some(message) = self.next_announcement() {
            return Some(message);
        }
        if !known {
            return None;
        }
        if let Some(family) = self.initial.pop_first() {
            let marker = Message::Update(Box::new(Update::end_of_rib(family)));
            return marker.encode(true, MAX_LEN).ok();
        }
        while let Some((family, state)) = self.refreshing.pop_first() {
            if state == Refreshing::Begun {
                return demarcation(family, RefreshKind::End);
            }
        }
        None
    }

    fn next_announcement(&mut self) -> Option<Vec<u8>> {
        let mut group = self.announce.first_entry()?;
        let path = Arc::clone(group.key());
        let mut taken = Vec::new();
        let prefixes = group.get().iter().copied();
        let message = self.egress.announce(&path, prefixes, &mut taken);
        // Those taken are the first of the group.
        match group.get().iter().nth(taken.len()).copied() {
            Some(next) => {
                let rest = group.get_mut().split_off(&next);
                group.insert(rest);
            }
            None => {
                group.remove();
            }
        }
        let fresh = self.base.is_empty() && self.differs.is_empty();
        let had = |prefix: &&Prefix| !fresh && self.sent(**prefix).is_some();
        self.announced += taken.len() - taken.iter().filter(had).count();
        let sent = |prefix| (prefix, Some(Arc::clone(&path)));
        self.differs.extend(taken.into_iter().map(sent));
        message
    }
}

fn demarcation(family: Family, subtype: RefreshKind) -> Option<Vec<u8>> {
    let refresh = RouteRefresh {
        family: family.into(),
        subtype,
    };
    Message::RouteRefresh(refresh).encode(true, MAX_LEN).ok()
}

#[cfg(test)]
mod tests;
