//! A raw Ethernet socket of the lab's own.

use crate::frame::Mac;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, recvfrom,
    sendto, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Largest frame looked at; ARP and NDP are far smaller.
const FRAME: usize = 2048;
/// A burst of thousands of answers must not overrun the socket.
const BUFFER: usize = 8 << 20;
/// `sll_pkttype` of frames this host sent (packet(7)).
const OUTGOING: u8 = 4;

/// An `AF_PACKET` socket, of one interface or of all in its namespace.
#[derive(Debug)]
pub struct RawSocket {
    fd: OwnedFd,
    to: Option<LinkAddr>,
}

/// A frame and where it came in.
#[derive(Debug)]
pub struct Received<'a> {
    /// The frame, from its Ethernet header on.
    pub frame: &'a [u8],
    /// Index of the interface.
    pub interface: usize,
}

impl RawSocket {
    /// Opens one on `interface` in the calling thread's namespace.
    ///
    /// # Errors
    /// If there is no such interface, or without CAP_NET_RAW.
    pub fn on(interface: &str) -> Result<Self> {
        let link = link(interface)?;
        let fd = open()?;
        bind(fd.as_raw_fd(), &link).with_context(|| format!("binding to {interface}"))?;
        Ok(Self { fd, to: Some(link) })
    }

    /// Opens one that hears every interface in the calling thread's namespace, and can't send.
    ///
    /// # Errors
    /// Without CAP_NET_RAW.
    pub fn everywhere() -> Result<Self> {
        Ok(Self {
            fd: open()?,
            to: None,
        })
    }

    /// The interface's own address.
    #[must_use]
    pub fn mac(&self) -> Mac {
        Mac(self.to.and_then(|l| l.addr()).unwrap_or_default())
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the interface is down.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let to = self.to.context("this socket only listens")?;
        loop {
            match sendto(self.fd.as_raw_fd(), frame, &to, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                // The interface's queue is full: it drains at the speed of the link.
                Err(Errno::ENOBUFS) => std::thread::yield_now(),
                Err(e) => return Err(e).context("sending a frame"),
            }
        }
    }

    /// Waits for a frame another host sent; `None` after `timeout` (at least a microsecond).
    ///
    /// # Errors
    /// If the socket fails.
    pub fn receive<'a>(
        &self,
        buffer: &'a mut [u8; FRAME],
        timeout: Duration,
    ) -> Result<Option<Received<'a>>> {
        self.set_timeout(timeout)?;
        loop {
            match recvfrom::<LinkAddr>(self.fd.as_raw_fd(), buffer.as_mut_slice()) {
                Ok((_, Some(from))) if from.pkttype() == OUTGOING => {}
                Ok((n, from)) => {
                    return Ok(Some(Received {
                        frame: buffer.get(..n).unwrap_or_default(),
                        interface: from.map_or(0, |f| f.ifindex()),
                    }));
                }
                Err(Errno::EINTR | Errno::ENETDOWN) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(e) => return Err(e).context("receiving a frame"),
            }
        }
    }

    /// Waits until a frame can be received, and leaves it there; whether there is one.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn await_frame(&self, timeout: Duration) -> Result<bool> {
        self.set_timeout(timeout)?;
        match recv(self.fd.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => Ok(false),
            Err(e) => Err(e).context("waiting for a frame"),
        }
    }

    fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let micros = i64::try_from(timeout.as_micros())
            .unwrap_or(i64::MAX)
            .max(1);
        setsockopt(&self.fd, ReceiveTimeout, &TimeVal::microseconds(micros))?;
        Ok(())
    }

    /// A buffer for [`RawSocket::receive`].
    #[must_use]
    pub fn buffer() -> [u8; FRAME] {
        [0; FRAME]
    }
}

fn open() -> Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )
    .context("opening a raw socket")?;
    // Beyond the system's limit where that is allowed.
    setsockopt(&fd, RcvBufForce, &BUFFER).or_else(|_| setsockopt(&fd, RcvBuf, &BUFFER))?;
    Ok(fd)
}

fn link(interface: &str) -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|a| a.interface_name == interface)
        .find_map(|a| a.address?.as_link_addr().copied())
        .with_context(|| format!("no interface {interface}"))
}
