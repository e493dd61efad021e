//! TCP connections as routing protocols want them: with a source, an interface, a hop limit, a
//! class of service and authentication.
//!
//! Every option that was asked for is in force before the first segment leaves, or there is an
//! error that says which one and what is missing. Connecting needs no capability; listening on a
//! port below 1024 needs `CAP_NET_BIND_SERVICE`.

mod auth;
mod source;
mod table;

pub use auth::{Algorithm, AoKey, KEY_MAX, Key, KeyError, Whom};
pub use source::source_of;
pub use table::established;

use crate::sys;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// DSCP class selector 6, network control (RFC 2474 §4.2.2.2; RFC 4594 §3.1).
pub const CS6: u8 = 48;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// How far a connection reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hops {
    /// TTL or hop limit of what is sent.
    pub ttl: u8,
    /// What arrives with less is dropped by the kernel; absent means nothing is.
    pub minimum: Option<u8>,
}

impl Hops {
    /// A neighbour on the same network.
    pub const ONE: Self = Self {
        ttl: 1,
        minimum: None,
    };
    /// A peer anywhere.
    pub const ANY: Self = Self {
        ttl: 255,
        minimum: None,
    };

    /// A peer at most `hops` hops away, by the generalised TTL security mechanism (RFC 5082 §3):
    /// what is sent has 255, and what arrives must have come that near.
    #[must_use]
    pub fn within(hops: u8) -> Self {
        Self {
            ttl: 255,
            minimum: Some(255 - hops.saturating_sub(1)),
        }
    }
}

/// How segments are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// They aren't.
    None,
    /// TCP-MD5 (RFC 2385).
    Md5(Key),
    /// TCP-AO (RFC 5925).
    Ao(AoKey),
}

/// A connection to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The peer; a link-local address with the index of its link as scope.
    pub remote: SocketAddr,
    /// Local address; absent means the kernel's choice.
    pub source: Option<IpAddr>,
    /// Interface or VRF device that everything goes through; absent means by route.
    pub device: Option<String>,
    /// How far it reaches.
    pub hops: Hops,
    /// Authentication.
    pub auth: Auth,
    /// Maximum segment size in bytes; absent means the kernel's choice.
    pub mss: Option<u16>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// How long sent data may stay unacknowledged before the connection ends (RFC 5482 §3);
    /// absent means the kernel's choice.
    pub user_timeout: Option<Duration>,
}

impl Options {
    /// The plain options of a connection to `remote`: anywhere, unauthenticated, CS6.
    #[must_use]
    pub fn to(remote: SocketAddr) -> Self {
        Self {
            remote,
            source: None,
            device: None,
            hops: Hops::ANY,
            auth: Auth::None,
            mss: None,
            dscp: CS6,
            user_timeout: None,
        }
    }
}

