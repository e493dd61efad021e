//! The answering side: what the control socket and the metrics address serve.

use crate::questions::{Leaving, Question, Questions};
use corten_cluster::http::{self, Health, ListenError, Listener, Request, Response};
use corten_cluster::kubernetes::access::{Access, Refusal};
use corten_cluster::tls::{Shown, TlsServer};
use corten_engine::names::ServiceKey;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What is said of any other path.
const NOTHING_ELSE: &str = "there are /v1/status, /v1/explain/NAMESPACE/NAME, /v1/bgp/peers, \
                            /v1/bgp/routes and /v1/bgp/messages\n";

/// What is said of any other path where metrics are served in the clear.
const EVERYTHING: &str = "there are /metrics, /healthz and /readyz\n";

/// How long what decides may take to say how it is: longer than it waits for the other threads.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often a socket there is no room for is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Listens on the control socket; it is there when this returns, the future serves it. Where the
/// disk is full the future makes it as soon as there is room: nobody on the LAN waits for it.
///
/// # Errors
/// Somebody listens there already, or the path can't be used.
pub(crate) fn serve(
    path: &Path,
    questions: Questions,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let path = path.to_owned();
    let first = match Listener::unix(&path) {
        Ok(listener) => Some(listener),
        Err(error) if error.is_out_of_room() => {
            tracing::error!(%error, "no control socket yet");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(async move {
        let listener = match first {
            Some(listener) => listener,
            None => later(&path).await,
        };
        http::serve(listener, move |request| control(request, questions.clone())).await
    })
}

async fn later(path: &Path) -> Listener {
    loop {
        tokio::time::sleep(RETRY).await;
        match Listener::unix(path) {
            Ok(listener) => {
                tracing::info!(path = %path.display(), "the control socket is there");
                return listener;
            }
            // Said when it was tried first.
            Err(error) => tracing::debug!(%error, "no control socket yet"),
        }
    }
}

/// Listens for metrics and health, in the clear and for everybody.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve_metrics(
    address: SocketAddr,
    questions: Questions,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let listener = Listener::tcp(address)?;
    Ok(http::serve(listener, move |request| {
        let questions = questions.clone();
        async move {
            match request.path.as_str() {
                "/metrics" => metrics(&request, questions).await,
                _ => health(&request, questions, EVERYTHING).await,
            }
        }
    }))
}

/// Listens for metrics over TLS, for those who may read them.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve_secure_metrics(
    address: SocketAddr,
    server: TlsServer,
    access: Arc<Access>,
    questions: Questions,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let listener = Listener::tls(address, server, http::MAX_BODY)?;
    Ok(http::serve(listener, move |request| {
        let (access, questions) = (Arc::clone(&access), questions.clone());
        async move {
            if request.path != "/metrics" {
                return Response::text(404, "there is /metrics\n");
            }
            match access.judge(request.bearer.as_ref()).await {
                Ok(()) => metrics(&request, questions).await,
                Err(refused) => refusal(refused),
            }
        }
    }))
}

fn refusal(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Unauthenticated => Response::text(
            401,
            "a bearer token the API server knows is needed (Authorization: Bearer ...)\n",
        ),
        Refusal::Forbidden { user } => Response::text(
            403,
            format!("{user} may not get the nonResourceURL /metrics\n"),
        ),
        Refusal::Unknown { cause, reached } => Response::text(
            if reached { 500 } else { 503 },
            format!("whether you may read this can't be asked of the API server: {cause}\n"),
        ),
    }
}

/// Listens for health alone. Nothing is ready while the webhooks, if there are any, have no
/// certificate to show: whoever is ready is asked.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve_health(
    address: SocketAddr,
    questions: Questions,
    webhooks: Option<Arc<Shown>>,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let listener = Listener::tcp(address)?;
    Ok(http::serve(listener, move |request| {
        let questions = questions.clone();
        let unseen = webhooks.as_ref().is_some_and(|shown| !shown.is_there());
        async move {
            if unseen && request.path == "/readyz" {
                return Response::text(503, "the webhooks have no certificate yet\n");
            }
            health(&request, questions, "there are /healthz and /readyz\n").await
        }
    }))
}

async fn control(request: Request, questions: Questions) -> Response {
    if request.method != "GET" {
        return Response::text(405, "only GET\n");
    }
    let parts: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
    let answer = match parts.as_slice() {
        ["v1", "status"] => questions
            .ask(Question::Status)
            .await
            .map(|s| Response::json(200, &s)),
        ["v1", "bgp", "peers"] => {
            let answer = questions.ask(Question::BgpPeers).await;
            answer.map(|peers| Response::json(200, &peers))
        }
        ["v1", "bgp", "routes"] => {
            let answer = questions.ask(Question::BgpRoutes).await;
            answer.map(|routes| Response::json(200, &routes))
        }
        ["v1", "bgp", "messages"] => {
            let answer = questions.ask(Question::BgpMessages).await;
            answer.map(|messages| Response::json(200, &messages))
        }
        ["v1", "explain", namespace, name] => {
            let key = ServiceKey::new(namespace, name);
            let missing = format!("there is no Service {key} in the manifests\n");
            questions
                .ask(|reply| Question::Explain(key, reply))
                .await
                .map(|found| match found {
                    None => Response::text(404, missing),
                    Some(e) if request.query == "format=text" => Response::text(200, e.to_string()),
                    Some(e) => Response::json(200, &e),
                })
        }
        _ => return Response::text(404, NOTHING_ELSE),
    };
    answer.unwrap_or_else(|Leaving| leaving())
}

async fn metrics(request: &Request, questions: Questions) -> Response {
    if request.method != "GET" {
        return Response::text(405, "only GET\n");
    }
    match questions.ask(Question::Metrics).await {
        Ok(page) => http::metrics(page),
        Err(Leaving) => leaving(),
    }
}

/// Answers about health; what is said of any other path is `otherwise`.
async fn health(request: &Request, questions: Questions, otherwise: &str) -> Response {
    if request.method != "GET" {
        return Response::text(405, "only GET\n");
    }
    if http::health(&request.path, &Health::Ready).is_none() {
        return Response::text(404, otherwise);
    }
    let asked = tokio::time::timeout(PATIENCE, questions.ask(Question::Health));
    let health = match asked.await {
        Ok(Ok(health)) => health,
        Ok(Err(Leaving)) => return leaving(),
        Err(_) => Health::Stuck("what decides"),
    };
    http::health(&request.path, &health).unwrap_or_else(|| Response::text(404, otherwise))
}

fn leaving() -> Response {
    Response::text(503, "the instance is leaving\n")
}
