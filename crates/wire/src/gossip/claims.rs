//! Claims: which member says that an address is its own.
//!
//! A claim is (address, epoch, node). Whoever comes to hold an address claims it in the next epoch
//! after the highest it has seen, and tells everybody; receivers pass on what is news to them, and
//! exchanges of states repair what was lost. Per address only the claims of the highest epoch are
//! kept, so in whatever order they come, all end up with the same. Who may have the address is for
//! the caller to decide: the machine says who claims it.
//!
//! Who sees nobody claims nothing: it would raise the epochs of all it holds, and take everything
//! with it when it is found again. It claims when it has exchanged states with somebody, what
//! nobody else claims by then.
//!
//! Invariants: a claim counts only while its node is a member in the life that made it; a node
//! never uses an epoch twice for an address it held meanwhile; giving an address up takes back a
//! node's own claim and touches nobody else's. What can't be used is counted.

mod spoken;

pub(super) use spoken::Spoken;

use super::broadcast::Topic;
use super::detector::Features;
use super::message::Message;
use super::push_pull::PushPull;
use super::{Drop, Gossip, Member, Presence};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Farthest an epoch may be ahead of the highest known: far more than an address moves while a
/// node is away, and so little that nobody can use epochs up.
const JUMP: u64 = 1 << 20;
/// Most addresses of which claims are kept.
const ADDRESSES_MAX: usize = 1 << 16;
/// Most claims of one epoch and address: more nodes than that don't take it at once.
const TIES_MAX: usize = 16;

/// How long members take at most to refute that they are dead.
const ELSEWHERE: Duration = Duration::from_secs(3);

/// A claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) ip: IpAddr,
    pub(super) epoch: u64,
    pub(super) word: Word,
}

/// What one node says of an address in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    /// The node's life.
    pub(super) life: u64,
    /// Whether it was given up again.
    pub(super) given_up: bool,
}

/// The claims of the highest epoch.
#[derive(Clone, Debug, Default)]
struct Record {
    epoch: u64,
    words: BTreeMap<String, Word>,
}

/// All claims known.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    records: BTreeMap<IpAddr, Record>,
    /// Addresses this node holds.
    held: BTreeSet<IpAddr>,
    /// Lives that whoever this node met after it had seen nobody knows of, and until when that
    /// counts: they may take a moment to refute what this node believes of them.
    elsewhere: Option<(BTreeMap<String, u64>, Instant)>,
    /// Tells batches apart while they are spread.
    batches: u64,
}

/// What became of a claim heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    News,
    Known,
}

impl Claims {
    fn take(&mut self, node: &str, claim: &Claim) -> Result<Heard, Drop> {
        let known = self.records.get(&claim.ip).map_or(0, |r| r.epoch);
        if claim.epoch == 0 || claim.epoch > known.saturating_add(JUMP) {
            return Err(Drop::Epoch);
        }
        if claim.epoch < known {
            return Ok(Heard::Known);
        }
        let full = self.records.len() >= ADDRESSES_MAX;
        if full && !self.records.contains_key(&claim.ip) {
            return Err(Drop::Full);
        }
        let record = self.records.entry(claim.ip).or_default();
        if claim.epoch > known {
            record.epoch = claim.epoch;
            record.words.clear();
        }
        let full = record.words.len() >= TIES_MAX;
        match record.words.get_mut(node) {
            // The later life, and giving up, go before: so the order doesn't matter.
            Some(word) if *word >= claim.word => Ok(Heard::Known),
            Some(word) => {
                *word = claim.word;
                Ok(Heard::News)
            }
            None if full => Err(Drop::Full),
            None => {
                record.words.insert(node.to_owned(), claim.word);
                Ok(Heard::News)
            }
        }
    }

    /// A member is gone, whatever was known of it elsewhere.
    pub(super) fn gone(&mut self, node: &str) {
        if let Some((lives, _)) = &mut self.elsewhere {
            lives.remove(node);
        }
    }

    /// A claim in the next epoch.
    fn next(&self, ip: IpAddr, life: u64) -> Claim {
        let epoch = self.records.get(&ip).map_or(0, |r| r.epoch);
        let word = Word {
            life,
            given_up: false,
        };
        Claim {
            ip,
            epoch: epoch.saturating_add(1),
            word,
        }
    }

