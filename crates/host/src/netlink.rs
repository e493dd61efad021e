//! The host's links and addresses, followed by events (`rtnetlink(7)`).
//!
//! [`LinkMonitor`] joins the kernel's event groups, reads everything once and keeps it current.
//! Invariants: a snapshot is always complete (never one made while the first reading is under
//! way); several changes that are already waiting make one snapshot; a change we couldn't be told
//! of because the socket overflowed leads to a full reading, during which the last snapshot stays
//! the truth.
//!
//! Messages are read here and not by a library: only a dozen fields are of interest, an unknown
//! attribute must never be an error, and an overflow has to be seen.

pub(crate) mod message;
mod monitor;
pub(crate) mod route;
pub(crate) mod socket;

use std::net::IpAddr;

pub use monitor::{LinkMonitor, NetlinkError};

/// Where an address is valid (`rtm_scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// On this link only.
    Link,
    /// On this host only.
    Host,
    /// A scope of the administrator's own, by number.
    Other(u8),
}

impl Scope {
    /// The kernel's number as a scope.
    fn from_kernel(scope: u8) -> Self {
        match scope {
            libc::RT_SCOPE_UNIVERSE => Self::Global,
            libc::RT_SCOPE_LINK => Self::Link,
            libc::RT_SCOPE_HOST => Self::Host,
            other => Self::Other(other),
        }
    }
}

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
    /// Where it is valid.
    pub scope: Scope,
    /// Duplicate address detection has not finished: not usable yet.
    pub tentative: bool,
    /// Duplicate address detection found another owner: not usable.
    pub dad_failed: bool,
    /// Not chosen as a source address for new connections.
    pub deprecated: bool,
    /// The kernel removes it when its lifetime ends.
    pub expires: bool,
}

impl Address {
    /// Whether the host can use the address now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.tentative && !self.dad_failed
    }
}

/// An interface and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its link-layer address, if it has one of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The driver's kind of a virtual link (`veth`, `bridge`, `vlan` …).
    pub kind: Option<String>,
    /// Frames have Ethernet headers.
    pub ethernet: bool,
    /// Set up by the administrator.
    pub up: bool,
    /// Has a signal and is ready to pass frames.
    pub carrier: bool,
    /// Can send to everybody on the link.
    pub broadcast: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Neighbours aren't resolved on it.
    pub noarp: bool,
    /// Index of the bridge, bond or VRF it is a member of.
    pub master: Option<u32>,
    /// Its addresses, ordered.
    pub addresses: Vec<Address>,
}

impl Link {
    /// Whether it has an IPv6 link-local address that has passed duplicate address detection.
    #[must_use]
    pub fn has_usable_link_local(&self) -> bool {
        self.addresses.iter().any(|address| {
            address.is_usable()
                && matches!(address.ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
        })
    }
}
