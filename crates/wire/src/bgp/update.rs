//! UPDATE (RFC 4271 §4.3) with multiprotocol prefixes (RFC 4760, 2545, 8950), End-of-RIB
//! (RFC 4724 §2) and the error handling of RFC 7606.

mod multiprotocol;

pub use multiprotocol::{MpNextHop, MpReach, MpUnreach};

use super::attribute::Attributes;
use super::attribute::decode::{Cause, Fault, Raw, Treatment};
use super::bytes::{Reader, with_length};
use super::family::Family;
use super::iana::{
    ATTRIBUTE_AS_PATH, ATTRIBUTE_MP_REACH_NLRI, ATTRIBUTE_MP_UNREACH_NLRI, ATTRIBUTE_NEXT_HOP,
    ATTRIBUTE_ORIGIN, UPDATE_INVALID_NETWORK, UPDATE_MALFORMED_LIST, UPDATE_OPTIONAL_ATTRIBUTE,
    UPDATE_UNRECOGNIZED_WELL_KNOWN,
};
use super::prefix::Prefix;
use std::collections::BTreeSet;

/// An UPDATE.
///
/// ```text
/// | length (2) | withdrawn IPv4 prefixes | length (2) | path attributes | IPv4 prefixes |
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Withdrawn IPv4 prefixes.
    pub withdrawn: Vec<Prefix>,
    /// MP_UNREACH_NLRI.
    pub mp_unreach: Option<MpUnreach>,
    /// MP_REACH_NLRI.
    pub mp_reach: Option<MpReach>,
    /// The other attributes.
    pub attributes: Attributes,
    /// IPv4 prefixes reachable through NEXT_HOP.
    pub announced: Vec<Prefix>,
}

/// What both ends have agreed on, as far as reading and writing an UPDATE depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateContext {
    /// AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// The peer is of another AS.
    pub external: bool,
    /// IPv4 prefixes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
}

/// An UPDATE that was read, with what was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What to act on: faults have been treated, so that what RFC 7606 wants withdrawn *is* among
    /// the withdrawn.
    pub update: Update,
    /// What was wrong.
    pub faults: Vec<Fault>,
}

/// A fault that ends the session (RFC 7606 "session reset").
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Lengths don't add up (RFC 7606 §3.a).
    #[error("the UPDATE's lengths don't add up")]
    Lengths,
    /// MP_REACH_NLRI or MP_UNREACH_NLRI is there twice (RFC 7606 §3.g), or cut short: which
    /// prefixes are meant can't be told.
    #[error("attribute {0} can't be told apart")]
    Multiprotocol(u8),
    /// An attribute that every speaker must know, and this one doesn't.
    #[error("a well-known attribute is not known here")]
    UnrecognizedWellKnown(Vec<u8>),
    /// The next hop or the prefixes of an attribute (RFC 7606 §7.11, §7.12).
    #[error("a multiprotocol attribute is malformed")]
    MalformedMultiprotocol(Vec<u8>),
    /// A fault that would withdraw, in an UPDATE that names nothing to withdraw (RFC 7606 §5.2).
    #[error("{0}, and no prefix is named")]
    NothingToWithdraw(Fault),
    /// A prefix longer than its family, or cut short (RFC 7606 §5.3).
    #[error("a prefix is malformed")]
    Network,
}

impl UpdateError {
    /// Subcode and data of the NOTIFICATION it causes.
    pub(super) fn report(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Lengths | Self::Multiprotocol(_) | Self::NothingToWithdraw(_) => {
                (UPDATE_MALFORMED_LIST, Vec::new())
            }
            Self::UnrecognizedWellKnown(attribute) => {
                (UPDATE_UNRECOGNIZED_WELL_KNOWN, attribute.clone())
            }
            Self::MalformedMultiprotocol(attribute) => {
                (UPDATE_OPTIONAL_ATTRIBUTE, attribute.clone())
            }
            Self::Network => (UPDATE_INVALID_NETWORK, Vec::new()),
        }
    }
}

