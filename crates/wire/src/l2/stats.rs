//! Counters: what was asked and said for each address, and why frames were dropped.

use super::mac::Mac;
use super::{arp, ethernet, ndp};
use std::time::Instant;

/// What happened to one address since it was gained (`spec/metallb.md` §5.4). Kept while the
/// address is in the table or yielded; a gain after that starts at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Valid requests for it on its interfaces.
    pub requests_received: u64,
    /// Answers sent.
    pub responses_sent: u64,
    /// Gratuitous frames sent, one each frame and interface.
    pub gratuitous_sent: u64,
    /// The last answer.
    pub last_answered: Option<Answered>,
}

/// An answer given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When.
    pub at: Instant,
    /// To whom.
    pub mac: Mac,
    /// Interface index.
    pub link: u32,
}

/// Why a frame was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Drop {
    /// It is no usable Ethernet frame.
    #[error(transparent)]
    Ethernet(#[from] ethernet::DecodeError),
    /// It is no usable ARP packet.
    #[error(transparent)]
    Arp(#[from] arp::DecodeError),
    /// It is no usable neighbour message.
    #[error(transparent)]
    Ndp(#[from] ndp::DecodeError),
    /// It came from an interface that isn't used, or not for this family.
    #[error("the interface is not used for this protocol")]
    UnusableLink,
    /// One of this node's own interfaces sent it.
    #[error("this node sent the frame")]
    OwnFrame,
    /// It is for another station.
    #[error("the frame is for another station")]
    OtherDestination,
    /// It asks nothing: a reply, an advertisement or an announcement.
    #[error("the frame asks nothing")]
    NoQuestion,
    /// It asks for an address that isn't ours.
    #[error("the address is not announced by this node")]
    NotOwned,
    /// The address is ours, but not on this interface.
    #[error("the address is not announced on this interface")]
    OtherInterface,
    /// The address is ours and not to be answered now: it is probed, withheld, or its successor
    /// was heard.
    #[error("the address is not answered now")]
    Silent,
    /// This node may not answer for anything now: it was away ([`super::L2::fall_silent`]).
    #[error("this node may not answer until it has heard what happened meanwhile")]
    Away,
}
