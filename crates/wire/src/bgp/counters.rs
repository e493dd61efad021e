//! Counters of a peer, over all of its sessions.

use super::message::MessageType;
use super::received::UpdateCounters;

/// Messages by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounters {
    /// OPENs.
    pub open: u64,
    /// UPDATEs.
    pub update: u64,
    /// NOTIFICATIONs.
    pub notification: u64,
    /// KEEPALIVEs.
    pub keepalive: u64,
    /// ROUTE-REFRESHs.
    pub route_refresh: u64,
}

impl MessageCounters {
    pub(super) fn count(&mut self, kind: MessageType) {
        let counter = match kind {
            MessageType::Open => &mut self.open,
            MessageType::Update => &mut self.update,
            MessageType::Notification => &mut self.notification,
            MessageType::Keepalive => &mut self.keepalive,
            MessageType::RouteRefresh => &mut self.route_refresh,
        };
        *counter += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.open + self.update + self.notification + self.keepalive + self.route_refresh
    }
}

/// What happened with a peer since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages sent.
    pub sent: MessageCounters,
    /// Messages received, with a sound header.
    pub received: MessageCounters,
    /// What the received UPDATEs said.
    pub updates: UpdateCounters,
    /// Connections tried.
    pub attempts: u64,
    /// Connections the peer made.
    pub accepted: u64,
    /// Sessions established.
    pub established: u64,
    /// Sessions that ended.
    pub lost: u64,
}
