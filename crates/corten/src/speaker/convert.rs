//! The kernel's words of interfaces in the wire's and people's.

use crate::report::Interface;
use corten_node::words::link_state;
use corten_wire::l2 as wire;

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
