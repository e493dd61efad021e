//! Reading one attribute's value, and what RFC 7606 wants done when it is wrong.

use super::{Aggregator, Attributes, Origin, RawAttribute};
use crate::bgp::as_path::AsPath;
use crate::bgp::bytes::Reader;
use crate::bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use crate::bgp::iana::{
    ATTRIBUTE_AGGREGATOR, ATTRIBUTE_AS_PATH, ATTRIBUTE_AS4_AGGREGATOR, ATTRIBUTE_AS4_PATH,
    ATTRIBUTE_ATOMIC_AGGREGATE, ATTRIBUTE_CLUSTER_LIST, ATTRIBUTE_COMMUNITY,
    ATTRIBUTE_EXTENDED_COMMUNITIES, ATTRIBUTE_LARGE_COMMUNITY, ATTRIBUTE_LOCAL_PREF,
    ATTRIBUTE_MP_REACH_NLRI, ATTRIBUTE_MP_UNREACH_NLRI, ATTRIBUTE_MULTI_EXIT_DISC,
    ATTRIBUTE_NEXT_HOP, ATTRIBUTE_ONLY_TO_CUSTOMER, ATTRIBUTE_ORIGIN, ATTRIBUTE_ORIGINATOR_ID,
    FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_TRANSITIVE,
};
use crate::bgp::update::UpdateContext;
use std::net::Ipv4Addr;

/// What becomes of the UPDATE with a fault (RFC 7606 §2); a session reset is an
/// [`super::super::update::UpdateError`] instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Treatment {
    /// The attribute is as if it weren't there.
    Discard,
    /// Its prefixes are as if withdrawn.
    Withdraw,
}

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Its Optional or Transitive flag (RFC 7606 §3.c).
    #[error("has the wrong flags")]
    Flags,
    /// Its value (RFC 7606 §7).
    #[error("is malformed")]
    Value,
    /// It came twice (RFC 7606 §3.g).
    #[error("is there twice")]
    Repeated,
    /// It isn't there (RFC 7606 §3.d).
    #[error("is missing")]
    Missing,
    /// It reaches behind the list (RFC 7606 §4).
    #[error("is cut short")]
    Overrun,
    /// This peer may not send it: LOCAL_PREF and reflection over an external session
    /// (RFC 7606 §7.5, §7.9, §7.10), AS4_* from a four-octet speaker (RFC 6793 §4.1).
    #[error("is not this peer's to send")]
    Unexpected,
}

/// A fault that doesn't end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute} {cause}")]
pub struct Fault {
    /// Attribute type.
    pub attribute: u8,
    /// What is wrong.
    pub cause: Cause,
    /// What is done.
    pub treatment: Treatment,
}

