//! The state machine of one connection (RFC 4271 §8): which state an event leads to, and what is
//! to be done. It knows timers, but neither messages nor sockets.
//!
//! A peer has one for the connection it makes, and one more while it has to choose between two
//! (RFC 4271 §6.8).

mod states;

use super::jitter::Jitter;
use super::notification::Notification;
use std::fmt;
use std::time::{Duration, Instant};

/// State of a connection (RFC 4271 §8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Stopped, or waiting for the next attempt.
    Idle,
    /// Waiting for the TCP connection it makes.
    Connect,
    /// Waiting for a TCP connection, or for the time to make one.
    Active,
    /// Waiting for the peer's OPEN.
    OpenSent,
    /// Waiting for the peer's KEEPALIVE.
    OpenConfirm,
    /// Exchanging routes.
    Established,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

/// An event, in the order of RFC 4271 §8.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// 1: "ManualStart".
    ManualStart,
    /// 2, with the NOTIFICATION a session gets; none in a graceful restart.
    ManualStop(Option<Notification>),
    /// 3: "AutomaticStart".
    AutomaticStart,
    /// 4: "ManualStart_with_PassiveTcpEstablishment".
    ManualStartPassive,
    /// 5: "AutomaticStart_with_PassiveTcpEstablishment".
    AutomaticStartPassive,
    /// 6: "AutomaticStart_with_DampPeerOscillations".
    AutomaticStartDamped,
    /// 7: the same with PassiveTcpEstablishment.
    AutomaticStartDampedPassive,
    /// 8, with the NOTIFICATION a session gets.
    AutomaticStop(Notification),
    /// 9.
    ConnectRetryTimerExpires,
    /// 10.
    HoldTimerExpires,
    /// 11.
    KeepaliveTimerExpires,
    /// 12.
    DelayOpenTimerExpires,
    /// 13.
    IdleHoldTimerExpires,
    /// 14: a request to connect came; 17 follows once it is one.
    TcpConnectionValid,
    /// 15.
    TcpConnectionInvalid,
    /// 16: our connection was made.
    TcpConnectionAcked,
    /// 17: the peer's connection was made.
    TcpConnectionConfirmed,
    /// 18.
    TcpConnectionFails,
    /// 19: a good OPEN.
    Open(Times),
    /// 20: while the DelayOpenTimer runs.
    OpenDelayed(Times),
    /// 21, with the NOTIFICATION it causes.
    HeaderError(Notification),
    /// 22, with the NOTIFICATION it causes.
    OpenError(Notification),
    /// 23: this connection lost (RFC 4271 §6.8).
    OpenCollisionDump,
    /// 24: the peer doesn't speak our version.
    NotificationVersionError,
    /// 25: any other NOTIFICATION.
    Notification,
    /// 26.
    Keepalive,
    /// 27; also a ROUTE-REFRESH outside of Established.
    Update,
    /// 28, with the NOTIFICATION it causes.
    UpdateError(Notification),
    /// 29 (RFC 9687 §3.2)
    SendHoldTimerExpires,
}

/// Times of a session, as negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Zero: neither hold nor keepalive timer (RFC 4271 §4.2).
    pub hold: Duration,
    /// Zero with the other.
    pub keepalive: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a TCP connection.
    Connect,
    /// Give the TCP connection up, made or in the making.
    Drop,
    /// Send an OPEN.
    SendOpen,
    /// Send a KEEPALIVE.
    SendKeepalive,
    /// Send a NOTIFICATION.
    SendNotification(Notification),
}

/// How a connection behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The ConnectRetryTime, which is also the longest wait between attempts.
    pub connect_retry: Duration,
    /// The DelayOpenTime; zero is DelayOpen off.
    pub delay_open: Duration,
    /// Never makes a connection itself.
    pub passive: bool,
    /// Whether the machine starts again after it fell to Idle; not that of a second connection.
    pub restarts: bool,
}

/// The hold timer until the peer's OPEN has come (RFC 4271 §8.2.2 "a large value": 4 minutes).
const LARGE_HOLD_TIME: Duration = Duration::from_secs(240);
/// RFC 9687 §3: "the greater of 8 minutes or 2 times the negotiated hold time".
const SEND_HOLD_TIME: Duration = Duration::from_secs(480);
/// A session that held this long was a good one: the next attempt is made at once.
const STABLE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    connect_retry: Option<Instant>,
    hold: Option<Instant>,
    keepalive: Option<Instant>,
    delay_open: Option<Instant>,
    idle_hold: Option<Instant>,
    send_hold: Option<Instant>,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Fsm {
    state: State,
    settings: Settings,
    timers: Timers,
    times: Times,
    jitter: Jitter,
    /// The ConnectRetryCounter.
    retries: u32,
    /// Attempts without a stable session, for the back-off.
    failures: u32,
    established: Option<Instant>,
    /// Whether it fell to Idle for a failure that counts.
    damped: bool,
}

