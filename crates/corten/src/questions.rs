//! Questions the HTTP side asks the facts side, answered between two events.

use crate::ask::ask;
use crate::report::{BgpMessage, BgpPeer, BgpRoutes, Explained, Status};
use corten_cluster::http::Health;
use corten_engine::names::ServiceKey;
use tokio::sync::{mpsc, oneshot};

/// A question and where its answer goes.
#[derive(Debug)]
pub(crate) enum Question {
    /// `corten status`.
    Status(oneshot::Sender<Status>),
    /// `corten explain`; no answer means that there is no such Service.
    Explain(ServiceKey, oneshot::Sender<Option<Explained>>),
    /// `corten bgp peers`.
    BgpPeers(oneshot::Sender<Vec<BgpPeer>>),
    /// `corten bgp routes`.
    BgpRoutes(oneshot::Sender<Vec<BgpRoutes>>),
    /// `corten bgp messages`.
    BgpMessages(oneshot::Sender<Vec<BgpMessage>>),
    /// The metrics page.
    Metrics(oneshot::Sender<String>),
    /// Whether everything was listed once, and every part answers.
    Health(oneshot::Sender<Health>),
}

/// Asks questions; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Questions(mpsc::Sender<Question>);

/// The facts side is leaving.
#[derive(Debug)]
pub(crate) struct Leaving;

impl Questions {
    /// The asking and the answering end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The instance is leaving.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Leaving> {
        ask(&self.0, question).await.ok_or(Leaving)
    }
}
