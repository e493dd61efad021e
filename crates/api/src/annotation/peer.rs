//! What the annotations of a BGPPeer ask of its session on the wire.

use super::{AnnotationError, Cause};
use crate::{duration, names};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum segment sizes Linux takes.
const MSS: RangeInclusive<u16> = 88..=32767;
/// Shortest user time-out: less would end connections over one lost segment.
const MIN_USER_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// Maximum segment size in octets; [`names::BGP_MSS`]. Absent means the kernel's choice.
    pub mss: Option<u16>,
    /// How long sent octets may stay unacknowledged (RFC 5482); [`names::BGP_USER_TIMEOUT`]. Absent
    /// means the kernel's choice.
    pub user_timeout: Option<Duration>,
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
        let mut reader = Reader {
            annotations,
            errors: Vec::new(),
        };
        let octet = |range: RangeInclusive<u16>| {
            // The ranges are narrower than that.
            move |name, text: &str| Ok(u8::try_from(number(name, text, range.clone())?).ok())
        };
        let wire = Self {
            ttl_security: reader
                .read(names::BGP_TTL_SECURITY, octet(1..=254))
                .flatten(),
            role: reader.read(names::BGP_ROLE, role_of),
            dscp: reader.read(names::BGP_DSCP, octet(0..=63)).flatten(),
            graceful_shutdown: reader.read(names::BGP_GRACEFUL_SHUTDOWN, duration_of),
            listen: reader.read(names::BGP_LISTEN, |name, text| {
                number(name, text, 1..=u16::MAX)
            }),
            mss: reader.read(names::BGP_MSS, |name, text| number(name, text, MSS)),
            user_timeout: reader.read(names::BGP_USER_TIMEOUT, user_timeout_of),
        };
        match reader.errors {
            errors if errors.is_empty() => Ok(wire),
            errors => Err(errors),
        }
    }
}

/// Reads annotations one by one, and keeps what is wrong with them.
struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    errors: Vec<AnnotationError>,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'static str, &str) -> Result<T, AnnotationError>,
    ) -> Option<T> {
        match read(name, self.annotations.get(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(error);
                None
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

fn duration_of(name: &'static str, text: &str) -> Result<Duration, AnnotationError> {
    duration::parse_length(text).map_err(|cause| AnnotationError {
        name,
        cause: cause.into(),
    })
}

fn user_timeout_of(name: &'static str, text: &str) -> Result<Duration, AnnotationError> {
    let limit = duration_of(name, text)?;
    if limit < MIN_USER_TIMEOUT {
        let cause = Cause::TooShort(text.to_owned());
        return Err(AnnotationError { name, cause });
    }
    Ok(limit)
}

fn role_of(name: &'static str, text: &str) -> Result<PeerRole, AnnotationError> {
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
                name,
                cause: Cause::Role(text.to_owned()),
            });
        }
    };
    Ok(PeerRole { role, strict })
}

#[cfg(test)]
mod tests;
