//! One process at a time: an advisory lock on a file that says who holds it.
//!
//! The kernel drops the lock with the process, however it ends, so a lock file left behind means
//! nothing. On network file systems the lock is as good as theirs is.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Node name.
    pub node: String,
    /// Process id on that node.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
}

/// Why a lock isn't ours.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{path}: held by {holder}", path = path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who, as far as the file tells.
        holder: String,
    },
    /// The file can't be used.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock at `path` for `node`.
    ///
    /// # Errors
    /// Names the holder if there is one.
    pub(crate) fn acquire(path: &Path, node: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                let holder = describe(&mut file);
                return Err(LockError::Held { path, holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let holder = Holder {
            node: node.to_owned(),
            pid: std::process::id(),
            since: jiff::Timestamp::now().to_string(),
        };
        let text = serde_json::to_string(&holder).map_err(|e| failed(e.into()))?;
        // The kernel has the lock; the name is for whoever is refused. A full disk keeps nobody
        // from announcing what is on record.
        let named = file
            .set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()));
        if let Err(error) = named {
            let path = path.display();
            tracing::warn!(%path, %error, "this lock can't say who holds it");
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Whether the path still leads to the locked file; if not, somebody else can lock it.
    pub(crate) fn is_in_place(&self) -> bool {
        let same =
            |a: std::fs::Metadata, b: std::fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
        let (held, named) = (self.file.metadata(), std::fs::metadata(&self.path));
        held.ok().zip(named.ok()).is_some_and(|(a, b)| same(a, b))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing isn't enough: a child being started holds a copy until it executes its program.
        let _ = self.file.unlock();
    }
}

fn describe(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let read = file.take(4096).read_to_string(&mut text);
    match serde_json::from_str::<Holder>(&text) {
        Ok(Holder { node, pid, since }) if read.is_ok() => {
            format!("node {node}, process {pid}, since {since}")
        }
        Ok(_) | Err(_) => "another process that didn't leave its name".to_owned(),
    }
}

#[cfg(test)]
mod tests;
