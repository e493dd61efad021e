//! The world: hosts, what travels between them, what goes wrong, and time.

use super::clock::Clock;
use super::judge::{self, API, CALM, Circumstances, HEAL, Judge, Measured, Violation};
use super::lan::{Cut, Lan};
use super::plan::{Medium, Plan, Policy, What};
use super::process::{Effect, Process, mac};
use super::site;
use corten_engine::election::{Candidate, rank};
use corten_engine::facts::Facts;
use corten_engine::names::NodeName;
use corten_wire::gossip::StreamId;
use corten_wire::l2::arp::{Operation, Packet};
use corten_wire::l2::ethernet::HEADER_LEN;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What waits for a stopped process at most.
const WAITING_MAX: usize = 4096;

/// One end of a stream: host, its process, its name there.
type End = (usize, u64, StreamId);

/// Something that happens.
#[derive(Clone)]
enum Event {
    Start(usize),
    Begin(usize),
    Finish(usize),
    Timer(usize, u64),
    Packet {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Frame {
        to: usize,
        frame: Rc<[u8]>,
    },
    Accept {
        to: usize,
        end: End,
    },
    Data {
        to: usize,
        end: End,
        bytes: Vec<u8>,
    },
    Closed {
        to: End,
    },
    Decide(usize, u64),
    Obey(usize, u64),
    Learn(usize, usize),
    Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Stopped,
    Asleep,
    Off,
}

struct Host {
    clock: Clock,
    state: State,
    process: Option<Process>,
    lives: u64,
    since: Duration,
    /// Which version of the facts it knows.
    version: usize,
    /// What waits while it is stopped.
    waiting: Vec<Event>,
    /// Which timer is the valid one.
    timer: u64,
    /// What it answered when its machine was in this state.
    told: (u64, bool),
}

pub(super) struct World {
    pub(super) plan: Plan,
    rng: StdRng,
    pub(super) time: Duration,
    hosts: Vec<Host>,
    lan: Lan,
    queue: BTreeMap<(Duration, u64), Event>,
    count: u64,
    streams: BTreeMap<End, End>,
    /// Where streams lead that nobody accepted yet.
    opening: BTreeMap<End, usize>,
    /// Nothing overtakes on a stream.
    last: BTreeMap<End, Duration>,
    excluded: BTreeSet<usize>,
    facts: Vec<Rc<Facts>>,
    pub(super) judge: Judge,
    trouble: Duration,
    accident: Duration,
    /// When cuts ended.
    healed: Vec<(Medium, Duration)>,
    before: BTreeMap<IpAddr, BTreeSet<usize>>,
}

/// Runs a plan to its end.
///
/// # Errors
/// The first invariant that is broken.
pub fn run(plan: &Plan) -> Result<Measured, Violation> {
    let mut world = World::new(plan);
    let cut = |f: &super::Fault| matches!(f.what, What::Cut { .. });
    let rest = if plan.faults.iter().any(cut) {
        HEAL
    } else {
        CALM
    };
    world.run_to(plan.calm_after() + rest + Duration::from_secs(10))?;
    world.at_quiet()?;
    Ok(world.judge.measured)
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rng = StdRng::seed_from_u64(plan.seed ^ 0x5eed);
        let start = Instant::now();
        let skew = f64::from(plan.skew) / 1000.0;
        let hosts = (0..plan.nodes).map(|_| Host {
            clock: Clock::new(start, 1.0 + skew * (rng.random::<f64>() - 0.5)),
            state: State::Up,
            process: None,
            lives: 0,
            since: Duration::ZERO,
            version: 0,
            waiting: Vec::new(),
            timer: 0,
            told: (0, false),
        });
        let hosts = hosts.collect();
        let addresses = (0..plan.addresses).map(site::virtual_ip);
        let mut world = Self {
            plan: plan.clone(),
            time: Duration::ZERO,
            hosts,
            lan: Lan::new(plan),
            queue: BTreeMap::new(),
            count: 0,
            streams: BTreeMap::new(),
            opening: BTreeMap::new(),
            last: BTreeMap::new(),
            excluded: BTreeSet::new(),
            facts: vec![Rc::new(site::facts(plan, &BTreeSet::new()))],
            judge: Judge::new(plan.nodes, addresses),
            trouble: Duration::ZERO,
            accident: Duration::ZERO,
            healed: Vec::new(),
            before: BTreeMap::new(),
            rng,
        };
        for i in 0..plan.nodes {
            let at = world.random(2_000);
            world.post(at, Event::Start(i));
        }
        for (k, fault) in plan.faults.iter().enumerate() {
            world.post(fault.at, Event::Begin(k));
            world.post(fault.end(), Event::Finish(k));
        }
        world.post(Duration::ZERO, Event::Look);
        world
    }

