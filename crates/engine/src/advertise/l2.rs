//! The layer-2 decision: one function whose verdict the speaker acts on, `explain` prints and the
//! status objects say (`spec/metallb.md` §5.2).

use crate::config::{ConflictPolicy, Filter, Refresh};
use crate::names::{NodeName, PoolName, ServiceKey};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A 48-bit link-layer address, here only as data to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Whether a node announces a Service, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It announces.
    Announce(Announcement),
    /// It doesn't.
    Withhold(Reason),
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// Addresses, in ingress order.
    pub addresses: Vec<IpAddr>,
    /// Interfaces the advertisements name.
    pub interfaces: Filter<String>,
    /// What to do about a stranger answering.
    pub conflict: ConflictPolicy,
    /// Gratuitous refresh (the shortest period of the applicable advertisements).
    pub refresh: Refresh,
    /// Conflicts known now that the policy doesn't withhold for.
    pub conflicts: Vec<Conflict>,
}

/// A stranger answering for one of our addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The address.
    pub ip: IpAddr,
    /// The stranger's link-layer address.
    pub mac: Mac,
    /// Where it was heard.
    pub interface: String,
    /// Whether the same MAC also answered for an unused address: proxy ARP.
    pub proxy_arp: bool,
}

/// Why a node doesn't announce a Service; one variant a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "reason")]
pub enum Reason {
    /// The facts are not all listed yet.
    NotReady,
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

/// What the L2 task is to do: the whole table, latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Table {
    /// Addresses this node answers for.
    pub entries: BTreeMap<IpAddr, L2Entry>,
    /// Addresses another node won: if this node has answered for one until now, it goes on until
    /// it hears the successor, at most a second. Any other address that leaves `entries` falls
    /// silent at once.
    pub yielded: BTreeSet<IpAddr>,
    /// Addresses of this node and its fellows, to learn their MACs by: an answer from one of
    /// these is not a stranger's.
    pub fellows: BTreeMap<NodeName, Vec<IpAddr>>,
}

/// One address to answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Entry {
    /// Raised on every gain, so that a fast lose-and-regain still sends its gratuitous frames.
    pub epoch: u64,
    /// Interfaces.
    pub interfaces: Filter<String>,
    /// What to do about a stranger.
    pub conflict: ConflictPolicy,
    /// Gratuitous refresh.
    pub refresh: Refresh,
    /// Whether to probe before the first announcement: only for an address this process saw
    /// being newly allocated.
    pub probe: bool,
    /// Services that have the address.
    pub services: BTreeSet<ServiceKey>,
}
