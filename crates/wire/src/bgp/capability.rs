//! Capabilities of an OPEN (RFC 5492). What isn't known, or doesn't have the form its RFC gives
//! it, survives as [`Capability::Other`].

use super::bytes::Reader;
use super::family::AfiSafi;
use super::iana::{
    CAPABILITY_ENHANCED_ROUTE_REFRESH, CAPABILITY_EXTENDED_MESSAGE, CAPABILITY_EXTENDED_NEXT_HOP,
    CAPABILITY_FOUR_OCTET_AS, CAPABILITY_GRACEFUL_RESTART, CAPABILITY_MULTIPROTOCOL,
    CAPABILITY_ROLE, CAPABILITY_ROUTE_REFRESH, FORWARDING_STATE, RESTART_NOTIFICATION,
    RESTART_STATE, ROLE_CUSTOMER, ROLE_PEER, ROLE_PROVIDER, ROLE_RS, ROLE_RS_CLIENT,
};
use std::fmt;
use std::time::Duration;

/// A capability.
///
/// ```text
/// | code (1) | length (1) | value |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A family (RFC 4760 §8).
    Multiprotocol(AfiSafi),
    /// ROUTE-REFRESH is understood (RFC 2918).
    RouteRefresh,
    /// Families whose next hop may be of another one (RFC 8950 §4).
    ExtendedNextHop(Vec<NextHopEncoding>),
    /// Messages up to 65,535 octets are understood (RFC 8654).
    ExtendedMessage,
    /// The sender's role (RFC 9234 §4.1).
    Role(Role),
    /// Graceful restart (RFC 4724 §3, RFC 8538 §2).
    GracefulRestart(GracefulRestart),
    /// The sender's AS number (RFC 6793 §3).
    FourOctetAs(u32),
    /// BoRR and EoRR are understood (RFC 7313 §3.1).
    EnhancedRouteRefresh,
    /// Anything else.
    Other {
        /// Capability code.
        code: u8,
        /// Capability value, at most 255 octets.
        value: Vec<u8>,
    },
}

/// One entry of the extended next hop capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHopEncoding {
    /// NLRI's address family.
    pub afi: u16,
    /// NLRI's SAFI, in two octets here.
    pub safi: u16,
    /// Address family of the next hop.
    pub next_hop_afi: u16,
}

/// What a speaker is to the one on the other end (RFC 9234 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It sells transit to the other.
    Provider,
    /// It is a route server.
    RouteServer,
    /// It is the client of a route server.
    RouteServerClient,
    /// It buys transit from the other.
    Customer,
    /// It exchanges its own and its customers' routes.
    Peer,
}

impl Role {
    /// The value sent.
    pub fn code(self) -> u8 {
        match self {
            Self::Provider => ROLE_PROVIDER,
            Self::RouteServer => ROLE_RS,
            Self::RouteServerClient => ROLE_RS_CLIENT,
            Self::Customer => ROLE_CUSTOMER,
            Self::Peer => ROLE_PEER,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            ROLE_PROVIDER => Self::Provider,
            ROLE_RS => Self::RouteServer,
            ROLE_RS_CLIENT => Self::RouteServerClient,
            ROLE_CUSTOMER => Self::Customer,
            ROLE_PEER => Self::Peer,
            _ => return None,
        })
    }

    /// The role the other end must have (RFC 9234 table 2).
    pub fn counterpart(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::Customer => Self::Provider,
            Self::RouteServer => Self::RouteServerClient,
            Self::RouteServerClient => Self::RouteServer,
            Self::Peer => Self::Peer,
        }
    }

    /// Whether a speaker of this role marks what it sends (RFC 9234 §5, egress rule 1).
    pub fn marks_routes(self) -> bool {
        match self {
            Self::Provider | Self::RouteServer | Self::Peer => true,
            Self::Customer | Self::RouteServerClient => false,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |f: &mut fmt::Formatter<'_>, of: &AfiSafi| match of.family() {
            Some(family) => write!(f, "{family}"),
            None => write!(f, "AFI {} SAFI {}", of.afi, of.safi),
        };
        match self {
            Self::Multiprotocol(of) => family(f, of),
            Self::RouteRefresh => f.write_str("route refresh"),
            Self::ExtendedNextHop(_) => f.write_str("extended next hop"),
            Self::ExtendedMessage => f.write_str("extended messages"),
            Self::Role(role) => write!(f, "role {role}"),
            Self::GracefulRestart(restart) => {
                write!(f, "graceful restart {} s", restart.time.as_secs())?;
                if restart.restarted {
                    f.write_str(", restarted")?;
                }
                for kept in &restart.families {
                    f.write_str(", keeps ")?;
                    family(f, &kept.family)?;
                }
                Ok(())
            }
            Self::FourOctetAs(asn) => write!(f, "four-octet AS {asn}"),
            Self::EnhancedRouteRefresh => f.write_str("enhanced route refresh"),
            Self::Other { code, .. } => write!(f, "capability {code}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::RouteServer => "rs-server",
            Self::RouteServerClient => "rs-client",
            Self::Customer => "customer",
            Self::Peer => "peer",
        })
    }
}

/// The graceful restart capability.
///
/// ```text
/// | R N 0 0 | restart time, 12 bits | then for each family: | AFI (2) | SAFI (1) | F 0000000 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// The speaker has restarted: don't wait for its End-of-RIB.
    pub restarted: bool,
    /// NOTIFICATIONs, too, leave routes in place (RFC 8538).
    pub notification: bool,
    /// Whole seconds until the session is back, at most 4,095.
    pub time: Duration,
    /// Families whose routes are to be kept.
    pub families: Vec<RestartFamily>,
}

