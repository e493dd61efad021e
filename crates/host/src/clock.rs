//! The clock that goes on while the machine sleeps.

use crate::sys;
use std::time::Duration;

/// The time since the start of the machine, the time it slept included (`CLOCK_BOOTTIME`): a
/// process that was stopped or whose machine was paused sees the gap. [`std::time::Instant`] may
/// not show a sleep.
#[must_use]
pub fn since_boot() -> Duration {
    sys::since_boot()
}

#[cfg(test)]
mod tests;
