//! From the engine's words to the wire's and back: the one place where the two meet.

use crate::standing::View;
use corten_engine::advertise::l2 as decision;
use corten_engine::config::{ConflictPolicy, Filter, Refresh};
use corten_engine::membership::Membership;
use corten_engine::names::NodeName;
use corten_engine::ownership::{self, Claim, Fleet, Policy};
use corten_engine::speaker::LinkState;
use corten_wire::gossip;
use corten_wire::l2 as wire;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Epochs of one term of the lease.
const TERM: u64 = 1 << 40;

/// The engine's table in the wire's words. What is held in a new term of the lease is gained anew:
/// others may have answered meanwhile.
#[must_use]
pub fn table(table: decision::L2Table, node: &str, term: u64) -> wire::Table {
    wire::Table {
        entries: table
            .entries
            .into_iter()
            .map(|(ip, e)| (ip, entry(e, term)))
            .collect(),
        yielded: table.yielded,
        fellows: table
            .fellows
            .into_iter()
            .map(|(n, ips)| (n.0, ips))
            .collect(),
        node: node.to_owned(),
        unreached: table.unreached.into_iter().map(|n| n.0).collect(),
        rivals: table
            .rivals
            .into_iter()
            .map(|(ip, nodes)| (ip, nodes.into_iter().map(|n| n.0).collect()))
            .collect(),
        alone: table.alone,
    }
}

fn entry(entry: decision::L2Entry, term: u64) -> wire::Entry {
    wire::Entry {
        epoch: term.saturating_mul(TERM).saturating_add(entry.epoch),
        interfaces: match entry.interfaces {
            Filter::Any => wire::Interfaces::Any,
            Filter::Only(names) => wire::Interfaces::Named(names),
        },
        conflict: match entry.conflict {
            ConflictPolicy::Report => wire::Policy::Report,
            ConflictPolicy::Withhold => wire::Policy::Withhold,
            ConflictPolicy::Defend => wire::Policy::Defend,
        },
        refresh: match entry.refresh {
            Refresh::Never => wire::Refresh::Never,
            Refresh::Every(period) => wire::Refresh::Every(period),
        },
        probe: entry.probe,
    }
}

/// What can be spoken on a usable interface.
#[must_use]
pub fn link_state(link: &wire::Link) -> (String, LinkState) {
    let (arp, ndp) = match link.speaks {
        wire::link::Speaks::Arp => (true, false),
        wire::link::Speaks::Ndp(_) => (false, true),
        wire::link::Speaks::Both(_) => (true, true),
    };
    (link.name.clone(), LinkState { arp, ndp })
}

/// A conflict in the engine's words.
#[must_use]
pub fn conflict(conflict: &wire::Conflict) -> decision::Conflict {
    decision::Conflict {
        ip: conflict.ip,
        mac: decision::Mac(conflict.mac.0),
        interface: conflict.interface.clone(),
        proxy_arp: conflict.proxy_arp,
    }
}

/// Who claims what, in the engine's words.
#[must_use]
pub fn ownership(view: &View) -> ownership::Ownership {
    let claim = |(ip, (epoch, nodes)): (&IpAddr, &(u64, BTreeSet<String>))| {
        let nodes = nodes.iter().cloned().map(NodeName).collect();
        let epoch = *epoch;
        (*ip, Claim { epoch, nodes })
    };
    ownership::Ownership {
        fleet: match view.fleet {
            gossip::Fleet::Stateless => Fleet::Stateless,
            gossip::Fleet::Claiming { sticky } => Fleet::Claiming {
                default: if sticky {
                    Policy::Sticky
                } else {
                    Policy::Metallb
                },
            },
        },
        claims: view.claims.iter().map(claim).collect(),
        doubted: view.doubted.iter().cloned().map(NodeName).collect(),
        left: view.left.iter().cloned().map(NodeName).collect(),
    }
}

/// The same in the engine's words.
#[must_use]
pub fn membership(view: &View) -> Membership {
    Membership::Members(view.names.iter().cloned().map(NodeName).collect())
}
