//! What a directory says at once.

use super::overlay::Overlay;
use super::view::Kept;
use corten_engine::event::{Event, Object};
use std::rc::Rc;

/// Events that belong together, made one by one as they are taken: all objects of a large
/// directory at once take many times their text.
#[derive(Debug)]
pub struct Batch {
    first: std::vec::IntoIter<Event>,
    objects: std::vec::IntoIter<Said>,
    overlay: Overlay,
    last: std::vec::IntoIter<Event>,
}

/// What is to be said of an object.
#[derive(Debug)]
pub(crate) enum Said {
    /// All of it.
    Object(Rc<Kept>),
    /// What a Service has.
    Allocation(Rc<Kept>),
}

impl Batch {
    /// `first`, then the objects with what `overlay` says of them, then `last`.
    pub(crate) fn new(
        first: Vec<Event>,
        objects: Vec<Said>,
        overlay: Overlay,
        last: Vec<Event>,
    ) -> Self {
        Self {
            first: first.into_iter(),
            objects: objects.into_iter(),
            overlay,
            last: last.into_iter(),
        }
    }

    /// Whether nothing is left to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.len() + self.objects.len() + self.last.len() == 0
    }

    fn say(&self, said: &Said) -> Option<Event> {
        match said {
            Said::Object(kept) => {
                let mut object = kept.take_object()?;
                if let Object::Service(service) = &mut object {
                    self.overlay.allocate(kept, service);
                }
                Some(Event::Apply(object))
            }
            Said::Allocation(kept) => {
                let service = kept.service()?;
                Some(Event::Allocated(service, self.overlay.assigned(kept)))
            }
        }
    }
}

impl Iterator for Batch {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.next() {
            return Some(event);
        }
        while let Some(said) = self.objects.next() {
            let event = self.say(&said);
            if event.is_some() {
                return event;
            }
        }
        self.last.next()
    }
}
