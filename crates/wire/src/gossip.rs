//! Membership by gossip: the wire protocol of HashiCorp's memberlist, as MetalLB's speakers talk
//! it among themselves (`spec/metallb.md` §5.6), and SWIM with Lifeguard's refinements on it.
//!
//! [`Gossip`] is the machine of one node: it is fed packets and what comes on streams, and says
//! what to send, which streams to open, and who is a member. After each call the caller drains
//! [`Gossip::poll_output`] and sleeps until [`Gossip::poll_timeout`].
//!
//! Invariants: this node is always a member and never says otherwise until it leaves; what is
//! known of a member changes only with its own, higher incarnation, or with an accusation of the
//! incarnation known; whatever is heard, at most one packet goes out for each message, towards
//! its sender or a known member; what can't be used is counted in [`Gossip::drops`].

mod awareness;
mod broadcast;
mod claims;
pub mod code;
mod compress;
mod detector;
mod envelope;
mod exchange;
mod fleet;
mod hear;
mod keyring;
mod malformed;
mod member;
mod message;
mod parameters;
mod probe;
mod push_pull;
mod reminder;
mod rotation;
mod round;
mod rumour;
mod stats;
mod stream;
mod suspicion;

pub use detector::Detection;
pub use envelope::{Envelope, Label, LabelTooLong, Opened, Security};
pub use exchange::{Failure, StreamId};
pub use fleet::{Claiming, Fleet};
pub use keyring::{Key, KeyError, Keyring, NONCE_LEN};
pub use malformed::Malformed;
pub use member::{Member, MemberState};
pub use message::{
    Accusation, Ack, Alive, IndirectPing, META_MAX, Message, NAME_MAX, Ping, Source, Versions,
};
pub use parameters::Parameters;
pub use push_pull::PushPull;
pub use stats::{Counters, Drop};
pub use stream::{Direction, STREAM_MAX, StreamMessage, StreamReader};

use awareness::Awareness;
use broadcast::Broadcasts;
use claims::Claims;
use detector::{Detector, Features};
use exchange::Streams;
use member::Members;
use probe::Probing;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rotation::Rotation;
use round::Rounds;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use suspicion::Suspicion;

