//! A message in a line of words.

use super::{Direction, Recorded};
use crate::bgp::message::{Frame, Framer, Received};
use crate::bgp::refresh::{RefreshKind, RouteRefresh};
use crate::bgp::update::{Decoded, UpdateContext};
use std::fmt;

impl fmt::Display for Recorded {
    /// Such as `received UPDATE, 2 announced: 192.0.2.0/24, …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::Sent => "sent ",
            Direction::Received => "received ",
        })?;
        let mut framer = Framer::default();
        framer.extend_limit();
        framer.push(&self.bytes);
        match (framer.next_frame(), Frame::kind_of(&self.bytes)) {
            (Ok(Some(frame)), _) => match read(&frame) {
                Some(message) => words(f, &message),
                None => write!(f, "{} that can't be read", frame.kind()),
            },
            (_, Some(kind)) => write!(f, "{kind} of {} octets", self.length),
            (_, None) => write!(f, "{} octets", self.length),
        }
    }
}

/// What the session has agreed on isn't known here: whichever makes sense of the message.
fn read(frame: &Frame) -> Option<Received> {
    let contexts = [true, false].map(|four_octet_as| UpdateContext {
        four_octet_as,
        external: false,
        extended_next_hop: true,
    });
    let mut readings = contexts
        .iter()
        .filter_map(|context| frame.decode(context).ok());
    let first = readings.next()?;
    let sound = |one: &Received| !matches!(one, Received::Update(update) if update.is_withdrawn());
    if sound(&first) {
        return Some(first);
    }
    Some(readings.find(sound).unwrap_or(first))
}

fn words(f: &mut fmt::Formatter<'_>, message: &Received) -> fmt::Result {
    match message {
        Received::Open(open) => write!(
            f,
            "OPEN, AS {}, identifier {}, hold time {} s, capabilities: {}",
            open.asn(),
            open.identifier,
            open.hold_time,
            open.capabilities.len()
        ),
        Received::Update(decoded) => update(f, decoded),
        Received::Notification(notification) => write!(f, "NOTIFICATION, {notification}"),
        Received::Keepalive => f.write_str("KEEPALIVE"),
        Received::RouteRefresh(refresh) => route_refresh(f, *refresh),
    }
}

fn update(f: &mut fmt::Formatter<'_>, decoded: &Decoded) -> fmt::Result {
    f.write_str("UPDATE")?;
    if let Some(family) = decoded.update.is_end_of_rib() {
        return write!(f, ", End-of-RIB of {family}");
    }
    let withdrawn: Vec<_> = decoded.update.unreachable().collect();
    let announced: Vec<_> = decoded.update.reachable().collect();
    for (prefixes, what) in [(withdrawn, "withdrawn"), (announced, "announced")] {
        if let Some(first) = prefixes.first() {
            let more = if prefixes.len() > 1 { ", …" } else { "" };
            write!(f, ", {} {what}: {first}{more}", prefixes.len())?;
        }
    }
    for fault in &decoded.faults {
        write!(f, "; {fault}")?;
    }
    Ok(())
}

fn route_refresh(f: &mut fmt::Formatter<'_>, refresh: RouteRefresh) -> fmt::Result {
    f.write_str(match refresh.subtype {
        RefreshKind::Request => "ROUTE-REFRESH, request",
        RefreshKind::Begin => "ROUTE-REFRESH, beginning",
        RefreshKind::End => "ROUTE-REFRESH, end",
        RefreshKind::Other(_) => "ROUTE-REFRESH of an unknown kind",
    })?;
    match refresh.family.family() {
        Some(family) => write!(f, " of {family}"),
        None => write!(
            f,
            " of AFI {} SAFI {}",
            refresh.family.afi, refresh.family.safi
        ),
    }
}
