//! Echo packets on the wire (RFC 5881 §4): IPv4 and UDP around what only the sender reads.
//!
//! They are built whole and sent below IP: to the kernel they are for this very host, and it would
//! keep them. The same socket sees the peer's control packets, whose frames show where echo packets
//! are to go.

use super::iana::{PORT_CONTROL, PORT_ECHO};
use super::session::ECHO_LENGTH;
use std::net::Ipv4Addr;

/// Octets of both headers.
const HEADERS: usize = 28;
/// Octets of an echo packet.
pub const LENGTH: usize = HEADERS + ECHO_LENGTH;

/// TTL of what is sent (RFC 5881 §5); the peer's forwarding leaves one less.
const TTL: u8 = 255;
/// Class selector 6 (RFC 2474 §4.2.2.2).
const CS6: u8 = 48 << 2;
const UDP: u8 = 17;

/// A packet that was heard on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A control packet of one hop.
    Control {
        /// Who sent it.
        from: Ipv4Addr,
    },
    /// An echo packet that a neighbour returned.
    Echo {
        /// Whose it is.
        to: Ipv4Addr,
        /// What only the sender reads.
        payload: &'a [u8],
    },
}

/// An echo packet from `local` to itself, whole from the IPv4 header on.
// DEVIATION: RFC 5881 §4 has a source that is not of the link's subnet; a peer that checks the way back to the source would drop it.
#[must_use]
pub fn encode(local: Ipv4Addr, payload: &[u8; ECHO_LENGTH]) -> [u8; LENGTH] {
    let [p0, p1, p2, p3, p4, p5, p6, p7] = *payload;
    let [a, b, c, d] = local.octets();
    let [port_high, port_low] = PORT_ECHO.to_be_bytes();
    let (length, datagram) = (LENGTH as u8, (LENGTH - 20) as u8);
    let header = |sum: u16| {
        let [high, low] = sum.to_be_bytes();
        [
            0x45, CS6, 0, length, 0, 0, 0x40, 0, TTL, UDP, high, low, a, b, c, d, a, b, c, d,
        ]
    };
    let [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, ..] = header(checksum(&header(0)));
    [
        h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, a, b, c, d, a, b, c, d,
        // Without a checksum (RFC 768): what is in it is compared by the session.
        port_high, port_low, port_high, port_low, 0, datagram, 0, 0, p0, p1, p2, p3, p4, p5, p6, p7,
    ]
}

/// The internet checksum (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words
        .iter()
        .map(|w| u32::from(u16::from_be_bytes(*w)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    // Ten words carry once at most.
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// What a packet is, whole from the IPv4 header on; nothing if it is anything else, or an echo
/// packet from further away than the neighbour.
#[must_use]
pub fn decode(packet: &[u8]) -> Option<Heard<'_>> {
    let (header, _) = packet.split_first_chunk::<20>()?;
    let [
        first,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        ttl,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *header;
    let fragment = u16::from_be_bytes([f0, f1]) & 0x3fff;
    if first >> 4 != 4 || protocol != UDP || fragment != 0 {
        return None;
    }
    let headers = usize::from(first & 15) * 4;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // Shorter than said is cut, longer is what Ethernet fills up with.
    let datagram = packet.get(headers.max(20)..length)?;
    let ([_, _, p0, p1, u0, u1, _, _], payload) = datagram.split_first_chunk::<8>()?;
    let said = usize::from(u16::from_be_bytes([*u0, *u1]));
    let payload = payload.get(..said.checked_sub(8)?)?;
    match u16::from_be_bytes([*p0, *p1]) {
        PORT_CONTROL if ttl == TTL => Some(Heard::Control {
            from: Ipv4Addr::new(s0, s1, s2, s3),
        }),
        PORT_ECHO if ttl >= TTL - 1 => Some(Heard::Echo {
            to: Ipv4Addr::new(d0, d1, d2, d3),
            payload,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
