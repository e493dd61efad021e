//! The layer-2 driver: one short loop that owns the packet sockets and feeds [`wire::L2`].
//!
//! Answers never wait for anything but the kernel: facts reach this task as whole tables through a
//! latest-wins channel, and what it learns leaves the same way.

mod sockets;

use super::assigned::Assigned;
use super::convert;
use super::exclusions::Exclusions;
use super::lease::Right;
use crate::report;
use corten_engine::advertise::l2::Conflict;
use corten_engine::speaker::LinkState;
use corten_host::netlink::LinkMonitor;
use corten_node::orders::{self, Orders};
use corten_node::words;
use corten_wire::l2 as wire;
use sockets::Sockets;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

/// Frames taken from one socket before anything else gets its turn.
const BURST: usize = 64;

/// What the driver is told once.
pub(crate) struct Config {
    pub(crate) exclusions: Exclusions,
    pub(crate) gratuitous_rate: NonZeroU32,
    pub(crate) assign: bool,
    pub(crate) seed: u64,
}

/// What membership needs to know: latest wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// Addresses that are answered.
    pub(crate) addresses: Arc<BTreeSet<IpAddr>>,
    /// How often which other member was heard to answer for one of them.
    pub(crate) contested: Arc<BTreeMap<String, u64>>,
}

/// How the driver is reached.
pub(crate) struct Ports {
    /// What is to be done.
    pub(crate) orders: watch::Receiver<Orders>,
    /// What was observed.
    pub(crate) observed: watch::Sender<Observed>,
    /// What is answered.
    pub(crate) answered: watch::Sender<Answered>,
    /// What is asked of it.
    pub(crate) queries: mpsc::Receiver<Query>,
    /// Ends the driver when the other end goes.
    pub(crate) stop: oneshot::Receiver<()>,
}

/// What the facts side needs to know: latest wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// What can be spoken on which interface; `None` until the first look.
    pub(crate) links: Option<BTreeMap<String, LinkState>>,
    /// The same, for people.
    pub(crate) interfaces: Vec<report::Interface>,
    /// Strangers answering now.
    pub(crate) conflicts: BTreeSet<Conflict>,
}

/// What can be asked of the driver.
pub(crate) enum Query {
    /// Whether its loop turns.
    Alive(oneshot::Sender<()>),
    /// Its counters.
    Frames(oneshot::Sender<Snapshot>),
}

/// Counters, for whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// By address.
    pub(crate) frames: BTreeMap<IpAddr, report::Frames>,
    /// Addresses not answered because gossip doesn't reach a fellow, and who answers instead.
    pub(crate) deferred: BTreeMap<IpAddr, Option<String>>,
    /// Frames not answered, by reason.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Frames the kernel dropped because the receive buffer was full.
    pub(crate) kernel_drops: u64,
}

