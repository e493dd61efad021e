//! Memory between decisions.

use corten_host::memory::Program;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often what isn't used is let go. What is in use is back within microseconds.
const REST: Duration = Duration::from_secs(2);

/// Lets go of the parts of the program that nobody uses now: starting, reading and deciding take
/// most of it, answering takes little.
pub(super) enum Rest {
    /// It can't.
    Never,
    /// It does.
    Every(Interval, Program),
}

impl Rest {
    pub(super) fn new() -> Self {
        match Program::own() {
            Ok(program) => {
                let mut interval = interval(REST);
                interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
                Self::Every(interval, program)
            }
            Err(error) => {
                tracing::debug!(%error, "what only the start needed stays in memory");
                Self::Never
            }
        }
    }

    /// Waits for the next time, and lets go.
    pub(super) async fn turn(&mut self) {
        let Self::Every(interval, program) = self else {
            return std::future::pending().await;
        };
        interval.tick().await;
        if let Err(error) = program.forget() {
            tracing::debug!(%error, "what only the start needed stays in memory");
            *self = Self::Never;
        }
    }
}
