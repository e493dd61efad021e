//! Links: which network interfaces layer 2 can be spoken on, and what is known of them
//! (`spec/metallb.md` §5.3).

use super::mac::Mac;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLink {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Link-layer address, if it is a 48-bit one.
    pub mac: Option<Mac>,
    /// IFF_UP.
    pub up: bool,
    /// IFF_BROADCAST.
    pub broadcast: bool,
    /// IFF_NOARP.
    pub noarp: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// Whether it has a master: it is a member of a bridge, bond or VRF.
    pub has_master: bool,
    /// Addresses with prefix lengths; not those still tentative.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A usable interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Link-layer address.
    pub mac: Mac,
    /// What can be spoken.
    pub speaks: Speaks,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// Which protocols a link is usable for, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// ARP: IPv4 addresses only.
    Arp,
    /// Neighbour Discovery, from this link-local address: IPv6 addresses only.
    Ndp(Ipv6Addr),
    /// Both.
    Both(Ipv6Addr),
}

/// Why an interface isn't used at all, or not for one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Ineligible {
    /// Its name matches an exclusion.
    #[error("the interface is excluded by configuration")]
    Excluded,
    /// It is the loopback interface.
    #[error("the interface is the loopback")]
    Loopback,
    /// It isn't up.
    #[error("the interface is down")]
    Down,
    /// A bridge, bond or VRF has it: its master is used instead.
    #[error("the interface is a member of a bridge, bond or VRF")]
    HasMaster,
    /// IFF_NOARP.
    #[error("the interface has ARP switched off (NOARP)")]
    NoArp,
    /// No 48-bit link-layer address.
    #[error("the interface has no 48-bit link-layer address")]
    NoMac,
    /// Neither can it broadcast (ARP) nor has it an IPv6 link-local address (Neighbour Discovery).
    #[error("the interface can't broadcast and has no IPv6 link-local address")]
    NeitherFamily,
}

/// Every interface of the node, as far as layer 2 cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The usable ones.
    pub usable: Vec<Link>,
    /// Link-layer addresses of all of this node's interfaces, used or not: what they say is
    /// neither a stranger nor a successor.
    pub macs: BTreeSet<Mac>,
}

impl Links {
    /// Sorts a node's interfaces; `excluded` decides by name.
    pub fn of(raw: &[RawLink], excluded: impl Fn(&str) -> bool) -> Self {
        Self {
            usable: raw
                .iter()
                .filter_map(|link| eligibility(link, &excluded).ok())
                .collect(),
            macs: raw.iter().filter_map(|link| link.mac).collect(),
        }
    }
}

/// Whether and for what an interface is used; `excluded` decides by name.
///
/// # Errors
/// The first cause that applies.
pub fn eligibility(raw: &RawLink, excluded: impl Fn(&str) -> bool) -> Result<Link, Ineligible> {
    if excluded(&raw.name) {
        return Err(Ineligible::Excluded);
    }
    // DEVIATION: the loopback never speaks layer 2; MetalLB leaves it to the exclusion list.
    if raw.loopback {
        return Err(Ineligible::Loopback);
    }
    if !raw.up {
        return Err(Ineligible::Down);
    }
    if raw.has_master {
        return Err(Ineligible::HasMaster);
    }
    if raw.noarp {
        return Err(Ineligible::NoArp);
    }
    let mac = raw
        .mac
        .filter(|mac| mac.is_unicast())
        .ok_or(Ineligible::NoMac)?;
    let link_local = raw.addresses.iter().find_map(|&(ip, _)| match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    });
    let speaks = match (raw.broadcast, link_local) {
        (true, None) => Speaks::Arp,
        (false, Some(ip)) => Speaks::Ndp(ip),
        (true, Some(ip)) => Speaks::Both(ip),
        (false, None) => return Err(Ineligible::NeitherFamily),
    };
    Ok(Link {
        index: raw.index,
        name: raw.name.clone(),
        mac,
        speaks,
        addresses: raw.addresses.clone(),
    })
}

impl Link {
    /// Whether addresses of `ip`'s family can be announced here.
    pub fn speaks_for(&self, ip: IpAddr) -> bool {
        match (self.speaks, ip) {
            (Speaks::Both(_), IpAddr::V4(_) | IpAddr::V6(_))
            | (Speaks::Arp, IpAddr::V4(_))
            | (Speaks::Ndp(_), IpAddr::V6(_)) => true,
            (Speaks::Arp, IpAddr::V6(_)) | (Speaks::Ndp(_), IpAddr::V4(_)) => false,
        }
    }

    /// What decides which addresses are on it.
    pub(super) fn shape(&self) -> (u32, String, Mac, bool, bool) {
        let (arp, ndp) = match self.speaks {
            Speaks::Arp => (true, false),
            Speaks::Ndp(_) => (false, true),
            Speaks::Both(_) => (true, true),
        };
        (self.index, self.name.clone(), self.mac, arp, ndp)
    }

    /// The address Neighbour Discovery is spoken from.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        match self.speaks {
            Speaks::Arp => None,
            Speaks::Ndp(ip) | Speaks::Both(ip) => Some(ip),
        }
    }

    /// The longest of this link's prefixes that `ip` is in: its own address there and the length.
    pub fn prefix_of(&self, ip: IpAddr) -> Option<(IpAddr, u8)> {
        self.addresses
            .iter()
            .copied()
            .filter(|&(own, len)| in_prefix(ip, own, len))
            .max_by_key(|&(_, len)| len)
    }

    /// The sender address to ask for `ip` with; 0.0.0.0 where no prefix has it.
    pub fn sender_for(&self, ip: Ipv4Addr) -> Ipv4Addr {
        match self.prefix_of(IpAddr::V4(ip)) {
            Some((IpAddr::V4(own), _)) => own,
            Some((IpAddr::V6(_), _)) | None => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// Whether `ip` is in the prefix of `length` bits around `base`.
fn in_prefix(ip: IpAddr, base: IpAddr, length: u8) -> bool {
    let length = u32::from(length);
    match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => {
            (ip.to_bits() ^ base.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V6(ip), IpAddr::V6(base)) => {
            (ip.to_bits() ^ base.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests;
