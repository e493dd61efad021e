//! `corten completions`.

use crate::cli::{Cli, CompletionsArgs};
use clap::CommandFactory as _;
use std::process::ExitCode;

/// Prints the completion script.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "corten", &mut script);
    crate::output::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