impl Fsm {
    /// In Idle.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            state: State::Idle,
            settings,
            timers: Timers::default(),
            times: Times::default(),
            jitter: Jitter::new(seed),
            retries: 0,
            failures: 0,
            established: None,
            damped: false,
        }
    }

    /// For a connection the peer made: in Active, where it is taken up by
    /// [`Event::TcpConnectionConfirmed`].
    pub fn incoming(settings: Settings, seed: u64) -> Self {
        let settings = Settings {
            passive: true,
            restarts: false,
            ..settings
        };
        Self {
            state: State::Active,
            ..Self::new(settings, seed)
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// How it behaves.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The ConnectRetryCounter.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// When a session is up: since when.
    pub fn established(&self) -> Option<Instant> {
        self.established
    }

    /// Whether it waits in Idle only because the peer couldn't be reached: a sign of the peer
    /// may end that.
    pub fn waits_for_the_peer(&self) -> bool {
        self.state == State::Idle && self.timers.idle_hold.is_some() && !self.damped
    }

    /// Whether an OPEN that comes now is event 20.
    pub fn delays_open(&self) -> bool {
        self.timers.delay_open.is_some()
    }

    /// Takes the place of the machine whose connection lost (RFC 4271 §6.8): starts again like it.
    pub fn succeed(&mut self, lost: &Self) {
        self.settings = lost.settings;
        self.retries = lost.retries;
        self.failures = lost.failures;
    }

    /// No attempt before `wait` is over, as after too many prefixes.
    pub fn rest(&mut self, wait: Duration, now: Instant) {
        if self.state == State::Idle && self.settings.restarts {
            self.damped = true;
            self.timers.idle_hold = Some(now + wait);
        }
    }

    /// Something left for the peer: RFC 9687 §3.1's timer starts again.
    pub fn sent(&mut self, now: Instant) {
        let runs = self.timers.send_hold.is_some();
        self.timers.send_hold = runs.then(|| now + self.send_hold_time());
    }

    fn send_hold_time(&self) -> Duration {
        SEND_HOLD_TIME.max(self.times.hold * 2)
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Instant> {
        self.alarms().into_iter().filter_map(|(at, _)| at).min()
    }

    /// The event of the earliest timer that is due. The timer stops.
    pub fn pop_due(&mut self, now: Instant) -> Option<Event> {
        let at = self.next().filter(|&at| at <= now)?;
        let alarms = self.alarms();
        let (_, event) = alarms.into_iter().find(|(due, _)| *due == Some(at))?;
        let timers = &mut self.timers;
        for timer in [
            &mut timers.connect_retry,
            &mut timers.hold,
            &mut timers.keepalive,
            &mut timers.delay_open,
            &mut timers.idle_hold,
            &mut timers.send_hold,
        ] {
            if *timer == Some(at) {
                *timer = None;
                break;
            }
        }
        Some(event)
    }

    /// Every timer in the order in which [`Self::pop_due`] looks at them.
    fn alarms(&self) -> [(Option<Instant>, Event); 6] {
        let timers = &self.timers;
        [
            (timers.connect_retry, Event::ConnectRetryTimerExpires),
            (timers.hold, Event::HoldTimerExpires),
            (timers.keepalive, Event::KeepaliveTimerExpires),
            (timers.delay_open, Event::DelayOpenTimerExpires),
            (timers.idle_hold, Event::IdleHoldTimerExpires),
            (timers.send_hold, Event::SendHoldTimerExpires),
        ]
    }

    /// The wait before the next attempt: none after a stable session, then doubled from 1 s up
    /// to the ConnectRetryTime (RFC 4271 §8.1.1 "DampPeerOscillations").
    fn back_off(&mut self) -> Duration {
        let doublings = self.failures.min(16);
        let wait = match doublings.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => Duration::from_secs(1 << doublings),
        };
        self.failures = self.failures.saturating_add(1);
        self.jitter.of(wait.min(self.settings.connect_retry))
    }
}

#[cfg(test)]
mod tests;