    fn random(&mut self, ms: u64) -> Duration {
        Duration::from_micros(self.rng.random_range(0..ms * 1000))
    }

    fn post(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((at, self.count), event);
    }

    pub(super) fn run_to(&mut self, end: Duration) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.time = at;
            if self.happen(event) {
                self.look()?;
            }
        }
        self.time = end;
        Ok(())
    }

    fn look(&mut self) -> Result<(), Violation> {
        let kind = |medium| match medium {
            Medium::Gossip => judge::Cut::Gossip,
            Medium::Both => judge::Cut::Both,
        };
        let healing = self.healed.iter().filter(|(_, at)| self.time < *at + HEAL);
        let healing = healing.map(|(medium, _)| kind(*medium));
        let cut = self.lan.cuts.iter().map(|cut| kind(cut.medium));
        let cut = cut.chain(healing).max().unwrap_or(judge::Cut::No);
        let able = |h: &(usize, &Host)| {
            h.1.state == State::Up && h.1.process.is_some() && !self.excluded.contains(&h.0)
        };
        let hosts = self.hosts.iter().enumerate();
        let able = hosts.filter(able).map(|(_, h)| h.since).min();
        let lan = &self.lan;
        let together = |a: usize, b: usize| lan.passes(a, b, false) && lan.passes(b, a, false);
        self.judge.look(&Circumstances {
            time: self.time,
            api: if self.facts.len() > 1 {
                API
            } else {
                Duration::ZERO
            },
            together: &together,
            cut,
            trouble: self.trouble,
            accident: self.accident,
            able,
        })
    }

    /// Whether it may change who answers for what.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Look => {
                let at = self.time + Duration::from_millis(100);
                self.post(at, Event::Look);
                true
            }
            Event::Start(i) => {
                self.start(i);
                true
            }
            Event::Begin(k) => {
                self.fault(k, true);
                true
            }
            Event::Finish(k) => {
                self.fault(k, false);
                true
            }
            Event::Timer(i, timer) => {
                if self.hosts.get(i).is_some_and(|h| h.timer == timer) {
                    self.wake(i)
                } else {
                    false
                }
            }
            Event::Packet { to, .. }
            | Event::Frame { to, .. }
            | Event::Accept { to, .. }
            | Event::Data { to, .. }
            | Event::Decide(to, _)
            | Event::Obey(to, _)
            | Event::Learn(to, _)
            | Event::Closed { to: (to, ..) } => self.arrive(to, event),
        }
    }

    fn arrive(&mut self, i: usize, event: Event) -> bool {
        let Some(host) = self.hosts.get_mut(i) else {
            return false;
        };
        match host.state {
            State::Up => self.handle(i, event),
            State::Off => false,
            State::Stopped | State::Asleep => {
                // A card without power hears nothing; what is inside the process waits.
                let inside = matches!(
                    event,
                    Event::Decide(..) | Event::Obey(..) | Event::Learn(..)
                );
                let hears = host.state == State::Stopped;
                if (inside || hears) && host.waiting.len() < WAITING_MAX {
                    host.waiting.push(event.clone());
                }
                if let Event::Frame { frame, .. } = event
                    && hears
                {
                    self.kernel(i, &frame);
                }
                false
            }
        }
    }

    /// A host that runs takes an event.
    fn handle(&mut self, i: usize, event: Event) -> bool {
        if let Event::Frame { frame, .. } = &event {
            self.kernel(i, &Rc::clone(frame));
        }
        let time = self.time;
        let Some(host) = self.hosts.get_mut(i) else {
            return false;
        };
        let now = host.clock.now(time);
        let Some(process) = &mut host.process else {
            if let Event::Accept { end, .. } = event {
                // Nobody listens: refused.
                let at = self.time + self.lan.way(&mut self.rng);
                self.post(at, Event::Closed { to: end });
            }
            return false;
        };
        let mut out = Vec::new();
        let mut ended = false;
        match event {
            Event::Packet { from, bytes, .. } => {
                process
                    .gossip
                    .handle_packet(site::address(from), &bytes, now.instant);
                process.turn(now, &mut out);
            }
            Event::Frame { frame, .. } => process.frame(&frame, now, &mut out),
            Event::Accept { end, .. } => {
                match process
                    .gossip
                    .handle_accept(site::address(end.0), now.instant)
                {
                    Some(stream) => {
                        let here = (i, process.life, stream);
                        self.streams.insert(here, end);
                        self.streams.insert(end, here);
                    }
                    None => {
                        self.count += 1;
                        let at = (time + Duration::from_micros(100), self.count);
                        self.queue.insert(at, Event::Closed { to: end });
                    }
                }
                process.turn(now, &mut out);
            }
            Event::Data { end, bytes, .. } => {
                let stream = self.streams.get(&end).filter(|e| e.1 == process.life);
                if let Some((_, _, stream)) = stream {
                    process.gossip.handle_stream(*stream, &bytes, now.instant);
                }
                process.turn(now, &mut out);
            }
            Event::Closed { to } => {
                if to.1 == process.life {
                    process.gossip.handle_closed(to.2);
                    process.turn(now, &mut out);
                }
            }
            Event::Decide(_, life) if life == process.life => ended = process.decide(&mut out),
            Event::Obey(_, life) if life == process.life => process.obey(now, &mut out),
            Event::Learn(_, version) => {
                // A watch tells of things in their order.
                if let Some(facts) = self.facts.get(version).cloned()
                    && version > host.version
                {
                    host.version = version;
                    process.learn(facts, &mut out);
                }
            }
            Event::Start(_)
            | Event::Begin(_)
            | Event::Finish(_)
            | Event::Timer(..)
            | Event::Decide(..)
            | Event::Obey(..)
            | Event::Look => {}
        }
        self.carry_out(i, out);
        if ended {
            self.end(i);
        }
        self.follow(i)
    }

    /// The host itself answers for its own address.
    fn kernel(&mut self, i: usize, frame: &[u8]) {
        let body = frame.get(HEADER_LEN..).unwrap_or_default();
        let (Some([8, 6]), Ok(packet)) = (frame.get(12..14), Packet::parse(body)) else {
            return;
        };
        if packet.operation == Operation::Request && packet.target_ip == site::ip(i) {
            let answer = packet.reply(mac(i)).frame(packet.sender_mac);
            self.send(i, answer);
        }
    }

    /// Puts a frame on the LAN.
    fn send(&mut self, from: usize, frame: Vec<u8>) {
        let frame: Rc<[u8]> = frame.into();
        let broadcast = frame.first().is_some_and(|b| b & 1 == 1);
        for to in 0..self.hosts.len() {
            let meant = broadcast || frame.get(..6) == Some(&mac(to).0);
            if to == from || !meant || !self.lan.passes(from, to, false) {
                continue;
            }
            for wait in self.lan.arrivals(&mut self.rng) {
                let frame = Rc::clone(&frame);
                self.post(self.time + wait, Event::Frame { to, frame });
            }
        }
    }

    fn carry_out(&mut self, i: usize, effects: Vec<Effect>) {
        let life = self.hosts.get(i).map_or(0, |h| h.lives);
        for effect in effects {
            match effect {
                Effect::Packet { to, bytes } => {
                    let Some(to) = self.host_at(to) else { continue };
                    if !self.lan.passes(i, to, true) {
                        continue;
                    }
                    for wait in self.lan.arrivals(&mut self.rng) {
                        let bytes = bytes.clone();
                        self.post(self.time + wait, Event::Packet { from: i, to, bytes });
                    }
                }
                Effect::Frame(frame) => self.send(i, frame),
                Effect::Open { stream, to } => {
                    let Some(to) = self.host_at(to) else { continue };
                    let end = (i, life, stream);
                    self.opening.insert(end, to);
                    self.travel(end, to, Event::Accept { to, end });
                }
                Effect::Write { stream, bytes } => {
                    let end = (i, life, stream);
                    if let Some(to) = self.opening.get(&end).copied().or(self.other(end)) {
                        self.travel(end, to, Event::Data { to, end, bytes });
                    }
                }
                Effect::Close { stream } => {
                    let end = (i, life, stream);
                    self.opening.remove(&end);
                    if let Some(other) = self.streams.get(&end).copied() {
                        self.travel(end, other.0, Event::Closed { to: other });
                    }
                    self.last.remove(&end);
                }
                Effect::Decide => {
                    let at = self.time + self.random(3);
                    self.post(at, Event::Decide(i, life));
                }
                Effect::Obey => {
                    let at = self.time + self.random(3);
                    self.post(at, Event::Obey(i, life));
                }
            }
        }
    }

    fn other(&self, end: End) -> Option<usize> {
        self.streams.get(&end).map(|other| other.0)
    }

    fn host_at(&self, address: std::net::SocketAddr) -> Option<usize> {
        let IpAddr::V4(ip) = address.ip() else {
            return None;
        };
        let i = ip.to_bits().checked_sub(site::ip(0).to_bits())?;
        usize::try_from(i).ok().filter(|i| *i < self.hosts.len())
    }

    /// On a stream nothing overtakes, and nothing is lost while the way is open both ways.
    fn travel(&mut self, end: End, to: usize, event: Event) {
        let open = self.lan.passes(end.0, to, true) && self.lan.passes(to, end.0, true);
        if !open {
            return;
        }
        let at = self.time + self.lan.way(&mut self.rng);
        let last = self.last.entry(end).or_default();
        *last = at.max(*last + Duration::from_micros(1));
        let at = *last;
        self.post(at, event);
    }

    fn wake(&mut self, i: usize) -> bool {
        let time = self.time;
        let mut out = Vec::new();
        if let Some(host) = self.hosts.get_mut(i)
            && host.state == State::Up
            && let Some(process) = &mut host.process
        {
            process.turn(host.clock.now(time), &mut out);
        }
        self.carry_out(i, out);
        self.follow(i)
    }

    /// Sets the timer of a host, and takes note of what it answers for.
    fn follow(&mut self, i: usize) -> bool {
        let time = self.time;
        let Some(host) = self.hosts.get_mut(i) else {
            return false;
        };
        host.timer += 1;
        let running = host.process.as_ref().filter(|_| host.state == State::Up);
        let Some(process) = running else {
            host.told = (0, false);
            return self.judge.answers(i, BTreeSet::new());
        };
        let timer = host.timer;
        let at = host.clock.when(process.next(), time);
        let now = (
            process.l2.answering_generation() + 1,
            process.l2.is_silent(),
        );
        let changed = host.told != now;
        host.told = now;
        let answers = changed.then(|| process.answers());
        self.post(at, Event::Timer(i, timer));
        answers.is_some_and(|answers| self.judge.answers(i, answers))
    }

    fn start(&mut self, i: usize) {
        let seed = self.rng.random();
        let version = self.facts.len() - 1;
        let all = (0..self.plan.nodes).map(site::address);
        let found = match self.plan.found {
            None => all.collect(),
            Some(some) => {
                let mut some = (0..some).map(|_| self.rng.random_range(0..self.plan.nodes));
                some.by_ref().map(site::address).collect()
            }
        };
        let time = self.time;
        let (Some(facts), Some(host)) = (self.facts.get(version).cloned(), self.hosts.get_mut(i))
        else {
            return;
        };
        host.state = State::Up;
        host.since = time;
        host.lives += 1;
        host.version = version;
        let now = host.clock.now(time);
        let life = host.lives;
        host.process = Some(Process::start(&self.plan, i, life, seed, found, facts, now));
        self.wake(i);
    }

    /// The process is gone; its host closes what it had open.
    fn end(&mut self, i: usize) {
        let Some(host) = self.hosts.get_mut(i) else {
            return;
        };
        host.process = None;
        host.waiting.clear();
        let ends: Vec<(End, End)> = self.streams.iter().map(|(a, b)| (*a, *b)).collect();
        for (end, other) in ends.into_iter().filter(|(end, _)| end.0 == i) {
            self.streams.remove(&end);
            self.travel(end, other.0, Event::Closed { to: other });
        }
        self.follow(i);
    }

    fn fault(&mut self, k: usize, begins: bool) {
        let Some(fault) = self.plan.faults.get(k).cloned() else {
            return;
        };
        if self.before.is_empty() {
            self.before = self.judge.owners.clone();
        }
        self.trouble = self.time;
        if !matches!(fault.what, What::Leave(_) | What::Exclude(_)) {
            self.accident = self.time;
        }
        match fault.what {
            What::Crash(i) if begins => self.end(i),
            What::PowerOff(i) if begins => {
                self.set(i, State::Off);
                self.streams.retain(|end, _| end.0 != i);
                self.end(i);
            }
            What::Leave(i) if begins => {
                let time = self.time;
                let mut out = Vec::new();
                if let Some(host) = self.hosts.get_mut(i)
                    && let Some(process) = &mut host.process
                {
                    process.leave(host.clock.now(time), &mut out);
                }
                self.carry_out(i, out);
                self.follow(i);
            }
            What::Crash(i) | What::PowerOff(i) | What::Leave(i) => self.start(i),
            What::Stop(i) if begins => self.set(i, State::Stopped),
            What::Sleep(i) if begins => self.set(i, State::Asleep),
            What::Sleep(i) => {
                if let Some(host) = self.hosts.get_mut(i) {
                    host.clock.slept(fault.at, fault.at + fault.lasts);
                }
                self.resume(i);
            }
            What::Stop(i) => self.resume(i),
            What::Exclude(i) => {
                if begins {
                    self.excluded.insert(i);
                } else {
                    self.excluded.remove(&i);
                }
                self.tell_nodes();
            }
            What::Cut {
                side,
                medium,
                one_way,
            } => {
                let cut = Cut {
                    side,
                    medium,
                    one_way,
                };
                if begins {
                    self.lan.cuts.push(cut);
                } else {
                    let at = self.lan.cuts.iter().position(|c| *c == cut);
                    at.map(|at| self.lan.cuts.remove(at));
                    self.healed.push((medium, self.time));
                }
            }
            What::Lossy(more) if begins => self.lan.loss += more,
            What::Lossy(more) => self.lan.loss = self.lan.loss.saturating_sub(more),
        }
    }

    /// The API server tells each node of the labels when it gets to it.
    fn tell_nodes(&mut self) {
        let facts = site::facts(&self.plan, &self.excluded);
        let version = self.facts.len();
        self.facts.push(Rc::new(facts));
        for i in 0..self.plan.nodes {
            let wait = API.mul_f64(self.rng.random());
            self.post(self.time + wait, Event::Learn(i, version));
        }
    }

    fn set(&mut self, i: usize, state: State) {
        if let Some(host) = self.hosts.get_mut(i) {
            host.state = state;
        }
        self.follow(i);
    }

    fn resume(&mut self, i: usize) {
        let Some(host) = self.hosts.get_mut(i) else {
            return;
        };
        host.state = State::Up;
        host.since = self.time;
        let waiting = std::mem::take(&mut host.waiting);
        // Which of its sockets and timers a process looks at first is its business.
        if self.rng.random() {
            self.wake(i);
        }
        for event in waiting {
            self.handle(i, event);
        }
        self.wake(i);
    }

    /// What holds when nothing has gone wrong for long.
    fn at_quiet(&self) -> Result<(), Violation> {
        let names: BTreeSet<String> = (0..self.plan.nodes).map(site::name).collect();
        let wrong = |what| {
            let at = self.time;
            Err(Violation { at, what })
        };
        for (i, host) in self.hosts.iter().enumerate() {
            let Some(process) = &host.process else {
                return wrong(format!("node-{i} doesn't run"));
            };
            let Some(view) = process.seen.view() else {
                return wrong(format!("node-{i} relies on nothing yet"));
            };
            if *view.names != names {
                return wrong(format!(
                    "node-{i} takes these for members: {:?}",
                    view.names
                ));
            }
        }
        for (ip, owners) in &self.judge.owners {
            let owner = owners.first().copied();
            let Some(owner) = owner.filter(|_| owners.len() == 1) else {
                return wrong(format!("{ip} is answered by {owners:?} at the end"));
            };
            for (i, host) in self.hosts.iter().enumerate() {
                let table = host.process.as_ref().and_then(|p| p.speaker.l2_table());
                let holds = table.is_some_and(|t| t.entries.contains_key(ip));
                if holds != (i == owner) {
                    return wrong(format!("node-{i} thinks otherwise of {ip}, node-{owner}'s"));
                }
            }
            self.moved(*ip, owner)?;
        }
        Ok(())
    }

    /// Only what must move moves.
    fn moved(&self, ip: IpAddr, owner: usize) -> Result<(), Violation> {
        let Some(before) = self.before.get(&ip).filter(|o| o.len() == 1) else {
            return Ok(());
        };
        let wanted = match self.plan.policy {
            Policy::Metallb => BTreeSet::from([self.by_hash(ip)]),
            Policy::Sticky => before.clone(),
        };
        let cut = |what: &What| matches!(what, What::Cut { .. });
        let faults = || self.plan.faults.iter().map(|f| &f.what);
        let disturbed: BTreeSet<usize> = faults().flat_map(What::victims).collect();
        let excused = self.plan.policy == Policy::Sticky
            && (faults().any(cut) || !disturbed.is_disjoint(before));
        if excused || wanted.contains(&owner) {
            return Ok(());
        }
        let what = format!("{ip} went from {before:?} to {owner}, and needn't have");
        let at = self.time;
        Err(Violation { at, what })
    }

    fn by_hash(&self, ip: IpAddr) -> usize {
        let nodes: Vec<NodeName> = (0..self.plan.nodes)
            .map(|i| site::name(i).as_str().into())
            .collect();
        let candidates = nodes.iter().map(|node| Candidate {
            node,
            score: 0,
            claims: false,
        });
        let ranking = rank(ip, candidates);
        let first = ranking.first().map(|r| r.candidate.node);
        nodes.iter().position(|n| Some(n) == first).unwrap_or(0)
    }

    /// A host's process, if it runs.
    pub(super) fn process(&self, i: usize) -> Option<&Process> {
        self.hosts.get(i)?.process.as_ref()
    }

    /// The power of a host fails now.
    pub(super) fn power_off(&mut self, i: usize) {
        self.set(i, State::Off);
        self.streams.retain(|end, _| end.0 != i);
        self.end(i);
    }
}
