//! Two sessions back to back on a virtual clock, and one alone against packets made by hand.

mod alone;

use super::{Change, Ignored, Output, Session};
use crate::bfd::options::{Echo, Options, Path, Role, Timers};
use crate::bfd::{Diagnostic, Packet, State};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Some moment.
#[expect(clippy::disallowed_methods, reason = "a test needs a first moment")]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn options(discriminator: u32, tx: u64, rx: u64, multiplier: u8) -> Options {
    Options {
        discriminator: NonZeroU32::new(discriminator).unwrap(),
        timers: Timers {
            desired_min_tx: ms(tx),
            required_min_rx: ms(rx),
            detect_multiplier: multiplier,
        },
        role: Role::Active,
        path: Path::SingleHop,
        echo: Echo::Off,
        control_plane_independent: false,
        seed: discriminator.into(),
    }
}

/// A packet or an echo under way.
#[derive(Debug)]
struct Flight {
    arrives: Instant,
    to: usize,
    payload: Vec<u8>,
    echo: bool,
}

/// Two sessions and a cable.
struct Cable {
    start: Instant,
    now: Instant,
    ends: [Session; 2],
    flights: VecDeque<Flight>,
    /// Whether packets to each end get through.
    open: [bool; 2],
    /// Whether echoes come back.
    echoing: bool,
    ttl: u8,
    /// Every change: milliseconds since the start, end, change.
    changes: Vec<(u64, usize, Change)>,
    /// When each end sent control packets, and what.
    sent: [Vec<(Instant, Packet)>; 2],
    echoes: usize,
}

const LATENCY: Duration = Duration::from_millis(1);

impl Cable {
    fn new(a: Options, b: Options) -> Self {
        let start = start();
        Self {
            start,
            now: start,
            ends: [Session::new(a, start), Session::new(b, start)],
            flights: VecDeque::new(),
            open: [true; 2],
            echoing: true,
            ttl: 255,
            changes: Vec::new(),
            sent: [Vec::new(), Vec::new()],
            echoes: 0,
        }
    }

