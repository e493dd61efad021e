//! Why a node doesn't announce a Service over BGP, or not to a peer: one variant a cause, in words
//! for people, and in MetalLB's names for logs (`spec/metallb.md` §6.3, Appendix C).

use crate::advertise::subject::Unfit;
use crate::advertise::words::{list, other_class, pool_unknown};
use crate::config::frr::Held;
use crate::ip::Family;
use crate::names::{NodeName, PoolName};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why a node doesn't announce a Service, or not to a peer; one variant a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "reason"
)]
pub enum Reason {
    /// The facts are not all listed yet.
    NotReady,
    /// There is no such Service.
    NoSuchService,
    /// `type` is not LoadBalancer.
    NotLoadBalancer,
    /// `loadBalancerClass` is another's.
    OtherClass {
        /// The class asked for; empty if none is.
        class: String,
    },
    /// No address in status (and without an allocator here, none in the ledger).
    NoAllocation,
    /// A status entry is no address.
    InvalidAddress {
        /// The entry.
        text: String,
    },
    /// The addresses are not all in one accepted pool, and every pool is known.
    NotInPool {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// The addresses are in no accepted pool, some pool is rejected or can't be read, and no
    /// advertisement is known to be for it.
    PoolUnknown {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Pools known by name that they may belong to.
        rejected: BTreeSet<PoolName>,
    },
    /// No advertisement reaches the pool.
    NoAdvertisement {
        /// The pool.
        pool: PoolName,
    },
    /// No Node object of this name.
    UnknownNode {
        /// The node.
        node: NodeName,
    },
    /// Advertisements reach the pool, but none of their node selectors matches this node.
    NoMatchingNodeSelector {
        /// The advertisements looked at.
        advertisements: Vec<String>,
    },
    /// Advertisements are for the pool and the node, but none selects this Service.
    NoMatchingServiceSelector {
        /// The advertisements looked at.
        advertisements: Vec<String>,
    },
    /// Two advertisements give the same prefixes different LOCAL_PREFs.
    ConflictingAdvertisements {
        /// One of them.
        one: String,
        /// Its LOCAL_PREF; 0 if it sets none.
        local_pref: u32,
        /// The other.
        two: String,
        /// The other's LOCAL_PREF; 0 if it sets none.
        other_local_pref: u32,
    },
    /// The node's condition NetworkUnavailable is True.
    NetworkUnavailable,
    /// The node carries the exclude label.
    NodeExcluded {
        /// The label.
        label: String,
    },
    /// The node was drained.
    NodeDrained,
    /// The node has just started and isn't ready.
    NodeStarting {
        /// What it waits for.
        awaits: String,
    },
    /// Somebody declared the node to be out of service.
    NodeOutOfService {
        /// The taint it carries.
        taint: String,
    },
    /// `externalTrafficPolicy: Local` and no serving endpoint on the node.
    NoLocalEndpoint,
    /// No endpoint can serve.
    NoServingEndpoint,
    /// The Service lost its last endpoint not long ago, and an advertisement wants it held down.
    HeldDown {
        /// The advertisement that wants it longest.
        advertisement: String,
        /// For how long since then.
        milliseconds: u64,
    },
    /// No BGPPeer is for the node.
    NoPeer,
    /// The peer's node selectors don't match the node.
    PeerOfOtherNodes,
    /// FRR has the session on this node.
    PeerHeldByFrr {
        /// The FRRConfiguration that says so; none while they aren't listed yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        configuration: Option<String>,
    },
    /// None of the advertisements that announce the prefix lists the peer.
    PeerNotListed {
        /// The advertisements.
        advertisements: Vec<String>,
    },
    /// The session doesn't carry the prefix's family.
    FamilyNotCarried {
        /// The family.
        family: Family,
    },
}

impl Reason {
    /// The name MetalLB logs for this cause; its names are coarser, and ours is used where it has
    /// none (`spec/metallb.md` Appendix C).
    #[must_use]
    pub fn metallb_name(&self) -> &'static str {
        match self {
            Self::NotReady => "notReady",
            Self::NoSuchService => "serviceDeleted",
            Self::NotLoadBalancer => "notLoadBalancer",
            Self::OtherClass { .. } => "otherClass",
            Self::NoAllocation => "noIPAllocated",
            Self::InvalidAddress { .. } => "invalidIP",
            Self::NotInPool { .. } | Self::PoolUnknown { .. } => "ipNotAllowed",
            Self::NoAdvertisement { .. }
            | Self::UnknownNode { .. }
            | Self::NoMatchingNodeSelector { .. } => "notOwner",
            Self::NoMatchingServiceSelector { .. } => "noMatchingAdvertisement",
            Self::ConflictingAdvertisements { .. } => "conflictingAdvertisements",
            Self::NetworkUnavailable => "nodeNetworkUnavailable",
            Self::NodeExcluded { .. } => "nodeLabeledExcludeBalancers",
            Self::NodeOutOfService { .. } => "nodeOutOfService",
            Self::NodeDrained => "nodeDrained",
            Self::NodeStarting { .. } => "nodeStarting",
            Self::NoLocalEndpoint => "noLocalEndpoints",
            Self::NoServingEndpoint => "noEndpoints",
            Self::HeldDown { .. } => "heldDown",
            Self::NoPeer => "noPeer",
            Self::PeerOfOtherNodes => "filteredByNodeSelector",
            Self::PeerHeldByFrr { .. } => "peerHeldByFrr",
            Self::PeerNotListed { .. } => "peerNotListed",
            Self::FamilyNotCarried { .. } => "familyNotCarried",
        }
    }
}

