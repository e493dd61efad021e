//! From events to what is done about them, and the beginning and end of a session.

use super::connection::{Connection, ConnectionId, Initiator, Side, Slot};
use super::{LastError, Notice, Output, Peer};
use crate::bgp::fsm::{Action, Event, State};
use crate::bgp::iana::{CEASE_ADMINISTRATIVE_SHUTDOWN, CEASE_PEER_DECONFIGURED, ERROR_CEASE};
use crate::bgp::message::{Frame, MAX_LEN, Message};
use crate::bgp::notification::Notification;
use crate::bgp::received::Heard;
use crate::bgp::ring::{Direction, Recorded, SNAP_LEN};
use std::fmt;
use std::time::Instant;

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// We sent this; what for, in words.
    Sent(Notification, String),
    /// The peer sent this.
    Received(Notification),
    /// The connection was lost; how, in words.
    Lost(String),
    /// We closed without a word, for the peer to keep our routes over a restart.
    Restarting,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(notification, detail) if detail.is_empty() => {
                write!(f, "sent {notification}")
            }
            Self::Sent(notification, detail) => write!(f, "sent {notification} ({detail})"),
            Self::Received(notification) => write!(f, "received {notification}"),
            Self::Lost(how) => f.write_str(how),
            Self::Restarting => f.write_str("closed for a restart"),
        }
    }
}

impl Peer {
    pub(super) fn slot_mut(&mut self, side: Side) -> Option<&mut Slot> {
        match side {
            Side::Main => Some(&mut self.main),
            Side::Rival => self.rival.as_mut(),
        }
    }

    pub(super) fn slot(&self, side: Side) -> Option<&Slot> {
        match side {
            Side::Main => Some(&self.main),
            Side::Rival => self.rival.as_ref(),
        }
    }

    pub(super) fn side_of(&self, id: ConnectionId) -> Option<Side> {
        let has = |side: &Side| {
            let connection = self.slot(*side).and_then(|slot| slot.connection.as_ref());
            connection.is_some_and(|connection| connection.id == id)
        };
        [Side::Main, Side::Rival].into_iter().find(has)
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let side = self.side_of(id)?;
        self.slot_mut(side)?.connection.as_mut()
    }

