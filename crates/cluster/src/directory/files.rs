//! The manifest files of a directory, each read again only when it changed.

use super::read::{self, Identity, Names, Placed, Warning};
use super::view::Kept;
use corten_engine::rejection::{Rejection, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// How long a file's times can stand still although it changes: timestamps are that coarse on
/// some file systems.
const COARSE: Duration = Duration::from_secs(2);

/// How long what is missing must stay so before it counts as deleted, where it may be that it
/// isn't there yet.
pub(crate) const SETTLING: Duration = Duration::from_secs(1);

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The state of the file at `path`, if there is one.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|m| Self::of(&m))
    }

    /// Whether the file changed so recently that it may change again within the same time.
    pub(crate) fn is_fresh(&self) -> bool {
        let limit = ago(COARSE).0;
        self.modified.0 >= limit || self.changed.0 >= limit
    }

    /// Whether the file changed so recently that its writer may be at it still.
    fn is_young(&self) -> bool {
        self.modified.max(self.changed) >= ago(SETTLING)
    }
}

/// A time before now, in seconds and nanoseconds as files have them.
fn ago(span: Duration) -> (i64, i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(span);
    let seconds = i64::try_from(then.as_secs()).unwrap_or(i64::MAX);
    (seconds, i64::from(then.subsec_nanos()))
}

/// One file as it was read last.
#[derive(Debug, Default)]
pub(crate) struct File {
    stamp: Option<Stamp>,
    fresh: bool,
    /// Its objects, in the order of their identities.
    pub(crate) objects: Vec<Rc<Kept>>,
    /// What couldn't be read of it.
    pub(crate) rejections: Vec<Rejection>,
    /// What is odd about it.
    pub(crate) warnings: Vec<Warning>,
}

/// What is to be looked at again. A file being written stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Which files.
    pub(crate) scope: Scope,
    /// Names of files whose writer is known to be done.
    pub(crate) told: BTreeSet<String>,
    /// Names of files being written now.
    pub(crate) writing: BTreeSet<String>,
}

impl Look {
    /// At everything, while nothing is known of writers.
    pub(crate) fn everything() -> Self {
        Self {
            scope: Scope::Everything,
            told: BTreeSet::new(),
            writing: BTreeSet::new(),
        }
    }
}

/// Which files are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All, whether or not they seem to have changed.
    Everything,
    /// Those told to have changed. Anything else that has changed silently must look the same
    /// twice in a row before it is believed: nobody told when its writer was done.
    Changes,
}

/// The manifest files of a directory.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    /// By name, in the order they are read.
    pub(crate) files: BTreeMap<String, File>,
    /// Why the directory can't be listed.
    pub(crate) unlisted: Option<Rejection>,
    /// Manifests whose names can't be used.
    pub(crate) unnamed: Vec<Rejection>,
    silent: BTreeMap<String, Option<Stamp>>,
    place: Option<(u64, u64)>,
    /// Whether a directory without any manifest is suspicious although none was seen in it yet.
    expected: bool,
}

/// What a look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Any file, or whether the directory can be listed, changed.
    pub(crate) changed: bool,
    /// Another directory is at the path, or it was away.
    pub(crate) replaced: bool,
    /// A file was read that somebody may be writing still.
    pub(crate) young: bool,
}

impl Files {
    /// The files of `directory`; whether any are `expected` in it, so that it isn't believed when
    /// it has none.
    pub(crate) fn new(directory: &Path, expected: bool) -> Self {
        Self {
            directory: directory.to_owned(),
            files: BTreeMap::new(),
            unlisted: None,
            unnamed: Vec::new(),
            silent: BTreeMap::new(),
            place: None,
            expected,
        }
    }

    /// Reads what changed.
    pub(crate) fn look(&mut self, look: &Look) -> Found {
        let (names, unnamed) = match self.names() {
            Ok(Names { readable, others }) => {
                let unnamed = others.iter().map(|name| read::unnamed(Path::new(name)));
                (readable, unnamed.collect())
            }
            Err(error) => {
                let rejection = read::unreadable(&self.directory, &error);
                let changed = self.unlisted.as_ref() != Some(&rejection);
                self.unlisted = Some(rejection);
                self.place = None;
                return Found {
                    changed,
                    ..Found::default()
                };
            }
        };
        let place = Stamp::read(&self.directory).map(|s| s.file);
        let first = self.files.is_empty() && self.unlisted.is_none() && self.place.is_none();
        let replaced = !first && self.place != place;
        let renamed = self.unnamed != unnamed;
        self.unnamed = unnamed;
        let changed = self.unlisted.take().is_some() | replaced | renamed;
        let mut found = Found {
            changed,
            replaced,
            young: false,
        };
        let everything = Look::everything();
        let look = if replaced { &everything } else { look };
        self.place = place;
        let gone: Vec<String> = self
            .files
            .keys()
            .filter(|name| names.binary_search(name).is_err())
            .cloned()
            .collect();
        for name in gone {
            if self.is_due(look, &name, None) {
                self.files.remove(&name);
                found.changed = true;
            }
        }
        for name in names {
            self.look_at(look, &name, &mut found);
        }
        found
    }

