//! `corten run`: everything that can fail early fails here, with a message that says what to do.

use crate::cli::RunArgs;
use crate::logs;
use crate::speaker::exclusions::Exclusions;
use corten_host::caps;
use std::process::ExitCode;

/// Checks, then runs until told to leave.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let _lines = logs::start(args.log_level, args.log_format)?;
    anyhow::ensure!(!args.node.is_empty(), "--node is empty");
    let exclusions = Exclusions::load(args.exclude_interfaces.as_deref())?;
    caps::require_net_raw()?;
    if args.assign {
        caps::require_net_admin()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(crate::wiring::run(args, exclusions))?;
    Ok(ExitCode::SUCCESS)
}
