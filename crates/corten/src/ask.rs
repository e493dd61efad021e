//! Asking a task or thread that answers between two events.

use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long the wire is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Asks, and waits for the answer; `None` if nobody is there any more.
pub(crate) async fn ask<Q, T>(
    queries: &mpsc::Sender<Q>,
    query: impl FnOnce(oneshot::Sender<T>) -> Q,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    queries.send(query(reply)).await.ok()?;
    answer.await.ok()
}

/// The same; `None` also if no answer comes within `patience`.
pub(crate) async fn ask_within<Q, T>(
    patience: Duration,
    queries: &mpsc::Sender<Q>,
    query: impl FnOnce(oneshot::Sender<T>) -> Q,
) -> Option<T> {
    let answer = tokio::time::timeout(patience, ask(queries, query)).await;
    answer.ok()?
}
