//! Netlink sockets that only the kernel can talk to.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::message::Request;
use crate::sys;

/// Bytes of a datagram we take; the kernel makes none longer.
pub(crate) const DATAGRAM_MAX: usize = 32 << 10;

/// Bytes of messages the kernel may keep for us, before it applies its own limit
/// (`net.core.rmem_max`). Not memory of this process.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Opens a socket of the netlink family `protocol`, joins the groups of `groups`' bits and connects
/// it to the kernel, so that no other process can send to it.
pub(crate) fn open(protocol: libc::c_int, groups: u32) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(protocol)),
    )?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
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