/// Why a connection or a listener couldn't be made.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The process lacks a capability.
    #[error("{target}: {operation} needs {capability}")]
    MissingCapability {
        /// The peer, or the address listened on.
        target: SocketAddr,
        /// What was tried.
        operation: &'static str,
        /// The capability.
        capability: &'static str,
    },
    /// There is no such interface or VRF device.
    #[error("{target}: there is no interface or VRF device {device}")]
    NoDevice {
        /// The peer, or the address listened on.
        target: SocketAddr,
        /// Its name.
        device: String,
    },
    /// This host doesn't have the local address.
    #[error("{target}: this host has no address {address} to use")]
    NoSource {
        /// The peer, or the address listened on.
        target: SocketAddr,
        /// The address.
        address: IpAddr,
    },
    /// Local and remote address are of different families.
    #[error("{target}: the local address {address} is of the other family")]
    OtherFamily {
        /// The peer.
        target: SocketAddr,
        /// The local address.
        address: IpAddr,
    },
    /// A link-local peer without the link.
    #[error("{target}: a link-local address needs the interface it is on")]
    NoScope {
        /// The peer.
        target: SocketAddr,
    },
    /// The kernel has no TCP-AO.
    #[error(
        "{target}: this kernel has no TCP-AO: it needs Linux 6.7 or newer, built with CONFIG_TCP_AO"
    )]
    NoAo {
        /// The peer, or the address listened on.
        target: SocketAddr,
    },
    /// The kernel has no TCP-MD5.
    #[error("{target}: this kernel has no TCP-MD5: it must be built with CONFIG_TCP_MD5SIG")]
    NoMd5 {
        /// The peer, or the address listened on.
        target: SocketAddr,
    },
    /// Any other failure.
    #[error("{target}: {operation}: {source}")]
    Io {
        /// The peer, or the address listened on.
        target: SocketAddr,
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl TcpError {
    fn of(target: SocketAddr, operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match (source.raw_os_error(), operation) {
            (Some(libc::EACCES), "bind") => Self::MissingCapability {
                target,
                operation: "listening on a port below 1024",
                capability: "CAP_NET_BIND_SERVICE",
            },
            (Some(libc::EPERM), "SO_BINDTODEVICE") => Self::MissingCapability {
                target,
                operation,
                capability: "CAP_NET_RAW",
            },
            (Some(libc::EPERM), "TCP_MD5SIG_EXT" | "TCP_AO_ADD_KEY") => Self::MissingCapability {
                target,
                operation,
                capability: "CAP_NET_ADMIN",
            },
            (Some(libc::ENOPROTOOPT), "TCP_AO_ADD_KEY") => Self::NoAo { target },
            (Some(libc::ENOPROTOOPT), "TCP_MD5SIG_EXT") => Self::NoMd5 { target },
            (Some(libc::EADDRNOTAVAIL), "bind") => Self::NoSource {
                target,
                address: target.ip(),
            },
            _ => Self::Io {
                target,
                operation,
                source,
            },
        }
    }
}

/// Connects. There is no time limit but the kernel's: dropping the future gives up.
///
/// Must be called within a Tokio runtime.
///
/// # Errors
/// What the kernel refused, by option.
pub async fn connect(options: &Options) -> Result<TcpStream, TcpError> {
    let target = options.remote;
    let socket = open(target, options.device.as_deref())?;
    shape(&socket, target, options)?;
    authenticate(&socket, target, &options.auth)?;
    if let Some(address) = options.source {
        let local = local(target, address)?;
        // The port is chosen when connecting, so that many connections can share an address. The
        // option is IPv4's, for both families.
        set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
            .map_err(TcpError::of(target, "IP_BIND_ADDRESS_NO_PORT"))?;
        socket
            .bind(&local.into())
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EADDRNOTAVAIL) => TcpError::NoSource { target, address },
                _ => TcpError::of(target, "bind")(source),
            })?;
    }
    let socket = TcpSocket::from_std_stream(socket.into());
    let stream = socket.connect(target).await;
    stream.map_err(TcpError::of(target, "connect"))
}

