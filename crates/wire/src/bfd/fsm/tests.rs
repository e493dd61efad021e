//! Every state with every event.

use super::Event::{Disable, EchoLost, Enable, Expired, Heard};
use super::State::{AdminDown, Down, Init, Up};
use super::{State, transition};
use crate::bfd::Diagnostic;

#[test]
fn every_state_with_every_event() {
    let same = None;
    let none = |to| Some((to, Diagnostic::NONE));
    let told = Some((Down, Diagnostic::NEIGHBOR_DOWN));
    let late = Some((Down, Diagnostic::TIME_EXPIRED));
    let echo = Some((Down, Diagnostic::ECHO_FAILED));
    let off = Some((AdminDown, Diagnostic::ADMIN_DOWN));
    #[rustfmt::skip]
    let rows = [
        (AdminDown, [same, same, same, same, same, same, same, none(Down)]),
        (Down, [same, none(Init), none(Up), same, same, same, off, same]),
        (Init, [told, same, none(Up), none(Up), late, echo, off, same]),
        (Up, [told, told, same, same, late, echo, off, same]),
    ];
    let events = [
        Heard(AdminDown),
        Heard(Down),
        Heard(Init),
        Heard(Up),
        Expired,
        EchoLost,
        Disable,
        Enable,
    ];
    for (state, wanted) in rows {
        for (event, wanted) in events.into_iter().zip(wanted) {
            assert_eq!(transition(state, event), wanted, "{state:?} {event:?}");
        }
    }
}

#[test]
fn two_bits_say_a_state() {
    for state in [AdminDown, Down, Init, Up] {
        assert_eq!(State::from_bits(state.bits()), state);
    }
    assert_eq!([AdminDown, Down, Init, Up].map(State::bits), [0, 1, 2, 3]);
}