    /// The node's own claim taken back, if it has one.
    fn given_up(&self, ip: IpAddr, node: &str, life: u64) -> Option<Claim> {
        let record = self.records.get(&ip)?;
        let word = record.words.get(node)?;
        let word = (word.life == life && !word.given_up).then_some(Word {
            life,
            given_up: true,
        })?;
        let epoch = record.epoch;
        Some(Claim { ip, epoch, word })
    }

    /// Everything known, node by node.
    fn spoken(&self) -> Vec<Spoken> {
        let mut by_life: BTreeMap<(&str, u64), Vec<Claim>> = BTreeMap::new();
        for (ip, record) in &self.records {
            for (node, word) in &record.words {
                by_life.entry((node, word.life)).or_default().push(Claim {
                    ip: *ip,
                    epoch: record.epoch,
                    word: *word,
                });
            }
        }
        let all = by_life.into_iter();
        all.map(|((node, life), claims)| Spoken {
            node: node.to_owned(),
            life,
            claims,
        })
        .collect()
    }
}

impl Gossip {
    /// The addresses this node holds from now on: new ones that no other member claims are claimed,
    /// and those it holds no more are given up. Nothing if this node doesn't speak claims.
    pub fn hold(&mut self, held: BTreeSet<IpAddr>, now: Instant) {
        let Some(life) = self.life() else {
            return;
        };
        let own = self.options.name.clone();
        let claims = &self.claims;
        let gone = claims.held.difference(&held);
        let gone = gone.filter_map(|ip| claims.given_up(*ip, &own, life));
        let gone: Vec<Claim> = gone.collect();
        let new = held.difference(&claims.held).copied().collect();
        self.claims.held = held;
        self.say_claims(gone, now);
        // What another member claims is its own until it says otherwise, which is heard.
        self.claim_again(new, now);
    }

    /// Who claims each address in its highest epoch, and that epoch; members in the life that
    /// made the claim only.
    pub fn claims(&self) -> impl Iterator<Item = (IpAddr, u64, BTreeSet<&str>)> {
        let lives = self.lives();
        self.claims.records.iter().filter_map(move |(ip, record)| {
            let live = record.words.iter().filter(|(node, word)| {
                !word.given_up && lives.get(node.as_str()) == Some(&word.life)
            });
            let live: BTreeSet<&str> = live.map(|(node, _)| node.as_str()).collect();
            (!live.is_empty()).then_some((*ip, record.epoch, live))
        })
    }

    /// Rises whenever [`Self::claims`], the members or [`Self::fleet`] may have changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The lives of the members present, by name.
    fn lives(&self) -> BTreeMap<&str, u64> {
        let present = self.members.iter().filter(|m| m.state.is_present());
        present
            .filter_map(|m| Some((m.alive.node.as_str(), Features::of(&m.alive.meta).life?)))
            .collect()
    }

    /// This node's life, if it speaks claims.
    pub(super) fn life(&self) -> Option<u64> {
        Features::of(&self.options.meta).life
    }

    /// Claims of this node's: taken note of, and told to everybody.
    fn say_claims(&mut self, said: Vec<Claim>, now: Instant) {
        let Some(life) = self.life().filter(|_| !said.is_empty()) else {
            return;
        };
        let node = self.options.name.clone();
        let mut claims = Vec::with_capacity(said.len());
        for claim in said {
            match self.claims.take(&node, &claim) {
                Ok(Heard::News) => claims.push(claim),
                Ok(Heard::Known) => {}
                Err(drop) => self.drop(drop),
            }
        }
        self.generation += 1;
        let spoken = Spoken { node, life, claims };
        for message in self.spread(&spoken) {
            self.urge(&message, now);
        }
    }

    /// Makes rumours of claims; the messages they are told in.
    fn spread(&mut self, spoken: &Spoken) -> Vec<Message> {
        let batches = spoken.batches(self.user_room());
        let messages: Vec<_> = batches.map(|b| Message::User(b.encode())).collect();
        for message in &messages {
            self.claims.batches += 1;
            let topic = Topic::Claims(self.claims.batches);
            self.broadcasts.push(topic, message.encode());
        }
        messages
    }

