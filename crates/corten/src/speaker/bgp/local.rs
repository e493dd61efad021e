//! What this host is called on the way to a peer.

use corten_host::netlink::{Address, Link, Scope};
use corten_wire::bgp::Endpoints;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The BGP identifier where the session's local address is `local`: that, or the first IPv4
/// address of its interface (`spec/metallb.md` §6.4).
pub(super) fn identifier(links: &[Link], local: IpAddr, fallback: Ipv4Addr) -> Ipv4Addr {
    match local {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => link_of(links, local).and_then(ipv4).unwrap_or(fallback),
    }
}

/// Both ends of a connection, and what this end is called in the other family.
pub(super) fn endpoints(links: &[Link], local: SocketAddr, peer: SocketAddr) -> Endpoints {
    let link = link_of(links, local.ip());
    let near = link.filter(|link| link.addresses.iter().any(|a| reaches(a, peer.ip())));
    Endpoints {
        local,
        peer,
        ipv4: link.and_then(ipv4),
        ipv6: link.and_then(ipv6),
        link_local: near.and_then(link_local),
    }
}

/// Whether an address is on a network of this host.
pub(super) fn is_near(links: &[Link], ip: IpAddr) -> bool {
    let mut addresses = links.iter().flat_map(|link| &link.addresses);
    addresses.any(|address| reaches(address, ip))
}

pub(super) fn link_of(links: &[Link], ip: IpAddr) -> Option<&Link> {
    let has = |link: &&Link| link.addresses.iter().any(|a| a.ip == ip);
    links.iter().find(has)
}

/// Addresses that others can send to.
fn global(link: &Link) -> impl Iterator<Item = IpAddr> {
    let global = |a: &&Address| a.scope == Scope::Global && a.is_usable() && !a.deprecated;
    link.addresses.iter().filter(global).map(|a| a.ip)
}

fn ipv4(link: &Link) -> Option<Ipv4Addr> {
    global(link).find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

fn ipv6(link: &Link) -> Option<Ipv6Addr> {
    global(link).find_map(|ip| match ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    })
}

fn link_local(link: &Link) -> Option<Ipv6Addr> {
    let usable = link.addresses.iter().filter(|a| a.is_usable());
    usable.map(|a| a.ip).find_map(|ip| match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    })
}

/// Whether `ip` is on the network of an address.
fn reaches(address: &Address, ip: IpAddr) -> bool {
    let same = |a: u128, b: u128, bits: u8| {
        let rest = bits.saturating_sub(address.prefix_len).into();
        a.checked_shr(rest) == b.checked_shr(rest)
    };
    match (address.ip, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests;
