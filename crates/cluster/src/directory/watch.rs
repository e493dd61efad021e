//! When to look at the manifest directory again.
//!
//! The kernel tells of changes; a slow poll covers file systems that don't. A file that is being
//! written is left alone until its writer closes it, renames it into place, or has been silent for
//! [`SILENCE`], so a half-written file is not read. Watched are the directory, whatever it takes
//! to see it replaced, and the directories its symlinks lead into.

use super::files::{Look, Scope};
use super::read::{OWN_PREFIX, is_manifest};
use futures_util::StreamExt as _;
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// From one poll to the next.
pub(crate) const POLL: Duration = Duration::from_secs(1);
/// How long changes are gathered after the last one.
const GATHER: Duration = Duration::from_millis(5);
/// How long changes are gathered at most.
const GATHER_MAX: Duration = Duration::from_millis(40);
/// After how long without a write a file that is still open counts as written.
const SILENCE: Duration = Duration::from_secs(1);

/// Tells when to look again.
pub(crate) struct Watch {
    directory: PathBuf,
    stream: Option<EventStream<[u8; 4096]>>,
    watched: BTreeMap<PathBuf, WatchDescriptor>,
    own: Option<WatchDescriptor>,
    told: BTreeSet<String>,
    writing: BTreeMap<String, Instant>,
    /// Names that matter in the watched directories other than the own one.
    names: BTreeSet<OsString>,
    everything: bool,
    links: bool,
    gathering: Option<Gathering>,
    poll: Instant,
}

#[derive(Clone, Copy)]
struct Gathering {
    first: Instant,
    last: Instant,
}

impl Watch {
    /// Watches `directory`, which need not exist.
    pub(crate) fn new(directory: &Path) -> Self {
        let stream = Inotify::init().and_then(|i| i.into_event_stream([0; 4096]));
        let stream = stream
            .inspect_err(|error| {
                tracing::warn!(%error, "no file notifications; changes are polled for");
            })
            .ok();
        let mut watch = Self::polling(directory);
        watch.stream = stream;
        watch.renew();
        watch
    }

