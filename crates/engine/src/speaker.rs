//! The speaker: what this node announces (`spec/metallb.md` §5.1, §5.2).

pub use crate::advertise::l2::LinkState;

use crate::advertise::l2::{Conflict, L2Table};
use crate::event::EventRecord;
use crate::facts::Changes;
use crate::membership::Membership;
use std::collections::{BTreeMap, BTreeSet};

/// What the speaker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The facts changed.
    Facts(Changes),
    /// Who is alive.
    Membership(Membership),
    /// Interfaces of this node by name, and whether ARP and NDP can be spoken on them now.
    Links(BTreeMap<String, LinkState>),
    /// Every conflict known now, latest wins.
    Conflicts(BTreeSet<Conflict>),
}

/// What the speaker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole layer-2 table, latest wins.
    L2(L2Table),
    /// Record an event on a Service.
    Emit(EventRecord),
}
