//! What was left aside and why: a closed list, for counters.

use super::malformed::Malformed;

/// Why something heard had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Drop {
    /// It is no message for this cluster.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A probe of another member.
    #[error("the probe is for another member")]
    NotForUs,
    /// An answer nobody waits for (any more): late, or replayed.
    #[error("nobody waits for the answer")]
    Unasked,
    /// Of an incarnation that is over: late, or replayed.
    #[error("the incarnation is over")]
    Stale,
    /// About a member nobody told of.
    #[error("the member is unknown")]
    Unknown,
    /// A member that speaks other versions.
    #[error("the versions don't fit")]
    Versions,
    /// A known member's name with another address.
    #[error("another member has the name")]
    Conflict,
    /// A claim whose epoch is further ahead than any can be.
    #[error("the claim's epoch can't be")]
    Epoch,
    /// More members, probes for others or streams than are kept.
    #[error("there is no room for more")]
    Full,
    /// A probe for others towards an address that is no member's.
    #[error("the address is no member's")]
    Stranger,
    /// A message that doesn't belong on its stream.
    #[error("the message doesn't belong on its stream")]
    Unexpected,
}

/// What was done, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets handed out to be sent.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Packets taken.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Members found only on a stream, not in packets: a filter may be in the way.
    pub stream_only: u64,
    /// Members that came under suspicion, whoever suspected them.
    pub suspicions: u64,
    /// Accusations of this node that were refuted.
    pub refuted: u64,
    /// Neighbours that the detector accused.
    pub accusations: u64,
    /// Of these, those that were alive.
    pub acquittals: u64,
    /// States exchanged.
    pub exchanges: u64,
}
