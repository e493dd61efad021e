//! Messages as a packet capture (libpcap's file format, microseconds, raw IP), so that any
//! protocol analyser can show them. Each message is a TCP segment of a made-up stream: addresses,
//! ports, order and times are real, sequence numbers begin at 1.

use super::{Direction, Recorded};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// LINKTYPE_RAW: packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
/// Octets of a packet at most.
const MAX_PACKET: u32 = 65535;
const TCP: u8 = 6;
const TCP_LEN: usize = 20;
/// PSH and ACK.
const FLAGS: u8 = 0x18;

/// The capture; `epoch` turns a moment into the time since 1970.
pub fn to_pcap<'a>(
    messages: impl IntoIterator<Item = &'a Recorded>,
    epoch: impl Fn(Instant) -> Duration,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&0xa1b2_c3d4_u32.to_be_bytes());
    out.extend_from_slice(&2_u16.to_be_bytes());
    out.extend_from_slice(&4_u16.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&MAX_PACKET.to_be_bytes());
    out.extend_from_slice(&LINKTYPE_RAW.to_be_bytes());
    let mut sequences: BTreeMap<(SocketAddr, SocketAddr), u32> = BTreeMap::new();
    for message in messages {
        let (from, to) = match message.direction {
            Direction::Sent => (message.local, message.peer),
            Direction::Received => (message.peer, message.local),
        };
        let acknowledged = sequences.get(&(to, from)).copied().unwrap_or(1);
        let sequence = sequences.entry((from, to)).or_insert(1);
        let segment = segment(from, to, *sequence, acknowledged, &message.bytes);
        *sequence = sequence.wrapping_add(clamp(message.length));
        let packet = packet(from.ip(), to.ip(), &segment);
        let missing = message.length.saturating_sub(message.bytes.len());
        let at = epoch(message.at);
        let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&at.subsec_micros().to_be_bytes());
        out.extend_from_slice(&clamp(packet.len()).to_be_bytes());
        out.extend_from_slice(&clamp(packet.len() + missing).to_be_bytes());
        out.extend_from_slice(&packet);
    }
    out
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn segment(
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(TCP_LEN + data.len());
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&acknowledged.to_be_bytes());
    out.extend_from_slice(&[0x50, FLAGS, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend_from_slice(data);
    let mut pseudo = octets(from.ip());
    pseudo.extend(octets(to.ip()));
    pseudo.extend_from_slice(&clamp(out.len()).to_be_bytes());
    pseudo.extend_from_slice(&[0, 0, 0, TCP]);
    let checksum = checksum(pseudo.iter().chain(&out).copied());
    if let Some(field) = out.get_mut(16..18) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    out
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// With an IP header; both ends of a connection are of one family.
fn packet(from: IpAddr, to: IpAddr, segment: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + segment.len());
    if from.is_ipv4() {
        let length = u16::try_from(20 + segment.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&[0x45, 0xc0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0x40, 0, 1, TCP, 0, 0]);
        out.extend(octets(from));
        out.extend(octets(to));
        let checksum = checksum(out.iter().copied());
        if let Some(field) = out.get_mut(10..12) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
    } else {
        let length = u16::try_from(segment.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&[0x6c, 0, 0, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&[TCP, 1]);
        out.extend(octets(from));
        out.extend(octets(to));
    }
    out.extend_from_slice(segment);
    out
}

/// The Internet checksum (RFC 1071).
fn checksum(octets: impl Iterator<Item = u8>) -> u16 {
    let sum = octets.enumerate().fold(0_u32, |sum, (i, octet)| {
        let shift = if i % 2 == 0 { 8 } else { 0 };
        sum.wrapping_add(u32::from(octet) << shift)
    });
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}
