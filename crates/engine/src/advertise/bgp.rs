//! The BGP decision: one function whose verdict the speaker acts on and `explain` prints, and the
//! table that comes of it (`spec/metallb.md` §6.1 to §6.3).
//!
//! Every node announces by itself: there is no election, and who is alive doesn't matter.

mod decide;
pub mod frr;
mod reason;
mod session;

pub use super::home::{Grounds, Home, KnownGrounds, Last};
pub(crate) use decide::sessions;
pub use decide::{Decision, Situation, Standing, Told, decide, ready};
pub use reason::Reason;
pub use session::{Families, Hops, Kind, RouterId, Session};

use super::words::list;
use crate::config::bgp::BgpAdvertisement;
use crate::config::community::Community;
use crate::flat::FlatSet;
use crate::ip::Family;
use crate::names::ServiceKey;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Whether a node announces a Service, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It announces to one peer at least.
    Announce(Announcement),
    /// It doesn't.
    Withhold(Reason),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Announce(announcement) => write!(f, "{announcement}"),
            Self::Withhold(reason) => write!(f, "{reason}"),
        }
    }
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// Addresses some peer hears of, in ingress order.
    pub addresses: Vec<IpAddr>,
    /// What each advertisement makes of each address, whichever peers it is for.
    pub paths: Vec<Path>,
}

impl std::fmt::Display for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses = &self.addresses;
        let told = |path: &&Path| addresses.iter().any(|ip| path.prefix.contains(ip));
        let prefixes: BTreeSet<_> = self.paths.iter().filter(told).map(|p| p.prefix).collect();
        write!(f, "announces {}", list(prefixes))
    }
}

/// What one advertisement makes of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The address, aggregated.
    pub prefix: IpNet,
    /// The advertisement.
    pub advertisement: String,
    /// With which attributes.
    pub attributes: Attributes,
}

impl Path {
    fn of(advertisement: &BgpAdvertisement, ip: IpAddr) -> Option<Self> {
        let length = advertisement.aggregation(Family::of(ip));
        Some(Self {
            prefix: IpNet::new(ip, length).ok()?.trunc(),
            advertisement: advertisement.name.clone(),
            attributes: Attributes::from(advertisement),
        })
    }
}

/// The attributes users can set; the session adds the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// LOCAL_PREF, for iBGP peers only; 0 means none was asked for.
    pub local_pref: u32,
    /// Communities, in the order of announcements (§6.2).
    pub communities: BTreeSet<Community>,
}

impl From<&BgpAdvertisement> for Attributes {
    fn from(advertisement: &BgpAdvertisement) -> Self {
        Self {
            local_pref: advertisement.local_pref,
            communities: advertisement.communities.clone(),
        }
    }
}

impl Attributes {
    /// Both together, for one prefix and peer: the communities add up, the higher LOCAL_PREF holds.
    // DEVIATION: Services that share a prefix may ask for different LOCAL_PREFs; MetalLB takes the first it meets.
    fn join(&mut self, other: &Self) {
        self.local_pref = self.local_pref.max(other.local_pref);
        self.communities.extend(&other.communities);
    }
}

/// What is sent of `paths`, which all have one prefix, over a session that carries `families` to
/// a peer that the advertisements which `admits` are for.
///
/// # Errors
/// Why nothing is.
pub(crate) fn offer<'a>(
    families: Families,
    admits: impl Fn(&str) -> bool,
    paths: impl Iterator<Item = &'a Path>,
) -> Result<Attributes, Reason> {
    let mut sent: Option<Attributes> = None;
    let mut unlisted = BTreeSet::new();
    for path in paths {
        let family = Family::of(path.prefix.addr());
        if !families.carries(family) {
            return Err(Reason::FamilyNotCarried { family });
        }
        if !admits(&path.advertisement) {
            unlisted.insert(&path.advertisement);
            continue;
        }
        match &mut sent {
            None => sent = Some(path.attributes.clone()),
            Some(sent) => sent.join(&path.attributes),
        }
    }
    sent.ok_or_else(|| Reason::PeerNotListed {
        advertisements: unlisted.into_iter().cloned().collect(),
    })
}

/// What the BGP task is to do: the whole table, latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpTable {
    /// The peers of this node, by name. One that leaves the table is to be closed; one whose
    /// session differs is to be closed and opened anew; routes never touch a session.
    pub peers: BTreeMap<String, BgpPeer>,
    /// Whether the node leaves load balancing: peers are to be told so before their routes go, and
    /// sessions end then.
    pub leaving: bool,
}

/// One peer of this node. Peers that are told the same share the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpPeer {
    /// The session to have.
    pub session: Arc<Session>,
    /// All that is to be announced to the peer.
    pub routes: Arc<BTreeMap<IpNet, Route>>,
    /// What this node has to announce, but not to this peer, and why not.
    pub withheld: Arc<BTreeMap<IpNet, Reason>>,
}

/// One prefix announced to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The attributes.
    pub attributes: Attributes,
    /// Services it is announced for.
    pub services: FlatSet<ServiceKey>,
}
