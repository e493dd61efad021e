//! A small HTTP/1 server: metrics and health over TCP, control over a unix socket.
//!
//! One request a connection, everything bounded: connections, header, body and time. Whatever is
//! sent to it ends that connection and nothing else. All connections live inside the future of
//! [`serve`]; when it is dropped, so are they.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use listener::{Accepted, Stream, Tls};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

mod listener;

pub use listener::{ListenError, Listener, MAX_SOCKET_PATH, everywhere};

/// Most connections at once; more wait in the kernel.
pub const MAX_CONNECTIONS: usize = 32;
/// Largest request header, in bytes.
pub const MAX_HEADER: usize = 16 << 10;
/// Largest request body, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a client may take to send its header.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION_TIME: Duration = Duration::from_secs(15);

/// Content type of the Prometheus text format.
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` …; a `HEAD` is given as a `GET`.
    pub method: String,
    /// Path, as sent.
    pub path: String,
    /// What follows the `?`; empty if there is none.
    pub query: String,
    /// What the client says it is allowed by, if it says so.
    pub bearer: Option<Bearer>,
    /// Body, complete.
    pub body: Vec<u8>,
}

/// A bearer token (RFC 6750 §2.1); it is a secret, so nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(String);

impl Bearer {
    /// The token of an `Authorization` header; none if it says something else.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, token) = header.split_once(' ')?;
        let token = token.trim();
        // RFC 9110 §11.1: the scheme's case doesn't matter.
        let good = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
        good.then(|| Self(token.to_owned()))
    }

    /// The token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code; one that is out of range is sent as 500.
    pub status: u16,
    /// Content type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Response {
    /// Plain text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: PLAIN_TEXT,
            body: body.into(),
        }
    }

    /// A value as JSON; 500 if it can't be written.
    #[must_use]
    pub fn json(status: u16, value: &impl serde::Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self {
                status,
                content_type: JSON,
                body,
            },
            Err(error) => Self::text(500, format!("{error}\n")),
        }
    }
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything was read, and decisions stand.
    Ready,
    /// Something is still to be read.
    Waiting,
    /// A part of it doesn't answer: this one.
    Stuck(&'static str),
}

/// The page of the metrics.
#[must_use]
pub fn metrics(page: String) -> Response {
    Response {
        status: 200,
        content_type: PROMETHEUS_TEXT,
        body: page,
    }
}

/// Answers `/healthz` and `/readyz`; none for any other path.
#[must_use]
pub fn health(path: &str, health: &Health) -> Option<Response> {
    let live = path == "/healthz";
    if !live && path != "/readyz" {
        return None;
    }
    Some(match health {
        Health::Stuck(part) => Response::text(503, format!("{part} doesn't answer\n")),
        Health::Waiting if !live => Response::text(503, "not everything has been read yet\n"),
        Health::Ready | Health::Waiting => Response::text(200, "ok\n"),
    })
}

/// Answers requests for as long as it is polled.
pub async fn serve<H, F>(listener: Listener, handler: H) -> Infallible
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let mut connections = FuturesUnordered::new();
    let max_body = listener.max_body;
    let mut failing = false;
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok(accepted) => {
                    // Said again only after all was well: under an attack each connection that
                    // ends makes room for one.
                    failing &= !connections.is_empty();
                    connections.push(connection(accepted, max_body, &handler));
                }
                Err(error) => {
                    // Out of descriptors, most likely: those in use have to end first.
                    if !std::mem::replace(&mut failing, true) {
                        let at = listener.name();
                        tracing::warn!(at, %error, "connections can't be accepted now");
                    }
                    let pause = tokio::time::sleep(Duration::from_millis(100));
                    tokio::pin!(pause);
                    while !connections.is_empty() {
                        tokio::select! {
                            () = &mut pause => break,
                            _ = connections.next() => {}
                        }
                    }
                    pause.await;
                }
            },
            Some(()) = connections.next() => {}
        }
    }
}

async fn connection<H, F>(accepted: Accepted, max_body: usize, handler: &H)
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let served = async {
        let stream: Box<dyn Stream> = match accepted {
            Accepted::Plain(stream) => stream,
            Accepted::Tls(stream, Tls(acceptor)) => {
                let shaken = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream));
                match shaken.await {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a connection ended in its handshake");
                        return Ok(());
                    }
                    Err(_) => {
                        tracing::debug!("a handshake took too long");
                        return Ok(());
                    }
                }
            }
        };
        let service = service_fn(|request| answer(request, max_body, handler));
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(MAX_HEADER)
            .keep_alive(false)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .await
    };
    match tokio::time::timeout(CONNECTION_TIME, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended badly"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

async fn answer<H, F>(
    request: hyper::Request<Incoming>,
    max_body: usize,
    handler: &H,
) -> Result<hyper::Response<Full<Bytes>>, Infallible>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let (parts, body) = request.into_parts();
    let response = match Limited::new(body, max_body).collect().await {
        Ok(body) => {
            let method = match parts.method.as_str() {
                "HEAD" => "GET",
                other => other,
            };
            let header = parts.headers.get(AUTHORIZATION);
            let bearer = header.and_then(|value| Bearer::parse(value.to_str().ok()?));
            let request = Request {
                bearer,
                method: method.to_owned(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                body: body.to_bytes().to_vec(),
            };
            handler(request).await
        }
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Response::text(413, format!("a body may have {max_body} bytes\n"))
        }
        Err(_) => Response::text(400, "the body can't be read\n"),
    };
    Ok(encode(response))
}

fn encode(response: Response) -> hyper::Response<Full<Bytes>> {
    let status = hyper::StatusCode::from_u16(response.status);
    let mut encoded = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *encoded.status_mut() = status.unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = encoded.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(response.content_type),
    );
    match response.status {
        405 => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
        401 => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => {}
    }
    encoded
}

#[cfg(test)]
mod tests;
