//! Datagrams as BFD wants them: with the TTL they arrived with, the interface and the address they
//! came to; sent with a TTL, a class of service and a source port of the dynamic range (RFC 5881 §4,
//! §5; RFC 5883 §5).
//!
//! Nothing here needs a capability.

use crate::sys::{self, Message};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lowest source port (RFC 5881 §4, MUST).
pub const SOURCE_PORT_MIN: u16 = 49152;

/// Why a socket couldn't be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
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
    /// A link-local peer without the link.
    #[error("{target}: a link-local address needs the interface it is on")]
    NoScope {
        /// The peer.
        target: SocketAddr,
    },
    /// Local and remote address are of different families.
    #[error("{target}: the local address {address} is of the other family")]
    OtherFamily {
        /// The peer.
        target: SocketAddr,
        /// The local address.
        address: IpAddr,
    },
    /// Every port from [`SOURCE_PORT_MIN`] is taken.
    #[error("{target}: no source port from {SOURCE_PORT_MIN} on is free")]
    NoPort {
        /// The peer.
        target: SocketAddr,
    },
    /// The send queue is full; the datagram was not sent.
    #[error("{target}: the send queue is full")]
    Full {
        /// The peer.
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

impl UdpError {
    fn of(target: SocketAddr, operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            target,
            operation,
            source,
        }
    }
}

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer; a longer one is cut.
    pub length: usize,
    /// Who sent it; a link-local address with its link.
    pub from: SocketAddr,
    /// The address it was sent to.
    pub to: IpAddr,
    /// Index of the interface it came in by.
    pub interface: u32,
    /// TTL or hop limit it arrived with.
    pub ttl: u8,
}

/// A socket that receives.
#[derive(Debug)]
pub struct Receiver {
    socket: AsyncFd<Socket>,
    local: SocketAddr,
}

impl Receiver {
    /// Receives what is sent to `local`, in the default VRF or on `device`.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn bind(local: SocketAddr, device: Option<&str>) -> Result<Self, UdpError> {
        let failed = |operation| UdpError::of(local, operation);
        let socket = open(local, device)?;
        let options = if local.is_ipv4() {
            [
                (libc::IPPROTO_IP, libc::IP_RECVTTL),
                (libc::IPPROTO_IP, libc::IP_PKTINFO),
            ]
        } else {
            socket.set_only_v6(true).map_err(failed("IPV6_V6ONLY"))?;
            [
                (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
                (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            ]
        };
        for (level, name) in options {
            sys::set_option(socket.as_fd(), level, name, 1)
                .map_err(failed("IP_RECVTTL and IP_PKTINFO"))?;
        }
        bind(&socket, local, local)?;
        let socket = sys::watch(socket).map_err(failed("epoll"))?;
        Ok(Self { socket, local })
    }

    /// The next datagram.
    ///
    /// # Errors
    /// What the kernel said. The socket remains usable.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<Received, UdpError> {
        loop {
            let receive = |socket: &Socket| sys::receive_message(socket.as_fd(), buf);
            let message = self.socket.async_io(Interest::READABLE, receive).await;
            let message = message.map_err(UdpError::of(self.local, "recvmsg"))?;
            if let Some(received) = received(&message) {
                return Ok(received);
            }
        }
    }

    /// A datagram that waits already, if one does: to be asked before a timer is believed.
    ///
    /// # Errors
    /// What the kernel said. The socket remains usable.
    pub fn try_recv(&self, buf: &mut [u8]) -> Result<Option<Received>, UdpError> {
        loop {
            match sys::receive_message(self.socket.get_ref().as_fd(), buf) {
                Ok(message) => match received(&message) {
                    Some(received) => return Ok(Some(received)),
                    None => continue,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(UdpError::of(self.local, "recvmsg")(error)),
            }
        }
    }
}

/// Everything the kernel was asked to say came with the datagram.
fn received(message: &Message) -> Option<Received> {
    Some(Received {
        length: message.length,
        from: message.from?,
        to: message.to?.to_canonical(),
        interface: message.interface?,
        ttl: message.ttl?,
    })
}

/// Where and how datagrams are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// The peer; a link-local address with the index of its link as scope.
    pub remote: SocketAddr,
    /// Local address; absent means the kernel's choice.
    pub source: Option<IpAddr>,
    /// Interface or VRF device everything goes through; absent means by route.
    pub device: Option<String>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// Where the search for a free source port begins; any number will do.
    pub seed: u16,
}