    /// The names of the manifests, unless there are none where there were some.
    fn names(&self) -> std::io::Result<Names> {
        let names = read::manifest_names(&self.directory)?;
        let none = names == Names::default();
        if none && (self.expected || !self.files.is_empty()) {
            // As the mount point of a file system that isn't mounted.
            let cause =
                "it has no manifests any more; if that is meant, put an empty .yaml file into it";
            return Err(std::io::Error::other(cause));
        }
        Ok(names)
    }

    fn look_at(&mut self, look: &Look, name: &str, found: &mut Found) {
        let stamp = Stamp::read(&self.directory.join(name));
        let same = self
            .files
            .get(name)
            .is_some_and(|file| file.stamp.is_some() && file.stamp == stamp && !file.fresh);
        let told = look.told.contains(name);
        if same && !told && look.scope == Scope::Changes {
            self.silent.remove(name);
            return;
        }
        if !self.is_due(look, name, stamp) {
            return;
        }
        let known = self.files.get(name).and_then(|file| file.stamp);
        found.young |= !told
            && look.scope == Scope::Everything
            && known != stamp
            && stamp.is_some_and(|stamp| stamp.is_young());
        let file = self.read(name, stamp);
        let before = self.files.insert(name.to_owned(), file);
        let after = &self.files[name];
        found.changed |= before.is_none_or(|before| {
            before.rejections != after.rejections
                || before.warnings != after.warnings
                || !are_same(&before.objects, &after.objects)
        });
    }

    /// Whether some file has changed, or is missing, and that isn't believed yet.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.silent.is_empty()
    }

    /// Whether a difference is to be believed now.
    fn is_due(&mut self, look: &Look, name: &str, stamp: Option<Stamp>) -> bool {
        if look.writing.contains(name) {
            return false;
        }
        if look.scope == Scope::Everything {
            self.silent.remove(name);
            return true;
        }
        // A fresh file is read again at once: only its content can tell whether it changed.
        let known = self.files.get(name).and_then(|file| file.stamp);
        let due = look.told.contains(name)
            || (stamp.is_some() && known == stamp)
            || self.silent.get(name) == Some(&stamp);
        if due {
            self.silent.remove(name);
        } else {
            self.silent.insert(name.to_owned(), stamp);
        }
        due
    }

    fn read(&self, name: &str, stamp: Option<Stamp>) -> File {
        let path = self.directory.join(name);
        let mut file = File {
            stamp,
            fresh: stamp.is_none_or(|stamp| stamp.is_fresh()),
            ..File::default()
        };
        match read::read_bytes(&path, read::MAX_FILE) {
            Ok(bytes) => {
                // The view shares what was read before; equal objects beside it would take as much
                // again.
                let before = self.files.get(name);
                let before = before.map_or(&[][..], |file| &file.objects);
                let objects = &mut file.objects;
                let shared = Rc::from(name);
                let mut keep = |placed: Placed| {
                    let kept = Kept::new(&placed, &shared);
                    let at = before.binary_search_by(|b| b.identity.cmp(&kept.identity));
                    objects.push(match at.ok().and_then(|at| before.get(at)) {
                        Some(same) if same.is_same(&kept) => Rc::clone(same),
                        Some(_) | None => Rc::new(kept),
                    });
                };
                let result = read::read_each(name, &bytes, &mut keep);
                file.objects.sort_by(|a, b| a.identity.cmp(&b.identity));
                file.objects.shrink_to_fit();
                file.rejections = result.rejections;
                file.warnings = result.warnings;
            }
            Err(error) => {
                // What the system refuses now, it may grant later without the file changing.
                file.fresh |= error.raw_os_error().is_some();
                file.rejections
                    .push(read::unreadable(Path::new(name), &error));
            }
        }
        file
    }

    /// Reads the files of `lost` objects again for their texts, each file once. An object whose
    /// file says something else by now gets none.
    pub(crate) fn restore<'a>(&self, lost: impl Iterator<Item = &'a Rc<Kept>>) {
        let mut by_file: BTreeMap<&str, BTreeMap<&Identity, &Kept>> = BTreeMap::new();
        for kept in lost {
            let of_file = by_file.entry(kept.file()).or_default();
            of_file.insert(&kept.identity, kept);
        }
        for (name, lost) in by_file {
            let Ok(bytes) = read::read_bytes(&self.directory.join(name), read::MAX_FILE) else {
                continue;
            };
            let file = Rc::from(name);
            read::read_each(name, &bytes, &mut |placed: Placed| {
                let again = Kept::new(&placed, &file);
                if let Some(kept) = lost.get(&again.identity)
                    && again.is_same(kept)
                {
                    kept.restore(&again);
                }
            });
        }
    }

    /// Whether everything that may hold an object could be read.
    pub(crate) fn is_complete(&self) -> bool {
        let unidentified = |r: &Rejection| r.subject == Subject::Unidentified;
        self.unlisted.is_none()
            && self.unnamed.is_empty()
            && !self
                .files
                .values()
                .any(|file| file.rejections.iter().any(unidentified))
    }
}

fn are_same(before: &[Rc<Kept>], after: &[Rc<Kept>]) -> bool {
    let pairs = before.iter().zip(after);
    before.len() == after.len() && pairs.into_iter().all(|(a, b)| Rc::ptr_eq(a, b))
}

#[cfg(test)]
mod tests;
