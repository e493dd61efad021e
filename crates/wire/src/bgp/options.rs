//! What a peer is configured with.

use super::capability::{Capability, GracefulRestart, NextHopEncoding, RestartFamily, Role};
use super::family::{AfiSafi, Families, Family};
use super::open::Open;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The configuration of one peer. Any change of it needs another [`super::Peer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerOptions {
    /// The AS number shown to the peer, in OPEN and in paths; never 0. With a local AS number it
    /// is that one alone, without the router's own ("no-prepend replace-as").
    pub asn: u32,
    /// The AS number the peer must have.
    pub peer_asn: PeerAsn,
    /// Our BGP identifier; never 0.0.0.0.
    pub identifier: Ipv4Addr,
    /// Families offered.
    pub families: Families,
    /// The hold time offered: zero for none, else 3 s to 65,535 s.
    pub hold_time: Duration,
    /// The longest keepalive time; a third of the negotiated hold time if that is less.
    pub keepalive: Duration,
    /// The ConnectRetryTime, and the longest wait between attempts.
    pub connect_retry: Duration,
    /// The DelayOpenTime; zero is off.
    pub delay_open: Duration,
    /// Who makes the connection.
    pub dial: Dial,
    /// What becomes of our routes while this process restarts.
    pub restart: Restart,
    /// Our role (RFC 9234).
    pub role: RoleOption,
    /// How many prefixes the peer may announce.
    pub maximum_prefix: MaximumPrefix,
    /// Octets handed out for sending and not yet reported as sent: UPDATEs wait beyond that. One
    /// message may always be out.
    pub send_buffer: usize,
    /// Messages kept for looking at.
    pub ring: usize,
}

impl Default for PeerOptions {
    /// AS 0 and identifier 0.0.0.0, which have to be replaced.
    fn default() -> Self {
        Self {
            asn: 0,
            peer_asn: PeerAsn::External,
            identifier: Ipv4Addr::UNSPECIFIED,
            families: Families::Both,
            hold_time: Duration::from_secs(90),
            keepalive: Duration::from_secs(30),
            connect_retry: Duration::from_secs(30),
            delay_open: Duration::ZERO,
            dial: Dial::Active,
            restart: Restart::Helper,
            role: RoleOption::None,
            maximum_prefix: MaximumPrefix::Count,
            send_buffer: 128 * 1024,
            ring: 64,
        }
    }
}

/// The AS number a peer must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAsn {
    /// This one.
    Number(u32),
    /// The one we show.
    Internal,
    /// Any other than the one we show.
    External,
}

impl PeerAsn {
    pub(super) fn admits(self, asn: u32, own: u32) -> bool {
        match self {
            Self::Number(number) => asn == number,
            Self::Internal => asn == own,
            Self::External => asn != own,
        }
    }
}

/// Who makes the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// This end; the peer's are taken, too.
    Active,
    /// The peer only.
    Passive,
}

/// Graceful restart (RFC 4724, RFC 8538).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The capability isn't sent.
    Off,
    /// We wait for a restarting peer's End-of-RIB; our own routes go with the session.
    Helper,
    /// The peer keeps our routes over a restart, because the traffic flows meanwhile.
    Keep {
        /// For how long, at most 4,095 s.
        time: Duration,
        /// This process has restarted: the sessions it opens now say so.
        restarted: bool,
    },
}

/// Our role (RFC 9234).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleOption {
    /// No role is sent.
    None,
    /// This one; the peer's must fit if it sends one.
    Is(Role),
    /// This one; the peer must send one, and it must fit (RFC 9234 §4.2 "strict mode").
    Strict(Role),
}

impl RoleOption {
    /// The role, if there is one.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::None => None,
            Self::Is(role) | Self::Strict(role) => Some(role),
        }
    }
}

/// How many prefixes a peer may announce; none of them is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaximumPrefix {
    /// Any number; they are counted up to [`super::COUNTED`].
    Count,
    /// Beyond this number the session ends with a Cease (RFC 4271 §6.7, RFC 4486).
    Limit {
        /// How many are allowed, of both families together.
        prefixes: u32,
        /// No attempt before that.
        rest: Duration,
    },
}

impl PeerOptions {
    /// The OPEN of a connection; `over_ipv6` says which family the connection itself is of.
    pub(super) fn open(&self, over_ipv6: bool, restarted: bool) -> Open {
        let offered: Vec<_> = self.families.iter().map(AfiSafi::from).collect();
        let multiprotocol = offered.iter().copied().map(Capability::Multiprotocol);
        let mut capabilities: Vec<_> = multiprotocol.collect();
        capabilities.push(Capability::RouteRefresh);
        let (ipv4, ipv6) = (AfiSafi::from(Family::Ipv4), AfiSafi::from(Family::Ipv6));
        if over_ipv6 && self.families.has(Family::Ipv4) {
            capabilities.push(Capability::ExtendedNextHop(vec![NextHopEncoding {
                afi: ipv4.afi,
                safi: ipv4.safi.into(),
                next_hop_afi: ipv6.afi,
            }]));
        }
        capabilities.push(Capability::ExtendedMessage);
        capabilities.extend(self.role.role().map(Capability::Role));
        let restart = match self.restart {
            Restart::Off => None,
            Restart::Helper => Some(GracefulRestart {
                restarted: false,
                notification: true,
                time: HELPER_TIME,
                families: Vec::new(),
            }),
            Restart::Keep { time, .. } => Some(GracefulRestart {
                restarted,
                notification: true,
                time,
                // The traffic's way doesn't lead through this process: it is never lost.
                families: offered
                    .iter()
                    .map(|&family| RestartFamily {
                        family,
                        forwarding: true,
                    })
                    .collect(),
            }),
        };
        capabilities.extend(restart.map(Capability::GracefulRestart));
        capabilities.push(Capability::EnhancedRouteRefresh);
        let hold = u16::try_from(self.hold_time.as_secs()).unwrap_or(u16::MAX);
        Open::new(self.asn, hold, self.identifier, capabilities)
    }
}

/// The restart time said by one that only helps: it means nothing without a family.
const HELPER_TIME: Duration = Duration::from_secs(120);
