//! From the newest table to the peers the machine is to have.

use super::awaited::Door;
use super::convert::{Identifier, Plan, Session, Table};
use super::{Beside, Driver, local};
use corten_host::tcp::{Options, established, source_of};
use corten_wire::bgp as wire;
use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between looks for the way to a peer to which there is none.
const LOOK: Duration = Duration::from_secs(1);
/// What is said of a node with the exclude label.
pub(super) const LEAVES: &str = "this node leaves load balancing";
/// Where BGP is listened for.
const PORT: u16 = 179;

impl Driver {
    /// Applies a table that came before the links were known.
    pub(super) fn apply_first(&mut self) {
        if self.targets.is_empty() && self.waiting.is_empty() {
            self.apply();
        }
    }

    /// Brings the machine in line with the newest table, once the links are known.
    pub(super) fn apply(&mut self) {
        let (Some(table), Some(_), None) = (self.table.clone(), &self.links, self.leaving) else {
            return;
        };
        let now = Instant::now();
        if table.leaving {
            self.retire(&table, now);
            return;
        }
        let awaited = self.awaited_peers(&table);
        self.awaited.watch(&awaited);
        let (mut wanted, mut targets) = (BTreeMap::new(), BTreeMap::new());
        (self.look, self.waiting) = (None, BTreeMap::new());
        for (name, peer) in &table.peers {
            let plan = match &peer.plan {
                Plan::Speak(session) => {
                    let found = self.target(session).and_then(|target| {
                        if let Some(door) = Door::of(session) {
                            self.awaited.is_open(&door)?;
                        }
                        let options = self.options(name, session, &target)?;
                        Ok((options, target))
                    });
                    self.look = self.look.or(found.is_err().then_some(now + LOOK));
                    found
                }
                Plan::Wait(why) => Err(why.clone()),
            };
            let name = Arc::clone(name);
            match plan {
                Ok((options, target)) => {
                    wanted.insert(Arc::clone(&name), options);
                    targets.insert(name, target);
                }
                Err(why) => {
                    self.waiting.insert(name, why);
                }
            }
        }
        let moved = self.moved(&wanted, &targets);
        self.targets = targets;
        self.said.retain(|name, _| wanted.contains_key(name));
        self.machine.handle_peers(&wanted, now);
        if std::mem::take(&mut self.retired) {
            self.machine.handle_start(now);
        }
        for name in moved {
            if let Some(peer) = self.machine.peer_mut(&name) {
                peer.handle_reset("the settings of the connection changed", now);
            }
        }
        let routes = table.peers.iter();
        let routes = routes.map(|(name, peer)| (Arc::clone(name), Arc::clone(&peer.routes)));
        self.machine.handle_tables(&routes.collect(), now);
    }

    /// The node leaves load balancing: peers are told first, then their routes go, then the
    /// sessions end (RFC 8326 §4), also where graceful restart would keep the routes.
    // DEVIATION: MetalLB withdraws the routes at once and keeps the sessions.
    fn retire(&mut self, table: &Table, now: Instant) {
        self.retired = true;
        (self.look, self.waiting) = (None, BTreeMap::new());
        let peers = self.machine.peers();
        let stay = peers.filter(|(name, _)| table.peers.contains_key(*name));
        let stay = stay.map(|(name, peer)| (Arc::clone(name), peer.options().clone()));
        self.machine.handle_peers(&stay.collect(), now);
        for (name, peer) in &table.peers {
            let Plan::Speak(session) = &peer.plan else {
                continue;
            };
            match self.machine.peer_mut(name) {
                Some(peer) => peer.handle_leave(LEAVES, session.farewell, now),
                None => drop(self.waiting.insert(Arc::clone(name), LEAVES.to_owned())),
            }
        }
    }

    /// What the machine is to know of a session.
    fn options(
        &self,
        name: &Arc<str>,
        session: &Session,
        target: &Options,
    ) -> Result<wire::PeerOptions, String> {
        self.given_up(name, target.remote)?;
        let identifier = match session.identifier {
            Identifier::Is(identifier) => identifier,
            Identifier::Local { fallback } => {
                // Once found it stays, whatever becomes of the way to the peer.
                let known = self.targets.get(name) == Some(target);
                let peer = self
                    .machine
                    .peers()
                    .find(|(other, _)| known && *other == name);
                match peer {
                    Some((_, peer)) => peer.options().identifier,
                    None => {
                        let links = self.links.as_deref().unwrap_or_default();
                        let local = source_of(target).map_err(|e| e.to_string())?;
                        local::identifier(links, local, fallback)
                    }
                }
            }
        };
        Ok(wire::PeerOptions {
            identifier,
            ..session.options.clone()
        })
    }

    /// Who is waited for where.
    fn awaited_peers(&self, table: &Table) -> BTreeMap<Door, Vec<Options>> {
        let mut doors: BTreeMap<Door, Vec<Options>> = BTreeMap::new();
        for peer in table.peers.values() {
            if let Plan::Speak(session) = &peer.plan
                && let Some(door) = Door::of(session)
            {
                doors.entry(door).or_default().extend(self.target(session));
            }
        }
        doors
    }

    /// Where a peer is waited for, if it is.
    pub(super) fn door(&self, name: &Arc<str>) -> Option<Door> {
        match &self.table.as_ref()?.peers.get(name)?.plan {
            Plan::Speak(session) => Door::of(session),
            Plan::Wait(_) => None,
        }
    }

    /// How a connection is made, and where to.
    fn target(&self, session: &Session) -> Result<Options, String> {
        let target = session.target.clone();
        let Some(interface) = &session.interface else {
            return Ok(target);
        };
        let (address, index) = self.unnumbered.router(interface)?;
        let remote = SocketAddrV6::new(address, target.remote.port(), 0, index);
        Ok(Options {
            remote: remote.into(),
            ..target
        })
    }

    /// Whether nobody else of this host is connected to a peer that isn't spoken to yet.
    fn given_up(&self, name: &Arc<str>, remote: SocketAddr) -> Result<(), String> {
        let ours = self.targets.contains_key(name);
        if self.beside == Beside::Nobody || ours {
            return Ok(());
        }
        let connections = established().map_err(|error| error.to_string())?;
        let theirs = connections.iter().any(|(near, far)| {
            let to = far.port() == remote.port() || near.port() == PORT;
            far.ip() == remote.ip() && to
        });
        match theirs {
            true => Err("FRR's session with the peer isn't closed yet".to_owned()),
            false => Ok(()),
        }
    }

    /// Peers whose connection has to be made anew, and that the machine sees no change of.
    fn moved(
        &self,
        wanted: &BTreeMap<Arc<str>, wire::PeerOptions>,
        targets: &BTreeMap<Arc<str>, Options>,
    ) -> Vec<Arc<str>> {
        let same = |name: &Arc<str>, peer: &wire::Peer| wanted.get(name) == Some(peer.options());
        let peers = self.machine.peers().filter(|(name, peer)| same(name, peer));
        let moved = peers.filter(|(name, _)| targets.get(*name) != self.targets.get(*name));
        moved.map(|(name, _)| Arc::clone(name)).collect()
    }
}
