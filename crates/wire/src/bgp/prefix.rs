//! Prefixes and their encoding as NLRI (RFC 4271 §4.3, RFC 4760 §5).

use super::bytes::Reader;
use super::family::Family;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A prefix; its host bits are 0 and its length fits its family.
///
/// ```text
/// | length in bits (1) | as many octets as the length needs |
/// ```
///
/// Ordered by family, address and length. The address is kept as two numbers, because tables
/// compare prefixes all the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    family: Family,
    high: u64,
    low: u64,
    length: u8,
}

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a prefix such as 192.0.2.0/24")]
pub struct PrefixError(String);

impl Prefix {
    /// The prefix of `length` bits that contains `address`; `None` if the family has fewer bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        if length > Family::of(address).bits() {
            return None;
        }
        let (family, bits) = match address {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                (Family::Ipv4, u128::from(ip.to_bits() & mask))
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                (Family::Ipv6, ip.to_bits() & mask)
            }
        };
        Some(Self {
            family,
            high: (bits >> 64) as u64,
            low: bits as u64,
            length,
        })
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        match self.family {
            Family::Ipv4 => Ipv4Addr::from_bits(self.low as u32).into(),
            Family::Ipv6 => {
                let bits = u128::from(self.high) << 64 | u128::from(self.low);
                Ipv6Addr::from_bits(bits).into()
            }
        }
    }

    /// Its bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Its family.
    pub fn family(self) -> Family {
        self.family
    }

    /// Octets on the wire.
    pub(super) fn encoded_len(self) -> usize {
        1 + octets(self.length)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.push(self.length);
        let count = octets(self.length);
        match self.address() {
            IpAddr::V4(ip) => out.extend(ip.octets().iter().take(count)),
            IpAddr::V6(ip) => out.extend(ip.octets().iter().take(count)),
        }
    }

    /// Reads prefixes up to the end; `None` if one is longer than its family or cut short.
    ///
    /// Bits behind the prefix's length are irrelevant (RFC 4271 §4.3) and cleared.
    pub(super) fn decode_all(mut from: Reader<'_>, family: Family) -> Option<Vec<Self>> {
        let mut prefixes = Vec::new();
        while let Some(length) = from.u8() {
            if length > family.bits() {
                return None;
            }
            let octets = from.take(octets(length))?;
            let address = match family {
                Family::Ipv4 => Ipv4Addr::from(padded::<4>(octets)).into(),
                Family::Ipv6 => Ipv6Addr::from(padded::<16>(octets)).into(),
            };
            prefixes.push(Self::new(address, length)?);
        }
        Some(prefixes)
    }
}

fn octets(bits: u8) -> usize {
    usize::from(bits).div_ceil(8)
}

fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut whole = [0; N];
    whole
        .iter_mut()
        .zip(octets)
        .for_each(|(to, &from)| *to = from);
    whole
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let parse = || {
            let (address, length) = text.split_once('/')?;
            Self::new(address.parse().ok()?, length.parse().ok()?)
        };
        parse().ok_or_else(|| PrefixError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
