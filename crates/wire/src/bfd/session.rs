//! One session: what is sent when, and when the peer is taken for dead (RFC 5880 §6.8).

mod echo;
mod intervals;

use super::fsm::{Event, State, transition};
use super::iana::Diagnostic;
use super::jitter::{Jitter, Shortening};
use super::options::{Echo, Options, Role, Timers};
use super::packet::{self, DecodeError, Packet};
use echo::Echoes;
pub use echo::LENGTH as ECHO_LENGTH;
use intervals::Intervals;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this control packet.
    Send([u8; packet::LENGTH]),
    /// Send this echo packet so that the peer returns it.
    SendEcho([u8; echo::LENGTH]),
    /// The session's state changed.
    Changed(Change),
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why, by our own account.
    pub diagnostic: Diagnostic,
    /// The peer's state, as last heard. AdminDown is no failure of the path: users of the session
    /// go on as if there were none (RFC 5882 §3.2).
    pub peer: State,
    /// Whether the peer's BFD survives its control plane: if it does, down means the path is
    /// dead, whatever graceful restart says (RFC 5882 §4.3).
    pub peer_control_plane_independent: bool,
}

/// Why a packet changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It came from further away than is taken.
    #[error("the packet arrived with TTL {ttl}, too low")]
    Ttl {
        /// The TTL.
        ttl: u8,
    },
    /// It is no packet, or none that is taken.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is another session's.
    #[error("the packet is for session {0}")]
    Elsewhere(u32),
    /// The session is administratively down.
    #[error("the session is administratively down")]
    AdminDown,
}

/// What is known of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its state (bfd.RemoteSessionState).
    pub state: State,
    /// Its name for the session; 0 while it isn't heard (bfd.RemoteDiscr).
    pub discriminator: u32,
    /// Its diagnostic.
    pub diagnostic: Diagnostic,
    /// Its demand mode (bfd.RemoteDemandMode).
    pub demand: bool,
    /// Whether its BFD survives its control plane.
    pub control_plane_independent: bool,
    /// Its detect multiplier.
    pub detect_multiplier: u8,
    /// The interval it wants to send at.
    pub desired_min_tx: Duration,
    /// The interval it can receive at (bfd.RemoteMinRxInterval).
    pub required_min_rx: Duration,
    /// The interval at which it returns echo packets; 0 if it doesn't.
    pub required_min_echo_rx: Duration,
}

impl Peer {
    /// Before it was heard (RFC 5880 §6.8.1).
    const UNKNOWN: Self = Self {
        state: State::Down,
        discriminator: 0,
        diagnostic: Diagnostic::NONE,
        demand: false,
        control_plane_independent: false,
        detect_multiplier: 0,
        desired_min_tx: Duration::ZERO,
        required_min_rx: Duration::from_micros(1),
        required_min_echo_rx: Duration::ZERO,
    };
}

impl From<&Packet> for Peer {
    fn from(packet: &Packet) -> Self {
        Self {
            state: packet.state,
            discriminator: packet.my_discriminator.get(),
            diagnostic: packet.diagnostic,
            demand: packet.demand,
            control_plane_independent: packet.control_plane_independent,
            detect_multiplier: packet.detect_multiplier,
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
            required_min_echo_rx: packet.required_min_echo_rx,
        }
    }
}

/// How a session stands, to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Our state.
    pub state: State,
    /// Our diagnostic.
    pub diagnostic: Diagnostic,
    /// The peer.
    pub peer: Peer,
    /// The interval we send at, before jitter; absent while no periodic packets are sent.
    pub transmit_interval: Option<Duration>,
    /// How long the peer may be silent; absent until it was heard.
    pub detection_time: Option<Duration>,
    /// Whether echo packets are sent.
    pub echo: bool,
    /// Control packets sent.
    pub sent: u64,
    /// Control packets taken.
    pub received: u64,
    /// Packets ignored.
    pub ignored: u64,
    /// Echo packets sent.
    pub echoes_sent: u64,
    /// Echo packets that came back.
    pub echoes_returned: u64,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    options: Options,
    state: State,
    diagnostic: Diagnostic,
    peer: Peer,
    intervals: Intervals,
    jitter: Jitter,
    echoes: Echoes,
    /// When the last control packet was sent and what shortens the time to the next; and when
    /// that is due.
    sent_at: Option<(Instant, Shortening)>,
    due: Option<Instant>,
    /// When the peer has been silent for too long.
    expires: Option<Instant>,
    outputs: VecDeque<Output>,
    sent: u64,
    received: u64,
    ignored: u64,
}

