//! ARP (RFC 826) and Neighbor Discovery (RFC 4861) frames as the lab's hosts write and read them.
//!
//! Deliberately not `corten-wire`'s codecs: the lab is the other end of the wire, and a fault in
//! the code under test must not hide in its judge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use corten_engine::advertise::l2::Mac;

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
const NS: u8 = 135;
const NA: u8 = 136;
const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
const BROADCAST: Mac = Mac([0xff; 6]);

/// What a frame says about who has which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address claimed.
    pub ip: IpAddr,
    /// The link-layer address claimed for it.
    pub mac: Mac,
    /// How it was said.
    pub how: How,
}

/// How an address was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// ARP reply to one host.
    ArpReply,
    /// ARP reply or request to everybody whose sender is its target.
    ArpGratuitous,
    /// ARP request of the address's user; it fills its target's table as well.
    ArpRequest,
    /// Solicited neighbour advertisement.
    NaSolicited,
    /// Unsolicited neighbour advertisement.
    NaUnsolicited,
}

/// An ARP request for `target`, broadcast.
#[must_use]
pub fn arp_request(mac: Mac, ip: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp_request_to(BROADCAST, mac, ip, target)
}

/// An ARP request for `target` to one host: what a kernel sends to see whether an entry of its
/// table still holds.
#[must_use]
pub fn arp_request_to(to: Mac, mac: Mac, ip: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut f = ethernet(to, mac, ETHERTYPE_ARP);
    f.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    f.extend(mac.0);
    f.extend(ip.octets());
    f.extend([0; 6]);
    f.extend(target.octets());
    f
}

/// A neighbour solicitation for `target`, to its solicited-node group (RFC 4861 §4.3).
#[must_use]
pub fn solicitation(mac: Mac, ip: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        u16::from_be_bytes([0xff, a]),
        u16::from_be_bytes([b, c]),
    );
    solicitation_to(Mac([0x33, 0x33, 0xff, a, b, c]), group, mac, ip, target)
}

/// A neighbour solicitation for `target` sent to `destination`.
#[must_use]
pub fn solicitation_to(
    to: Mac,
    destination: Ipv6Addr,
    mac: Mac,
    ip: Ipv6Addr,
    target: Ipv6Addr,
) -> Vec<u8> {
    let mut body = vec![NS, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target.octets());
    // A source link-layer address goes with a real source only (duplicate address detection has
    // none, RFC 4861 §4.3).
    if !ip.is_unspecified() {
        body.extend([1, 1]);
        body.extend(mac.0);
    }
    icmp(to, destination, mac, ip, body)
}

/// An unsolicited neighbour advertisement of `target` to everybody (RFC 4861 §7.2.6).
#[must_use]
pub fn advertisement(mac: Mac, target: Ipv6Addr) -> Vec<u8> {
    let everybody = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // Override, not solicited.
    let mut body = vec![NA, 0, 0, 0, 0x20, 0, 0, 0];
    body.extend(target.octets());
    body.extend([2, 1]);
    body.extend(mac.0);
    icmp(Mac([0x33, 0x33, 0, 0, 0, 1]), everybody, mac, target, body)
}

fn icmp(to: Mac, destination: Ipv6Addr, mac: Mac, ip: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(ip, destination, &body);
    body.splice(2..4, sum.to_be_bytes());
    let mut f = ethernet(to, mac, ETHERTYPE_IPV6);
    f.extend([0x60, 0, 0, 0]);
    f.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    f.extend([ICMPV6, 255]);
    f.extend(ip.octets());
    f.extend(destination.octets());
    f.extend(body);
    f
}

/// What a frame claims; `None` if it claims nothing (another protocol, a probe, a broken frame).
#[must_use]
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let kind: [u8; 2] = field(frame, 12)?;
    if kind == ETHERTYPE_ARP {
        arp_claim(frame)
    } else if kind == ETHERTYPE_IPV6 {
        na_claim(frame)
    } else {
        None
    }
}

fn arp_claim(frame: &[u8]) -> Option<Claim> {
    let arp = frame.get(ETHERNET_HEADER..)?;
    let fixed: [u8; 7] = field(arp, 0)?;
    if fixed != [0, 1, 8, 0, 6, 4, 0] {
        return None;
    }
    let operation = *arp.get(7)?;
    let mac = Mac(field(arp, 8)?);
    let sender = Ipv4Addr::from(field::<4>(arp, 14)?);
    let target = Ipv4Addr::from(field::<4>(arp, 24)?);
    if sender.is_unspecified() {
        return None;
    }
    let how = match operation {
        _ if sender == target => How::ArpGratuitous,
        1 => How::ArpRequest,
        2 => How::ArpReply,
        _ => return None,
    };
    Some(Claim {
        ip: sender.into(),
        mac,
        how,
    })
}

fn na_claim(frame: &[u8]) -> Option<Claim> {
    let ip = frame.get(ETHERNET_HEADER..)?;
    let next = *ip.get(6)?;
    let hops = *ip.get(7)?;
    let icmp = ip.get(IPV6_HEADER..)?;
    if next != ICMPV6 || hops != 255 || *icmp.first()? != NA {
        return None;
    }
    let target = Ipv6Addr::from(field::<16>(icmp, 8)?);
    let solicited = *icmp.get(4)? & 0x40 != 0;
    // Target link-layer address option (type 2, one unit of eight octets), else the sender's.
    let mac = match icmp.get(24..26) {
        Some([2, 1]) => Mac(field(icmp, 26)?),
        _ => Mac(field(frame, 6)?),
    };
    Some(Claim {
        ip: target.into(),
        mac,
        how: if solicited {
            How::NaSolicited
        } else {
            How::NaUnsolicited
        },
    })
}

fn ethernet(to: Mac, from: Mac, kind: [u8; 2]) -> Vec<u8> {
    let mut f = Vec::with_capacity(90);
    f.extend(to.0);
    f.extend(from.0);
    f.extend(kind);
    f
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Internet checksum of an ICMPv6 message with its pseudo-header (RFC 4443 §2.3).
fn checksum(from: Ipv6Addr, to: Ipv6Addr, body: &[u8]) -> u16 {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let parts: [&[u8]; 5] = [
        &from.octets(),
        &to.octets(),
        &length,
        &[0, 0, 0, ICMPV6],
        body,
    ];
    let mut sum: u32 = parts
        .iter()
        .flat_map(|p| p.chunks(2))
        .map(|c| match *c {
            [a, b] => u32::from(u16::from_be_bytes([a, b])),
            [a] => u32::from(u16::from_be_bytes([a, 0])),
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests;