fn local(target: SocketAddr, address: IpAddr) -> Result<SocketAddr, TcpError> {
    match (target, address) {
        (SocketAddr::V4(_), IpAddr::V4(_)) => Ok(SocketAddr::new(address, 0)),
        (SocketAddr::V6(remote), IpAddr::V6(ip)) => {
            // A link-local source is on the peer's link.
            let scope = if ip.is_unicast_link_local() {
                remote.scope_id()
            } else {
                0
            };
            Ok(std::net::SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        (SocketAddr::V4(_), IpAddr::V6(_)) | (SocketAddr::V6(_), IpAddr::V4(_)) => {
            Err(TcpError::OtherFamily { target, address })
        }
    }
}

/// A socket for `target`, on `device` if one is named.
fn open(target: SocketAddr, device: Option<&str>) -> Result<Socket, TcpError> {
    open_as(target, device, (Type::STREAM, Protocol::TCP))
}

fn open_as(
    target: SocketAddr,
    device: Option<&str>,
    (kind, protocol): (Type, Protocol),
) -> Result<Socket, TcpError> {
    if let SocketAddr::V6(v6) = target
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        return Err(TcpError::NoScope { target });
    }
    let domain = Domain::for_address(target);
    let socket =
        Socket::new(domain, kind, Some(protocol)).map_err(TcpError::of(target, "socket"))?;
    socket
        .set_nonblocking(true)
        .map_err(TcpError::of(target, "O_NONBLOCK"))?;
    if let Some(device) = device {
        socket
            .bind_device(Some(device.as_bytes()))
            .map_err(|source| match source.raw_os_error() {
                Some(libc::ENODEV) => TcpError::NoDevice {
                    target,
                    device: device.to_owned(),
                },
                _ => TcpError::of(target, "SO_BINDTODEVICE")(source),
            })?;
    }
    Ok(socket)
}

/// Sets what may be set on a connection at any time.
fn shape(socket: &Socket, target: SocketAddr, options: &Options) -> Result<(), TcpError> {
    let failed = |operation| TcpError::of(target, operation);
    reach(socket, target, options.hops)?;
    mark(socket, target, options.dscp)?;
    socket
        .set_tcp_nodelay(true)
        .map_err(failed("TCP_NODELAY"))?;
    if let Some(mss) = options.mss {
        socket
            .set_tcp_mss(mss.into())
            .map_err(failed("TCP_MAXSEG"))?;
    }
    if let Some(limit) = options.user_timeout {
        socket
            .set_tcp_user_timeout(Some(limit))
            .map_err(failed("TCP_USER_TIMEOUT"))?;
    }
    Ok(())
}

/// The hop limit, and the least that is taken (RFC 5082 §3).
fn reach(socket: &Socket, target: SocketAddr, hops: Hops) -> Result<(), TcpError> {
    let failed = |operation| TcpError::of(target, operation);
    let minimum = libc::c_int::from(hops.minimum.unwrap_or_default());
    match target {
        SocketAddr::V4(_) => {
            socket
                .set_ttl_v4(hops.ttl.into())
                .map_err(failed("IP_TTL"))?;
            set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, minimum).map_err(failed("IP_MINTTL"))
        }
        SocketAddr::V6(_) => {
            socket
                .set_unicast_hops_v6(hops.ttl.into())
                .map_err(failed("IPV6_UNICAST_HOPS"))?;
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, minimum)
                .map_err(failed("IPV6_MINHOPCOUNT"))
        }
    }
}

/// The class of service.
fn mark(socket: &Socket, target: SocketAddr, dscp: u8) -> Result<(), TcpError> {
    let class = u32::from(dscp & 63) << 2;
    let set = match target {
        SocketAddr::V4(_) => socket.set_tos_v4(class),
        SocketAddr::V6(_) => socket.set_tclass_v6(class),
    };
    set.map_err(TcpError::of(target, "IP_TOS"))
}

fn set(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    sys::set_option(socket.as_fd(), level, name, value)
}

fn authenticate(socket: &impl AsFd, target: SocketAddr, auth: &Auth) -> Result<(), TcpError> {
    // A key without an interface is for the peer in every VRF, and the socket is in just one.
    let whom = Whom::peer(target.ip());
    match auth {
        Auth::None => Ok(()),
        Auth::Md5(key) => put_md5(socket, target, whom, Some(key)),
        Auth::Ao(key) => add_ao(socket, target, whom, key),
    }
}

fn add_ao(socket: &impl AsFd, target: SocketAddr, whom: Whom, key: &AoKey) -> Result<(), TcpError> {
    let option = auth::ao(whom, key);
    sys::set_tcp_option(socket.as_fd(), auth::TCP_AO_ADD_KEY, &option)
        .map_err(TcpError::of(target, "TCP_AO_ADD_KEY"))
}

fn put_md5(
    socket: &impl AsFd,
    target: SocketAddr,
    whom: Whom,
    key: Option<&Key>,
) -> Result<(), TcpError> {
    let option = auth::md5(whom, key);
    sys::set_tcp_option(socket.as_fd(), libc::TCP_MD5SIG_EXT, &option)
        .map_err(TcpError::of(target, "TCP_MD5SIG_EXT"))
}

