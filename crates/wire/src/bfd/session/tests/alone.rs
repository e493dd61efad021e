//! One session against packets made by hand.

use super::super::{Ignored, Output, Session};
use super::{ms, options, start};
use crate::bfd::{Diagnostic, Packet, State};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

fn packet(state: State, yours: u32) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        final_: false,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: 3,
        my_discriminator: NonZeroU32::new(9).unwrap(),
        your_discriminator: yours,
        desired_min_tx: ms(100),
        required_min_rx: ms(100),
        required_min_echo_rx: Duration::ZERO,
    }
}

fn hear(session: &mut Session, packet: &Packet, now: Instant) -> Result<(), Ignored> {
    session.handle_packet(&packet.encode(), 255, now)
}

/// Packets sent since last asked.
fn sent(session: &mut Session) -> Vec<Packet> {
    let mut sent = Vec::new();
    while let Some(output) = session.poll_output() {
        match output {
            Output::Send(bytes) => sent.push(Packet::decode(&bytes).unwrap()),
            Output::SendEcho(_) | Output::Changed(_) => {}
        }
    }
    sent
}

fn up(now: Instant) -> Session {
    let mut session = Session::new(options(1, 50, 50, 3), now);
    hear(&mut session, &packet(State::Down, 0), now).unwrap();
    hear(&mut session, &packet(State::Init, 1), now).unwrap();
    assert_eq!(session.state().state, State::Up);
    sent(&mut session);
    session
}

/// Lets time pass in the steps asked for.
fn pass(session: &mut Session, from: Instant, time: Duration) -> Vec<Packet> {
    let mut all = Vec::new();
    while let Some(at) = session.poll_timeout().filter(|at| *at <= from + time) {
        session.handle_timeout(at);
        all.extend(sent(session));
    }
    all
}

#[test]
fn a_packet_for_another_session_changes_nothing() {
    let now = start();
    let mut session = Session::new(options(1, 50, 50, 3), now);
    let before = session.state();
    let heard = hear(&mut session, &packet(State::Down, 2), now);
    assert_eq!(heard, Err(Ignored::Elsewhere(2)));
    assert_eq!(session.state().peer, before.peer);
    assert_eq!(session.state().ignored, 1);
}

#[test]
fn a_poll_is_answered_at_once_and_only_once() {
    let now = start();
    let mut session = up(now);
    let mut poll = packet(State::Up, 1);
    poll.poll = true;
    hear(&mut session, &poll, now).unwrap();
    let answers = sent(&mut session);
    assert!(
        matches!(
            answers[..],
            [Packet {
                final_: true,
                poll: false,
                ..
            }]
        ),
        "{answers:?}"
    );
}

#[test]
fn a_peer_in_demand_mode_is_left_in_peace_but_for_polls() {
    let now = start();
    let mut session = up(now);
    let mut quiet = packet(State::Up, 1);
    quiet.demand = true;
    quiet.final_ = true;
    hear(&mut session, &quiet, now).unwrap();
    assert_eq!(pass(&mut session, now, ms(250)), []);
    assert_eq!(session.state().transmit_interval, None);
    // New intervals are polled for until they are answered.
    let mut timers = options(1, 80, 50, 3).timers;
    let now = now + ms(250);
    session.set_timers(timers, now);
    let polls = pass(&mut session, now, ms(40));
    assert!(sent(&mut session).iter().chain(&polls).all(|p| p.poll));
    hear(&mut session, &quiet, now + ms(40)).unwrap();
    assert_eq!(pass(&mut session, now + ms(40), ms(200)), []);
    // The peer itself has to go on sending.
    pass(&mut session, now, ms(400));
    assert_eq!(session.state().state, State::Down);
    timers.detect_multiplier = 5;
    session.set_timers(timers, now + ms(400));
    assert_eq!(session.state().state, State::Down);
}

#[test]
fn a_peer_that_cannot_receive_is_not_sent_to() {
    let now = start();
    let mut session = up(now);
    let mut deaf = packet(State::Up, 1);
    deaf.required_min_rx = Duration::ZERO;
    deaf.final_ = true;
    hear(&mut session, &deaf, now).unwrap();
    assert_eq!(pass(&mut session, now, ms(290)), []);
    // Until it is silent for too long itself.
    let called = pass(&mut session, now, ms(300));
    assert!(!called.is_empty() && called.iter().all(|p| p.state == State::Down));
}

#[test]
fn what_the_peer_says_of_its_control_plane_is_passed_on() {
    let now = start();
    for independent in [true, false] {
        let mut session = up(now);
        let mut told = packet(State::Up, 1);
        told.control_plane_independent = independent;
        hear(&mut session, &told, now).unwrap();
        sent(&mut session);
        session.handle_timeout(now + ms(300));
        let changes = std::iter::from_fn(|| session.poll_output());
        let changed = changes.into_iter().find_map(|output| match output {
            Output::Changed(change) => Some(change),
            Output::Send(_) | Output::SendEcho(_) => None,
        });
        let changed = changed.unwrap();
        assert_eq!(changed.peer_control_plane_independent, independent);
        assert_eq!(changed.diagnostic, Diagnostic::TIME_EXPIRED);
    }
}

#[test]
fn late_timers_are_no_dead_peer_if_packets_go_first() {
    let now = start();
    let mut session = up(now);
    // This process slept for a minute; the peer's packets waited.
    let late = now + Duration::from_secs(60);
    hear(&mut session, &packet(State::Up, 1), late).unwrap();
    session.handle_timeout(late);
    assert_eq!(session.state().state, State::Up);
}

proptest! {
    /// Whatever arrives, nothing panics, deadlines don't lie in the past once served, and what is
    /// sent can be read.
    #[test]
    fn random_frames(
        frames in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), any::<u8>(), 0..2000_u64), 0..60),
        near in prop::collection::vec((0..24_usize, any::<u8>(), 0..2000_u64), 0..60),
    ) {
        let mut now = start();
        let mut session = Session::new(options(1, 50, 50, 3), now);
        let made = near.into_iter().map(|(at, byte, wait)| {
            let mut bytes = packet(State::Down, 1).encode();
            bytes[at] = byte;
            (bytes.to_vec(), 255, wait)
        });
        for (frame, ttl, wait) in frames.into_iter().chain(made) {
            now += ms(wait);
            let _ = session.handle_packet(&frame, ttl, now);
            session.handle_echo(&frame, now);
            session.handle_timeout(now);
            prop_assert!(session.poll_timeout().is_none_or(|at| at > now));
            sent(&mut session);
        }
    }
}
