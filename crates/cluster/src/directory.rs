//! A directory of manifests as the source of facts (`docs/reference/directory.md`).
//!
//! [`Directory::next`] gives what changed as the engine's events: first everything, then
//! differences. [`Directory::record`] writes allocations into the ledger beside the manifests.
//! Rejected, unreadable or missing never means deleted: an object leaves only when everything in
//! the directory could be read and it is nowhere in it.

mod atomic;
mod batch;
pub(crate) mod decode;
mod files;
mod health;
pub mod ledger;
pub mod lock;
mod overlay;
pub mod read;
pub mod status;
pub(crate) mod tree;
mod view;
mod watch;

pub use batch::Batch;
use batch::Said;
use corten_engine::event::{Assignment, Event, Object};
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::{Kind, Rejection, Subject};
use files::{Files, Found, Look, SETTLING};
use health::Health;
use ledger::{Keeper, RecordError};
use lock::{Lock, LockError};
use overlay::{Overlay, Pins};
use read::{Identity, Warning};
use status::{Report, StatusFiles};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use thiserror::Error;
use tokio::time::Instant;
use view::{Absent, Difference, Kept, View};
use watch::Watch;

/// Name of the lock in the state directory.
const STATE_LOCK: &str = "lock";

/// How a directory is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory of manifests.
    pub manifests: PathBuf,
    /// This node's own directory; made if it is missing.
    pub state: PathBuf,
    /// This node.
    pub node: NodeName,
    /// Whether this process is the one allocator.
    pub role: Role,
}

/// Whether a process allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It reads the ledger.
    Follower,
    /// It writes the ledger, and is the only one to do so.
    Allocator,
}

/// Why a directory can't be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The state directory can't be made or written.
    #[error("state directory {path}: {source}", path = path.display())]
    State {
        /// The directory.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// There is something else at the place of the manifests.
    #[error("manifest directory {path}: is no directory", path = path.display())]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
    /// Manifests and state are the same directory: hosts may share the first, never the second,
    /// and what is kept in it would be read as manifests.
    #[error("{path}: is the manifest directory; the state needs another one", path = path.display())]
    SameDirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another process uses the state directory.
    #[error("state directory in use: {0}")]
    InUse(LockError),
    /// Another process is the allocator, or its lock can't be made.
    #[error("can't be the allocator: {0}")]
    Allocator(LockError),
    /// What is known of the ledger can't be read.
    #[error("{0}")]
    Ledger(RecordError),
}

/// A directory of manifests.
pub struct Directory {
    files: Files,
    view: View,
    keeper: Keeper,
    watch: Watch,
    health: Health,
    overlay: Overlay,
    slices: BTreeMap<ServiceKey, corten_api::core::EndpointSlice>,
    told: Told,
    status: StatusFiles,
    settling: Option<Settling>,
    /// Whether there is something to say that nothing outside will call for.
    unsaid: bool,
    _state: Lock,
}

/// What is missing now may not be there yet: it isn't deleted before everything has been complete
/// and unchanged for a while.
#[derive(Clone, Copy, Debug)]
struct Settling {
    until: Instant,
    cause: &'static str,
}

const REPLACED: &str = "the directory was replaced; what is missing is not deleted yet";
const YOUNG: &str = "files may be incomplete still; what is missing is not deleted yet";

/// What was said last of things that are said as complete lists.
#[derive(Debug, Default)]
struct Told {
    rejections: Vec<Rejection>,
    reserved: BTreeMap<ServiceKey, Vec<IpAddr>>,
    any: bool,
    listed: bool,
}

