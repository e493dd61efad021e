//! Router advertisements and solicitations on one interface, as raw ICMPv6.
//!
//! Needs `CAP_NET_RAW`. The kernel makes and checks checksums; everything else of a message is the
//! caller's.

use crate::sys::{self, Message};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// All nodes of the link, and all its routers (RFC 4291 §2.7.1).
const NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// What both kinds of message come and go with (RFC 4861 §6.1).
const HOP_LIMIT: u32 = 255;
/// The types that are received: router solicitation and advertisement.
const TYPES: [u8; 2] = [133, 134];

/// Why there is no such socket, or why it failed.
#[derive(Debug, thiserror::Error)]
#[error("router advertisements on {interface}: {operation}: {source}")]
pub struct RouterError {
    /// The interface.
    interface: String,
    /// What was tried.
    operation: &'static str,
    /// The kernel's answer.
    source: io::Error,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: Ipv6Addr,
    /// The hop limit it arrived with.
    pub hop_limit: u8,
}

/// A socket on one interface.
#[derive(Debug)]
pub struct RouterSocket {
    socket: AsyncFd<Socket>,
    interface: String,
    index: u32,
}

impl RouterSocket {
    /// Opens it on the interface of this name and index. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open(interface: &str, index: u32) -> Result<Self, RouterError> {
        let failed = |operation| {
            move |source| RouterError {
                interface: interface.to_owned(),
                operation,
                source,
            }
        };
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))
            .map_err(failed("socket"))?;
        socket.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
        sys::pass_icmpv6(socket.as_fd(), &TYPES).map_err(failed("ICMPV6_FILTER"))?;
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(failed("SO_BINDTODEVICE"))?;
        socket
            .set_multicast_hops_v6(HOP_LIMIT)
            .map_err(failed("IPV6_MULTICAST_HOPS"))?;
        socket
            .set_multicast_loop_v6(false)
            .map_err(failed("IPV6_MULTICAST_LOOP"))?;
        socket
            .set_multicast_if_v6(index)
            .map_err(failed("IPV6_MULTICAST_IF"))?;
        socket
            .join_multicast_v6(&ROUTERS, index)
            .map_err(failed("IPV6_ADD_MEMBERSHIP"))?;
        let name = libc::IPV6_RECVHOPLIMIT;
        sys::set_option(socket.as_fd(), libc::IPPROTO_IPV6, name, 1)
            .map_err(failed("IPV6_RECVHOPLIMIT"))?;
        let socket = sys::watch(socket).map_err(failed("epoll"))?;
        Ok(Self {
            socket,
            interface: interface.to_owned(),
            index,
        })
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> RouterError {
        let interface = self.interface.clone();
        move |source| RouterError {
            interface,
            operation,
            source,
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// What the kernel said.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<Received, RouterError> {
        loop {
            let receive = |socket: &Socket| sys::receive_message(socket.as_fd(), buf);
            let message = self.socket.async_io(Interest::READABLE, receive).await;
            let message = message.map_err(self.failed("recvmsg"))?;
            if let Some(received) = received(&message) {
                return Ok(received);
            }
        }
    }

    /// Sends a message to every node of the link, from its link-local address.
    ///
    /// # Errors
    /// What the kernel said, such as that there is no link-local address yet.
    pub fn send(&self, message: &[u8]) -> Result<(), RouterError> {
        let to = SocketAddr::V6(SocketAddrV6::new(NODES, 0, 0, self.index));
        let sent = self.socket.get_ref().send_to(message, &to.into());
        sent.map(drop).map_err(self.failed("sendto"))
    }
}

fn received(message: &Message) -> Option<Received> {
    let IpAddr::V6(from) = message.from?.ip() else {
        return None;
    };
    Some(Received {
        length: message.length,
        from,
        hop_limit: message.ttl?,
    })
}
