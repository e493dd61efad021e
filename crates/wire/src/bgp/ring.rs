//! The last messages of a peer, for looking at; and the same as a packet capture.

mod pcap;
mod words;

pub use pcap::to_pcap;

use super::iana::MESSAGE_KEEPALIVE;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We did.
    Sent,
    /// The peer did.
    Received,
}

/// A message as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: Instant,
    /// Who sent it.
    pub direction: Direction,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The peer's end.
    pub peer: SocketAddr,
    /// Its octets, at most [`SNAP_LEN`] of them.
    pub bytes: Vec<u8>,
    /// How many octets it had.
    pub length: usize,
}

/// Octets kept of a message.
pub const SNAP_LEN: usize = 4096;

/// Octets kept of all of them.
const RING_LEN: usize = 16 * 1024;

/// The last messages.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    messages: VecDeque<Recorded>,
    capacity: usize,
    octets: usize,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            capacity,
            octets: 0,
        }
    }

    /// Keeps a message, at the expense of the oldest; of a KEEPALIVE before anything else, since
    /// those would soon be all there is.
    pub(super) fn push(&mut self, message: Recorded) {
        self.octets += message.bytes.len();
        self.messages.push_back(message);
        self.shrink();
    }

    /// Keeps another number.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.messages.len() > self.capacity || self.octets > RING_LEN {
            let keepalive = |one: &Recorded| one.bytes.get(18) == Some(&MESSAGE_KEEPALIVE);
            let oldest = self.messages.iter().position(keepalive).unwrap_or(0);
            let Some(gone) = self.messages.remove(oldest) else {
                return;
            };
            self.octets -= gone.bytes.len();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Recorded> {
        self.messages.iter()
    }
}

#[cfg(test)]
mod tests;
