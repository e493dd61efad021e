//! Communities: standard (RFC 1997), extended (RFC 4360) and large (RFC 8092).

use super::iana::COMMUNITY_GRACEFUL_SHUTDOWN;
use std::fmt;

/// A standard community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Community(pub u32);

impl Community {
    /// "GRACEFUL_SHUTDOWN" (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(COMMUNITY_GRACEFUL_SHUTDOWN);

    /// `a:b`.
    pub fn new(a: u16, b: u16) -> Self {
        Self(u32::from(a) << 16 | u32::from(b))
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// An extended community as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// A large community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LargeCommunity {
    /// Global Administrator.
    pub global: u32,
    /// Local Data Part 1.
    pub local1: u32,
    /// Local Data Part 2.
    pub local2: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}
