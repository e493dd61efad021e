//! Neighbour Discovery's Solicitation and Advertisement (RFC 4861 §4.3, §4.4), with the IPv6
//! header, hop limit and checksum around them. Validity is §7.1's; extension headers are not
//! accepted (RFC 6980 forbids fragments, and nobody sends others).

use super::ethernet;
use super::iana::{
    ETHERTYPE_IPV6, ICMPV6_NEIGHBOR_ADVERTISEMENT, ICMPV6_NEIGHBOR_SOLICITATION,
    ND_SOURCE_LINK_LAYER_ADDRESS, ND_TARGET_LINK_LAYER_ADDRESS, PROTOCOL_ICMPV6,
};
use super::mac::Mac;
use std::net::Ipv6Addr;

/// ff02::1, every node on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The only hop limit a message that crossed no router can have.
const HOP_LIMIT: u8 = 255;
const IPV6_HEADER_LEN: usize = 40;
/// Type, code, checksum, flags, target.
const MESSAGE_LEN: usize = 24;
/// One link-layer address option.
const OPTION_LEN: usize = 8;

/// The group that hears solicitations for `ip`: ff02::1:ff00:0/104 and its last 24 bits
/// (RFC 4291 §2.7.1).
pub fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = ip.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    )
}

/// A Neighbor Solicitation.
///
/// ```text
/// | IPv6 header, hop limit 255 | 135 | 0 | checksum | reserved (4) | target (16) | options … |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; `::` while it tests an address of its own (RFC 4862 §5.4).
    pub source: Ipv6Addr,
    /// The target's solicited-node group, or the target itself.
    pub destination: Ipv6Addr,
    /// The address asked for.
    pub target: Ipv6Addr,
    /// Source Link-Layer Address option.
    pub source_mac: Option<Mac>,
}

/// A Neighbor Advertisement.
///
/// ```text
/// | IPv6 header, hop limit 255 | 136 | 0 | checksum | R S O reserved (4) | target (16) | options … |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Who answers.
    pub source: Ipv6Addr,
    /// Who asked, or ff02::1.
    pub destination: Ipv6Addr,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// R: the sender is a router.
    pub router: bool,
    /// S: it answers a solicitation.
    pub solicited: bool,
    /// O: it replaces what is cached.
    pub override_: bool,
    /// Target Link-Layer Address option.
    pub target_mac: Option<Mac>,
}

/// Either of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A question.
    Solicitation(Solicitation),
    /// An answer.
    Advertisement(Advertisement),
}

/// Why a packet can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its headers say.
    #[error("the packet is truncated")]
    Truncated,
    /// The IP version is not 6.
    #[error("the packet is not IPv6")]
    Version,
    /// The next header is not ICMPv6.
    #[error("the packet is not ICMPv6")]
    NotIcmpv6,
    /// Neither Neighbor Solicitation nor Advertisement.
    #[error("the ICMPv6 message is no neighbour solicitation or advertisement")]
    MessageType,
    /// The hop limit is not 255: it came through a router.
    #[error("the hop limit is not 255")]
    HopLimit,
    /// The checksum is wrong.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// The ICMPv6 code is not 0.
    #[error("the ICMPv6 code is not 0")]
    Code,
    /// The target is a multicast address.
    #[error("the target is a multicast address")]
    Target,
    /// The source can't be a sender's, or doesn't fit the rest (RFC 4861 §7.1).
    #[error("the source address does not fit the message")]
    Source,
    /// The destination doesn't fit the rest (RFC 4861 §7.1).
    #[error("the destination address does not fit the message")]
    Destination,
    /// An option of length zero, cut off, or a link-layer address that is no station's.
    #[error("an option is malformed")]
    Option,
}

impl Message {
    /// Reads an IPv6 packet; bytes behind its length are Ethernet padding.
    ///
    /// # Errors
    /// When it isn't a valid solicitation or advertisement.
    pub fn parse(packet: &[u8]) -> Result<Self, DecodeError> {
        let Some((header, rest)) = packet.split_first_chunk::<IPV6_HEADER_LEN>() else {
            return Err(DecodeError::Truncated);
        };
        if header[0] >> 4 != 6 {
            return Err(DecodeError::Version);
        }
        if header[6] != PROTOCOL_ICMPV6 {
            return Err(DecodeError::NotIcmpv6);
        }
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let Some(message) = rest.get(..length) else {
            return Err(DecodeError::Truncated);
        };
        let solicitation = match message.first() {
            Some(&ICMPV6_NEIGHBOR_SOLICITATION) => true,
            Some(&ICMPV6_NEIGHBOR_ADVERTISEMENT) => false,
            Some(_) => return Err(DecodeError::MessageType),
            None => return Err(DecodeError::Truncated),
        };
        let Some((fixed, options)) = message.split_first_chunk::<MESSAGE_LEN>() else {
            return Err(DecodeError::Truncated);
        };
        // RFC 4861 §7.1.1 and §7.1.2: each of these MUST make the message silently discarded.
        if header[7] != HOP_LIMIT {
            return Err(DecodeError::HopLimit);
        }
        let source = address(header, 8);
        let destination = address(header, 24);
        if checksum(source, destination, message) != 0 {
            return Err(DecodeError::Checksum);
        }
        if fixed[1] != 0 {
            return Err(DecodeError::Code);
        }
        let target = address(fixed, 8);
        if target.is_multicast() {
            return Err(DecodeError::Target);
        }
        if source.is_multicast() {
            return Err(DecodeError::Source);
        }
        if solicitation {
            Solicitation::check(source, destination, target, options).map(Self::Solicitation)
        } else {
            Advertisement::check(source, destination, target, fixed[4], options)
                .map(Self::Advertisement)
        }
    }
}

