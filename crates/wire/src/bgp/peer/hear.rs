//! What the peer says, and which of two connections stays (RFC 4271 §6.8).

use super::connection::{ConnectionId, Initiator, Side};
use super::{Notice, Output, Peer};
use crate::bgp::capability::Capability;
use crate::bgp::fsm::{Event, State, Times};
use crate::bgp::iana::{ERROR_OPEN, OPEN_UNSUPPORTED_VERSION};
use crate::bgp::message::{DecodeError, Frame, MessageType, Received};
use crate::bgp::negotiate::negotiate;
use crate::bgp::notification::Notification;
use crate::bgp::open::Open;
use crate::bgp::options::{MaximumPrefix, Restart};
use crate::bgp::refresh::{RefreshKind, RouteRefresh};
use crate::bgp::ring::Direction;
use crate::bgp::update::{Decoded, UpdateContext};
use std::time::Instant;

/// Until the OPENs have settled what it depends on, no UPDATE is read.
const NO_CONTEXT: UpdateContext = UpdateContext {
    four_octet_as: false,
    external: true,
    extended_next_hop: false,
};

impl Peer {
    pub(super) fn hear(&mut self, id: ConnectionId, frame: &Frame, now: Instant) {
        let Some(side) = self.side_of(id) else {
            return;
        };
        self.counters.received.count(frame.kind());
        self.record(side, Direction::Received, frame.bytes(), now);
        let Some(slot) = self.slot(side) else {
            return;
        };
        let established = slot.fsm.state() == State::Established;
        let routes = matches!(
            frame.kind(),
            MessageType::Update | MessageType::RouteRefresh
        );
        if routes && !established {
            let detail = format!("{} came before the session was up", frame.kind());
            self.step(side, Event::Update, &detail, now);
            return;
        }
        let negotiated = slot.connection.as_ref().and_then(|c| c.negotiated.as_ref());
        let context = negotiated.map_or(NO_CONTEXT, |negotiated| negotiated.context());
        match frame.decode(&context) {
            Ok(Received::Open(open)) => self.hear_open(id, &open, now),
            Ok(Received::Update(decoded)) => self.hear_update(side, &decoded, now),
            Ok(Received::Notification(notification)) => {
                self.hear_notification(side, notification, now);
            }
            Ok(Received::Keepalive) => {
                self.step(side, Event::Keepalive, "KEEPALIVE came before OPEN", now);
            }
            Ok(Received::RouteRefresh(refresh)) => self.hear_refresh(refresh),
            Err(error) => {
                let notification = error.notification();
                let event = match error {
                    DecodeError::Header(_) => Event::HeaderError(notification),
                    DecodeError::Open(_) => Event::OpenError(notification),
                    DecodeError::Update(_) | DecodeError::RouteRefresh(_) => {
                        Event::UpdateError(notification)
                    }
                };
                self.step(side, event, &error.to_string(), now);
            }
        }
    }

    fn hear_open(&mut self, id: ConnectionId, theirs: &Open, now: Instant) {
        let Some(slot) = self.side_of(id).and_then(|side| self.slot(side)) else {
            return;
        };
        let delayed = slot.fsm.delays_open();
        if slot.fsm.state() != State::OpenSent && !delayed {
            let event = Event::Open(Times::default());
            self.step_of(id, event, "a second OPEN came", now);
            return;
        }
        let connection = slot.connection.as_ref();
        let ends = connection.and_then(|connection| connection.endpoints);
        let over_ipv6 = ends.is_some_and(|ends| ends.peer.is_ipv6());
        let ours = connection.and_then(|connection| connection.ours.clone());
        let ours = ours.unwrap_or_else(|| self.options.open(over_ipv6, self.restarted));
        let negotiated = match negotiate(&self.options, &ours, theirs) {
            Ok(negotiated) => negotiated,
            Err(error) => {
                let event = Event::OpenError(error.notification());
                self.step_of(id, event, &error.to_string(), now);
                return;
            }
        };
        self.settle_collision(id, theirs, now);
        let times = negotiated.times();
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if negotiated.extended_messages && ours.has(&Capability::ExtendedMessage) {
            connection.framer.extend_limit();
        }
        connection.negotiated = Some(negotiated);
        let event = if delayed {
            Event::OpenDelayed(times)
        } else {
            Event::Open(times)
        };
        self.step_of(id, event, "", now);
    }

