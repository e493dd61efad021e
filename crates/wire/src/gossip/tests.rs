//! Many members on a virtual clock: every node is a [`Gossip`], packets and streams take a
//! millisecond, may be lost, and go only where the partition of the moment lets them.

mod anything;
mod keys;
mod membership;
mod reminders;
mod trouble;

use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// Where the virtual clocks start.
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to start from"
)]
pub(super) fn zero() -> Instant {
    Instant::now()
}

const LATENCY: Duration = Duration::from_millis(1);

pub(super) fn address(i: usize) -> SocketAddr {
    format!("10.0.{}.{}:7946", i / 250, i % 250 + 1)
        .parse()
        .unwrap()
}

pub(super) fn name(i: usize) -> String {
    format!("node-{i}")
}

fn plain() -> Envelope {
    envelope::tests::envelope("", false, true)
}

pub(super) fn options(i: usize) -> GossipOptions {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(i as u64 + 1).to_be_bytes());
    GossipOptions {
        name: name(i),
        address: address(i),
        meta: Vec::new(),
        envelope: plain(),
        parameters: Parameters::LAN,
        claiming: Claiming::Off,
        seed,
    }
}

enum Delivery {
    Packet(SocketAddr, Vec<u8>),
    Accept(End),
    Data(End, Vec<u8>),
    Closed(End),
}

/// One end of a stream: whose, and its name there.
type End = (SocketAddr, StreamId);

pub(super) struct Node {
    gossip: Gossip,
    events: Vec<(Duration, Event)>,
}

