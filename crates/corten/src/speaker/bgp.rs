//! The BGP driver: one short loop that owns the connections to peers and feeds
//! [`wire::Speaker`].
//!
//! The table comes whole and latest wins; what is seen of the sessions is asked for.

mod awaited;
mod connections;
pub(crate) mod convert;
mod local;
mod peers;
mod seen;
mod unnumbered;
mod watched;

use crate::report;
use crate::speaker::bfd::{Bfd, Way};
use crate::speaker::until;
use awaited::{Accepted, Awaited};
use connections::{Connections, Event, LINGER};
use convert::{Plan, Table};
use corten_host::netlink::{Link, LinkMonitor};
use corten_host::tcp::{Hops, Options};
use corten_wire::bgp as wire;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use unnumbered::Unnumbered;

/// How long leaving may take: as long as closing does, and a little for the tasks to end.
const LEAVE: Duration = LINGER.saturating_add(Duration::from_millis(100));

/// How the driver is reached.
pub(crate) struct Ports {
    /// The desired table; `None` until something was decided.
    pub(crate) table: watch::Receiver<Option<Arc<Table>>>,
    /// Questions about sessions.
    pub(crate) queries: mpsc::Receiver<Query>,
    /// Who else of this host may have sessions with the same peers.
    pub(crate) beside: Beside,
    /// Ends the driver when the other end goes, after it took leave of the peers.
    pub(crate) stop: oneshot::Receiver<()>,
}

/// Who else of this host may have sessions with peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nobody.
    Nobody,
    /// FRR, which was told to give up those with peers of the table: each is dialled only once
    /// FRR's connection to it is gone.
    Frr,
}

/// A question, and where its answer goes.
pub(crate) enum Query {
    /// Every peer.
    Peers(oneshot::Sender<Vec<report::BgpPeer>>),
    /// What became of the table.
    Standings(oneshot::Sender<Standings>),
    /// The last messages of every peer, in the order of time.
    Messages(oneshot::Sender<Vec<report::BgpMessage>>),
}

/// What became of every prefix, by peer with a session to be; why, where the peer isn't told.
pub(crate) type Standings = BTreeMap<String, BTreeMap<IpNet, (report::Standing, Option<String>)>>;

/// Runs until `ports.stop`, and up to a second longer, while peers are told.
///
/// # Errors
/// No netlink, or no BFD where it is asked for.
pub(crate) async fn drive(seed: u64, mut ports: Ports) -> anyhow::Result<()> {
    let mut monitor = LinkMonitor::new()?;
    let mut driver = Driver::new(seed, ports.beside);
    loop {
        let deadline = driver.next();
        tokio::select! {
            _ = &mut ports.stop, if driver.leaving.is_none() => driver.leave().await,
            event = driver.connections.next(), if !driver.connections.is_empty() => {
                if let Some((peer, id, event)) = event {
                    driver.event(&peer, id, event);
                }
            }
            news = watched::next(&mut driver.bfd) => {
                let (way, news) = news?;
                driver.watched(&way, &news);
            }
            accepted = driver.awaited.next() => driver.accept(accepted),
            () = driver.unnumbered.next() => {
                driver.apply();
                driver.watch()?;
            }
            () = until(deadline) => {}
            links = monitor.next() => {
                driver.links = Some(links?);
                driver.listen();
                // What waits for a way may have one now.
                driver.look = driver.look.map(|_| Instant::now());
                driver.apply_first();
                driver.watch()?;
            }
            Ok(()) = ports.table.changed() => {
                driver.table = ports.table.borrow_and_update().clone();
                driver.listen();
                driver.apply();
                driver.watch()?;
            }
            // Whoever asked may have gone; that's theirs.
            Some(query) = ports.queries.recv() => match query {
                Query::Peers(reply) => drop(reply.send(driver.report().await)),
                Query::Standings(reply) => drop(reply.send(driver.standings())),
                Query::Messages(reply) => drop(reply.send(driver.messages())),
            },
        }
        driver.due()?;
        if driver.has_left() {
            // Last, since there are routers (FRR) that end the session for it: they know already.
            if let Some(bfd) = driver.bfd {
                bfd.leave();
            }
            return Ok(());
        }
    }
}

struct Driver {
    machine: wire::Speaker,
    connections: Connections,
    /// `None` until the first look.
    links: Option<Vec<Link>>,
    table: Option<Arc<Table>>,
    /// How the connections to peers with a session are made.
    targets: BTreeMap<Arc<str>, Options>,
    /// Peers without a session, and why.
    waiting: BTreeMap<Arc<str>, String>,
    unnumbered: Unnumbered,
    awaited: Awaited,
    /// When to look again for ways to peers.
    look: Option<Instant>,
    /// What was said last of a peer's attempts.
    said: BTreeMap<Arc<str>, String>,
    seed: u64,
    beside: Beside,
    /// `None` until a peer asks for it.
    bfd: Option<Bfd>,
    /// The ways of peers that ask for BFD.
    ways: BTreeMap<Arc<str>, Way>,
    /// Whether peers were told that the node leaves load balancing.
    retired: bool,
    /// When leaving ends at the latest, once it began.
    leaving: Option<Instant>,
}

