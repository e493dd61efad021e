//! Streams: exchanges of whole states, and probes of members that packets don't reach.

use super::member::MemberState;
use super::message::{Accusation, Ack, Message};
use super::push_pull::PushPull;
use super::stream::{Direction, StreamMessage, StreamReader};
use super::{Drop, Event, Gossip, Malformed, Member, Output, Presence};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Most streams at a time, each way.
const STREAMS_MAX: usize = 32;

/// Members asked at a time by a node that was away.
const AGAIN: usize = 3;

/// Least time between exchanges with members that come back.
const BETWEEN_WELCOMES: Duration = Duration::from_secs(1);

/// Names a stream between the machine and its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u64);

/// Why states weren't exchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The stream couldn't be opened, or ended early.
    #[error("the connection ended early")]
    Closed,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The answer can't be used.
    #[error("{0}")]
    Malformed(Malformed),
    /// The other side refused, in its words.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer was of another kind.
    #[error("another answer than a state")]
    Unexpected,
    /// Too many streams are open.
    #[error("too many connections")]
    Full,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The other side opened it.
    Serve,
    /// An exchange that we began.
    Exchange { join: bool },
    /// A probe, by its sequence number.
    Ping(u32),
}

#[derive(Debug)]
struct Stream {
    with: SocketAddr,
    purpose: Purpose,
    reader: StreamReader,
    deadline: Instant,
}

/// The streams there are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    last: u64,
    open: BTreeMap<StreamId, Stream>,
}

impl Streams {
    fn add(&mut self, with: SocketAddr, purpose: Purpose, deadline: Instant) -> Option<StreamId> {
        let served = |s: &&Stream| (s.purpose == Purpose::Serve) == (purpose == Purpose::Serve);
        if self.open.values().filter(served).count() >= STREAMS_MAX {
            return None;
        }
        self.last += 1;
        let stream = Stream {
            with,
            purpose,
            reader: StreamReader::new(match purpose {
                Purpose::Serve => Direction::Request,
                Purpose::Exchange { .. } | Purpose::Ping(_) => Direction::Answer,
            }),
            deadline,
        };
        self.open.insert(StreamId(self.last), stream);
        Some(StreamId(self.last))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.open.values().map(|s| s.deadline).min()
    }
}

impl Gossip {
    /// Exchanges states with whoever is at this address, as one who is new.
    pub fn join(&mut self, address: SocketAddr, now: Instant) {
        self.exchange(address, true, now);
    }

    /// This node was away and doesn't know what happened meanwhile: exchanges states anew with a
    /// few members. Exchanges begun before are forgotten; their answers may be as old.
    pub fn rejoin(&mut self, now: Instant) {
        let begun = |s: &Stream| match s.purpose {
            Purpose::Exchange { .. } => true,
            Purpose::Serve | Purpose::Ping(_) => false,
        };
        let open = self.streams.open.iter();
        let old: Vec<StreamId> = open.filter(|e| begun(e.1)).map(|e| *e.0).collect();
        for stream in old {
            self.streams.open.remove(&stream);
            self.outputs.push_back(Output::Close { stream });
        }
        let own = &self.options.name;
        let wanted = |m: &Member| m.alive.node != *own && m.state.is_present();
        for member in self.members.random(AGAIN, wanted, &mut self.rng) {
            self.exchange(member.address(), false, now);
        }
    }

    pub(super) fn exchange(&mut self, with: SocketAddr, join: bool, now: Instant) {
        let until = now + self.options.parameters.stream_timeout;
        let state = self.state(join).encode();
        if !self.open(with, Purpose::Exchange { join }, state, until) {
            let why = Failure::Full;
            self.event(Event::NotExchanged { with, why });
        }
    }

    pub(super) fn open(
        &mut self,
        to: SocketAddr,
        purpose: Purpose,
        message: Vec<u8>,
        until: Instant,
    ) -> bool {
        let Some(stream) = self.streams.add(to, purpose, until) else {
            return false;
        };
        self.outputs.push_back(Output::Open { stream, to });
        self.write(stream, Direction::Request, message);
        true
    }

    /// A member that was dead is back in the life it had: both sides may have heard what the
    /// other hasn't, and rumours of that are over. Some of those who notice ask it.
    pub(super) fn welcome_back(&mut self, with: SocketAddr, now: Instant) {
        let members = self.members.len().max(1);
        if now >= self.welcome && self.rng.random_range(0..members) < AGAIN {
            self.welcome = now + BETWEEN_WELCOMES;
            self.exchange(with, false, now);
        }
    }

    fn write(&mut self, stream: StreamId, direction: Direction, message: Vec<u8>) {
        let nonce = self.rng.random();
        let envelope = &self.options.envelope;
        let bytes = envelope.seal_stream(direction, message, nonce);
        self.outputs.push_back(Output::Write { stream, bytes });
    }

    /// The other side opened a stream; `None` if there are too many: it is to be closed.
    pub fn handle_accept(&mut self, from: SocketAddr, now: Instant) -> Option<StreamId> {
        let until = now + self.options.parameters.stream_timeout;
        let stream = self.streams.add(from, Purpose::Serve, until);
        if stream.is_none() {
            self.drop(Drop::Full);
        }
        stream
    }

