//! The two attributes that carry prefixes (RFC 4760 §3, §4).

use super::UpdateContext;
use crate::bgp::attribute::put;
use crate::bgp::bytes::Reader;
use crate::bgp::family::{AfiSafi, Family};
use crate::bgp::iana::{ATTRIBUTE_MP_REACH_NLRI, ATTRIBUTE_MP_UNREACH_NLRI, FLAG_OPTIONAL};
use crate::bgp::prefix::Prefix;
use std::net::{Ipv4Addr, Ipv6Addr};

/// MP_REACH_NLRI.
///
/// ```text
/// | AFI (2) | SAFI (1) | length (1) | next hop | reserved (1) | prefixes |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MpReach {
    /// Of a family spoken here.
    Unicast {
        /// Which; every prefix is of it.
        family: Family,
        /// Where to send the traffic.
        next_hop: MpNextHop,
        /// What is reachable.
        prefixes: Vec<Prefix>,
    },
    /// Of another family: everything behind the SAFI.
    Other {
        /// Which.
        family: AfiSafi,
        /// Content.
        value: Vec<u8>,
    },
}

/// MP_UNREACH_NLRI.
///
/// ```text
/// | AFI (2) | SAFI (1) | prefixes |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MpUnreach {
    /// Of a family spoken here.
    Unicast {
        /// Which; every prefix is of it.
        family: Family,
        /// What isn't reachable any more.
        prefixes: Vec<Prefix>,
    },
    /// Of another family: everything behind the SAFI.
    Other {
        /// Which.
        family: AfiSafi,
        /// Content.
        value: Vec<u8>,
    },
}

/// The next hop of MP_REACH_NLRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MpNextHop {
    /// An IPv4 address, of IPv4 prefixes.
    Ipv4(Ipv4Addr),
    /// An IPv6 address; of IPv4 prefixes, too, with RFC 8950.
    Ipv6(Ipv6Addr),
    /// An IPv6 address and a link-local one on the shared link (RFC 2545 §3).
    Ipv6WithLinkLocal(Ipv6Addr, Ipv6Addr),
}

impl MpReach {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut value = Vec::new();
        match self {
            Self::Unicast {
                family,
                next_hop,
                prefixes,
            } => {
                next_hop.encode((*family).into(), &mut value);
                prefixes.iter().for_each(|p| p.encode(&mut value));
            }
            Self::Other {
                family,
                value: rest,
            } => {
                put_family(*family, &mut value);
                value.extend_from_slice(rest);
            }
        }
        put(out, FLAG_OPTIONAL, ATTRIBUTE_MP_REACH_NLRI, &value);
    }

    pub(super) fn decode(value: &[u8], context: &UpdateContext) -> Option<Self> {
        let mut from = Reader::new(value);
        let family = take_family(&mut from)?;
        let Some(unicast) = family.family() else {
            let value = from.rest().to_owned();
            return Some(Self::Other { family, value });
        };
        let length = from.u8()?;
        let extended = unicast == Family::Ipv6 || context.extended_next_hop;
        let next_hop = match length {
            4 if unicast == Family::Ipv4 => MpNextHop::Ipv4(from.ipv4()?),
            16 if extended => MpNextHop::Ipv6(from.ipv6()?),
            32 if extended => MpNextHop::Ipv6WithLinkLocal(from.ipv6()?, from.ipv6()?),
            _ => return None,
        };
        // RFC 4760 §3: the reserved octet "MUST be set to 0, and SHOULD be ignored".
        from.u8()?;
        Some(Self::Unicast {
            family: unicast,
            next_hop,
            prefixes: Prefix::decode_all(from, unicast)?,
        })
    }
}

impl MpUnreach {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut value = Vec::new();
        match self {
            Self::Unicast { family, prefixes } => {
                put_family((*family).into(), &mut value);
                prefixes.iter().for_each(|p| p.encode(&mut value));
            }
            Self::Other {
                family,
                value: rest,
            } => {
                put_family(*family, &mut value);
                value.extend_from_slice(rest);
            }
        }
        put(out, FLAG_OPTIONAL, ATTRIBUTE_MP_UNREACH_NLRI, &value);
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut from = Reader::new(value);
        let family = take_family(&mut from)?;
        Some(match family.family() {
            Some(family) => Self::Unicast {
                family,
                prefixes: Prefix::decode_all(from, family)?,
            },
            None => Self::Other {
                family,
                value: from.rest().to_owned(),
            },
        })
    }
}

impl MpNextHop {
    /// Everything of MP_REACH_NLRI before the prefixes.
    pub(in crate::bgp) fn encode(self, family: AfiSafi, value: &mut Vec<u8>) {
        put_family(family, value);
        match self {
            Self::Ipv4(ip) => {
                value.push(4);
                value.extend_from_slice(&ip.octets());
            }
            Self::Ipv6(ip) => {
                value.push(16);
                value.extend_from_slice(&ip.octets());
            }
            Self::Ipv6WithLinkLocal(ip, link_local) => {
                value.push(32);
                value.extend_from_slice(&ip.octets());
                value.extend_from_slice(&link_local.octets());
            }
        }
        value.push(0);
    }
}

fn put_family(family: AfiSafi, value: &mut Vec<u8>) {
    value.extend_from_slice(&family.afi.to_be_bytes());
    value.push(family.safi);
}

fn take_family(from: &mut Reader<'_>) -> Option<AfiSafi> {
    Some(AfiSafi {
        afi: from.u16()?,
        safi: from.u8()?,
    })
}
