//! BFD sessions, measured (`spec/metallb.md` §6.10).

use super::{Sample, Snapshot};

/// One session, counted since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bfd {
    /// Whether it is up.
    pub up: bool,
    /// Control packets taken.
    pub packets_received: u64,
    /// Control packets sent.
    pub packets_sent: u64,
    /// Echo packets that came back.
    pub echoes_returned: u64,
    /// Echo packets sent.
    pub echoes_sent: u64,
    /// Times it went up.
    pub ups: u64,
    /// Times it went down.
    pub downs: u64,
    /// Times BGP was told.
    pub notices: u64,
}

pub(super) fn samples(snapshot: &Snapshot, value: fn(&Bfd) -> u64) -> Vec<Sample> {
    let sessions = snapshot.bfd.iter();
    sessions
        .map(|((peer, vrf), bfd)| Sample(vec![peer.clone(), vrf.clone()], value(bfd).to_string()))
        .collect()
}