    /// Only polls.
    pub(crate) fn polling(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            stream: None,
            watched: BTreeMap::new(),
            own: None,
            told: BTreeSet::new(),
            writing: BTreeMap::new(),
            names: BTreeSet::new(),
            everything: false,
            links: false,
            gathering: None,
            poll: Instant::now() + POLL,
        }
    }

    /// Puts the next poll off for good, so that only what is told leads to a look.
    #[cfg(test)]
    pub(crate) fn put_off_polling(&mut self) {
        self.poll = Instant::now() + Duration::from_secs(3600);
    }

    /// Waits until there may be something new. Nothing is lost if the future is dropped.
    pub(crate) async fn changed(&mut self) -> Look {
        loop {
            let now = Instant::now();
            if let Some(look) = self.due(now) {
                return look;
            }
            let deadline = self.deadline();
            let next = async {
                match &mut self.stream {
                    Some(stream) => stream.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = next => match event {
                    Some(Ok(event)) => self.note(&event, Instant::now()),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "file notifications failed; changes are polled for");
                        self.stream = None;
                    }
                    None => self.stream = None,
                },
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Has everything read again, once what the kernel has to tell has been heard; whether that
    /// wasn't called for already.
    pub(crate) fn reload(&mut self) -> bool {
        let new = !std::mem::replace(&mut self.everything, true);
        let last = Instant::now();
        let first = self.gathering.map_or(last, |g| g.first);
        self.gathering = Some(Gathering { first, last });
        new
    }

    fn deadline(&self) -> Instant {
        let gathered = self.gathering.map(Gathering::end);
        gathered.map_or(self.poll, |end| end.min(self.poll))
    }

    fn due(&mut self, now: Instant) -> Option<Look> {
        let gathered = self.gathering.is_some_and(|g| g.end() <= now);
        if !gathered && self.poll > now {
            return None;
        }
        self.poll = now + POLL;
        self.gathering = None;
        let told = &mut self.told;
        self.writing.retain(|name, since| {
            let writing = *since + SILENCE > now;
            if !writing {
                told.insert(name.clone());
            }
            writing
        });
        self.renew();
        if std::mem::take(&mut self.links) {
            self.told
                .extend(links(&self.directory).filter_map(|(name, _)| name.into_string().ok()));
        }
        let scope = if std::mem::take(&mut self.everything) {
            Scope::Everything
        } else {
            Scope::Changes
        };
        Some(Look {
            scope,
            told: std::mem::take(&mut self.told),
            writing: self.writing.keys().cloned().collect(),
        })
    }

    fn note(&mut self, event: &EventOwned, now: Instant) {
        if event.mask.contains(EventMask::IGNORED) {
            self.watched.retain(|_, wd| *wd != event.wd);
        }
        let modified = event.mask.contains(EventMask::MODIFY);
        if let Some(name) = &event.name {
            if self.own.as_ref() != Some(&event.wd) {
                if modified || !self.names.contains(name) {
                    return;
                }
                self.links = true;
            } else if let Some(name) = name.to_str().filter(|n| is_read(n)) {
                let begins = event.mask.contains(EventMask::CREATE) && !self.is_symlink(name);
                if modified || begins {
                    self.writing.insert(name.to_owned(), now);
                    return;
                }
                self.writing.remove(name);
                self.told.insert(name.to_owned());
            } else if modified || name.as_encoded_bytes().ends_with(b".tmp") {
                return;
            } else {
                self.links = true;
            }
        }
        let first = self.gathering.map_or(now, |g| g.first);
        self.gathering = Some(Gathering { first, last: now });
    }

    fn is_symlink(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.directory.join(name)).is_ok_and(|m| m.is_symlink())
    }

    /// Watches what is to be watched now.
    fn renew(&mut self) {
        let Some(stream) = &self.stream else {
            return;
        };
        let mut watches = stream.watches();
        let (wanted, names) = places(&self.directory);
        self.names = names;
        self.watched.retain(|path, wd| {
            let keep = wanted.contains(path);
            if !keep {
                // Fails if the directory is gone, and the watch with it.
                let _ = watches.remove(wd.clone());
            }
            keep
        });
        let mask = WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        for path in wanted {
            // Watching again what is watched is cheap, and right after it was replaced.
            match watches.add(&path, mask) {
                Ok(wd) => {
                    self.watched.insert(path, wd);
                }
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "not watched");
                    self.watched.remove(&path);
                }
            }
        }
        self.own = self.watched.get(&self.directory).cloned();
    }
}

impl Gathering {
    fn end(self) -> Instant {
        (self.last + GATHER).min(self.first + GATHER_MAX)
    }
}

/// Whether a file of this name in the directory is read.
fn is_read(name: &str) -> bool {
    is_manifest(name) || (name.starts_with(OWN_PREFIX) && !name.ends_with(".tmp"))
}

/// The directories to watch for `directory`, and the names in them that matter.
fn places(directory: &Path) -> (BTreeSet<PathBuf>, BTreeSet<OsString>) {
    let (mut places, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut name = |path: &Path| names.extend(path.iter().map(OsStr::to_owned));
    // Where the directory, or a symlink to it, can be removed, made and renamed.
    let parent = directory.ancestors().skip(1).find(|p| p.is_dir());
    places.extend(parent.map(Path::to_owned));
    name(directory);
    if let Ok(real) = directory.canonicalize() {
        places.insert(directory.to_owned());
        places.extend(real.parent().map(Path::to_owned));
        name(&real);
    }
    for (_, link) in links(directory) {
        if let Ok(target) = link.canonicalize() {
            places.extend(target.parent().map(Path::to_owned));
            name(&target);
        }
    }
    (places, names)
}

/// The symlinks in a directory, by name and path.
fn links(directory: &Path) -> impl Iterator<Item = (OsString, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_symlink()))
        .map(|entry| (entry.file_name(), entry.path()))
}
