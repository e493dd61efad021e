//! Code points of BGP, with the registries' names (IANA "Border Gateway Protocol (BGP)
//! Parameters", "BGP Capability Codes", "Address Family Numbers", "SAFI Values").

/// BGP version (RFC 4271 §4.2).
pub const VERSION: u8 = 4;
/// TCP port "bgp".
pub const PORT: u16 = 179;
/// AS number "AS_TRANS" (RFC 6793 §9).
pub const AS_TRANS: u16 = 23456;

/// BGP message type "OPEN".
pub const MESSAGE_OPEN: u8 = 1;
/// BGP message type "UPDATE".
pub const MESSAGE_UPDATE: u8 = 2;
/// BGP message type "NOTIFICATION".
pub const MESSAGE_NOTIFICATION: u8 = 3;
/// BGP message type "KEEPALIVE".
pub const MESSAGE_KEEPALIVE: u8 = 4;
/// BGP message type "ROUTE-REFRESH" (RFC 2918).
pub const MESSAGE_ROUTE_REFRESH: u8 = 5;

/// Address family "IP (IP version 4)".
pub const AFI_IPV4: u16 = 1;
/// Address family "IP6 (IP version 6)".
pub const AFI_IPV6: u16 = 2;
/// SAFI "Network Layer Reachability Information used for unicast forwarding".
pub const SAFI_UNICAST: u8 = 1;

/// BGP OPEN optional parameter "Capabilities" (RFC 5492).
pub const PARAMETER_CAPABILITIES: u8 = 2;
/// BGP OPEN optional parameter "Extended Length" (RFC 9072).
pub const PARAMETER_EXTENDED_LENGTH: u8 = 255;

/// Capability "Multiprotocol Extensions for BGP-4" (RFC 4760).
pub const CAPABILITY_MULTIPROTOCOL: u8 = 1;
/// Capability "Route Refresh Capability for BGP-4" (RFC 2918).
pub const CAPABILITY_ROUTE_REFRESH: u8 = 2;
/// Capability "Extended Next Hop Encoding" (RFC 8950).
pub const CAPABILITY_EXTENDED_NEXT_HOP: u8 = 5;
/// Capability "BGP Extended Message" (RFC 8654).
pub const CAPABILITY_EXTENDED_MESSAGE: u8 = 6;
/// Capability "BGP Role" (RFC 9234).
pub const CAPABILITY_ROLE: u8 = 9;
/// Capability "Graceful Restart Capability" (RFC 4724).
pub const CAPABILITY_GRACEFUL_RESTART: u8 = 64;
/// Capability "Support for 4-octet AS number capability" (RFC 6793).
pub const CAPABILITY_FOUR_OCTET_AS: u8 = 65;
/// Capability "Enhanced Route Refresh Capability" (RFC 7313).
pub const CAPABILITY_ENHANCED_ROUTE_REFRESH: u8 = 70;

/// Graceful restart flag "Restart State (R)", of the first 16 bits.
pub const RESTART_STATE: u16 = 0x8000;
/// Graceful restart flag "Notification (N)" (RFC 8538), of the first 16 bits.
pub const RESTART_NOTIFICATION: u16 = 0x4000;
/// Flag for address family "Forwarding State (F)".
pub const FORWARDING_STATE: u8 = 0x80;

/// Path attribute flag "Optional".
pub const FLAG_OPTIONAL: u8 = 0x80;
/// Path attribute flag "Transitive".
pub const FLAG_TRANSITIVE: u8 = 0x40;
/// Path attribute flag "Partial".
pub const FLAG_PARTIAL: u8 = 0x20;
/// Path attribute flag "Extended Length".
pub const FLAG_EXTENDED_LENGTH: u8 = 0x10;