impl Directory {
    /// Takes the locks and starts watching. Nothing is read yet, and the directory of manifests
    /// need not exist unless this process is the allocator. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If a lock is held, naming the holder, or the state directory can't be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options {
            manifests,
            state,
            node,
            role,
        } = options;
        let unusable = |path: &Path, source| OpenError::State {
            path: path.to_owned(),
            source,
        };
        let manifests = std::path::absolute(&manifests).map_err(|e| unusable(&manifests, e))?;
        // It may be missing, to be mounted later; what is no directory was given by mistake.
        if std::fs::metadata(&manifests).is_ok_and(|m| !m.is_dir()) {
            return Err(OpenError::NoDirectory { path: manifests });
        }
        std::fs::create_dir_all(&state).map_err(|e| unusable(&state, e))?;
        if let Ok((a, b)) = manifests
            .canonicalize()
            .and_then(|a| Ok((a, state.canonicalize()?)))
            && a == b
        {
            return Err(OpenError::SameDirectory { path: state });
        }
        let lock = match Lock::acquire(&state.join(STATE_LOCK), node.as_str()) {
            Ok(lock) => lock,
            Err(LockError::Io { path, source }) => return Err(unusable(&path, source)),
            Err(held @ LockError::Held { .. }) => return Err(OpenError::InUse(held)),
        };
        let keeper = match Keeper::open(&manifests, &state, &node, role == Role::Allocator) {
            Ok(keeper) => keeper,
            Err(RecordError::Lock(error)) => return Err(OpenError::Allocator(error)),
            Err(error) => return Err(OpenError::Ledger(error)),
        };
        let expected = keeper.allocations().next().is_some();
        Ok(Self {
            files: Files::new(&manifests, expected),
            view: View::default(),
            keeper,
            watch: Watch::new(&manifests),
            health: Health::new(&manifests, &node),
            overlay: Overlay::default(),
            slices: BTreeMap::new(),
            told: Told::default(),
            status: StatusFiles::new(&state),
            settling: None,
            unsaid: false,
            _state: lock,
        })
    }

    /// Waits for changes and says them; the first call says everything at once. A batch is to be
    /// handed to the engine as a whole. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Batch {
        if !self.told.any {
            return self.refresh(&Look::everything());
        }
        if std::mem::take(&mut self.unsaid) {
            let batch = self.say(Difference::default());
            if !batch.is_empty() {
                return batch;
            }
        }
        loop {
            let look = tokio::select! {
                look = self.watch.changed() => Some(look),
                () = self.health.changed() => None,
            };
            let batch = match look {
                Some(look) => self.refresh(&look),
                None => self.say(Difference::default()),
            };
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    /// Has the next [`Self::next`] read every file again; whether it wasn't to do so anyway.
    pub fn reload(&mut self) -> bool {
        self.watch.reload()
    }

    /// Writes allocations into the ledger, all in one version, and says what that changes; an
    /// assignment without addresses removes the entry.
    ///
    /// # Errors
    /// If the ledger can't be written now. The assignments are then kept, written as soon as it
    /// can be, and said by [`Self::next`].
    pub fn record(
        &mut self,
        assignments: Vec<(ServiceKey, Assignment)>,
    ) -> Result<Batch, RecordError> {
        if let Err(error) = self.keeper.record(assignments) {
            self.unsaid = true;
            return Err(error);
        }
        Ok(self.say(Difference::default()))
    }

    /// Writes what is known into `status/` of the state directory, as far as it differs from what
    /// was written last: allocations from the ledger, and `report`.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn write_status(&mut self, report: &Report) -> io::Result<()> {
        self.status.write(self.overlay.assignments(), report)
    }

    /// What is odd in the manifests now.
    pub fn warnings(&self) -> impl Iterator<Item = &Warning> {
        self.files.files.values().flat_map(|file| &file.warnings)
    }

    /// The rejection with the place of its object, where that is known and not said yet: what the
    /// engine rejects, it knows no files of.
    #[must_use]
    pub fn locate(&self, rejection: &Rejection) -> Rejection {
        let mut located = rejection.clone();
        if let (Subject::Object(object), true) = (&rejection.subject, rejection.place.is_empty())
            && let Some(kept) = self.view.get(&Identity::from(object))
        {
            located.place = kept.place();
        }
        located
    }

    /// Whether the directory has been listed in full at least once.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.told.listed
    }

    /// Whether everything that may hold an object is readable now.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.files.is_complete() && self.settling.is_none()
    }

    fn refresh(&mut self, look: &Look) -> Batch {
        let found = self.files.look(look);
        if self.files.unlisted.is_none() {
            self.keeper.look();
        }
        let settled = self.settle(look, found);
        let mut difference = Difference::default();
        if found.changed || settled || self.view.lacking || !self.told.any {
            let absent = if self.is_complete() {
                Absent::Deleted
            } else {
                Absent::Unknown
            };
            difference = self.view.update(&self.files, absent);
        }
        let begins = !self.told.any && self.files.unlisted.is_none();
        if begins && self.settling.is_none() && self.is_lacking() {
            self.settling = Some(Settling {
                until: Instant::now() + SETTLING,
                cause: YOUNG,
            });
        }
        self.release();
        self.health.follow(&self.view);
        self.say(difference)
    }

    /// Begins, prolongs or ends the time in which nothing is deleted; whether it ends.
    fn settle(&mut self, look: &Look, found: Found) -> bool {
        let now = Instant::now();
        // Before anything is on record, nothing can be lost by a file that isn't complete yet.
        let young = found.young && self.keeper.allocations().next().is_some();
        let cause = match self.settling {
            _ if found.replaced => REPLACED,
            None if young => YOUNG,
            None => return false,
            Some(settling) => settling.cause,
        };
        let busy = found.changed || self.files.is_waiting() || !look.writing.is_empty();
        match self.settling {
            Some(settling) if !busy && settling.until <= now => {
                self.settling = None;
                return true;
            }
            Some(_) if !busy && !young => {}
            Some(_) | None => {
                let until = now + SETTLING;
                self.settling = Some(Settling { until, cause });
            }
        }
        false
    }

    /// Whether something the ledger knows isn't in sight.
    fn is_lacking(&self) -> bool {
        let allocations = self.keeper.allocations();
        let mut pools = allocations.filter_map(|(_, assignment)| assignment.pool.as_ref());
        self.hidden().next().is_some() || pools.any(|pool| !self.view.has_pool(pool))
    }

    /// As the allocator, drops allocations of Services that are gone.
    fn release(&mut self) {
        if !self.keeper.is_allocator() || !self.is_complete() {
            return;
        }
        let gone: Vec<_> = self
            .hidden()
            .filter(|(key, _)| !self.view.is_rejected(key))
            .map(|(key, _)| key.clone())
            .collect();
        if !gone.is_empty() {
            self.keeper.release(gone);
        }
    }

    /// Allocations of Services that can't be seen now.
    fn hidden(&self) -> impl Iterator<Item = (&ServiceKey, &Assignment)> {
        self.view.without(self.keeper.allocations())
    }

    /// Turns a difference, and what changed in the ledger and in health, into events.
    fn say(&mut self, difference: Difference) -> Batch {
        let mut first = Vec::new();
        self.say_rejections(&mut first);
        self.say_reserved(&mut first);
        first.extend(difference.deleted.into_iter().map(Event::Delete));
        let before = std::mem::take(&mut self.overlay);
        self.overlay = self.overlay_now();
        let objects = self.objects_to_say(&difference.applied, &before);
        let mut last = Vec::new();
        self.say_slices(&mut last);
        let news = self.overlay.news(&before).into_iter();
        last.extend(news.map(|(service, ready)| Event::Readiness(service, ready)));
        if self.files.unlisted.is_none() && !self.told.listed {
            self.told.listed = true;
            last.extend(Kind::ALL.map(Event::Listed));
        }
        self.told.any = true;
        Batch::new(first, objects, self.overlay.clone(), last)
    }

    fn say_rejections(&mut self, events: &mut Vec<Event>) {
        let mut rejections = self.view.rejections.clone();
        rejections.extend(self.keeper.refusal().cloned());
        rejections.extend(self.health.rejections());
        if let Some(settling) = &self.settling {
            rejections.push(Rejection {
                subject: Subject::Unidentified,
                field: String::new(),
                cause: settling.cause.to_owned(),
                place: String::new(),
            });
        }
        if rejections != self.told.rejections || !self.told.any {
            self.told.rejections.clone_from(&rejections);
            events.push(Event::Rejections(rejections));
        }
    }

    fn say_reserved(&mut self, events: &mut Vec<Event>) {
        let reserved: BTreeMap<_, _> = self
            .hidden()
            .map(|(key, assignment)| (key.clone(), assignment.ingress.clone()))
            .collect();
        if reserved != self.told.reserved || !self.told.any {
            self.told.reserved.clone_from(&reserved);
            events.push(Event::Reserved(reserved));
        }
    }

    fn objects_to_say(&self, changed: &BTreeSet<Identity>, before: &Overlay) -> Vec<Said> {
        let object = |kept: &Rc<Kept>| Said::Object(Rc::clone(kept));
        if self.overlay.has_same_allocations(before) {
            let changed = changed
                .iter()
                .filter_map(|identity| self.view.get(identity));
            return changed.map(object).collect();
        }
        let mut said = Vec::new();
        for kept in self.view.objects() {
            if changed.contains(&kept.identity) {
                said.push(object(kept));
            } else if kept.identity.kind() == Kind::Service && self.overlay.differs(before, kept) {
                said.push(Said::Allocation(Rc::clone(kept)));
            }
        }
        said
    }

    /// Says the slices made up for Services that are checked and have none.
    fn say_slices(&mut self, events: &mut Vec<Event>) {
        let slices = self.overlay.slices(&self.view);
        let before = std::mem::replace(&mut self.slices, slices);
        for service in before.keys().filter(|s| !self.slices.contains_key(*s)) {
            events.push(Event::Delete(overlay::slice_ref(service)));
        }
        for (service, slice) in &self.slices {
            if before.get(service) != Some(slice) {
                let object = Object::EndpointSlice(Box::new(slice.clone()));
                events.push(Event::Apply(object));
            }
        }
    }

    fn overlay_now(&self) -> Overlay {
        let ledger = self.keeper.ledger();
        Overlay {
            pins: if ledger.is_some() {
                Pins::Ignored
            } else {
                Pins::Granted
            },
            ledger: ledger.cloned(),
            readiness: self.health.readiness(),
        }
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
