//! Where facts come from and decisions go: one of two places, the same to everything else.

use crate::core::Core;
use crate::output::printable;
use corten_cluster::directory::{self, Directory};
use corten_cluster::kubernetes::Kubernetes;
use corten_engine::advertise::bgp::frr::Spec;
use corten_engine::event::{Assignment, Event, EventRecord};
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Rejection;

/// The source of facts.
pub(crate) enum Source {
    /// A directory of manifests.
    Directory(Box<Directory>),
    /// The Kubernetes API.
    Kubernetes(Box<Kubernetes>),
}

/// What a source says at once.
pub(crate) enum Batch {
    /// From a directory, made as it is taken.
    Directory(directory::Batch),
    /// From the API.
    Events(std::vec::IntoIter<Event>),
}

impl Batch {
    /// Whether nothing is left to say.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Directory(batch) => batch.is_empty(),
            Self::Events(events) => events.len() == 0,
        }
    }
}

impl Iterator for Batch {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        match self {
            Self::Directory(batch) => batch.next(),
            Self::Events(events) => events.next(),
        }
    }
}

impl Source {
    /// Waits for changes and says them; one batch, maybe without events if only what is odd
    /// changed. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Batch {
        match self {
            Self::Directory(directory) => Batch::Directory(directory.next().await),
            Self::Kubernetes(api) => Batch::Events(api.next().await.into_iter()),
        }
    }

    /// Has everything read again, where reading is not following.
    /// Whether that adds anything.
    pub(crate) fn reload(&mut self) -> bool {
        match self {
            Self::Directory(directory) => directory.reload(),
            // A watch says by itself what it missed.
            Self::Kubernetes(_) => false,
        }
    }

    /// Records allocations; gives what that changes by now.
    pub(crate) fn record(&mut self, assignments: Vec<(ServiceKey, Assignment)>) -> Batch {
        let nothing = Batch::Events(Vec::new().into_iter());
        if assignments.is_empty() {
            return nothing;
        }
        match self {
            Self::Directory(directory) => match directory.record(assignments) {
                Ok(batch) => Batch::Directory(batch),
                Err(error) => {
                    // The directory keeps what it couldn't write and says it once it is written;
                    // the cause is among its rejections, which are told once.
                    tracing::debug!(%error, "allocations not recorded yet");
                    nothing
                }
            },
            Self::Kubernetes(api) => {
                api.assign(assignments);
                nothing
            }
        }
    }

    /// Records events, where there is a place for them.
    pub(crate) fn emit(&mut self, records: Vec<EventRecord>) {
        match self {
            // `corten status` and the log have them.
            Self::Directory(_) => {}
            Self::Kubernetes(api) => api.emit(records),
        }
    }

    /// Has FRR do this, where there is one.
    pub(crate) fn configure_frr(&mut self, spec: Spec) {
        match self {
            Self::Directory(_) => {}
            Self::Kubernetes(api) => api.configure_frr(spec),
        }
    }

    /// Says what became of everything.
    ///
    /// # Errors
    /// If status files can't be written now.
    pub(crate) fn write_status(&mut self, core: &Core) -> std::io::Result<()> {
        match self {
            Self::Directory(directory) => directory.write_status(&core.report()),
            Self::Kubernetes(api) => {
                let findings = core.findings(api.warnings().next());
                api.publish(core.is_ready().then(|| core.report()), findings);
                Ok(())
            }
        }
    }

    /// What is odd about the source now, ready to be printed.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Directory(directory) => directory
                .warnings()
                .map(|w| printable(&w.to_string()))
                .collect(),
            Self::Kubernetes(api) => api.warnings().map(|w| printable(&w)).collect(),
        }
    }

    /// The rejection with the place of its object, where there are places.
    pub(crate) fn locate(&self, rejection: &Rejection) -> Rejection {
        match self {
            Self::Directory(directory) => directory.locate(rejection),
            Self::Kubernetes(_) => rejection.clone(),
        }
    }
}
