//! `corten run`: everything that can fail early fails here, with a message that says what to do.

use crate::cli::RunArgs;
use crate::logs;
use crate::speaker::exclusions::Exclusions;
use corten_host::caps;
use std::process::ExitCode;

/// Checks, then runs until told to leave.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let _lines = logs::start(args.log_level, args.log_format)?;
    anyhow::ensure!(
        is_node_name(&args.node),
        "--node {:?} can't be the name of a Node: lower-case letters, digits, '-' and '.'",
        args.node
    );
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

/// Whether Kubernetes would take the name for a Node's (RFC 1123 subdomain).
pub(crate) fn is_node_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            label.starts_with(inner)
                && label.ends_with(inner)
                && label.chars().all(|c| inner(c) || c == '-')
        })
}

#[cfg(test)]
mod tests;