impl Update {
    /// The End-of-RIB marker of a family (RFC 4724 §2).
    pub fn end_of_rib(family: Family) -> Self {
        let mp_unreach = match family {
            Family::Ipv4 => None,
            Family::Ipv6 => Some(MpUnreach::Unicast {
                family,
                prefixes: Vec::new(),
            }),
        };
        Self {
            mp_unreach,
            ..Self::default()
        }
    }

    /// The family whose End-of-RIB this is.
    pub fn is_end_of_rib(&self) -> Option<Family> {
        let family = match &self.mp_unreach {
            None => Family::Ipv4,
            Some(MpUnreach::Unicast { family, .. }) => *family,
            Some(MpUnreach::Other { .. }) => return None,
        };
        (*self == Self::end_of_rib(family)).then_some(family)
    }

    /// Every prefix announced, of both families.
    pub fn reachable(&self) -> impl Iterator<Item = Prefix> {
        let more = match &self.mp_reach {
            Some(MpReach::Unicast { prefixes, .. }) => prefixes.as_slice(),
            Some(MpReach::Other { .. }) | None => &[],
        };
        self.announced.iter().chain(more).copied()
    }

    /// Every prefix withdrawn, of both families.
    pub fn unreachable(&self) -> impl Iterator<Item = Prefix> {
        let more = match &self.mp_unreach {
            Some(MpUnreach::Unicast { prefixes, .. }) => prefixes.as_slice(),
            Some(MpUnreach::Other { .. }) | None => &[],
        };
        self.withdrawn.iter().chain(more).copied()
    }

    /// The body; `None` if a part is longer than its length field can say. The multiprotocol
    /// attributes come first (RFC 7606 §5.1 "SHALL").
    pub(super) fn encode(&self, four_octets: bool, out: &mut Vec<u8>) -> Option<()> {
        with_length(out, |out| self.withdrawn.iter().for_each(|p| p.encode(out)))?;
        with_length(out, |out| {
            if let Some(unreach) = &self.mp_unreach {
                unreach.encode(out);
            }
            if let Some(reach) = &self.mp_reach {
                reach.encode(out);
            }
            self.attributes.encode(four_octets, out);
        })?;
        self.announced.iter().for_each(|p| p.encode(out));
        Some(())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the session has to be reset; everything else is in [`Decoded::faults`].
    pub fn decode(body: &[u8], context: &UpdateContext) -> Result<Decoded, UpdateError> {
        let mut from = Reader::new(body);
        let mut block = || {
            let length = from.u16()?;
            from.take(length.into())
        };
        let withdrawn = block().ok_or(UpdateError::Lengths)?;
        let attributes = block().ok_or(UpdateError::Lengths)?;
        let network = |reader| Prefix::decode_all(reader, Family::Ipv4).ok_or(UpdateError::Network);
        let mut decoded = Decoded {
            update: Self {
                withdrawn: network(Reader::new(withdrawn))?,
                announced: network(from)?,
                ..Self::default()
            },
            faults: Vec::new(),
        };
        decoded.attributes(Reader::new(attributes), context)?;
        decoded.require();
        let update = &decoded.update;
        if update.announced.is_empty() && update.mp_reach.is_none() {
            // RFC 7606 §5.2: "the 'session reset' approach MUST be used".
            let withdraws = |fault: &&Fault| fault.treatment == Treatment::Withdraw;
            if let Some(fault) = decoded.faults.iter().find(withdraws) {
                return Err(UpdateError::NothingToWithdraw(*fault));
            }
        }
        decoded.treat();
        Ok(decoded)
    }
}

impl Decoded {
    /// Whether the prefixes were withdrawn for a fault.
    pub fn is_withdrawn(&self) -> bool {
        let mut treatments = self.faults.iter().map(|fault| fault.treatment);
        treatments.any(|treatment| treatment == Treatment::Withdraw)
    }

