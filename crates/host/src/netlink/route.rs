//! What an rtnetlink message says about a link or an address (`rtnetlink(7)`).
//!
//! Only messages about whole links count: bridges report their ports, and wireless drivers their
//! events, under the same message type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Message, attributes, u16_at, u32_at};
use super::{Address, Scope};

/// Length of `struct ifinfomsg` in bytes.
const LINK_FIXED: usize = 16;
/// Length of `struct ifaddrmsg` in bytes.
const ADDRESS_FIXED: usize = 8;
/// `IFLA_INFO_KIND`, inside `IFLA_LINKINFO`.
const INFO_KIND: u16 = 1;

/// A link without its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    pub(crate) name: String,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) kind: Option<String>,
    pub(crate) ethernet: bool,
    pub(crate) flags: u32,
    pub(crate) master: Option<u32>,
}

impl LinkFacts {
    /// Whether one of the `IFF_` bits is set.
    pub(crate) fn has(&self, flag: libc::c_int) -> bool {
        self.flags & flag.cast_unsigned() != 0
    }
}

/// One message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A link is there, as described.
    Link(u32, LinkFacts),
    /// A link is gone, and its addresses with it.
    LinkGone(u32),
    /// An address is on the interface, as described.
    Address(u32, Address),
    /// An address left the interface.
    AddressGone(u32, Address),
}

/// The content of a message, if it is about a link or an address.
pub(crate) fn read(message: &Message<'_>) -> Option<Change> {
    match message.kind {
        libc::RTM_NEWLINK => read_link(message.payload),
        libc::RTM_DELLINK => link_header(message.payload).map(|(index, _)| Change::LinkGone(index)),
        libc::RTM_NEWADDR => {
            read_address(message.payload).map(|(index, address)| Change::Address(index, address))
        }
        libc::RTM_DELADDR => read_address(message.payload)
            .map(|(index, address)| Change::AddressGone(index, address)),
        _ => None,
    }
}

/// Index and flags of a message about a whole link.
fn link_header(payload: &[u8]) -> Option<(u32, u32)> {
    // AF_BRIDGE here is a port joining or leaving its bridge.
    if i32::from(*payload.first()?) != libc::AF_UNSPEC {
        return None;
    }
    Some((u32_at(payload, 4)?, u32_at(payload, 8)?))
}

fn read_link(payload: &[u8]) -> Option<Change> {
    let (index, flags) = link_header(payload)?;
    let mut name = None;
    let mut link = LinkFacts {
        name: String::new(),
        mac: None,
        kind: None,
        ethernet: u16_at(payload, 2)? == libc::ARPHRD_ETHER,
        flags,
        master: None,
    };
    for (attribute, value) in attributes(payload.get(LINK_FIXED..)?) {
        match attribute {
            libc::IFLA_IFNAME => name = Some(text(value)),
            libc::IFLA_ADDRESS => link.mac = value.try_into().ok(),
            libc::IFLA_MASTER => link.master = u32_at(value, 0).filter(|index| *index != 0),
            libc::IFLA_LINKINFO => {
                link.kind = attributes(value)
                    .find(|(inner, _)| *inner == INFO_KIND)
                    .map(|(_, kind)| text(kind));
            }
            _ => {}
        }
    }
    // A wireless event has no name and says nothing about the rest.
    link.name = name?;
    Some(Change::Link(index, link))
}

fn read_address(payload: &[u8]) -> Option<(u32, Address)> {
    let family = i32::from(*payload.first()?);
    let prefix_len = *payload.get(1)?;
    let mut flags = u32::from(*payload.get(2)?);
    let scope = Scope::from_kernel(*payload.get(3)?);
    let index = u32_at(payload, 4)?;
    let (mut local, mut other, mut lifetime) = (None, None, u32::MAX);
    for (attribute, value) in attributes(payload.get(ADDRESS_FIXED..)?) {
        match attribute {
            libc::IFA_LOCAL => local = ip(family, value),
            libc::IFA_ADDRESS => other = ip(family, value),
            libc::IFA_FLAGS => flags = u32_at(value, 0)?,
            // struct ifa_cacheinfo: preferred and valid lifetime in seconds, two time stamps.
            libc::IFA_CACHEINFO => lifetime = u32_at(value, 4)?,
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end.
    let address = Address {
        ip: local.or(other)?,
        prefix_len,
        scope,
        tentative: flags & libc::IFA_F_TENTATIVE != 0,
        dad_failed: flags & libc::IFA_F_DADFAILED != 0,
        deprecated: flags & libc::IFA_F_DEPRECATED != 0,
        expires: lifetime != u32::MAX,
    };
    Some((index, address))
}

/// An address attribute of the family.
fn ip(family: i32, value: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

/// Text up to its closing zero byte.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(value.get(..end.unwrap_or(value.len())).unwrap_or_default())
        .into_owned()
}
