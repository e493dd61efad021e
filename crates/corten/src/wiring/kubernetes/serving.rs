//! What a component in a cluster serves: metrics, health and the control socket.

use crate::cli::Listen;
use crate::cli::kubernetes::CommonArgs;
use crate::control;
use crate::questions::{Question, Questions};
use anyhow::Context as _;
use corten_cluster::http::everywhere;
use corten_cluster::kubernetes::Client;
use corten_cluster::kubernetes::access::Access;
use corten_cluster::tls::{Files, Own, Shown, TlsOptions};
use futures_util::future::{Either, LocalBoxFuture};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What serves something for as long as it is polled.
type Serving = LocalBoxFuture<'static, Infallible>;

/// Serves metrics, health on `probed`, and the control socket if there is to be one; `webhooks` is
/// what shows their certificate, where there are any. Gives what is asked, and what serves it.
pub(super) fn serve(
    client: &Client,
    args: &CommonArgs,
    tls: &TlsOptions,
    probed: SocketAddr,
    webhooks: Option<Arc<Shown>>,
) -> anyhow::Result<(mpsc::Receiver<Question>, Serving)> {
    let (questions, asked) = Questions::new();
    let secure = secure(client, args, tls, &questions)?;
    let plain = match args.metrics_http {
        Listen::Off => Either::Left(std::future::pending()),
        Listen::On(address) => {
            if !address.ip().is_loopback() {
                tracing::warn!(%address, "metrics are served to whoever reaches this address");
            }
            let serving = control::serve_metrics(address, questions.clone());
            Either::Right(serving.context("--metrics-http")?)
        }
    };
    let health = match probed.port() {
        0 => Either::Left(std::future::pending()),
        _ => Either::Right(
            control::serve_health(probed, questions.clone(), webhooks)
                .context("--health-probe-port")?,
        ),
    };
    let socket = match &args.socket {
        None => Either::Left(std::future::pending()),
        Some(path) => Either::Right(control::serve(path, questions).context("--socket")?),
    };
    let served = async move {
        tokio::select! {
            never = secure => never,
            never = plain => never,
            never = health => never,
            never = socket => never,
        }
    };
    Ok((asked, Box::pin(served)))
}

/// Metrics over TLS (`spec/metallb.md` §7.5).
fn secure(
    client: &Client,
    args: &CommonArgs,
    tls: &TlsOptions,
    questions: &Questions,
) -> anyhow::Result<Serving> {
    if args.port == 0 {
        return Ok(Box::pin(std::future::pending()));
    }
    let (shown, keeping) = certificate(&args.metrics_cert_dir)?;
    let serving = control::serve_secure_metrics(
        everywhere(args.port),
        tls.server(shown).context("TLS")?,
        Arc::new(Access::new(client.clone())),
        questions.clone(),
    );
    let serving = serving.context("--port")?;
    Ok(Box::pin(async move {
        tokio::select! {
            never = serving => never,
            never = keeping => never,
        }
    }))
}

/// The metrics' certificate, and what keeps it good.
fn certificate(directory: &str) -> anyhow::Result<(Arc<Shown>, Serving)> {
    if directory.is_empty() {
        let own = Own::new()?;
        return Ok((own.shown(), Box::pin(own.keep())));
    }
    let files = Files::open(Path::new(directory)).context("--metrics-cert-dir")?;
    Ok((files.shown(), Box::pin(files.keep())))
}
