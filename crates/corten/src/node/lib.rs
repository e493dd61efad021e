//! What a node decides of its membership, of its right to answer and of what it claims, without
//! IO: the daemon carries it out, and the lab's simulation runs it by the thousand.
//!
//! Here `wire` and `engine` meet ([`words`]): [`standing`] makes a view of the members of what the
//! gossip machine knows, [`orders`] brings what was decided on it to the layer-2 machine.

pub mod joining;
pub mod lease;
pub mod orders;
pub mod standing;
pub mod tenure;
pub mod words;
