//! Code points of memberlist's wire protocol (`spec/metallb.md` §5.6).

/// Direct probe.
pub const PING: u8 = 0;
/// Request to probe a third member.
pub const INDIRECT_PING: u8 = 1;
/// Answer to a probe.
pub const ACK: u8 = 2;
/// A member may have failed.
pub const SUSPECT: u8 = 3;
/// A member is alive, with its address and meta data.
pub const ALIVE: u8 = 4;
/// A member has failed, or left if it says so itself.
pub const DEAD: u8 = 5;
/// Exchange of whole states, on a stream only.
pub const PUSH_PULL: u8 = 6;
/// Several messages in one packet.
pub const COMPOUND: u8 = 7;
/// A message of the application.
pub const USER: u8 = 8;
/// A compressed message.
pub const COMPRESS: u8 = 9;
/// An encrypted stream message.
pub const ENCRYPT: u8 = 10;
/// An indirect probe wasn't answered.
pub const NACK: u8 = 11;
/// A packet with a checksum in front.
pub const HAS_CRC: u8 = 12;
/// An error, on a stream only.
pub const ERROR: u8 = 13;
/// A label in front of a packet or stream.
pub const HAS_LABEL: u8 = 244;

/// The one compression algorithm: LZW, least significant bit first, 8-bit literals.
pub const ALGORITHM_LZW: u8 = 0;

/// Encryption with PKCS #7 padding, protocol version 1.
pub const ENCRYPTION_PADDED: u8 = 0;
/// Encryption without padding, protocol versions from 2.
pub const ENCRYPTION_PLAIN: u8 = 1;

/// Lowest protocol version spoken.
pub const PROTOCOL_MIN: u8 = 1;
/// Highest protocol version spoken.
pub const PROTOCOL_MAX: u8 = 5;
/// The version MetalLB's members speak.
pub const PROTOCOL_CURRENT: u8 = 2;
/// From this version on a member takes probes on a stream.
pub const PROTOCOL_STREAM_PING: u8 = 3;
/// From this version on a member sends [`NACK`] when asked to.
pub const PROTOCOL_NACK: u8 = 4;
/// From this version on a member understands [`HAS_CRC`].
pub const PROTOCOL_CRC: u8 = 5;
