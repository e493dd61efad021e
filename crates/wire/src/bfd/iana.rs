//! Code points of BFD (IANA "Bidirectional Forwarding Detection (BFD) Parameters"; "Service Name and
//! Transport Protocol Port Number Registry").

use std::fmt;

/// Control packets over one hop (RFC 5881 §4).
pub const PORT_CONTROL: u16 = 3784;
/// Echo packets (RFC 5881 §4).
pub const PORT_ECHO: u16 = 3785;
/// Control packets over several hops (RFC 5883 §5).
pub const PORT_MULTIHOP: u16 = 4784;
/// Lowest source port of control packets (RFC 5881 §4); the highest is 65535.
pub const PORT_SOURCE_MIN: u16 = 49152;

/// Authentication types (RFC 5880 §4.1); none is offered.
pub const AUTH_SIMPLE_PASSWORD: u8 = 1;
/// Keyed MD5.
pub const AUTH_KEYED_MD5: u8 = 2;
/// Meticulous keyed MD5.
pub const AUTH_METICULOUS_MD5: u8 = 3;
/// Keyed SHA1.
pub const AUTH_KEYED_SHA1: u8 = 4;
/// Meticulous keyed SHA1.
pub const AUTH_METICULOUS_SHA1: u8 = 5;

/// Why a session last left Up, or isn't up (RFC 5880 §4.1 "Diag"); 5 bits, unknown ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    /// No diagnostic.
    pub const NONE: Self = Self(0);
    /// Control detection time expired.
    pub const TIME_EXPIRED: Self = Self(1);
    /// Echo function failed.
    pub const ECHO_FAILED: Self = Self(2);
    /// Neighbour signalled session down.
    pub const NEIGHBOR_DOWN: Self = Self(3);
    /// Forwarding plane reset.
    pub const FORWARDING_RESET: Self = Self(4);
    /// Path down.
    pub const PATH_DOWN: Self = Self(5);
    /// Concatenated path down.
    pub const CONCATENATED_DOWN: Self = Self(6);
    /// Administratively down.
    pub const ADMIN_DOWN: Self = Self(7);
    /// Reverse concatenated path down.
    pub const REVERSE_CONCATENATED_DOWN: Self = Self(8);
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::NONE => "no diagnostic",
            Self::TIME_EXPIRED => "control detection time expired",
            Self::ECHO_FAILED => "echo function failed",
            Self::NEIGHBOR_DOWN => "neighbor signaled session down",
            Self::FORWARDING_RESET => "forwarding plane reset",
            Self::PATH_DOWN => "path down",
            Self::CONCATENATED_DOWN => "concatenated path down",
            Self::ADMIN_DOWN => "administratively down",
            Self::REVERSE_CONCATENATED_DOWN => "reverse concatenated path down",
            Self(code) => return write!(f, "diagnostic {code}"),
        })
    }
}
