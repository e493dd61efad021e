//! BGP-4 (RFC 4271 and what [`iana`] names), of a speaker that announces and isn't a router.
//!
//! [`Speaker`] has all peers of a node. [`Peer`] is the machine of one: it is told when to start,
//! what to announce ([`Routes`]) and what happens to its connections, and says what to do
//! ([`Output`]). Below it are the state
//! machine of a connection ([`fsm::Fsm`]), the routes a peer has and shall have, and the codec:
//! [`Framer`] finds messages in a stream, [`Frame::decode`] reads them, [`Message::encode`] writes
//! them. Reading is total: every input gives a message or an error that says which NOTIFICATION
//! it causes; faults in an UPDATE that don't end the session (RFC 7606) come with the message.

mod as_path;
mod attribute;
mod bytes;
mod capability;
mod community;
mod counters;
mod family;
pub mod fsm;
pub mod iana;
mod jitter;
mod message;
mod negotiate;
mod notification;
mod open;
mod options;
mod peer;
mod prefix;
mod received;
mod refresh;
mod rib;
mod ring;
mod routes;
mod speaker;
mod update;

pub use as_path::{AsPath, Segment};
pub use attribute::decode::{Cause, Fault, Treatment};
pub use attribute::{Aggregator, Attributes, Origin, RawAttribute};
pub use capability::{
    Capability, GracefulRestart, MAX_RESTART_TIME, NextHopEncoding, RestartFamily, Role,
};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub use counters::{Counters, MessageCounters};
pub use family::{AfiSafi, Families, Family};
pub use fsm::State;
pub use message::{
    DecodeError, Frame, Framer, HEADER_LEN, HeaderError, MAX_EXTENDED_LEN, MAX_LEN, Message,
    MessageType, Received, TooLong,
};
pub use negotiate::{NegotiateError, Negotiated};
pub use notification::{MAX_COMMUNICATION, Notification};
pub use open::{Open, OpenError};
pub use options::{Dial, MaximumPrefix, PeerAsn, PeerOptions, Restart, RoleOption};
pub use peer::{
    ConnectionId, Endpoints, LastError, Notice, Output, Peer, Refused, Session, Stop, Why,
};
pub use prefix::{Prefix, PrefixError};
pub use received::{COUNTED, Count, UpdateCounters};
pub use refresh::{RefreshKind, RouteRefresh};
pub use rib::{Advertised, Withheld};
pub use ring::{Direction, Recorded, SNAP_LEN, to_pcap};
pub use routes::{DEFAULT_LOCAL_PREF, NextHop, Path, Routes};
pub use speaker::Speaker;
pub use update::{Decoded, MpNextHop, MpReach, MpUnreach, Update, UpdateContext, UpdateError};

#[cfg(test)]
mod tests;
