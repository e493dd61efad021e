//! The main function of programs that measure.

use crate::stage;
use anyhow::Result;
use std::process::ExitCode;

/// Enters the lab and measures; fails if goals are missed or nothing could be measured.
#[must_use]
pub fn main(measure: impl FnOnce() -> Result<bool>) -> ExitCode {
    match stage::enter().and_then(|()| measure()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("\nsome goals are missed");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("\nthe benches failed: {e:#}");
            ExitCode::FAILURE
        }
    }
}