/// Changes the TCP-MD5 key of a connection, which goes on: segments are signed with the new key
/// from now on, and what the peer signed with the old one is dropped and sent again, so both ends
/// have until the connection times out to change.
///
/// # Errors
/// What the kernel refused.
pub fn rekey(stream: &TcpStream, key: &Key) -> Result<(), TcpError> {
    let target = peer_of(stream)?;
    put_md5(stream, target, Whom::peer(target.ip()), Some(key))
}

/// Adds a TCP-AO key to a connection and uses it from now on; the peer may go on with the older
/// ones (RFC 5925 §3.3).
///
/// # Errors
/// What the kernel refused.
pub fn add_key(stream: &TcpStream, key: &AoKey) -> Result<(), TcpError> {
    let target = peer_of(stream)?;
    add_ao(stream, target, Whom::peer(target.ip()), key)
}

fn peer_of(stream: &TcpStream) -> Result<SocketAddr, TcpError> {
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    stream
        .peer_addr()
        .map_err(TcpError::of(nobody, "getpeername"))
}

/// Whether the kernel has TCP-AO.
///
/// # Errors
/// No socket to ask with.
pub fn has_ao() -> io::Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // A kernel that knows the option refuses one this short, but with another error.
    match sys::set_tcp_option(socket.as_fd(), auth::TCP_AO_ADD_KEY, &[0; 4]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(false),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Address and port; the unspecified address for every one of its family.
    pub local: SocketAddr,
    /// Interface or VRF device connections must come through; absent means the default VRF.
    pub device: Option<String>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
}

/// Takes connections.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Listens. Answers go out with TTL 255, which reaches every peer and satisfies one that wants
    /// GTSM; [`shape`](Self::shape) gives an accepted connection its own options.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// What the kernel refused, by option.
    pub fn bind(options: &ListenOptions) -> Result<Self, TcpError> {
        let target = options.local;
        let failed = |operation| TcpError::of(target, operation);
        let socket = open(target, options.device.as_deref())?;
        reach(&socket, target, Hops::ANY)?;
        mark(&socket, target, options.dscp)?;
        socket
            .set_reuse_address(true)
            .map_err(failed("SO_REUSEADDR"))?;
        if target.is_ipv6() {
            socket.set_only_v6(true).map_err(failed("IPV6_V6ONLY"))?;
        }
        socket.bind(&target.into()).map_err(failed("bind"))?;
        socket.listen(BACKLOG).map_err(failed("listen"))?;
        let inner = TcpListener::from_std(socket.into()).map_err(failed("epoll"))?;
        let local = inner.local_addr().map_err(failed("getsockname"))?;
        Ok(Self { inner, local })
    }

    /// Address and port listened on.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The TCP-MD5 key connections from `whom` must be signed with; `None` takes it away. It must
    /// be there before the peer's first segment is.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn set_md5(&self, whom: Whom, key: Option<&Key>) -> Result<(), TcpError> {
        match put_md5(&self.inner, self.local, whom, key) {
            Err(TcpError::Io { source, .. })
                if key.is_none() && source.raw_os_error() == Some(libc::ENOENT) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Adds a TCP-AO key for connections from `whom`.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn add_ao(&self, whom: Whom, key: &AoKey) -> Result<(), TcpError> {
        add_ao(&self.inner, self.local, whom, key)
    }

    /// The next connection and who it is from.
    ///
    /// # Errors
    /// What the kernel refused. The listener remains usable.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), TcpError> {
        let accepted = self.inner.accept().await;
        accepted.map_err(TcpError::of(self.local, "accept"))
    }

    /// Gives an accepted connection the options of its peer. The keys are the listener's.
    ///
    /// # Errors
    /// What the kernel refused, by option.
    pub fn shape(&self, stream: &TcpStream, options: &Options) -> Result<(), TcpError> {
        shape(&SockRef::from(stream), options.remote, options)
    }
}
