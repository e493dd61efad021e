//! The main function of kernel-tier tests.
//!
//! Not the standard harness: the lab must be entered before any thread starts, and what is measured
//! runs alone on an otherwise idle machine. Arguments are those of the standard one
//! as far as people and tools use them: names to run (any that contains one), `--exact`,
//! `--skip NAME`, `--list`.

use crate::stage;
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
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
    run(trials, 1)
}

/// The same, some at a time: for those that mostly wait for servers to start, and measure nothing.
#[must_use]
pub fn main_at_once(trials: &[Trial], at_once: usize) -> ExitCode {
    run(trials, at_once)
}

fn run(trials: &[Trial], at_once: usize) -> ExitCode {
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
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((name, run)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !passes(name, *run) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
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

/// Runs a trial and says how it went.
fn passes(name: &str, run: fn() -> Result<()>) -> bool {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(run));
    let took = start.elapsed().as_secs_f32();
    match outcome {
        Ok(Ok(())) => println!("test {name} ... ok ({took:.1} s)"),
        Ok(Err(ref e)) => println!("test {name} ... FAILED ({took:.1} s)\n    {e:#}"),
        Err(_) => println!("test {name} ... FAILED ({took:.1} s, panicked)"),
    }
    matches!(outcome, Ok(Ok(())))
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
