//! Those who missed what was said of a member, and are told again.
//!
//! Rumours are told a limited number of times. Whoever couldn't be reached meanwhile would believe
//! what is over until states are exchanged: that a member is dead which has refuted that, or that
//! nobody takes it for dead itself. What it says shows what it missed.
// DEVIATION: memberlist drops an accusation of an earlier incarnation without a word, doesn't
// answer the accuser directly, and doesn't speak to the dead but in rumours.

use super::message::{Accusation, Message};
use super::{Gossip, Member, MemberState, Presence};
use rand::RngExt as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Least time between two reminders about one member.
const REST: Duration = Duration::from_millis(200);
/// Nodes that remind one of the dead in each probe interval, in the mean.
const KNOCKS: usize = 3;

impl Gossip {
    /// Whether a reminder about a member may be given now.
    fn reminds(&mut self, node: &str, now: Instant) -> bool {
        self.reminded.retain(|_, at| now.duration_since(*at) < REST);
        let may = !self.reminded.contains_key(node);
        if may {
            self.reminded.insert(node.to_owned(), now);
        }
        may
    }

    /// A member is accused in an incarnation that is over: the accuser, and those who believe
    /// him, didn't hear of the newer one.
    pub(super) fn vouch(&mut self, accusation: &Accusation, now: Instant) {
        let node = &accusation.node;
        let Some(member) = self.members.get(node) else {
            return;
        };
        if member.state != MemberState::Alive || self.presence != Presence::Here {
            return;
        }
        let alive = Message::Alive(member.alive.clone());
        if !self.reminds(node, now) {
            return;
        }
        self.broadcast(node, &alive);
        self.say_to_accuser(accusation, &alive);
        self.hurry(now);
    }

    /// This node was accused and has refuted it: its accuser is told first.
    pub(super) fn answer_accuser(&mut self, accusation: &Accusation) {
        let alive = Message::Alive(self.own_alive());
        self.say_to_accuser(accusation, &alive);
    }

    fn say_to_accuser(&mut self, accusation: &Accusation, message: &Message) {
        if accusation.from == self.options.name {
            return;
        }
        if let Some(accuser) = self.members.get(&accusation.from) {
            let (to, checksum) = (accuser.address(), accuser.takes_checksums());
            self.send_alone(to, message.encode(), checksum);
        }
    }

    /// Tells a member that is taken for dead, so that it can refute it.
    pub(super) fn tell_the_dead(&mut self, node: &str) {
        let Some(member) = self.members.get(node) else {
            return;
        };
        let from = match member.state {
            MemberState::Alive | MemberState::Suspect => return,
            MemberState::Left => node.to_owned(),
            MemberState::Dead => self.options.name.clone(),
        };
        let (to, checksum) = (member.address(), member.takes_checksums());
        let accusation = Message::Dead(Accusation {
            incarnation: member.alive.incarnation,
            node: node.to_owned(),
            from,
        });
        self.send_alone(to, accusation.encode(), checksum);
    }

    /// Something came from this address that only a member says: if it is one that is suspected or
    /// taken for dead, it doesn't know that.
    pub(super) fn heard_from(&mut self, from: SocketAddr, now: Instant) {
        let doubted = |m: &&Member| {
            let state = m.state;
            let doubted = state == MemberState::Dead || state == MemberState::Suspect;
            doubted && m.address() == from
        };
        let Some(member) = self.members.iter().find(doubted).cloned() else {
            return;
        };
        let node = member.alive.node.clone();
        if !self.reminds(&node, now) {
            return;
        }
        if member.state == MemberState::Suspect {
            let suspect = Message::Suspect(Accusation {
                incarnation: member.alive.incarnation,
                node,
                from: self.options.name.clone(),
            });
            self.send_alone(from, suspect.encode(), member.takes_checksums());
        } else {
            self.tell_the_dead(&node);
        }
    }

    /// Now and then one of the dead is told, in case it can be reached again: a cut that has ended
    /// is found out that way, since each side takes the other for dead.
    pub(super) fn knock(&mut self, now: Instant) {
        let members = self.members.len().max(1);
        if self.presence != Presence::Here || self.rng.random_range(0..members) >= KNOCKS {
            return;
        }
        let keep = self.options.parameters.gossip_to_the_dead;
        let lately =
            |m: &Member| m.state == MemberState::Dead && now.duration_since(m.since) <= keep;
        let dead: Vec<String> = self
            .members
            .iter()
            .filter(|m| lately(m))
            .map(|m| m.alive.node.clone())
            .collect();
        if !dead.is_empty() {
            let one = self.rng.random_range(0..dead.len());
            if let Some(node) = dead.get(one) {
                self.tell_the_dead(node);
            }
        }
    }
}
