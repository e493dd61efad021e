//! What each state makes of each event (RFC 4271 §8.2.2). Every match names every event.

use super::{Action, Event, Fsm, LARGE_HOLD_TIME, STABLE, State, Timers, Times};
use crate::bgp::iana::{
    CEASE_COLLISION, ERROR_FSM, ERROR_HOLD_TIMER, ERROR_SEND_HOLD_TIMER, FSM_ESTABLISHED,
    FSM_OPEN_CONFIRM, FSM_OPEN_SENT, FSM_UNSPECIFIED,
};
use crate::bgp::notification::Notification;
use std::time::Instant;

type Actions = Vec<Action>;

impl Fsm {
    /// Goes on to the next state; what is to be done comes back in order.
    pub fn handle(&mut self, event: Event, now: Instant) -> Actions {
        let mut actions = Vec::new();
        let out = &mut actions;
        match self.state {
            State::Idle => self.idle(&event, now, out),
            State::Connect | State::Active => self.unconnected(event, now, out),
            State::OpenSent => self.open_sent(event, now, out),
            State::OpenConfirm => self.open_confirm(event, now, out),
            State::Established => self.established_state(event, now, out),
        }
        actions
    }

    fn idle(&mut self, event: &Event, now: Instant, out: &mut Actions) {
        match event {
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive => {
                self.retries = 0;
                self.begin(now, out);
            }
            // Damped: not before the IdleHoldTimer has expired.
            Event::AutomaticStartDamped | Event::AutomaticStartDampedPassive => {
                if self.timers.idle_hold.is_none() {
                    self.begin(now, out);
                }
            }
            Event::IdleHoldTimerExpires => self.begin(now, out),
            Event::ManualStop(_) => {
                // Stopped for good: nor does a wait start it again.
                self.timers = Timers::default();
                self.retries = 0;
            }
            Event::AutomaticStop(_)
            | Event::ConnectRetryTimerExpires
            | Event::HoldTimerExpires
            | Event::KeepaliveTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::TcpConnectionValid
            | Event::TcpConnectionInvalid
            | Event::TcpConnectionAcked
            | Event::TcpConnectionConfirmed
            | Event::TcpConnectionFails
            | Event::Open(_)
            | Event::OpenDelayed(_)
            | Event::HeaderError(_)
            | Event::OpenError(_)
            | Event::OpenCollisionDump
            | Event::NotificationVersionError
            | Event::Notification
            | Event::Keepalive
            | Event::Update
            | Event::UpdateError(_)
            | Event::SendHoldTimerExpires => {}
        }
    }

    /// Connect and Active.
    fn unconnected(&mut self, event: Event, now: Instant, out: &mut Actions) {
        match event {
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive
            | Event::AutomaticStartDamped
            | Event::AutomaticStartDampedPassive
            | Event::TcpConnectionValid
            | Event::TcpConnectionInvalid => {}
            // SendNOTIFICATIONwithoutOPEN is never set: nobody is told.
            Event::ManualStop(_) => self.stop(None, out),
            Event::ConnectRetryTimerExpires => {
                if self.state == State::Connect {
                    out.push(Action::Drop);
                }
                self.timers.delay_open = None;
                self.dial(now, out);
            }
            Event::DelayOpenTimerExpires => self.send_open(now, out),
            Event::TcpConnectionAcked | Event::TcpConnectionConfirmed => {
                self.timers.connect_retry = None;
                if self.settings.delay_open.is_zero() {
                    self.send_open(now, out);
                } else {
                    self.timers.delay_open = Some(now + self.settings.delay_open);
                }
            }
            Event::TcpConnectionFails => {
                if self.state == State::Connect && self.timers.delay_open.is_some() {
                    self.wait(now, out);
                } else {
                    self.fall(self.state == State::Active, now, out);
                }
            }
            Event::OpenDelayed(times) => {
                self.timers.connect_retry = None;
                out.push(Action::SendOpen);
                self.confirm(times, now, out);
            }
            Event::NotificationVersionError => {
                self.fall(self.timers.delay_open.is_none(), now, out);
            }
            Event::AutomaticStop(_)
            | Event::HoldTimerExpires
            | Event::KeepaliveTimerExpires
            | Event::IdleHoldTimerExpires
            | Event::Open(_)
            | Event::HeaderError(_)
            | Event::OpenError(_)
            | Event::OpenCollisionDump
            | Event::Notification
            | Event::Keepalive
            | Event::Update
            | Event::UpdateError(_)
            | Event::SendHoldTimerExpires => self.fall(true, now, out),
        }
    }

