//! What is said on the wire: codecs and state machines without IO.
//!
//! Every machine has one shape: inputs with the time they happened at go in, outputs are polled
//! until there are none, and the next deadline is asked for. No sockets, no clock, no ambient
//! randomness: the same inputs give the same outputs, byte for byte.

pub mod bfd;
pub mod bgp;
pub mod gossip;
pub mod l2;
pub mod router;
