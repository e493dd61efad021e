//! Which ledger is in use, and why another one isn't.

use super::{LEDGER, LEDGER_COPY, Ledger};
use crate::directory::atomic;
use crate::directory::files::Stamp;
use crate::directory::lock::{Lock, LockError};
use crate::directory::read::read_bytes;
use corten_engine::event::Assignment;
use corten_engine::flat;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::{Rejection, Subject};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Name of the allocator's lock in the manifest directory.
pub(crate) const ALLOCATOR_LOCK: &str = "corten.allocator.lock";
/// Largest ledger, in bytes: more than two million allocations.
const MAX_LEDGER: u64 = 256 << 20;

/// Why allocations weren't written; they are kept and written as soon as possible.
#[derive(Debug, Error)]
pub enum RecordError {
    /// This process was not started as the allocator.
    #[error("this node is not the allocator (--allocate)")]
    NotAllocator,
    /// The ledger in the directory is refused, so it isn't written either.
    #[error("{0}")]
    Refused(String),
    /// The allocator's lock was lost.
    #[error("the allocator's lock was lost: {0}")]
    Lock(#[from] LockError),
    /// The ledger can't be written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// Whether this process writes the ledger.
#[derive(Debug)]
enum Role {
    Reader,
    Allocator(Lock),
}

/// Keeps the ledger in use.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    copy: PathBuf,
    node: NodeName,
    role: Role,
    accepted: Option<Arc<Ledger>>,
    /// Fingerprint of the text `accepted` was read from or written as: it is looked at every
    /// second, and parsing a large one takes long.
    text: Option<u64>,
    refusal: Option<Rejection>,
    pending: BTreeMap<ServiceKey, Assignment>,
    /// Whether this process has used the ledger in the directory: from then on, as the
    /// allocator, nobody else may write it.
    in_use: bool,
    /// Whether a copy, of this version or one before, is in place: only what is can be deleted.
    has_copy: bool,
    /// Why the copy isn't the version in use, as it was told.
    uncopied: Option<String>,
    /// The ledger and the copy as they were judged last, if any change of theirs would show.
    judged: Option<(Stamp, Stamp)>,
}

impl Keeper {
    /// Loads the copy of the last version used, and takes the allocator's lock if asked to.
    ///
    /// # Errors
    /// If the lock is held or the copy can't be read.
    pub(crate) fn open(
        manifests: &Path,
        state: &Path,
        node: &NodeName,
        allocate: bool,
    ) -> Result<Self, RecordError> {
        let copy = state.join(LEDGER_COPY);
        let failed = |source| RecordError::Io {
            path: copy.clone(),
            source,
        };
        let (accepted, text) = match read_bytes(&copy, MAX_LEDGER) {
            Ok(bytes) => {
                let ledger = Ledger::parse(&bytes).map_err(|e| failed(io::Error::other(e)))?;
                (Some(ledger), Some(fingerprint(&bytes)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (None, None),
            Err(error) => return Err(failed(error)),
        };
        let role = if allocate {
            Role::Allocator(Lock::acquire(
                &manifests.join(ALLOCATOR_LOCK),
                node.as_str(),
            )?)
        } else {
            Role::Reader
        };
        Ok(Self {
            path: manifests.join(LEDGER),
            has_copy: accepted.is_some(),
            uncopied: None,
            copy,
            node: node.clone(),
            role,
            accepted: accepted.map(Arc::new),
            text,
            refusal: None,
            pending: BTreeMap::new(),
            in_use: false,
            judged: None,
        })
    }

    /// The ledger in use; `None` before any was seen.
    pub(crate) fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.accepted.as_ref()
    }

    /// The allocations on record.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = (&ServiceKey, &Assignment)> {
        self.accepted.iter().flat_map(|ledger| &ledger.allocations)
    }

    /// Why the ledger in the directory isn't in use.
    pub(crate) fn refusal(&self) -> Option<&Rejection> {
        self.refusal.as_ref()
    }

    /// Looks at the ledger in the directory, which is known to be readable; as the allocator,
    /// also creates a missing one and writes what is pending.
    pub(crate) fn look(&mut self) {
        if self.uncopied.is_some() && !self.is_copy_deleted() {
            self.copy_again();
        }
        let stamps = Stamp::read(&self.path).zip(Stamp::read(&self.copy));
        if stamps.is_none() || stamps != self.judged {
            let read = read_bytes(&self.path, MAX_LEDGER);
            // What the system refuses now, it may grant later without the file changing.
            let judged = stamps.filter(|(ledger, copy)| !ledger.is_fresh() && !copy.is_fresh());
            self.judged = judged.filter(|_| read.is_ok());
            self.refusal = match read {
                Ok(bytes) => self.judge(&bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => self.missing(),
                Err(error) => Some(self.reject(&format!("can't be read: {error}; {KEPT}"))),
            };
        }
        self.in_use |= self.refusal.is_none() && self.accepted.is_some();
        if self.refusal.is_none()
            && !self.pending.is_empty()
            && let Err(error) = self.write_pending()
        {
            self.refusal = Some(self.unwritten(&error));
            self.judged = None;
        }
    }

    fn judge(&mut self, bytes: &[u8]) -> Option<Rejection> {
        let text = fingerprint(bytes);
        if self.text == Some(text) && !self.is_copy_deleted() {
            return None;
        }
        let found = match Ledger::parse(bytes) {
            Ok(found) => found,
            Err(error) => {
                let recover = "delete it: the allocator writes it again";
                return Some(self.reject(&format!("{error}; {KEPT}; to recover, {recover}")));
            }
        };
        if let Some(used) = &self.accepted
            && let Some(cause) = self.objection(used, &found)
            && !self.is_copy_deleted()
        {
            let copy = self.copy.display();
            return Some(self.reject(&format!("{cause}; {KEPT}; to accept it, delete {copy}")));
        }
        (self.accepted, self.text) = (Some(Arc::new(found)), Some(text));
        self.keep_copy(bytes);
        None
    }

    /// Whether somebody removed the copy, which is how another ledger is accepted. One that could
    /// never be written isn't removed.
    fn is_copy_deleted(&self) -> bool {
        self.has_copy && !self.copy.exists()
    }

    /// Writes the copy. Where that fails everything goes on: the allocations are in the ledger,
    /// and the copy follows as soon as it can be written.
    fn keep_copy(&mut self, bytes: &[u8]) {
        let written = atomic::write(&self.copy, bytes);
        self.has_copy = written.is_ok() || self.copy.exists();
        let fault = written.err().map(|error| error.to_string());
        let path = self.copy.display();
        match &fault {
            Some(error) if self.uncopied != fault => {
                tracing::warn!(%path, error, "can't keep a copy of the ledger yet");
            }
            None if self.uncopied.is_some() => {
                tracing::info!(%path, "a copy of the ledger is kept again");
            }
            Some(_) | None => {}
        }
        self.uncopied = fault;
    }

    fn copy_again(&mut self) {
        let text = self.accepted.as_ref().map(|ledger| ledger.to_text());
        if let Some(Ok(text)) = text {
            self.keep_copy(text.as_bytes());
        }
    }

    /// Why `found` can't follow the ledger in use.
    fn objection(&self, used: &Ledger, found: &Ledger) -> Option<String> {
        let Ledger {
            id,
            version,
            allocator,
            ..
        } = found;
        if *id != used.id {
            let (last, by) = (&used.id, &used.allocator);
            return Some(format!(
                "this is ledger {id} of allocator {allocator}, the one used last is {last} of allocator {by}"
            ));
        }
        if *version < used.version {
            let last = used.version;
            return Some(format!(
                "ledger {id} went back from version {last} to {version}"
            ));
        }
        if *version == used.version && found != used {
            return Some(format!(
                "ledger {id} has two versions {version}: two allocators write it"
            ));
        }
        let own = self.in_use && self.is_allocator();
        (own && found != used).then(|| {
            format!("ledger {id} was also written by {allocator}: two allocators write it")
        })
    }

    fn missing(&mut self) -> Option<Rejection> {
        match (&self.role, &self.accepted) {
            (Role::Reader, None) => None,
            (Role::Reader, Some(_)) => Some(self.reject(&format!("missing; {KEPT}"))),
            (Role::Allocator(_), accepted) => {
                let next = match accepted {
                    Some(used) => Ledger::clone(used),
                    None => Ledger::new(self.node.as_str()),
                };
                let error = self.write(next).err()?;
                Some(self.unwritten(&error))
            }
        }
    }

    fn unwritten(&self, error: &RecordError) -> Rejection {
        match error {
            RecordError::Io { source, .. } => {
                self.reject(&format!("can't be written: {source}; what is new waits"))
            }
            RecordError::NotAllocator | RecordError::Refused(_) | RecordError::Lock(_) => {
                self.reject(&error.to_string())
            }
        }
    }

    fn reject(&self, cause: &str) -> Rejection {
        Rejection {
            subject: Subject::Unidentified,
            field: String::new(),
            cause: cause.to_owned(),
            place: self.path.display().to_string(),
        }
    }

    /// Writes allocations, all in one version of the ledger; an empty one removes its entry.
    ///
    /// # Errors
    /// The allocations are then kept and tried again by [`Self::look`].
    pub(crate) fn record(
        &mut self,
        allocations: impl IntoIterator<Item = (ServiceKey, Assignment)>,
    ) -> Result<(), RecordError> {
        if matches!(self.role, Role::Reader) {
            return Err(RecordError::NotAllocator);
        }
        self.pending.extend(allocations);
        self.look();
        match &self.refusal {
            Some(refusal) => Err(RecordError::Refused(refusal.to_string())),
            None => Ok(()),
        }
    }

    /// Removes entries, or leaves all as it is if that can't be written now: their Services may be
    /// back by the time it can be.
    pub(crate) fn release(&mut self, gone: Vec<ServiceKey>) {
        let none = Assignment {
            ingress: Vec::new(),
            pool: None,
        };
        let entries: Vec<_> = gone.iter().map(|key| (key.clone(), none.clone())).collect();
        if let Err(error) = self.record(entries) {
            // The refusal is told as a rejection.
            tracing::debug!(%error, "allocations of deleted Services stay on record for now");
            self.pending.retain(|key, _| !gone.contains(key));
        }
    }

    fn write_pending(&mut self) -> Result<(), RecordError> {
        let Some(used) = &self.accepted else {
            return Ok(());
        };
        let mut next = Ledger::clone(used);
        for (service, assignment) in &self.pending {
            if assignment.ingress.is_empty() {
                next.allocations.remove(service);
            } else {
                next.allocations.insert(service.clone(), assignment.clone());
            }
        }
        flat::pack(&mut next.allocations, self.pending.len());
        if next.allocations != used.allocations {
            self.write(next)?;
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes `next` as the following version, first where every host reads it.
    fn write(&mut self, mut next: Ledger) -> Result<(), RecordError> {
        let Role::Allocator(lock) = &self.role else {
            return Err(RecordError::NotAllocator);
        };
        if !lock.is_in_place() {
            let path = self.path.with_file_name(ALLOCATOR_LOCK);
            self.role = Role::Allocator(Lock::acquire(&path, self.node.as_str())?);
        }
        next.version += 1;
        next.allocator = self.node.0.clone();
        let failed = |source| RecordError::Io {
            path: self.path.clone(),
            source,
        };
        let text = next.to_text().map_err(|e| failed(e.into()))?;
        atomic::write(&self.path, text.as_bytes()).map_err(failed)?;
        (self.accepted, self.text) = (Some(Arc::new(next)), Some(fingerprint(text.as_bytes())));
        self.in_use = true;
        self.keep_copy(text.as_bytes());
        Ok(())
    }

    /// Whether this process is the allocator.
    pub(crate) fn is_allocator(&self) -> bool {
        matches!(self.role, Role::Allocator(_))
    }
}

const KEPT: &str = "the allocations last known stay";

fn fingerprint(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

#[cfg(test)]
mod tests;
