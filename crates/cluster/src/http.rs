//! A small HTTP/1 server: metrics and health over TCP, control over a unix socket.
//!
//! One request a connection, everything bounded: connections, header, body and time. Whatever is
//! sent to it ends that connection and nothing else. All connections live inside the future of
//! [`serve`]; when it is dropped, so are they.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

/// Most connections at once; more wait in the kernel.
pub const MAX_CONNECTIONS: usize = 32;
/// Largest request header, in bytes.
pub const MAX_HEADER: usize = 16 << 10;
/// Largest request body, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// How long a client may take to send its header.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION_TIME: Duration = Duration::from_secs(15);

/// Longest path of a unix socket, in bytes: what the kernel takes, with room for the suffix of the
/// name it is made under.
pub const MAX_SOCKET_PATH: usize = 107 - NEW.len();
/// Suffix of a socket that isn't in place yet.
const NEW: &str = ".new";

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
    /// Body, complete.
    pub body: Vec<u8>,
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

/// Answers `/metrics`, `/healthz` and `/readyz`, and nothing else. `/healthz` is good as long as
/// this is called at all.
pub fn monitoring(request: &Request, is_ready: bool, metrics: impl FnOnce() -> String) -> Response {
    if request.method != "GET" {
        return Response::text(405, "only GET\n");
    }
    match request.path.as_str() {
        "/metrics" => Response {
            status: 200,
            content_type: PROMETHEUS_TEXT,
            body: metrics(),
        },
        "/healthz" => Response::text(200, "ok\n"),
        "/readyz" if is_ready => Response::text(200, "ok\n"),
        "/readyz" => Response::text(503, "not everything has been read yet\n"),
        _ => Response::text(404, "there are /metrics, /healthz and /readyz\n"),
    }
}

/// Why an address can't be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error("{path}: another process listens on this socket", path = path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// There is something else in place of the socket.
    #[error("{path}: exists and is no socket", path = path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// TLS can't be set up.
    #[error("{at}: {source}")]
    Tls {
        /// Address.
        at: String,
        /// Cause.
        source: rustls::Error,
    },
    /// The kernel takes no path of that length (`sun_path`, unix(7)).
    #[error("{path}: a socket's path may have {MAX_SOCKET_PATH} bytes, not {length}", path = path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The socket can't be made.
    #[error("{at}: {source}")]
    Io {
        /// Address or path.
        at: String,
        /// Cause.
        source: io::Error,
    },
}

impl ListenError {
    /// Whether there is only no room for the socket now.
    #[must_use]
    pub fn is_out_of_room(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            Self::InUse { .. }
            | Self::NoSocket { .. }
            | Self::Tls { .. }
            | Self::TooLong { .. } => false,
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    max_body: usize,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Tls(TcpListener, Tls),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        file: (u64, u64),
    },
}

/// What a connection begins with.
#[derive(Clone)]
struct Tls(TlsAcceptor);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection nothing was read from yet.
enum Accepted {
    Plain(Box<dyn Stream>),
    Tls(TcpStream, Tls),
}

impl Listener {
    /// Listens on a TCP address. Needs a running tokio runtime.
    ///
    /// # Errors
    /// Names the address.
    pub fn tcp(address: SocketAddr) -> Result<Self, ListenError> {
        Ok(Self {
            socket: Socket::Tcp(tcp(address)?),
            max_body: MAX_BODY,
        })
    }

    /// Listens on a TCP address for TLS; a body may have `max_body` bytes. Needs a running tokio
    /// runtime.
    ///
    /// # Errors
    /// Names the address.
    pub fn tls(
        address: SocketAddr,
        config: Arc<rustls::ServerConfig>,
        max_body: usize,
    ) -> Result<Self, ListenError> {
        let tls = Tls(TlsAcceptor::from(config));
        Ok(Self {
            socket: Socket::Tls(tcp(address)?, tls),
            max_body,
        })
    }

    /// Listens on a unix socket that only this user can use; one that nobody listens on any more
    /// is replaced. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If another process listens there, the path is too long, or it holds something that is no
    /// socket.
    pub fn unix(path: &Path) -> Result<Self, ListenError> {
        let length = path.as_os_str().len();
        if length > MAX_SOCKET_PATH {
            let path = path.to_owned();
            return Err(ListenError::TooLong { path, length });
        }
        let failed = |source| ListenError::Io {
            at: path.display().to_string(),
            source,
        };
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            let path = path.to_owned();
            if !metadata.file_type().is_socket() {
                return Err(ListenError::NoSocket { path });
            }
            if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                return Err(ListenError::InUse { path });
            }
        }
        // Made under another name, so that nobody can connect before the mode is set, and a dead
        // socket is replaced in one step.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(NEW);
        let temporary = path.with_file_name(name);
        if let Err(error) = std::fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        let listener = UnixListener::bind(&temporary).map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&temporary, mode).map_err(failed)?;
        std::fs::rename(&temporary, path).map_err(failed)?;
        let file = identity(path).map_err(failed)?;
        let path = path.to_owned();
        Ok(Self {
            socket: Socket::Unix {
                listener,
                path,
                file,
            },
            max_body: MAX_BODY,
        })
    }

    /// The TCP address, for a port that was chosen by the kernel.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) | Socket::Tls(listener, _) => listener.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    /// What it listens on, as text.
    fn name(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) | Socket::Tls(listener, _) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Socket::Unix { path, .. } => path.display().to_string(),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Accepted::Plain(Box::new(listener.accept().await?.0)),
            Socket::Tls(listener, tls) => Accepted::Tls(listener.accept().await?.0, tls.clone()),
            Socket::Unix { listener, .. } => Accepted::Plain(Box::new(listener.accept().await?.0)),
        })
    }
}

fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let failed = |source| ListenError::Io {
        at: address.to_string(),
        source,
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix { path, file, .. } = &self.socket
            && identity(path).is_ok_and(|now| now == *file)
        {
            // A socket that stays is replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

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
            Accepted::Tls(stream, Tls(acceptor)) => match acceptor.accept(stream).await {
                Ok(stream) => Box::new(stream),
                Err(error) => {
                    tracing::debug!(%error, "a connection ended in its handshake");
                    return Ok(());
                }
            },
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
            let request = Request {
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
    if response.status == 405 {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    encoded
}

#[cfg(test)]
mod tests;
