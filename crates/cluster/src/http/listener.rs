//! Where requests come in: TCP, TLS or a unix socket.

use super::MAX_BODY;
use crate::tls::{TlsError, TlsServer};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

/// Longest path of a unix socket, in bytes: what the kernel takes, with room for the suffix of the
/// name it is made under.
pub const MAX_SOCKET_PATH: usize = 107 - NEW.len();
/// Suffix of a socket that isn't in place yet.
const NEW: &str = ".new";

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
        source: TlsError,
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
    pub(super) max_body: usize,
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
pub(super) struct Tls(pub(super) TlsAcceptor);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection nothing was read from yet.
pub(super) enum Accepted {
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
        server: TlsServer,
        max_body: usize,
    ) -> Result<Self, ListenError> {
        let tls = Tls(TlsAcceptor::from(server.0));
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
    pub(super) fn name(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) | Socket::Tls(listener, _) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Socket::Unix { path, .. } => path.display().to_string(),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Accepted::Plain(Box::new(listener.accept().await?.0)),
            Socket::Tls(listener, tls) => Accepted::Tls(listener.accept().await?.0, tls.clone()),
            Socket::Unix { listener, .. } => Accepted::Plain(Box::new(listener.accept().await?.0)),
        })
    }
}

/// Every address of this host, both families; IPv4 alone where the kernel has no IPv6.
#[must_use]
pub fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let failed = |source| ListenError::Io {
        at: address.to_string(),
        source,
    };
    let listener = match std::net::TcpListener::bind(address) {
        Err(error) if address == everywhere(address.port()) && is_without_ipv6(&error) => {
            std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        bound => bound,
    };
    let listener = listener.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

/// Whether the kernel was built or started without IPv6 (`ipv6.disable=1`), or it is switched off
/// (`disable_ipv6`).
fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
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

/// What is read from and written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}
