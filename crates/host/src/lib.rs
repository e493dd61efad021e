//! How bytes move: packet sockets, multicast groups, TCP, UDP, rtnetlink and capabilities on Linux.
//!
//! The one crate that talks to the kernel below the standard library. Everything here works on a
//! current-thread Tokio runtime and in the network namespace of the calling thread. All `unsafe`
//! code is in `sys`, behind safe functions; no other module has any.

pub mod assign;
pub mod caps;
pub mod clock;
pub mod echo;
pub mod gossip;
pub mod groups;
pub mod memory;
pub mod netlink;
pub mod notify;
pub mod packet;
pub mod router;
mod sys;
pub mod tcp;
pub mod udp;