/// A family of the graceful restart capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartFamily {
    /// Which.
    pub family: AfiSafi,
    /// Forwarding went on during the restart.
    pub forwarding: bool,
}

/// The longest restart time that can be said.
pub const MAX_RESTART_TIME: Duration = Duration::from_secs(4095);

impl Capability {
    /// Its code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => CAPABILITY_MULTIPROTOCOL,
            Self::RouteRefresh => CAPABILITY_ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => CAPABILITY_EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => CAPABILITY_EXTENDED_MESSAGE,
            Self::Role(_) => CAPABILITY_ROLE,
            Self::GracefulRestart(_) => CAPABILITY_GRACEFUL_RESTART,
            Self::FourOctetAs(_) => CAPABILITY_FOUR_OCTET_AS,
            Self::EnhancedRouteRefresh => CAPABILITY_ENHANCED_ROUTE_REFRESH,
            Self::Other { code, .. } => *code,
        }
    }

    /// Code, length and value; a value behind its 255th octet is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut value = Vec::new();
        match self {
            Self::Multiprotocol(family) => {
                value.extend_from_slice(&family.afi.to_be_bytes());
                value.extend_from_slice(&[0, family.safi]);
            }
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => {}
            Self::ExtendedNextHop(encodings) => {
                // 42 entries of 6 octets are what a capability can hold.
                for encoding in encodings.iter().take(42) {
                    value.extend_from_slice(&encoding.afi.to_be_bytes());
                    value.extend_from_slice(&encoding.safi.to_be_bytes());
                    value.extend_from_slice(&encoding.next_hop_afi.to_be_bytes());
                }
            }
            Self::Role(role) => value.push(role.code()),
            Self::GracefulRestart(restart) => restart.encode(&mut value),
            Self::FourOctetAs(asn) => value.extend_from_slice(&asn.to_be_bytes()),
            Self::Other { value: other, .. } => value.extend(other.iter().take(255)),
        }
        out.push(self.code());
        out.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&value);
    }

    /// What a code and a value say.
    pub fn decode(code: u8, value: &[u8]) -> Self {
        Self::known(code, value).unwrap_or_else(|| Self::Other {
            code,
            value: value.to_owned(),
        })
    }

    fn known(code: u8, value: &[u8]) -> Option<Self> {
        let mut from = Reader::new(value);
        let capability = match code {
            CAPABILITY_MULTIPROTOCOL => {
                let afi = from.u16()?;
                // RFC 4760 §8: the reserved octet "SHOULD be ignored by the receiver".
                let [_, safi] = from.array()?;
                Self::Multiprotocol(AfiSafi { afi, safi })
            }
            CAPABILITY_ROUTE_REFRESH => Self::RouteRefresh,
            CAPABILITY_EXTENDED_NEXT_HOP => {
                let mut encodings = Vec::new();
                while !from.is_empty() {
                    encodings.push(NextHopEncoding {
                        afi: from.u16()?,
                        safi: from.u16()?,
                        next_hop_afi: from.u16()?,
                    });
                }
                Self::ExtendedNextHop(encodings)
            }
            CAPABILITY_EXTENDED_MESSAGE => Self::ExtendedMessage,
            CAPABILITY_ROLE => Self::Role(Role::from_code(from.u8()?)?),
            CAPABILITY_GRACEFUL_RESTART => {
                Self::GracefulRestart(GracefulRestart::decode(&mut from)?)
            }
            CAPABILITY_FOUR_OCTET_AS => Self::FourOctetAs(from.u32()?),
            CAPABILITY_ENHANCED_ROUTE_REFRESH => Self::EnhancedRouteRefresh,
            _ => return None,
        };
        from.is_empty().then_some(capability)
    }
}

impl GracefulRestart {
    fn encode(&self, value: &mut Vec<u8>) {
        let time = self.time.min(MAX_RESTART_TIME).as_secs();
        let mut head = u16::try_from(time).unwrap_or_default();
        if self.restarted {
            head |= RESTART_STATE;
        }
        if self.notification {
            head |= RESTART_NOTIFICATION;
        }
        value.extend_from_slice(&head.to_be_bytes());
        // 63 families of 4 octets are what a capability can hold.
        for entry in self.families.iter().take(63) {
            value.extend_from_slice(&entry.family.afi.to_be_bytes());
            let flags = if entry.forwarding {
                FORWARDING_STATE
            } else {
                0
            };
            value.extend_from_slice(&[entry.family.safi, flags]);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let head = from.u16()?;
        let mut families = Vec::new();
        while !from.is_empty() {
            let afi = from.u16()?;
            let [safi, flags] = from.array()?;
            families.push(RestartFamily {
                family: AfiSafi { afi, safi },
                // RFC 4724 §3: the other bits are reserved and ignored.
                forwarding: flags & FORWARDING_STATE != 0,
            });
        }
        Some(Self {
            restarted: head & RESTART_STATE != 0,
            notification: head & RESTART_NOTIFICATION != 0,
            time: Duration::from_secs(u64::from(head & 0x0fff)),
            families,
        })
    }

    /// Whether the speaker keeps forwarding for `family`.
    pub fn covers(&self, family: AfiSafi) -> bool {
        self.families.iter().any(|entry| entry.family == family)
    }
}
