//! The members known, and in which order they are probed.

use super::code;
use super::message::Alive;
use rand::rngs::StdRng;
use rand::{RngExt as _, seq::SliceRandom as _};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// State of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It answers, or was never found not to.
    Alive,
    /// Somebody didn't get an answer.
    Suspect,
    /// It failed.
    Dead,
    /// It said that it leaves.
    Left,
}

impl MemberState {
    /// As on the wire.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Alive => 0,
            Self::Suspect => 1,
            Self::Dead => 2,
            Self::Left => 3,
        }
    }

    /// The state of that code.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Alive, Self::Suspect, Self::Dead, Self::Left]
            .get(usize::from(code))
            .copied()
    }

    /// Whether it counts as a member: alive or suspected.
    #[must_use]
    pub fn is_present(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// A member as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it last said of itself.
    pub alive: Alive,
    /// Its state.
    pub state: MemberState,
    /// Since when.
    pub since: Instant,
}

impl Member {
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.alive.address
    }

    /// Highest protocol version it speaks.
    fn protocol(&self) -> u8 {
        self.alive.versions.map_or(0, |v| v.protocol_max)
    }

    pub(super) fn takes_checksums(&self) -> bool {
        self.protocol() >= code::PROTOCOL_CRC
    }

    pub(super) fn takes_stream_pings(&self) -> bool {
        self.protocol() >= code::PROTOCOL_STREAM_PING
    }

    pub(super) fn sends_nacks(&self) -> bool {
        self.protocol() >= code::PROTOCOL_NACK
    }

    pub(super) fn set(&mut self, state: MemberState, now: Instant) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }
}

/// All members known, this node included.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    by_name: BTreeMap<String, Member>,
    /// Names in the order of probing.
    order: Vec<String>,
    next: usize,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member> {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Member> {
        self.by_name.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_name.values()
    }

    /// Takes a member in, at a random place of the order.
    pub(super) fn insert(&mut self, member: Member, rng: &mut StdRng) {
        let name = member.alive.node.clone();
        if self.by_name.insert(name.clone(), member).is_none() {
            self.order.push(name);
            let last = self.order.len() - 1;
            self.order.swap(rng.random_range(0..=last), last);
        }
    }

    /// The next member to probe that `wanted` admits. When the round is over, those gone for
    /// longer than `keep` are forgotten and the order is drawn anew.
    pub(super) fn next_to_probe(
        &mut self,
        wanted: impl Fn(&Member) -> bool,
        keep: Duration,
        now: Instant,
        rng: &mut StdRng,
    ) -> Option<Member> {
        // The rest of this round, and one more.
        for _ in 0..=self.order.len() * 2 {
            let Some(name) = self.order.get(self.next) else {
                self.forget(keep, now);
                self.order.shuffle(rng);
                self.next = 0;
                if self.order.is_empty() {
                    return None;
                }
                continue;
            };
            self.next += 1;
            if let Some(member) = self.by_name.get(name)
                && wanted(member)
            {
                return Some(member.clone());
            }
        }
        None
    }

    fn forget(&mut self, keep: Duration, now: Instant) {
        self.by_name
            .retain(|_, m| m.state.is_present() || now.duration_since(m.since) <= keep);
        let known = &self.by_name;
        self.order.retain(|name| known.contains_key(name));
    }

    /// At most `count` members that `wanted` admits, drawn at random.
    pub(super) fn random(
        &self,
        count: usize,
        wanted: impl Fn(&Member) -> bool,
        rng: &mut StdRng,
    ) -> Vec<Member> {
        let members = self.order.len();
        let mut chosen: Vec<Member> = Vec::new();
        if members < count.saturating_mul(3) {
            let mut all: Vec<&Member> = self.by_name.values().filter(|m| wanted(m)).collect();
            all.shuffle(rng);
            return all.into_iter().take(count).cloned().collect();
        }
        // Many: drawing a few is cheaper than looking at all.
        for _ in 0..members.saturating_mul(3) {
            if chosen.len() == count {
                break;
            }
            let name = self.order.get(rng.random_range(0..members));
            let Some(member) = name.and_then(|name| self.by_name.get(name)) else {
                continue;
            };
            let again = chosen.iter().any(|c| c.alive.node == member.alive.node);
            if !again && wanted(member) {
                chosen.push(member.clone());
            }
        }
        chosen
    }
}
