//! Rumours: what is passed on to a few members at a time, a limited number of times each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes a compound costs each message in it, and once.
const OVERHEAD: usize = 2;

/// What a rumour is about; a newer one about the same replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// A member, by name.
    Member(String),
    /// This node's leaving.
    Leaving,
    /// Claims; each batch of them by its number.
    Claims(u64),
}

/// Least often told first, then the longest, then the newest.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

#[derive(Clone, Debug)]
struct Rumour {
    rank: Rank,
    bytes: Vec<u8>,
}

/// The rumours not told often enough yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Broadcasts {
    rumours: BTreeMap<Topic, Rumour>,
    order: BTreeSet<(Rank, Topic)>,
    told: u64,
}

impl Broadcasts {
    /// Takes a rumour up.
    pub(super) fn push(&mut self, topic: Topic, bytes: Vec<u8>) {
        self.told = self.told.wrapping_add(1);
        let rank = (0, Reverse(bytes.len()), Reverse(self.told));
        self.put(topic, Rumour { rank, bytes });
    }

    fn put(&mut self, topic: Topic, rumour: Rumour) {
        self.remove(&topic);
        self.order.insert((rumour.rank, topic.clone()));
        self.rumours.insert(topic, rumour);
    }

    fn remove(&mut self, topic: &Topic) -> Option<Rumour> {
        let rumour = self.rumours.remove(topic)?;
        self.order.remove(&(rumour.rank, topic.clone()));
        Some(rumour)
    }

    /// Whether it is still to be told.
    pub(super) fn has(&self, topic: &Topic) -> bool {
        self.rumours.contains_key(topic)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rumours.len()
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.rumours.is_empty()
    }

    /// Rumours for one packet with `room` bytes left; each is told once more, and forgotten
    /// when that was `limit` times. What is said of members goes before claims, however many.
    pub(super) fn take(&mut self, mut room: usize, limit: u32) -> Vec<Vec<u8>> {
        let mut chosen = Vec::new();
        let of_members = |(_, topic): &&(Rank, Topic)| !matches!(topic, Topic::Claims(_));
        let (members, claims): (Vec<_>, Vec<_>) = self.order.iter().partition(of_members);
        for (rank, topic) in members.into_iter().chain(claims) {
            let (_, Reverse(length), _) = *rank;
            if room <= OVERHEAD {
                break;
            }
            if length + OVERHEAD <= room {
                room -= length + OVERHEAD;
                chosen.push(topic.clone());
            }
        }
        let mut out = Vec::new();
        for topic in chosen {
            let Some(mut rumour) = self.remove(&topic) else {
                continue;
            };
            out.push(rumour.bytes.clone());
            rumour.rank.0 += 1;
            if rumour.rank.0 < limit {
                self.put(topic, rumour);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
