//! Code points of layer 2, with the registries' names.

/// EtherType "Address Resolution Protocol (ARP)".
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType "Internet Protocol version 4 (IPv4)", ARP's protocol type.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType "Internet Protocol version 6 (IPv6)".
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// ARP hardware type "Ethernet (10Mb)".
pub const ARP_HARDWARE_ETHERNET: u16 = 1;
/// ARP operation "REQUEST".
pub const ARP_REQUEST: u16 = 1;
/// ARP operation "REPLY".
pub const ARP_REPLY: u16 = 2;
/// Protocol number "IPv6-ICMP".
pub const PROTOCOL_ICMPV6: u8 = 58;
/// ICMPv6 type "Neighbor Solicitation".
pub const ICMPV6_NEIGHBOR_SOLICITATION: u8 = 135;
/// ICMPv6 type "Neighbor Advertisement".
pub const ICMPV6_NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// Neighbor Discovery option "Source Link-layer Address".
pub const ND_SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// Neighbor Discovery option "Target Link-layer Address".
pub const ND_TARGET_LINK_LAYER_ADDRESS: u8 = 2;
