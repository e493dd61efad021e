//! IPv4 packets of one interface below the kernel's IP, for the echo function of BFD (RFC 5881 §4): a
//! packet to our own address that a neighbour is to return can't be sent otherwise, nor received.
//!
//! A filter in the kernel keeps everything away but UDP to the ports of BFD over one hop. Needs
//! `CAP_NET_RAW` to open, nothing afterwards.

use crate::packet::PacketError;
use crate::packet::filter::{JUMP_EQUAL, LOAD_BYTE, LOAD_HALF, RETURN, load, load_metadata};
use crate::sys;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io;
use std::os::fd::AsFd;
use tokio::io::unix::AsyncFd;

/// A hardware address of Ethernet.
pub type Hardware = [u8; 6];

/// Octets of a packet that are received; BFD's are shorter.
pub const SNAP: usize = 128;

const PORT_CONTROL: u32 = 3784;
const PORT_ECHO: u32 = 3785;

/// The length of the IPv4 header into the index.
const INDEX_HEADER: u16 = (libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH) as u16;
const LOAD_HALF_AT_INDEX: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_IND) as u16;
const JUMP_ANY_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;

/// Takes whole UDP datagrams to this host's hardware address and one of the two ports; places count
/// from the IPv4 header on.
const PROGRAM: [SockFilter; 12] = [
    load_metadata(libc::SKF_AD_PKTTYPE),
    SockFilter::new(JUMP_EQUAL, 0, 9, libc::PACKET_HOST as u32),
    load(LOAD_BYTE, 9),
    SockFilter::new(JUMP_EQUAL, 0, 7, libc::IPPROTO_UDP as u32),
    load(LOAD_HALF, 6),
    // More fragments, or not the first.
    SockFilter::new(JUMP_ANY_SET, 5, 0, 0x3fff),
    load(INDEX_HEADER, 0),
    load(LOAD_HALF_AT_INDEX, 2),
    SockFilter::new(JUMP_EQUAL, 1, 0, PORT_CONTROL),
    SockFilter::new(JUMP_EQUAL, 0, 1, PORT_ECHO),
    SockFilter::new(RETURN, 0, 0, SNAP as u32),
    SockFilter::new(RETURN, 0, 0, 0),
];

/// A socket of one interface.
#[derive(Debug)]
pub struct EchoSocket {
    socket: AsyncFd<Socket>,
    interface: u32,
}

impl EchoSocket {
    /// Opens one on the interface with index `interface`.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`PacketError::MissingNetRaw`], [`PacketError::Gone`], or what the kernel refused.
    pub fn open(interface: u32) -> Result<Self, PacketError> {
        let failed = |operation| move |source| failure(interface, operation, source);
        // Protocol 0: nothing is received before the filter stands and the socket is bound.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))
            .map_err(failed("socket"))?;
        socket
            .attach_filter(&PROGRAM)
            .map_err(failed("SO_ATTACH_FILTER"))?;
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1)
            .map_err(failed("SO_LOCK_FILTER"))?;
        socket.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
        sys::bind_packet_ipv4(socket.as_fd(), interface).map_err(failed("bind"))?;
        let socket = sys::watch(socket).map_err(failed("registering with the runtime"))?;
        Ok(Self { socket, interface })
    }

    /// Waits for a packet, writes it to `buf` from its IPv4 header on, and returns its length and
    /// the hardware address it came from. Cancel-safe.
    ///
    /// # Errors
    /// What the kernel reported; an interface that is down or gone among it.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<(usize, Hardware), PacketError> {
        self.socket
            .async_io(sys::READABLE_OR_FAILED, |socket| {
                sys::receive_from_hardware(socket.as_fd(), buf)
            })
            .await
            .map_err(|source| failure(self.interface, "recvfrom", source))
    }

    /// A packet that is already here, or `None`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> Result<Option<(usize, Hardware)>, PacketError> {
        match sys::receive_from_hardware(self.socket.get_ref().as_fd(), buf) {
            Ok(received) => Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(failure(self.interface, "recvfrom", source)),
        }
    }

    /// Sends an IPv4 packet to a hardware address on the interface, without waiting.
    ///
    /// # Errors
    /// [`PacketError::Full`], [`PacketError::Down`], or what the kernel reported.
    pub fn send(&self, packet: &[u8], to: Hardware) -> Result<(), PacketError> {
        sys::send_to_hardware(self.socket.get_ref().as_fd(), self.interface, to, packet)
            .map_err(|source| failure(self.interface, "sendto", source))
    }
}

fn failure(interface: u32, operation: &'static str, source: io::Error) -> PacketError {
    match source.raw_os_error() {
        Some(libc::EPERM) => PacketError::MissingNetRaw { interface },
        Some(libc::ENXIO | libc::ENODEV) => PacketError::Gone { interface },
        Some(libc::ENETDOWN) => PacketError::Down { interface },
        Some(libc::ENOBUFS | libc::EAGAIN) => PacketError::Full { interface },
        _ => PacketError::Io {
            interface,
            operation,
            source,
        },
    }
}

/// Whether this host forwards IPv4 packets that come in by the interface of this name, and so returns
/// a neighbour's echo packets.
#[must_use]
pub fn forwards(interface: &str) -> bool {
    // A name with a slash in it is no interface's.
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
    !interface.contains('/') && std::fs::read(path).is_ok_and(|text| text.starts_with(b"1"))
}