/// An attribute as it stands in the message.
#[derive(Clone, Copy, Debug)]
pub(in crate::bgp) struct Raw<'a> {
    pub(in crate::bgp) flags: u8,
    pub(in crate::bgp) code: u8,
    pub(in crate::bgp) value: &'a [u8],
    /// With its header, for a NOTIFICATION's data.
    pub(in crate::bgp) whole: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Takes the next one; `Err` with its type, or 0, if it reaches behind the list.
    pub(in crate::bgp) fn take(from: &mut Reader<'a>) -> Result<Self, u8> {
        let start = from.rest();
        let flags = from.u8().ok_or(0)?;
        let code = from.u8().ok_or(0)?;
        let length = if flags & FLAG_EXTENDED_LENGTH == 0 {
            from.u8().map(usize::from)
        } else {
            from.u16().map(usize::from)
        };
        let value = length.and_then(|length| from.take(length)).ok_or(code)?;
        let whole = start.len() - from.rest().len();
        Ok(Self {
            flags,
            code,
            value,
            whole: start.get(..whole).unwrap_or_default(),
        })
    }

    fn fault(&self, cause: Cause, treatment: Treatment) -> Fault {
        Fault {
            attribute: self.code,
            cause,
            treatment,
        }
    }

    /// Checks the flags of an attribute known here (RFC 7606 §3.c).
    pub(in crate::bgp) fn check_flags(&self) -> Result<(), Fault> {
        let kind = FLAG_OPTIONAL | FLAG_TRANSITIVE;
        match expected(self.code) {
            Some(flags) if self.flags & kind != flags => {
                Err(self.fault(Cause::Flags, Treatment::Withdraw))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is well-known by its flags, but not known here.
    pub(in crate::bgp) fn is_unrecognized_well_known(&self) -> bool {
        expected(self.code).is_none() && self.flags & FLAG_OPTIONAL == 0
    }
}

/// Optional and Transitive as the attribute's RFC has them.
fn expected(code: u8) -> Option<u8> {
    Some(match code {
        ATTRIBUTE_ORIGIN
        | ATTRIBUTE_AS_PATH
        | ATTRIBUTE_NEXT_HOP
        | ATTRIBUTE_LOCAL_PREF
        | ATTRIBUTE_ATOMIC_AGGREGATE => FLAG_TRANSITIVE,
        ATTRIBUTE_MULTI_EXIT_DISC
        | ATTRIBUTE_ORIGINATOR_ID
        | ATTRIBUTE_CLUSTER_LIST
        | ATTRIBUTE_MP_REACH_NLRI
        | ATTRIBUTE_MP_UNREACH_NLRI => FLAG_OPTIONAL,
        ATTRIBUTE_AGGREGATOR
        | ATTRIBUTE_COMMUNITY
        | ATTRIBUTE_EXTENDED_COMMUNITIES
        | ATTRIBUTE_AS4_PATH
        | ATTRIBUTE_AS4_AGGREGATOR
        | ATTRIBUTE_LARGE_COMMUNITY
        | ATTRIBUTE_ONLY_TO_CUSTOMER => FLAG_OPTIONAL | FLAG_TRANSITIVE,
        _ => return None,
    })
}

/// What a wrong value leads to (RFC 7606 §7, RFC 6793 §6).
fn treatment(code: u8) -> Treatment {
    match code {
        ATTRIBUTE_ATOMIC_AGGREGATE
        | ATTRIBUTE_AGGREGATOR
        | ATTRIBUTE_AS4_PATH
        | ATTRIBUTE_AS4_AGGREGATOR => Treatment::Discard,
        _ => Treatment::Withdraw,
    }
}

impl Attributes {
    /// Takes an attribute in; a repeated one has been sorted out before.
    pub(in crate::bgp) fn read(
        &mut self,
        raw: Raw<'_>,
        context: &UpdateContext,
    ) -> Result<(), Fault> {
        raw.check_flags()?;
        let reflection = [ATTRIBUTE_ORIGINATOR_ID, ATTRIBUTE_CLUSTER_LIST].contains(&raw.code);
        let internal = raw.code == ATTRIBUTE_LOCAL_PREF || reflection;
        let two_octets = [ATTRIBUTE_AS4_PATH, ATTRIBUTE_AS4_AGGREGATOR].contains(&raw.code);
        if internal && context.external || two_octets && context.four_octet_as {
            return Err(raw.fault(Cause::Unexpected, Treatment::Discard));
        }
        self.value(raw, context)
            .ok_or_else(|| raw.fault(Cause::Value, treatment(raw.code)))
    }

    /// Takes the value in; `None` if it is malformed.
    fn value(&mut self, raw: Raw<'_>, context: &UpdateContext) -> Option<()> {
        let mut from = Reader::new(raw.value);
        match raw.code {
            ATTRIBUTE_ORIGIN => {
                self.origin = Some(match from.u8()? {
                    0 => Origin::Igp,
                    1 => Origin::Egp,
                    2 => Origin::Incomplete,
                    _ => return None,
                });
            }
            ATTRIBUTE_AS_PATH => {
                self.as_path = Some(AsPath::decode(raw.value, context.four_octet_as)?);
                return Some(());
            }
            ATTRIBUTE_NEXT_HOP => {
                let next_hop = from.ipv4()?;
                // RFC 4271 §6.3: a valid IP host address.
                if !is_host(next_hop) {
                    return None;
                }
                self.next_hop = Some(next_hop);
            }
            ATTRIBUTE_MULTI_EXIT_DISC => self.med = Some(from.u32()?),
            ATTRIBUTE_LOCAL_PREF => self.local_pref = Some(from.u32()?),
            ATTRIBUTE_ATOMIC_AGGREGATE => self.atomic_aggregate = from.is_empty(),
            ATTRIBUTE_AGGREGATOR => {
                self.aggregator = Some(aggregator(&mut from, context.four_octet_as)?);
            }
            ATTRIBUTE_COMMUNITY => {
                self.communities = list(raw.value, |c| Community(u32::from_be_bytes(c)))?;
                return Some(());
            }
            ATTRIBUTE_EXTENDED_COMMUNITIES => {
                self.extended_communities = list(raw.value, ExtendedCommunity)?;
                return Some(());
            }
            ATTRIBUTE_LARGE_COMMUNITY => {
                self.large_communities = list(raw.value, large)?;
                return Some(());
            }
            ATTRIBUTE_AS4_PATH => {
                self.as4_path = Some(AsPath::decode(raw.value, true)?);
                return Some(());
            }
            ATTRIBUTE_AS4_AGGREGATOR => self.as4_aggregator = Some(aggregator(&mut from, true)?),
            ATTRIBUTE_ONLY_TO_CUSTOMER => self.only_to_customer = Some(from.u32()?),
            _ => return self.other(raw),
        }
        from.is_empty().then_some(())
    }

    fn other(&mut self, raw: Raw<'_>) -> Option<()> {
        let sound = match raw.code {
            ATTRIBUTE_ORIGINATOR_ID => raw.value.len() == 4,
            ATTRIBUTE_CLUSTER_LIST => !raw.value.is_empty() && raw.value.len().is_multiple_of(4),
            _ => true,
        };
        self.others.push(RawAttribute {
            flags: raw.flags & !FLAG_EXTENDED_LENGTH,
            code: raw.code,
            value: raw.value.to_owned(),
        });
        sound.then_some(())
    }
}

fn aggregator(from: &mut Reader<'_>, four_octets: bool) -> Option<Aggregator> {
    let asn = if four_octets {
        from.u32()?
    } else {
        from.u16()?.into()
    };
    // RFC 7607: AS 0 is malformed here, too.
    (asn != 0).then_some(Aggregator {
        asn,
        identifier: from.ipv4()?,
    })
}

/// A list whose length is a multiple of its entries', and not 0 (RFC 7606 §7.8).
fn list<const N: usize, T>(value: &[u8], entry: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (entries, rest) = value.as_chunks::<N>();
    let sound = !entries.is_empty() && rest.is_empty();
    sound.then(|| entries.iter().map(|&bytes| entry(bytes)).collect())
}

fn large(bytes: [u8; 12]) -> LargeCommunity {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    }
}

fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}
