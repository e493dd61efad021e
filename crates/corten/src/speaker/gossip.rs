//! The membership driver: one short loop that owns the gossip sockets and feeds
//! [`wire::Gossip`].

mod join;
pub(crate) mod tuning;

use crate::report;
use crate::speaker::l2::Orders;
use crate::speaker::lease::SharedLease;
use crate::speaker::until;
use corten_host::gossip::{Endpoint, StreamEvent, Streams};
use corten_wire::gossip as wire;
use corten_wire::l2::Table;
use join::Joiner;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Datagrams taken before anything else gets its turn.
const BURST: usize = 64;
/// How long leaving may take (`spec/metallb.md` §5.6).
const LEAVE: Duration = Duration::from_secs(1);

/// What the driver is told once.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) gossip: wire::GossipOptions,
    /// How long a new key is learned before it is used.
    pub(crate) grace: Duration,
}

/// How the driver is reached.
pub(crate) struct Ports {
    /// Where others may be.
    pub(crate) found: watch::Receiver<Found>,
    /// The keys; `None` without encryption.
    pub(crate) keys: watch::Receiver<Option<wire::Keyring>>,
    /// Who is a member.
    pub(crate) seen: watch::Sender<Seen>,
    /// What this node is to answer for, and so claims.
    pub(crate) orders: watch::Receiver<Orders>,
    /// Questions.
    pub(crate) queries: mpsc::Receiver<oneshot::Sender<report::Gossip>>,
    /// Makes this node leave when the other end goes.
    pub(crate) leave: oneshot::Receiver<()>,
}

/// What discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It hasn't looked yet.
    Nothing,
    /// So much is known, and some couldn't be asked.
    Some(BTreeSet<SocketAddr>),
    /// Everything that there is to find.
    All(BTreeSet<SocketAddr>),
}

/// What the facts side needs to know: latest wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Others may be there and weren't asked yet: nothing may rest on membership.
    Unsettled,
    /// The members.
    Members(View),
    /// This node has left; the members without it.
    Left(View),
}

/// Who claims which address, and in which epoch.
pub(crate) type Claims = BTreeMap<IpAddr, (u64, BTreeSet<String>)>;

/// The names of the members, and what they claim.
type Known = (BTreeSet<String>, Arc<Claims>);

/// What the members are, as far as gossip tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Their names.
    pub(crate) names: BTreeSet<String>,
    /// Who claims which address, and in which epoch.
    pub(crate) claims: Arc<Claims>,
    /// Whether claims may count.
    pub(crate) fleet: wire::Fleet,
    /// The term of the lease in which that was found.
    pub(crate) term: u64,
}