impl From<Held> for Reason {
    fn from(held: Held) -> Self {
        let configuration = match held {
            Held::By(name) => Some(name),
            Held::Perhaps => None,
        };
        Self::PeerHeldByFrr { configuration }
    }
}

impl From<Unfit> for Reason {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotLoadBalancer => Self::NotLoadBalancer,
            Unfit::OtherClass { class } => Self::OtherClass { class },
            Unfit::NoAllocation => Self::NoAllocation,
            Unfit::InvalidAddress { text } => Self::InvalidAddress { text },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("not everything has been read yet"),
            Self::NoSuchService => f.write_str("there is no such Service"),
            Self::NotLoadBalancer => f.write_str("the Service's type is not LoadBalancer"),
            Self::OtherClass { class } => f.write_str(&other_class(class)),
            Self::NoAllocation => f.write_str("the Service has no address yet"),
            Self::InvalidAddress { text } => {
                write!(f, "\"{text}\" in the Service's status is no address")
            }
            Self::NotInPool { addresses } => write!(f, "no pool has {}", list(addresses)),
            Self::PoolUnknown {
                addresses,
                rejected,
            } => f.write_str(&pool_unknown(addresses, rejected)),
            Self::NoAdvertisement { pool } => write!(f, "no BGPAdvertisement is for pool {pool}"),
            Self::UnknownNode { node } => write!(f, "there is no Node object {node}"),
            Self::NoMatchingNodeSelector { advertisements } => write!(
                f,
                "no node selector of BGPAdvertisement {} matches the node",
                list(advertisements)
            ),
            Self::NoMatchingServiceSelector { advertisements } => write!(
                f,
                "no service selector of BGPAdvertisement {} matches the Service",
                list(advertisements)
            ),
            Self::ConflictingAdvertisements {
                one,
                local_pref,
                two,
                other_local_pref,
            } => write!(
                f,
                "BGPAdvertisements {one} (localPref {local_pref}) and {two} (localPref \
                 {other_local_pref}) conflict for the Service's prefix"
            ),
            Self::NetworkUnavailable => f.write_str("the node's network is unavailable"),
            Self::NodeDrained => f.write_str("the node was drained (corten drain)"),
            Self::NodeStarting { awaits } => {
                write!(f, "the node has just started and waits for {awaits}")
            }
            Self::NodeOutOfService { taint } => write!(f, "the node carries the taint {taint}"),
            Self::NodeExcluded { label } => write!(f, "the node carries the label {label}"),
            Self::NoLocalEndpoint => f.write_str(
                "externalTrafficPolicy is Local and the node has no endpoint that can serve",
            ),
            Self::NoServingEndpoint => f.write_str("the Service has no endpoint that can serve"),
            Self::HeldDown {
                advertisement,
                milliseconds,
            } => write!(
                f,
                "the Service lost its last endpoint less than {:?} ago, and BGPAdvertisement \
                 {advertisement} holds it down so long",
                Duration::from_millis(*milliseconds)
            ),
            Self::NoPeer => f.write_str("no BGPPeer is for the node"),
            Self::PeerOfOtherNodes => f.write_str("the peer's node selectors don't match the node"),
            Self::PeerHeldByFrr {
                configuration: Some(name),
            } => write!(
                f,
                "FRR holds the session with the peer on the node: FRRConfiguration {name} names it"
            ),
            Self::PeerHeldByFrr {
                configuration: None,
            } => f.write_str(
                "FRR may hold the session with the peer on the node: FRRConfigurations aren't \
                 listed yet",
            ),
            Self::PeerNotListed { advertisements } => write!(
                f,
                "the peer isn't in the list of BGPAdvertisement {}",
                list(advertisements)
            ),
            Self::FamilyNotCarried { family } => {
                write!(f, "the session with the peer doesn't carry {family}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
