//! All peers of a node: whole configurations and whole tables in, outputs by peer out.
//!
//! The task that drives it waits for one event, hands it to [`Speaker`] or, if it concerns a
//! connection, to [`Speaker::peer_mut`], takes every [`Speaker::poll_output`] and sleeps until
//! [`Speaker::poll_timeout`].

use super::options::PeerOptions;
use super::peer::{Output, Peer, Stop};
use super::prefix::Prefix;
use super::routes::{self, Routes};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every peer of a node, by name.
#[derive(Clone, Debug)]
pub struct Speaker {
    peers: BTreeMap<Arc<str>, Peer>,
    seed: u64,
    /// Peers there ever were.
    born: u64,
    /// What peers that are gone still want done.
    last_words: VecDeque<(Arc<str>, Output)>,
}

impl Speaker {
    /// Without peers. The same seed gives the same jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            peers: BTreeMap::new(),
            seed,
            born: 0,
            last_words: VecDeque::new(),
        }
    }

    /// These are all the peers there shall be: new ones start, changed ones start again, those
    /// that aren't among them end with Cease/Peer De-configured, the others aren't touched.
    pub fn handle_peers(&mut self, wanted: &BTreeMap<Arc<str>, PeerOptions>, now: Instant) {
        let gone = |name: &&Arc<str>| !wanted.contains_key(*name);
        let gone: Vec<_> = self.peers.keys().filter(gone).cloned().collect();
        for name in gone {
            if let Some(mut peer) = self.peers.remove(&name) {
                peer.handle_stop(&Stop::Deconfigured, now);
                while let Some(output) = peer.poll_output() {
                    self.last_words.push_back((Arc::clone(&name), output));
                }
            }
        }
        for (name, options) in wanted {
            if let Some(peer) = self.peers.get_mut(name) {
                peer.handle_options(options.clone(), now);
                continue;
            }
            self.born += 1;
            let seed = self.seed.wrapping_add(self.born);
            let mut peer = Peer::numbered(options.clone(), seed, self.born << 32);
            peer.handle_start(now);
            self.peers.insert(Arc::clone(name), peer);
        }
    }

    /// These are the tables of all peers; one that isn't named shall have none. Peers that go
    /// from one table to another together share the work of comparing them.
    pub fn handle_tables(&mut self, tables: &BTreeMap<Arc<str>, Arc<Routes>>, now: Instant) {
        let empty = Arc::default();
        let mut compared: Vec<(Arc<Routes>, Arc<Routes>, Vec<Prefix>)> = Vec::new();
        for (name, peer) in &mut self.peers {
            let new = tables.get(name).unwrap_or(&empty);
            let Some(old) = peer.routes() else {
                peer.handle_routes(Arc::clone(new), now);
                continue;
            };
            let known = compared
                .iter()
                .position(|(a, b, _)| Arc::ptr_eq(a, old) && Arc::ptr_eq(b, new));
            let at = known.unwrap_or(compared.len());
            if known.is_none() {
                let changed = if Arc::ptr_eq(old, new) {
                    Vec::new()
                } else {
                    routes::changed(old, new)
                };
                compared.push((Arc::clone(old), Arc::clone(new), changed));
            }
            if let Some((_, _, changed)) = compared.get(at) {
                peer.change_routes(Arc::clone(new), Some(changed), now);
            }
        }
    }

    /// Every peer starts that stopped, and stays that was leaving.
    pub fn handle_start(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.handle_start(now);
        }
    }

    /// Every peer stops.
    pub fn handle_stop(&mut self, how: &Stop, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.handle_stop(how, now);
        }
    }

    /// Every peer is left without a loss ([`Peer::handle_leave`]).
    pub fn handle_leave(&mut self, text: &str, wait: Duration, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.handle_leave(text, wait, now);
        }
    }

    /// One peer, for what concerns its connections.
    pub fn peer_mut(&mut self, name: &str) -> Option<&mut Peer> {
        self.peers.get_mut(name)
    }

    /// Every peer, by name.
    pub fn peers(&self) -> impl Iterator<Item = (&Arc<str>, &Peer)> {
        self.peers.iter()
    }

    /// The deadline of [`Self::poll_timeout`] has come; calling early or late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            if peer.poll_timeout().is_some_and(|due| due <= now) {
                peer.handle_timeout(now);
            }
        }
    }

    /// The next thing to do, in order for each peer; `None` when there is nothing for now. A
    /// peer that is gone already may still have some.
    pub fn poll_output(&mut self) -> Option<(Arc<str>, Output)> {
        self.last_words.pop_front().or_else(|| {
            let mut peers = self.peers.iter_mut();
            peers.find_map(|(name, peer)| Some((Arc::clone(name), peer.poll_output()?)))
        })
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` means only after other input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::poll_timeout).min()
    }
}

#[cfg(test)]
mod tests;