/// Runs until it is dropped; after leaving it only waits for that.
///
/// # Errors
/// If the address can't be bound.
pub(crate) async fn drive(
    config: Config,
    mut ports: Ports,
    lease: SharedLease,
) -> anyhow::Result<()> {
    let endpoint = Endpoint::bind(config.gossip.address)?;
    let mut driver = Driver::new(config, endpoint, lease);
    let mut buffer = vec![0; Endpoint::DATAGRAM_MAX];
    loop {
        let deadline = driver.next();
        tokio::select! {
            _ = &mut ports.leave, if driver.leaving.is_none() => driver.leave(),
            received = driver.endpoint.receive(&mut buffer) => {
                // An error is about a datagram sent earlier, such as a closed port.
                if let Ok((length, from)) = received {
                    driver.burst(&mut buffer, length, from);
                }
            }
            accepted = driver.endpoint.accept() => match accepted {
                Ok((stream, from)) => driver.accept(stream, from),
                // Out of descriptors or memory: not at once again.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            (stream, event) = driver.streams.next() => driver.stream(stream, &event),
            () = until(deadline) => {}
            Ok(()) = ports.found.changed() => {
                let found = ports.found.borrow_and_update().clone();
                driver.joiner.found(found, Instant::now());
            }
            Ok(()) = ports.keys.changed() => {
                let keys = ports.keys.borrow_and_update().clone();
                driver.rotate(keys);
            }
            Ok(()) = ports.orders.changed() => {
                let table = ports.orders.borrow_and_update().table.clone();
                driver.hold(table.as_deref());
            }
            Some(reply) = ports.queries.recv() => {
                // Whoever asked may have gone; that's theirs.
                let _gone = reply.send(driver.report());
            }
        }
        driver.renew();
        driver.due();
        driver.settle(&ports.seen);
    }
}

struct Driver {
    machine: wire::Gossip,
    endpoint: Endpoint,
    streams: Streams<wire::StreamId>,
    joiner: Joiner,
    grace: Duration,
    lease: SharedLease,
    /// When it is renewed again at the latest.
    renew_at: Instant,
    /// Its term, and the one in which membership was last to be relied on.
    term: u64,
    settled: u64,
    /// When leaving ends at the latest, once it began.
    leaving: Option<Instant>,
    left: bool,
    /// What the machine said when its generation was this.
    said: Option<(u64, Known)>,
}

impl Driver {
    fn new(config: Config, endpoint: Endpoint, lease: SharedLease) -> Self {
        let now = Instant::now();
        Self {
            joiner: Joiner::new(config.gossip.address, now),
            machine: wire::Gossip::new(config.gossip, now),
            endpoint,
            streams: Streams::default(),
            grace: config.grace,
            term: lease.renew(),
            settled: 0,
            lease,
            renew_at: now,
            leaving: None,
            left: false,
            said: None,
        }
    }

    fn next(&self) -> Option<Instant> {
        let leaving = self.leaving.filter(|_| !self.left);
        let deadlines = [self.machine.poll_timeout(), self.joiner.next(), leaving];
        deadlines.into_iter().flatten().chain([self.renew_at]).min()
    }

    /// Takes the datagram in `buffer` and those that came with it.
    fn burst(&mut self, buffer: &mut [u8], mut length: usize, mut from: SocketAddr) {
        for further in (0..BURST).rev() {
            let datagram = buffer.get(..length).unwrap_or_default();
            self.machine.handle_packet(from, datagram, Instant::now());
            self.flush();
            // A datagram that is taken has to be handled: none is when this was the last turn.
            let next = (further > 0).then(|| self.endpoint.try_receive(buffer));
            let Some(taken) = next.flatten() else { return };
            (length, from) = taken;
        }
    }

    fn accept(&mut self, stream: tokio::net::TcpStream, from: SocketAddr) {
        // Too many: dropping it closes it.
        if let Some(key) = self.machine.handle_accept(from, Instant::now()) {
            self.streams.accept(key, stream);
        }
    }

    fn stream(&mut self, stream: wire::StreamId, event: &StreamEvent) {
        match event {
            StreamEvent::Data(bytes) => self.machine.handle_stream(stream, bytes, Instant::now()),
            StreamEvent::Closed => self.machine.handle_closed(stream),
        }
    }

    fn rotate(&mut self, keys: Option<wire::Keyring>) {
        if let Some(keys) = keys {
            tracing::info!(grace = ?self.grace, "the gossip secret changed: learning the new one");
            self.machine.rotate(keys, self.grace, Instant::now());
        }
    }

    fn leave(&mut self) {
        let now = Instant::now();
        self.leaving = Some(now + LEAVE);
        self.machine.leave(now);
    }

    /// This loop goes round. After a gap the members are asked what happened.
    fn renew(&mut self) {
        let now = Instant::now();
        let term = self.lease.renew();
        self.renew_at = now + self.lease.period();
        if std::mem::replace(&mut self.term, term) != term {
            tracing::warn!("this process was stopped or starved: asking what happened meanwhile");
            // What is known already is of before.
            self.flush();
            self.joiner.again(now);
        }
    }

    fn due(&mut self) {
        let now = Instant::now();
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        if self.leaving.is_some_and(|at| at <= now) {
            self.left = true;
        }
        if self.leaving.is_none() {
            if self.joiner.asks_again(now) {
                self.machine.rejoin(now);
            }
            let present = self.machine.members().filter(|m| m.state.is_present());
            let present = present.map(wire::Member::address).collect();
            for address in self.joiner.due(&present, now) {
                self.machine.join(address, now);
            }
        }
        self.flush();
    }

    /// What this node is to answer for, it claims.
    fn hold(&mut self, table: Option<&Table>) {
        if let Some(table) = table {
            let held = table.entries.keys().copied().collect();
            self.machine.hold(held, Instant::now());
        }
    }

    /// The names of the members, and who claims what.
    fn known(&mut self) -> Known {
        let generation = self.machine.generation();
        if let Some((of, known)) = &self.said
            && *of == generation
        {
            return known.clone();
        }
        let present = self.machine.members().filter(|m| m.state.is_present());
        let names = present.map(|m| m.alive.node.clone()).collect();
        let claims = self.machine.claims().map(|(ip, epoch, nodes)| {
            let nodes = nodes.into_iter().map(ToOwned::to_owned).collect();
            (ip, (epoch, nodes))
        });
        let known = (names, Arc::new(claims.collect()));
        self.said = Some((generation, known.clone()));
        known
    }

    /// Tells the facts side, if it is news.
    fn settle(&mut self, seen: &watch::Sender<Seen>) {
        let (names, claims) = self.known();
        let exchanged = self.machine.counters().exchanges > 0;
        let settled = self.joiner.is_settled(exchanged, names.len() > 1);
        if settled && self.leaving.is_none() {
            self.settled = self.term;
        }
        let term = self.settled;
        let view = View {
            names,
            claims,
            fleet: self.machine.fleet(),
            term,
        };
        let now = if self.left {
            Seen::Left(view)
        } else if self.leaving.is_some() || settled {
            Seen::Members(view)
        } else {
            Seen::Unsettled
        };
        seen.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                *known = now;
            }
            changed
        });
    }

    /// Does what the machine asks for.
    fn flush(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                wire::Output::Packet { to, bytes } => {
                    // As good as lost on the way, which the protocol copes with.
                    let _sent = self.endpoint.send(&bytes, to);
                }
                wire::Output::Open { stream, to } => self.streams.open(stream, to),
                wire::Output::Write { stream, bytes } => self.streams.write(stream, bytes),
                wire::Output::Close { stream } => self.streams.close(stream),
                wire::Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: wire::Event) {
        match event {
            wire::Event::Exchanged { with } => self.joiner.exchanged(with),
            wire::Event::NotExchanged { with, why } => {
                if self.joiner.failed(with) {
                    tracing::warn!(%with, %why, "can't join: trying again");
                }
            }
            wire::Event::Left => self.left = true,
            wire::Event::Member { node, state, by } => say(&node, state, &by),
            wire::Event::Conflict { node, known, other } => {
                tracing::error!(node, %known, %other, "two hosts gossip under one name: the second is ignored");
            }
            // Messages of other applications on the same gossip are not for us.
            wire::Event::User { .. } | wire::Event::UserState { .. } => {}
        }
    }

    fn report(&self) -> report::Gossip {
        let now = Instant::now();
        let members = self.machine.members().map(|m| report::Member {
            node: m.alive.node.clone(),
            address: m.address().to_string(),
            state: name(m.state).to_owned(),
            seconds: now.saturating_duration_since(m.since).as_secs(),
            incarnation: m.alive.incarnation,
        });
        let counters = self.machine.counters();
        let drops = self.machine.drops().iter();
        report::Gossip {
            members: members.collect(),
            ownership: match self.machine.fleet() {
                wire::Fleet::Stateless => "stateless",
                wire::Fleet::Claiming { sticky: false } => "metallb",
                wire::Fleet::Claiming { sticky: true } => "sticky",
            }
            .to_owned(),
            claimed: self.machine.claims().count(),
            health: self.machine.health(),
            packets_sent: counters.packets_sent,
            bytes_sent: counters.bytes_sent,
            packets_received: counters.packets_received,
            bytes_received: counters.bytes_received,
            stream_only: counters.stream_only,
            accusations: counters.accusations,
            acquittals: counters.acquittals,
            dropped: drops.map(|(d, n)| (d.to_string(), *n)).collect(),
        }
    }
}

fn name(state: wire::MemberState) -> &'static str {
    match state {
        wire::MemberState::Alive => "alive",
        wire::MemberState::Suspect => "suspect",
        wire::MemberState::Dead => "dead",
        wire::MemberState::Left => "left",
    }
}

fn say(node: &str, state: wire::MemberState, by: &str) {
    match state {
        wire::MemberState::Alive => tracing::info!(node, "member is alive"),
        wire::MemberState::Suspect => tracing::info!(node, by, "member is suspected"),
        wire::MemberState::Dead => tracing::warn!(node, by, "member is dead"),
        wire::MemberState::Left => tracing::info!(node, "member has left"),
    }
}
