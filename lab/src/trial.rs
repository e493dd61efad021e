//! The main function of kernel-tier tests.
//!
//! Not the standard harness: the lab must be entered before any thread starts, and one scenario
//! at a time is measured on an otherwise idle machine. Arguments are those of the standard one
//! as far as people and tools use them: names to run (any that contains one), `--exact`,
//! `--skip NAME`, `--list`.

use crate::stage;
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A test: its name and what it does.
pub type Trial = (&'static str, fn() -> Result<()>);

#[derive(Default)]
struct Selection {
    names: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
}

/// Runs the trials the command line asks for, one after the other.
#[must_use]
pub fn main(trials: &[Trial]) -> ExitCode {
    let selection = Selection::parse(std::env::args().skip(1));
    let chosen: Vec<&Trial> = trials.iter().filter(|(n, _)| selection.admits(n)).collect();
    if selection.list {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if let Err(e) = stage::enter() {
        eprintln!("the lab can't be entered: {e:#}");
        return ExitCode::FAILURE;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = Vec::new();
    for (name, run) in &chosen {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(run));
        let took = start.elapsed().as_secs_f32();
        match outcome {
            Ok(Ok(())) => println!("test {name} ... ok ({took:.1} s)"),
            Ok(Err(e)) => {
                println!("test {name} ... FAILED ({took:.1} s)\n    {e:#}");
                failed.push(*name);
            }
            Err(_) => {
                println!("test {name} ... FAILED ({took:.1} s, panicked)");
                failed.push(*name);
            }
        }
    }
    println!(
        "\ntest result: {} passed; {} failed {failed:?}\n",
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Selection {
    fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut s = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--exact" => s.exact = true,
                "--list" => s.list = true,
                "--skip" => s.skipped.extend(args.next()),
                // Options of the standard harness with a value of their own.
                "--test-threads" | "--format" | "--color" | "--logfile" => {
                    let _ = args.next();
                }
                other if other.starts_with('-') => {}
                _ => s.names.push(arg),
            }
        }
        s
    }

    fn admits(&self, name: &str) -> bool {
        let matches = |wanted: &String| {
            if self.exact {
                name == wanted
            } else {
                name.contains(wanted.as_str())
            }
        };
        (self.names.is_empty() || self.names.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}