    /// Whether anybody else is a member now.
    pub(super) fn is_alone(&self) -> bool {
        let own = &self.options.name;
        let mut present = self.members.iter().filter(|m| m.state.is_present());
        present.all(|m| m.alive.node == *own)
    }

    /// This node saw nobody, and exchanges states now: what it holds and none of those who live
    /// elsewhere claims, it claims.
    pub(super) fn meet_again(&mut self, state: &PushPull, now: Instant) {
        if !self.apart || self.presence != Presence::Here {
            return;
        }
        self.apart = false;
        let present = state.members.iter().filter(|(state, _)| state.is_present());
        let present = present
            .filter_map(|(_, alive)| Some((alive.node.clone(), Features::of(&alive.meta).life?)));
        self.claims.elsewhere = Some((present.collect(), now + ELSEWHERE));
        self.hear_state(state.user.clone(), now);
        self.claims_follow(now);
    }

    /// Somebody's claims were heard, from whomever.
    pub(super) fn hear_claims(&mut self, spoken: Spoken, now: Instant) {
        if self.life().is_none() {
            return self.drop(Drop::Unexpected);
        }
        let Spoken { node, life, claims } = spoken;
        let mut news = Vec::new();
        for claim in claims {
            match self.claims.take(&node, &claim) {
                Ok(Heard::News) => news.push(claim),
                Ok(Heard::Known) => {}
                Err(drop) => self.drop(drop),
            }
        }
        if news.is_empty() {
            return;
        }
        self.generation += 1;
        let touched: Vec<IpAddr> = news.iter().map(|claim| claim.ip).collect();
        let claims = news;
        self.spread(&Spoken { node, life, claims });
        self.claim_again(touched, now);
    }

    /// The members changed: what this node holds and nobody claims any more is claimed again.
    pub(super) fn claims_follow(&mut self, now: Instant) {
        if self.life().is_some() && !self.claims.held.is_empty() {
            let held: Vec<IpAddr> = self.claims.held.iter().copied().collect();
            self.claim_again(held, now);
        }
    }

    fn claim_again(&mut self, of: Vec<IpAddr>, now: Instant) {
        let Some(life) = self.life().filter(|_| !self.apart) else {
            return;
        };
        let lives = self.lives();
        let elsewhere = self.claims.elsewhere.as_ref();
        let elsewhere = elsewhere.filter(|(_, until)| now < *until).map(|e| &e.0);
        let lives_on = |node: &String, word: &Word| {
            lives.get(node.as_str()) == Some(&word.life)
                || elsewhere.is_some_and(|e| e.get(node) == Some(&word.life))
        };
        let claimed = |ip: &IpAddr| {
            let record = self.claims.records.get(ip);
            record.is_some_and(|record| {
                let mut words = record.words.iter();
                words.any(|(node, word)| !word.given_up && lives_on(node, word))
            })
        };
        let own = of.into_iter().filter(|ip| self.claims.held.contains(ip));
        let lost: Vec<IpAddr> = own.filter(|ip| !claimed(ip)).collect();
        let said = lost.iter().map(|ip| self.claims.next(*ip, life)).collect();
        self.say_claims(said, now);
    }

    /// What is said in exchanges: every claim known, in front of the application's state.
    pub(super) fn spoken_state(&self) -> Vec<u8> {
        if self.life().is_none() {
            return self.user_state.clone();
        }
        spoken::encode_state(&self.claims.spoken(), &self.user_state)
    }

    /// Takes in the claims of an exchanged state; what is left is the application's.
    pub(super) fn hear_state(&mut self, state: Vec<u8>, now: Instant) -> Vec<u8> {
        match spoken::decode_state(&state) {
            None => state,
            Some((all, rest)) => {
                for spoken in all {
                    self.hear_claims(spoken, now);
                }
                rest.to_vec()
            }
        }
    }
}

/// Whether a member speaks claims.
pub(super) fn speaks(member: &Member) -> bool {
    Features::of(&member.alive.meta).life.is_some()
}

#[cfg(test)]
mod tests;
