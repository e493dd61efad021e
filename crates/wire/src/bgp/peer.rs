//! One peer: its connections, its session, its routes.
//!
//! [`Peer`] is told what happens and when, and says what to do. After each call the caller takes
//! every [`Output`] and sleeps until [`Peer::poll_timeout`]. A call for a connection that was
//! closed already is ignored, so that the caller's events and the machine's outputs may cross.
//!
//! Invariants: nothing is sent but on a connection reported as made; not more is handed out for
//! sending than [`PeerOptions::send_buffer`], one message and a handful of short ones; a
//! change of the table never touches the session.

mod connection;
mod hear;
mod leave;
mod session;
mod status;

pub use connection::{ConnectionId, Endpoints};
pub use leave::Stop;
pub use session::Why;
pub use status::{LastError, Session};

use super::counters::Counters;
use super::family::Family;
use super::fsm::{Event, Fsm, Settings, State};
use super::iana::{CEASE_ADMINISTRATIVE_RESET, CEASE_BFD_DOWN, CEASE_CONFIGURATION_CHANGE};
use super::negotiate::Negotiated;
use super::notification::Notification;
use super::options::{Dial, PeerOptions, Restart};
use super::prefix::Prefix;
use super::received::Heard;
use super::rib::AdjRibOut;
use super::ring::Ring;
use super::routes::Routes;
use connection::{Connection, Initiator, Side, Slot};
use leave::Leaving;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What a peer's machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make a TCP connection to the peer, then call [`Peer::handle_connected`] or
    /// [`Peer::handle_connect_failed`].
    Connect {
        /// Its name from now on.
        connection: ConnectionId,
    },
    /// Write these octets behind those before, and report them with [`Peer::handle_sent`].
    Send {
        /// Where.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close the connection once what was to be sent is written, or give it up if it isn't made
    /// yet or takes nothing any more.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Something worth telling.
    Notice(Notice),
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A session is established.
    SessionUp(Box<Negotiated>),
    /// It is over.
    SessionDown(Why),
    /// An attempt came to nothing; why, in words.
    AttemptFailed(String),
    /// The peer has sent all it has of a family.
    EndOfRib(Family),
    /// [`Peer::handle_leave`] is done: routes withdrawn, session closed.
    Left,
}

/// Why a connection of the peer isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer is in state Idle, which takes no connections")]
pub struct Refused;

/// One peer.
#[derive(Clone, Debug)]
pub struct Peer {
    options: PeerOptions,
    seed: u64,
    main: Slot,
    rival: Option<Slot>,
    /// Whether it was started last, or stopped.
    started: bool,
    connections: u64,
    /// What is wanted, whatever has become of it in the [`AdjRibOut`] meanwhile.
    wanted: Option<Arc<Routes>>,
    rib: AdjRibOut,
    leaving: Leaving,
    /// OPENs say that this process has restarted.
    restarted: bool,
    heard: Heard,
    /// A NOTIFICATION that came and is about to end its connection.
    told: Option<Notification>,
    counters: Counters,
    last_error: Option<LastError>,
    ring: Ring,
    outputs: VecDeque<Output>,
}

impl Peer {
    /// A peer in Idle, not started. The same seed gives the same jitter.
    pub fn new(options: PeerOptions, seed: u64) -> Self {
        Self::numbered(options, seed, 0)
    }

    /// The same, whose connections are numbered from here on, for them not to be taken for those
    /// of a peer that had its name before.
    pub(super) fn numbered(options: PeerOptions, seed: u64, connections: u64) -> Self {
        Self {
            seed,
            main: Slot {
                fsm: Fsm::new(settings(&options), seed),
                connection: None,
            },
            rival: None,
            started: false,
            connections,
            wanted: None,
            rib: AdjRibOut::new(),
            leaving: Leaving::No,
            restarted: matches!(
                options.restart,
                Restart::Keep {
                    restarted: true,
                    ..
                }
            ),
            heard: Heard::default(),
            told: None,
            counters: Counters::default(),
            last_error: None,
            ring: Ring::new(options.ring),
            outputs: VecDeque::new(),
            options,
        }
    }

    /// Starts, also again after a stop or while leaving.
    pub fn handle_start(&mut self, now: Instant) {
        self.started = true;
        self.stay();
        let event = match self.options.dial {
            Dial::Active => Event::AutomaticStart,
            Dial::Passive => Event::AutomaticStartPassive,
        };
        self.step(Side::Main, event, "", now);
        self.pump(now);
    }

    /// Another configuration: if it differs, the session ends with Cease/Other Configuration
    /// Change, and a started peer starts again at once.
    pub fn handle_options(&mut self, options: PeerOptions, now: Instant) {
        if options == self.options {
            return;
        }
        let cease = Notification::cease(CEASE_CONFIGURATION_CHANGE);
        for side in [Side::Rival, Side::Main] {
            let event = Event::ManualStop(Some(cease.clone()));
            self.step(side, event, "another configuration", now);
        }
        self.main.fsm = Fsm::new(settings(&options), self.seed);
        self.ring.resize(options.ring);
        self.restarted &= matches!(options.restart, Restart::Keep { .. });
        self.options = options;
        if self.started {
            self.handle_start(now);
        }
    }

    /// Ends the session and starts again, after the back-off; the peer is told `text`.
    pub fn handle_reset(&mut self, text: &str, now: Instant) {
        let cease = Notification::cease_saying(CEASE_ADMINISTRATIVE_RESET, text);
        self.fail(&cease, text, now);
    }