/// Runs until `ports.stop`.
///
/// # Errors
/// What makes answering impossible: no netlink, no right to open packet sockets.
pub(crate) async fn drive(config: Config, mut ports: Ports, right: Right) -> anyhow::Result<()> {
    let mut monitor = LinkMonitor::new()?;
    let mut driver = Driver::new(config, right)?;
    let mut renewal = tokio::time::interval(Assigned::RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = Sockets::buffer();
    loop {
        let deadline = driver.machine.poll_timeout();
        tokio::select! {
            _ = &mut ports.stop => {
                driver.assigned.close();
                return Ok(());
            }
            (index, frame) = driver.sockets.next(&mut buffer) => match frame {
                Ok(length) => driver.burst(index, &mut buffer, length),
                Err(error) => driver.sockets.failed(index, &error),
            },
            () = turn(deadline) => {}
            links = monitor.next() => driver.links(&links?)?,
            changed = ports.orders.changed() => {
                changed?;
                let orders = ports.orders.borrow_and_update().clone();
                driver.follow(orders);
            }
            Some(query) = ports.queries.recv() => driver.answer(query),
            _ = renewal.tick(), if driver.assigned.is_on() => driver.renew(),
        }
        driver.watch();
        driver.due();
        driver.settle(&ports.observed);
        driver.tell_answered(&ports.answered);
    }
}

async fn turn(deadline: Option<Instant>) {
    match deadline {
        // What is due goes on a slice at a time; frames and whatever else came go in between.
        Some(at) if at <= Instant::now() => tokio::task::yield_now().await,
        deadline => super::until(deadline).await,
    }
}

struct Driver {
    machine: wire::L2,
    right: Right,
    sockets: Sockets,
    assigned: Assigned,
    exclusions: Exclusions,
    links: BTreeMap<u32, String>,
    observed: Observed,
    /// Whether `observed` says something new of the links.
    relinked: bool,
    known: Known,
    /// The generation of what was said to be answered, and how often that was contested.
    told: Option<(u64, u64)>,
}

/// What of the machine's was passed on last, by its generations; unset when it has to be again.
#[derive(Clone, Copy, Default)]
struct Known {
    answered: Option<u64>,
    conflicts: Option<u64>,
}

impl Driver {
    fn new(config: Config, right: Right) -> anyhow::Result<Self> {
        let options = wire::L2Options {
            pace: config.gratuitous_rate,
            seed: config.seed,
            ..wire::L2Options::default()
        };
        Ok(Self {
            machine: wire::L2::new(options),
            right,
            sockets: Sockets::default(),
            assigned: Assigned::open(config.assign)?,
            exclusions: config.exclusions,
            links: BTreeMap::new(),
            observed: Observed::default(),
            relinked: false,
            known: Known::default(),
            told: None,
        })
    }

    /// Takes the frame in `buffer` and those that came with it.
    fn burst(&mut self, index: u32, buffer: &mut [u8], mut length: usize) {
        let now = Instant::now();
        for further in (0..BURST).rev() {
            // The process may have been stopped between any two frames.
            self.watch();
            self.machine.handle_frame(index, &buffer[..length], now);
            self.flush();
            // A frame that is taken has to be handled: none is when this was the last turn.
            let next = (further > 0).then(|| self.sockets.more(index, buffer));
            let Some(taken) = next.flatten() else { return };
            length = taken;
        }
    }

    fn follow(&mut self, orders: Orders) {
        self.watch();
        let right = &self.right;
        let resume = |term| right.resume(term);
        if orders::follow(&mut self.machine, orders, resume, Instant::now()) {
            tracing::info!("what happened meanwhile is known: answering again");
        }
    }

    /// Falls silent if the right to answer has ended.
    fn watch(&mut self) {
        if orders::watch(&mut self.machine, self.right.is_held()) {
            tracing::warn!("silent: this process was stopped or starved, others may answer");
        }
    }

    /// Does a slice of what is due, whatever came: frames in plenty don't keep it waiting.
    fn due(&mut self) {
        let now = Instant::now();
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
    }

    /// Starts the lifetimes of assigned addresses anew, and tries those again that couldn't be.
    fn renew(&mut self) {
        self.assigned.renew();
        self.known = Known::default();
    }

    fn links(&mut self, links: &[corten_host::netlink::Link]) -> anyhow::Result<()> {
        let raw: Vec<_> = links.iter().map(convert::link).collect();
        let excluded = |name: &str| self.exclusions.excludes(name);
        let usable = wire::Links::of(&raw, excluded);
        self.observed.interfaces = raw
            .iter()
            .map(|l| convert::interface(l, excluded))
            .collect();
        self.observed.links = Some(usable.usable.iter().map(words::link_state).collect());
        self.links = usable
            .usable
            .iter()
            .map(|l| (l.index, l.name.clone()))
            .collect();
        self.sockets.sync(&self.links.keys().copied().collect())?;
        self.machine.handle_links(usable, Instant::now());
        self.relinked = true;
        Ok(())
    }

    /// Brings the world in line with the machine: addresses that traffic can be accepted for
    /// first, then what is said on the LAN, then what others may know.
    fn settle(&mut self, observed: &watch::Sender<Observed>) {
        let now = Known {
            answered: Some(self.machine.answering_generation()),
            conflicts: Some(self.machine.conflicts_generation()),
        };
        let before = std::mem::replace(&mut self.known, now);
        let relinked = std::mem::take(&mut self.relinked);
        if self.assigned.is_on() && now.answered != before.answered {
            self.assigned.sync(&self.machine.answered().collect());
        }
        self.flush();
        if now.conflicts != before.conflicts {
            let conflicts = self.machine.conflicts();
            self.observed.conflicts = conflicts.iter().map(words::conflict).collect();
        } else if !relinked {
            return;
        }
        observed.send_if_modified(|known| {
            let changed = *known != self.observed;
            if changed {
                known.clone_from(&self.observed);
            }
            changed
        });
    }

    /// Says what is answered, once a table has been taken over as a whole.
    fn tell_answered(&mut self, answered: &watch::Sender<Answered>) {
        let contested = self.machine.contested();
        let generation = (
            self.machine.answering_generation(),
            contested.values().sum(),
        );
        if self.told != Some(generation) && self.machine.has_settled() {
            self.told = Some(generation);
            answered.send_replace(Answered {
                addresses: Arc::new(self.machine.answered().collect()),
                contested: Arc::new(contested.clone()),
            });
        }
    }

    fn answer(&mut self, query: Query) {
        // Whoever asked may have gone; that's theirs.
        let _gone = match query {
            Query::Alive(reply) => reply.send(()).is_err(),
            Query::Frames(reply) => reply.send(self.snapshot()).is_err(),
        };
    }

    fn snapshot(&mut self) -> Snapshot {
        let now = Instant::now();
        let links = &self.links;
        let frames = self.machine.addresses().map(|(ip, _, c)| {
            let last_answer = c.last_answered.map(|a| report::LastAnswer {
                mac: a.mac.to_string(),
                interface: links.get(&a.link).cloned().unwrap_or_default(),
                seconds_ago: now.saturating_duration_since(a.at).as_secs_f64(),
            });
            let frames = report::Frames {
                ip: ip.to_string(),
                requests: c.requests_received,
                responses: c.responses_sent,
                gratuitous: c.gratuitous_sent,
                last_answer,
            };
            (ip, frames)
        });
        let deferred = self.machine.deferred();
        Snapshot {
            frames: frames.collect(),
            deferred: deferred
                .map(|(ip, to)| (ip, to.map(ToOwned::to_owned)))
                .collect(),
            drops: self
                .machine
                .drops()
                .iter()
                .map(|(d, n)| (d.to_string(), *n))
                .collect(),
            kernel_drops: self.sockets.kernel_drops(),
        }
    }

    /// Does what the machine asks for.
    fn flush(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                wire::Output::Send { link, frame } => self.sockets.send(link, &frame),
                wire::Output::Join { link, group } => self.sockets.join(link, group),
                wire::Output::Leave { link, group } => self.sockets.leave(link, group),
                wire::Output::Notice(notice) => say(&notice),
            }
        }
    }
}

fn say(notice: &wire::Notice) {
    match notice {
        wire::Notice::Successor { ip, mac, interface } => {
            tracing::info!(%ip, %mac, interface, "the successor was heard: falling silent");
        }
        wire::Notice::FellowAnswers {
            ip,
            node,
            mac,
            interface,
        } => {
            tracing::warn!(%ip, node, %mac, interface, "another node answers for an address of ours");
        }
        wire::Notice::Unverified { ip, mac, interface } => {
            tracing::info!(%ip, %mac, interface, "someone answers for our address, perhaps a node of ours not resolved yet");
        }
        wire::Notice::Conflict(c) => {
            tracing::warn!(ip = %c.ip, mac = %c.mac, interface = c.interface, proxy_arp = c.proxy_arp, "a stranger answers for our address");
        }
        wire::Notice::ConflictCleared(c) => {
            tracing::info!(ip = %c.ip, mac = %c.mac, interface = c.interface, "the stranger is gone");
        }
    }
}
