//! Tells a person what happens: headings, lines, tables; colours and pauses only on a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

/// A storyteller on standard output.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    terminal: bool,
    step: u32,
}

impl Teller {
    /// One for whatever standard output is. `NO_COLOR` is honoured.
    #[must_use]
    pub fn new() -> Self {
        Self {
            terminal: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            step: 0,
        }
    }

    /// Begins the next step.
    pub fn step(&mut self, title: &str) {
        self.step += 1;
        let title = format!("{}. {title}", self.step);
        println!("\n{}", self.paint("1;36", &title));
    }

    /// One line of what happens.
    pub fn say(&self, line: impl Display) {
        println!("   {line}");
    }

    /// Something that was checked and holds.
    pub fn good(&self, line: impl Display) {
        println!("   {} {line}", self.paint("32", "✔"));
    }

    /// Something a person should look at.
    pub fn odd(&self, line: impl Display) {
        println!("   {} {line}", self.paint("33", "!"));
    }

    /// A command and what it printed.
    pub fn command(&self, line: &str, output: &str) {
        println!("   {} {}", self.paint("2", "$"), self.paint("1", line));
        for line in output.lines() {
            println!("     {line}");
        }
    }

    /// A table; the first row is its head.
    pub fn table(&self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                rows.iter()
                    .filter_map(|r| Some(r.get(c)?.chars().count()))
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        for (row, i) in rows.iter().zip(0..) {
            let line = row
                .iter()
                .zip(&widths)
                .map(|(cell, w)| format!("{cell:w$}"))
                .collect::<Vec<_>>()
                .join("  ");
            let line = line.trim_end();
            if i == 0 {
                println!("   {}", self.paint("2", line));
            } else {
                println!("   {line}");
            }
        }
    }

    /// Time to read, on a terminal.
    pub fn pause(&self, time: Duration) {
        // Where the text goes to can't be flushed only when it is gone.
        let _ = stdout().flush();
        if self.terminal {
            std::thread::sleep(time);
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.terminal {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Default for Teller {
    fn default() -> Self {
        Self::new()
    }
}
