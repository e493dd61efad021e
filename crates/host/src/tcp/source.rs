//! The local address of a connection before it is made.

use super::{Options, TcpError, local, open_as};
use socket2::{Protocol, Type};
use std::net::IpAddr;

/// The local address a connection would have if it were made now. Nothing is sent.
///
/// # Errors
/// What the kernel refused: no way to the peer, no such interface, or a local address that isn't
/// here.
pub fn source_of(options: &Options) -> Result<IpAddr, TcpError> {
    let target = options.remote;
    // Connecting a datagram socket only chooses the way, as it would be chosen for a connection.
    let kind = (Type::DGRAM, Protocol::UDP);
    let socket = open_as(target, options.device.as_deref(), kind)?;
    if let Some(address) = options.source {
        let local = local(target, address)?;
        socket
            .bind(&local.into())
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EADDRNOTAVAIL) => TcpError::NoSource { target, address },
                _ => TcpError::of(target, "bind")(source),
            })?;
    }
    socket
        .connect(&target.into())
        .map_err(TcpError::of(target, "connect"))?;
    let local = socket
        .local_addr()
        .map_err(TcpError::of(target, "getsockname"))?;
    let unnamed = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    let ip = local.as_socket().map(|local| local.ip());
    ip.ok_or_else(|| TcpError::of(target, "getsockname")(unnamed()))
}
