//! Layer 2: making the LAN send traffic for an address to this node (`spec/metallb.md` §5.3;
//! RFC 826, 4861, 4862, 5227).
//!
//! The codecs are [`ethernet`], [`arp`] and [`ndp`]; what is told comes as a [`Table`] and
//! [`Links`].

pub mod arp;
pub mod ethernet;
pub mod iana;
pub mod link;
mod mac;
pub mod ndp;
mod stats;
mod table;

pub use link::{Link, Links, RawLink};
pub use mac::Mac;
pub use stats::{Answered, Counters, Drop};
pub use table::{Entry, Interfaces, Policy, Refresh, Table};
