//! BGP sessions, measured (`spec/metallb.md` §6.10).

use super::{Sample, Snapshot};

/// One session. Messages are counted since the peer was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bgp {
    /// Whether it is established.
    pub up: bool,
    /// Prefixes the peer has of this node.
    pub announced_prefixes: u64,
    /// OPENs sent.
    pub opens_sent: u64,
    /// OPENs received.
    pub opens_received: u64,
    /// NOTIFICATIONs sent.
    pub notifications_sent: u64,
    /// UPDATEs sent.
    pub updates_sent: u64,
    /// UPDATEs received.
    pub updates_received: u64,
    /// KEEPALIVEs sent.
    pub keepalives_sent: u64,
    /// KEEPALIVEs received.
    pub keepalives_received: u64,
    /// ROUTE-REFRESHs sent.
    pub route_refreshes_sent: u64,
    /// Messages sent.
    pub total_sent: u64,
    /// Messages received.
    pub total_received: u64,
}

pub(super) fn samples(snapshot: &Snapshot, value: fn(&Bgp) -> u64) -> Vec<Sample> {
    let sessions = snapshot.bgp.iter();
    sessions
        .map(|((peer, vrf), bgp)| Sample(vec![peer.clone(), vrf.clone()], value(bgp).to_string()))
        .collect()
}
