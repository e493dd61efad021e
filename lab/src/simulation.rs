//! Speakers by the hundred in one thread and in virtual time: each has the real gossip, election
//! and layer-2 machines, joined by the daemon's own decisions (`corten_node`), on a LAN that
//! loses, delays, reorders and doubles, is cut in parts, and whose hosts crash, stop and sleep.
//!
//! A run is made from a seed ([`Plan::of`]) and judged after each step and at its end
//! ([`run`]); a plan that fails is made smaller as long as it fails ([`shrink`]).

mod clock;
mod figures;
mod judge;
mod lan;
mod plan;
mod process;
mod site;
mod world;

pub use figures::{Figures, figures};
pub use judge::{Measured, Violation};
pub use plan::{Fault, Medium, Plan, Policy, What, shrink};
pub use world::run;
