//! What two OPENs agree on, and why they may not (RFC 4271 §6.2).

use super::capability::{Capability, GracefulRestart, Role};
use super::family::{AfiSafi, Families};
use super::fsm::Times;
use super::iana::{
    ERROR_OPEN, OPEN_BAD_IDENTIFIER, OPEN_BAD_PEER_AS, OPEN_ROLE_MISMATCH,
    OPEN_UNACCEPTABLE_HOLD_TIME, OPEN_UNSUPPORTED_CAPABILITY,
};
use super::message::{MAX_EXTENDED_LEN, MAX_LEN};
use super::notification::Notification;
use super::open::Open;
use super::options::{PeerAsn, PeerOptions, Restart, RoleOption};
use super::update::UpdateContext;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What a session has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's AS number.
    pub peer_asn: u32,
    /// The peer's BGP identifier.
    pub identifier: Ipv4Addr,
    /// Whether the peer is of another AS.
    pub external: bool,
    /// Zero is off.
    pub hold_time: Duration,
    /// Zero is off.
    pub keepalive: Duration,
    /// Families both ends speak.
    pub families: Families,
    /// AS numbers have four octets.
    pub four_octet_as: bool,
    /// The peer understands ROUTE-REFRESH.
    pub route_refresh: bool,
    /// The peer understands BoRR and EoRR.
    pub enhanced_refresh: bool,
    /// Messages may have 65,535 octets.
    pub extended_messages: bool,
    /// IPv4 prefixes may have an IPv6 next hop.
    pub extended_next_hop: bool,
    /// The peer's role.
    pub role: Option<Role>,
    /// The peer's graceful restart capability.
    pub restart: Option<GracefulRestart>,
    /// NOTIFICATIONs leave routes in place, a hard reset doesn't (RFC 8538).
    pub notification_restart: bool,
    /// The peer keeps our routes when the session is lost.
    pub kept: bool,
    /// Everything the peer's OPEN said it can.
    pub capabilities: Vec<Capability>,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// Another AS number than configured.
    #[error("the peer is AS {asn}, not {expected}")]
    Asn {
        /// The peer's.
        asn: u32,
        /// What was expected, in words.
        expected: String,
    },
    /// An identifier that can't be: 0.0.0.0, or our own within the AS (RFC 6286).
    #[error("the peer's BGP identifier {0} can't be its own")]
    Identifier(Ipv4Addr),
    /// 1 or 2 seconds.
    #[error("the peer wants a hold time of {0} s; it has to be 0 or at least 3 s")]
    HoldTime(u16),
    /// No family in common.
    #[error("no address family is spoken by both ends")]
    Families(Vec<u8>),
    /// Roles that don't fit (RFC 9234 §4.2).
    #[error("our role is {ours}, the peer's is {theirs}")]
    Role {
        /// Ours.
        ours: Role,
        /// The peer's, in words.
        theirs: String,
    },
}

impl NegotiateError {
    /// The NOTIFICATION to send.
    pub fn notification(&self) -> Notification {
        let subcode = match self {
            Self::Asn { .. } => OPEN_BAD_PEER_AS,
            Self::Identifier(_) => OPEN_BAD_IDENTIFIER,
            Self::HoldTime(_) => OPEN_UNACCEPTABLE_HOLD_TIME,
            // RFC 5492 §3: the data are the capabilities that were missed.
            Self::Families(data) => {
                let subcode = OPEN_UNSUPPORTED_CAPABILITY;
                return Notification::with_data(ERROR_OPEN, subcode, data.as_slice());
            }
            Self::Role { .. } => OPEN_ROLE_MISMATCH,
        };
        Notification::new(ERROR_OPEN, subcode)
    }
}

