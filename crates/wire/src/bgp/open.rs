//! OPEN (RFC 4271 §4.2) with capabilities (RFC 5492) and extended optional parameters (RFC 9072).

use super::bytes::Reader;
use super::capability::{Capability, GracefulRestart, NextHopEncoding, Role};
use super::family::{AfiSafi, Families, Family};
use super::iana::{
    AS_TRANS, OPEN_UNSPECIFIC, OPEN_UNSUPPORTED_PARAMETER, OPEN_UNSUPPORTED_VERSION,
    PARAMETER_CAPABILITIES, PARAMETER_EXTENDED_LENGTH, VERSION,
};
use std::net::Ipv4Addr;

/// An OPEN.
///
/// ```text
/// | version 4 (1) | my AS (2) | hold time (2) | BGP identifier (4) |
/// | length (1) | optional parameters |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The two-octet field; AS_TRANS for an AS number that needs four.
    pub my_as: u16,
    /// Seconds; 0 is off.
    pub hold_time: u16,
    /// Who the sender is.
    pub identifier: Ipv4Addr,
    /// Every capability, in order.
    pub capabilities: Vec<Capability>,
}

/// Why an OPEN can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another version than 4.
    #[error("BGP version {0} is not supported")]
    Version(u8),
    /// An optional parameter that is no list of capabilities.
    #[error("optional parameter {0} is not supported")]
    Parameter(u8),
    /// Lengths don't add up.
    #[error("the OPEN's optional parameters are cut short")]
    Truncated,
}

impl OpenError {
    /// Subcode and data of the NOTIFICATION it causes (RFC 4271 §6.2).
    pub(super) fn report(&self) -> (u8, Vec<u8>) {
        match self {
            // "the Data field [...] indicates the largest, locally-supported version".
            Self::Version(_) => (
                OPEN_UNSUPPORTED_VERSION,
                u16::from(VERSION).to_be_bytes().to_vec(),
            ),
            Self::Parameter(_) => (OPEN_UNSUPPORTED_PARAMETER, Vec::new()),
            // "If one of the Optional Parameters in the OPEN message is recognized, but is
            // malformed, then the Error Subcode MUST be set to 0 (Unspecific)."
            Self::Truncated => (OPEN_UNSPECIFIC, Vec::new()),
        }
    }
}

impl Open {
    /// An OPEN of AS `asn`, which adds the four-octet AS capability (RFC 6793 §3).
    pub fn new(
        asn: u32,
        hold_time: u16,
        identifier: Ipv4Addr,
        mut capabilities: Vec<Capability>,
    ) -> Self {
        capabilities.push(Capability::FourOctetAs(asn));
        Self {
            my_as: u16::try_from(asn).unwrap_or(AS_TRANS),
            hold_time,
            identifier,
            capabilities,
        }
    }

    /// The sender's AS number.
    pub fn asn(&self) -> u32 {
        self.four_octet_as().unwrap_or(u32::from(self.my_as))
    }

    /// The sender's AS number from its capability; `None` for a two-octet speaker.
    pub fn four_octet_as(&self) -> Option<u32> {
        self.capabilities.iter().find_map(|one| {
            if let Capability::FourOctetAs(asn) = one {
                Some(*asn)
            } else {
                None
            }
        })
    }

    /// The families offered; IPv4 unicast from a speaker without the multiprotocol capability;
    /// `None` if there is none spoken here.
    pub fn families(&self) -> Option<Families> {
        let mut offers = self.offers().peekable();
        if offers.peek().is_none() {
            return Some(Families::Ipv4);
        }
        let offered: Vec<_> = offers.filter_map(AfiSafi::family).collect();
        Families::Both.filter(|family| offered.contains(&family))
    }

    fn offers(&self) -> impl Iterator<Item = AfiSafi> {
        self.capabilities.iter().filter_map(|one| {
            if let Capability::Multiprotocol(family) = one {
                Some(*family)
            } else {
                None
            }
        })
    }

