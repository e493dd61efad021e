//! The state machine (RFC 5880 §6.2, §6.8.6), as one function.

use super::iana::Diagnostic;
use std::fmt;

/// State of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Held down by its administrator.
    AdminDown,
    /// No connection.
    Down,
    /// The peer is heard, but doesn't hear us yet.
    Init,
    /// Both hear each other.
    Up,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

impl State {
    /// Of the two bits of a packet.
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

/// What may change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A valid packet with the peer's state.
    Heard(State),
    /// The detection time passed without a packet.
    Expired,
    /// No echo came back for too long.
    EchoLost,
    /// The administrator takes the session down.
    Disable,
    /// The administrator lets it go.
    Enable,
}

/// The state after `event`, and the diagnostic if it has to change; nothing if all stays as it is.
#[must_use]
pub fn transition(state: State, event: Event) -> Option<(State, Diagnostic)> {
    use State::{AdminDown, Down, Init, Up};
    match (state, event) {
        (AdminDown, Event::Disable) => None,
        (_, Event::Disable) => Some((AdminDown, Diagnostic::ADMIN_DOWN)),
        (AdminDown, Event::Enable) => Some((Down, Diagnostic::NONE)),
        // "If bfd.SessionState is AdminDown, discard the packet."
        (AdminDown, _) | (_, Event::Enable) => None,
        (Down, Event::Heard(Down)) => Some((Init, Diagnostic::NONE)),
        (Down, Event::Heard(Init)) | (Init, Event::Heard(Init | Up)) => {
            Some((Up, Diagnostic::NONE))
        }
        (Init, Event::Heard(AdminDown)) | (Up, Event::Heard(AdminDown | Down)) => {
            Some((Down, Diagnostic::NEIGHBOR_DOWN))
        }
        (Down, Event::Heard(AdminDown | Up))
        | (Init, Event::Heard(Down))
        | (Up, Event::Heard(Init | Up))
        | (Down, Event::Expired | Event::EchoLost) => None,
        (Init | Up, Event::Expired) => Some((Down, Diagnostic::TIME_EXPIRED)),
        (Init | Up, Event::EchoLost) => Some((Down, Diagnostic::ECHO_FAILED)),
    }
}

#[cfg(test)]
mod tests;
