//! What a message in a packet leads to.

use super::claims::Spoken;
use super::detector::Said;
use super::message::{Ack, Message, Ping};
use super::{Drop, Event, Gossip};
use std::net::SocketAddr;
use std::time::Instant;

impl Gossip {
    pub(super) fn hear(&mut self, from: SocketAddr, message: Message, now: Instant) {
        match message {
            Message::Ping(ping) => self.hear_ping(from, &ping, now),
            Message::IndirectPing(ping) => self.hear_indirect(from, ping, now),
            Message::Ack(ack) => self.hear_ack(&ack, now),
            Message::Nack(sequence) => self.hear_nack(sequence),
            Message::Suspect(suspect) => self.hear_suspect(suspect, now),
            Message::Alive(alive) => self.hear_alive(alive, now),
            Message::Dead(dead) => self.hear_dead(dead, now),
            Message::User(bytes) => {
                if let Some(said) = Said::decode(&bytes) {
                    self.hear_detector(from, said, now);
                } else if let Some(spoken) = Spoken::decode(&bytes) {
                    self.hear_claims(spoken, now);
                } else {
                    self.event(Event::User { from, bytes });
                }
            }
            Message::Error(_) => self.drop(Drop::Unexpected),
        }
    }

    fn hear_ping(&mut self, from: SocketAddr, ping: &Ping, now: Instant) {
        if !ping.node.is_empty() && ping.node != self.options.name {
            return self.drop(Drop::NotForUs);
        }
        let to = self.answer_to(from, ping.source.as_ref());
        let asker = ping.source.as_ref().map(|s| s.node.as_str());
        let member = asker.and_then(|node| self.members.get(node));
        let checksum = member.is_some_and(|m| m.address() == to && m.takes_checksums());
        let ack = Message::Ack(Ack {
            sequence: ping.sequence,
            payload: Vec::new(),
        });
        self.send_with_rumours(to, &ack, checksum);
        self.heard_from(to, now);
    }
}
