//! Why a node doesn't announce a Service: one variant a cause, in words for people, and in
//! MetalLB's names for logs (`spec/metallb.md` Appendix C).

use super::Conflict;
use crate::advertise::subject::Unfit;
use crate::advertise::words::{list, other_class, pool_unknown};
use crate::names::{NodeName, PoolName};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Why a node doesn't announce a Service; one variant a cause.
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
    /// No endpoint can serve.
    NoServingEndpoint,
    /// `allow-shared-ip` together with an advertisement that selects Services.
    SharedIpWithServiceSelector {
        /// The advertisement.
        advertisement: String,
    },
    /// No advertisement reaches the pool.
    NoAdvertisement {
        /// The pool.
        pool: PoolName,
    },
    /// Advertisements reach the pool, but none selects this Service.
    NoMatchingServiceSelector {
        /// The advertisements looked at.
        advertisements: Vec<String>,
    },
    /// Advertisements select the Service, but none of their node selectors matches this node.
    NoMatchingNodeSelector {
        /// The advertisements looked at.
        advertisements: Vec<String>,
    },
    /// No Node object of this name.
    UnknownNode {
        /// The node.
        node: NodeName,
    },
    /// Membership is on and the node is not alive in it.
    NotAMember {
        /// The node.
        node: NodeName,
    },
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
    /// The node's condition NetworkUnavailable is True.
    NetworkUnavailable,
    /// `externalTrafficPolicy: Local` and no serving endpoint on the node.
    NoLocalEndpoint,
    /// Another node won the election.
    LostElection {
        /// The winner.
        winner: NodeName,
        /// This node's rank; 0 is the winner's.
        rank: usize,
    },
    /// The node won, but none of the named interfaces is usable.
    NoInterface {
        /// The interfaces named; empty means every usable one was allowed.
        wanted: BTreeSet<String>,
    },
    /// A stranger answers for the address and the policy is to withhold.
    AddressConflict(Conflict),
    /// The address is being probed before its first announcement.
    Probing,
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
            Self::SharedIpWithServiceSelector { .. } => "sharedIPWithServiceSelector",
            Self::NoAdvertisement { .. }
            | Self::NoMatchingServiceSelector { .. }
            | Self::NoMatchingNodeSelector { .. } => "noMatchingAdvertisement",
            Self::NoServingEndpoint
            | Self::UnknownNode { .. }
            | Self::NotAMember { .. }
            | Self::NodeExcluded { .. }
            | Self::NodeOutOfService { .. }
            | Self::NodeDrained
            | Self::NodeStarting { .. }
            | Self::NetworkUnavailable
            | Self::NoLocalEndpoint
            | Self::LostElection { .. } => "notOwner",
            Self::NoInterface { .. } => "noInterface",
            Self::AddressConflict(_) => "addressConflict",
            Self::Probing => "probing",
        }
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
            Self::NotInPool { addresses } => {
                write!(f, "no pool has {}", list(addresses))
            }
            Self::PoolUnknown {
                addresses,
                rejected,
            } => f.write_str(&pool_unknown(addresses, rejected)),
            Self::NoServingEndpoint => f.write_str("the Service has no endpoint that can serve"),
            Self::SharedIpWithServiceSelector { advertisement } => write!(
                f,
                "the Service allows its address to be shared, but L2Advertisement \
                 {advertisement} selects Services"
            ),
            Self::NoAdvertisement { pool } => write!(f, "no L2Advertisement is for pool {pool}"),
            Self::NoMatchingServiceSelector { advertisements } => write!(
                f,
                "no service selector of L2Advertisement {} matches the Service",
                list(advertisements)
            ),
            Self::NoMatchingNodeSelector { advertisements } => write!(
                f,
                "no node selector of L2Advertisement {} matches the node",
                list(advertisements)
            ),
            Self::UnknownNode { node } => write!(f, "there is no Node object {node}"),
            Self::NotAMember { node } => write!(f, "{node} is not alive in the membership"),
            Self::NodeExcluded { label } => write!(f, "the node carries the label {label}"),
            Self::NodeDrained => f.write_str("the node was drained (corten drain)"),
            Self::NodeStarting { awaits } => {
                write!(f, "the node has just started and waits for {awaits}")
            }
            Self::NodeOutOfService { taint } => write!(f, "the node carries the taint {taint}"),
            Self::NetworkUnavailable => f.write_str("the node's network is unavailable"),
            Self::NoLocalEndpoint => f.write_str(
                "externalTrafficPolicy is Local and the node has no endpoint that can serve",
            ),
            Self::LostElection { winner, rank } => {
                write!(
                    f,
                    "{winner} won the election; the node came {}",
                    place(*rank)
                )
            }
            Self::NoInterface { wanted } => f.write_str(&no_interface(wanted)),
            Self::AddressConflict(conflict) => write!(f, "{conflict}"),
            Self::Probing => {
                f.write_str("the node is asking whether anyone has the new address already")
            }
        }
    }
}

fn no_interface(wanted: &BTreeSet<String>) -> String {
    if wanted.is_empty() {
        "the node won the election but has no usable interface".to_owned()
    } else {
        format!(
            "the node won the election but can't use any interface named: {}",
            list(wanted)
        )
    }
}

/// A rank in words: 0 is `1st`.
fn place(rank: usize) -> String {
    let n = rank.saturating_add(1);
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

#[cfg(test)]
mod tests;
