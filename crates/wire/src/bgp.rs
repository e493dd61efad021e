//! BGP-4: the codec (RFC 4271 and what [`iana`] names).
//!
//! [`Framer`] finds messages in a stream, [`Frame::decode`] reads them, [`Message::encode`] writes
//! them. Reading is total: every input gives a message or an error that says which NOTIFICATION
//! it causes; faults in an UPDATE that don't end the session (RFC 7606) come with the message.

mod as_path;
mod attribute;
mod bytes;
mod capability;
mod community;
mod family;
pub mod fsm;
pub mod iana;
mod jitter;
mod message;
mod notification;
mod open;
mod prefix;
mod refresh;
mod update;

pub use as_path::{AsPath, Segment};
pub use attribute::decode::{Cause, Fault, Treatment};
pub use attribute::{Aggregator, Attributes, Origin, RawAttribute};
pub use capability::{
    Capability, GracefulRestart, MAX_RESTART_TIME, NextHopEncoding, RestartFamily, Role,
};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub use family::{AfiSafi, Families, Family};
pub use fsm::State;
pub use message::{
    DecodeError, Frame, Framer, HEADER_LEN, HeaderError, MAX_EXTENDED_LEN, MAX_LEN, Message,
    MessageType, Received, TooLong,
};
pub use notification::{MAX_COMMUNICATION, Notification};
pub use open::{Open, OpenError};
pub use prefix::{Prefix, PrefixError};
pub use refresh::{RefreshKind, RouteRefresh};
pub use update::{Decoded, MpNextHop, MpReach, MpUnreach, Update, UpdateContext, UpdateError};

#[cfg(test)]
mod tests;
