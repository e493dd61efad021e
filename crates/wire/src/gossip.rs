//! Membership by gossip: the wire protocol of HashiCorp's memberlist, as MetalLB's speakers talk
//! it among themselves (`spec/metallb.md` §5.6).

pub mod code;
mod compress;
mod envelope;
mod keyring;
mod malformed;
mod member;
mod message;
mod push_pull;
mod stream;

pub use envelope::{Envelope, Label, LabelTooLong, Opened, Security};
pub use keyring::{Key, KeyError, Keyring, NONCE_LEN};
pub use malformed::Malformed;
pub use member::MemberState;
pub use message::{
    Accusation, Ack, Alive, IndirectPing, META_MAX, Message, NAME_MAX, Ping, Source, Versions,
};
pub use push_pull::PushPull;
pub use stream::{STREAM_MAX, StreamMessage, StreamReader};
