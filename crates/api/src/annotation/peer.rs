//! What the annotations of a BGPPeer ask of its session on the wire.

use super::{AnnotationError, Cause};
use crate::{duration, names};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What MetalLB's objects have no field for; absent is as FRR has it unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PeerWire {
    /// The peer is at most so many hops away, which its packets have to show (RFC 5082);
    /// [`names::BGP_TTL_SECURITY`]. Absent means that nothing is asked of them.
    pub ttl_security: Option<u8>,
    /// Our role towards the peer (RFC 9234); [`names::BGP_ROLE`]. Absent means that none is said.
    pub role: Option<PeerRole>,
    /// Differentiated services code point of what is sent; [`names::BGP_DSCP`]. Absent means CS6.
    pub dscp: Option<u8>,
    /// Port on which the peer is waited for; [`names::BGP_LISTEN`]. Absent means that it is dialled.
    pub listen: Option<u16>,
    /// How long routes are marked before they are withdrawn when the node leaves;
    /// [`names::BGP_GRACEFUL_SHUTDOWN`]. Absent means 5 s.
    pub graceful_shutdown: Option<Duration>,
}

/// Our role, and whether the peer has to say its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRole {
    /// Ours.
    pub role: Role,
    /// RFC 9234 §4.2 "strict mode".
    pub strict: bool,
}

/// A role (RFC 9234 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We sell transit to the peer.
    Provider,
    /// We are a route server.
    RouteServer,
    /// We are the client of one.
    RouteServerClient,
    /// We buy transit from the peer.
    Customer,
    /// We exchange our own and our customers' routes.
    Peer,
}

impl PeerWire {
    /// What the annotations ask for.
    ///
    /// # Errors
    /// Every annotation that is there and can't be read.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, Vec<AnnotationError>> {
        let port = annotations.get(names::BGP_LISTEN);
        let port = port.map(|text| number(names::BGP_LISTEN, text, 1..=u16::MAX));
        let number = |name, range| {
            let text = annotations.get(name);
            let number = text.map(|text| number(name, text, range)).transpose()?;
            // The ranges are narrower than that.
            Ok(number.and_then(|number| u8::try_from(number).ok()))
        };
        let role = annotations.get(names::BGP_ROLE);
        let role = role.map(|text| role_of(text)).transpose();
        let shutdown = annotations.get(names::BGP_GRACEFUL_SHUTDOWN);
        let shutdown = shutdown.map(|text| shutdown_of(text)).transpose();
        match (
            number(names::BGP_TTL_SECURITY, 1..=254),
            role,
            number(names::BGP_DSCP, 0..=63),
            shutdown,
            port.transpose(),
        ) {
            (Ok(ttl_security), Ok(role), Ok(dscp), Ok(graceful_shutdown), Ok(listen)) => Ok(Self {
                listen,
                ttl_security,
                role,
                dscp,
                graceful_shutdown,
            }),
            (ttl_security, role, dscp, shutdown, listen) => {
                let errors = [
                    ttl_security.err(),
                    role.err(),
                    dscp.err(),
                    shutdown.err(),
                    listen.err(),
                ];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }
}

fn number(
    name: &'static str,
    text: &str,
    range: RangeInclusive<u16>,
) -> Result<u16, AnnotationError> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| AnnotationError {
        name,
        cause: Cause::Number {
            text: text.to_owned(),
            low: *range.start(),
            high: *range.end(),
        },
    })
}

fn shutdown_of(text: &str) -> Result<Duration, AnnotationError> {
    duration::parse_length(text).map_err(|cause| AnnotationError {
        name: names::BGP_GRACEFUL_SHUTDOWN,
        cause: cause.into(),
    })
}

fn role_of(text: &str) -> Result<PeerRole, AnnotationError> {
    let (word, strict) = match text.strip_suffix(" strict") {
        Some(word) => (word, true),
        None => (text, false),
    };
    let role = match word {
        "provider" => Role::Provider,
        "route-server" => Role::RouteServer,
        "route-server-client" => Role::RouteServerClient,
        "customer" => Role::Customer,
        "peer" => Role::Peer,
        _ => {
            return Err(AnnotationError {
                name: names::BGP_ROLE,
                cause: Cause::Role(text.to_owned()),
            });
        }
    };
    Ok(PeerRole { role, strict })
}

#[cfg(test)]
mod tests;
