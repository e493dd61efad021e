//! FRRConfigurations of frr-k8s, as far as they say which peers FRR holds on which nodes.

use super::peer::{Peer, Remote};
use super::selector::Selector;
use crate::facts::Labels;

/// What is known of what FRR is configured to hold; latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Frr {
    /// Nobody looks: there is no FRR, or the sessions are its own to hold.
    #[default]
    Ignored,
    /// It isn't listed yet: FRR may hold any peer.
    Unlisted,
    /// All of it, and nothing else.
    Holds(Vec<Holding>),
}

/// What one FRRConfiguration has FRR hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Name of the object.
    pub name: String,
    /// Nodes it is for.
    pub nodes: Selector,
    /// Its neighbours: where each is, and in which VRF.
    pub neighbors: Vec<(Remote, Option<String>)>,
}

/// Why a peer is left to FRR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// This FRRConfiguration names it.
    By(String),
    /// It isn't known yet whether one does.
    Perhaps,
}

impl Frr {
    /// Whether FRR holds `peer` on a node with these labels; on a node that isn't known it holds
    /// whatever some node's holds.
    #[must_use]
    pub fn holds(&self, peer: &Peer, labels: Option<&Labels>) -> Option<Held> {
        let holdings = match self {
            Self::Ignored => return None,
            Self::Unlisted => return Some(Held::Perhaps),
            Self::Holds(holdings) => holdings,
        };
        let here = |h: &&Holding| labels.is_none_or(|labels| h.nodes.matches(labels));
        let names = |h: &&Holding| {
            let is = |(remote, vrf): &(Remote, Option<String>)| {
                *remote == peer.remote && *vrf == peer.vrf
            };
            h.neighbors.iter().any(is)
        };
        let holder = holdings.iter().filter(here).find(names);
        holder.map(|holding| Held::By(holding.name.clone()))
    }
}
