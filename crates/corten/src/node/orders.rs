//! What was decided, on its way to the layer-2 machine, and the lease it was decided in.

use crate::words;
use corten_engine::advertise::l2::L2Table;
use corten_engine::speaker::Speaker;
use corten_wire::l2::{L2, Table};
use std::sync::Arc;
use std::time::Instant;

/// What is to be done: latest wins.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// The desired table; `None` until something was decided.
    pub table: Option<Arc<Table>>,
    /// The term of the lease in which that was decided.
    pub term: u64,
}

/// Whoever decides, as far as the lease is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Issuer {
    term: u64,
}

impl Issuer {
    /// The term that decisions know of.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Something was decided by what was seen in `term`, and led to this table if it changed. In
    /// a new term it goes out in any case: the wire waits for what is decided anew, if with the
    /// same result.
    pub fn decided(
        &mut self,
        term: u64,
        changed: Option<L2Table>,
        speaker: &Speaker,
    ) -> Option<L2Table> {
        let renewed = std::mem::replace(&mut self.term, term) != term;
        changed.or_else(|| speaker.l2_table().filter(|_| renewed))
    }

    /// The orders that a table makes.
    #[must_use]
    pub fn orders(&self, table: L2Table, node: &str) -> Orders {
        let term = self.term;
        let table = Some(Arc::new(words::table(table, node, term)));
        Orders { table, term }
    }
}

/// Carries orders out; `resume` says whether answering may go on by what was decided in a term.
/// Whether it goes on just now.
pub fn follow(
    machine: &mut L2,
    orders: Orders,
    resume: impl FnOnce(u64) -> bool,
    now: Instant,
) -> bool {
    if let Some(table) = orders.table {
        machine.handle_table(table, now);
    }
    let resumed = machine.is_silent() && resume(orders.term);
    if resumed {
        machine.speak_again(now);
    }
    resumed
}

/// Falls silent if the right to answer has ended; whether that is just now.
pub fn watch(machine: &mut L2, held: bool) -> bool {
    let ended = !held && !machine.is_silent();
    if ended {
        machine.fall_silent();
    }
    ended
}
