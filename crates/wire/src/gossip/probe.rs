//! Probing: one member a period, first directly, then through others and on a stream; and
//! probing for others (SWIM §4.1).

use super::exchange::Purpose;
use super::message::{Ack, IndirectPing, Message, Ping, Source};
use super::{Accusation, Drop, Gossip, Member, MemberState};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

/// Most probes made for others at a time.
const RELAYS_MAX: usize = 1024;

/// Probes under way, by sequence number.
#[derive(Clone, Debug, Default)]
pub(super) struct Probing {
    own: BTreeMap<u32, Probe>,
    relays: BTreeMap<u32, Relay>,
    /// Members looked at out of turn, and when.
    checks: BTreeMap<String, Instant>,
}

#[derive(Clone, Debug)]
struct Probe {
    member: Member,
    /// Whether it was the member's turn.
    in_turn: bool,
    /// When others are to be asked; `None` once they were.
    ask_others: Option<Instant>,
    deadline: Instant,
    nacks_wanted: u32,
    nacks: u32,
}

/// A probe for somebody else.
#[derive(Clone, Debug)]
struct Relay {
    to: SocketAddr,
    sequence: u32,
    nack: bool,
    deadline: Instant,
}

impl Probing {
    pub(super) fn next(&self) -> Option<Instant> {
        let own = self
            .own
            .values()
            .map(|p| p.ask_others.map_or(p.deadline, |at| at.min(p.deadline)));
        own.chain(self.relays.values().map(|r| r.deadline)).min()
    }
}

impl Gossip {
    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Where answers are to go.
    pub(super) fn source(&self) -> Source {
        Source {
            address: self.options.address,
            node: self.options.name.clone(),
        }
    }

    /// Probes the next member, unless the last probe is still under way (a node that doubts
    /// itself takes longer).
    pub(super) fn probe_next(&mut self, now: Instant) {
        if self.probing.own.values().any(|p| p.in_turn) {
            return;
        }
        let own = &self.options.name;
        let member = self.members.next_to_probe(
            |m| m.alive.node != *own && m.state.is_present(),
            self.options.parameters.gossip_to_the_dead,
            now,
            &mut self.rng,
        );
        if let Some(member) = member {
            self.probe(member, true, now);
        }
    }

    /// Something looks as if this member couldn't be reached: it is probed now, though it isn't
    /// its turn, once in a probe interval at most.
    pub fn check(&mut self, node: &str, now: Instant) {
        let interval = self.options.parameters.probe_interval;
        let checks = &mut self.probing.checks;
        checks.retain(|_, at| now.duration_since(*at) < interval);
        let Some(member) = self.members.get(node) else {
            return;
        };
        let wanted = member.state == MemberState::Alive && *node != self.options.name;
        if wanted && !interval.is_zero() && !checks.contains_key(node) {
            checks.insert(node.to_owned(), now);
            self.probe(member.clone(), false, now);
        }
    }

    fn probe(&mut self, member: Member, in_turn: bool, now: Instant) {
        self.counters.probes += 1;
        let parameters = self.options.parameters;
        let sequence = self.next_sequence();
        let ping = Message::Ping(Ping {
            sequence,
            node: member.alive.node.clone(),
            source: Some(self.source()),
        });
        let (to, checksum) = (member.address(), member.takes_checksums());
        if member.state == MemberState::Suspect {
            // A suspected member has to hear of it, so that it can say that it is alive.
            let suspect = Message::Suspect(Accusation {
                incarnation: member.alive.incarnation,
                node: member.alive.node.clone(),
                from: self.options.name.clone(),
            });
            self.send(to, &[ping.encode(), suspect.encode()], checksum);
        } else {
            self.send_with_rumours(to, &ping, checksum);
        }
        let probe = Probe {
            member,
            in_turn,
            ask_others: Some(now + parameters.probe_timeout),
            deadline: now
                + if in_turn {
                    self.awareness.scale(parameters.probe_interval)
                } else {
                    // What a node that doubts itself has heard speaks against the other.
                    parameters.probe_interval
                },
            nacks_wanted: 0,
            nacks: 0,
        };
        self.probing.own.insert(sequence, probe);
    }

    pub(super) fn probes_due(&mut self, now: Instant) {
        let due = |(_, p): &(&u32, &Probe)| p.ask_others.is_some_and(|at| at <= now);
        let asking: Vec<u32> = self.probing.own.iter().filter(due).map(|e| *e.0).collect();
        for sequence in asking {
            self.ask_others(sequence, now);
        }
        let due = |(_, p): &(&u32, &Probe)| p.deadline <= now;
        let over: Vec<u32> = self.probing.own.iter().filter(due).map(|e| *e.0).collect();
        for sequence in over {
            if let Some(probe) = self.probing.own.remove(&sequence) {
                self.failed(probe, now);
            }
        }
        let due = |(_, r): &(&u32, &Relay)| r.deadline <= now;
        let silent: Vec<u32> = self
            .probing
            .relays
            .iter()
            .filter(due)
            .map(|e| *e.0)
            .collect();
        for sequence in silent {
            let Some(relay) = self.probing.relays.remove(&sequence) else {
                continue;
            };
            if relay.nack {
                self.send_with_rumours(relay.to, &Message::Nack(relay.sequence), false);
            }
        }
    }

