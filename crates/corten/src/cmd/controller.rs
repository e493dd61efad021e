//! `corten controller`: checks early, then runs until told to leave.

use crate::cli::kubernetes::ControllerArgs;
use crate::{logs, wiring};
use std::process::ExitCode;

/// Runs until told to leave.
pub(crate) fn run(args: ControllerArgs) -> anyhow::Result<ExitCode> {
    let _lines = logs::start(args.common.log_level, args.common.log_format)?;
    for flag in args.without_effect() {
        tracing::warn!(flag, "this flag has no effect");
    }
    let namespace = args.common.namespace()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(wiring::controller(args, namespace))?;
    Ok(ExitCode::SUCCESS)
}