/// Path attribute "ORIGIN".
pub const ATTRIBUTE_ORIGIN: u8 = 1;
/// Path attribute "AS_PATH".
pub const ATTRIBUTE_AS_PATH: u8 = 2;
/// Path attribute "NEXT_HOP".
pub const ATTRIBUTE_NEXT_HOP: u8 = 3;
/// Path attribute "MULTI_EXIT_DISC".
pub const ATTRIBUTE_MULTI_EXIT_DISC: u8 = 4;
/// Path attribute "LOCAL_PREF".
pub const ATTRIBUTE_LOCAL_PREF: u8 = 5;
/// Path attribute "ATOMIC_AGGREGATE".
pub const ATTRIBUTE_ATOMIC_AGGREGATE: u8 = 6;
/// Path attribute "AGGREGATOR".
pub const ATTRIBUTE_AGGREGATOR: u8 = 7;
/// Path attribute "COMMUNITY" (RFC 1997).
pub const ATTRIBUTE_COMMUNITY: u8 = 8;
/// Path attribute "ORIGINATOR_ID" (RFC 4456).
pub const ATTRIBUTE_ORIGINATOR_ID: u8 = 9;
/// Path attribute "CLUSTER_LIST" (RFC 4456).
pub const ATTRIBUTE_CLUSTER_LIST: u8 = 10;
/// Path attribute "MP_REACH_NLRI" (RFC 4760).
pub const ATTRIBUTE_MP_REACH_NLRI: u8 = 14;
/// Path attribute "MP_UNREACH_NLRI" (RFC 4760).
pub const ATTRIBUTE_MP_UNREACH_NLRI: u8 = 15;
/// Path attribute "EXTENDED COMMUNITIES" (RFC 4360).
pub const ATTRIBUTE_EXTENDED_COMMUNITIES: u8 = 16;
/// Path attribute "AS4_PATH" (RFC 6793).
pub const ATTRIBUTE_AS4_PATH: u8 = 17;
/// Path attribute "AS4_AGGREGATOR" (RFC 6793).
pub const ATTRIBUTE_AS4_AGGREGATOR: u8 = 18;
/// Path attribute "LARGE_COMMUNITY" (RFC 8092).
pub const ATTRIBUTE_LARGE_COMMUNITY: u8 = 32;
/// Path attribute "Only to Customer (OTC)" (RFC 9234).
pub const ATTRIBUTE_ONLY_TO_CUSTOMER: u8 = 35;

/// AS_PATH segment type "AS_SET".
pub const SEGMENT_AS_SET: u8 = 1;
/// AS_PATH segment type "AS_SEQUENCE".
pub const SEGMENT_AS_SEQUENCE: u8 = 2;

/// Well-known community "GRACEFUL_SHUTDOWN" (RFC 8326).
pub const COMMUNITY_GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;

/// Error code "Message Header Error".
pub const ERROR_MESSAGE_HEADER: u8 = 1;
/// Error code "OPEN Message Error".
pub const ERROR_OPEN: u8 = 2;
/// Error code "UPDATE Message Error".
pub const ERROR_UPDATE: u8 = 3;
/// Error code "Hold Timer Expired".
pub const ERROR_HOLD_TIMER: u8 = 4;
/// Error code "Finite State Machine Error".
pub const ERROR_FSM: u8 = 5;
/// Error code "Cease".
pub const ERROR_CEASE: u8 = 6;
/// Error code "ROUTE-REFRESH Message Error" (RFC 7313).
pub const ERROR_ROUTE_REFRESH: u8 = 7;
/// Error code "Send Hold Timer Expired" (RFC 9687).
pub const ERROR_SEND_HOLD_TIMER: u8 = 8;

/// Message header error "Connection Not Synchronized".
pub const HEADER_NOT_SYNCHRONIZED: u8 = 1;
/// Message header error "Bad Message Length".
pub const HEADER_BAD_LENGTH: u8 = 2;
/// Message header error "Bad Message Type".
pub const HEADER_BAD_TYPE: u8 = 3;

