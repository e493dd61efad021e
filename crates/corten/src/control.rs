//! The control socket: HTTP over a unix socket, JSON in the bodies.

mod server;

pub(crate) use server::{serve, serve_health, serve_metrics, serve_secure_metrics};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;

/// How long the CLI waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer: 10,000 Services with their frames need about 5 MB.
const LIMIT: usize = 256 << 20;

/// Asks the instance behind `socket`.
///
/// # Errors
/// No instance there, no permission, no answer in time, or an answer that says what is wrong.
pub(crate) fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    serde_json::from_slice(&get_bytes(socket, path)?).context("the answer is of another version")
}

/// Asks the instance behind `socket` for something that is no JSON.
///
/// # Errors
/// As [`get`].
pub(crate) fn get_text(socket: &Path, path: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(get_bytes(socket, path)?.to_vec())?)
}

fn get_bytes(socket: &Path, path: &str) -> anyhow::Result<Bytes> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, request(socket, path))
            .await
            .with_context(|| format!("no answer on {} within {PATIENCE:?}", socket.display()))?
    })
}

async fn request(socket: &Path, path: &str) -> anyhow::Result<Bytes> {
    let stream = tokio::net::UnixStream::connect(socket)
        .await
        .with_context(|| {
            format!(
                "no running instance on {} (is it another --socket?)",
                socket.display()
            )
        })?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, "corten")
        .body(Empty::<Bytes>::new())?;
    // The sender is dropped at the end of the exchange, which ends the connection.
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT)
            .collect()
            .await
            .map_err(|e| anyhow::anyhow!("reading the answer: {e}"))?
            .to_bytes();
        drop(sender);
        anyhow::ensure!(
            status.is_success(),
            "{}",
            String::from_utf8_lossy(&body).trim()
        );
        Ok(body)
    };
    let (result, _closed) = tokio::join!(exchange, connection);
    result
}