impl Session {
    /// A session in state Down, which begins at once if its role is active.
    #[must_use]
    pub fn new(options: Options, now: Instant) -> Self {
        let mut session = Self {
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            peer: Peer::UNKNOWN,
            intervals: Intervals::new(options.timers),
            jitter: Jitter::new(options.seed),
            echoes: Echoes::new(options.discriminator, options.echo),
            sent_at: None,
            due: None,
            expires: None,
            outputs: VecDeque::new(),
            sent: 0,
            received: 0,
            ignored: 0,
            options,
        };
        session.reschedule(now);
        session
    }

    /// Takes the payload of a packet that is for this session, and the TTL it arrived with. Of
    /// packets that wait while a timer is due, the packets go first: a late reader is no dead peer.
    ///
    /// # Errors
    /// Why the packet changed nothing.
    pub fn handle_packet(&mut self, payload: &[u8], ttl: u8, now: Instant) -> Result<(), Ignored> {
        let result = self.take(payload, ttl, now);
        if result.is_ok() {
            self.received += 1;
        } else {
            self.ignored += 1;
        }
        result
    }

    /// Takes the payload of an echo packet that came back. One that isn't ours changes nothing.
    pub fn handle_echo(&mut self, payload: &[u8], now: Instant) {
        self.echoes.returned(payload, now);
    }

