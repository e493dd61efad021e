//! `corten validate`: every problem at once, by the same rules the running instance applies.

use crate::cli::ValidateArgs;
use crate::output::{self, Style};
use corten_cluster::directory::read;
use corten_engine::config::validate::validate_all;
use corten_engine::rejection::{Rejection, Subject};
use serde::Serialize;
use std::process::ExitCode;

/// What was found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Objects read.
    objects: usize,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    place: String,
    object: String,
    field: String,
    cause: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    place: String,
    text: String,
}

/// Reads, checks, prints.
pub(crate) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let read = read::read_paths(&args.paths);
    let objects = read.objects.len();
    let placed = read
        .objects
        .into_iter()
        .map(|p| (p.object, p.place))
        .collect();
    let problems = validate_all(placed, read.rejections, &args.backends);
    let report = Report {
        objects,
        problems: problems.iter().map(problem).collect(),
        warnings: read
            .warnings
            .into_iter()
            .map(|w| Warning {
                place: w.place,
                text: w.text,
            })
            .collect(),
    };
    let failed = !report.problems.is_empty();
    output::emit(&report, args.output.output, text)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn problem(rejection: &Rejection) -> Problem {
    Problem {
        place: rejection.place.clone(),
        object: match &rejection.subject {
            Subject::Object(object) => object.to_string(),
            Subject::Unidentified => String::new(),
        },
        field: rejection.field.clone(),
        cause: rejection.cause.clone(),
    }
}

fn text(report: &Report, style: Style) -> String {
    let mut out = String::new();
    for p in &report.problems {
        let parts = [&p.place, &p.object, &p.field, &p.cause];
        let line: Vec<_> = parts
            .iter()
            .filter(|s| !s.is_empty())
            .map(|s| s.as_str())
            .collect();
        let line = output::printable(&line.join(": "));
        out.push_str(&format!("{} {line}\n", style.bad("error:")));
    }
    for w in &report.warnings {
        let line = output::printable(&format!("{}: {}", w.place, w.text));
        out.push_str(&format!("{} {line}\n", style.strong("warning:")));
    }
    let objects = count(report.objects, "object");
    let problems = count(report.problems.len(), "problem");
    let warnings = count(report.warnings.len(), "warning");
    out.push_str(&format!("{objects}, {problems}, {warnings}\n"));
    out
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