impl Solicitation {
    fn check(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        target: Ipv6Addr,
        options: &[u8],
    ) -> Result<Self, DecodeError> {
        let source_mac = link_layer_address(options, ND_SOURCE_LINK_LAYER_ADDRESS)?;
        if destination.is_multicast() && destination != solicited_node(target) {
            return Err(DecodeError::Destination);
        }
        if source.is_unspecified() {
            // RFC 4861 §7.1.1: to the solicited-node group, and without the option.
            if !destination.is_multicast() {
                return Err(DecodeError::Destination);
            }
            if source_mac.is_some() {
                return Err(DecodeError::Option);
            }
        }
        Ok(Self {
            source,
            destination,
            target,
            source_mac,
        })
    }

    /// The whole frame from `from` to `to`.
    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        frame(
            (from, to),
            (self.source, self.destination),
            [ICMPV6_NEIGHBOR_SOLICITATION, 0],
            self.target,
            self.source_mac
                .map(|mac| (ND_SOURCE_LINK_LAYER_ADDRESS, mac)),
        )
    }

    /// Whether it tests an address (RFC 4862 §5.4.2) rather than asks for a neighbour.
    pub fn is_probe(&self) -> bool {
        self.source.is_unspecified()
    }
}

impl Advertisement {
    fn check(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        target: Ipv6Addr,
        flags: u8,
        options: &[u8],
    ) -> Result<Self, DecodeError> {
        let target_mac = link_layer_address(options, ND_TARGET_LINK_LAYER_ADDRESS)?;
        if source.is_unspecified() {
            return Err(DecodeError::Source);
        }
        let solicited = flags & 0x40 != 0;
        // RFC 4861 §7.1.2: nobody asked who reads it in a group.
        if destination.is_multicast() && solicited {
            return Err(DecodeError::Destination);
        }
        Ok(Self {
            source,
            destination,
            target,
            router: flags & 0x80 != 0,
            solicited,
            override_: flags & 0x20 != 0,
            target_mac,
        })
    }

    /// The whole frame from `from` to `to`.
    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let flags = u8::from(self.router) << 7
            | u8::from(self.solicited) << 6
            | u8::from(self.override_) << 5;
        frame(
            (from, to),
            (self.source, self.destination),
            [ICMPV6_NEIGHBOR_ADVERTISEMENT, flags],
            self.target,
            self.target_mac
                .map(|mac| (ND_TARGET_LINK_LAYER_ADDRESS, mac)),
        )
    }
}

fn frame(
    (from, to): (Mac, Mac),
    (source, destination): (Ipv6Addr, Ipv6Addr),
    [message_type, flags]: [u8; 2],
    target: Ipv6Addr,
    option: Option<(u8, Mac)>,
) -> Vec<u8> {
    let start = ethernet::HEADER_LEN + IPV6_HEADER_LEN;
    let length: u16 = if option.is_some() { 32 } else { 24 };
    let mut out = Vec::with_capacity(start + MESSAGE_LEN + OPTION_LEN);
    ethernet::emit(&mut out, to, from, ETHERTYPE_IPV6);
    out.extend_from_slice(&[0x60, 0, 0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[PROTOCOL_ICMPV6, HOP_LIMIT]);
    out.extend_from_slice(&source.octets());
    out.extend_from_slice(&destination.octets());
    out.extend_from_slice(&[message_type, 0, 0, 0, flags, 0, 0, 0]);
    out.extend_from_slice(&target.octets());
    if let Some((kind, mac)) = option {
        out.extend_from_slice(&[kind, 1]);
        out.extend_from_slice(&mac.0);
    }
    let sum = checksum(source, destination, &out[start..]);
    out[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
    out
}

fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(octets)
}

/// The ICMPv6 checksum (RFC 4443 §2.3): 0 over a message that carries the right one.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let mut sum = u64::from(PROTOCOL_ICMPV6) + message.len() as u64;
    for bytes in [&source.octets()[..], &destination.octets()[..], message] {
        let (pairs, last) = bytes.as_chunks::<2>();
        sum += pairs
            .iter()
            .map(|&pair| u64::from(u16::from_be_bytes(pair)))
            .sum::<u64>();
        sum += last.first().map_or(0, |&byte| u64::from(byte) << 8);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The first link-layer address option of a kind; all options must be whole.
fn link_layer_address(mut options: &[u8], kind: u8) -> Result<Option<Mac>, DecodeError> {
    let mut found = None;
    while let Some((&[option, units], _)) = options.split_first_chunk::<2>() {
        let length = usize::from(units) * OPTION_LEN;
        // RFC 4861 §4.6: an option of length 0 MUST make the packet silently discarded.
        let Some((whole, rest)) = options.split_at_checked(length).filter(|_| length > 0) else {
            return Err(DecodeError::Option);
        };
        if option == kind && found.is_none() {
            let &[_, _, a, b, c, d, e, f] = whole else {
                return Err(DecodeError::Option);
            };
            let mac = Mac([a, b, c, d, e, f]);
            if !mac.is_unicast() {
                return Err(DecodeError::Option);
            }
            found = Some(mac);
        }
        options = rest;
    }
    if options.is_empty() {
        Ok(found)
    } else {
        Err(DecodeError::Option)
    }
}

#[cfg(test)]
mod tests;
