//! What this process keeps resident.

use crate::sys;
use std::io;
use std::ops::Range;

/// Where the running program lies in memory, as far as it is what its file says: private mappings
/// that can't be written and have no page of their own, code above all.
#[derive(Debug)]
pub struct Program(Vec<Range<usize>>);

impl Program {
    /// This process's. To be called when the program is loaded and nothing in it is changed any
    /// more, as `main` may.
    ///
    /// # Errors
    /// Where `/proc` isn't mounted.
    pub fn own() -> io::Result<Self> {
        Ok(Self::of(&std::fs::read_to_string("/proc/self/smaps")?))
    }

    /// That in a listing (proc_pid_smaps(5)).
    fn of(listing: &str) -> Self {
        let mut found = Vec::new();
        let mut last = None;
        for line in listing.lines() {
            if line == "Anonymous:             0 kB" {
                found.extend(last.take());
            } else if line.starts_with(|c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()) {
                last = mapping(line);
            }
        }
        Self(found)
    }

    pub(crate) fn ranges(&self) -> impl Iterator<Item = &Range<usize>> {
        self.0.iter()
    }

    /// Lets go of all of it: what is used from now on is mapped again from the page cache, a
    /// microsecond or so for each piece, and what only the start needed isn't.
    ///
    /// # Errors
    /// If the kernel refuses; nothing is lost then.
    pub fn forget(&self) -> io::Result<()> {
        sys::forget(self)
    }
}

/// The addresses of a mapping that is private, of a file and can't be written.
fn mapping(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let kept = matches!(fields.next()?, "r-xp" | "r--p");
    let file = fields.nth(3)?.starts_with('/');
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?).filter(|_| kept && file)
}

#[cfg(test)]
mod tests;