/// OPEN message error "Unspecific".
pub const OPEN_UNSPECIFIC: u8 = 0;
/// OPEN message error "Unsupported Version Number".
pub const OPEN_UNSUPPORTED_VERSION: u8 = 1;
/// OPEN message error "Bad Peer AS".
pub const OPEN_BAD_PEER_AS: u8 = 2;
/// OPEN message error "Bad BGP Identifier".
pub const OPEN_BAD_IDENTIFIER: u8 = 3;
/// OPEN message error "Unsupported Optional Parameter".
pub const OPEN_UNSUPPORTED_PARAMETER: u8 = 4;
/// OPEN message error "Unacceptable Hold Time".
pub const OPEN_UNACCEPTABLE_HOLD_TIME: u8 = 6;
/// OPEN message error "Unsupported Capability" (RFC 5492).
pub const OPEN_UNSUPPORTED_CAPABILITY: u8 = 7;
/// OPEN message error "Role Mismatch" (RFC 9234).
pub const OPEN_ROLE_MISMATCH: u8 = 11;

/// UPDATE message error "Malformed Attribute List".
pub const UPDATE_MALFORMED_LIST: u8 = 1;
/// UPDATE message error "Unrecognized Well-known Attribute".
pub const UPDATE_UNRECOGNIZED_WELL_KNOWN: u8 = 2;
/// UPDATE message error "Optional Attribute Error".
pub const UPDATE_OPTIONAL_ATTRIBUTE: u8 = 9;
/// UPDATE message error "Invalid Network Field".
pub const UPDATE_INVALID_NETWORK: u8 = 10;

/// FSM error "Unspecified Error" (RFC 6608).
pub const FSM_UNSPECIFIED: u8 = 0;
/// FSM error "Receive Unexpected Message in OpenSent State" (RFC 6608).
pub const FSM_OPEN_SENT: u8 = 1;
/// FSM error "Receive Unexpected Message in OpenConfirm State" (RFC 6608).
pub const FSM_OPEN_CONFIRM: u8 = 2;
/// FSM error "Receive Unexpected Message in Established State" (RFC 6608).
pub const FSM_ESTABLISHED: u8 = 3;

/// Cease "Maximum Number of Prefixes Reached" (RFC 4486).
pub const CEASE_MAXIMUM_PREFIXES: u8 = 1;
/// Cease "Administrative Shutdown".
pub const CEASE_ADMINISTRATIVE_SHUTDOWN: u8 = 2;
/// Cease "Peer De-configured".
pub const CEASE_PEER_DECONFIGURED: u8 = 3;
/// Cease "Administrative Reset".
pub const CEASE_ADMINISTRATIVE_RESET: u8 = 4;
/// Cease "Connection Rejected".
pub const CEASE_CONNECTION_REJECTED: u8 = 5;
/// Cease "Other Configuration Change".
pub const CEASE_CONFIGURATION_CHANGE: u8 = 6;
/// Cease "Connection Collision Resolution".
pub const CEASE_COLLISION: u8 = 7;
/// Cease "Out of Resources".
pub const CEASE_OUT_OF_RESOURCES: u8 = 8;
/// Cease "Hard Reset" (RFC 8538).
pub const CEASE_HARD_RESET: u8 = 9;
/// Cease "BFD Down" (RFC 9384).
pub const CEASE_BFD_DOWN: u8 = 10;

/// ROUTE-REFRESH subcode "Normal route refresh request" (RFC 7313).
pub const REFRESH_REQUEST: u8 = 0;
/// ROUTE-REFRESH subcode "Demarcation of the beginning of a route refresh" (BoRR).
pub const REFRESH_BEGIN: u8 = 1;
/// ROUTE-REFRESH subcode "Demarcation of the ending of a route refresh" (EoRR).
pub const REFRESH_END: u8 = 2;
/// ROUTE-REFRESH message error "Invalid Message Length" (RFC 7313).
pub const REFRESH_INVALID_LENGTH: u8 = 1;

/// Role "Provider" (RFC 9234).
pub const ROLE_PROVIDER: u8 = 0;
/// Role "RS".
pub const ROLE_RS: u8 = 1;
/// Role "RS-Client".
pub const ROLE_RS_CLIENT: u8 = 2;
/// Role "Customer".
pub const ROLE_CUSTOMER: u8 = 3;
/// Role "Peer (i.e., Lateral Peer)".
pub const ROLE_PEER: u8 = 4;
