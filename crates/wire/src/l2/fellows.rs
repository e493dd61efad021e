//! The MACs of the other nodes, learnt by asking each link for the node addresses that are in
//! one of its prefixes, and from what the nodes say of themselves. An answer from one of these
//! MACs is no stranger's; as long as one is missing, nobody is called a stranger.
//!
//! Whoever asks says who he is, and everybody on the link hears it: so a fellow heard is not asked
//! for. Of many that keep silent each is asked for the more seldom, so that a node asks one question a
//! second at most in the mean, however many fellows it has, once each was asked for.

use super::link::Link;
use super::mac::Mac;
use super::pace::Pace;
use super::rng::Rng;
use super::timers::Timers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Questions for one address before it counts as silent.
const ATTEMPTS: u32 = 3;
/// Time between them.
const BETWEEN: Duration = Duration::from_secs(1);
/// Time until an address is asked for again, answered or not, unless it was heard; give or take
/// a tenth, so that not all ask for the same one at once.
const AGAIN: Duration = Duration::from_secs(60);
/// The least for each fellow.
const AGAIN_EACH: Duration = Duration::from_secs(1);
/// A silent address is asked for again at once when a doubt comes up this long after.
const SILENCE_HOLDS: Duration = Duration::from_secs(10);
/// Questions a second, all links together.
const RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// Whose a MAC is, on one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This node's.
    Fellow(String),
    /// Can't be told yet.
    Unknown,
    /// None of the nodes'.
    Stranger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited { asked: u32 },
    Known,
    Silent { since: Instant },
}

#[derive(Clone, Debug)]
struct Fellow {
    node: String,
    /// Kept while it is asked for again, and when nothing comes: a node doesn't become a
    /// stranger by being down.
    mac: Option<Mac>,
    answer: Answer,
}

/// Addresses by link and what is known of each.
#[derive(Clone, Debug)]
pub(super) struct Fellows {
    known: BTreeMap<(u32, IpAddr), Fellow>,
    macs: BTreeSet<(u32, Mac, IpAddr)>,
    timers: Timers<(u32, IpAddr)>,
    pace: Pace,
    rng: Rng,
    /// Whether there are other nodes at all.
    any: bool,
}

