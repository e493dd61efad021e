//! What MetalLB's BGP backends refuse (`spec/metallb.md` §2.5).
//!
//! Our own engine takes all of it, so none of this is applied when a configuration is compiled.
//! It tells whether a configuration would also work with MetalLB.

use super::community::Community;
use super::peer::{Peer, Remote};
use super::resources::{Id, Resources};
use crate::facts::{Facts, Node};
use crate::ip::Family;
use crate::names::NodeName;
use crate::rejection::{Fault, Kind, Rejection};
use corten_api::bgp::BGPPeerSpec;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A BGP backend of MetalLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// `native`.
    Native,
    /// `frr`, the deprecated sidecar.
    Frr,
    /// `frr-k8s`.
    FrrK8s,
}

impl Backend {
    /// Every backend.
    pub const ALL: [Self; 3] = [Self::Native, Self::Frr, Self::FrrK8s];

    /// Its name, as in `METALLB_BGP_TYPE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Frr => "frr",
            Self::FrrK8s => "frr-k8s",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name no backend has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown BGP backend {0:?} (native, frr or frr-k8s)")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        let found = Self::ALL
            .into_iter()
            .find(|backend| backend.as_str() == text);
        found.ok_or_else(|| UnknownBackend(text.to_owned()))
    }
}

/// What `backend` would refuse of the accepted configuration.
#[must_use]
pub fn check(facts: &Facts, backend: Backend) -> Vec<Rejection> {
    match backend {
        Backend::Native => native(facts),
        Backend::Frr | Backend::FrrK8s => frr(facts),
    }
}

fn native(facts: &Facts) -> Vec<Rejection> {
    let resources = facts.resources();
    let mut refused = Vec::new();
    let mut refuse = |kind, id: &Id, faults: Vec<Fault>| {
        let object = id.object(kind);
        refused.extend(faults.into_iter().map(|fault| fault.of(&object)));
    };
    for (id, object) in &resources.peers {
        refuse(Kind::BGPPeer, id, native_peer(&object.spec));
    }
    for id in resources.bfd.keys() {
        let cause = "BFD profiles are not supported on native bgp mode";
        refuse(Kind::BFDProfile, id, vec![Fault::new("", cause)]);
    }
    for (id, advertisement) in Resources::kept(&resources.bgp, &facts.config.bgp.advertisements) {
        let mut faults = Vec::new();
        for community in advertisement.communities.iter().filter(|c| is_large(c)) {
            faults.push(large("spec.communities", community));
        }
        let pools = facts.config.pools.values();
        for pool in pools.filter(|pool| advertisement.pools.admits(&pool.name)) {
            if pool.has_family(Family::V6) {
                let cause = format!(
                    "pool \"{}\" has IPv6 addresses, which are not supported on native bgp mode",
                    pool.name
                );
                faults.push(Fault::new("spec.ipAddressPools", cause));
            }
        }
        refuse(Kind::BGPAdvertisement, id, faults);
    }
    for (id, aliases) in Resources::kept(&resources.communities, &facts.config.bgp.communities) {
        let communities = aliases.values().filter(|c| is_large(c));
        let faults = communities.map(|c| large("spec.communities", c)).collect();
        refuse(Kind::Community, id, faults);
    }
    refused
}

fn is_large(community: &Community) -> bool {
    match community {
        Community::Standard(..) => false,
        Community::Large(..) => true,
    }
}

fn large(field: &str, community: &Community) -> Fault {
    let cause = format!("large community {community} is not supported on native bgp mode");
    Fault::new(field, cause)
}