    fn open_sent(&mut self, event: Event, now: Instant, out: &mut Actions) {
        match event {
            // Connections that come meanwhile have a machine of their own (§6.8).
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive
            | Event::AutomaticStartDamped
            | Event::AutomaticStartDampedPassive
            | Event::TcpConnectionValid
            | Event::TcpConnectionInvalid
            | Event::TcpConnectionAcked
            | Event::TcpConnectionConfirmed => {}
            Event::ManualStop(farewell) => self.stop(farewell, out),
            Event::HoldTimerExpires => self.hold_timer_expired(now, out),
            Event::TcpConnectionFails => self.wait(now, out),
            Event::Open(times) => self.confirm(times, now, out),
            Event::AutomaticStop(notification)
            | Event::HeaderError(notification)
            | Event::OpenError(notification) => self.refuse(notification, now, out),
            Event::OpenCollisionDump => self.collide(now, out),
            Event::NotificationVersionError => self.fall(false, now, out),
            // DEVIATION: a NOTIFICATION isn't answered with one; the peer has ended the session.
            Event::Notification => self.fall(true, now, out),
            Event::OpenDelayed(_) | Event::Keepalive | Event::Update | Event::UpdateError(_) => {
                self.unexpected(FSM_OPEN_SENT, now, out);
            }
            Event::ConnectRetryTimerExpires
            | Event::KeepaliveTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::IdleHoldTimerExpires
            | Event::SendHoldTimerExpires => self.unexpected(FSM_UNSPECIFIED, now, out),
        }
    }

    fn open_confirm(&mut self, event: Event, now: Instant, out: &mut Actions) {
        match event {
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive
            | Event::AutomaticStartDamped
            | Event::AutomaticStartDampedPassive
            | Event::TcpConnectionValid
            | Event::TcpConnectionInvalid
            | Event::TcpConnectionAcked
            | Event::TcpConnectionConfirmed => {}
            Event::ManualStop(farewell) => self.stop(farewell, out),
            Event::HoldTimerExpires => self.hold_timer_expired(now, out),
            Event::KeepaliveTimerExpires => self.send_keepalive(now, out),
            Event::TcpConnectionFails | Event::Notification => self.fall(true, now, out),
            Event::NotificationVersionError => self.fall(false, now, out),
            Event::AutomaticStop(notification)
            | Event::HeaderError(notification)
            | Event::OpenError(notification) => self.refuse(notification, now, out),
            Event::OpenCollisionDump => self.collide(now, out),
            Event::Keepalive => {
                self.state = State::Established;
                self.established = Some(now);
                self.restart_hold(now);
            }
            Event::SendHoldTimerExpires => self.send_hold_timer_expired(now, out),
            // A second OPEN on the same connection is no collision: there is nothing to choose.
            Event::Open(_) | Event::OpenDelayed(_) | Event::Update | Event::UpdateError(_) => {
                self.unexpected(FSM_OPEN_CONFIRM, now, out);
            }
            Event::ConnectRetryTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::IdleHoldTimerExpires => self.unexpected(FSM_UNSPECIFIED, now, out),
        }
    }

    fn established_state(&mut self, event: Event, now: Instant, out: &mut Actions) {
        match event {
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive
            | Event::AutomaticStartDamped
            | Event::AutomaticStartDampedPassive
            | Event::TcpConnectionValid
            | Event::TcpConnectionInvalid
            | Event::TcpConnectionAcked
            | Event::TcpConnectionConfirmed => {}
            Event::ManualStop(farewell) => self.stop(farewell, out),
            Event::HoldTimerExpires => self.hold_timer_expired(now, out),
            Event::KeepaliveTimerExpires => self.send_keepalive(now, out),
            Event::SendHoldTimerExpires => self.send_hold_timer_expired(now, out),
            // DEVIATION: §8.2.2 has an FSM error for a header error here, against §6.1's MUST.
            Event::HeaderError(notification)
            | Event::AutomaticStop(notification)
            | Event::UpdateError(notification) => self.refuse(notification, now, out),
            Event::OpenCollisionDump => self.collide(now, out),
            Event::TcpConnectionFails | Event::NotificationVersionError | Event::Notification => {
                self.fall(true, now, out);
            }
            Event::Keepalive | Event::Update => self.restart_hold(now),
            Event::Open(_) | Event::OpenDelayed(_) | Event::OpenError(_) => {
                self.unexpected(FSM_ESTABLISHED, now, out);
            }
            Event::ConnectRetryTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::IdleHoldTimerExpires => self.unexpected(FSM_UNSPECIFIED, now, out),
        }
    }