/// Who this node is and how it talks.
#[derive(Clone, Debug)]
pub struct GossipOptions {
    /// Name of this node; MetalLB's is the Node's.
    pub name: String,
    /// Where others reach this node, for packets and streams.
    pub address: SocketAddr,
    /// What others may know of it, behind what Corten itself says there; cut to [`META_MAX`]
    /// bytes in all.
    pub meta: Vec<u8>,
    /// How messages are wrapped.
    pub envelope: Envelope,
    /// Timers and limits.
    pub parameters: Parameters,
    /// Whether this node claims what it holds.
    pub claiming: Claiming,
    /// Where randomness starts. Nonces come of it: a seed must never be used twice with one key.
    pub seed: [u8; 32],
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this packet.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// The whole payload.
        bytes: Vec<u8>,
    },
    /// Open a stream; what is written to it meanwhile goes out once it is open.
    Open {
        /// Its name from now on.
        stream: StreamId,
        /// Where to.
        to: SocketAddr,
    },
    /// Write to a stream.
    Write {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Close a stream when everything is written; nothing of it is wanted any more.
    Close {
        /// The stream.
        stream: StreamId,
    },
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member came, changed, was suspected, died or left.
    Member {
        /// Its name.
        node: String,
        /// Its state now.
        state: MemberState,
        /// Who says so: the member itself, or its accuser.
        by: String,
    },
    /// States were exchanged with this address.
    Exchanged {
        /// The other side.
        with: SocketAddr,
    },
    /// States couldn't be exchanged with this address.
    NotExchanged {
        /// The other side.
        with: SocketAddr,
        /// Why.
        why: Failure,
    },
    /// Two nodes have one name. Said once a minute at most for each.
    Conflict {
        /// The name.
        node: String,
        /// The address known.
        known: SocketAddr,
        /// The other one.
        other: SocketAddr,
    },
    /// A message of the application's.
    User {
        /// Who sent it; for a stream, its other end.
        from: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The application's state at the other end of an exchange.
    UserState {
        /// The state.
        bytes: Vec<u8>,
        /// Whether the other end is new.
        join: bool,
    },
    /// This node's leaving was told often enough.
    Left,
}

/// The gossip machine of one node.
#[derive(Debug)]
pub struct Gossip {
    options: GossipOptions,
    rng: StdRng,
    members: Members,
    suspicions: BTreeMap<String, Suspicion>,
    conflicts: BTreeMap<String, Instant>,
    /// Members about which somebody was reminded, and when.
    reminded: BTreeMap<String, Instant>,
    incarnation: u32,
    sequence: u32,
    awareness: Awareness,
    broadcasts: Broadcasts,
    probing: Probing,
    detector: Detector,
    streams: Streams,
    rounds: Rounds,
    rotation: Rotation,
    user_state: Vec<u8>,
    claims: Claims,
    features: Features,
    /// The application's meta data.
    meta: Vec<u8>,
    /// Whether this node has exchanged states with nobody since it last saw nobody else.
    apart: bool,
    /// When the next member that comes back is asked what it knows, at the earliest.
    welcome: Instant,
    /// Since when all members speak claims.
    spoken_since: Option<Instant>,
    /// See [`Self::generation`].
    generation: u64,
    /// Whether members changed since the last look at what follows from it.
    changed: bool,
    presence: Presence,
    drops: BTreeMap<Drop, u64>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

/// Whether this node is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Here,
    /// It said that it leaves.
    Leaving,
    /// That was told often enough.
    Gone,
}

impl Gossip {
    /// A node that knows of nobody else.
    #[must_use]
    pub fn new(mut options: GossipOptions, now: Instant) -> Self {
        let detection = options.parameters.detection;
        let mut rng = StdRng::from_seed(options.seed);
        let features = Features {
            detector: detection != Detection::Off,
            life: match options.claiming {
                Claiming::Off => None,
                Claiming::On { .. } => Some(rng.random()),
            },
            sticky: options.claiming == Claiming::On { sticky: true },
            ready: false,
        };
        let meta = options.meta.clone();
        options.meta = features.meta(&meta);
        let rounds = Rounds::new(&options.parameters, now, &mut rng);
        let detector = Detector::new(detection, now, &mut rng);
        let sequence = rng.random();
        let awareness = Awareness::new(options.parameters.awareness_max);
        let mut gossip = Self {
            options,
            rng,
            members: Members::default(),
            suspicions: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            reminded: BTreeMap::new(),
            incarnation: 1,
            // Answers to an earlier life's probes are nobody's.
            sequence,
            awareness,
            broadcasts: Broadcasts::default(),
            probing: Probing::default(),
            detector,
            streams: Streams::default(),
            rounds,
            rotation: Rotation::default(),
            user_state: Vec::new(),
            claims: Claims::default(),
            features,
            meta,
            apart: true,
            welcome: now,
            spoken_since: None,
            generation: 0,
            changed: true,
            presence: Presence::Here,
            drops: BTreeMap::new(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
        };
        gossip.appear(now);
        gossip
    }

    /// A packet came.
    pub fn handle_packet(&mut self, from: SocketAddr, packet: &[u8], now: Instant) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += u64::try_from(packet.len()).unwrap_or(u64::MAX);
        match self.options.envelope.open(packet) {
            Err(malformed) => self.drop(malformed),
            Ok(opened) => {
                for malformed in opened.malformed {
                    self.drop(malformed);
                }
                for message in opened.messages {
                    self.hear(from, message, now);
                }
            }
        }
        self.follow(now);
    }

    /// The deadline of [`Self::poll_timeout`] has come; calling early or late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.rotation_due(now);
        self.streams_due(now);
        self.probes_due(now);
        self.detector_due(now);
        self.suspicions_due(now);
        self.rounds_due(now);
        self.fleet_due(now);
        self.follow(now);
    }

    /// Does what follows from a change of the members, if there was one.
    fn follow(&mut self, now: Instant) {
        self.ring(now);
        if std::mem::take(&mut self.changed) {
            self.apart |= self.is_alone();
            self.fleet_follow(now);
            self.claims_follow(now);
        }
    }

    /// The next thing to do, in order; `None` when there is nothing for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` means only after other input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let suspicions = self.suspicions.values().map(Suspicion::deadline).min();
        [
            self.rotation.next(),
            self.streams.next(),
            self.probing.next(),
            self.detector.next(),
            suspicions,
            self.rounds.next(),
            self.fleet_next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Every member known, this node and those gone not long ago included, by name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// How healthy this node takes itself for: 0 is healthy, more stretches its timers.
    #[must_use]
    pub fn health(&self) -> u32 {
        self.awareness.score()
    }

    /// Who suspects a member, and when it is dead if it doesn't speak up; `None` unless it is
    /// suspected.
    #[must_use]
    pub fn suspicion(&self, member: &str) -> Option<(&BTreeSet<String>, Instant)> {
        let suspicion = self.suspicions.get(member)?;
        Some((suspicion.by(), suspicion.deadline()))
    }

    /// Rumours that are yet to be told.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.broadcasts.len()
    }

    /// What was left aside, by cause.
    #[must_use]
    pub fn drops(&self) -> &BTreeMap<Drop, u64> {
        &self.drops
    }

    /// What was done since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sets the state of the application's that others get in exchanges.
    pub fn set_user_state(&mut self, state: Vec<u8>) {
        self.user_state = state;
    }

    /// Sends a message of the application's to an address, as it is and once.
    pub fn send_user(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.send_alone(to, Message::User(bytes).encode(), false);
    }

    fn drop(&mut self, cause: impl Into<Drop>) {
        *self.drops.entry(cause.into()).or_default() += 1;
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
