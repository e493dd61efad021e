//! Printing: one place that knows about terminals, colours, closed pipes and formats.

use crate::cli::OutputFormat;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use thiserror::Error;

/// Standard output couldn't be written.
///
/// A type of its own: a broken pipe *here* is a reader that has seen enough, anywhere else it is a
/// fault like any other.
#[derive(Debug, Error)]
#[error("standard output: {0}")]
pub(crate) struct PrintError(#[source] io::Error);

/// Writes to standard output.
///
/// # Errors
/// Whatever the write says, a broken pipe included.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_ref()).and_then(|()| out.flush());
    written.map_err(PrintError)
}

/// Whether an error is a reader of standard output that went away.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<PrintError>()
        .is_some_and(|PrintError(cause)| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Says on standard error what went wrong.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nobody is left to be told that this failed.
    let _unread = writeln!(io::stderr(), "corten: {}", chain(error));
}

/// An error and its causes in one line; a cause that the error before it already says is left out.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Text from manifests, with what a terminal would act on spelled out: names, fields and causes
/// may hold anything a file can.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints a value as asked; the table form is the caller's.
///
/// # Errors
/// A value that can't be written in the format, or a failed write.
pub(crate) fn emit<T: Serialize>(
    value: &T,
    format: OutputFormat,
    table: impl FnOnce(&T, Style) -> String,
) -> anyhow::Result<()> {
    let text = match format {
        OutputFormat::Json => serde_json::to_string_pretty(value)? + "\n",
        OutputFormat::Yaml => serde_saphyr::to_string(value)?,
        OutputFormat::Table => table(value, Style::of_stdout()),
    };
    print(&text)?;
    Ok(())
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Coloured,
}

impl Style {
    /// Colours on a terminal that wants them (`NO_COLOR` is honoured).
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        if wanted && io::stdout().is_terminal() {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Rows in columns, without borders, as kubectl prints them.
pub(crate) fn columns(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.trim());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
