//! The layer-2 decision: one function whose verdict the speaker acts on, `explain` prints and the
//! status objects say (`spec/metallb.md` §5.2).

mod contest;
mod decide;
mod reason;
mod terms;

pub use super::home::{Grounds, Home, KnownGrounds, Last};
pub use decide::{Decision, Local, Situation, Standing, decide, ready};
pub use reason::Reason;
pub(crate) use terms::Terms;

use super::words::list;
use crate::config::{ConflictPolicy, Filter, Refresh};
use crate::flat::FlatSet;
use crate::ip::Family;
use crate::names::{NodeName, ServiceKey};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What can be spoken on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LinkState {
    /// ARP.
    pub arp: bool,
    /// NDP.
    pub ndp: bool,
}

impl LinkState {
    /// Whether addresses of `family` can be announced on the interface now.
    #[must_use]
    pub fn speaks(self, family: Family) -> bool {
        match family {
            Family::V4 => self.arp,
            Family::V6 => self.ndp,
        }
    }
}

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

impl std::fmt::Display for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "announces {}", list(&self.addresses))?;
        match &self.interfaces {
            Filter::Any => f.write_str(" on every usable interface")?,
            Filter::Only(names) => write!(f, " on {}", list(names))?,
        }
        for conflict in &self.conflicts {
            write!(f, "; {conflict}")?;
        }
        Ok(())
    }
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

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            ip,
            mac,
            interface,
            proxy_arp,
        } = self;
        write!(f, "{mac} answers for {ip} on {interface}")?;
        if *proxy_arp {
            f.write_str(" (and for unused addresses: proxy ARP)")?;
        }
        Ok(())
    }
}

/// What the L2 task is to do: the whole table, latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Table {
    /// Addresses this node answers for. One withheld for a conflict is here too: its policy says
    /// to be silent, and only who goes on looking knows when the stranger has left.
    pub entries: BTreeMap<IpAddr, L2Entry>,
    /// Addresses another node won: if this node has answered for one until now, it goes on until
    /// it hears the successor, at most for a while. Any other address that leaves `entries` falls
    /// silent at once.
    pub yielded: BTreeSet<IpAddr>,
    /// Whether this node is taken out of load balancing: what it yields, it yields by order, and
    /// waits longer for successors that may not have heard of it yet.
    pub leaving: bool,
    /// Addresses of this node and its fellows, to learn their MACs by: an answer from one of
    /// these is not a stranger's.
    pub fellows: BTreeMap<NodeName, Vec<IpAddr>>,
    /// Nodes that gossip doesn't reach; none where membership is off.
    pub unreached: BTreeSet<NodeName>,
    /// Those of them that come before this node for an address it won, where there are any: an
    /// answer of one of them counts.
    pub rivals: BTreeMap<IpAddr, BTreeSet<NodeName>>,
    /// Whether gossip reaches nobody, although there are other nodes: nothing is taken that
    /// somebody answers for.
    pub alone: bool,
}

/// One address to answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Entry {
    /// Raised on every gain, never reused, so that a fast lose-and-regain still sends its gratuitous frames.
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
    pub services: FlatSet<ServiceKey>,
}
