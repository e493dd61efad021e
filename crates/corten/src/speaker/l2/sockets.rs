//! One packet socket an interface in use, and the multicast groups.

use corten_host::groups::SolicitedNodeGroups;
use corten_host::packet::{PacketError, PacketSocket};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::Ipv6Addr;
use std::task::Poll;

/// The sockets, by interface index.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    open: BTreeMap<u32, PacketSocket>,
    groups: SolicitedNodeGroups,
    /// The interface served last: the others come first next time.
    last: u32,
    kernel_drops: u64,
}

impl Sockets {
    /// A buffer for one frame.
    pub(crate) fn buffer() -> Vec<u8> {
        vec![0; PacketSocket::FRAME_MAX]
    }

    /// Opens what is missing and closes what isn't used any more.
    ///
    /// # Errors
    /// No right to open packet sockets, or none can be had; an interface that went away meanwhile
    /// is no error, the next look will miss it.
    pub(crate) fn sync(&mut self, wanted: &BTreeSet<u32>) -> Result<(), PacketError> {
        self.open.retain(|index, _| wanted.contains(index));
        for &index in wanted {
            if self.open.contains_key(&index) {
                continue;
            }
            match PacketSocket::open(index) {
                Ok(socket) => {
                    self.open.insert(index, socket);
                }
                Err(error @ (PacketError::Gone { .. } | PacketError::Down { .. })) => {
                    tracing::debug!(index, %error, "interface vanished before it was used");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next frame of any socket: the interface's index and the frame's length in `buffer`.
    pub(crate) async fn next(&mut self, buffer: &mut [u8]) -> (u32, Result<usize, PacketError>) {
        let (open, last) = (&self.open, self.last);
        let (index, result) = poll_fn(|cx| {
            let after = open.range(last.saturating_add(1)..);
            for (&index, socket) in after.chain(open.range(..=last)) {
                if let Poll::Ready(result) = socket.poll_recv(cx, buffer) {
                    return Poll::Ready((index, result));
                }
            }
            Poll::Pending
        })
        .await;
        self.last = index;
        (index, result)
    }

    /// A further frame of one socket that is already here.
    pub(crate) fn more(&mut self, index: u32, buffer: &mut [u8]) -> Option<usize> {
        match self.open.get(&index)?.try_recv(buffer) {
            Ok(length) => length,
            Err(error) => {
                self.failed(index, &error);
                None
            }
        }
    }

    /// Sends a frame; what can't be sent is dropped and said, as the network would.
    pub(crate) fn send(&mut self, index: u32, frame: &[u8]) {
        let Some(socket) = self.open.get(&index) else {
            return;
        };
        if let Err(error) = socket.try_send(frame) {
            self.failed(index, &error);
        }
    }

    /// Takes note of a socket's failure.
    pub(crate) fn failed(&mut self, index: u32, error: &PacketError) {
        match error {
            PacketError::Gone { .. } => {
                self.open.remove(&index);
                self.groups.forget(index);
            }
            PacketError::Down { .. } | PacketError::Full { .. } => {
                tracing::debug!(%error, "frame not passed");
            }
            PacketError::MissingNetRaw { .. } | PacketError::Io { .. } => {
                tracing::warn!(%error, "packet socket");
            }
        }
    }

    /// Joins a solicited-node group, so that switches that snoop pass its frames.
    pub(crate) fn join(&mut self, index: u32, group: Ipv6Addr) {
        if let Err(error) = self.groups.join(index, group) {
            tracing::warn!(%group, %error, "multicast group not joined");
        }
    }

    /// Leaves a solicited-node group.
    pub(crate) fn leave(&mut self, index: u32, group: Ipv6Addr) {
        self.groups.leave(index, group);
    }

    /// Frames the kernel dropped since the start.
    pub(crate) fn kernel_drops(&mut self) -> u64 {
        for socket in self.open.values() {
            if let Ok(counters) = socket.take_counters() {
                self.kernel_drops += u64::from(counters.dropped);
            }
        }
        self.kernel_drops
    }
}
