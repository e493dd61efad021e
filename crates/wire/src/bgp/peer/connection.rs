//! Connections of a peer: one, or two while it is open which of them stays.

use crate::bgp::PeerOptions;
use crate::bgp::fsm::Fsm;
use crate::bgp::message::Framer;
use crate::bgp::negotiate::Negotiated;
use crate::bgp::open::Open;
use crate::bgp::rib::Egress;
use crate::bgp::update::MpNextHop;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A connection of a peer; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub(super) u64);

/// Both ends of a TCP connection, and what this end is called in the other family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// This end.
    pub local: SocketAddr,
    /// The peer's end.
    pub peer: SocketAddr,
    /// The IPv4 address of the interface towards the peer, for a session over IPv6.
    pub ipv4: Option<Ipv4Addr>,
    /// The global IPv6 address of that interface, for a session over IPv4 or link-local addresses.
    pub ipv6: Option<Ipv6Addr>,
    /// The link-local address of that interface, if the peer is on its link (RFC 2545 §3).
    pub link_local: Option<Ipv6Addr>,
}

impl Endpoints {
    /// The next hop for IPv4 traffic; on an unnumbered link, whose other end may well have no
    /// IPv4 address, none where an IPv6 one will do.
    fn next_hop_ipv4(&self, extended: bool) -> Option<Ipv4Addr> {
        match self.local.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(ip) if extended && ip.is_unicast_link_local() => None,
            IpAddr::V6(_) => self.ipv4,
        }
    }

    /// The next hop for IPv6 traffic: global, with the link-local address if there is one; that
    /// alone on a link without global addresses.
    fn next_hop_ipv6(&self) -> Option<MpNextHop> {
        let own = match self.local.ip() {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
        };
        let global = own.filter(|ip| !ip.is_unicast_link_local()).or(self.ipv6);
        let link_local = own.filter(|ip| ip.is_unicast_link_local());
        let link_local = link_local.or(self.link_local);
        match (global, link_local) {
            (Some(ip), Some(link_local)) => Some(MpNextHop::Ipv6WithLinkLocal(ip, link_local)),
            (Some(ip), None) | (None, Some(ip)) => Some(MpNextHop::Ipv6(ip)),
            (None, None) => None,
        }
    }
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initiator {
    Us,
    Peer,
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) initiator: Initiator,
    /// `None` while it is being made.
    pub(super) endpoints: Option<Endpoints>,
    pub(super) framer: Framer,
    /// Octets handed out and not reported as sent.
    pub(super) queued: usize,
    pub(super) ours: Option<Open>,
    pub(super) negotiated: Option<Negotiated>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, initiator: Initiator, ends: Option<Endpoints>) -> Self {
        Self {
            id,
            initiator,
            endpoints: ends,
            framer: Framer::default(),
            queued: 0,
            ours: None,
            negotiated: None,
        }
    }

    /// How paths look on this session.
    pub(super) fn egress(&self, options: &PeerOptions) -> Option<Egress> {
        let negotiated = self.negotiated.as_ref()?;
        let ends = self.endpoints?;
        Some(Egress {
            families: negotiated.families,
            own_as: options.asn,
            external: negotiated.external,
            four_octet_as: negotiated.four_octet_as,
            extended_next_hop: negotiated.extended_next_hop,
            ipv4: ends.next_hop_ipv4(negotiated.extended_next_hop),
            ipv6: ends.next_hop_ipv6(),
            role: options.role.role(),
            limit: negotiated.limit(),
        })
    }
}

/// A state machine and its connection.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) fsm: Fsm,
    pub(super) connection: Option<Connection>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one there always is.
    Main,
    /// One the peer made while there was another already.
    Rival,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Main => Self::Rival,
            Self::Rival => Self::Main,
        }
    }
}
