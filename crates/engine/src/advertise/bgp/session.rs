//! A BGPPeer as a session of one node, with everything resolved that the objects alone say
//! (`spec/metallb.md` §1.4, §6.1, §6.4, §6.5).

use crate::config::frr::Held;
use crate::config::peer::{Bfd, Password, Peer, PeerAsn, Remote, Timers};
use crate::facts::Labels;
use crate::ip::Family;
use crate::names::NodeName;
use corten_api::annotation::PeerWire;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Hold time where the peer sets no timer (RFC 4271 §10); keepalive is a third of it.
const HOLD: Duration = Duration::from_secs(90);

/// A session this node is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Name of the BGPPeer.
    pub peer: String,
    /// Where the peer is: at an address, or on the other end of an interface (unnumbered).
    pub remote: Remote,
    /// TCP port of the peer.
    pub port: u16,
    /// Local address; absent means the kernel's choice. One that this node doesn't have is a
    /// connect error.
    pub source: Option<IpAddr>,
    /// VRF device; absent means the default one.
    pub vrf: Option<String>,
    /// The AS number shown to the peer, in OPEN and as all there is of our AS_PATH: `localASN`,
    /// which replaces `myASN` without being prepended to it, or else `myASN`.
    pub local_asn: u32,
    /// The AS number the peer must have.
    pub remote_asn: PeerAsn,
    /// iBGP or eBGP.
    pub kind: Kind,
    /// How far away the peer may be.
    pub hops: Hops,
    /// Proposed hold time: 0, or at least 3 s.
    pub hold: Duration,
    /// Keepalive interval, at most the hold time; the negotiated hold time may shorten it.
    pub keepalive: Duration,
    /// Time between connection attempts; absent means the session's own schedule.
    pub connect_time: Option<Duration>,
    /// BGP identifier.
    pub router_id: RouterId,
    /// TCP-MD5 password. While it is awaited the session must not be opened.
    pub password: Password,
    /// Failure detection.
    pub bfd: Bfd,
    /// Graceful restart.
    pub graceful_restart: bool,
    /// Address families carried.
    pub families: Families,
    /// What annotations ask for.
    pub wire: PeerWire,
    /// Why there is to be none here: FRR has it. Nothing is told to the peer then.
    pub held: Option<Held>,
}

/// Whether the peer is of our AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// iBGP: LOCAL_PREF is sent.
    Internal,
    /// eBGP.
    External,
}

/// How far away a peer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Hops {
    /// On a network of this node, if BFD is to see it: BFD is single-hop, and packets to a peer
    /// that is there go out with TTL 1.
    One,
    /// Anywhere: full TTL; BFD is multihop, but for an iBGP peer on a network of this node.
    Any,
}

/// BGP identifier of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterId {
    /// As configured.
    Set(Ipv4Addr),
    /// The session's local address if it is IPv4, else the first IPv4 address on the interface
    /// that has it, else `fallback`, which comes from the node's name.
    Derived {
        /// Where the node has no IPv4 address there.
        fallback: Ipv4Addr,
    },
}

/// Address families a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Families {
    /// IPv4 unicast.
    V4,
    /// IPv6 unicast.
    V6,
    /// Both.
    Both,
}

impl Families {
    /// Whether prefixes of `family` are carried.
    #[must_use]
    pub fn carries(self, family: Family) -> bool {
        match (self, family) {
            (Self::Both, _) | (Self::V4, Family::V4) | (Self::V6, Family::V6) => true,
            (Self::V4, Family::V6) | (Self::V6, Family::V4) => false,
        }
    }
}

