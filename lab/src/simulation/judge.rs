//! What must hold, and what was measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Two nodes that gossip reaches may answer for one address so long: until its old owner hears
/// the new one, or a second after it was told of it.
pub(super) const DOUBLE: Duration = Duration::from_millis(1_500);
/// The API server tells the last node so much later than the first.
pub(super) const API: Duration = Duration::from_secs(2);
/// The same of nodes that gossip doesn't reach while they are on one LAN: until one hears the
/// other, at its second announcement if the first is lost, and has found within a probe, a second,
/// that gossip doesn't reach it.
pub(super) const DOUBLE_CUT: Duration = Duration::from_millis(2_500);
/// The same once a cut of both has ended.
pub(super) const DOUBLE_HEALING: Duration = Duration::from_millis(5_000);
/// Nobody may answer so long, whatever happened.
pub(super) const NONE: Duration = Duration::from_secs(16);
/// The same where a node went or came back of its own will, or was drained.
pub(super) const HAND_OVER: Duration = Duration::from_millis(1_000);
/// One who starts knows for certain who else is there so much later.
pub(super) const SETTLED: Duration = Duration::from_secs(12);
/// A cut has healed so long after its end.
pub(super) const HEAL: Duration = Duration::from_secs(25);
/// Everything is as it was so long after the last trouble.
pub(super) const CALM: Duration = Duration::from_secs(20);
/// Where nothing happens nothing may be missing, but for what a hand-over takes.
pub(super) const NONE_CALM: Duration = Duration::from_millis(300);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// The longest that nobody answered for an address although somebody could.
    pub none: Duration,
    /// The longest that two answered for one on the same LAN although gossip was whole.
    pub double: Duration,
    /// The same while it was cut, and the LAN wasn't.
    pub double_cut: Duration,
    /// The same until gossip had healed after both were.
    pub double_healing: Duration,
}

/// An invariant is broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// When.
    pub at: Duration,
    /// Which, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.3} s: {}", self.at.as_secs_f64(), self.what)
    }
}

/// Who answers for what, and since when that is as it mustn't be.
#[derive(Debug, Default)]
pub(super) struct Judge {
    answers: Vec<BTreeSet<IpAddr>>,
    pub(super) owners: BTreeMap<IpAddr, BTreeSet<usize>>,
    none_since: BTreeMap<IpAddr, Duration>,
    double_since: BTreeMap<IpAddr, Duration>,
    pub(super) measured: Measured,
}

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// Nothing.
    No,
    /// Gossip.
    Gossip,
    /// The LAN, too.
    Both,
}

/// What is the case besides.
pub(super) struct Circumstances<'a> {
    pub(super) time: Duration,
    /// Whether two nodes are on one LAN.
    pub(super) together: &'a dyn Fn(usize, usize) -> bool,
    /// How much later than another a node may know of what decides.
    pub(super) api: Duration,
    /// What is cut, or was not long ago.
    pub(super) cut: Cut,
    /// When the last trouble began or ended.
    pub(super) trouble: Duration,
    /// When the last one did that wasn't announced.
    pub(super) accident: Duration,
    /// Since when somebody could answer.
    pub(super) able: Option<Duration>,
}

impl Judge {
    pub(super) fn new(nodes: usize, addresses: impl Iterator<Item = IpAddr>) -> Self {
        Self {
            answers: vec![BTreeSet::new(); nodes],
            owners: addresses.map(|ip| (ip, BTreeSet::new())).collect(),
            ..Self::default()
        }
    }

    /// A node answers for these now; whether that is news.
    pub(super) fn answers(&mut self, node: usize, now: BTreeSet<IpAddr>) -> bool {
        let Some(before) = self.answers.get_mut(node) else {
            return false;
        };
        if *before == now {
            return false;
        }
        for ip in before.symmetric_difference(&now) {
            let owners = self.owners.entry(*ip).or_default();
            if now.contains(ip) {
                owners.insert(node);
            } else {
                owners.remove(&node);
            }
        }
        *before = now;
        true
    }

    /// Looks at everything, once something changed or time passed.
    pub(super) fn look(&mut self, now: &Circumstances<'_>) -> Result<(), Violation> {
        let time = now.time;
        for (ip, owners) in &self.owners {
            let pairs = owners
                .iter()
                .flat_map(|a| owners.iter().map(move |b| (a, b)));
            let double = pairs
                .filter(|(a, b)| a < b)
                .any(|(a, b)| (now.together)(*a, *b));
            if double {
                let since = *self.double_since.entry(*ip).or_insert(time);
                let lasts = time.saturating_sub(since);
                let measured = &mut self.measured;
                let (longest, limit) = match now.cut {
                    Cut::No => (&mut measured.double, DOUBLE),
                    Cut::Gossip => (&mut measured.double_cut, DOUBLE_CUT),
                    Cut::Both => (&mut measured.double_healing, DOUBLE_HEALING),
                };
                *longest = lasts.max(*longest);
                if lasts > limit + now.api {
                    return Err(Violation {
                        at: time,
                        what: format!("{ip} has been answered by {owners:?} for {lasts:?}"),
                    });
                }
            } else {
                self.double_since.remove(ip);
            }
            let Some(able) = now.able.filter(|_| owners.is_empty()) else {
                self.none_since.remove(ip);
                continue;
            };
            let since = *self.none_since.entry(*ip).or_insert(time);
            let lasts = time.saturating_sub(since.max(able));
            self.measured.none = lasts.max(self.measured.none);
            let limit = if since > now.trouble + CALM {
                NONE_CALM
            } else if since > now.accident + CALM && since > able + SETTLED {
                HAND_OVER + now.api
            } else {
                NONE
            };
            if lasts > limit {
                return Err(Violation {
                    at: time,
                    what: format!("nobody has answered for {ip} for {lasts:?}"),
                });
            }
        }
        Ok(())
    }
}
