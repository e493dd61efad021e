//! What is said of members, and what follows for what is known (SWIM §4.2; Lifeguard).

use super::broadcast::Topic;
use super::detector::Features;
use super::message::{Accusation, Alive, Message, Versions};
use super::suspicion::Suspicion;
use super::{Drop, Event, Gossip, Member, MemberState, Presence};
use std::time::{Duration, Instant};

/// Most members kept; what anybody can make up must not fill the memory.
const MEMBERS_MAX: usize = 10_000;
/// Least time between two words about one name conflict.
const CONFLICT_REST: Duration = Duration::from_secs(60);
/// Most name conflicts kept in mind.
const CONFLICTS_MAX: usize = 64;

impl Gossip {
    /// This node becomes a member.
    pub(super) fn appear(&mut self, now: Instant) {
        let alive = self.own_alive();
        let member = Member {
            alive: alive.clone(),
            state: MemberState::Alive,
            since: now,
        };
        self.members.insert(member, &mut self.rng);
        self.broadcast(&alive.node.clone(), &Message::Alive(alive));
    }

    pub(super) fn own_alive(&self) -> Alive {
        Alive {
            incarnation: self.incarnation,
            node: self.options.name.clone(),
            address: self.options.address,
            meta: self.options.meta.clone(),
            versions: Some(Versions::OURS),
        }
    }

    /// Says that this node leaves; [`Event::Left`] follows when that was told often enough.
    pub fn leave(&mut self, now: Instant) {
        if self.presence != Presence::Here {
            return;
        }
        self.presence = Presence::Leaving;
        let own = self.options.name.clone();
        if let Some(member) = self.members.get_mut(&own) {
            member.set(MemberState::Left, now);
        }
        let dead = Message::Dead(Accusation {
            incarnation: self.incarnation,
            node: own.clone(),
            from: own,
        });
        self.broadcasts.push(Topic::Leaving, dead.encode());
        self.urge(&dead, now);
        self.left_if_told();
    }

    pub(super) fn broadcast(&mut self, node: &str, message: &Message) {
        let topic = Topic::Member(node.to_owned());
        self.broadcasts.push(topic, message.encode());
    }

    fn tell(&mut self, node: &str, state: MemberState, by: &str) {
        if !state.is_present() {
            self.claims.gone(node);
        }
        self.detector.changed();
        self.generation += 1;
        self.changed = true;
        self.event(Event::Member {
            node: node.to_owned(),
            state,
            by: by.to_owned(),
        });
    }

    /// A member is said to be alive.
    pub(super) fn hear_alive(&mut self, mut alive: Alive, now: Instant) {
        if alive.address.port() == 0 {
            alive.address.set_port(self.options.address.port());
        }
        if alive.versions.is_some_and(|v| !speaks(v)) {
            return self.drop(Drop::Versions);
        }
        if alive.node == self.options.name {
            return self.hear_of_self(&alive, now);
        }
        let Some(member) = self.members.get(&alive.node) else {
            return self.meet(alive, now);
        };
        let mut moved = false;
        if member.address() != alive.address {
            let reclaim = self.options.parameters.dead_reclaim;
            moved = match member.state {
                MemberState::Left => true,
                MemberState::Dead => {
                    !reclaim.is_zero() && now.duration_since(member.since) > reclaim
                }
                MemberState::Alive | MemberState::Suspect => false,
            };
            if !moved {
                return self.conflict(&alive, now);
            }
        }
        if alive.incarnation <= member.alive.incarnation && !moved {
            let stale = alive.incarnation < member.alive.incarnation;
            self.object(&alive);
            if stale {
                self.drop(Drop::Stale);
            }
            return;
        }
        self.suspicions.remove(&alive.node);
        let was = member.state;
        let changed = !was.is_present() || was == MemberState::Suspect;
        let news = changed || member.alive.meta != alive.meta;
        let life = |meta: &[u8]| Features::of(meta).life;
        let back = was == MemberState::Dead && life(&member.alive.meta) == life(&alive.meta);
        let address = alive.address;
        self.broadcast(&alive.node, &Message::Alive(alive.clone()));
        let node = alive.node.clone();
        if let Some(member) = self.members.get_mut(&node) {
            // Old members may not repeat their versions.
            let versions = alive.versions.or(member.alive.versions);
            member.alive = Alive { versions, ..alive };
            member.set(MemberState::Alive, now);
        }
        if news {
            self.tell(&node, MemberState::Alive, &node);
        }
        if back {
            self.welcome_back(address, now);
        }
    }

    /// A member that is gone is said to be alive, in an incarnation no higher than the one it went
    /// in: it may have started anew and not know of that. It is told, so that it can refute it.
    fn object(&mut self, alive: &Alive) {
        let Some(member) = self.members.get(&alive.node) else {
            return;
        };
        let life = |meta: &[u8]| Features::of(meta).life;
        let same = life(&member.alive.meta) == life(&alive.meta);
        if !same {
            self.tell_the_dead(&alive.node.clone());
        }
    }

    fn meet(&mut self, alive: Alive, now: Instant) {
        if self.members.len() >= MEMBERS_MAX {
            return self.drop(Drop::Full);
        }
        let node = alive.node.clone();
        self.broadcast(&node, &Message::Alive(alive.clone()));
        let member = Member {
            alive,
            state: MemberState::Alive,
            since: now,
        };
        self.members.insert(member, &mut self.rng);
        self.tell(&node, MemberState::Alive, &node);
    }