    /// Bytes came on a stream.
    pub fn handle_stream(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        let Some(open) = self.streams.open.get_mut(&stream) else {
            return;
        };
        match open.reader.read(bytes, &self.options.envelope) {
            Ok(None) => {}
            Ok(Some(message)) => {
                if let Some(Stream { with, purpose, .. }) = self.streams.open.remove(&stream) {
                    self.hear_stream(stream, with, purpose, message, now);
                    self.follow(now);
                }
                self.outputs.push_back(Output::Close { stream });
            }
            Err(malformed) => {
                self.drop(malformed);
                self.outputs.push_back(Output::Close { stream });
                self.ended(stream, Failure::Malformed(malformed));
            }
        }
    }

    /// A stream couldn't be opened, or the other side closed it.
    pub fn handle_closed(&mut self, stream: StreamId) {
        self.ended(stream, Failure::Closed);
    }

    fn ended(&mut self, stream: StreamId, why: Failure) {
        if let Some(Stream { with, purpose, .. }) = self.streams.open.remove(&stream)
            && let Purpose::Exchange { .. } = purpose
        {
            self.event(Event::NotExchanged { with, why });
        }
    }

    pub(super) fn streams_due(&mut self, now: Instant) {
        let due = |(_, s): &(&StreamId, &Stream)| s.deadline <= now;
        let over: Vec<StreamId> = self.streams.open.iter().filter(due).map(|e| *e.0).collect();
        for stream in over {
            self.outputs.push_back(Output::Close { stream });
            self.ended(stream, Failure::TimedOut);
        }
    }

    fn hear_stream(
        &mut self,
        stream: StreamId,
        with: SocketAddr,
        purpose: Purpose,
        message: StreamMessage,
        now: Instant,
    ) {
        match (purpose, message) {
            (Purpose::Serve, StreamMessage::PushPull(state)) => {
                // Whoever is new learns what this node claims before it decides anything.
                self.meet_again(&state, now);
                let ours = self.state(state.join).encode();
                self.write(stream, Direction::Answer, ours);
                self.counters.exchanges += 1;
                self.merge(state, now);
            }
            (Purpose::Serve, StreamMessage::Message(Message::Ping(ping))) => {
                if !ping.node.is_empty() && ping.node != self.options.name {
                    return self.drop(Drop::NotForUs);
                }
                let ack = Message::Ack(Ack {
                    sequence: ping.sequence,
                    payload: Vec::new(),
                });
                self.write(stream, Direction::Answer, ack.encode());
            }
            (Purpose::Serve, StreamMessage::Message(Message::User(bytes))) => {
                self.event(Event::User { from: with, bytes });
            }
            (Purpose::Exchange { join }, StreamMessage::PushPull(mut state)) => {
                state.join = join;
                self.counters.exchanges += 1;
                self.merge(state, now);
                self.event(Event::Exchanged { with });
            }
            (Purpose::Exchange { .. }, StreamMessage::Message(message)) => {
                let why = if let Message::Error(text) = message {
                    Failure::Refused(text)
                } else {
                    Failure::Unexpected
                };
                self.event(Event::NotExchanged { with, why });
            }
            (Purpose::Ping(sequence), StreamMessage::Message(Message::Ack(ack))) => {
                if ack.sequence == sequence && self.is_probing(sequence) {
                    self.counters.stream_only += 1;
                    self.hear_ack(&ack, now);
                }
            }
            (Purpose::Serve | Purpose::Ping(_), _) => self.drop(Drop::Unexpected),
        }
    }

    /// What this node knows.
    fn state(&self, join: bool) -> PushPull {
        let members = self.members.iter().map(|m| (m.state, m.alive.clone()));
        PushPull {
            join,
            members: members.collect(),
            user: self.spoken_state(),
            malformed: Vec::new(),
        }
    }

    /// Takes over what another node knows.
    fn merge(&mut self, state: PushPull, now: Instant) {
        for malformed in &state.malformed {
            self.drop(*malformed);
        }
        if self.presence != Presence::Here {
            return;
        }
        self.meet_again(&state, now);
        for (said, alive) in state.members {
            let accusation = |from: &str| Accusation {
                incarnation: alive.incarnation,
                node: alive.node.clone(),
                from: from.to_owned(),
            };
            match said {
                MemberState::Alive => self.hear_alive(alive, now),
                MemberState::Left => {
                    let left = accusation(&alive.node);
                    self.hear_dead(left, now);
                }
                // Hearsay of a death is a suspicion, so that the member can refute it.
                MemberState::Dead | MemberState::Suspect => {
                    let suspect = accusation(&self.options.name);
                    self.hear_suspect(suspect, now);
                }
            }
        }
        let (bytes, join) = (self.hear_state(state.user, now), state.join);
        if !bytes.is_empty() {
            self.event(Event::UserState { bytes, join });
        }
    }
}