/// Settles what `theirs` and `ours` have in common.
pub(super) fn negotiate(
    options: &PeerOptions,
    ours: &Open,
    theirs: &Open,
) -> Result<Negotiated, NegotiateError> {
    let asn = theirs.asn();
    // RFC 7607 §2: AS 0 is a bad peer AS.
    if asn == 0 || !options.peer_asn.admits(asn, options.asn) {
        let expected = match options.peer_asn {
            PeerAsn::Number(number) => number.to_string(),
            PeerAsn::Internal => format!("{} (internal)", options.asn),
            PeerAsn::External => "another one than ours (external)".to_owned(),
        };
        return Err(NegotiateError::Asn { asn, expected });
    }
    let external = asn != options.asn;
    let identifier = theirs.identifier;
    // RFC 6286 §2.2: "If the BGP Identifier field of the OPEN message is zero, or if it is the
    // same as the BGP Identifier of the local BGP speaker and the message is from an internal peer".
    if identifier.is_unspecified() || !external && identifier == options.identifier {
        return Err(NegotiateError::Identifier(identifier));
    }
    // RFC 4271 §6.2: "MUST reject Hold Time values of one or two seconds".
    if [1, 2].contains(&theirs.hold_time) {
        return Err(NegotiateError::HoldTime(theirs.hold_time));
    }
    let offered = theirs.families();
    let families = options
        .families
        .filter(|family| offered.is_some_and(|offered| offered.has(family)))
        .ok_or_else(|| NegotiateError::Families(missed(options.families)))?;
    let role = role(options.role, theirs, external)?;
    // RFC 4271 §4.2: "the smaller of its configured Hold Time and the Hold Time received".
    let hold_time = Duration::from_secs(theirs.hold_time.min(ours.hold_time).into());
    let restart = theirs.graceful_restart().cloned();
    let own_restart = ours.graceful_restart();
    let notifies = |restart: &GracefulRestart| restart.notification;
    Ok(Negotiated {
        peer_asn: asn,
        identifier,
        external,
        hold_time,
        keepalive: options.keepalive.min(hold_time / 3),
        families,
        four_octet_as: theirs.four_octet_as().is_some(),
        route_refresh: theirs.has(&Capability::RouteRefresh),
        enhanced_refresh: theirs.has(&Capability::EnhancedRouteRefresh),
        extended_messages: theirs.has(&Capability::ExtendedMessage),
        extended_next_hop: ours.extended_next_hop() && theirs.extended_next_hop(),
        role,
        notification_restart: own_restart.is_some_and(notifies)
            && restart.as_ref().is_some_and(notifies),
        kept: matches!(options.restart, Restart::Keep { .. }) && restart.is_some(),
        restart,
        capabilities: theirs.capabilities.clone(),
    })
}

/// The capabilities a peer of no common family would have had to send.
fn missed(families: Families) -> Vec<u8> {
    let mut data = Vec::new();
    for family in families.iter() {
        Capability::Multiprotocol(AfiSafi::from(family)).encode(&mut data);
    }
    data
}

fn role(ours: RoleOption, theirs: &Open, external: bool) -> Result<Option<Role>, NegotiateError> {
    let mut roles: Vec<_> = theirs.roles().collect();
    roles.sort_unstable();
    roles.dedup();
    // RFC 9234 §4.1: the capability is for external sessions.
    let (Some(own), true) = (ours.role(), external) else {
        return Ok(roles.first().copied());
    };
    let mismatch = |theirs: String| NegotiateError::Role { ours: own, theirs };
    match roles.as_slice() {
        [] if matches!(ours, RoleOption::Strict(_)) => Err(mismatch("not said".to_owned())),
        [] => Ok(None),
        [role] if *role == own.counterpart() => Ok(Some(*role)),
        [role] => Err(mismatch(role.to_string())),
        // "If [...] multiple BGP Role Capabilities are received, and not all of them have the
        // same value, then the BGP speaker MUST reject the connection".
        [..] => Err(mismatch("said twice, differently".to_owned())),
    }
}

impl Negotiated {
    pub(super) fn times(&self) -> Times {
        Times {
            hold: self.hold_time,
            keepalive: self.keepalive,
        }
    }

    /// What reading an UPDATE depends on.
    pub fn context(&self) -> UpdateContext {
        UpdateContext {
            four_octet_as: self.four_octet_as,
            external: self.external,
            extended_next_hop: self.extended_next_hop,
        }
    }

    /// Octets of the longest message.
    pub fn limit(&self) -> usize {
        if self.extended_messages {
            MAX_EXTENDED_LEN
        } else {
            MAX_LEN
        }
    }
}

#[cfg(test)]
mod tests;
