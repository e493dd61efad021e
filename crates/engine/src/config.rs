//! Configuration: what users wrote, compiled into what can only be legal (`spec/metallb.md` §2.4).
//!
//! Each object is judged by itself: a bad one is rejected with object, field and cause, its last
//! good version stays in use, and the rest works. No `Option` of a collection and no empty
//! collection stands for "no filter": see [`Filter`].

pub mod backend;
pub mod bfd;
pub mod bgp;
pub mod community;
mod compile;
pub mod frr;
mod l2;
pub mod peer;
mod pool;
pub mod resources;
pub mod selector;
pub mod validate;

pub use compile::{Compiled, Surroundings, compile};

use crate::ip::Family;
use crate::names::PoolName;
pub use corten_api::annotation::{ConflictPolicy, Ownership, Refresh};
use selector::Selectors;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// No filter, or a filter; an empty `Only` admits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter<T: Ord> {
    /// No filter.
    Any,
    /// Just these.
    Only(BTreeSet<T>),
}

impl<T: Ord> Filter<T> {
    /// Whether `item` passes.
    pub fn admits<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        match self {
            Self::Any => true,
            Self::Only(set) => set.contains(item),
        }
    }
}

/// The compiled configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Accepted pools (each in its last good version).
    pub pools: BTreeMap<PoolName, Pool>,
    /// Whether `pools` is all there is.
    pub coverage: Coverage,
    /// Accepted L2 advertisements, by name.
    pub l2: BTreeMap<String, L2Advertisement>,
    /// What BGP does.
    pub bgp: Bgp,
}

/// The BGP side of the configuration; everything by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bgp {
    /// Accepted BGP advertisements.
    pub advertisements: BTreeMap<String, bgp::BgpAdvertisement>,
    /// Accepted peers.
    pub peers: BTreeMap<String, peer::Peer>,
    /// Accepted BFD profiles.
    pub bfd: BTreeMap<String, bfd::BfdProfile>,
    /// Aliases of communities, by the object that defines them.
    pub communities: BTreeMap<String, community::Aliases>,
}

/// Whether the accepted pools are all the pools there are.
///
/// While they aren't, an address outside them is not known to be illegal: nothing outside the
/// accepted pools is cleared or moved, and speakers keep announcing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every pool is accepted: an address outside them belongs to none.
    Complete,
    /// Some pool is rejected, or hidden in an unreadable part of the source, or pools were not
    /// listed yet.
    Incomplete {
        /// Rejected pools that are known by name, whether or not a last good version is in use.
        rejected: BTreeMap<PoolName, RejectedPool>,
    },
}

impl Default for Coverage {
    fn default() -> Self {
        Self::Incomplete {
            rejected: BTreeMap::new(),
        }
    }
}

/// A pool known by name only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedPool {
    /// Its labels (advertisements select pools by label); `None` while they can't be read.
    pub labels: Option<crate::facts::Labels>,
    /// The cause, for `PoolRejected`.
    pub cause: String,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Name.
    pub name: PoolName,
    /// Labels (advertisements select pools by label).
    pub labels: crate::facts::Labels,
    /// Address entries in spec order.
    pub entries: Vec<Entry>,
    /// Whether it is used without being asked for.
    pub auto_assign: bool,
    /// Whether IPv4 addresses ending in .0 and .255 are kept back.
    pub avoid_buggy_ips: bool,
    /// Whom it is for.
    pub scope: PoolScope,
}

impl Pool {
    /// Whether an address is in one of the pool's ranges (`avoidBuggyIPs` not considered, §4.6).
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.entries
            .iter()
            .any(|e| e.cidrs.iter().any(|c| c.contains(&ip)))
    }

    /// Whether the pool has addresses of a family.
    #[must_use]
    pub fn has_family(&self, family: Family) -> bool {
        self.entries
            .iter()
            .any(|e| e.cidrs.iter().any(|c| Family::of(c.network()) == family))
    }
}

/// One entry of a pool's `addresses`: a CIDR, or a range summarised into CIDRs, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub text: String,
    /// The CIDRs, in allocation order, host bits zero.
    pub cidrs: Vec<ipnet::IpNet>,
}

/// Whom a pool is for (`spec/metallb.md` §2.4, §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolScope {
    /// No `serviceAllocation`: for everyone, after the pinned pools.
    Everyone,
    /// `serviceAllocation` present: pinned, used before pools for everyone.
    Pinned(Pinning),
}

/// A pool's `serviceAllocation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinning {
    /// Lower first; 0 last.
    pub priority: i64,
    /// Namespaces, listed or selected by label; an empty `Only` admits none (§12 #24 fixed).
    pub namespaces: Filter<String>,
    /// Services by label.
    pub services: Selectors,
}

/// A compiled L2Advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Advertisement {
    /// Name.
    pub name: String,
    /// Pools it is for, accepted or rejected, listed or selected by label. Unknown names stay in
    /// the set: `explain` names them.
    pub pools: Filter<PoolName>,
    /// Whether it selects pools by label, so that one whose labels can't be read may be meant.
    pub by_label: bool,
    /// Nodes that may announce.
    pub nodes: Selectors,
    /// Interfaces to announce on.
    pub interfaces: Filter<String>,
    /// Services announced.
    pub services: Selectors,
    /// Weights of preferred nodes.
    pub preferences: Vec<Preference>,
    /// What to do about a stranger answering for an announced address.
    pub conflict: ConflictPolicy,
    /// Period of the gratuitous refresh.
    pub refresh: Refresh,
    /// Whether whoever has an address keeps it.
    pub ownership: Ownership,
}

/// One of `preferredNodeSelectors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// 1 to 100.
    pub weight: i32,
    /// The nodes.
    pub nodes: selector::Selector,
}