fn native_peer<'a>(spec: &'a BGPPeerSpec) -> Vec<Fault> {
    let written = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
    let peer = written(&spec.peer_address)
        .or(written(&spec.interface))
        .unwrap_or_default();
    let text = |text| written(text).is_some();
    let zero = |text: &str| corten_api::duration::parse(text).is_ok_and(|d| d.nanos() == 0);
    let keepalive = spec
        .keepalive_time
        .as_deref()
        .is_some_and(|text| !zero(text));
    let set = [
        ("bfdProfile", text(&spec.bfd_profile)),
        ("keepaliveTime", keepalive),
        ("vrf", text(&spec.vrf)),
        ("connectTime", spec.connect_time.is_some()),
        (
            "enableGracefulRestart",
            spec.enable_graceful_restart == Some(true),
        ),
        ("disableMP", spec.disable_mp == Some(true)),
        (
            "dualStackAddressFamily",
            spec.dual_stack_address_family == Some(true),
        ),
        ("dynamicASN", text(&spec.dynamic_asn)),
        ("interface", text(&spec.interface)),
        ("localASN", spec.local_asn.is_some_and(|asn| asn != 0)),
    ];
    let fault = |(field, _)| {
        let cause = format!("peer {peer} has {field} set on native bgp mode");
        Fault::new(format!("spec.{field}"), cause)
    };
    set.into_iter().filter(|(_, set)| *set).map(fault).collect()
}

/// Each peer is compared with those before it by name; the later one is the refused one.
fn frr(facts: &Facts) -> Vec<Rejection> {
    let peers: Vec<_> =
        Resources::kept(&facts.resources().peers, &facts.config.bgp.peers).collect();
    let mut refused = Vec::new();
    for (i, (id, peer)) in peers.iter().enumerate() {
        let earlier = peers.iter().take(i).map(|(_, earlier)| *earlier);
        let near = earlier.filter(|other| share_node(peer, other, &facts.nodes));
        for fault in near.flat_map(|other| frr_pair(peer, other)) {
            refused.push(fault.of(&id.object(Kind::BGPPeer)));
        }
    }
    refused
}

/// With no node known any two peers may meet.
pub(super) fn share_node(one: &Peer, two: &Peer, nodes: &BTreeMap<NodeName, Node>) -> bool {
    let both = |node: &Node| one.nodes.matches(&node.labels) && two.nodes.matches(&node.labels);
    nodes.is_empty() || nodes.values().any(both)
}

/// What tells peers apart in FRR modes.
fn identity(peer: &Peer) -> String {
    match &peer.vrf {
        None => peer.remote.to_string(),
        Some(vrf) => format!("{}-{vrf}", peer.remote),
    }
}

/// A peer there is already, in the words of §2.6.
pub(super) fn duplicate(peer: &Peer) -> Fault {
    let field = match peer.remote {
        Remote::Address(_) => "spec.peerAddress",
        Remote::Interface(_) => "spec.interface",
    };
    let cause = format!(
        "peer {} already exists, FRR mode doesn't support duplicate BGPPeers selecting the same \
         node",
        identity(peer)
    );
    Fault::new(field, cause)
}

fn frr_pair(peer: &Peer, other: &Peer) -> Vec<Fault> {
    let mut faults = Vec::new();
    if peer.router_id != other.router_id {
        let id = |peer: &Peer| {
            peer.router_id
                .map_or_else(|| "none".to_owned(), |id| id.to_string())
        };
        let cause = format!(
            "peer {} has router ID {}, peer {} on the same node has {}: FRR mode needs one",
            identity(peer),
            id(peer),
            identity(other),
            id(other)
        );
        faults.push(Fault::new("spec.routerID", cause));
    }
    if identity(peer) == identity(other) {
        faults.push(duplicate(peer));
    }
    if peer.vrf == other.vrf && peer.my_asn != other.my_asn {
        let cause = format!(
            "peer {} has myASN {}, peer {} on the same node and VRF has {}: FRR mode needs one",
            identity(peer),
            peer.my_asn,
            identity(other),
            other.my_asn
        );
        faults.push(Fault::new("spec.myASN", cause));
    }
    faults
}

#[cfg(test)]
mod tests;
