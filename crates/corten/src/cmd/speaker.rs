//! `corten speaker`: checks early, then runs until told to leave.

use crate::cli::kubernetes::SpeakerArgs;
use crate::cmd::run::is_node_name;
use crate::speaker::exclusions::Exclusions;
use crate::{logs, wiring};
use corten_host::caps;
use std::process::ExitCode;

/// Runs until told to leave.
pub(crate) fn run(args: SpeakerArgs) -> anyhow::Result<ExitCode> {
    let _lines = logs::start(args.common.log_level, args.common.log_format)?;
    anyhow::ensure!(
        is_node_name(&args.node_name),
        "--node-name {:?} can't be the name of a Node: lower-case letters, digits, '-' and '.'",
        args.node_name
    );
    args.check()?;
    for flag in args.without_effect() {
        tracing::warn!(flag, "this flag has no effect");
    }
    let namespace = args.common.namespace()?;
    let exclusions = if args.exclude_interfaces.exists() {
        Exclusions::load(Some(&args.exclude_interfaces))?
    } else {
        // As MetalLB: the list is in the ConfigMap mounted there, and nowhere else.
        Exclusions::none()
    };
    caps::require_net_raw()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(wiring::speaker(args, namespace, exclusions))?;
    Ok(ExitCode::SUCCESS)
}
