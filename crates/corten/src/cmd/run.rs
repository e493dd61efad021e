//! `corten run`: everything that can fail early fails here, with a message that says what to do.

use crate::cli::{LogFormat, LogLevel, RunArgs};
use crate::speaker::exclusions::Exclusions;
use corten_host::caps;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Checks, then runs until told to leave.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    init_logs(args.log_level, args.log_format);
    anyhow::ensure!(!args.node.is_empty(), "--node is empty");
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

fn init_logs(level: LogLevel, format: Option<LogFormat>) {
    let level = match level {
        LogLevel::All => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::None => LevelFilter::OFF,
    };
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(terminal).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).init(),
    }
}
