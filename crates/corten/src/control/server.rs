//! The answering side: what the control socket and the metrics address serve.

use crate::questions::{Leaving, Question, Questions};
use corten_cluster::http::{self, ListenError, Listener, Request, Response};
use corten_engine::names::ServiceKey;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What is said of any other path.
const NOTHING_ELSE: &str = "there are /v1/status, /v1/explain/NAMESPACE/NAME, /v1/bgp/peers, \
                            /v1/bgp/routes and /v1/bgp/messages\n";

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

/// Listens for metrics and health.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve_metrics(
    address: SocketAddr,
    questions: Questions,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let listener = Listener::tcp(address)?;
    Ok(http::serve(listener, move |request| {
        monitoring(request, questions.clone())
    }))
}

/// Listens for health alone.
///
/// # Errors
/// The address can't be listened on.
pub(crate) fn serve_health(
    address: SocketAddr,
    questions: Questions,
) -> Result<impl Future<Output = Infallible> + use<>, ListenError> {
    let listener = Listener::tcp(address)?;
    Ok(http::serve(listener, move |request| {
        let questions = questions.clone();
        async move {
            if request.path == "/metrics" {
                return Response::text(404, "there are /healthz and /readyz\n");
            }
            monitoring(request, questions).await
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
    answer.unwrap_or_else(|Leaving| Response::text(503, "the instance is leaving\n"))
}

async fn monitoring(request: Request, questions: Questions) -> Response {
    let answer = async {
        let ready = questions.ask(Question::Ready).await?;
        // The page is made only for whoever asks for it.
        let page = if request.path == "/metrics" {
            questions.ask(Question::Metrics).await?
        } else {
            String::new()
        };
        Ok(http::monitoring(&request, ready, || page))
    };
    answer
        .await
        .unwrap_or_else(|Leaving| Response::text(503, "the instance is leaving\n"))
}