    pub(super) fn next_connection(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    /// An event of the connection's state machine, if the connection is still there.
    pub(super) fn step_of(&mut self, id: ConnectionId, event: Event, detail: &str, now: Instant) {
        if let Some(side) = self.side_of(id) {
            self.step(side, event, detail, now);
        }
    }

    /// An event of a state machine, with its cause in words where it may end the connection.
    pub(super) fn step(&mut self, side: Side, event: Event, detail: &str, now: Instant) {
        let Some(slot) = self.slot_mut(side) else {
            return;
        };
        let before = slot.fsm.state();
        let stopped = matches!(event, Event::ManualStop(_));
        // Choosing between two connections is no failure.
        let chosen = before != State::Established && event == Event::OpenCollisionDump;
        let mut actions = slot.fsm.handle(event, now);
        let after = slot.fsm.state();
        self.harden(side, &mut actions);
        if actions.contains(&Action::Drop) {
            let why = self.why(&actions, stopped, detail);
            if !chosen {
                self.report(side, before, why, now);
            }
        }
        for action in actions {
            self.act(side, action, now);
        }
        if after == State::Established && before != State::Established {
            self.session_begins(side, now);
        }
        self.tidy();
    }

    /// RFC 8538 §3: what ends a session for good has to say so where NOTIFICATIONs leave routes.
    fn harden(&self, side: Side, actions: &mut [Action]) {
        let connection = self.slot(side).and_then(|slot| slot.connection.as_ref());
        let negotiated = connection.and_then(|connection| connection.negotiated.as_ref());
        if !negotiated.is_some_and(|negotiated| negotiated.notification_restart) {
            return;
        }
        for action in actions {
            if let Action::SendNotification(notification) = action
                && notification.code == ERROR_CEASE
                && [CEASE_ADMINISTRATIVE_SHUTDOWN, CEASE_PEER_DECONFIGURED]
                    .contains(&notification.subcode)
            {
                *notification = notification.clone().hard_reset();
            }
        }
    }

    fn why(&mut self, actions: &[Action], stopped: bool, detail: &str) -> Why {
        let sent = actions.iter().find_map(|action| {
            if let Action::SendNotification(notification) = action {
                Some(notification.clone())
            } else {
                None
            }
        });
        match (sent, self.told.take()) {
            (Some(notification), _) => Why::Sent(notification, detail.to_owned()),
            (None, Some(notification)) => Why::Received(notification),
            (None, None) if stopped => Why::Restarting,
            (None, None) => Why::Lost(detail.to_owned()),
        }
    }

    /// A connection is about to be given up.
    fn report(&mut self, side: Side, before: State, why: Why, now: Instant) {
        let connected = self
            .slot(side)
            .is_some_and(|slot| slot.connection.is_some());
        let words = why.to_string();
        if before == State::Established {
            self.rib.end();
            self.heard = Heard::default();
            self.counters.lost += 1;
            self.outputs
                .push_back(Output::Notice(Notice::SessionDown(why)));
        } else if connected && !words.is_empty() && why != Why::Restarting {
            let notice = Notice::AttemptFailed(words.clone());
            self.outputs.push_back(Output::Notice(notice));
        } else {
            return;
        }
        self.last_error = Some(LastError { at: now, words });
    }

    fn act(&mut self, side: Side, action: Action, now: Instant) {
        match action {
            Action::Connect => {
                let id = self.next_connection();
                self.counters.attempts += 1;
                let connection = Connection::new(id, Initiator::Us, None);
                if let Some(slot) = self.slot_mut(side) {
                    slot.connection = Some(connection);
                }
                self.outputs.push_back(Output::Connect { connection: id });
            }
            Action::Drop => {
                let connection = self.slot_mut(side).and_then(|slot| slot.connection.take());
                if let Some(connection) = connection {
                    let connection = connection.id;
                    self.outputs.push_back(Output::Close { connection });
                }
            }
            Action::SendOpen => {
                let connection = self.slot(side).and_then(|slot| slot.connection.as_ref());
                let ends = connection.and_then(|connection| connection.endpoints);
                let over_ipv6 = ends.is_some_and(|ends| ends.peer.is_ipv6());
                let open = self.options.open(over_ipv6, self.restarted);
                let connection = self
                    .slot_mut(side)
                    .and_then(|slot| slot.connection.as_mut());
                if let Some(connection) = connection {
                    connection.ours = Some(open.clone());
                }
                self.send_message(side, &Message::Open(open), now);
            }
            Action::SendKeepalive => self.send_message(side, &Message::Keepalive, now),
            Action::SendNotification(notification) => {
                self.send_message(side, &Message::Notification(notification), now);
            }
        }
    }

    fn send_message(&mut self, side: Side, message: &Message, now: Instant) {
        // A NOTIFICATION may quote an attribute of almost any length; RFC 4271 §6 asks for no
        // more than a hint, so that what is too long goes without.
        let bytes = message.encode(true, MAX_LEN).or_else(|_| {
            let short = match message {
                Message::Notification(n) => {
                    Message::Notification(Notification::new(n.code, n.subcode))
                }
                Message::Open(_)
                | Message::Update(_)
                | Message::Keepalive
                | Message::RouteRefresh(_) => message.clone(),
            };
            short.encode(true, MAX_LEN)
        });
        if let Ok(bytes) = bytes {
            self.send(side, bytes, now);
        }
    }

    /// Hands a whole message out.
    fn send(&mut self, side: Side, bytes: Vec<u8>, now: Instant) {
        let Some(connection) = self
            .slot_mut(side)
            .and_then(|slot| slot.connection.as_mut())
        else {
            return;
        };
        connection.queued += bytes.len();
        let id = connection.id;
        if let Some(kind) = Frame::kind_of(&bytes) {
            self.counters.sent.count(kind);
        }
        self.record(side, Direction::Sent, &bytes, now);
        self.outputs.push_back(Output::Send {
            connection: id,
            bytes,
        });
    }

    pub(super) fn record(&mut self, side: Side, direction: Direction, bytes: &[u8], at: Instant) {
        let connection = self.slot(side).and_then(|slot| slot.connection.as_ref());
        if let Some(ends) = connection.and_then(|connection| connection.endpoints) {
            self.ring.push(Recorded {
                at,
                direction,
                local: ends.local,
                peer: ends.peer,
                bytes: bytes.get(..SNAP_LEN).unwrap_or(bytes).to_owned(),
                length: bytes.len(),
            });
        }
    }

    fn session_begins(&mut self, side: Side, now: Instant) {
        if side == Side::Rival {
            // The other one, which hasn't got as far, is not needed any more (RFC 4271 §6.8).
            let event = Event::OpenCollisionDump;
            self.step(
                Side::Main,
                event,
                "the peer's connection was established first",
                now,
            );
            self.promote();
        } else if self.rival.is_some() {
            let event = Event::OpenCollisionDump;
            self.step(
                Side::Rival,
                event,
                "our connection was established first",
                now,
            );
        }
        let Some(connection) = &self.main.connection else {
            return;
        };
        let (Some(egress), Some(negotiated)) =
            (connection.egress(&self.options), &connection.negotiated)
        else {
            return;
        };
        self.heard = Heard::default();
        self.counters.established += 1;
        let up = Notice::SessionUp(Box::new(negotiated.clone()));
        self.outputs.push_back(Output::Notice(up));
        self.rib.begin(egress, negotiated.enhanced_refresh);
        self.pump(now);
    }

    /// The second connection takes the place of the first.
    fn promote(&mut self) {
        if let Some(mut rival) = self.rival.take() {
            rival.fsm.succeed(&self.main.fsm);
            self.main = rival;
        }
    }

    /// A second connection that failed is gone; one whose first failed takes its place.
    fn tidy(&mut self) {
        let failed = |slot: &Slot| slot.connection.is_none();
        if self.rival.as_ref().is_some_and(failed) {
            self.rival = None;
        }
        if self.rival.is_some() && failed(&self.main) {
            self.promote();
        }
    }

    /// Sends what there is room for.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.main.fsm.state() != State::Established {
            return;
        }
        let mut said = false;
        while let Some(connection) = &self.main.connection {
            let limit = connection
                .negotiated
                .as_ref()
                .map_or(MAX_LEN, |n| n.limit());
            let room = self.options.send_buffer.saturating_sub(connection.queued);
            if connection.queued > 0 && room < limit {
                break;
            }
            let Some(bytes) = self.rib.next_message() else {
                break;
            };
            self.send(Side::Main, bytes, now);
            said = true;
        }
        if said {
            self.main.fsm.said_something(now);
        }
        if self.restarted && self.rib.is_known() && self.rib.is_settled() {
            // RFC 4724 §4.1: the restart is over once the End-of-RIB is sent.
            self.restarted = false;
        }
    }

    /// What a timer's end says.
    pub(super) fn timer_detail(&self, event: &Event) -> String {
        match event {
            Event::HoldTimerExpires => "nothing was heard in time".to_owned(),
            Event::SendHoldTimerExpires => "the peer takes nothing in any more".to_owned(),
            Event::ConnectRetryTimerExpires => "the peer didn't answer in time".to_owned(),
            Event::ManualStart
            | Event::ManualStop(_)
            | Event::AutomaticStart
            | Event::ManualStartPassive
            | Event::AutomaticStartPassive
            | Event::AutomaticStartDamped
            | Event::AutomaticStartDampedPassive
            | Event::AutomaticStop(_)
            | Event::KeepaliveTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::IdleHoldTimerExpires
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
            | Event::UpdateError(_) => String::new(),
        }
    }
}
