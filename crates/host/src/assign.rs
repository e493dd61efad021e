//! Won addresses on `lo`, for as long as this process says so.
//!
//! Each address is put on `lo` as /32 or /128 with a short valid lifetime that [`Assigner::renew`]
//! extends: when the process dies, however it dies, the *kernel* removes the address. It is made
//! unattractive as a source address: preferred lifetime 0 (RFC 4862 §5.5.4), and host scope for
//! IPv4, whose source selection doesn't look at lifetimes.
//!
//! While an address is on `lo` the kernel would answer ARP for it on every interface. An nftables
//! table of our own, `arp corten`, keeps it from that (see `silence.rs`); packet sockets see a
//! request before it is dropped. For IPv6 the kernel answers only on the interface that has the
//! address.
//!
//! Invariants: an address that was there before us is never changed and never removed; only an
//! address we added is removed. An address with our marks (on `lo`, full prefix, preferred lifetime
//! 0, finite valid lifetime) is a leftover of our last run, kept until [`Assigner::assign`] takes
//! it over or it expires. One process per network namespace.
//!
//! Needs `CAP_NET_ADMIN`. Calls don't wait: the kernel has done it when they return.

mod silence;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use socket2::Socket;

use crate::netlink::Address;
use crate::netlink::message::{Request, messages};
use crate::netlink::route::{self, Change};
use crate::netlink::socket::{self, DATAGRAM_MAX};
use silence::Silence;

/// `lo` has this index in every network namespace.
const LOOPBACK: u32 = 1;
/// Held by the process that assigns addresses in this network namespace.
const LOCK: &str = "corten-assign";

/// Why addresses can't be assigned.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// The process lacks `CAP_NET_ADMIN`.
    #[error("{operation}: CAP_NET_ADMIN is missing")]
    MissingNetAdmin {
        /// What was tried.
        operation: &'static str,
    },
    /// Another process assigns addresses in this network namespace.
    #[error("another process assigns addresses on this host")]
    AlreadyRunning,
    /// The valid lifetime is not between one second and an hour.
    #[error("lifetime {0:?} of assigned addresses: not between 1s and 1h")]
    Lifetime(Duration),
    /// The host has the address already, and not from us: it stays as it is.
    #[error("{ip} is already on interface {interface} and not from us; it is left alone")]
    Foreign {
        /// The address.
        ip: IpAddr,
        /// Index of the interface.
        interface: u32,
    },
    /// The kernel refused.
    #[error("{operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Wraps an error of `operation`.
fn failed(operation: &'static str) -> impl Fn(io::Error) -> AssignError {
    move |source| match source.raw_os_error() {
        Some(libc::EPERM) => AssignError::MissingNetAdmin { operation },
        _ => AssignError::Io { operation, source },
    }
}

/// Puts addresses on `lo` and takes them off.
#[derive(Debug)]
pub struct Assigner {
    route: Socket,
    silence: Silence,
    lifetime: Duration,
    assigned: BTreeSet<IpAddr>,
    leftovers: BTreeSet<IpAddr>,
    sequence: u32,
    _lock: UnixDatagram,
}

impl Assigner {
    /// The valid lifetime to use when there is no reason for another.
    pub const LIFETIME: Duration = Duration::from_secs(10);

