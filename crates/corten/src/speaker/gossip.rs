//! The membership driver: one short loop that owns the gossip sockets and feeds
//! [`wire::Gossip`].

mod port;
pub(crate) mod tuning;

use crate::report;
use crate::speaker::l2::Answered;
use crate::speaker::lease::SharedLease;
use crate::speaker::until;
use corten_host::gossip::{Endpoint, StreamEvent, Streams};
use corten_node::joining::Found;
use corten_node::standing::{Seen, Standing};
use corten_wire::gossip as wire;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Datagrams taken before anything else gets its turn.
const BURST: usize = 64;

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
    /// What this node answers for, and so claims.
    pub(crate) answered: watch::Receiver<Answered>,
    /// Questions.
    pub(crate) queries: mpsc::Receiver<oneshot::Sender<report::Gossip>>,
    /// Makes this node leave when the other end goes.
    pub(crate) leave: oneshot::Receiver<()>,
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
    let Some(endpoint) = port::bind(config.gossip.address, &mut ports).await? else {
        return std::future::pending().await;
    };
    let mut driver = Driver::new(config, endpoint, lease);
    let mut buffer = vec![0; Endpoint::DATAGRAM_MAX];
    loop {
        let deadline = driver.next();
        tokio::select! {
            _ = &mut ports.leave, if !driver.standing.is_leaving() => driver.leave(),
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
                driver.standing.found(found, Instant::now());
            }
            Ok(()) = ports.keys.changed() => {
                let keys = ports.keys.borrow_and_update().clone();
                driver.rotate(keys);
            }
            Ok(()) = ports.answered.changed() => {
                let answered = ports.answered.borrow_and_update().clone();
                driver.answered(&answered);
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
    standing: Standing,
    grace: Duration,
    lease: SharedLease,
    /// When it is renewed again at the latest.
    renew_at: Instant,
}

impl Driver {
    fn new(config: Config, endpoint: Endpoint, lease: SharedLease) -> Self {
        let now = Instant::now();
        Self {
            standing: Standing::new(config.gossip.address, lease.renew(), now),
            machine: wire::Gossip::new(config.gossip, now),
            endpoint,
            streams: Streams::default(),
            grace: config.grace,
            lease,
            renew_at: now,
        }
    }

    fn next(&self) -> Option<Instant> {
        let deadlines = [self.machine.poll_timeout(), self.standing.next()];
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

    fn answered(&mut self, said: &Answered) {
        let now = Instant::now();
        self.standing.answers(&said.addresses, now);
        let machine = &mut self.machine;
        self.standing.contested(&said.contested, machine, now);
    }

    fn leave(&mut self) {
        self.standing.leave(&mut self.machine, Instant::now());
    }

    /// This loop goes round. After a gap the members are asked what happened.
    fn renew(&mut self) {
        let now = Instant::now();
        let term = self.lease.renew();
        self.renew_at = now + self.lease.period();
        // What is known already is of before.
        self.flush();
        if self.standing.renewed(term, now) {
            tracing::warn!("this process was stopped or starved: asking what happened meanwhile");
        }
    }

    fn due(&mut self) {
        let now = Instant::now();
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        self.standing.due(&mut self.machine, now);
        self.flush();
    }

    /// Tells the facts side, if it is news.
    fn settle(&mut self, seen: &watch::Sender<Seen>) {
        let now = self.standing.see(&self.machine);
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
            wire::Event::Exchanged { with } => self.standing.exchanged(with),
            wire::Event::NotExchanged { with, why } => {
                if self.standing.not_exchanged(with) {
                    tracing::warn!(%with, %why, "can't join: trying again");
                }
            }
            wire::Event::Left => self.standing.left(),
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
        let suspicion = |node: &str| {
            let (by, until) = self.machine.suspicion(node)?;
            Some(report::Suspicion {
                by: by.iter().cloned().collect(),
                seconds_left: until.saturating_duration_since(now).as_secs_f64(),
            })
        };
        let members = self.machine.members().map(|m| report::Member {
            suspicion: suspicion(&m.alive.node),
            node: m.alive.node.clone(),
            address: m.address().to_string(),
            state: name(m.state).to_owned(),
            seconds: now.saturating_duration_since(m.since).as_secs(),
            incarnation: m.alive.incarnation,
        });
        let counters = self.machine.counters();
        let drops = self.machine.drops().iter();
        report::Gossip {
            waiting: None,
            members: members.collect(),
            ownership: match self.machine.fleet() {
                wire::Fleet::Stateless => "stateless",
                wire::Fleet::Claiming { sticky: false } => "metallb",
                wire::Fleet::Claiming { sticky: true } => "sticky",
            }
            .to_owned(),
            claimed: self.machine.claims().count(),
            health: self.machine.health(),
            probes: counters.probes,
            probes_failed: counters.probes_failed,
            suspicions: counters.suspicions,
            refuted: counters.refuted,
            exchanges: counters.exchanges,
            broadcasts: self.machine.untold(),
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
