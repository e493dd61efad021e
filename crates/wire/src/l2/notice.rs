//! What the machine tells its user.

use super::mac::Mac;
use std::net::IpAddr;

/// A stranger answering for one of our addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The address.
    pub ip: IpAddr,
    /// The stranger.
    pub mac: Mac,
    /// Name of the interface.
    pub interface: String,
    /// Whether the stranger also answered for an address nobody should have.
    pub proxy_arp: bool,
}

/// Something worth telling; each is told once for its cause, however often it is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A yielded address has a new owner: we fell silent on that interface.
    Successor {
        /// The address.
        ip: IpAddr,
        /// Its owner's MAC.
        mac: Mac,
        /// Name of the interface.
        interface: String,
    },
    /// Another node answers for an address that is ours: a hand-over crossed, or two views of
    /// the membership. At most one in 10 s for each address.
    FellowAnswers {
        /// The address.
        ip: IpAddr,
        /// The other node.
        node: String,
        /// Its MAC.
        mac: Mac,
        /// Name of the interface.
        interface: String,
    },
    /// Someone answers for our address and not every node's MAC is known there: not acted on.
    Unverified {
        /// The address.
        ip: IpAddr,
        /// Who.
        mac: Mac,
        /// Name of the interface.
        interface: String,
    },
    /// A stranger answers for our address. Told again when he turns out to be a proxy.
    Conflict(Conflict),
    /// A conflict is over.
    ConflictCleared(Conflict),
}
