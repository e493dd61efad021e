//! `corten crds`.

use crate::cli::CrdsArgs;
use std::process::ExitCode;

/// Prints the nine CustomResourceDefinitions.
pub(crate) fn run(args: &CrdsArgs) -> anyhow::Result<ExitCode> {
    crate::output::print(&corten_api::crd::yaml(&args.namespace)?)?;
    Ok(ExitCode::SUCCESS)
}
