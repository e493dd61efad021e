//! Ethernet frames of one interface: ARP and neighbour discovery in, anything out.
//!
//! One `AF_PACKET` socket per interface serves ARP and NDP. A filter in the kernel (see
//! `filter.rs`) keeps every other frame away, so an idle process sleeps on a busy interface.
//!
//! Invariants: the filter is in force before the first frame can arrive (the socket has no
//! protocol until it is bound) and can't be changed afterwards; a frame this host sent is never
//! received. Needs `CAP_NET_RAW` to open, nothing afterwards.
//!
//! The socket outlives a link that goes down and up again: [`PacketError::Down`] is reported once
//! and frames flow again later. After [`PacketError::Gone`] it is of no more use.

pub(crate) mod filter;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::sys;

/// Bytes of frames the kernel may keep for us, before it applies its own limit
/// (`net.core.rmem_max`). Not memory of this process.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Why a packet socket couldn't be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// The process lacks `CAP_NET_RAW`.
    #[error("interface {interface}: opening a packet socket needs CAP_NET_RAW")]
    MissingNetRaw {
        /// Index of the interface.
        interface: u32,
    },
    /// The interface is down; the socket works again when it is up.
    #[error("interface {interface} is down")]
    Down {
        /// Index of the interface.
        interface: u32,
    },
    /// The interface no longer exists; the socket is of no more use.
    #[error("interface {interface} is gone")]
    Gone {
        /// Index of the interface.
        interface: u32,
    },
    /// The interface's send queue is full; the frame was not sent.
    #[error("interface {interface}: the send queue is full")]
    Full {
        /// Index of the interface.
        interface: u32,
    },
    /// Any other failure.
    #[error("interface {interface}: {operation}: {source}")]
    Io {
        /// Index of the interface.
        interface: u32,
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Frames that passed the filter, as the kernel counted them since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounters {
    /// Frames that passed the filter, the dropped ones included.
    pub matched: u32,
    /// Frames lost because the receive buffer was full.
    pub dropped: u32,
}

/// A packet socket bound to one interface.
#[derive(Debug)]
pub struct PacketSocket {
    socket: AsyncFd<Socket>,
    interface: u32,
}

impl PacketSocket {
    /// Length in bytes of the longest frame [`recv`](Self::recv) returns: a buffer of this size
    /// loses nothing. Longer frames are cut.
    pub const FRAME_MAX: usize = filter::FRAME_MAX;

    /// Opens a socket on the interface with index `interface`.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`PacketError::MissingNetRaw`], [`PacketError::Gone`], or what the kernel refused.
    pub fn open(interface: u32) -> Result<Self, PacketError> {
        let failed = |operation| {
            move |source: io::Error| match source.raw_os_error() {
                Some(libc::EPERM) => PacketError::MissingNetRaw { interface },
                Some(libc::ENODEV | libc::ENXIO) => PacketError::Gone { interface },
                _ => PacketError::Io {
                    interface,
                    operation,
                    source,
                },
            }
        };
        // Protocol 0: nothing is received before the filter stands and the socket is bound.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))
            .map_err(failed("socket"))?;
        socket
            .attach_filter(&filter::PROGRAM)
            .map_err(failed("SO_ATTACH_FILTER"))?;
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1)
            .map_err(failed("SO_LOCK_FILTER"))?;
        // The filter refuses what we send ourselves, too; this saves the kernel the copy. A kernel
        // before 4.20 doesn't know the option.
        if let Err(error) = sys::set_option(
            socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            1,
        ) {
            tracing::debug!(interface, %error, "PACKET_IGNORE_OUTGOING is not available");
        }
        socket
            .set_recv_buffer_size(RECEIVE_BUFFER)
            .map_err(failed("SO_RCVBUF"))?;
        socket.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
        sys::bind_packet(socket.as_fd(), interface).map_err(failed("bind"))?;
        let socket = sys::watch(socket).map_err(failed("registering with the runtime"))?;
        Ok(Self { socket, interface })
    }

    /// Index of the interface.
    #[must_use]
    pub fn interface(&self) -> u32 {
        self.interface
    }

    /// Waits for a frame, writes it to `buf` and returns its length in bytes. A frame longer than
    /// `buf` is cut. Cancel-safe: a frame is either returned or still there.
    ///
    /// # Errors
    /// [`PacketError::Down`] once each time the link goes down, [`PacketError::Gone`], or what the
    /// kernel reported.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<usize, PacketError> {
        self.socket
            .async_io(sys::READABLE_OR_FAILED, |socket| receive(socket, buf))
            .await
            .map_err(|source| self.failed("recv", source))
    }

    /// Like [`recv`](Self::recv), for hand-written futures; but a link that goes down doesn't wake
    /// the task, and is reported instead of the next frame.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, PacketError>> {
        loop {
            let mut ready = match ready!(self.socket.poll_read_ready(cx)) {
                Ok(ready) => ready,
                Err(source) => return Poll::Ready(Err(self.failed("poll", source))),
            };
            if let Ok(result) = ready.try_io(|socket| receive(socket.get_ref(), buf)) {
                return Poll::Ready(result.map_err(|source| self.failed("recv", source)));
            }
        }
    }

    /// A frame that is already here, or `None`: after one [`recv`](Self::recv) the rest of a burst
    /// can be taken without asking the runtime again.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> Result<Option<usize>, PacketError> {
        match receive(self.socket.get_ref(), buf) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(self.failed("recv", source)),
        }
    }

    /// Sends one whole frame, Ethernet header included, without waiting.
    ///
    /// # Errors
    /// [`PacketError::Full`] if the frame can be tried again later, [`PacketError::Down`],
    /// [`PacketError::Gone`], or what the kernel reported.
    pub fn try_send(&self, frame: &[u8]) -> Result<(), PacketError> {
        // A datagram is sent whole or not at all: the count is always the frame's length.
        sys::send(self.as_fd(), frame)
            .map(|_sent| ())
            .map_err(|source| self.failed("send", source))
    }

    /// What the kernel counted since the last call; each call starts again from zero.
    ///
    /// # Errors
    /// What the kernel reported.
    pub fn take_counters(&self) -> Result<PacketCounters, PacketError> {
        let stats = sys::packet_statistics(self.as_fd())
            .map_err(|source| self.failed("PACKET_STATISTICS", source))?;
        Ok(PacketCounters {
            matched: stats.tp_packets,
            dropped: stats.tp_drops,
        })
    }

    /// Names the cause of a failure.
    fn failed(&self, operation: &'static str, source: io::Error) -> PacketError {
        let interface = self.interface;
        match source.raw_os_error() {
            Some(libc::ENXIO | libc::ENODEV) => PacketError::Gone { interface },
            // The kernel says ENETDOWN for both; a removed interface also ends the binding.
            Some(libc::ENETDOWN) => match sys::bound_interface(self.as_fd()) {
                Ok(index) if index > 0 => PacketError::Down { interface },
                Ok(_) | Err(_) => PacketError::Gone { interface },
            },
            Some(libc::ENOBUFS | libc::EAGAIN) => PacketError::Full { interface },
            _ => PacketError::Io {
                interface,
                operation,
                source,
            },
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// One frame into `buf`; its length there.
fn receive(socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    sys::receive(socket.as_fd(), buf).map(|length| length.min(buf.len()))
}
