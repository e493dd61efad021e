//! Layer 2: making the LAN send traffic for an address to this node (`spec/metallb.md` §5.3;
//! RFC 826, 4861, 4862, 5227).
//!
//! [`L2`] is the machine: it is told the node's interfaces ([`Links`]) and what to answer for
//! ([`Table`]), is fed every ARP and Neighbour Discovery frame heard, and says what to send and
//! which groups to join. After each call the caller drains [`L2::poll_output`] and sleeps until
//! [`L2::poll_timeout`]; frames are whole Ethernet frames.
//!
//! Invariants: a frame is sent for an address only while the table has it, or for at most a
//! second after it was yielded; an address is on a link exactly while the link speaks its family
//! and the entry admits the link's name; what a stranger sends never makes us send more than one
//! frame for each of his, and unasked ones only under the link's pace.

mod address;
mod announcer;
pub mod arp;
mod conflict;
mod defer;
mod desired;
pub mod ethernet;
mod fellows;
mod groups;
pub mod iana;
pub mod link;
mod mac;
pub mod ndp;
mod notice;
mod pace;
mod pending;
mod probe;
mod recent;
mod responder;
mod rivalry;
mod rng;
mod say;
mod silence;
mod stats;
mod table;
mod timers;

pub use address::State;
pub use announcer::Schedule;
pub use link::{Link, Links, RawLink};
pub use mac::Mac;
pub use notice::{Conflict, Notice};
pub use probe::Probing;
pub use stats::{Answered, Counters, Drop};
pub use table::{Entry, Interfaces, Policy, Refresh, Table};

use address::Address;
use announcer::Announcer;
use conflict::Conflicts;
use fellows::Fellows;
use groups::Groups;
use pending::Pending;
use probe::Prober;
use recent::Recent;
use rivalry::Rivalry;
use rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Instant;
use timers::Timers;

/// How the machine behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Options {
    /// Unasked frames a second on each link.
    pub pace: NonZeroU32,
    /// Gratuitous rounds after a gain.
    pub schedule: Schedule,
    /// The test of an address before its first announcement.
    pub probing: Probing,
    /// Where randomness starts.
    pub seed: u64,
}

impl Default for L2Options {
    fn default() -> Self {
        Self {
            pace: NonZeroU32::MIN.saturating_add(2999),
            schedule: Schedule::default(),
            probing: Probing::default(),
            seed: 0,
        }
    }
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this Ethernet frame.
    Send {
        /// Interface index.
        link: u32,
        /// The whole frame.
        frame: Vec<u8>,
    },
    /// Join a solicited-node group through the kernel.
    Join {
        /// Interface index.
        link: u32,
        /// The group.
        group: Ipv6Addr,
    },
    /// Leave a group joined before; its interface may be gone already.
    Leave {
        /// Interface index.
        link: u32,
        /// The group.
        group: Ipv6Addr,
    },
    /// Something a person or the decision should know.
    Notice(Notice),
}

/// A link and what is kept for it.
#[derive(Clone, Debug)]
struct Port {
    link: Link,
    announcer: Announcer,
    recent: Recent,
    /// The value of [`L2::linked`] it came with.
    born: u64,
}

/// The layer-2 machine of one node.
#[derive(Clone, Debug)]
pub struct L2 {
    options: L2Options,
    rng: Rng,
    ports: BTreeMap<u32, Port>,
    links: Links,
    macs: BTreeSet<Mac>,
    node: String,
    nodes: BTreeMap<String, Vec<IpAddr>>,
    deference: defer::Deference,
    rivalry: Rivalry,
    addresses: BTreeMap<IpAddr, Box<Address>>,
    /// Whether nothing may be said at all.
    silent: bool,
    /// Counts changes of the links that addresses have to follow.
    linked: u64,
    /// Counts changes of the set of addresses answered.
    answering: u64,
    /// See [`Self::contested`].
    contested: BTreeMap<String, u64>,
    pending: Pending,
    /// The end of probing, withholding and yielding.
    phases: Timers<IpAddr>,
    refreshes: Timers<IpAddr>,
    prober: Prober,
    groups: Groups,
    fellows: Fellows,
    conflicts: Conflicts,
    drops: BTreeMap<Drop, u64>,
    outputs: VecDeque<Output>,
}