    /// BFD says that the path to the peer is gone (RFC 5882 §4.2, RFC 9384).
    pub fn handle_bfd_down(&mut self, now: Instant) {
        let cease = Notification::cease(CEASE_BFD_DOWN);
        self.fail(&cease, "BFD is down", now);
    }

    fn fail(&mut self, cease: &Notification, detail: &str, now: Instant) {
        for side in [Side::Rival, Side::Main] {
            self.step(side, Event::AutomaticStop(cease.clone()), detail, now);
        }
    }

    /// The table the peer shall have, from the first call on: before that no End-of-RIB is sent,
    /// and a peer that kept routes over our restart goes on keeping them.
    pub fn handle_routes(&mut self, routes: Arc<Routes>, now: Instant) {
        self.change_routes(routes, None, now);
    }

    /// The table the peer shall have, with what has changed since the last one where the caller
    /// knows.
    pub(super) fn change_routes(
        &mut self,
        routes: Arc<Routes>,
        changed: Option<&[Prefix]>,
        now: Instant,
    ) {
        self.wanted = Some(Arc::clone(&routes));
        match self.leaving {
            Leaving::No => match changed {
                Some(changed) => self.rib.set_changed(routes, changed),
                None => self.rib.set(routes),
            },
            Leaving::Saying { .. } => self.rib.set(Arc::new(super::routes::leaving(&routes))),
            Leaving::Withdrawing { .. } | Leaving::Left => return,
        }
        self.pump(now);
    }

    /// The connection asked for was made.
    pub fn handle_connected(&mut self, id: ConnectionId, ends: Endpoints, now: Instant) {
        if let Some(connection) = self.connection_mut(id)
            && connection.endpoints.is_none()
        {
            connection.endpoints = Some(ends);
            self.step(Side::Main, Event::TcpConnectionAcked, "", now);
        }
    }

    /// The connection asked for could not be made; `why` in words.
    pub fn handle_connect_failed(&mut self, id: ConnectionId, why: &str, now: Instant) {
        self.handle_closed(id, why, now);
    }

    /// The peer has made a connection.
    ///
    /// # Errors
    /// When the state machine takes none (RFC 4271 §8.2.2 "Idle state"): close it.
    pub fn handle_accepted(
        &mut self,
        ends: Endpoints,
        now: Instant,
    ) -> Result<ConnectionId, Refused> {
        if self.main.fsm.waits_for_the_peer() {
            // There it is: the next attempt needn't wait any longer.
            self.step(Side::Main, Event::IdleHoldTimerExpires, "", now);
        }
        let state = self.main.fsm.state();
        if state == State::Idle {
            return Err(Refused);
        }
        self.counters.accepted += 1;
        let id = self.next_connection();
        let connection = Connection::new(id, Initiator::Peer, Some(ends));
        let side = if state == State::Active && self.main.connection.is_none() {
            self.main.connection = Some(connection);
            Side::Main
        } else {
            // Of two rivals the newer stays: the peer has given the other up.
            if let Some(old) = self.rival.take().and_then(|rival| rival.connection) {
                self.outputs.push_back(Output::Close { connection: old.id });
            }
            let settings = self.main.fsm.settings();
            self.rival = Some(Slot {
                fsm: Fsm::incoming(settings, self.seed.wrapping_add(self.connections)),
                connection: Some(connection),
            });
            Side::Rival
        };
        self.step(side, Event::TcpConnectionConfirmed, "", now);
        Ok(id)
    }

    /// Octets came.
    pub fn handle_bytes(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.framer.push(bytes);
        while let Some(connection) = self.connection_mut(id) {
            match connection.framer.next_frame() {
                Ok(Some(frame)) => self.hear(id, &frame, now),
                Ok(None) => break,
                Err(error) => {
                    let event = Event::HeaderError(super::DecodeError::from(error).notification());
                    self.step_of(id, event, &error.to_string(), now);
                    break;
                }
            }
        }
        self.pump(now);
    }

    /// The connection is gone; `why` in words.
    pub fn handle_closed(&mut self, id: ConnectionId, why: &str, now: Instant) {
        self.step_of(id, Event::TcpConnectionFails, why, now);
    }

    /// So many of the octets to send were written to the connection.
    pub fn handle_sent(&mut self, id: ConnectionId, octets: usize, now: Instant) {
        let Some(side) = self.side_of(id) else {
            return;
        };
        if let Some(slot) = self.slot_mut(side)
            && let Some(connection) = &mut slot.connection
        {
            connection.queued = connection.queued.saturating_sub(octets);
            slot.fsm.sent(now);
        }
        self.pump(now);
        self.leave_further(now);
    }

    /// The deadline of [`Self::poll_timeout`] has come; calling early or late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for side in [Side::Rival, Side::Main] {
            // More than a handful are never due at once.
            for _ in 0..8 {
                let due = self.slot_mut(side).and_then(|slot| slot.fsm.pop_due(now));
                let Some(event) = due else {
                    break;
                };
                let detail = self.timer_detail(&event);
                self.step(side, event, &detail, now);
            }
        }
        self.pump(now);
        self.leave_further(now);
    }

    /// The next thing to do, in order; `None` when there is nothing for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` means only after other input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rival = self.rival.as_ref().and_then(|rival| rival.fsm.next());
        let deadlines = [self.main.fsm.next(), rival, self.leaving.deadline()];
        deadlines.into_iter().flatten().min()
    }
}

fn settings(options: &PeerOptions) -> Settings {
    Settings {
        connect_retry: options.connect_retry,
        delay_open: options.delay_open,
        passive: options.dial == Dial::Passive,
        restarts: true,
    }
}

#[cfg(test)]
mod tests;
