//! What is done every so often, and how packets are put together.

use super::broadcast::Topic;
use super::message::Message;
use super::{Event, Gossip, Member, MemberState, Output, Parameters, Presence};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bytes a compound has before its messages.
const COMPOUND_HEADER: usize = 2;
/// Bytes around a message of the application's in a compound.
const RUMOUR_HEADER: usize = 3;
/// Members told of a death or a leaving directly, besides the rounds.
const URGENT: usize = 32;

/// When the next round of each kind is; `None` for kinds that are off.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    probe: Option<Instant>,
    gossip: Option<Instant>,
    push_pull: Option<Instant>,
}

impl Rounds {
    /// Each kind begins at a random moment of its first period, so that nodes started together
    /// don't stay in step.
    pub(super) fn new(parameters: &Parameters, now: Instant, rng: &mut StdRng) -> Self {
        let mut first = |period: Duration| {
            let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
            (nanos > 0).then(|| now + Duration::from_nanos(rng.random_range(0..nanos)) + period)
        };
        let gossips = parameters.gossip_nodes > 0;
        Self {
            probe: first(parameters.probe_interval),
            gossip: first(parameters.gossip_interval).filter(|_| gossips),
            push_pull: first(parameters.push_pull_interval),
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let all = [self.probe, self.gossip, self.push_pull];
        all.into_iter().flatten().min()
    }
}

/// Whether the round is due, and when the next one is.
fn due(at: &mut Option<Instant>, period: Duration, now: Instant) -> bool {
    match at {
        Some(when) if *when <= now => {
            let next = *when + period;
            // Rounds that were missed are not made up for.
            *at = Some(if next > now { next } else { now + period });
            true
        }
        Some(_) | None => false,
    }
}

impl Gossip {
    pub(super) fn rounds_due(&mut self, now: Instant) {
        let parameters = self.options.parameters;
        if due(&mut self.rounds.probe, parameters.probe_interval, now) {
            self.probe_next(now);
            self.knock(now);
        }
        if due(&mut self.rounds.gossip, parameters.gossip_interval, now) {
            self.gossip_round(now);
        }
        let period = parameters.push_pull_period(self.members.len());
        if due(&mut self.rounds.push_pull, period, now) {
            self.push_pull_round(now);
        }
    }

    /// Tells a few members what there is to tell.
    fn gossip_round(&mut self, now: Instant) {
        if self.broadcasts.is_empty() {
            return;
        }
        let own = &self.options.name;
        let to_the_dead = self.options.parameters.gossip_to_the_dead;
        let wanted = |m: &Member| {
            m.alive.node != *own
                && match m.state {
                    MemberState::Alive | MemberState::Suspect => true,
                    MemberState::Dead => now.duration_since(m.since) <= to_the_dead,
                    MemberState::Left => false,
                }
        };
        let count = self.options.parameters.gossip_nodes;
        for member in self.members.random(count, wanted, &mut self.rng) {
            let rumours = self.rumours(self.room());
            if rumours.is_empty() {
                break;
            }
            self.send(member.address(), &rumours, member.takes_checksums());
        }
        self.left_if_told();
    }

    /// What is news of a member's end, or of what one holds, shouldn't wait for the next round: the next round of
    /// gossip is now, and every member is told at once if there are few.
    pub(super) fn urge(&mut self, message: &Message, now: Instant) {
        let own = &self.options.name;
        let wanted = |m: &Member| m.alive.node != *own && m.state.is_present();
        let bytes = [message.encode()];
        for member in self.members.random(URGENT, wanted, &mut self.rng) {
            self.send(member.address(), &bytes, member.takes_checksums());
        }
        self.hurry(now);
    }

    /// The next round of gossip is now.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(at) = &mut self.rounds.gossip {
            *at = now.min(*at);
        }
    }

    fn push_pull_round(&mut self, now: Instant) {
        let own = &self.options.name;
        let wanted = |m: &Member| m.alive.node != *own && m.state == MemberState::Alive;
        for member in self.members.random(1, wanted, &mut self.rng) {
            self.exchange(member.address(), false, now);
        }
    }

    /// Sends one message, and as many rumours as there is room for.
    pub(super) fn send_with_rumours(&mut self, to: SocketAddr, message: &Message, checksum: bool) {
        let message = message.encode();
        let room = self.room().saturating_sub(message.len());
        let mut messages = vec![message];
        messages.extend(self.rumours(room));
        self.send(to, &messages, checksum);
        self.left_if_told();
    }

    /// Sends one encoded message as it is.
    pub(super) fn send_alone(&mut self, to: SocketAddr, message: Vec<u8>, checksum: bool) {
        self.send(to, &[message], checksum);
    }

    pub(super) fn send(&mut self, to: SocketAddr, messages: &[Vec<u8>], checksum: bool) {
        let nonce = self.rng.random();
        let bytes = self.options.envelope.seal(messages, checksum, nonce);
        if bytes.is_empty() {
            return;
        }
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.outputs.push_back(Output::Packet { to, bytes });
    }

    /// Bytes for a rumour of the application's.
    pub(super) fn user_room(&self) -> usize {
        self.room().saturating_sub(RUMOUR_HEADER)
    }

    /// Bytes for messages in one packet.
    fn room(&self) -> usize {
        let size = self.options.parameters.packet_size;
        size.saturating_sub(self.options.envelope.overhead() + COMPOUND_HEADER)
    }

    fn rumours(&mut self, room: usize) -> Vec<Vec<u8>> {
        let limit = self.options.parameters.retransmits(self.members.len());
        self.broadcasts.take(room, limit)
    }

    /// Whether this node's leaving was told often enough by now.
    pub(super) fn left_if_told(&mut self) {
        let others = self
            .members
            .iter()
            .any(|m| m.alive.node != self.options.name && m.state.is_present());
        let told = !self.broadcasts.has(&Topic::Leaving) || !others;
        if self.presence == Presence::Leaving && told {
            self.presence = Presence::Gone;
            self.event(Event::Left);
        }
    }
}