    /// An echo packet couldn't be sent: that it doesn't come back says nothing of the way.
    pub fn handle_echo_unsent(&mut self, now: Instant) {
        self.echoes.unsent(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.expires.is_some_and(|at| at <= now) {
            self.expires = None;
            // Silent for a detection time: its name is forgotten (RFC 5880 §6.8.1, MUST), and with
            // it what would keep us from calling it.
            self.peer = Peer {
                discriminator: 0,
                demand: false,
                required_min_rx: Peer::UNKNOWN.required_min_rx,
                required_min_echo_rx: Duration::ZERO,
                ..self.peer
            };
            self.change(Event::Expired, now);
            self.reschedule(now);
        }
        if self.echoes.lost(now) {
            self.change(Event::EchoLost, now);
        }
        if self.due.is_some_and(|at| at <= now) {
            self.send(now, Answer::No);
        }
        if let Some(echo) = self.echoes.poll(now, &mut self.jitter) {
            self.outputs.push_back(Output::SendEcho(echo));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.due, self.expires].into_iter().flatten();
        own.chain(self.echoes.deadline()).min()
    }

    /// What is to be done next, if anything; to be called until it isn't.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Other intervals from now on; the session stays up (RFC 5880 §6.8.3).
    pub fn set_timers(&mut self, timers: Timers, now: Instant) {
        if self.options.timers == timers {
            return;
        }
        self.options.timers = timers;
        let known = self.peer.discriminator != 0;
        self.intervals.change(timers, self.state, known);
        self.send_change(now);
    }

    /// Takes the session down, which the peer is told (RFC 5880 §6.8.16).
    pub fn disable(&mut self, now: Instant) {
        self.change(Event::Disable, now);
        self.tell(now);
    }

    /// Lets a session that was taken down begin again.
    pub fn enable(&mut self, now: Instant) {
        self.change(Event::Enable, now);
        self.tell(now);
    }

    /// How the session stands.
    #[must_use]
    pub fn state(&self) -> SessionState {
        SessionState {
            state: self.state,
            diagnostic: self.diagnostic,
            peer: self.peer,
            transmit_interval: self.periodic().then(|| self.transmit_interval()),
            detection_time: (self.peer.detect_multiplier != 0).then(|| self.detection_time()),
            echo: self.echoes.running(),
            sent: self.sent,
            received: self.received,
            ignored: self.ignored,
            echoes_sent: self.echoes.sent,
            echoes_returned: self.echoes.returned,
        }
    }

    /// Our name for the session.
    #[must_use]
    pub fn discriminator(&self) -> NonZeroU32 {
        self.options.discriminator
    }

    /// Reception, in the order of RFC 5880 §6.8.6.
    fn take(&mut self, payload: &[u8], ttl: u8, now: Instant) -> Result<(), Ignored> {
        if !self.options.path.takes(ttl) {
            return Err(Ignored::Ttl { ttl });
        }
        let packet = Packet::decode(payload)?;
        if let Some(addressee) = packet.addressee()
            && addressee != self.options.discriminator
        {
            return Err(Ignored::Elsewhere(addressee.get()));
        }
        self.peer = Peer::from(&packet);
        if packet.final_ {
            self.intervals.confirm(self.state);
        }
        if self.state == State::AdminDown {
            self.reschedule(now);
            return Err(Ignored::AdminDown);
        }
        let changed = self.change(Event::Heard(packet.state), now);
        self.expires = Some(now + self.detection_time());
        self.echo(now);
        self.reschedule(now);
        if packet.poll {
            // "as soon as practicable, without respect to the transmission timer" (MUST).
            self.send(now, Answer::Poll);
        } else if changed {
            self.tell(now);
        }
        Ok(())
    }

    /// Lets the state machine see an event; whether it changed the state.
    fn change(&mut self, event: Event, now: Instant) -> bool {
        let Some((to, diagnostic)) = transition(self.state, event) else {
            return false;
        };
        let from = std::mem::replace(&mut self.state, to);
        // Getting up again says why it was down, until it goes down for another reason.
        if diagnostic != Diagnostic::NONE || from == State::AdminDown {
            self.diagnostic = diagnostic;
        }
        self.intervals.enter(self.options.timers, from, to);
        self.outputs.push_back(Output::Changed(Change {
            from,
            to,
            diagnostic: self.diagnostic,
            peer: self.peer.state,
            peer_control_plane_independent: self.peer.control_plane_independent,
        }));
        self.echo(now);
        self.reschedule(now);
        if event == Event::EchoLost || event == Event::Expired {
            self.tell(now);
        }
        true
    }

    /// Tells the peer what changed at once, if anything may be sent (RFC 5880 §6.8.7, SHOULD).
    fn tell(&mut self, now: Instant) {
        if self.may_send() {
            self.send(now, Answer::No);
        }
    }

    /// Begins a poll sequence with a packet now, if one is to begin.
    fn send_change(&mut self, now: Instant) {
        self.reschedule(now);
        if self.intervals.polling() {
            self.tell(now);
        }
    }

    /// Whether anything may be sent at all (RFC 5880 §6.8.7, MUST NOT): a passive end has to have
    /// heard the peer, and a peer that can't receive isn't sent to.
    fn may_send(&self) -> bool {
        let heard = self.peer.discriminator != 0;
        (heard || self.options.role == Role::Active) && !self.peer.required_min_rx.is_zero()
    }

    /// Whether packets are sent on their own. Not while the peer is up in demand mode, except for
    /// a poll sequence (RFC 5880 §6.6, §6.8.7, MUST NOT).
    fn periodic(&self) -> bool {
        let quiet = self.peer.demand && self.state == State::Up && self.peer.state == State::Up;
        self.may_send() && (!quiet || self.intervals.polling())
    }

    /// RFC 5880 §6.8.7: "the larger of bfd.DesiredMinTxInterval and bfd.RemoteMinRxInterval".
    fn transmit_interval(&self) -> Duration {
        self.intervals.transmit().max(self.peer.required_min_rx)
    }

    /// RFC 5880 §6.8.4.
    fn detection_time(&self) -> Duration {
        let interval = self.intervals.receive().max(self.peer.desired_min_tx);
        interval * self.peer.detect_multiplier.into()
    }

    /// Sets when the next packet is due, counted from the last one.
    fn reschedule(&mut self, now: Instant) {
        if !self.periodic() {
            self.due = None;
            return;
        }
        self.due = Some(match self.sent_at {
            None => now,
            Some((at, shortening)) => at + shortening.of(self.transmit_interval()),
        });
    }

    fn echo(&mut self, now: Instant) {
        let returns = self.peer.required_min_echo_rx;
        let up = self.state == State::Up && self.peer.state == State::Up;
        let multiplier = self.options.timers.detect_multiplier;
        self.echoes.set(up, returns, multiplier.max(1), now);
    }

    fn send(&mut self, now: Instant, answer: Answer) {
        let final_ = answer == Answer::Poll;
        let packet = Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            // Never both in one packet (RFC 5880 §6.5).
            poll: self.intervals.polling() && !final_,
            final_,
            control_plane_independent: self.options.control_plane_independent,
            demand: false,
            detect_multiplier: self.options.timers.detect_multiplier.max(1),
            my_discriminator: self.options.discriminator,
            your_discriminator: self.peer.discriminator,
            desired_min_tx: self.intervals.desired(self.state),
            required_min_rx: self.options.timers.required_min_rx,
            required_min_echo_rx: match self.options.echo {
                Echo::On {
                    interval,
                    returned: true,
                } => interval,
                Echo::On { .. } | Echo::Off => Duration::ZERO,
            },
        };
        self.outputs.push_back(Output::Send(packet.encode()));
        self.sent += 1;
        let multiplier = self.options.timers.detect_multiplier.max(1);
        self.sent_at = Some((now, self.jitter.draw(multiplier)));
        self.reschedule(now);
    }
}

/// Whether a packet answers a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    No,
    Poll,
}

#[cfg(test)]
mod tests;
