//! Who announces an address: preference score, then a claim where claims count, then MetalLB's
//! hash (`spec/metallb.md` §5.2).
//!
//! Pure and without memory: the same candidates give the same order on every node, so no node
//! has to ask another. Every candidate's key depends on itself and the address only. So the death
//! of a loser moves nothing, and a newcomer moves an address only by sorting first. Interfaces are
//! not considered: a node can't know its fellows'.

use crate::names::NodeName;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::net::IpAddr;

/// A node that may announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// Sum of the weights that prefer it; 0 if none does.
    pub score: i64,
    /// Whether it has the address already and that counts.
    pub claims: bool,
}

/// A candidate in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked<'a> {
    /// The candidate.
    pub candidate: Candidate<'a>,
    /// What decides in the end: lower wins.
    pub digest: [u8; 32],
}

/// The candidates in order of election for an address; the first is the winner. Two candidates of
/// the same name are the caller's mistake and stay in the order given.
pub fn rank<'a>(
    ip: IpAddr,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Vec<Ranked<'a>> {
    // An IPv4-mapped address hashes as the IPv4 address it is, as in Go.
    let suffix = format!("#{}", ip.to_canonical());
    let mut ranking: Vec<_> = candidates
        .into_iter()
        .map(|candidate| Ranked {
            candidate,
            digest: digest(candidate.node, &suffix),
        })
        .collect();
    ranking.sort_by_key(|r| {
        let Candidate { score, claims, .. } = r.candidate;
        (Reverse(score), !claims, r.digest)
    });
    ranking
}

/// SHA-256 of `node#ip`.
fn digest(node: &NodeName, suffix: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(node.as_str())
        .chain_update(suffix)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests;