    /// Only this node says what it is itself: whatever else is heard is refuted.
    fn hear_of_self(&mut self, alive: &Alive, now: Instant) {
        if self.presence != Presence::Here {
            return;
        }
        if alive.address != self.options.address {
            return self.conflict(alive, now);
        }
        if alive.incarnation < self.incarnation {
            return self.drop(Drop::Stale);
        }
        let own = self.own_alive();
        let same = alive.incarnation == own.incarnation && alive.meta == own.meta;
        if !(same && alive.versions == own.versions) {
            self.refute(alive.incarnation);
        }
    }

    fn conflict(&mut self, alive: &Alive, now: Instant) {
        self.drop(Drop::Conflict);
        self.conflicts
            .retain(|_, at| now.duration_since(*at) < CONFLICT_REST);
        let known = match self.members.get(&alive.node) {
            Some(member) => member.address(),
            None => return,
        };
        let full = self.conflicts.len() >= CONFLICTS_MAX;
        if full || self.conflicts.contains_key(&alive.node) {
            return;
        }
        self.conflicts.insert(alive.node.clone(), now);
        self.event(Event::Conflict {
            node: alive.node.clone(),
            known,
            other: alive.address,
        });
    }

    /// This node is alive, in an incarnation higher than the one accused.
    fn refute(&mut self, accused: u32) {
        self.incarnation = self.incarnation.max(accused).saturating_add(1);
        self.counters.refuted += 1;
        self.awareness.worse(1);
        let alive = self.own_alive();
        if let Some(member) = self.members.get_mut(&alive.node) {
            member.alive = alive.clone();
        }
        self.broadcast(&alive.node.clone(), &Message::Alive(alive));
    }

    /// A member is suspected.
    pub(super) fn hear_suspect(&mut self, suspect: Accusation, now: Instant) {
        let Some(member) = self.members.get(&suspect.node) else {
            return self.drop(Drop::Unknown);
        };
        if suspect.incarnation < member.alive.incarnation {
            self.vouch(&suspect, now);
            return self.drop(Drop::Stale);
        }
        if let Some(suspicion) = self.suspicions.get_mut(&suspect.node) {
            // A confirmation is worth telling, so that others come to know of it.
            if suspicion.confirm(&suspect.from) {
                self.broadcast(&suspect.node.clone(), &Message::Suspect(suspect));
            }
            return;
        }
        if member.state != MemberState::Alive {
            return;
        }
        if suspect.node == self.options.name {
            if self.presence == Presence::Here {
                self.refute(suspect.incarnation);
                self.answer_accuser(&suspect);
                self.hurry(now);
            }
            return;
        }
        let node = suspect.node.clone();
        let by = suspect.from.clone();
        if let Some(member) = self.members.get_mut(&node) {
            member.alive.incarnation = suspect.incarnation;
            member.set(MemberState::Suspect, now);
        }
        self.broadcast(&node, &Message::Suspect(suspect));
        let parameters = &self.options.parameters;
        let members = self.members.len();
        let wanted = usize::try_from(parameters.suspicion_mult.saturating_sub(2));
        let wanted = wanted.unwrap_or(0);
        // Too few others to confirm: the shortest time has to do.
        let wanted = if members < wanted + 2 { 0 } else { wanted };
        let shortest = parameters.suspicion_min(members);
        let longest = shortest.saturating_mul(parameters.suspicion_max_timeout_mult);
        let suspicion = Suspicion::new(by.clone(), wanted, shortest, longest, now);
        self.suspicions.insert(node.clone(), suspicion);
        self.counters.suspicions += 1;
        self.tell(&node, MemberState::Suspect, &by);
    }

    pub(super) fn suspicions_due(&mut self, now: Instant) {
        let due = |(_, s): &(&String, &Suspicion)| s.deadline() <= now;
        let over: Vec<String> = self
            .suspicions
            .iter()
            .filter(due)
            .map(|(node, _)| node.clone())
            .collect();
        for node in over {
            self.suspicions.remove(&node);
            let Some(member) = self.members.get(&node) else {
                continue;
            };
            let dead = Accusation {
                incarnation: member.alive.incarnation,
                node,
                from: self.options.name.clone(),
            };
            self.hear_dead(dead, now);
        }
    }

    /// A member died, or left if it says so itself.
    pub(super) fn hear_dead(&mut self, dead: Accusation, now: Instant) {
        let Some(member) = self.members.get(&dead.node) else {
            return self.drop(Drop::Unknown);
        };
        if dead.incarnation < member.alive.incarnation {
            self.vouch(&dead, now);
            return self.drop(Drop::Stale);
        }
        if dead.node == self.options.name {
            if self.presence == Presence::Here {
                self.refute(dead.incarnation);
                self.answer_accuser(&dead);
                self.hurry(now);
            }
            return;
        }
        self.suspicions.remove(&dead.node);
        if !member.state.is_present() {
            return;
        }
        let state = if dead.node == dead.from {
            MemberState::Left
        } else {
            MemberState::Dead
        };
        if let Some(member) = self.members.get_mut(&dead.node) {
            member.alive.incarnation = dead.incarnation;
            member.set(state, now);
        }
        let (node, by) = (dead.node.clone(), dead.from.clone());
        let message = Message::Dead(dead);
        self.broadcast(&node, &message);
        self.tell(&node, state, &by);
        // Others wait for this: what fails over does so when they know.
        if by == self.options.name {
            self.urge(&message, now);
        } else {
            self.hurry(now);
        }
        self.left_if_told();
    }
}

/// Whether we can talk with a member of these versions.
fn speaks(versions: Versions) -> bool {
    let ours = Versions::OURS.protocol;
    versions.protocol_min > 0
        && versions.protocol_min <= versions.protocol_max
        && (versions.protocol_min..=versions.protocol_max).contains(&ours)
}
