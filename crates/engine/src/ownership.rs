//! Who has an address already, as far as the members claim it, and whether that counts.
//!
//! MetalLB elects anew at each change: a node that comes back gets its addresses back. Where
//! claims count, whoever has an address keeps it while it may have it.

pub use corten_api::annotation::Ownership as Wish;

use crate::membership::Membership;
use crate::names::NodeName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// What decides between candidates of the same score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// The hash alone, as MetalLB has it.
    Metallb,
    /// A claim, then the hash.
    Sticky,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metallb => "metallb",
            Self::Sticky => "sticky",
        })
    }
}

/// Whether claims may count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fleet {
    /// They never do: membership is off, or not every member has spoken them for long enough.
    #[default]
    Stateless,
    /// They do where the policy says so.
    Claiming {
        /// The policy of advertisements that don't name one.
        default: Policy,
    },
}

/// Who claims an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Raised each time another node takes the address.
    pub epoch: u64,
    /// The members that claim it in that epoch; several only for a moment.
    pub nodes: BTreeSet<NodeName>,
}

/// What is known of ownership: the same on every member, sooner or later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Whether claims may count.
    pub fleet: Fleet,
    /// The claims of live members.
    pub claims: BTreeMap<IpAddr, Claim>,
    /// Members that are suspected: it may be this node that doesn't hear them.
    pub doubted: BTreeSet<NodeName>,
    /// Nodes that said that they leave: they are no members, and have given up what they had.
    pub left: BTreeSet<NodeName>,
}

impl Ownership {
    /// The policy in force for a Service whose advertisements have these wishes: the hash, if one
    /// of them asks for it.
    pub fn policy(&self, wishes: impl IntoIterator<Item = Wish>) -> Policy {
        let Fleet::Claiming { default } = self.fleet else {
            return Policy::Metallb;
        };
        let wishes: BTreeSet<Wish> = wishes.into_iter().collect();
        if wishes.contains(&Wish::Metallb) {
            Policy::Metallb
        } else if wishes.contains(&Wish::Sticky) {
            Policy::Sticky
        } else {
            default
        }
    }

    /// Whether gossip reaches a node, so that what it has can be agreed on; also of one that has
    /// left: it has said that it has nothing.
    pub(crate) fn reaches(&self, node: &NodeName, membership: &Membership) -> bool {
        let present = membership.admits(node) && !self.doubted.contains(node);
        present || self.left.contains(node)
    }

    /// Addresses whose claims differ.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> BTreeSet<IpAddr> {
        let all = self.claims.keys().chain(other.claims.keys());
        all.filter(|ip| self.claims.get(ip) != other.claims.get(ip))
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests;
