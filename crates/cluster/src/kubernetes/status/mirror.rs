//! Objects of our own as a watch shows them.

use crate::kubernetes::watch::Said;
use crate::kubernetes::wire::Wire;
use kube::runtime::watcher::Event;
use std::collections::BTreeMap;

/// What is shown, by object name.
#[derive(Debug)]
pub(in crate::kubernetes) struct Mirror<V> {
    shown: BTreeMap<Box<str>, V>,
    listing: BTreeMap<Box<str>, V>,
    is_listed: bool,
}

impl<V> Default for Mirror<V> {
    fn default() -> Self {
        Self {
            shown: BTreeMap::new(),
            listing: BTreeMap::new(),
            is_listed: false,
        }
    }
}

impl<V> Mirror<V> {
    /// Takes in what the watch said; whether anything may have changed. What can't be watched
    /// stays as it was last shown.
    pub(in crate::kubernetes) fn hear(&mut self, said: Said, read: impl Fn(&Wire) -> V) -> bool {
        match said {
            Err(error) => {
                tracing::debug!(%error, "statuses can't be watched now");
                false
            }
            Ok(Event::Init) => {
                self.listing.clear();
                false
            }
            Ok(Event::InitApply(object)) => {
                self.listing.insert(object.name().into(), read(&object));
                false
            }
            Ok(Event::InitDone) => {
                self.shown = std::mem::take(&mut self.listing);
                self.is_listed = true;
                true
            }
            Ok(Event::Apply(object)) => {
                self.shown.insert(object.name().into(), read(&object));
                true
            }
            Ok(Event::Delete(object)) => self.shown.remove(object.name()).is_some(),
        }
    }

    /// Whether everything there is has been shown once.
    pub(in crate::kubernetes) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// An object.
    pub(in crate::kubernetes) fn get(&self, name: &str) -> Option<&V> {
        self.shown.get(name)
    }

    /// Every object, by name.
    pub(in crate::kubernetes) fn iter(&self) -> impl Iterator<Item = (&Box<str>, &V)> {
        self.shown.iter()
    }
}