    /// Whether a capability without content is there.
    pub fn has(&self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Whether IPv4 prefixes may have an IPv6 next hop (RFC 8950).
    pub fn extended_next_hop(&self) -> bool {
        let ipv4 = AfiSafi::from(Family::Ipv4);
        let ipv6 = AfiSafi::from(Family::Ipv6);
        let wanted = NextHopEncoding {
            afi: ipv4.afi,
            safi: ipv4.safi.into(),
            next_hop_afi: ipv6.afi,
        };
        self.capabilities.iter().any(|one| {
            matches!(one, Capability::ExtendedNextHop(encodings) if encodings.contains(&wanted))
        })
    }

    /// Every role named; more than one differing is an error (RFC 9234 §4.2).
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.capabilities.iter().filter_map(|one| {
            if let Capability::Role(role) = one {
                Some(*role)
            } else {
                None
            }
        })
    }

    /// The graceful restart capability; of several the last counts (RFC 4724 §3).
    pub fn graceful_restart(&self) -> Option<&GracefulRestart> {
        self.capabilities.iter().rev().find_map(|one| {
            if let Capability::GracefulRestart(restart) = one {
                Some(restart)
            } else {
                None
            }
        })
    }

    /// The body; capabilities that don't fit a message of 4,096 octets are left out.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.my_as.to_be_bytes());
        out.extend_from_slice(&self.hold_time.to_be_bytes());
        out.extend_from_slice(&self.identifier.octets());
        let mut all = Vec::new();
        for capability in &self.capabilities {
            let before = all.len();
            capability.encode(&mut all);
            if all.len() > MAX_CAPABILITIES {
                all.truncate(before);
            }
        }
        match (u8::try_from(all.len() + 2), u8::try_from(all.len())) {
            (Ok(2), _) => out.push(0),
            // A length of 255 with a first parameter of type 255 is what RFC 9072 means by an
            // extended length; this one's type is 2.
            (Ok(whole), Ok(length)) => {
                out.extend_from_slice(&[whole, PARAMETER_CAPABILITIES, length]);
                out.extend_from_slice(&all);
            }
            _ => {
                let length = u16::try_from(all.len()).unwrap_or_default();
                out.extend_from_slice(&[u8::MAX, PARAMETER_EXTENDED_LENGTH]);
                out.extend_from_slice(&(length + 3).to_be_bytes());
                out.push(PARAMETER_CAPABILITIES);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&all);
            }
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the version isn't 4, a parameter isn't known, or a length is wrong.
    pub(super) fn decode(body: &[u8]) -> Result<Self, OpenError> {
        let mut from = Reader::new(body);
        let version = from.u8().ok_or(OpenError::Truncated)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let mut head = || Some((from.u16()?, from.u16()?, from.ipv4()?));
        let (my_as, hold_time, identifier) = head().ok_or(OpenError::Truncated)?;
        Ok(Self {
            my_as,
            hold_time,
            identifier,
            capabilities: parameters(from)?,
        })
    }
}

/// So that the message stays within 4,096 octets (RFC 8654 §4).
const MAX_CAPABILITIES: usize = 4096 - 19 - 10 - 6;

fn parameters(mut from: Reader<'_>) -> Result<Vec<Capability>, OpenError> {
    let short = || OpenError::Truncated;
    let length = from.u8().ok_or_else(short)?;
    // RFC 9072 §2: a first parameter of type 255 means that lengths have two octets; the
    // one-octet length "MUST NOT" be 0 then, and is ignored otherwise.
    let extended = length != 0 && from.rest().first() == Some(&PARAMETER_EXTENDED_LENGTH);
    let mut length = usize::from(length);
    if extended {
        let _ = from.u8();
        length = from.u16().ok_or_else(short)?.into();
    }
    let mut list = Reader::new(from.take(length).ok_or_else(short)?);
    if !from.is_empty() {
        return Err(short());
    }
    let mut capabilities = Vec::new();
    while let Some(kind) = list.u8() {
        let length = if extended {
            list.u16().map(usize::from)
        } else {
            list.u8().map(usize::from)
        };
        let value = length.and_then(|length| list.take(length));
        let value = value.ok_or_else(short)?;
        if kind != PARAMETER_CAPABILITIES {
            return Err(OpenError::Parameter(kind));
        }
        let mut value = Reader::new(value);
        while let Some(code) = value.u8() {
            let length = value.u8().ok_or_else(short)?;
            let content = value.take(length.into()).ok_or_else(short)?;
            capabilities.push(Capability::decode(code, content));
        }
    }
    Ok(capabilities)
}

#[cfg(test)]
mod tests;