impl Driver {
    fn new(seed: u64, beside: Beside) -> Self {
        Self {
            machine: wire::Speaker::new(seed),
            connections: Connections::default(),
            links: None,
            table: None,
            targets: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unnumbered: Unnumbered::default(),
            awaited: Awaited::default(),
            look: None,
            said: BTreeMap::new(),
            seed,
            beside,
            bfd: None,
            ways: BTreeMap::new(),
            retired: false,
            leaving: None,
        }
    }

    fn next(&self) -> Option<Instant> {
        let deadlines = [self.machine.poll_timeout(), self.look, self.leaving];
        deadlines.into_iter().flatten().min()
    }

    fn has_left(&self) -> bool {
        let over = |at: Instant| at <= Instant::now() || self.connections.is_empty();
        self.leaving.is_some_and(over)
    }

    fn event(&mut self, name: &Arc<str>, id: wire::ConnectionId, event: Event) {
        let now = Instant::now();
        let links = self.links.as_deref().unwrap_or_default();
        // A peer that is gone has nothing left to be told.
        let Some(peer) = self.machine.peer_mut(name) else {
            return;
        };
        match event {
            Event::Connected { local, peer: far } => {
                peer.handle_connected(id, local::endpoints(links, local, far), now);
            }
            Event::Failed(why) => peer.handle_connect_failed(id, &why, now),
            Event::Data(bytes) => peer.handle_bytes(id, &bytes, now),
            Event::Sent(octets) => peer.handle_sent(id, octets, now),
            Event::Closed(why) => peer.handle_closed(id, &why, now),
        }
    }

    /// Listens for routers on the interfaces of peers without an address.
    fn listen(&mut self) {
        let (Some(table), Some(links)) = (&self.table, &self.links) else {
            return;
        };
        let plans = table.peers.values().map(|peer| &peer.plan);
        let names = plans.filter_map(|plan| match plan {
            Plan::Speak(session) => session.interface.as_deref(),
            Plan::Wait(_) => None,
        });
        let names: BTreeSet<_> = names.collect();
        self.unnumbered.watch(&names, links);
    }

    /// Takes a connection of a peer that is waited for; of anybody else it is closed.
    fn accept(&mut self, accepted: Accepted) {
        let links = self.links.as_deref().unwrap_or_default();
        let ours = self.targets.iter().find(|(name, target)| {
            let door = self.door(name);
            target.remote.ip() == accepted.from.ip() && door.as_ref() == Some(&accepted.door)
        });
        let Some((name, target)) = ours else {
            return;
        };
        let name = Arc::clone(name);
        let shaped = accepted
            .listener
            .shape(&accepted.stream, &self.within_reach(target));
        let local = accepted.stream.local_addr();
        let (Ok(()), Ok(local), Some(peer)) = (shaped, local, self.machine.peer_mut(&name)) else {
            return;
        };
        let ends = local::endpoints(links, local, accepted.from);
        if let Ok(id) = peer.handle_accepted(ends, Instant::now()) {
            self.connections.adopt(id, name, accepted.stream);
        }
    }

    /// Does what is due, and what the machine asks for.
    fn due(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let mut anew = self.look.is_some_and(|at| at <= now);
        if anew {
            self.apply();
        }
        self.machine.handle_timeout(now);
        while let Some((name, output)) = self.machine.poll_output() {
            match output {
                wire::Output::Connect { connection } => {
                    // Without a target the peer is gone already.
                    if let Some(target) = self.targets.get(&name) {
                        let target = self.within_reach(target);
                        self.connections.open(connection, name, target);
                    }
                }
                wire::Output::Send { connection, bytes } => {
                    self.connections.write(connection, bytes);
                }
                wire::Output::Close { connection } => self.connections.close(connection),
                wire::Output::Notice(notice) => {
                    // Its connection shows for certain which way it goes.
                    anew |= matches!(notice, wire::Notice::SessionUp(_));
                    self.say(&name, &notice);
                }
            }
        }
        if anew { self.watch() } else { Ok(()) }
    }

    /// A target as the next connection is to be made: TTL 1 is for peers on a network of this host.
    // DEVIATION: an eBGP peer further away without ebgpMultiHop gets no session in MetalLB's FRR modes; in its native mode it does.
    fn within_reach(&self, target: &Options) -> Options {
        let links = self.links.as_deref().unwrap_or_default();
        let far = !local::is_near(links, target.remote.ip());
        let hops = if target.hops == Hops::ONE && far {
            Hops::ANY
        } else {
            target.hops
        };
        Options {
            hops,
            ..target.clone()
        }
    }

    /// Takes leave of every peer: for good, or for a restart where the peer is to keep the routes.
    async fn leave(&mut self) {
        let now = Instant::now();
        self.leaving = Some(now + LEAVE);
        self.unwatch_restarting().await;
        let names: Vec<_> = self.targets.keys().cloned().collect();
        for name in names {
            if let Some(peer) = self.machine.peer_mut(&name) {
                let how = match peer.options().restart {
                    wire::Restart::Keep { .. } => wire::Stop::Restart,
                    wire::Restart::Helper | wire::Restart::Off => {
                        wire::Stop::Shutdown("the load balancer of this node stops".to_owned())
                    }
                };
                peer.handle_stop(&how, now);
            }
        }
    }
}
