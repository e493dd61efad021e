//! What the machine is told to do: the whole table, latest wins.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The desired state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Addresses this node answers for.
    pub entries: BTreeMap<IpAddr, Entry>,
    /// Addresses another node won: one this node has answered for until now goes on being
    /// answered until the successor is heard, at most a second. Every other address that leaves
    /// `entries` falls silent at once.
    pub yielded: BTreeSet<IpAddr>,
    /// Addresses of the nodes by name, this node's too: their MACs are no strangers'.
    pub fellows: BTreeMap<String, Vec<IpAddr>>,
    /// This node's name.
    pub node: String,
    /// Fellows that nothing is agreed on with: the LAN decides between them and this node.
    pub unreached: BTreeSet<String>,
    /// Those of them that an address is left to if they answer for it, where there are any.
    pub rivals: BTreeMap<IpAddr, BTreeSet<String>>,
    /// Whether all fellows are unreached: nothing new is answered before the LAN was asked.
    pub alone: bool,
}

/// One address to answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Raised on every gain, so that a fast lose-and-regain still sends its gratuitous frames.
    pub epoch: u64,
    /// Where.
    pub interfaces: Interfaces,
    /// What to do about a stranger answering for the address.
    pub conflict: Policy,
    /// Gratuitous frames beyond those after the gain.
    pub refresh: Refresh,
    /// Whether to ask the LAN for the address before it is answered and announced for the first
    /// time.
    pub probe: bool,
}

/// Interfaces an address is announced on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interfaces {
    /// Every usable one.
    Any,
    /// The usable ones among these names.
    Named(BTreeSet<String>),
}

impl Interfaces {
    /// Whether an interface is among them.
    pub fn admits(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

/// What to do about a stranger answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Say so; change nothing.
    Report,
    /// Neither answer nor announce while the stranger answers.
    Withhold,
    /// Announce again when the stranger is heard, at most once in 10 s (RFC 5227 §2.4 (c)).
    Defend,
}

/// Gratuitous frames beyond those after the gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// None.
    Never,
    /// About once in this long, at random within a tenth of it.
    Every(Duration),
}
