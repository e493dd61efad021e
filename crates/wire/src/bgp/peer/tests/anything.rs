//! Whatever comes, in whatever order: the machine keeps its invariants.

use super::*;
use crate::bgp::tests::{Mutator, arbitrary};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// What the caller knows about the machine's connections.
#[derive(Default)]
struct Caller {
    dialing: Option<ConnectionId>,
    open: Vec<ConnectionId>,
    queued: BTreeMap<ConnectionId, usize>,
    ups: u64,
    downs: u64,
}

impl Caller {
    fn drain(&mut self, peer: &mut Peer) {
        for _ in 0..10_000 {
            let Some(output) = peer.poll_output() else {
                return;
            };
            match output {
                Output::Connect { connection } => {
                    assert_eq!(self.dialing, None, "one at a time");
                    self.dialing = Some(connection);
                }
                Output::Send { connection, bytes } => {
                    assert!(
                        self.open.contains(&connection),
                        "only where there is a connection"
                    );
                    *self.queued.entry(connection).or_default() += bytes.len();
                }
                Output::Close { connection } => {
                    let known = self.dialing == Some(connection);
                    assert!(known || self.open.contains(&connection), "closed once");
                    self.open.retain(|open| *open != connection);
                    if known {
                        self.dialing = None;
                    }
                }
                Output::Notice(Notice::SessionUp(_)) => self.ups += 1,
                Output::Notice(Notice::SessionDown(_)) => self.downs += 1,
                Output::Notice(Notice::AttemptFailed(_) | Notice::EndOfRib(_) | Notice::Left) => {}
            }
        }
        panic!("never runs dry");
    }

    fn check(&self, peer: &Peer) {
        assert!(self.open.len() + usize::from(self.dialing.is_some()) <= 2);
        let up = peer.state() == State::Established;
        assert_eq!(self.ups - self.downs, u64::from(up));
        assert_eq!(up, peer.session().is_some());
        let counters = peer.counters();
        assert_eq!(
            (counters.established, counters.lost),
            (self.ups, self.downs)
        );
        let running = matches!(peer.state(), State::Idle | State::Active);
        assert!(running || !self.open.is_empty() || self.dialing.is_some());
        for (id, octets) in &self.queued {
            if self.open.contains(id) {
                assert!(*octets <= peer.options().send_buffer + 4096, "{octets}");
            }
        }
    }
}

/// Something that may happen at any time.
struct Chance {
    rng: Mutator,
    runner: TestRunner,
    open: Vec<u8>,
    now: Instant,
}

impl Chance {
    /// One of the open connections.
    fn connection(&mut self, caller: &Caller) -> Option<ConnectionId> {
        let at = self.rng.below(caller.open.len());
        caller.open.get(at).copied()
    }

    fn happen(&mut self, peer: &mut Peer, caller: &mut Caller) {
        let now = self.now;
        match self.rng.below(24) {
            0..=5 => self.command(peer),
            6..=8 => {
                if let Some(id) = caller.dialing {
                    if self.rng.below(4) == 0 {
                        peer.handle_connect_failed(id, "refused", now);
                    } else {
                        caller.dialing = None;
                        caller.open.push(id);
                        peer.handle_connected(id, ends("10.0.0.1", "10.0.0.2"), now);
                    }
                }
            }
            9 => {
                let taken = peer.handle_accepted(ends("10.0.0.1", "10.0.0.2"), now);
                caller.open.extend(taken.ok());
            }
            11 | 12 => {
                for (id, octets) in std::mem::take(&mut caller.queued) {
                    peer.handle_sent(id, octets, now);
                }
            }
            10 | 13..=20 => {
                if let Some(id) = self.connection(caller) {
                    self.hear(id, peer, caller);
                }
            }
            _ => peer.handle_timeout(now),
        }
    }

    fn command(&mut self, peer: &mut Peer) {
        let now = self.now;
        match self.rng.below(8) {
            0 | 1 => peer.handle_start(now),
            2 if self.rng.below(4) == 0 => {
                let how = [
                    Stop::Shutdown("x".into()),
                    Stop::Deconfigured,
                    Stop::Restart,
                ];
                peer.handle_stop(&how[self.rng.below(3)], now);
            }
            3 => peer.handle_bfd_down(now),
            4 if self.rng.below(3) == 0 => peer.handle_leave("bye", Duration::from_secs(2), now),
            _ => {
                let count = u32::try_from(self.rng.below(1_500)).unwrap();
                peer.handle_routes(many(count, count), now);
            }
        }
    }

    fn hear(&mut self, id: ConnectionId, peer: &mut Peer, caller: &mut Caller) {
        let now = self.now;
        match self.rng.below(9) {
            0 => peer.handle_closed(id, "reset", now),
            1..=4 => {
                peer.handle_bytes(id, &self.open, now);
                caller.drain(peer);
                peer.handle_bytes(id, &encode(&Message::Keepalive), now);
            }
            _ => {
                let message = arbitrary::message()
                    .new_tree(&mut self.runner)
                    .unwrap()
                    .current();
                if let Ok(mut bytes) = message.encode(true, 4096) {
                    for _ in 0..self.rng.below(3) {
                        self.rng.mutate(&mut bytes);
                    }
                    peer.handle_bytes(id, &bytes, now);
                }
            }
        }
    }
}

#[test]
fn any_sequence_keeps_the_invariants() {
    let mut ups = 0;
    let mut chance = Chance {
        rng: Mutator(1),
        runner: TestRunner::deterministic(),
        open: encode(&Message::Open(
            options(64513, [10, 0, 0, 2]).open(false, false),
        )),
        now: start(),
    };
    for seed in 0..30 {
        let options = PeerOptions {
            send_buffer: 70_000,
            delay_open: Duration::from_secs([0, 3][chance.rng.below(2)]),
            dial: [Dial::Active, Dial::Passive][chance.rng.below(2)],
            ..options(64512, [10, 0, 0, 1])
        };
        let mut peer = Peer::new(options, seed);
        let mut caller = Caller::default();
        for _ in 0..400 {
            let wait = chance.rng.below(4_000);
            chance.now += Duration::from_millis(u64::try_from(wait).unwrap());
            chance.happen(&mut peer, &mut caller);
            caller.drain(&mut peer);
            caller.check(&peer);
        }
        ups += caller.ups;
    }
    assert!(ups > 25, "{ups} sessions: too few to show anything");
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut net = Net::external();
        net.peers[A].handle_routes(many(2_000, 1), net.now);
        net.listens = [true, false];
        net.start();
        let begin = net.now;
        net.seconds(100);
        let at: Vec<_> = net.peers[A]
            .messages()
            .map(|m| (m.at - begin, m.bytes.clone()))
            .collect();
        (at, net.peers[A].poll_timeout().map(|at| at - begin))
    };
    assert_eq!(run(), run());
}