impl Session {
    /// The session `node` has with `peer`, if `peer` is one of its peers and FRR hasn't it.
    #[must_use]
    pub fn of(peer: &Peer, node: &NodeName) -> Self {
        let local_asn = peer.local_asn.unwrap_or(peer.my_asn);
        let kind = match peer.peer_asn {
            PeerAsn::Number(asn) if asn == local_asn => Kind::Internal,
            PeerAsn::Internal => Kind::Internal,
            PeerAsn::Number(_) | PeerAsn::External => Kind::External,
        };
        let (hold, keepalive) = match peer.timers {
            Timers::Default => (HOLD, HOLD / 3),
            Timers::Set { hold, keepalive } => (hold, keepalive),
        };
        Self {
            peer: peer.name.clone(),
            remote: peer.remote.clone(),
            port: peer.port,
            source: peer.source,
            vrf: peer.vrf.clone(),
            local_asn,
            remote_asn: peer.peer_asn,
            kind,
            hops: hops(peer, kind),
            hold,
            keepalive,
            connect_time: peer.connect_time,
            router_id: match peer.router_id {
                Some(id) => RouterId::Set(id),
                None => RouterId::Derived {
                    fallback: Ipv4Addr::from(crc32(node.as_str().as_bytes()).to_le_bytes()),
                },
            },
            password: peer.password.clone(),
            bfd: peer.bfd.clone(),
            graceful_restart: peer.graceful_restart,
            families: families(peer),
            wire: peer.wire,
            held: None,
        }
    }
}

/// Whether `node`'s labels make `peer` one of its peers; labels that aren't known match only a
/// peer for every node (§6.1).
#[must_use]
pub(crate) fn is_for(peer: &Peer, labels: Option<&Labels>) -> bool {
    match labels {
        Some(labels) => peer.nodes.matches(labels),
        None => peer.nodes == crate::config::selector::Selectors::Everything,
    }
}

fn hops(peer: &Peer, kind: Kind) -> Hops {
    match (&peer.remote, kind) {
        (Remote::Interface(_), _) => Hops::One,
        (Remote::Address(_), Kind::Internal) => Hops::Any,
        (Remote::Address(_), Kind::External) if peer.multihop => Hops::Any,
        (Remote::Address(_), Kind::External) => Hops::One,
    }
}

/// Both families if asked for or if there is no address to tell one from, else the address's.
/// `disableMP` changes nothing (§6.7).
pub(crate) fn families(peer: &Peer) -> Families {
    match &peer.remote {
        Remote::Interface(_) => Families::Both,
        Remote::Address(_) if peer.dual_stack => Families::Both,
        Remote::Address(IpAddr::V4(_)) => Families::V4,
        Remote::Address(IpAddr::V6(_)) => Families::V6,
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Internal => "iBGP",
            Kind::External => "eBGP",
        };
        match (&self.remote, self.port) {
            (Remote::Address(IpAddr::V6(ip)), port) => write!(f, "{kind} to [{ip}]:{port}")?,
            (Remote::Address(IpAddr::V4(ip)), port) => write!(f, "{kind} to {ip}:{port}")?,
            (Remote::Interface(name), _) => write!(f, "{kind} over interface {name}")?,
        }
        if let Some(vrf) = &self.vrf {
            write!(f, " in VRF {vrf}")?;
        }
        write!(f, ", AS {} with ", self.local_asn)?;
        match self.remote_asn {
            PeerAsn::Number(asn) => write!(f, "AS {asn}")?,
            PeerAsn::Internal => f.write_str("the same AS")?,
            PeerAsn::External => f.write_str("any other AS")?,
        }
        match &self.password {
            Password::None | Password::Text(_) => Ok(()),
            Password::Awaited { secret } => {
                write!(f, "; waits for its password in Secret {secret}")
            }
        }?;
        match &self.held {
            None => Ok(()),
            Some(Held::By(name)) => write!(f, "; held by FRR (FRRConfiguration {name})"),
            Some(Held::Perhaps) => f.write_str("; perhaps held by FRR"),
        }
    }
}

/// CRC-32 (IEEE 802.3), as MetalLB derives identifiers with (§6.4 "Router-ID").
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let polynomial = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            (crc >> 1) ^ polynomial
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests;