/// A socket that sends to one peer, always from the same port (RFC 5881 §4, MUST).
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    remote: SocketAddr,
    local: SocketAddr,
}

impl Sender {
    /// Opens a socket with a source port of its own.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open(options: &SendOptions) -> Result<Self, UdpError> {
        let target = options.remote;
        let failed = |operation| UdpError::of(target, operation);
        let socket = open(target, options.device.as_deref())?;
        let class = u32::from(options.dscp & 63) << 2;
        if target.is_ipv4() {
            socket
                .set_ttl_v4(options.ttl.into())
                .map_err(failed("IP_TTL"))?;
            socket.set_tos_v4(class).map_err(failed("IP_TOS"))?;
        } else {
            socket
                .set_unicast_hops_v6(options.ttl.into())
                .map_err(failed("IPV6_UNICAST_HOPS"))?;
            socket.set_tclass_v6(class).map_err(failed("IPV6_TCLASS"))?;
        }
        let local = source(options)?;
        let local = bind_source(&socket, target, local, options.seed)?;
        Ok(Self {
            socket,
            remote: target,
            local,
        })
    }

    /// The local address and port; the address is unspecified if the kernel chooses it.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a datagram. Whether anybody receives it isn't known.
    ///
    /// # Errors
    /// [`UdpError::Full`], or what the kernel said, such as that there is no route.
    pub fn send(&self, payload: &[u8]) -> Result<(), UdpError> {
        let sent = self.socket.send_to(payload, &self.remote.into());
        sent.map(drop).map_err(|error| {
            let full = error.raw_os_error() == Some(libc::ENOBUFS);
            if full || error.kind() == io::ErrorKind::WouldBlock {
                UdpError::Full {
                    target: self.remote,
                }
            } else {
                UdpError::of(self.remote, "sendto")(error)
            }
        })
    }
}

fn source(options: &SendOptions) -> Result<SocketAddr, UdpError> {
    let target = options.remote;
    match (target, options.source) {
        (SocketAddr::V4(_), None) => Ok(SocketAddr::from(([0; 4], 0))),
        (SocketAddr::V6(_), None) => Ok(SocketAddr::from(([0_u16; 8], 0))),
        (SocketAddr::V4(_), Some(address @ IpAddr::V4(_))) => Ok(SocketAddr::new(address, 0)),
        (SocketAddr::V6(remote), Some(IpAddr::V6(ip))) => {
            // A link-local source is on the peer's link.
            let scope = if ip.is_unicast_link_local() {
                remote.scope_id()
            } else {
                0
            };
            Ok(SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        (_, Some(address)) => Err(UdpError::OtherFamily { target, address }),
    }
}

/// Binds to the first free port of the range, beginning somewhere in it.
fn bind_source(
    socket: &Socket,
    target: SocketAddr,
    mut local: SocketAddr,
    seed: u16,
) -> Result<SocketAddr, UdpError> {
    let range = u16::MAX - SOURCE_PORT_MIN;
    let first = seed % range;
    for offset in (first..=range).chain(0..first) {
        local.set_port(SOURCE_PORT_MIN + offset);
        match bind(socket, target, local) {
            Ok(()) => return Ok(local),
            Err(UdpError::Io { source, .. }) if source.raw_os_error() == Some(libc::EADDRINUSE) => {
            }
            Err(error) => return Err(error),
        }
    }
    Err(UdpError::NoPort { target })
}

fn bind(socket: &Socket, target: SocketAddr, local: SocketAddr) -> Result<(), UdpError> {
    socket
        .bind(&local.into())
        .map_err(|source| match source.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => UdpError::NoSource {
                target,
                address: local.ip(),
            },
            _ => UdpError::of(target, "bind")(source),
        })
}

/// A socket of `target`'s family, on `device` if one is named.
fn open(target: SocketAddr, device: Option<&str>) -> Result<Socket, UdpError> {
    if let SocketAddr::V6(v6) = target
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        return Err(UdpError::NoScope { target });
    }
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
        .map_err(UdpError::of(target, "socket"))?;
    socket
        .set_nonblocking(true)
        .map_err(UdpError::of(target, "O_NONBLOCK"))?;
    if let Some(device) = device {
        socket
            .bind_device(Some(device.as_bytes()))
            .map_err(|source| match source.raw_os_error() {
                Some(libc::ENODEV) => UdpError::NoDevice {
                    target,
                    device: device.to_owned(),
                },
                _ => UdpError::of(target, "SO_BINDTODEVICE")(source),
            })?;
    }
    Ok(socket)
}
