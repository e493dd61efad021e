//! The controller: keeps every Service's allocation as its spec asks and the pools allow
//! (`spec/metallb.md` §4).

use crate::event::{Assignment, EventRecord};
use crate::names::{PoolName, ServiceKey};
use corten_api::pool::IPAddressPoolStatus;

/// What the controller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Persist status and annotation together.
    Assign {
        /// The Service.
        service: ServiceKey,
        /// Its allocation.
        assignment: Assignment,
    },
    /// Record an event on a Service.
    Emit(EventRecord),
    /// Write a pool's counters.
    PoolStatus {
        /// The pool.
        pool: PoolName,
        /// Its counters.
        status: IPAddressPoolStatus,
    },
}
