//! Files that are either the old version or the new one, whatever happens in between.
//!
//! Written beside the target, synced, renamed over it, and the directory synced: a crash at any
//! byte leaves a complete version under the target's name, and at worst an abandoned temporary
//! file, which the next write replaces.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a write has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The temporary file exists and is empty.
    Created,
    /// It has its content.
    Written,
    /// The content is on the disk.
    Synced,
    /// It has the target's name.
    Renamed,
    /// The name is on the disk.
    Finished,
}

/// Replaces the content of `path`.
///
/// # Errors
/// If a step fails; the old version is then still there, unless only the last sync failed.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let written = write_with(path, content, &mut |_| Ok(()));
    if written.is_err() {
        // On a full disk, what was written in vain would take the room others need. After the
        // rename there is none.
        let _ = fs::remove_file(temporary(path));
    }
    written
}

/// As [`write`], asking `after` whether to go on after each step: tests crash there.
pub(crate) fn write_with(
    path: &Path,
    content: &[u8],
    after: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary(path);
    let mut file = File::create(&temporary)?;
    after(Step::Created)?;
    file.write_all(content)?;
    after(Step::Written)?;
    file.sync_all()?;
    after(Step::Synced)?;
    fs::rename(&temporary, path)?;
    after(Step::Renamed)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    after(Step::Finished)
}

/// Where the new version of `path` is written; the name is no manifest's.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
