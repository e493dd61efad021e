//! Waiting for what another process or the kernel will do.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Asks again this soon.
const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `condition` until it gives something.
///
/// # Errors
/// After `deadline`, with `what` was waited for; at once if the condition itself fails.
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("not within {deadline:?}: {what}");
        }
        std::thread::sleep(INTERVAL);
    }
}
