//! Whether this process may do what it was asked to do (`capabilities(7)`).
//!
//! Checked before anything is opened, so that the error names the capability and the ways to grant
//! it instead of saying "operation not permitted" somewhere later.

use std::io;

/// A capability Corten can make use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// `CAP_NET_ADMIN`: putting addresses on interfaces, and nftables rules.
    NetAdmin,
    /// `CAP_NET_RAW`: packet sockets.
    NetRaw,
}

impl Capability {
    /// Its number in the kernel's sets.
    const fn number(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
        }
    }

    /// Its name as the manual page writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
        }
    }

    /// What it is needed for.
    const fn purpose(self) -> &'static str {
        match self {
            Self::NetAdmin => "putting won addresses on lo (--assign)",
            Self::NetRaw => "answering ARP and neighbour discovery",
        }
    }
}

/// A capability this process would need.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// It is not in the effective set.
    #[error(
        "{} is missing; it is needed for {}. Grant it with one of: `setcap {}+ep` on the binary; \
         `AmbientCapabilities={}` in the systemd unit; `securityContext.capabilities.add: [{}]` in \
         the pod; or run as root",
        .0.name(), .0.purpose(), .0.name().to_lowercase(), .0.name(),
        .0.name().trim_start_matches("CAP_")
    )]
    Missing(Capability),
    /// The effective set can't be read.
    #[error("reading the process's capabilities from /proc/thread-self/status: {0}")]
    Unreadable(#[source] io::Error),
}

/// Asks for `CAP_NET_RAW`.
///
/// # Errors
/// It is missing, or `/proc` can't be read.
pub fn require_net_raw() -> Result<(), CapabilityError> {
    require(Capability::NetRaw)
}

/// Asks for `CAP_NET_ADMIN`.
///
/// # Errors
/// It is missing, or `/proc` can't be read.
pub fn require_net_admin() -> Result<(), CapabilityError> {
    require(Capability::NetAdmin)
}

/// Asks for a capability in the calling thread's effective set.
///
/// # Errors
/// It is missing, or `/proc` can't be read.
pub fn require(capability: Capability) -> Result<(), CapabilityError> {
    let status =
        std::fs::read_to_string("/proc/thread-self/status").map_err(CapabilityError::Unreadable)?;
    let effective = effective(&status).ok_or_else(|| {
        CapabilityError::Unreadable(io::Error::new(io::ErrorKind::InvalidData, "no CapEff line"))
    })?;
    if effective >> capability.number() & 1 == 1 {
        Ok(())
    } else {
        Err(CapabilityError::Missing(capability))
    }
}

/// The effective set in the text of a `status` file.
fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests;
