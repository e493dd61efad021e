//! The ways to go: at once, for a restart, or so that nobody's traffic is lost (RFC 8326).

use super::connection::Side;
use super::{Notice, Output, Peer};
use crate::bgp::fsm::{Event, State};
use crate::bgp::iana::{
    CEASE_ADMINISTRATIVE_RESET, CEASE_ADMINISTRATIVE_SHUTDOWN, CEASE_PEER_DECONFIGURED,
};
use crate::bgp::notification::Notification;
use crate::bgp::routes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// For good, with a text for the peer's operator: Cease/Administrative Shutdown.
    Shutdown(String),
    /// The peer isn't configured any more: Cease/Peer De-configured.
    Deconfigured,
    /// This process ends and comes back: without a word if the peer keeps our routes, else with
    /// Cease/Administrative Reset.
    Restart,
}

/// How far a leaving peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// Routes carry GRACEFUL_SHUTDOWN, until the peer has had time to choose others.
    Saying {
        until: Instant,
        text: String,
    },
    /// Routes are being withdrawn, until they are or it takes too long.
    Withdrawing {
        until: Instant,
        text: String,
    },
    Left,
}

impl Leaving {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Saying { until, .. } | Self::Withdrawing { until, .. } => Some(*until),
            Self::No | Self::Left => None,
        }
    }
}

/// A peer that hasn't taken the withdrawals by then gets the end of the session instead.
const WITHDRAW_TIME: Duration = Duration::from_secs(5);

impl Peer {
    /// Stops; what is to be sent comes before the closing.
    pub fn handle_stop(&mut self, how: &Stop, now: Instant) {
        self.stop(how, now);
        self.stay();
    }

    /// Wants the table again that was asked for.
    pub(super) fn stay(&mut self) {
        if self.leaving != Leaving::No {
            self.leaving = Leaving::No;
            if let Some(wanted) = self.wanted.clone() {
                self.rib.set(wanted);
            }
        }
    }

    fn stop(&mut self, how: &Stop, now: Instant) {
        self.started = false;
        let kept = self
            .session()
            .is_some_and(|session| session.negotiated.kept);
        let farewell = match how {
            Stop::Shutdown(text) => Some(Notification::cease_saying(
                CEASE_ADMINISTRATIVE_SHUTDOWN,
                text,
            )),
            Stop::Deconfigured => Some(Notification::cease(CEASE_PEER_DECONFIGURED)),
            // RFC 4724 §4: the peer keeps routes when the session ends without a NOTIFICATION.
            Stop::Restart if kept => None,
            Stop::Restart => Some(Notification::cease_saying(
                CEASE_ADMINISTRATIVE_RESET,
                "restarting",
            )),
        };
        for side in [Side::Rival, Side::Main] {
            self.step(side, Event::ManualStop(farewell.clone()), "", now);
        }
    }

    /// Goes without a loss, also where graceful restart would keep the routes: they are marked
    /// with GRACEFUL_SHUTDOWN (RFC 8326 §4), withdrawn after `wait`, and the session ends with
    /// Cease/Administrative Shutdown and `text`. [`Notice::Left`] follows.
    pub fn handle_leave(&mut self, text: &str, wait: Duration, now: Instant) {
        if self.leaving != Leaving::No {
            return;
        }
        let text = text.to_owned();
        if self.main.fsm.state() != State::Established {
            self.leave(text, now);
            return;
        }
        if let Some(wanted) = &self.wanted {
            self.rib.set(Arc::new(routes::leaving(wanted)));
        }
        let until = now + wait;
        self.leaving = Leaving::Saying { until, text };
        self.pump(now);
        self.leave_further(now);
    }

    fn leave(&mut self, text: String, now: Instant) {
        self.leaving = Leaving::Left;
        self.stop(&Stop::Shutdown(text), now);
        self.outputs.push_back(Output::Notice(Notice::Left));
    }

    /// The next step of leaving, if it is time for it.
    pub(super) fn leave_further(&mut self, now: Instant) {
        let up = self.main.fsm.state() == State::Established;
        match self.leaving.clone() {
            Leaving::No | Leaving::Left => {}
            Leaving::Saying { text, .. } if !up => self.leave(text, now),
            Leaving::Saying { until, text } if until <= now => {
                let until = now + WITHDRAW_TIME;
                self.leaving = Leaving::Withdrawing { until, text };
                // Without a table nothing was announced, and no End-of-RIB is due either.
                if self.wanted.is_some() {
                    self.rib.set(Arc::default());
                }
                self.pump(now);
                self.leave_further(now);
            }
            Leaving::Saying { .. } => {}
            Leaving::Withdrawing { until, text } => {
                let connection = self.main.connection.as_ref();
                let queued = connection.map_or(0, |connection| connection.queued);
                let done = self.rib.pending() == 0 && queued == 0;
                if done || !up || until <= now {
                    self.leave(text, now);
                }
            }
        }
    }
}
