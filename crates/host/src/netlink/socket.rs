//! Netlink sockets that only the kernel can talk to.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::message::{Request, messages};
use crate::sys;

/// Bytes of a datagram we take; the kernel makes none longer.
pub(crate) const DATAGRAM_MAX: usize = 32 << 10;

/// Bytes of messages the kernel may keep for us, before it applies its own limit
/// (`net.core.rmem_max`). Not memory of this process.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Opens a non-blocking socket of the netlink family `protocol`, joins the groups of `groups`' bits and connects
/// it to the kernel, so that no other process can send to it.
pub(crate) fn open(protocol: libc::c_int, groups: u32) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(protocol)),
    )?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    // An error quotes only the header of the request it is about.
    sys::set_option(socket.as_fd(), libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
    sys::bind_netlink(socket.as_fd(), groups)?;
    sys::connect_netlink(socket.as_fd())?;
    Ok(socket)
}

/// Sends a request.
pub(crate) fn send(socket: &Socket, request: &Request) -> io::Result<()> {
    sys::send(socket.as_fd(), request.as_bytes()).map(|_sent| ())
}

/// Receives a datagram whole; its length.
pub(crate) fn receive(socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    let length = sys::receive(socket.as_fd(), buf)?;
    if length > buf.len() {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    Ok(length)
}

/// Takes the answers to a request that changes something: the first error, if any.
///
/// The kernel has answered by the time the request is sent, so nothing is waited for; a request
/// that asked for no acknowledgement is answered with its errors only.
pub(crate) fn acknowledged(socket: &Socket) -> io::Result<()> {
    let mut buf = [0; 1024];
    let mut result = Ok(());
    loop {
        let length = match receive(socket, &mut buf) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return result,
            Err(error) => return Err(error),
        };
        for message in messages(buf.get(..length).unwrap_or_default()) {
            if i32::from(message.kind) == libc::NLMSG_ERROR
                && message.errno() != 0
                && result.is_ok()
            {
                result = Err(io::Error::from_raw_os_error(message.errno()));
            }
        }
    }
}
