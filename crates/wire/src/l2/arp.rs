//! ARP for IPv4 over Ethernet (RFC 826), and the four packets Corten says with it: question,
//! probe (RFC 5227 §1.1), reply and the gratuitous pair (`spec/metallb.md` §5.3).

use super::ethernet;
use super::iana::{ARP_HARDWARE_ETHERNET, ARP_REPLY, ARP_REQUEST, ETHERTYPE_ARP, ETHERTYPE_IPV4};
use super::mac::Mac;
use std::net::Ipv4Addr;

/// Bytes of a packet, without the Ethernet header.
pub const PACKET_LEN: usize = 28;

/// What a packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// "Who has the target address?"
    Request,
    /// "The sender address is at the sender MAC."
    Reply,
}

/// An ARP packet.
///
/// ```text
/// | hardware type 1 | protocol type 0x0800 | 6 | 4 | operation |
/// | sender MAC (6) | sender IP (4) | target MAC (6) | target IP (4) |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// RFC 826's ar$sha.
    pub sender_mac: Mac,
    /// RFC 826's ar$spa; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// RFC 826's ar$tha.
    pub target_mac: Mac,
    /// RFC 826's ar$tpa.
    pub target_ip: Ipv4Addr,
}

/// Why a packet can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than 28 bytes.
    #[error("the ARP packet is truncated")]
    Truncated,
    /// Not Ethernet and IPv4, or their address lengths are wrong.
    #[error("the ARP packet is not for IPv4 over Ethernet")]
    NotIpv4OverEthernet,
    /// Neither request nor reply.
    #[error("the ARP operation is neither request nor reply")]
    Operation,
    /// The sender MAC is a group's or zero: no station can be answered or blamed.
    #[error("the ARP sender's MAC is not a station's")]
    SenderMac,
}

impl Packet {
    /// Reads a packet; bytes behind it are Ethernet padding.
    ///
    /// # Errors
    /// When it is too short, for other protocols, or nobody's.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(packet) = bytes.first_chunk::<PACKET_LEN>() else {
            return Err(DecodeError::Truncated);
        };
        let [h0, h1, p0, p1, hlen, plen, o0, o1, addresses @ ..] = *packet;
        if u16::from_be_bytes([h0, h1]) != ARP_HARDWARE_ETHERNET
            || u16::from_be_bytes([p0, p1]) != ETHERTYPE_IPV4
            || (hlen, plen) != (6, 4)
        {
            return Err(DecodeError::NotIpv4OverEthernet);
        }
        let operation = match u16::from_be_bytes([o0, o1]) {
            ARP_REQUEST => Operation::Request,
            ARP_REPLY => Operation::Reply,
            _ => return Err(DecodeError::Operation),
        };
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            s0,
            s1,
            s2,
            s3,
            g,
            h,
            i,
            j,
            k,
            l,
            t0,
            t1,
            t2,
            t3,
        ] = addresses;
        let sender_mac = Mac([a, b, c, d, e, f]);
        if !sender_mac.is_unicast() {
            return Err(DecodeError::SenderMac);
        }
        Ok(Self {
            operation,
            sender_mac,
            sender_ip: Ipv4Addr::new(s0, s1, s2, s3),
            target_mac: Mac([g, h, i, j, k, l]),
            target_ip: Ipv4Addr::new(t0, t1, t2, t3),
        })
    }

    /// The whole frame, from the sender MAC to `destination`.
    pub fn frame(&self, destination: Mac) -> Vec<u8> {
        let mut out = Vec::with_capacity(ethernet::HEADER_LEN + PACKET_LEN);
        ethernet::emit(&mut out, destination, self.sender_mac, ETHERTYPE_ARP);
        out.extend_from_slice(&ARP_HARDWARE_ETHERNET.to_be_bytes());
        out.extend_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
        out.extend_from_slice(&[6, 4]);
        let operation = match self.operation {
            Operation::Request => ARP_REQUEST,
            Operation::Reply => ARP_REPLY,
        };
        out.extend_from_slice(&operation.to_be_bytes());
        out.extend_from_slice(&self.sender_mac.0);
        out.extend_from_slice(&self.sender_ip.octets());
        out.extend_from_slice(&self.target_mac.0);
        out.extend_from_slice(&self.target_ip.octets());
        out
    }

    /// The reply to this request from a station at `mac` that has the target address.
    pub fn reply(&self, mac: Mac) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// One of the gratuitous pair: `ip` is at `mac` (`spec/metallb.md` §5.3).
    pub fn gratuitous(operation: Operation, mac: Mac, ip: Ipv4Addr) -> Self {
        Self {
            operation,
            sender_mac: mac,
            sender_ip: ip,
            target_mac: Mac::BROADCAST,
            target_ip: ip,
        }
    }

    /// A question for `ip`; with sender address 0.0.0.0 it is RFC 5227's probe.
    pub fn question(mac: Mac, sender_ip: Ipv4Addr, ip: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip,
            target_mac: Mac::ZERO,
            target_ip: ip,
        }
    }

    /// Whether the packet asks nothing and only says who has an address: sender and target
    /// address are the same (RFC 5227 §1.1 "ARP Announcement").
    pub fn is_announcement(&self) -> bool {
        self.sender_ip == self.target_ip
    }
}

#[cfg(test)]
mod tests;
