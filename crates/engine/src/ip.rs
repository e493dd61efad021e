//! Address families, the two ways to write a block of addresses, and overlap
//! (`spec/metallb.md` §2.4).

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use thiserror::Error;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Why a text is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Neither a CIDR nor a range.
    #[error("invalid CIDR {0:?}: expected address/length or start-end")]
    NoCidr(String),
    /// The part before the slash.
    #[error("invalid CIDR {text:?}: {address:?} is not an IP address")]
    CidrAddress {
        /// The whole text.
        text: String,
        /// The part.
        address: String,
    },
    /// The part after the slash.
    #[error("invalid CIDR {text:?}: the prefix length must be a number from 0 to {max}")]
    CidrLength {
        /// The whole text.
        text: String,
        /// Bits of the family's addresses.
        max: u8,
    },
    /// An IPv4 address in IPv6 clothes: no host on a network has one.
    #[error("invalid CIDR {0:?}: an IPv4-mapped IPv6 address, write it as IPv4")]
    Mapped(String),
    /// An end of a range.
    #[error("invalid IP range {text:?}: {end:?} is not an IP address")]
    RangeEnd {
        /// The whole text.
        text: String,
        /// The end.
        end: String,
    },
    /// One end IPv4, the other IPv6.
    #[error("invalid IP range {0:?}: the ends are of different address families")]
    MixedFamilies(String),
    /// Start behind end.
    #[error("invalid IP range {0:?}: the start is after the end")]
    Backwards(String),
}

/// Parses an address as Go's `net.ParseIP` does: an IPv4-mapped IPv6 address is the IPv4 one.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Parses a CIDR (host bits are cleared, spaces refused) or a `start-end` range (spaces around the
/// ends allowed), summarised into the fewest CIDRs, ascending.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse_block(text: &str) -> Result<Vec<IpNet>, BlockError> {
    match text.split_once('-') {
        Some((start, end)) => parse_range(text, start.trim(), end.trim()),
        None => parse_cidr(text).map(|cidr| vec![cidr]),
    }
}

fn parse_cidr(text: &str) -> Result<IpNet, BlockError> {
    let Some((address, length)) = text.split_once('/') else {
        return Err(BlockError::NoCidr(text.to_owned()));
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(BlockError::CidrAddress {
            text: text.to_owned(),
            address: address.to_owned(),
        });
    };
    // DEVIATION: refused; MetalLB takes it and hands out addresses no host can have.
    if address.to_canonical() != address {
        return Err(BlockError::Mapped(text.to_owned()));
    }
    let max = if address.is_ipv4() { 32 } else { 128 };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| length.parse::<u8>().ok())
        .flatten()
        .and_then(|length| IpNet::new(address, length).ok())
        .map(|net| net.trunc())
        .ok_or_else(|| BlockError::CidrLength {
            text: text.to_owned(),
            max,
        })
}

fn parse_range(text: &str, start: &str, end: &str) -> Result<Vec<IpNet>, BlockError> {
    let address = |end: &str| {
        parse_address(end).ok_or_else(|| BlockError::RangeEnd {
            text: text.to_owned(),
            end: end.to_owned(),
        })
    };
    let (start, end) = (address(start)?, address(end)?);
    if Family::of(start) == Family::of(end) && start > end {
        return Err(BlockError::Backwards(text.to_owned()));
    }
    match (start, end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => {
            Ok(Ipv4Subnets::new(start, end, 0).map(IpNet::V4).collect())
        }
        (IpAddr::V6(start), IpAddr::V6(end)) => {
            Ok(Ipv6Subnets::new(start, end, 0).map(IpNet::V6).collect())
        }
        // DEVIATION: a range from one family to the other is refused; MetalLB takes it as empty.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            Err(BlockError::MixedFamilies(text.to_owned()))
        }
    }
}

/// CIDRs that don't overlap, each with a value.
#[derive(Clone, Debug)]
pub struct Disjoint<T> {
    by_network: BTreeMap<IpAddr, (IpNet, T)>,
}

impl<T> Default for Disjoint<T> {
    fn default() -> Self {
        Self {
            by_network: BTreeMap::new(),
        }
    }
}

impl<T> Disjoint<T> {
    /// The CIDRs that overlap with `net`, ascending, each with its value.
    pub fn overlaps(&self, net: &IpNet) -> impl Iterator<Item = (&IpNet, &T)> {
        // Of two overlapping CIDRs one contains the other: the last one that starts before `net`
        // may contain it, those that start in it are contained.
        let before = self.by_network.range(..net.network()).next_back();
        let inside = self.by_network.range(net.network()..=net.broadcast());
        let net = *net;
        before
            .into_iter()
            .chain(inside)
            .map(|(_, (other, value))| (other, value))
            .filter(move |(other, _)| overlaps(other, &net))
    }

    /// Adds `net`, which must not overlap with one that is there.
    pub fn insert(&mut self, net: IpNet, value: T) {
        debug_assert!(self.overlaps(&net).next().is_none(), "{net} overlaps");
        self.by_network.insert(net.network(), (net, value));
    }
}

/// Whether two CIDRs have an address in common.
#[must_use]
pub fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

#[cfg(test)]
mod tests;
