//! `corten preflight`: what of a live MetalLB won't carry over.

use crate::cli::PreflightArgs;
use crate::output::{self, Style};
use corten_cluster::kubernetes::{self, preflight};
use serde::Serialize;
use std::process::ExitCode;

/// Exit code when nothing is known, since the cluster can't be asked.
const UNKNOWN: u8 = 3;

/// What was found.
#[derive(Serialize)]
struct Report {
    findings: Vec<preflight::Finding>,
}

/// Looks, prints.
pub(crate) fn run(args: &PreflightArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let looked = runtime.block_on(async {
        let client = kubernetes::connect().await?;
        anyhow::Ok(preflight::preflight(&client, &args.namespace).await?)
    });
    let findings = match looked {
        Ok(findings) => findings,
        Err(error) => {
            output::complain(&error);
            return Ok(ExitCode::from(UNKNOWN));
        }
    };
    let failed = !findings.is_empty();
    output::emit(&Report { findings }, args.output.output, text)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn text(report: &Report, style: Style) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let line = output::printable(&format!("{}: {}", finding.object, finding.cause));
        out.push_str(&format!("{} {line}\n", style.strong("warning:")));
    }
    if report.findings.is_empty() {
        out.push_str("nothing found that doesn't carry over\n");
    }
    out
}
