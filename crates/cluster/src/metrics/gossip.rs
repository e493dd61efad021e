//! Gossip, measured. MetalLB's speakers have no such series.

use super::{Sample, Snapshot};
use std::collections::BTreeMap;

/// Gossip as this node sees it. Labels come of closed lists only: no series is a member's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gossip {
    /// Members known, by state: alive, suspect, dead, left.
    pub members: BTreeMap<&'static str, u64>,
    /// 0 is healthy.
    pub health: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Members that came under suspicion.
    pub suspicions: u64,
    /// Suspicions of this node that it refuted.
    pub refuted: u64,
    /// Neighbours that the fast detector accused.
    pub accusations: u64,
    /// Of these, those that were alive.
    pub acquittals: u64,
    /// States exchanged.
    pub exchanges: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// What was left aside, by reason; the reasons are a closed list.
    pub dropped: BTreeMap<String, u64>,
    /// Rumours yet to be told.
    pub broadcasts: u64,
    /// Addresses that a live member claims.
    pub claims: u64,
    /// Whether claims count, as `corten status` calls it.
    pub ownership: String,
}

pub(super) fn samples(snapshot: &Snapshot, value: fn(&Gossip) -> u64) -> Vec<Sample> {
    let gossip = snapshot.gossip.iter();
    gossip.flat_map(|g| Sample::plain(value(g))).collect()
}

pub(super) fn members(snapshot: &Snapshot) -> Vec<Sample> {
    let states = snapshot.gossip.iter().flat_map(|g| &g.members);
    states
        .map(|(state, n)| Sample(vec![(*state).to_owned()], n.to_string()))
        .collect()
}

pub(super) fn dropped(snapshot: &Snapshot) -> Vec<Sample> {
    let reasons = snapshot.gossip.iter().flat_map(|g| &g.dropped);
    reasons
        .map(|(reason, n)| Sample(vec![reason.clone()], n.to_string()))
        .collect()
}

pub(super) fn ownership(snapshot: &Snapshot) -> Vec<Sample> {
    let policies = snapshot.gossip.iter().map(|g| g.ownership.clone());
    policies
        .map(|policy| Sample(vec![policy], "1".to_owned()))
        .collect()
}