    fn attributes(
        &mut self,
        mut from: Reader<'_>,
        context: &UpdateContext,
    ) -> Result<(), UpdateError> {
        let mut seen = BTreeSet::new();
        while !from.is_empty() {
            let raw = match Raw::take(&mut from) {
                Ok(raw) => raw,
                Err(code @ (ATTRIBUTE_MP_REACH_NLRI | ATTRIBUTE_MP_UNREACH_NLRI)) => {
                    return Err(UpdateError::Multiprotocol(code));
                }
                Err(attribute) => {
                    self.faults.push(Fault {
                        attribute,
                        cause: Cause::Overrun,
                        treatment: Treatment::Withdraw,
                    });
                    break;
                }
            };
            self.attribute(raw, seen.insert(raw.code), context)?;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        raw: Raw<'_>,
        first: bool,
        context: &UpdateContext,
    ) -> Result<(), UpdateError> {
        let multiprotocol = [ATTRIBUTE_MP_REACH_NLRI, ATTRIBUTE_MP_UNREACH_NLRI];
        let multiprotocol = multiprotocol.contains(&raw.code);
        if raw.is_unrecognized_well_known() {
            return Err(UpdateError::UnrecognizedWellKnown(raw.whole.to_owned()));
        }
        if !first && multiprotocol {
            return Err(UpdateError::Multiprotocol(raw.code));
        }
        if !first {
            // "all the occurrences of the attribute other than the first one SHALL be discarded".
            self.faults.push(Fault {
                attribute: raw.code,
                cause: Cause::Repeated,
                treatment: Treatment::Discard,
            });
            return Ok(());
        }
        if !multiprotocol {
            self.faults
                .extend(self.update.attributes.read(raw, context).err());
            return Ok(());
        }
        self.faults.extend(raw.check_flags().err());
        let malformed = || UpdateError::MalformedMultiprotocol(raw.whole.to_owned());
        if raw.code == ATTRIBUTE_MP_REACH_NLRI {
            let reach = MpReach::decode(raw.value, context).ok_or_else(malformed)?;
            self.update.mp_reach = Some(reach);
        } else {
            let unreach = MpUnreach::decode(raw.value).ok_or_else(malformed)?;
            self.update.mp_unreach = Some(unreach);
        }
        Ok(())
    }

    /// Attributes that must be there with prefixes (RFC 7606 §3.d).
    fn require(&mut self) {
        let update = &self.update;
        if update.announced.is_empty() && update.mp_reach.is_none() {
            return;
        }
        let attributes = &update.attributes;
        let missing = [
            (ATTRIBUTE_ORIGIN, attributes.origin.is_none()),
            (ATTRIBUTE_AS_PATH, attributes.as_path.is_none()),
            (
                ATTRIBUTE_NEXT_HOP,
                attributes.next_hop.is_none() && !update.announced.is_empty(),
            ),
        ];
        let missing = missing.into_iter().filter(|(_, missing)| *missing);
        for (attribute, _) in missing {
            if !self.faults.iter().any(|fault| fault.attribute == attribute) {
                self.faults.push(Fault {
                    attribute,
                    cause: Cause::Missing,
                    treatment: Treatment::Withdraw,
                });
            }
        }
    }

    /// Treat-as-withdraw (RFC 7606 §2).
    fn treat(&mut self) {
        if !self.is_withdrawn() {
            return;
        }
        let update = &mut self.update;
        update.attributes = Attributes::default();
        update.withdrawn.append(&mut update.announced);
        let Some(MpReach::Unicast {
            family, prefixes, ..
        }) = update.mp_reach.take()
        else {
            return;
        };
        // Of two families one goes where its prefixes fit without an attribute.
        match &mut update.mp_unreach {
            Some(MpUnreach::Unicast {
                family: same,
                prefixes: more,
            }) if *same == family => more.extend(prefixes),
            _ if family == Family::Ipv4 => update.withdrawn.extend(prefixes),
            other => {
                if let Some(MpUnreach::Unicast { prefixes: ipv4, .. }) = other.take() {
                    update.withdrawn.extend(ipv4);
                }
                *other = Some(MpUnreach::Unicast { family, prefixes });
            }
        }
    }
}

#[cfg(test)]
mod tests;
