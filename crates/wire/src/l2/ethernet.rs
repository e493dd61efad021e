//! The Ethernet II header.

use super::iana::{ETHERTYPE_ARP, ETHERTYPE_IPV6};
use super::mac::Mac;

/// Bytes of a header.
pub const HEADER_LEN: usize = 14;

/// What a frame carries, as far as layer 2 cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// ARP, possibly with padding behind it.
    Arp(&'a [u8]),
    /// An IPv6 packet, possibly with padding behind it.
    Ipv6(&'a [u8]),
}

/// An Ethernet II frame, borrowed.
///
/// ```text
/// | destination (6) | source (6) | EtherType (2) | payload … |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it goes.
    pub destination: Mac,
    /// Where it is from.
    pub source: Mac,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// Why a frame can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("the frame is shorter than an Ethernet header")]
    Truncated,
    /// Neither ARP nor IPv6; a VLAN tag left in the frame counts as that: it is another LAN's.
    #[error("the frame carries neither ARP nor IPv6")]
    OtherProtocol,
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is too short or carries something else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::Truncated);
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l, t0, t1] = *header;
        let payload = match u16::from_be_bytes([t0, t1]) {
            ETHERTYPE_ARP => Payload::Arp(rest),
            ETHERTYPE_IPV6 => Payload::Ipv6(rest),
            _ => return Err(DecodeError::OtherProtocol),
        };
        Ok(Self {
            destination: Mac([a, b, c, d, e, f]),
            source: Mac([g, h, i, j, k, l]),
            payload,
        })
    }
}

/// Appends a header to `out`.
pub fn emit(out: &mut Vec<u8>, destination: Mac, source: Mac, ethertype: u16) {
    out.extend_from_slice(&destination.0);
    out.extend_from_slice(&source.0);
    out.extend_from_slice(&ethertype.to_be_bytes());
}

#[cfg(test)]
mod tests;