    /// Out of Idle: dials, or waits for the peer to.
    fn begin(&mut self, now: Instant, out: &mut Actions) {
        self.timers.idle_hold = None;
        if self.settings.passive {
            // DEVIATION: the ConnectRetryTimer doesn't run, so that passive never dials.
            self.state = State::Active;
        } else {
            self.dial(now, out);
        }
    }

    fn dial(&mut self, now: Instant, out: &mut Actions) {
        self.state = State::Connect;
        let wait = self.jitter.of(self.settings.connect_retry);
        self.timers.connect_retry = Some(now + wait);
        out.push(Action::Connect);
    }

    /// To Active, until it is time to dial again.
    fn wait(&mut self, now: Instant, out: &mut Actions) {
        self.timers = Timers::default();
        self.state = State::Active;
        out.push(Action::Drop);
        if !self.settings.passive {
            let wait = self.back_off();
            self.timers.connect_retry = Some(now + wait);
        }
    }

    fn send_open(&mut self, now: Instant, out: &mut Actions) {
        self.timers = Timers {
            hold: Some(now + LARGE_HOLD_TIME),
            ..Timers::default()
        };
        self.state = State::OpenSent;
        out.push(Action::SendOpen);
    }

    /// The peer's OPEN is a good one.
    fn confirm(&mut self, times: Times, now: Instant, out: &mut Actions) {
        self.times = times;
        self.timers = Timers::default();
        self.state = State::OpenConfirm;
        self.restart_hold(now);
        if !times.hold.is_zero() {
            self.timers.send_hold = Some(now + self.send_hold_time());
        }
        self.send_keepalive(now, out);
    }

    /// "Each time the local system sends a KEEPALIVE or UPDATE message, it restarts its
    /// KeepaliveTimer, unless the negotiated HoldTime value is zero."
    fn send_keepalive(&mut self, now: Instant, out: &mut Actions) {
        out.push(Action::SendKeepalive);
        self.said_something(now);
    }

    /// An UPDATE was sent, which says as much as a KEEPALIVE.
    pub fn said_something(&mut self, now: Instant) {
        if !self.times.hold.is_zero() {
            let wait = self.jitter.of(self.times.keepalive);
            self.timers.keepalive = Some(now + wait);
        }
    }

    fn restart_hold(&mut self, now: Instant) {
        let runs = !self.times.hold.is_zero();
        self.timers.hold = runs.then(|| now + self.times.hold);
    }

    /// To Idle for good.
    fn stop(&mut self, farewell: Option<Notification>, out: &mut Actions) {
        out.extend(farewell.map(Action::SendNotification));
        out.push(Action::Drop);
        self.timers = Timers::default();
        self.established = None;
        self.retries = 0;
        self.failures = 0;
        self.state = State::Idle;
    }

    /// To Idle, until the back-off is over.
    fn fall(&mut self, counts: bool, now: Instant, out: &mut Actions) {
        out.push(Action::Drop);
        self.timers = Timers::default();
        self.damped = counts;
        if counts {
            self.retries = self.retries.saturating_add(1);
        }
        let since = self.established.take();
        if since.is_some_and(|since| now.saturating_duration_since(since) >= STABLE) {
            self.failures = 0;
        }
        self.state = State::Idle;
        if self.settings.restarts {
            let wait = self.back_off();
            self.timers.idle_hold = Some(now + wait);
        }
    }

    fn refuse(&mut self, notification: Notification, now: Instant, out: &mut Actions) {
        out.push(Action::SendNotification(notification));
        self.fall(true, now, out);
    }

    fn collide(&mut self, now: Instant, out: &mut Actions) {
        self.refuse(Notification::cease(CEASE_COLLISION), now, out);
    }

    fn hold_timer_expired(&mut self, now: Instant, out: &mut Actions) {
        self.refuse(Notification::new(ERROR_HOLD_TIMER, 0), now, out);
    }

    /// RFC 9687 §3.2: the NOTIFICATION may well not get through any more.
    fn send_hold_timer_expired(&mut self, now: Instant, out: &mut Actions) {
        self.refuse(Notification::new(ERROR_SEND_HOLD_TIMER, 0), now, out);
    }

    /// RFC 6608 §4: the subcode says in which state a message wasn't expected.
    fn unexpected(&mut self, subcode: u8, now: Instant, out: &mut Actions) {
        self.refuse(Notification::new(ERROR_FSM, subcode), now, out);
    }
}
