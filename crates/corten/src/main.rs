//! Corten: one binary for the daemon and the commands that ask it questions.

mod ask;
mod cli;
mod cmd;
mod control;
mod core;
mod logs;
mod output;
mod questions;
mod report;
mod source;
mod speaker;
mod wiring;

use clap::Parser as _;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse_from(cli::kubernetes::arguments(std::env::args_os()));
    let result = match cli.command {
        Command::Run(args) => cmd::run::run(*args),
        Command::Controller(args) => cmd::controller::run(args),
        Command::Speaker(args) => cmd::speaker::run(args),
        Command::Status(args) => cmd::status::run(&args),
        Command::Explain(args) => cmd::explain::run(&args),
        Command::Bgp(args) => cmd::bgp::run(&args),
        Command::Validate(args) => cmd::validate::run(&args),
        Command::Preflight(args) => cmd::preflight::run(&args),
        Command::Crds(args) => cmd::crds::run(&args),
        Command::Completions(args) => cmd::completions::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // A closed pipe (`corten crds | head`) is the reader's choice, not a fault.
            if output::is_reader_gone(&error) {
                return ExitCode::SUCCESS;
            }
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