impl L2 {
    /// A machine without links and addresses.
    pub fn new(options: L2Options) -> Self {
        Self {
            options,
            rng: Rng::new(options.seed),
            ports: BTreeMap::new(),
            links: Links::default(),
            macs: BTreeSet::new(),
            node: String::new(),
            nodes: BTreeMap::new(),
            deference: defer::Deference::default(),
            rivalry: Rivalry::new(options.pace),
            addresses: BTreeMap::new(),
            silent: false,
            linked: 0,
            answering: 0,
            contested: BTreeMap::new(),
            pending: Pending::default(),
            phases: Timers::default(),
            refreshes: Timers::default(),
            prober: Prober::new(options.pace),
            groups: Groups::default(),
            fellows: Fellows::new(options.seed),
            conflicts: Conflicts::default(),
            drops: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A frame was heard on the interface of index `link`. What it says is answered at once;
    /// what can't be used is counted in [`Self::drops`].
    pub fn handle_frame(&mut self, link: u32, frame: &[u8], now: Instant) {
        if self.silent {
            *self.drops.entry(Drop::Away).or_default() += 1;
            return;
        }
        if let Err(drop) = self.hear(link, frame, now) {
            *self.drops.entry(drop).or_default() += 1;
        }
    }

    /// The deadline of [`Self::poll_timeout`] has come; calling early or late does no harm. What
    /// takes longer than some 100 µs is done in part, and the deadline stays in the past.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.silent {
            return;
        }
        let mut budget = self.budget();
        self.phases_due(&mut budget, now);
        self.conflicts_due(&mut budget, now);
        while budget.is_left()
            && let Some(ip) = self.refreshes.pop_due(now)
        {
            budget.change();
            self.catch_up(ip, now);
            self.refresh_due(ip, now);
        }
        self.apply(&mut budget, now);
        self.admit_probes(now);
        self.ask_rivals(now);
        self.ask_fellows(now);
        self.pump(now);
    }

    /// The next thing to do, in order; `None` when there is nothing for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` means only after other input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.silent {
            return None;
        }
        let announcers = self.ports.values().map(|port| port.announcer.next());
        announcers
            .chain([
                self.pending.next(),
                self.phases.next(),
                self.refreshes.next(),
                self.prober.next(),
                self.rivalry.next(),
                self.fellows.next(),
                self.conflicts.next(),
            ])
            .flatten()
            .min()
    }

    /// Every address in the table or being yielded, with its state and counters.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, State, &Counters)> {
        self.addresses
            .iter()
            .map(|(&ip, address)| (ip, address.state(), &address.counters))
    }

    /// Addresses that are answered.
    pub fn answered(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.addresses.iter();
        all.filter(|(_, address)| address.state().is_answered())
            .map(|(ip, _)| *ip)
    }

    /// Whether the newest table and links have been taken over as a whole.
    pub fn has_settled(&self) -> bool {
        self.pending.next().is_none()
    }

    /// Rises whenever the set of addresses that are answered changes ([`State::is_answered`]).
    pub fn answering_generation(&self) -> u64 {
        self.answering
    }

    /// How often each fellow that gossip is said to reach was heard to answer for an address of
    /// ours; counted once a second at most for each address. Whether gossip does reach it should
    /// be looked at.
    pub fn contested(&self) -> &BTreeMap<String, u64> {
        &self.contested
    }

    /// Frames not answered, by cause.
    pub fn drops(&self) -> &BTreeMap<Drop, u64> {
        &self.drops
    }

    /// Rises whenever [`Self::conflicts`] changes.
    pub fn conflicts_generation(&self) -> u64 {
        self.conflicts.changes
    }

    /// Every conflict known now.
    pub fn conflicts(&self) -> BTreeSet<Conflict> {
        self.conflicts.all()
    }
}

#[cfg(test)]
mod tests;