    /// Starts assigning, with the valid lifetime `lifetime` (whole seconds). Leftovers of the last
    /// run stay silent.
    ///
    /// # Errors
    /// See [`AssignError`].
    pub fn open(lifetime: Duration) -> Result<Self, AssignError> {
        if !(1..=3600).contains(&lifetime.as_secs()) {
            return Err(AssignError::Lifetime(lifetime));
        }
        let lock = SocketAddr::from_abstract_name(LOCK)
            .and_then(|name| UnixDatagram::bind_addr(&name))
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EADDRINUSE) => AssignError::AlreadyRunning,
                _ => failed("lock")(source),
            })?;
        let route = socket::open(libc::NETLINK_ROUTE, 0).map_err(failed("rtnetlink"))?;
        let mut sequence = 0;
        let leftovers: BTreeSet<IpAddr> = list(&route, &mut sequence)
            .map_err(failed("listing addresses"))?
            .into_iter()
            .filter(|(interface, address)| *interface == LOOPBACK && has_our_marks(address))
            .map(|(_, address)| address.ip)
            .collect();
        // As long again as the address: the kernel takes it off a moment late.
        let silence = Silence::open(lifetime * 2, &leftovers).map_err(failed("nftables"))?;
        Ok(Self {
            route,
            silence,
            lifetime,
            assigned: BTreeSet::new(),
            leftovers,
            sequence,
            _lock: lock,
        })
    }

    /// The addresses assigned now, in order.
    pub fn assigned(&self) -> impl Iterator<Item = IpAddr> {
        self.assigned.iter().copied()
    }

    /// The addresses found at the start that the last run left behind, in order, without those
    /// assigned or released since. Unless assigned they expire by themselves.
    pub fn leftovers(&self) -> impl Iterator<Item = IpAddr> {
        self.leftovers.iter().copied()
    }

    /// Puts an address on `lo`, or takes a leftover over. Assigning twice changes nothing.
    ///
    /// # Errors
    /// [`AssignError::Foreign`] if the host has the address already; the others as named.
    pub fn assign(&mut self, ip: IpAddr) -> Result<(), AssignError> {
        if self.assigned.contains(&ip) {
            return Ok(());
        }
        let present = list(&self.route, &mut self.sequence).map_err(failed("listing addresses"))?;
        for (interface, address) in present {
            if address.ip == ip && !(interface == LOOPBACK && has_our_marks(&address)) {
                return Err(AssignError::Foreign { ip, interface });
            }
        }
        // Silent first: the kernel must not answer even once.
        self.silence.add(ip).map_err(failed("nftables"))?;
        self.put(ip).map_err(failed("adding an address to lo"))?;
        self.leftovers.remove(&ip);
        self.assigned.insert(ip);
        Ok(())
    }

    /// Takes an address we assigned, or a leftover, off again. Any other is left alone.
    ///
    /// # Errors
    /// The kernel refused; the address then expires by itself.
    pub fn release(&mut self, ip: IpAddr) -> Result<(), AssignError> {
        if !self.assigned.remove(&ip) && !self.leftovers.remove(&ip) {
            return Ok(());
        }
        self.take_off(ip)
            .map_err(failed("removing an address from lo"))?;
        self.silence.remove(ip).map_err(failed("nftables"))
    }

    /// Starts every lifetime anew. To be called about three times per lifetime; an address that
    /// expired meanwhile comes back.
    ///
    /// # Errors
    /// The first failure; the other addresses are renewed all the same.
    pub fn renew(&mut self) -> Result<(), AssignError> {
        let silent: BTreeSet<IpAddr> = self.assigned.union(&self.leftovers).copied().collect();
        let mut result = self.silence.renew(&silent).map_err(failed("nftables"));
        for ip in self.assigned.clone() {
            let renewed = self.put(ip).map_err(failed("renewing an address on lo"));
            result = result.and(renewed);
        }
        result
    }

    /// Takes every assigned address and the nftables table off: the host is as before.
    ///
    /// # Errors
    /// The first failure.
    pub fn close(mut self) -> Result<(), AssignError> {
        let mut result = Ok(());
        for ip in self.assigned.clone() {
            result = result.and(self.release(ip));
        }
        if self.leftovers.is_empty() {
            result = result.and(self.silence.close().map_err(failed("nftables")));
        }
        result
    }

    /// Adds the address, or starts its lifetime anew.
    fn put(&mut self, ip: IpAddr) -> io::Result<()> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        self.change(libc::RTM_NEWADDR, flags, ip)
    }

    fn take_off(&mut self, ip: IpAddr) -> io::Result<()> {
        match self.change(libc::RTM_DELADDR, 0, ip) {
            // It has expired.
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            result => result,
        }
    }

    fn change(&mut self, kind: u16, flags: libc::c_int, ip: IpAddr) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let (fixed, bytes) = address_header(ip);
        let mut request = Request::default();
        request.message(kind, flags, self.sequence, &fixed, |request| {
            request.attribute(libc::IFA_LOCAL, &bytes);
            request.attribute(libc::IFA_ADDRESS, &bytes);
            // struct ifa_cacheinfo: preferred and valid lifetime in seconds, two time stamps.
            let mut lifetimes = [0; 16];
            lifetimes[4..8].copy_from_slice(&(self.lifetime.as_secs() as u32).to_ne_bytes());
            request.attribute(libc::IFA_CACHEINFO, &lifetimes);
        });
        socket::send(&self.route, &request)?;
        socket::acknowledged(&self.route)
    }
}

/// `struct ifaddrmsg` for an address on `lo`, and the address in bytes.
fn address_header(ip: IpAddr) -> ([u8; 8], Vec<u8>) {
    let [a, b, c, d] = LOOPBACK.to_ne_bytes();
    match ip {
        IpAddr::V4(ip) => {
            let family = libc::AF_INET as u8;
            let scope = libc::RT_SCOPE_HOST;
            ([family, 32, 0, scope, a, b, c, d], ip.octets().to_vec())
        }
        IpAddr::V6(ip) => {
            let family = libc::AF_INET6 as u8;
            let scope = libc::RT_SCOPE_UNIVERSE;
            // Usable at once: there is nobody else on lo to detect.
            let flags = libc::IFA_F_NODAD as u8;
            (
                [family, 128, flags, scope, a, b, c, d],
                ip.octets().to_vec(),
            )
        }
    }
}

/// Whether the address looks like one we assigned.
fn has_our_marks(address: &Address) -> bool {
    let full = if address.ip.is_ipv4() { 32 } else { 128 };
    address.prefix_len == full && address.deprecated && address.expires
}

/// Every address of the host, with the index of its interface.
fn list(socket: &Socket, sequence: &mut u32) -> io::Result<Vec<(u32, Address)>> {
    *sequence = sequence.wrapping_add(1);
    let mut request = Request::default();
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    request.message(libc::RTM_GETADDR, flags, *sequence, &[0; 8], |_| {});
    socket::send(socket, &request)?;
    let mut found = Vec::new();
    let mut buf = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket::receive(socket, &mut buf)?;
        for message in messages(buf.get(..length).unwrap_or_default()) {
            match i32::from(message.kind) {
                libc::NLMSG_ERROR | libc::NLMSG_DONE if message.errno() != 0 => {
                    return Err(io::Error::from_raw_os_error(message.errno()));
                }
                libc::NLMSG_DONE => return Ok(found),
                _ => {}
            }
            if let Some(Change::Address(interface, address)) = route::read(&message) {
                found.push((interface, address));
            }
        }
    }
}
