//! Our intervals: what is said, what is used, and the poll sequence between the two
//! (RFC 5880 §6.5, §6.8.3).

use super::Timers;
use crate::bfd::State;
use std::time::Duration;

/// While a session isn't up nothing is sent faster (RFC 5880 §6.8.3, MUST).
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// What is said and what is used.
#[derive(Clone, Debug)]
pub(super) struct Intervals {
    said: Timers,
    /// Between our packets, before jitter.
    transmit: Duration,
    /// Between the peer's, for the detection time.
    receive: Duration,
    poll: Poll,
}

/// Whether the peer is being told of new intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    Running,
    /// They changed again: the answer on its way may be to the ones before.
    Again,
}

impl Intervals {
    pub(super) fn new(timers: Timers) -> Self {
        Self {
            said: timers,
            transmit: timers.desired_min_tx.max(SLOW),
            receive: timers.required_min_rx,
            poll: Poll::Idle,
        }
    }

    /// Our interval to send at, as the peer is told it in `state`.
    pub(super) fn desired(&self, state: State) -> Duration {
        match state {
            State::Up => self.said.desired_min_tx,
            State::AdminDown | State::Down | State::Init => self.said.desired_min_tx.max(SLOW),
        }
    }

    pub(super) fn transmit(&self) -> Duration {
        self.transmit
    }

    pub(super) fn receive(&self) -> Duration {
        self.receive
    }

    /// Whether packets are to have the P bit.
    pub(super) fn polling(&self) -> bool {
        self.poll != Poll::Idle
    }

    /// The session goes from one state to another.
    pub(super) fn enter(&mut self, timers: Timers, from: State, to: State) {
        self.said = timers;
        let before = self.desired(from);
        let after = self.desired(to);
        self.transmit = after;
        self.receive = timers.required_min_rx;
        self.poll = if to == State::Up && after != before {
            Poll::Running
        } else {
            Poll::Idle
        };
    }

    /// The intervals are `timers` from now on; `known` says whether the peer can be told.
    pub(super) fn change(&mut self, timers: Timers, state: State, known: bool) {
        let same = self.said.desired_min_tx == timers.desired_min_tx
            && self.said.required_min_rx == timers.required_min_rx;
        self.said = timers;
        if same {
            return;
        }
        let desired = self.desired(state);
        if state == State::Up {
            // Sending more slowly, and expecting more, waits until the peer knows (MUST NOT).
            self.transmit = self.transmit.min(desired);
            self.receive = self.receive.max(timers.required_min_rx);
        } else {
            self.transmit = desired;
            self.receive = timers.required_min_rx;
        }
        if known {
            self.poll = match self.poll {
                Poll::Idle => Poll::Running,
                Poll::Running | Poll::Again => Poll::Again,
            };
        }
    }

    /// The peer answered a poll.
    pub(super) fn confirm(&mut self, state: State) {
        match self.poll {
            Poll::Idle => {}
            Poll::Again => self.poll = Poll::Running,
            Poll::Running => {
                self.poll = Poll::Idle;
                self.transmit = self.desired(state);
                self.receive = self.said.required_min_rx;
            }
        }
    }
}
