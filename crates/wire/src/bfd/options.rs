//! How a session behaves.

use std::num::NonZeroU32;
use std::time::Duration;

/// Who begins (RFC 5880 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends whether or not it hears the peer.
    Active,
    /// Sends nothing before it has heard the peer.
    Passive,
}

/// How far away the peer is, and what TTL its packets must arrive with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// On the same network: 255 (RFC 5881 §5, MUST).
    SingleHop,
    /// Anywhere (RFC 5883).
    MultiHop {
        /// The lowest TTL taken.
        minimum_ttl: u8,
    },
}

impl Path {
    pub(super) fn takes(self, ttl: u8) -> bool {
        match self {
            Self::SingleHop => ttl == 255,
            Self::MultiHop { minimum_ttl } => ttl >= minimum_ttl,
        }
    }
}

/// The echo function (RFC 5880 §6.4); single hop only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Not sent, and not returned.
    Off,
    /// Sent, if the peer returns them.
    // DEVIATION: RFC 5880 §6.8.3 SHOULD slow control packets down to one a second beside them.
    On {
        /// The shortest interval to send at and to return the peer's at.
        interval: Duration,
        /// Whether this host's forwarding returns the peer's.
        returned: bool,
    },
}

/// Intervals that can be changed while the session is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// The shortest interval to send at while up.
    pub desired_min_tx: Duration,
    /// The shortest interval that can be received at.
    pub required_min_rx: Duration,
    /// Intervals without a packet after which the peer takes us for dead; 0 counts as 1.
    pub detect_multiplier: u8,
}

/// How a session behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Our name for the session; no other session of this host has it.
    pub discriminator: NonZeroU32,
    /// Intervals.
    pub timers: Timers,
    /// Who begins.
    pub role: Role,
    /// How far away the peer is.
    pub path: Path,
    /// The echo function.
    pub echo: Echo,
    /// C bit: whether forwarding goes on when this process dies. It is no part of the forwarding
    /// plane here, so only a process whose restart leaves the path alone may say so.
    pub control_plane_independent: bool,
    /// Where randomness starts.
    pub seed: u64,
}