    fn drain(&mut self) {
        for end in 0..2 {
            while let Some(output) = self.ends[end].poll_output() {
                let arrives = self.now + LATENCY;
                match output {
                    Output::Send(bytes) => {
                        let packet = Packet::decode(&bytes).unwrap();
                        assert!(!(packet.poll && packet.final_));
                        self.sent[end].push((self.now, packet));
                        self.flights.push_back(Flight {
                            arrives,
                            to: 1 - end,
                            payload: bytes.to_vec(),
                            echo: false,
                        });
                    }
                    Output::SendEcho(bytes) => {
                        self.echoes += 1;
                        self.flights.push_back(Flight {
                            arrives: arrives + LATENCY,
                            to: end,
                            payload: bytes.to_vec(),
                            echo: true,
                        });
                    }
                    Output::Changed(change) => {
                        let at = (self.now - self.start).as_millis() as u64;
                        self.changes.push((at, end, change));
                    }
                }
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.drain();
            let timers = self.ends.iter().filter_map(Session::poll_timeout);
            let arrivals = self.flights.iter().map(|f| f.arrives);
            let next = timers.chain(arrivals).min().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.now = next.max(self.now);
            while let Some(at) = self.flights.iter().position(|f| f.arrives <= next) {
                let flight = self.flights.remove(at).unwrap();
                let end = &mut self.ends[flight.to];
                if flight.echo && self.echoing {
                    end.handle_echo(&flight.payload, self.now);
                } else if !flight.echo && self.open[flight.to] {
                    let _ = end.handle_packet(&flight.payload, self.ttl, self.now);
                }
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
        self.now = until;
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state().state, self.ends[1].state().state]
    }

    /// Two that are up.
    fn up(a: Options, b: Options) -> Self {
        let mut cable = Self::new(a, b);
        cable.run(Duration::from_secs(5));
        assert_eq!(cable.states(), [State::Up; 2]);
        cable.changes.clear();
        cable.sent = [Vec::new(), Vec::new()];
        cable
    }
}

#[test]
fn both_come_up_slowly_and_then_run_at_the_agreed_intervals() {
    let mut cable = Cable::new(options(1, 50, 50, 3), options(2, 20, 100, 5));
    cable.run(Duration::from_secs(5));
    for end in 0..2 {
        let own = cable.changes.iter().filter(|(_, e, _)| *e == end);
        let steps: Vec<_> = own.map(|(_, _, change)| change.to).collect();
        assert_eq!(steps, [State::Init, State::Up], "{end}");
    }
    for end in 0..2 {
        // Until up, at least 750 ms between packets, but for news and answers.
        let slow = cable.sent[end]
            .iter()
            .take_while(|(_, p)| p.state != State::Up);
        assert!(slow.clone().all(|(_, p)| p.desired_min_tx == ms(1000)));
        let state = cable.ends[end].state();
        // The larger of what one wants to send at and the other can receive at.
        let (interval, detection) = [(ms(100), ms(5 * 50)), (ms(50), ms(3 * 100))][end];
        assert_eq!(state.transmit_interval, Some(interval), "{end}");
        assert_eq!(state.detection_time, Some(detection), "{end}");
        let times: Vec<_> = cable.sent[end].iter().map(|(at, _)| *at).collect();
        let late = times.windows(2).rev().take(20).map(|w| w[1] - w[0]);
        for gap in late {
            assert!(gap >= interval * 3 / 4 && gap <= interval, "{end}: {gap:?}");
        }
        let polls = cable.sent[end].iter().filter(|(_, p)| p.poll).count();
        let finals = cable.sent[end].iter().filter(|(_, p)| p.final_).count();
        assert!(
            (1..4).contains(&polls),
            "{polls}: one poll sequence, which ends"
        );
        assert!(finals >= 1);
    }
}

#[test]
fn slow_until_up() {
    let mut cable = Cable::new(options(1, 10, 10, 3), options(2, 10, 10, 3));
    cable.open = [false; 2];
    cable.run(Duration::from_secs(60));
    for sent in &cable.sent {
        assert!((60..=81).contains(&sent.len()), "{}", sent.len());
    }
}

#[test]
fn silence_is_noticed_in_time_and_told() {
    let mut cable = Cable::up(options(1, 50, 50, 3), options(2, 50, 50, 3));
    // What 2 says still arrives; what 1 says doesn't.
    cable.open[1] = false;
    let cut = cable.now;
    cable.run(ms(200));
    let [(at, end, first), (_, other, second)] = cable.changes[..] else {
        panic!("{:?}", cable.changes);
    };
    let after = cable.start + ms(at) - cut;
    assert!(after >= ms(99) && after <= ms(151), "{after:?}");
    assert_eq!((end, first.from, first.to), (1, State::Up, State::Down));
    assert_eq!(first.diagnostic, Diagnostic::TIME_EXPIRED);
    assert_eq!((other, second.to), (0, State::Down));
    assert_eq!(second.diagnostic, Diagnostic::NEIGHBOR_DOWN);
    let told = cable.sent[1]
        .iter()
        .find(|(_, p)| p.state == State::Down)
        .unwrap()
        .1;
    assert_eq!(told.diagnostic, Diagnostic::TIME_EXPIRED);
    assert_eq!(told.your_discriminator, 0, "forgotten");
    assert_eq!(told.desired_min_tx, ms(1000));
    cable.open[1] = true;
    cable.run(Duration::from_secs(5));
    assert_eq!(cable.states(), [State::Up; 2]);
}

#[test]
fn one_lost_packet_is_not_the_end() {
    let mut cable = Cable::up(options(1, 50, 50, 3), options(2, 50, 50, 3));
    for _ in 0..50 {
        cable.open = [false; 2];
        cable.run(ms(60));
        cable.open = [true; 2];
        cable.run(ms(60));
    }
    assert_eq!(cable.changes, []);
}

#[test]
fn timers_change_by_a_poll_sequence_without_the_session_going_down() {
    let mut cable = Cable::up(options(1, 50, 50, 3), options(2, 50, 50, 3));
    let timers = |tx, rx| Timers {
        desired_min_tx: ms(tx),
        required_min_rx: ms(rx),
        detect_multiplier: 3,
    };
    // Slower: only once the peer has answered.
    let now = cable.now;
    cable.open[1] = false;
    cable.ends[0].set_timers(timers(400, 50), now);
    assert_eq!(cable.ends[0].state().transmit_interval, Some(ms(50)));
    cable.run(ms(40));
    assert!(
        cable.sent[0]
            .iter()
            .all(|(_, p)| p.poll && p.desired_min_tx == ms(400))
    );
    assert_eq!(
        cable.ends[0].state().transmit_interval,
        Some(ms(50)),
        "not answered yet"
    );
    cable.open[1] = true;
    cable.run(ms(400));
    assert_eq!(cable.ends[0].state().transmit_interval, Some(ms(400)));
    assert_eq!(cable.ends[1].state().detection_time, Some(ms(1200)));
    // A second change while the first is under way is asked about again.
    let now = cable.now;
    cable.sent = [Vec::new(), Vec::new()];
    cable.ends[0].set_timers(timers(100, 200), now);
    cable.ends[0].set_timers(timers(20, 20), now);
    cable.run(ms(1000));
    assert!(cable.sent[1].iter().filter(|(_, p)| p.final_).count() >= 2);
    assert_eq!(cable.ends[0].state().transmit_interval, Some(ms(50)));
    assert_eq!(cable.ends[0].state().detection_time, Some(ms(150)));
    // The same again is no change.
    let sent = cable.ends[0].state().sent;
    let now = cable.now;
    cable.ends[0].set_timers(timers(20, 20), now);
    assert_eq!(cable.ends[0].state().sent, sent);
    assert_eq!(cable.changes, []);
}

#[test]
fn administratively_down_is_told_and_lasts() {
    let mut cable = Cable::up(options(1, 50, 50, 3), options(2, 50, 50, 3));
    let now = cable.now;
    cable.ends[0].disable(now);
    cable.run(ms(10));
    assert_eq!(cable.states(), [State::AdminDown, State::Down]);
    let change = cable.changes[1].2;
    assert_eq!(change.peer, State::AdminDown, "no failure of the path");
    cable.run(Duration::from_secs(10));
    assert_eq!(cable.states(), [State::AdminDown, State::Down]);
    let now = cable.now;
    cable.ends[0].enable(now);
    cable.run(Duration::from_secs(5));
    assert_eq!(cable.states(), [State::Up; 2]);
    assert_eq!(cable.ends[0].state().diagnostic, Diagnostic::NONE);
}

#[test]
fn a_passive_end_waits_to_be_called() {
    let passive = |discriminator| Options {
        role: Role::Passive,
        ..options(discriminator, 50, 50, 3)
    };
    let mut both = Cable::new(passive(1), passive(2));
    both.run(Duration::from_secs(30));
    assert!(both.sent.iter().all(Vec::is_empty));
    let mut one = Cable::up(passive(1), options(2, 50, 50, 3));
    // Once the peer is gone it falls silent again.
    one.open = [false; 2];
    one.run(Duration::from_secs(2));
    one.sent = [Vec::new(), Vec::new()];
    one.run(Duration::from_secs(10));
    assert!(one.sent[0].is_empty() && !one.sent[1].is_empty());
    one.open = [true; 2];
    one.run(Duration::from_secs(5));
    assert_eq!(one.states(), [State::Up; 2]);
}

#[test]
fn echoes_run_at_the_peers_pace_and_their_loss_is_noticed() {
    let with = |discriminator, interval| Options {
        echo: Echo::On {
            interval: ms(interval),
            returned: true,
        },
        ..options(discriminator, 300, 300, 3)
    };
    let mut cable = Cable::up(with(1, 20), with(2, 40));
    assert!(cable.ends.iter().all(|end| end.state().echo));
    cable.echoes = 0;
    cable.run(ms(4000));
    // Two ends, each every 30 to 40 ms.
    assert!((200..=267).contains(&cable.echoes), "{}", cable.echoes);
    assert_eq!(cable.changes, []);
    cable.echoing = false;
    cable.run(ms(125));
    assert!(!cable.changes.is_empty());
    let echo_failed = |c: &(u64, usize, Change)| c.2.diagnostic == Diagnostic::ECHO_FAILED;
    assert!(cable.changes.iter().any(echo_failed));
    // What isn't sent can't come back.
    let mut cable = Cable::up(with(1, 20), with(2, 40));
    cable.echoing = false;
    for _ in 0..100 {
        cable.run(ms(10));
        for end in &mut cable.ends {
            end.handle_echo_unsent(cable.now);
        }
    }
    assert_eq!(cable.changes, []);
    // Against a peer that returns none, or can't, none is sent.
    let unable = Options {
        echo: Echo::On {
            interval: ms(20),
            returned: false,
        },
        ..options(2, 50, 50, 3)
    };
    let mut cable = Cable::up(with(1, 20), unable);
    cable.run(ms(100));
    assert!(!cable.ends[0].state().echo && cable.ends[1].state().echo);
    let mut cable = Cable::up(with(1, 20), options(2, 50, 50, 3));
    cable.echoes = 0;
    cable.echoing = false;
    cable.run(Duration::from_secs(5));
    assert_eq!((cable.echoes, cable.changes.len()), (0, 0));
}

#[test]
fn several_hops_have_a_limit() {
    let far = |discriminator| Options {
        path: Path::MultiHop { minimum_ttl: 250 },
        ..options(discriminator, 50, 50, 3)
    };
    let mut cable = Cable::new(far(1), far(2));
    cable.ttl = 249;
    cable.run(Duration::from_secs(5));
    assert_eq!(cable.states(), [State::Down; 2]);
    assert!(cable.ends[0].state().ignored > 0);
    cable.ttl = 250;
    cable.run(Duration::from_secs(5));
    assert_eq!(cable.states(), [State::Up; 2]);
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut cable = Cable::new(options(1, 50, 50, 3), options(2, 30, 30, 3));
        cable.run(Duration::from_secs(3));
        let start = cable.start;
        let sent = cable.sent.into_iter().flatten();
        sent.map(|(at, packet)| (at - start, packet))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn only_neighbours_are_heard_over_one_hop() {
    let now = start();
    let mut session = Session::new(options(1, 50, 50, 3), now);
    for ttl in [0, 1, 254] {
        assert_eq!(
            session.handle_packet(&[], ttl, now),
            Err(Ignored::Ttl { ttl })
        );
    }
}