impl Fellows {
    /// None yet; `seed` is where randomness starts.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            known: BTreeMap::new(),
            macs: BTreeSet::new(),
            timers: Timers::default(),
            pace: Pace::new(RATE),
            rng: Rng::new(seed),
            any: false,
        }
    }

    /// Time until an address is asked for again.
    fn again(&mut self) -> Duration {
        let fellows = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.rng
            .jitter(AGAIN.max(AGAIN_EACH.saturating_mul(fellows)))
    }

    /// Takes over the nodes' addresses as far as they are on one of the links.
    pub(super) fn set<'a>(
        &mut self,
        node: &str,
        addresses: &BTreeMap<String, Vec<IpAddr>>,
        links: impl Iterator<Item = &'a Link>,
        now: Instant,
    ) {
        let others = || addresses.iter().filter(|(name, _)| *name != node);
        self.any = others().next().is_some();
        let mut wanted = BTreeMap::new();
        for link in links {
            for (name, ips) in others() {
                for &ip in ips {
                    let own = link.addresses.iter().any(|&(own, _)| own == ip);
                    if !own && link.speaks_for(ip) && link.prefix_of(ip).is_some() {
                        wanted.insert((link.index, ip), name);
                    }
                }
            }
        }
        let gone: Vec<_> = self
            .known
            .keys()
            .copied()
            .filter(|key| !wanted.contains_key(key))
            .collect();
        for key in gone {
            self.forget(key);
        }
        for (key, name) in wanted {
            if let Some(fellow) = self.known.get_mut(&key) {
                fellow.node.clone_from(name);
                continue;
            }
            let fellow = Fellow {
                node: name.clone(),
                mac: None,
                answer: Answer::Awaited { asked: 0 },
            };
            self.known.insert(key, fellow);
            self.timers.set(key, now);
        }
    }

    fn forget(&mut self, key: (u32, IpAddr)) {
        if let Some(mac) = self.known.remove(&key).and_then(|fellow| fellow.mac) {
            self.macs.remove(&(key.0, mac, key.1));
        }
        self.timers.cancel(key);
    }

    /// `mac` said that it has `ip`. Whether that is news.
    pub(super) fn heard(&mut self, link: u32, ip: IpAddr, mac: Mac, now: Instant) -> bool {
        if !self.known.contains_key(&(link, ip)) {
            return false;
        }
        let again = now + self.again();
        self.timers.set((link, ip), again);
        let Some(fellow) = self.known.get_mut(&(link, ip)) else {
            return false;
        };
        if fellow.mac == Some(mac) && fellow.answer == Answer::Known {
            return false;
        }
        fellow.answer = Answer::Known;
        if let Some(before) = fellow.mac.replace(mac) {
            self.macs.remove(&(link, before, ip));
        }
        self.macs.insert((link, mac, ip));
        true
    }

    /// Whose `mac` is on `link`; asks again for what is missing.
    pub(super) fn whose(&mut self, link: u32, mac: Mac, now: Instant) -> Whose {
        if let Some(node) = self.node_of(link, mac) {
            return Whose::Fellow(node);
        }
        let here = (link, IpAddr::from([0; 4]))..=(link, IpAddr::from([0xff; 16]));
        let mut unknown = false;
        let mut none = true;
        for (&key, fellow) in self.known.range_mut(here) {
            none = false;
            match fellow.answer {
                Answer::Awaited { .. } if fellow.mac.is_none() => unknown = true,
                Answer::Silent { since } if now >= since + SILENCE_HOLDS => {
                    fellow.answer = Answer::Awaited { asked: 0 };
                    self.timers.set(key, now);
                    unknown = true;
                }
                Answer::Awaited { .. } | Answer::Known | Answer::Silent { .. } => {}
            }
        }
        // Where no node has an address nobody can be told from a node.
        if unknown || (none && self.any) {
            Whose::Unknown
        } else {
            Whose::Stranger
        }
    }

    fn node_of(&self, link: u32, mac: Mac) -> Option<String> {
        let any = IpAddr::from([0; 4])..=IpAddr::from([0xff; 16]);
        let &(.., ip) = self
            .macs
            .range((link, mac, *any.start())..=(link, mac, *any.end()))
            .next()?;
        Some(self.known.get(&(link, ip))?.node.clone())
    }

    /// The next address to ask for, if one is due.
    pub(super) fn next_question(&mut self, now: Instant) -> Option<Question> {
        if self.timers.next().is_none_or(|at| at > now) {
            return None;
        }
        if !self.pace.take(now) {
            return None;
        }
        let key = self.timers.pop_due(now)?;
        let again = now + self.again();
        let fellow = self.known.get_mut(&key)?;
        let asked = match fellow.answer {
            Answer::Awaited { asked } => asked,
            Answer::Known | Answer::Silent { .. } => 0,
        };
        if asked < ATTEMPTS {
            fellow.answer = Answer::Awaited { asked: asked + 1 };
            self.timers.set(key, now + BETWEEN);
            return Some(Question::Ask(key.0, key.1));
        }
        fellow.answer = match fellow.mac {
            Some(_) => Answer::Known,
            None => Answer::Silent { since: now },
        };
        self.timers.set(key, again);
        Some(Question::GaveUp)
    }

    /// When there is something to ask.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next().map(|at| self.pace.not_before(at))
    }

    /// Whether `ip` is a node's on `link`.
    pub(super) fn has(&self, link: u32, ip: IpAddr) -> bool {
        self.known.contains_key(&(link, ip))
    }
}

/// What [`Fellows::next_question`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Ask this link for this address.
    Ask(u32, IpAddr),
    /// An address is not asked for any more for now.
    GaveUp,
}