    /// The member wasn't heard directly: others try, and a stream.
    fn ask_others(&mut self, sequence: u32, now: Instant) {
        let Some(probe) = self.probing.own.get_mut(&sequence) else {
            return;
        };
        probe.ask_others = None;
        let member = probe.member.clone();
        let target = member.alive.node.clone();
        let own = &self.options.name;
        let wanted = |m: &Member| {
            m.alive.node != *own && m.alive.node != target && m.state == MemberState::Alive
        };
        let count = self.options.parameters.indirect_checks;
        let others = self.members.random(count, wanted, &mut self.rng);
        let nacks = others.iter().filter(|m| m.sends_nacks()).count();
        probe.nacks_wanted = u32::try_from(nacks).unwrap_or(u32::MAX);
        let deadline = probe.deadline;
        for other in others {
            let request = Message::IndirectPing(IndirectPing {
                sequence,
                target: member.address(),
                node: target.clone(),
                nack: other.sends_nacks(),
                source: Some(self.source()),
            });
            self.send_with_rumours(other.address(), &request, other.takes_checksums());
        }
        if self.options.parameters.stream_pings && member.takes_stream_pings() {
            let ping = Message::Ping(Ping {
                sequence,
                node: target,
                source: Some(self.source()),
            });
            let purpose = Purpose::Ping(sequence);
            let until = deadline.max(now);
            self.open(member.address(), purpose, ping.encode(), until);
        }
    }

    /// Nobody heard of the member in time.
    fn failed(&mut self, probe: Probe, now: Instant) {
        self.counters.probes_failed += 1;
        // Those asked should have said at least that they heard nothing: if they didn't, it may
        // be this node that hears nothing.
        let missing = probe.nacks_wanted.saturating_sub(probe.nacks);
        self.awareness.worse(match probe.nacks_wanted {
            0 => 1,
            _ => missing,
        });
        let suspect = Accusation {
            incarnation: probe.member.alive.incarnation,
            node: probe.member.alive.node,
            from: self.options.name.clone(),
        };
        self.hear_suspect(suspect, now);
    }

    /// An answer came, in a packet or on a stream.
    pub(super) fn hear_ack(&mut self, ack: &Ack, now: Instant) {
        if self.probing.own.remove(&ack.sequence).is_some() {
            self.awareness.better();
        } else if let Some(relay) = self.probing.relays.remove(&ack.sequence) {
            let ack = Message::Ack(Ack {
                sequence: relay.sequence,
                payload: Vec::new(),
            });
            self.send_with_rumours(relay.to, &ack, false);
        } else if !self.hear_detector_ack(ack.sequence, now) {
            self.drop(Drop::Unasked);
        }
    }

    /// A member asked for us heard nothing.
    pub(super) fn hear_nack(&mut self, sequence: u32) {
        match self.probing.own.get_mut(&sequence) {
            Some(probe) if probe.nacks < probe.nacks_wanted => probe.nacks += 1,
            Some(_) | None => self.drop(Drop::Unasked),
        }
    }

    /// Whether a probe of that number is under way.
    pub(super) fn is_probing(&self, sequence: u32) -> bool {
        self.probing.own.contains_key(&sequence)
    }

    /// Somebody wants to know whether another member is there.
    pub(super) fn hear_indirect(&mut self, from: SocketAddr, ping: IndirectPing, now: Instant) {
        let mut target = ping.target;
        if target.port() == 0 {
            target.set_port(self.options.address.port());
        }
        // Packets on a stranger's word go to members only.
        let known = self.members.get(&ping.node);
        if known.is_none_or(|m| m.address() != target) {
            return self.drop(Drop::Stranger);
        }
        if self.probing.relays.len() >= RELAYS_MAX {
            return self.drop(Drop::Full);
        }
        let checksum = known.is_some_and(Member::takes_checksums);
        let sequence = self.next_sequence();
        let relay = Relay {
            to: self.answer_to(from, ping.source.as_ref()),
            sequence: ping.sequence,
            nack: ping.nack,
            deadline: now + self.options.parameters.probe_timeout,
        };
        self.probing.relays.insert(sequence, relay);
        let ping = Message::Ping(Ping {
            sequence,
            node: ping.node,
            source: Some(self.source()),
        });
        self.send_with_rumours(target, &ping, checksum);
    }

    /// Where an answer goes: where it is wanted, if that is the sender's host or a member's
    /// address, else back to the sender.
    pub(super) fn answer_to(&self, from: SocketAddr, source: Option<&Source>) -> SocketAddr {
        let Some(source) = source else { return from };
        let member = self.members.get(&source.node);
        let known = member.is_some_and(|m| m.address() == source.address);
        if known || source.address.ip() == from.ip().to_canonical() {
            source.address
        } else {
            from
        }
    }
}
