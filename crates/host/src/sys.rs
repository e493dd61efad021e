//! Safe functions around the system calls that neither the standard library nor `socket2` has.
//!
//! Invariant: every `unsafe` block of the crate is in this file, and no function here can be
//! misused to break memory safety.
#![expect(
    unsafe_code,
    reason = "the system calls have no safe wrapper in the libraries we use"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::with_exposed_provenance_mut;
use std::time::Duration;

use libc::{c_int, c_void, sockaddr, sockaddr_ll, sockaddr_nl, socklen_t, tpacket_stats};
use socket2::{SockAddr, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::memory::Program;

/// Turns the `-1` of a system call into the error in `errno`.
fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The size of `T` as the kernel wants it.
const fn length<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}

/// Sets a socket option that is one `int`.
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            length::<c_int>(),
        )
    })
}

/// Sets an option of TCP. None of those has a pointer in it, so any bytes will do.
pub(crate) fn set_tcp_option(socket: BorrowedFd<'_>, name: c_int, value: &[u8]) -> io::Result<()> {
    let length =
        socklen_t::try_from(value.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            name,
            value.as_ptr().cast::<c_void>(),
            length,
        )
    })
}

/// Has a raw ICMPv6 socket receive messages of these types only (RFC 3542 §3.2).
pub(crate) fn pass_icmpv6(socket: BorrowedFd<'_>, types: &[u8]) -> io::Result<()> {
    /// Level and name of the option; one bit for each type, set to keep it off.
    const ICMPV6_FILTER: c_int = 1;
    let mut filter = [u32::MAX; 8];
    for kind in types {
        if let Some(word) = filter.get_mut(usize::from(kind >> 5)) {
            *word &= !(1 << (kind & 31));
        }
    }
    // SAFETY: the pointer and the length describe `filter`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMPV6_FILTER,
            (&raw const filter).cast::<c_void>(),
            length::<[u32; 8]>(),
        )
    })
}

/// Binds a packet socket to every protocol of one interface.
pub(crate) fn bind_packet(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    bind_hardware(socket, hardware_address(interface, libc::ETH_P_ALL)?)
}

/// Binds a packet socket to the IPv4 packets that come in by one interface.
pub(crate) fn bind_packet_ipv4(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    bind_hardware(socket, hardware_address(interface, libc::ETH_P_IP)?)
}

/// An interface and a protocol, without a hardware address.
fn hardware_address(interface: u32, protocol: c_int) -> io::Result<sockaddr_ll> {
    let index =
        c_int::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`: it has only integers.
    let mut address: sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = index;
    Ok(address)
}

fn bind_hardware(socket: BorrowedFd<'_>, address: sockaddr_ll) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast::<sockaddr>(),
            length::<sockaddr_ll>(),
        )
    })
}

/// Sends an IPv4 packet from a packet socket to a hardware address on an interface; the kernel writes
/// the frame around it.
pub(crate) fn send_to_hardware(
    socket: BorrowedFd<'_>,
    interface: u32,
    to: [u8; 6],
    packet: &[u8],
) -> io::Result<()> {
    let mut address = hardware_address(interface, libc::ETH_P_IP)?;
    address.sll_halen = 6;
    for (place, octet) in address.sll_addr.iter_mut().zip(to) {
        *place = octet;
    }
    // SAFETY: the kernel only reads the `packet.len()` bytes of `packet`, and `address`, whose length
    // is its own.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast::<c_void>(),
            packet.len(),
            0,
            (&raw const address).cast::<sockaddr>(),
            length::<sockaddr_ll>(),
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Receives one packet of a packet socket into `buf`, and the hardware address it came from; what is
/// longer than `buf` is cut.
pub(crate) fn receive_from_hardware(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
) -> io::Result<(usize, [u8; 6])> {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`: it has only integers.
    let mut address: sockaddr_ll = unsafe { zeroed() };
    let mut len = length::<sockaddr_ll>();
    // SAFETY: the kernel writes at most `buf.len()` bytes to `buf` and at most `len` bytes to
    // `address`; all outlive the call.
    let got = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast::<c_void>(),
            buf.len(),
            0,
            (&raw mut address).cast::<sockaddr>(),
            &raw mut len,
        )
    };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    let [a, b, c, d, e, f, ..] = address.sll_addr;
    Ok((got, [a, b, c, d, e, f]))
}

/// The index of the interface a packet socket is bound to; -1 once that interface is gone.
pub(crate) fn bound_interface(socket: BorrowedFd<'_>) -> io::Result<c_int> {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`: it has only integers.
    let mut address: sockaddr_ll = unsafe { zeroed() };
    let mut len = length::<sockaddr_ll>();
    // SAFETY: the kernel writes at most `len` bytes to `address`; both outlive the call.
    check(unsafe {
        libc::getsockname(
            socket.as_raw_fd(),
            (&raw mut address).cast::<sockaddr>(),
            &raw mut len,
        )
    })?;
    Ok(address.sll_ifindex)
}

/// The packets a packet socket got and lost since the last call.
pub(crate) fn packet_statistics(socket: BorrowedFd<'_>) -> io::Result<tpacket_stats> {
    let mut stats = tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = length::<tpacket_stats>();
    // SAFETY: the kernel writes at most `len` bytes to `stats`; both outlive the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast::<c_void>(),
            &raw mut len,
        )
    })?;
    Ok(stats)
}

