//! Who is alive, as far as gossip knows.
//!
//! *Disabled* means every known node is a candidate; *empty* means nobody is alive. The two are
//! different variants so that no filter can turn one into the other.

use crate::names::NodeName;
use serde::Serialize;
use std::collections::BTreeSet;

/// The nodes known to be alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Membership {
    /// There is no membership protocol: every Node object is a candidate.
    Disabled,
    /// The members alive now; an empty set means nobody is.
    Members(BTreeSet<NodeName>),
}

impl Membership {
    /// Whether `node` may be a candidate as far as membership goes.
    #[must_use]
    pub fn admits(&self, node: &NodeName) -> bool {
        match self {
            Self::Disabled => true,
            Self::Members(alive) => alive.contains(node),
        }
    }
}
