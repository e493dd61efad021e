//! Bidirectional Forwarding Detection: noticing within milliseconds that the path to a peer is dead
//! (RFC 5880; RFC 5881 for one hop, RFC 5883 for several, RFC 5882 for what users do with it).
//!
//! [`Session`] is the machine of one session. It is fed the payload and TTL of every packet that is
//! for it and says what to send, and when it went up or down. After each call the caller drains
//! [`Session::poll_output`] and sleeps until [`Session::poll_timeout`]. Packets are for a session by
//! their discriminator, or by source and interface where [`Packet::addressee`] has none.
//!
//! Asynchronous mode with the echo function; a peer's demand mode is honoured, ours is never used.
//! Authentication isn't offered: packets that carry it are refused (RFC 5880 §6.8.6).

pub mod echo;
mod fsm;
pub mod iana;
mod jitter;
mod options;
pub mod packet;
mod session;

pub use fsm::{Event, State, transition};
pub use iana::Diagnostic;
pub use options::{Echo, Options, Path, Role, Timers};
pub use packet::{DecodeError, Packet};
pub use session::{Change, ECHO_LENGTH, Ignored, Output, Peer, Session, SessionState};
