//! From the engine's words to the wire's and back: the one place where the two meet.

use crate::report::Interface;
use corten_engine::advertise::l2 as decision;
use corten_engine::config::{ConflictPolicy, Filter, Refresh};
use corten_engine::speaker::LinkState;
use corten_wire::l2 as wire;

/// Epochs of one term of the lease.
const TERM: u64 = 1 << 40;

/// The engine's table in the wire's words. What is held in a new term of the lease is gained anew:
/// others may have answered meanwhile.
pub(crate) fn table(table: decision::L2Table, node: &str, term: u64) -> wire::Table {
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

/// The kernel's view of an interface in the wire's words; addresses not usable yet are left out.
pub(crate) fn link(link: &corten_host::netlink::Link) -> wire::RawLink {
    wire::RawLink {
        index: link.index,
        name: link.name.clone(),
        mac: link.mac.filter(|_| link.ethernet).map(wire::Mac),
        up: link.up,
        broadcast: link.broadcast,
        noarp: link.noarp,
        loopback: link.loopback,
        has_master: link.master.is_some(),
        addresses: link
            .addresses
            .iter()
            .filter(|a| a.is_usable())
            .map(|a| (a.ip, a.prefix_len))
            .collect(),
    }
}

/// What can be spoken on a usable interface.
pub(crate) fn link_state(link: &wire::Link) -> (String, LinkState) {
    let (arp, ndp) = match link.speaks {
        wire::link::Speaks::Arp => (true, false),
        wire::link::Speaks::Ndp(_) => (false, true),
        wire::link::Speaks::Both(_) => (true, true),
    };
    (link.name.clone(), LinkState { arp, ndp })
}

/// An interface for people: what can be spoken on it, and why not.
pub(crate) fn interface(raw: &wire::RawLink, excluded: impl Fn(&str) -> bool) -> Interface {
    let (no_arp, no_ndp) = match wire::link::eligibility(raw, excluded) {
        Ok(link) => {
            let (_, state) = link_state(&link);
            let arp = (!state.arp).then(|| "the interface can't broadcast".to_owned());
            let ndp = (!state.ndp).then(|| "no IPv6 link-local address".to_owned());
            (arp, ndp)
        }
        Err(cause) => (Some(cause.to_string()), Some(cause.to_string())),
    };
    Interface {
        name: raw.name.clone(),
        mac: raw.mac.map(|m| m.to_string()).unwrap_or_default(),
        no_arp,
        no_ndp,
    }
}

/// A conflict in the engine's words.
pub(crate) fn conflict(conflict: &wire::Conflict) -> decision::Conflict {
    decision::Conflict {
        ip: conflict.ip,
        mac: decision::Mac(conflict.mac.0),
        interface: conflict.interface.clone(),
        proxy_arp: conflict.proxy_arp,
    }
}
