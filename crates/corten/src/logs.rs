//! Log lines leave through a thread of their own: neither a reader that has stopped nor one that
//! went away may hold up an answer on the LAN or end the process.
//!
//! At most [`QUEUE`] lines wait; what comes on top is lost, and how much is said once there is
//! room again.

use crate::cli::{LogFormat, LogLevel};
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Most lines that wait for the reader.
const QUEUE: usize = 1024;
/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Sends log lines to standard error from now on. Keep what is returned until the end: dropping
/// it waits for the last lines.
///
/// # Errors
/// If the thread can't be started.
pub(crate) fn start(level: LogLevel, format: Option<LogFormat>) -> io::Result<Lines> {
    let level = match level {
        LogLevel::All => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::None => LevelFilter::OFF,
    };
    // Of libraries, what a person must act on; they are not ours to explain otherwise.
    let libraries = match level {
        LevelFilter::TRACE => level,
        other => other.min(LevelFilter::ERROR),
    };
    let targets = Targets::new()
        .with_default(libraries)
        .with_target("corten", level);
    let terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let lines = Lines::to(io::stderr())?;
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        // It would be told on the very stream that failed, by a macro that panics then.
        .log_internal_errors(false)
        .with_writer(lines.sender.clone());
    match format {
        LogFormat::Text => {
            let lines = builder.with_ansi(terminal).with_target(false);
            lines.finish().with(targets).init();
        }
        LogFormat::Json => {
            let lines = builder.json().flatten_event(true).with_target(false);
            lines.finish().with(targets).init();
        }
    }
    Ok(lines)
}

/// The writing thread, from outside; waits for the last lines when it is dropped.
#[derive(Debug)]
pub(crate) struct Lines {
    sender: Sender,
}

/// Where lines are put.
#[derive(Clone, Debug)]
struct Sender {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before this was written when the other end is told.
    Last(SyncSender<()>),
}

impl Lines {
    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, queued) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let sender = Sender {
            queue,
            lost: Arc::clone(&lost),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(out, &queued, &lost))?;
        Ok(Self { sender })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let (told, written) = sync_channel(1);
        // If not even that fits into the queue, nobody reads.
        if self.sender.queue.try_send(Message::Last(told)).is_ok() {
            let _written_or_given_up = written.recv_timeout(LAST_LINES);
        }
    }
}

fn write(mut out: impl Write, queued: &Receiver<Message>, lost: &AtomicU64) {
    for message in queued {
        match message {
            // Nobody is left to be told that it failed; a reader may come back.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Last(told) => drop(told.try_send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "log lines were lost: nobody read them in time");
        }
    }
}

impl MakeWriter<'_> for Sender {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Sender {
    /// Takes one line, as the formatter hands it over.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.queue.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
