//! Path attributes (RFC 4271 §5, 1997, 4360, 6793, 8092, 9234), without the two that carry
//! prefixes, which are in [`super::update`].
//!
//! A list without entries is an absent attribute: an empty one is malformed (RFC 7606 §7.8).

pub(super) mod decode;

use super::as_path::AsPath;
use super::community::{Community, ExtendedCommunity, LargeCommunity};
use super::iana::{
    AS_TRANS, ATTRIBUTE_AGGREGATOR, ATTRIBUTE_AS_PATH, ATTRIBUTE_AS4_AGGREGATOR,
    ATTRIBUTE_AS4_PATH, ATTRIBUTE_ATOMIC_AGGREGATE, ATTRIBUTE_COMMUNITY,
    ATTRIBUTE_EXTENDED_COMMUNITIES, ATTRIBUTE_LARGE_COMMUNITY, ATTRIBUTE_LOCAL_PREF,
    ATTRIBUTE_MULTI_EXIT_DISC, ATTRIBUTE_NEXT_HOP, ATTRIBUTE_ONLY_TO_CUSTOMER, ATTRIBUTE_ORIGIN,
    FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_TRANSITIVE,
};
use std::net::Ipv4Addr;

/// Where a route came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Inside the originating AS.
    #[default]
    Igp,
    /// EGP.
    Egp,
    /// By other means.
    Incomplete,
}

/// Who aggregated a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregator {
    /// AS number.
    pub asn: u32,
    /// BGP identifier.
    pub identifier: Ipv4Addr,
}

/// An attribute kept as it came.
///
/// ```text
/// | flags (1) | type (1) | length (1, or 2 with the flag for it) | value |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAttribute {
    /// Flags, without Extended Length.
    pub flags: u8,
    /// Type.
    pub code: u8,
    /// Value.
    pub value: Vec<u8>,
}

/// The attributes of one UPDATE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// AS_PATH; present and empty within an AS.
    pub as_path: Option<AsPath>,
    /// NEXT_HOP.
    pub next_hop: Option<Ipv4Addr>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITY.
    pub communities: Vec<Community>,
    /// EXTENDED COMMUNITIES.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// AS4_PATH, from and to two-octet speakers only.
    pub as4_path: Option<AsPath>,
    /// AS4_AGGREGATOR, from and to two-octet speakers only.
    pub as4_aggregator: Option<Aggregator>,
    /// LARGE_COMMUNITY.
    pub large_communities: Vec<LargeCommunity>,
    /// Only to Customer.
    pub only_to_customer: Option<u32>,
    /// Everything else, in order.
    pub others: Vec<RawAttribute>,
}

const WELL_KNOWN: u8 = FLAG_TRANSITIVE;
const TRANSITIVE: u8 = FLAG_OPTIONAL | FLAG_TRANSITIVE;

/// Appends an attribute with its header.
pub(super) fn put(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) => out.extend_from_slice(&[flags, code, length]),
        Err(_) => {
            // An attribute longer than its length says is never built: messages end at 65,535.
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&[flags | FLAG_EXTENDED_LENGTH, code]);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

impl Attributes {
    /// Appends them in order of their type (RFC 4271 §5 "SHOULD"), those kept raw last.
    pub(super) fn encode(&self, four_octets: bool, out: &mut Vec<u8>) {
        if let Some(origin) = self.origin {
            put(out, WELL_KNOWN, ATTRIBUTE_ORIGIN, &[origin as u8]);
        }
        if let Some(path) = &self.as_path {
            let mut value = Vec::new();
            path.encode(four_octets, &mut value);
            put(out, WELL_KNOWN, ATTRIBUTE_AS_PATH, &value);
        }
        if let Some(next_hop) = self.next_hop {
            put(out, WELL_KNOWN, ATTRIBUTE_NEXT_HOP, &next_hop.octets());
        }
        if let Some(med) = self.med {
            let value = med.to_be_bytes();
            put(out, FLAG_OPTIONAL, ATTRIBUTE_MULTI_EXIT_DISC, &value);
        }
        if let Some(local_pref) = self.local_pref {
            let value = local_pref.to_be_bytes();
            put(out, WELL_KNOWN, ATTRIBUTE_LOCAL_PREF, &value);
        }
        if self.atomic_aggregate {
            put(out, WELL_KNOWN, ATTRIBUTE_ATOMIC_AGGREGATE, &[]);
        }
        if let Some(aggregator) = self.aggregator {
            let value = aggregator.encode(four_octets);
            put(out, TRANSITIVE, ATTRIBUTE_AGGREGATOR, &value);
        }
        self.encode_communities(out);
        if let Some(path) = &self.as4_path {
            let mut value = Vec::new();
            path.encode(true, &mut value);
            put(out, TRANSITIVE, ATTRIBUTE_AS4_PATH, &value);
        }
        if let Some(aggregator) = self.as4_aggregator {
            let value = aggregator.encode(true);
            put(out, TRANSITIVE, ATTRIBUTE_AS4_AGGREGATOR, &value);
        }
        if !self.large_communities.is_empty() {
            let value: Vec<u8> = self.large_communities.iter().flat_map(large).collect();
            put(out, TRANSITIVE, ATTRIBUTE_LARGE_COMMUNITY, &value);
        }
        if let Some(asn) = self.only_to_customer {
            let value = asn.to_be_bytes();
            put(out, TRANSITIVE, ATTRIBUTE_ONLY_TO_CUSTOMER, &value);
        }
        for other in &self.others {
            put(out, other.flags, other.code, &other.value);
        }
    }

    fn encode_communities(&self, out: &mut Vec<u8>) {
        if !self.communities.is_empty() {
            let octets = self.communities.iter().flat_map(|one| one.0.to_be_bytes());
            let value: Vec<u8> = octets.collect();
            put(out, TRANSITIVE, ATTRIBUTE_COMMUNITY, &value);
        }
        if !self.extended_communities.is_empty() {
            let value: Vec<u8> = self.extended_communities.iter().flat_map(|c| c.0).collect();
            put(out, TRANSITIVE, ATTRIBUTE_EXTENDED_COMMUNITIES, &value);
        }
    }
}

impl Aggregator {
    fn encode(self, four_octets: bool) -> Vec<u8> {
        let mut value = Vec::with_capacity(8);
        if four_octets {
            value.extend_from_slice(&self.asn.to_be_bytes());
        } else {
            let asn = u16::try_from(self.asn).unwrap_or(AS_TRANS);
            value.extend_from_slice(&asn.to_be_bytes());
        }
        value.extend_from_slice(&self.identifier.octets());
        value
    }
}

fn large(community: &LargeCommunity) -> impl Iterator<Item = u8> + use<> {
    let parts = [community.global, community.local1, community.local2];
    parts.into_iter().flat_map(u32::to_be_bytes)
}