pub(super) struct World {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) nodes: BTreeMap<SocketAddr, Node>,
    deliveries: BTreeMap<(Instant, u64), (SocketAddr, Delivery)>,
    sent: u64,
    /// Other ends of streams, by end.
    streams: BTreeMap<End, End>,
    /// Pairs that don't hear each other: from, to.
    pub(super) cut: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Pairs between which packets are lost, though streams work.
    pub(super) deaf: BTreeSet<(SocketAddr, SocketAddr)>,
    /// One packet of so many is lost.
    pub(super) loss: Option<u64>,
    /// When each node has to be called next.
    timers: BTreeSet<(Instant, SocketAddr)>,
    set: BTreeMap<SocketAddr, Instant>,
    /// Nodes that don't do anything, and what waits for them.
    paused: BTreeMap<SocketAddr, Vec<Delivery>>,
    largest: usize,
    trace: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl World {
    pub(super) fn new() -> Self {
        let now = zero();
        Self {
            start: now,
            now,
            nodes: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            sent: 0,
            streams: BTreeMap::new(),
            cut: BTreeSet::new(),
            deaf: BTreeSet::new(),
            loss: None,
            timers: BTreeSet::new(),
            set: BTreeMap::new(),
            paused: BTreeMap::new(),
            largest: 0,
            trace: Vec::new(),
        }
    }

    /// So many nodes, all joined to the first.
    pub(super) fn of(count: usize, options: impl Fn(usize) -> GossipOptions) -> Self {
        let mut world = Self::new();
        for i in 0..count {
            world.start(options(i));
            if i > 0 {
                world.join(i, 0);
            }
        }
        world.run(Duration::from_secs(5));
        for i in 0..count {
            assert_eq!(world.present(i), (0..count).map(name).collect(), "{i}");
        }
        world
    }

    pub(super) fn start(&mut self, options: GossipOptions) {
        let at = options.address;
        let node = Node {
            gossip: Gossip::new(options, self.now),
            events: Vec::new(),
        };
        self.nodes.insert(at, node);
        self.drain(at);
    }

    /// SIGKILL: connections break, the host answers for the closed port.
    pub(super) fn kill(&mut self, i: usize) {
        self.nodes.remove(&address(i)).unwrap();
        // A later life counts its streams from the start.
        self.streams.retain(|end, _| end.0 != address(i));
        self.set_timer(address(i));
    }

    /// SIGSTOP: what comes waits.
    pub(super) fn pause(&mut self, i: usize) {
        self.paused.insert(address(i), Vec::new());
        self.set_timer(address(i));
    }

    /// SIGCONT.
    pub(super) fn resume(&mut self, i: usize) {
        let waiting = self.paused.remove(&address(i)).unwrap();
        // Its own timers are due first.
        let now = self.now;
        self.gossip(i).handle_timeout(now);
        self.drain(address(i));
        for delivery in waiting {
            self.deliver(address(i), delivery);
        }
    }

    pub(super) fn join(&mut self, i: usize, to: usize) {
        let now = self.now;
        self.gossip(i).join(address(to), now);
        self.drain(address(i));
    }

    pub(super) fn gossip(&mut self, i: usize) -> &mut Gossip {
        &mut self.nodes.get_mut(&address(i)).unwrap().gossip
    }

    pub(super) fn present(&mut self, i: usize) -> BTreeSet<String> {
        let members = self.gossip(i).members();
        members
            .filter(|m| m.state.is_present())
            .map(|m| m.alive.node.clone())
            .collect()
    }

    pub(super) fn state(&mut self, i: usize, of: usize) -> Option<MemberState> {
        let name = name(of);
        let mut members = self.gossip(i).members();
        members.find(|m| m.alive.node == name).map(|m| m.state)
    }

    /// What happened at a node, as states of others.
    fn heard(&self, i: usize) -> Vec<(String, MemberState)> {
        let events = &self.nodes[&address(i)].events;
        let mut states = Vec::new();
        for (_, event) in events {
            if let Event::Member { node, state, .. } = event {
                states.push((node.clone(), *state));
            }
        }
        states
    }

    pub(super) fn happened(&self, i: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Duration> {
        let events = &self.nodes[&address(i)].events;
        let wanted = events.iter().filter(|(_, e)| wanted(e));
        wanted.map(|(at, _)| *at).collect()
    }

    pub(super) fn forget_events(&mut self) {
        for node in self.nodes.values_mut() {
            node.events.clear();
        }
    }

    pub(super) fn cut_between(&mut self, a: impl Iterator<Item = usize>, b: &[usize]) {
        for a in a {
            for b in b {
                self.cut.insert((address(a), address(*b)));
                self.cut.insert((address(*b), address(a)));
            }
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.timers.first().copied();
            let delivery = self.deliveries.keys().next().copied();
            let next = [timer.map(|t| t.0), delivery.map(|d| d.0)];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            match delivery.filter(|d| d.0 <= next) {
                Some(key) => {
                    let (to, delivery) = self.deliveries.remove(&key).unwrap();
                    self.deliver(to, delivery);
                }
                None => {
                    let at = timer.unwrap().1;
                    let now = self.now;
                    self.nodes.get_mut(&at).unwrap().gossip.handle_timeout(now);
                    self.drain(at);
                }
            }
        }
        self.now = end;
    }

    fn post(&mut self, to: SocketAddr, delivery: Delivery) {
        self.sent += 1;
        let key = (self.now + LATENCY, self.sent);
        self.deliveries.insert(key, (to, delivery));
    }

    fn deliver(&mut self, to: SocketAddr, delivery: Delivery) {
        let now = self.now;
        if let Some(waiting) = self.paused.get_mut(&to) {
            return waiting.push(delivery);
        }
        let Some(node) = self.nodes.get_mut(&to) else {
            if let Delivery::Accept(end) = delivery {
                self.post(end.0, Delivery::Closed(end));
            }
            return;
        };
        match delivery {
            Delivery::Packet(from, bytes) => node.gossip.handle_packet(from, &bytes, now),
            Delivery::Accept(end) => match node.gossip.handle_accept(end.0, now) {
                Some(stream) => {
                    self.streams.insert((to, stream), end);
                    self.streams.insert(end, (to, stream));
                }
                None => self.post(end.0, Delivery::Closed(end)),
            },
            Delivery::Data(from, bytes) => {
                if let Some(&(_, stream)) = self.streams.get(&from) {
                    node.gossip.handle_stream(stream, &bytes, now);
                }
            }
            Delivery::Closed((_, stream)) => node.gossip.handle_closed(stream),
        }
        self.drain(to);
    }

    /// Takes note of when a node has to be called next.
    fn set_timer(&mut self, at: SocketAddr) {
        if let Some(before) = self.set.remove(&at) {
            self.timers.remove(&(before, at));
        }
        let running = self
            .nodes
            .get(&at)
            .filter(|_| !self.paused.contains_key(&at));
        let next = running.and_then(|n| n.gossip.poll_timeout());
        if let Some(next) = next {
            self.timers.insert((next, at));
            self.set.insert(at, next);
        }
    }

    pub(super) fn drain(&mut self, at: SocketAddr) {
        while let Some(output) = self.nodes.get_mut(&at).unwrap().gossip.poll_output() {
            match output {
                Output::Packet { to, bytes } => self.packet(at, to, bytes),
                Output::Open { stream, to } => {
                    if !self.cut.contains(&(at, to)) && !self.cut.contains(&(to, at)) {
                        self.post(to, Delivery::Accept((at, stream)));
                    }
                }
                Output::Write { stream, bytes } => {
                    // Where to is known once it is open; so much later than it was opened.
                    let to = self.other_end(at, stream);
                    if let Some(to) = to {
                        self.post(to, Delivery::Data((at, stream), bytes));
                    }
                }
                Output::Close { stream } => {
                    if let Some(other) = self.streams.get(&(at, stream)).copied() {
                        self.post(other.0, Delivery::Closed(other));
                    }
                }
                Output::Event(event) => {
                    let since = self.now - self.start;
                    self.nodes.get_mut(&at).unwrap().events.push((since, event));
                }
            }
        }
        self.set_timer(at);
    }

    /// The host at the other end, also while the stream is being opened.
    fn other_end(&self, at: SocketAddr, stream: StreamId) -> Option<SocketAddr> {
        if let Some(end) = self.streams.get(&(at, stream)) {
            return Some(end.0);
        }
        let opening = |d: &Delivery| matches!(d, Delivery::Accept(end) if *end == (at, stream));
        let mut deliveries = self.deliveries.values();
        deliveries.find(|(_, d)| opening(d)).map(|(to, _)| *to)
    }

    fn packet(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.largest = self.largest.max(bytes.len());
        self.trace.push((from, to, bytes.clone()));
        let lost = self.loss.is_some_and(|one| {
            (self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).is_multiple_of(one)
        });
        if lost {
            // Something has to change for the next one to be luckier.
            self.sent += 1;
        } else if !self.cut.contains(&(from, to)) && !self.deaf.contains(&(from, to)) {
            self.post(to, Delivery::Packet(from, bytes));
        }
    }
}

pub(super) fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}