    /// Which of two connections stays, now that the peer has said on `id` who it is.
    fn settle_collision(&mut self, id: ConnectionId, theirs: &Open, now: Instant) {
        let Some(side) = self.side_of(id) else {
            return;
        };
        let other = side.other();
        let Some(slot) = self.slot(other) else {
            return;
        };
        let Some(connection) = &slot.connection else {
            return;
        };
        match slot.fsm.state() {
            State::Established => {
                // RFC 4724 §4.2: a peer that restarts may be back before we know that it was
                // away; the new connection is the one that counts then, and the old one "MUST"
                // be closed without a NOTIFICATION.
                let negotiated = connection.negotiated.as_ref();
                let restarts = negotiated.is_some_and(|negotiated| negotiated.restart.is_some());
                if restarts && self.options.restart != Restart::Off {
                    let event = Event::TcpConnectionFails;
                    self.step(
                        other,
                        event,
                        "the peer has restarted and connected again",
                        now,
                    );
                } else {
                    let event = Event::OpenCollisionDump;
                    self.step(side, event, "the session there is stays", now);
                }
            }
            State::OpenConfirm => {
                let own = (self.options.identifier, self.options.asn);
                let initiator = if own > (theirs.identifier, theirs.asn()) {
                    Initiator::Us
                } else {
                    Initiator::Peer
                };
                // The connection of the higher BGP identifier stays, of the higher AS number if
                // they are equal (RFC 6286 §2.3). Of two of the same initiator the newer does.
                let stays = |side: Side| {
                    let connection = self.slot(side).and_then(|slot| slot.connection.as_ref());
                    connection.is_some_and(|connection| connection.initiator == initiator)
                };
                let loser = if stays(other) && !stays(side) {
                    side
                } else {
                    other
                };
                let event = Event::OpenCollisionDump;
                self.step(loser, event, "two connections met", now);
            }
            // Nothing is known about the other one yet; its own OPEN will settle it.
            State::Idle | State::Connect | State::Active | State::OpenSent => {}
        }
    }

    fn hear_notification(&mut self, side: Side, notification: Notification, now: Instant) {
        let version = (notification.code, notification.subcode);
        let event = if version == (ERROR_OPEN, OPEN_UNSUPPORTED_VERSION) {
            Event::NotificationVersionError
        } else {
            Event::Notification
        };
        self.told = Some(notification);
        self.step(side, event, "", now);
        self.told = None;
    }

    fn hear_update(&mut self, side: Side, decoded: &Decoded, now: Instant) {
        self.step(side, Event::Update, "", now);
        if decoded.faults.is_empty()
            && let Some(family) = decoded.update.is_end_of_rib()
        {
            let notice = Notice::EndOfRib(family);
            self.outputs.push_back(Output::Notice(notice));
            return;
        }
        let maximum = self.options.maximum_prefix;
        let heard = self
            .heard
            .update(decoded, maximum, &mut self.counters.updates);
        if let (Err(too_many), MaximumPrefix::Limit { rest, .. }) = (heard, maximum) {
            let detail = format!("more than {} prefixes", too_many.limit);
            let event = Event::AutomaticStop(too_many.notification());
            self.step(side, event, &detail, now);
            self.main.fsm.rest(rest, now);
        }
    }

    fn hear_refresh(&mut self, refresh: RouteRefresh) {
        match (refresh.subtype, refresh.family.family()) {
            (RefreshKind::Request, Some(family)) => self.rib.refresh(family),
            // What the peer marks is dropped anyway; what isn't known "MUST be ignored"
            // (RFC 7313 §5).
            (RefreshKind::Request, None)
            | (RefreshKind::Begin | RefreshKind::End | RefreshKind::Other(_), _) => {}
        }
    }
}