/// The kernel's own netlink address, with the multicast groups of `groups`' bits.
fn netlink_address(groups: u32) -> sockaddr_nl {
    // SAFETY: all-zero bytes are a valid `sockaddr_nl`: it has only integers.
    let mut address: sockaddr_nl = unsafe { zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    address
}

/// Binds a netlink socket to a port the kernel chooses and joins the groups of `groups`' bits.
pub(crate) fn bind_netlink(socket: BorrowedFd<'_>, groups: u32) -> io::Result<()> {
    let address = netlink_address(groups);
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast::<sockaddr>(),
            length::<sockaddr_nl>(),
        )
    })
}

/// Connects a netlink socket to the kernel, so that no other process can send to it.
pub(crate) fn connect_netlink(socket: BorrowedFd<'_>) -> io::Result<()> {
    let address = netlink_address(0);
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    check(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast::<sockaddr>(),
            length::<sockaddr_nl>(),
        )
    })
}

/// Receives one datagram into `buf` and returns its full length, which is more than `buf.len()`
/// if the datagram was cut off.
pub(crate) fn receive(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buf.len()` bytes to `buf`.
    let got = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast::<c_void>(),
            buf.len(),
            libc::MSG_TRUNC,
        )
    };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// A datagram, and what the kernel said of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message {
    /// Bytes in the buffer.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) from: Option<SocketAddr>,
    /// The address it was sent to.
    pub(crate) to: Option<IpAddr>,
    /// Index of the interface it came in by.
    pub(crate) interface: Option<u32>,
    /// TTL or hop limit.
    pub(crate) ttl: Option<u8>,
}

/// Room for the control messages of a datagram, aligned as their headers must be.
#[repr(align(8))]
struct Control([u8; 128]);

/// Receives one datagram into `buf`, with the control messages its socket asked for. A datagram
/// longer than `buf` is cut.
pub(crate) fn receive_message(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Message> {
    let mut control = Control([0; 128]);
    let mut iov = libc::iovec {
        iov_base: buf.as_mut_ptr().cast::<c_void>(),
        iov_len: buf.len(),
    };
    // SAFETY: all-zero bytes are a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast::<c_void>();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: the kernel writes an address of at most `*len` bytes to `storage` and says its
    // length; it writes at most `iov_len` bytes to `buf` and `msg_controllen` bytes to `control`,
    // which outlive the call.
    let (length, from) = unsafe {
        SockAddr::try_init(|storage, len| {
            header.msg_name = storage.cast::<c_void>();
            header.msg_namelen = *len;
            let got = libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0);
            *len = header.msg_namelen;
            usize::try_from(got).map_err(|_| io::Error::last_os_error())
        })
    }?;
    let mut message = Message {
        length,
        from: from.as_socket(),
        ..Message::default()
    };
    // SAFETY: `header` describes `control`, which the kernel filled; the result is null or points
    // to a whole header in it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !next.is_null() {
        // SAFETY: `next` points to a whole header in `control`.
        let (level, kind) = unsafe { ((*next).cmsg_level, (*next).cmsg_type) };
        // SAFETY: the kernel puts the value of its type behind a header; it need not be aligned,
        // so it is read as it lies.
        unsafe {
            let data = libc::CMSG_DATA(next);
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    let ttl = data.cast::<c_int>().read_unaligned();
                    message.ttl = u8::try_from(ttl).ok();
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    message.interface = u32::try_from(info.ipi_ifindex).ok();
                    let octets = info.ipi_addr.s_addr.to_ne_bytes();
                    message.to = Some(IpAddr::from(octets));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    message.interface = Some(info.ipi6_ifindex as u32);
                    message.to = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => {}
            }
        }
        // SAFETY: as for the first header; it ends within `msg_controllen`.
        next = unsafe { libc::CMSG_NXTHDR(&raw const header, next) };
    }
    Ok(message)
}

/// Sends one datagram.
pub(crate) fn send(socket: BorrowedFd<'_>, datagram: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel only reads the `datagram.len()` bytes of `datagram`.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            datagram.as_ptr().cast::<c_void>(),
            datagram.len(),
            0,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// What wakes a task that receives: data, or an error alone (an interface that went down).
pub(crate) const READABLE_OR_FAILED: Interest = Interest::READABLE.add(Interest::ERROR);

/// Registers a socket with the Tokio runtime, to be told of [`READABLE_OR_FAILED`].
pub(crate) fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: `Socket` owns its descriptor: it is open, always the same, and closed only after the
    // `AsyncFd` that now owns the socket is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(socket, READABLE_OR_FAILED) }?)
}

/// The time since some fixed moment, on the clock the service manager uses (`CLOCK_MONOTONIC`).
pub(crate) fn monotonic() -> Duration {
    clock(libc::CLOCK_MONOTONIC)
}

/// The time since the start of the machine, sleep included (`CLOCK_BOOTTIME`).
pub(crate) fn since_boot() -> Duration {
    clock(libc::CLOCK_BOOTTIME)
}

fn clock(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec` to `now`. The clocks asked for always exist.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(now.tv_nsec.unsigned_abs())
}

/// Lets go of a program's pages; each comes back from its file when it is used.
pub(crate) fn forget(program: &Program) -> io::Result<()> {
    for range in program.ranges() {
        // SAFETY: `Program` lists private mappings of files that can't be written and have no
        // page that differs from the file; and nothing here unmaps or unprotects a part of the
        // program, so that they are the same mappings still.
        check(unsafe {
            libc::madvise(
                with_exposed_provenance_mut(range.start),
                range.end - range.start,
                libc::MADV_DONTNEED,
            )
        })?;
    }
    Ok(())
}
