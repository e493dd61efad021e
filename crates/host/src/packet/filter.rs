//! The classic BPF program that decides in the kernel which frames reach a [`PacketSocket`].
//!
//! It passes ARP requests and replies for IPv4 over Ethernet (RFC 826), and neighbour
//! solicitations and advertisements that were not forwarded (hop limit 255, RFC 4861 §7.1).
//! Only frames addressed to this interface, to a group or to everybody pass: not what a
//! promiscuous interface overhears, not what this host sends, and not what belongs to a VLAN
//! (a tagged frame shows up on the parent interface with its tag in the metadata; it is answered
//! on the VLAN's own interface).
//!
//! A solicitation behind IPv6 extension headers doesn't pass; no host sends one.
//!
//! [`PacketSocket`]: super::PacketSocket

use socket2::SockFilter;

/// Length of the longest frame the filter lets through uncut, in bytes: Ethernet's 14 and 1500.
pub(super) const FRAME_MAX: usize = 1514;

// Places in the frame, from the first byte of the Ethernet header.
const ETHERTYPE: u32 = 12;
const ARP_HARDWARE_AND_PROTOCOL: u32 = 14;
const ARP_LENGTHS: u32 = 18;
const ARP_OPERATION: u32 = 20;
/// The last four bytes of the ARP packet: reading them proves that the frame is long enough.
const ARP_TARGET_ADDRESS: u32 = 38;
const IPV6_VERSION: u32 = 14;
const IPV6_NEXT_HEADER_AND_HOP_LIMIT: u32 = 20;
const ICMPV6_TYPE_AND_CODE: u32 = 54;
/// The last four bytes of the target address of a solicitation or advertisement.
const ICMPV6_TARGET_END: u32 = 74;

const ETHERTYPE_ARP: u32 = 0x0806;
const ETHERTYPE_IPV6: u32 = 0x86dd;
const ETHERNET_AND_IPV4: u32 = 0x0001_0800;
const SIX_AND_FOUR_BYTES: u32 = 0x0604;
const ARP_REQUEST: u32 = 1;
const ARP_REPLY: u32 = 2;
const ICMPV6_AND_HOP_LIMIT_255: u32 = 58 << 8 | 255;
const SOLICITATION_CODE_0: u32 = 135 << 8;
const ADVERTISEMENT_CODE_0: u32 = 136 << 8;

/// The kernel's mark of a frame for another host; one more is a frame this host sends.
const TO_OTHER_HOST: u32 = 3;

pub(crate) const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
pub(crate) const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
pub(crate) const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
pub(crate) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Place of the last two instructions: take the frame, drop the frame.
const TAKE: usize = 25;
const DROP: usize = 26;
const IPV6: usize = 15;

/// Loads from the packet; reading past its end drops it.
pub(crate) const fn load(code: u16, place: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, place)
}

/// Loads a word of the kernel's own data about the packet.
pub(crate) const fn load_metadata(what: libc::c_int) -> SockFilter {
    SockFilter::new(LOAD_WORD, 0, 0, (libc::SKF_AD_OFF + what) as u32)
}

/// At place `here`: goes to `yes` or `no` by comparing the loaded value to `value`.
const fn jump(code: u16, value: u32, here: usize, yes: usize, no: usize) -> SockFilter {
    SockFilter::new(code, (yes - here - 1) as u8, (no - here - 1) as u8, value)
}

/// The program.
pub(super) const PROGRAM: [SockFilter; 27] = [
    load_metadata(libc::SKF_AD_PKTTYPE),
    jump(JUMP_AT_LEAST, TO_OTHER_HOST, 1, DROP, 2),
    load_metadata(libc::SKF_AD_VLAN_TAG),
    // The VLAN's number; 0 is a frame with a priority only.
    SockFilter::new(AND, 0, 0, 0x0fff),
    jump(JUMP_EQUAL, 0, 4, 5, DROP),
    load(LOAD_HALF, ETHERTYPE),
    jump(JUMP_EQUAL, ETHERTYPE_ARP, 6, 7, IPV6),
    load(LOAD_WORD, ARP_HARDWARE_AND_PROTOCOL),
    jump(JUMP_EQUAL, ETHERNET_AND_IPV4, 8, 9, DROP),
    load(LOAD_HALF, ARP_LENGTHS),
    jump(JUMP_EQUAL, SIX_AND_FOUR_BYTES, 10, 11, DROP),
    load(LOAD_WORD, ARP_TARGET_ADDRESS),
    load(LOAD_HALF, ARP_OPERATION),
    jump(JUMP_EQUAL, ARP_REQUEST, 13, TAKE, 14),
    jump(JUMP_EQUAL, ARP_REPLY, 14, TAKE, DROP),
    // IPV6
    jump(JUMP_EQUAL, ETHERTYPE_IPV6, 15, 16, DROP),
    load(LOAD_BYTE, IPV6_VERSION),
    SockFilter::new(AND, 0, 0, 0xf0),
    jump(JUMP_EQUAL, 0x60, 18, 19, DROP),
    load(LOAD_HALF, IPV6_NEXT_HEADER_AND_HOP_LIMIT),
    jump(JUMP_EQUAL, ICMPV6_AND_HOP_LIMIT_255, 20, 21, DROP),
    load(LOAD_WORD, ICMPV6_TARGET_END),
    load(LOAD_HALF, ICMPV6_TYPE_AND_CODE),
    jump(JUMP_EQUAL, SOLICITATION_CODE_0, 23, TAKE, 24),
    jump(JUMP_EQUAL, ADVERTISEMENT_CODE_0, 24, TAKE, DROP),
    // TAKE, DROP
    SockFilter::new(RETURN, 0, 0, FRAME_MAX as u32),
    SockFilter::new(RETURN, 0, 0, 0),
];
