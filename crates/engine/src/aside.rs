//! Nodes that stand aside by their own word: no fact of the sources says so.

use crate::names::NodeName;
use std::collections::BTreeSet;

/// Who stands aside, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Nodes that were drained: they announce nothing, on layer 2 and over BGP. This node's own word
    /// counts for it without membership, too.
    pub drained: BTreeSet<NodeName>,
    /// What this node waits for after its start, in words, before it announces anything; nothing once
    /// it was there. The others don't take it for a member meanwhile.
    pub awaits: Option<String>,
}
