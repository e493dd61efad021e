//! `corten explain`.

use crate::cli::{ExplainArgs, OutputFormat};
use crate::{control, output};
use std::process::ExitCode;

/// Asks the running instance and prints its decision.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (namespace, name) = &args.service;
    let path = format!("/v1/explain/{namespace}/{name}");
    let socket = &args.connect.socket;
    match args.output.output {
        OutputFormat::Table => {
            output::print(&control::get_text(socket, &format!("{path}?format=text"))?)?;
        }
        format @ (OutputFormat::Json | OutputFormat::Yaml) => {
            let answer: serde_json::Value = control::get(socket, &path)?;
            output::emit(&answer, format, |_, _| String::new())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
