//! What is known of one kind's objects, and what that makes of what its watch says.
//!
//! Invariant: [`Event::Delete`] is said for an object only when the server said so, or when a
//! whole list came without it.

use super::kinds;
use super::watch::Said;
use super::wire::Wire;
use crate::directory::decode::DecodeError;
use crate::directory::read::kinds as types;
use corten_engine::event::Event;
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use kube::runtime::watcher;
use std::collections::BTreeMap;

/// Namespace and name.
type Name = (Box<str>, Box<str>);

/// One kind.
#[derive(Debug)]
pub(super) struct View {
    kind: Kind,
    /// Objects there are, each with its uid.
    known: BTreeMap<Name, u128>,
    list: List,
    rejected: BTreeMap<ObjectRef, Rejection>,
    health: Health,
}

/// How far a list has come.
#[derive(Debug)]
enum List {
    /// None is being made; there was one.
    Complete,
    /// The first one is being made: nothing is known for certain.
    First(BTreeMap<Name, u128>),
    /// Another one is.
    Again(BTreeMap<Name, u128>),
}

/// Whether the kind can be watched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// As far as is known.
    Good,
    /// The server refuses, or can't be reached: what is known may be old.
    Bad(String),
}

/// What hearing something changed beside the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) rejections: bool,
    pub(super) health: bool,
}

impl View {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            known: BTreeMap::new(),
            list: List::First(BTreeMap::new()),
            rejected: BTreeMap::new(),
            health: Health::Good,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.rejected.values()
    }

    /// The uid of an object, if it is known.
    pub(super) fn uid(&self, namespace: &str, name: &str) -> Option<u128> {
        self.known.get(&(namespace.into(), name.into())).copied()
    }

    /// Takes in what the watch said; engine events are added to `events`.
    pub(super) fn hear(&mut self, said: Said, events: &mut Vec<Event>) -> News {
        let before = self.health.clone();
        let mut news = News::default();
        match said {
            Err(error) => self.health = Health::Bad(cause(&error)),
            Ok(watcher::Event::Init) => self.begin(),
            Ok(watcher::Event::InitApply(object)) => {
                self.health = Health::Good;
                if let List::First(found) | List::Again(found) = &mut self.list {
                    found.insert(name(&object), uid(&object));
                }
                news.rejections = self.apply(object, events);
            }
            Ok(watcher::Event::InitDone) => {
                self.health = Health::Good;
                news.rejections = self.end(events);
            }
            Ok(watcher::Event::Apply(object)) => {
                self.health = Health::Good;
                self.known.insert(name(&object), uid(&object));
                news.rejections = self.apply(object, events);
            }
            Ok(watcher::Event::Delete(object)) => {
                self.health = Health::Good;
                self.known.remove(&name(&object));
                news.rejections = self.delete(&name(&object), events);
            }
        }
        news.health = before != self.health;
        news
    }

    fn begin(&mut self) {
        self.list = match self.list {
            List::First(_) => List::First(BTreeMap::new()),
            List::Complete | List::Again(_) => List::Again(BTreeMap::new()),
        };
    }

    /// A list is complete: what it came without is gone.
    fn end(&mut self, events: &mut Vec<Event>) -> bool {
        let mut rejections = false;
        match std::mem::replace(&mut self.list, List::Complete) {
            List::Complete => {}
            List::First(found) => {
                self.known = found;
                events.push(Event::Listed(self.kind));
            }
            List::Again(found) => {
                let before = std::mem::replace(&mut self.known, found);
                let gone = before.into_keys().filter(|n| !self.known.contains_key(n));
                for name in gone.collect::<Vec<_>>() {
                    rejections |= self.delete(&name, events);
                }
            }
        }
        rejections
    }

    fn apply(&mut self, object: Wire, events: &mut Vec<Event>) -> bool {
        let reference = self.reference(&name(&object));
        let version = kinds::version(self.kind);
        let (read, _unused) = types::decode(self.kind, version, &reference, &object.tree);
        match read {
            Ok(object) => {
                events.push(Event::Apply(object));
                self.rejected.remove(&reference).is_some()
            }
            Err(error) => {
                let rejection = rejection(&reference, error);
                let before = self.rejected.insert(reference, rejection.clone());
                before != Some(rejection)
            }
        }
    }

    fn delete(&mut self, name: &Name, events: &mut Vec<Event>) -> bool {
        let reference = self.reference(name);
        let rejected = self.rejected.remove(&reference).is_some();
        events.push(Event::Delete(reference));
        rejected
    }

    fn reference(&self, (namespace, name): &Name) -> ObjectRef {
        ObjectRef::new(self.kind, namespace, name)
    }
}

fn rejection(object: &ObjectRef, error: DecodeError) -> Rejection {
    Rejection {
        subject: Subject::Object(object.clone()),
        field: error.field,
        cause: error.cause,
        place: String::new(),
    }
}

fn name(object: &Wire) -> Name {
    (object.namespace().into(), object.name().into())
}

/// A uid in the form the API server gives them, without its hyphens; 0 for any other.
fn uid(object: &Wire) -> u128 {
    let digits = object.uid().replace('-', "");
    u128::from_str_radix(&digits, 16).unwrap_or_default()
}

/// What went wrong, without the path of causes that only repeats it.
pub(super) fn cause(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => format!("{} ({})", status.message, status.code),
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => super::chain(error),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
