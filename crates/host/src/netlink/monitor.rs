//! [`LinkMonitor`]: one reading of everything, then events.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::message::{Message, Request, messages};
use super::route::{self, Change, LinkFacts};
use super::socket::{self, DATAGRAM_MAX};
use super::{Address, Link};
use crate::sys;

/// Why the host's links can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket couldn't be opened or used.
    #[error("rtnetlink: {operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused to list links or addresses.
    #[error("rtnetlink: the kernel refused to list {what}: {source}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Wraps an error of `operation`.
fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> NetlinkError {
    move |source| NetlinkError::Io { operation, source }
}

/// What is being listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Links,
    Addresses,
}

impl Listing {
    fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Addresses => "addresses",
        }
    }

    fn request(self, sequence: u32) -> Request {
        // The fixed parts: all families, all interfaces.
        let (kind, fixed): (u16, &[u8]) = match self {
            Self::Links => (libc::RTM_GETLINK, &[0; 16]),
            Self::Addresses => (libc::RTM_GETADDR, &[0; 8]),
        };
        let mut request = Request::default();
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        request.message(kind, flags, sequence, fixed, |_| {});
        request
    }
}

/// Links and addresses as read so far.
#[derive(Debug, Default)]
struct Table {
    links: BTreeMap<u32, LinkFacts>,
    addresses: BTreeMap<(u32, IpAddr, u8), Address>,
}

impl Table {
    /// Takes a change over; whether it made a difference.
    fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Link(index, facts) => self.links.insert(index, facts.clone()) != Some(facts),
            Change::LinkGone(index) => {
                self.addresses.retain(|(owner, ..), _| *owner != index);
                self.links.remove(&index).is_some()
            }
            Change::Address(index, address) => {
                let key = (index, address.ip, address.prefix_len);
                self.addresses.insert(key, address.clone()) != Some(address)
            }
            Change::AddressGone(index, address) => self
                .addresses
                .remove(&(index, address.ip, address.prefix_len))
                .is_some(),
        }
    }

    fn snapshot(&self) -> Vec<Link> {
        let mut links: Vec<Link> = self
            .links
            .iter()
            .map(|(index, facts)| link(*index, facts))
            .collect();
        for ((owner, ..), address) in &self.addresses {
            if let Ok(place) = links.binary_search_by_key(owner, |link| link.index)
                && let Some(link) = links.get_mut(place)
            {
                link.addresses.push(address.clone());
            }
        }
        links
    }
}

/// The link without its addresses.
fn link(index: u32, facts: &LinkFacts) -> Link {
    Link {
        index,
        name: facts.name.clone(),
        mac: facts.mac,
        kind: facts.kind.clone(),
        ethernet: facts.ethernet,
        up: facts.has(libc::IFF_UP),
        // LOWER_UP is the signal; RUNNING is also false for a port that is still dormant.
        carrier: facts.has(libc::IFF_LOWER_UP) && facts.has(libc::IFF_RUNNING),
        broadcast: facts.has(libc::IFF_BROADCAST),
        loopback: facts.has(libc::IFF_LOOPBACK),
        noarp: facts.has(libc::IFF_NOARP),
        master: facts.master,
        addresses: Vec::new(),
    }
}

/// How far the reading has come.
#[derive(Debug)]
enum Phase {
    /// A full reading is under way.
    Listing {
        what: Listing,
        /// What was listed so far.
        listed: Table,
        /// Events that arrived meanwhile. An entry of the list may be older than the event before
        /// it, so events count after the whole list.
        events: Vec<Change>,
        /// The kernel's list changed while it was read: read again.
        interrupted: bool,
    },
    /// Events only.
    Following,
}

impl Phase {
    fn start(events: Vec<Change>) -> Self {
        Self::Listing {
            what: Listing::Links,
            listed: Table::default(),
            events,
            interrupted: false,
        }
    }
}

/// Follows the links and addresses of the network namespace it was made in.
#[derive(Debug)]
pub struct LinkMonitor {
    socket: AsyncFd<Socket>,
    table: Table,
    phase: Phase,
    sequence: u32,
    changed: bool,
    buf: Vec<u8>,
}

impl LinkMonitor {
    /// Starts following. Must be called within a Tokio runtime. Needs no capability.
    ///
    /// # Errors
    /// The socket can't be opened.
    pub fn new() -> Result<Self, NetlinkError> {
        let sequence = 1;
        Ok(Self {
            socket: subscribe(sequence)?,
            table: Table::default(),
            phase: Phase::start(Vec::new()),
            sequence,
            changed: true,
            buf: vec![0; DATAGRAM_MAX],
        })
    }

    /// Waits for a change and returns all links, ordered by index; the first call returns the
    /// links as they are. Cancel-safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The socket failed, or the kernel refused to list: the monitor is of no more use.
    pub async fn next(&mut self) -> Result<Vec<Link>, NetlinkError> {
        loop {
            let length = self.receive().await?;
            self.take(length)?;
            // Take everything that is waiting before a snapshot is made.
            while let Some(length) = self.try_receive()? {
                self.take(length)?;
            }
            if self.changed && matches!(self.phase, Phase::Following) {
                self.changed = false;
                return Ok(self.table.snapshot());
            }
        }
    }

    /// Waits for a datagram: its length in the buffer.
    async fn receive(&mut self) -> Result<usize, NetlinkError> {
        let Self { socket, buf, .. } = self;
        let received = socket
            .async_io(sys::READABLE_OR_FAILED, |socket| {
                socket::receive(socket, buf)
            })
            .await;
        self.or_restart(received)
    }

    /// A datagram that is waiting already: its length in the buffer.
    fn try_receive(&mut self) -> Result<Option<usize>, NetlinkError> {
        match socket::receive(self.socket.get_ref(), &mut self.buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            received => self.or_restart(received).map(Some),
        }
    }

    /// Lost events are not an error, but no datagram either.
    fn or_restart(&mut self, received: io::Result<usize>) -> Result<usize, NetlinkError> {
        match received {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.restart()?;
                Ok(0)
            }
            received => received.map_err(failed("recv")),
        }
    }

    /// After lost events: a new socket, and a full reading. What is known stays until it ends.
    fn restart(&mut self) -> Result<(), NetlinkError> {
        tracing::debug!("rtnetlink events were lost; reading all links again");
        self.sequence = self.sequence.wrapping_add(1);
        self.socket = subscribe(self.sequence)?;
        self.phase = Phase::start(Vec::new());
        Ok(())
    }

    /// Takes the messages of a datagram of `length` bytes in the buffer.
    fn take(&mut self, length: usize) -> Result<(), NetlinkError> {
        let buf = std::mem::take(&mut self.buf);
        let result = messages(buf.get(..length).unwrap_or_default())
            .try_for_each(|message| self.take_message(&message));
        self.buf = buf;
        result
    }

    fn take_message(&mut self, message: &Message<'_>) -> Result<(), NetlinkError> {
        let Phase::Listing {
            what,
            listed,
            events,
            interrupted,
        } = &mut self.phase
        else {
            if let Some(change) = route::read(message) {
                self.changed |= self.table.apply(change);
            }
            return Ok(());
        };
        // Events carry the number of whoever caused them, but are never part of a list.
        let ours = message.sequence == self.sequence;
        let flags = i32::from(message.flags);
        match i32::from(message.kind) {
            libc::NLMSG_ERROR | libc::NLMSG_DONE if ours && message.errno() != 0 => {
                return Err(NetlinkError::Refused {
                    what: what.name(),
                    source: io::Error::from_raw_os_error(message.errno()),
                });
            }
            libc::NLMSG_DONE if ours => {
                *interrupted |= flags & libc::NLM_F_DUMP_INTR != 0;
                return self.listing_done();
            }
            _ => {}
        }
        let Some(change) = route::read(message) else {
            return Ok(());
        };
        if ours && flags & libc::NLM_F_MULTI != 0 {
            *interrupted |= flags & libc::NLM_F_DUMP_INTR != 0;
            listed.apply(change);
        } else {
            events.push(change);
        }
        Ok(())
    }

    /// A list has ended: asks for the next one, or goes over to following.
    fn listing_done(&mut self) -> Result<(), NetlinkError> {
        let Phase::Listing {
            what,
            listed,
            events,
            interrupted,
        } = &mut self.phase
        else {
            return Ok(());
        };
        if *interrupted {
            self.phase = Phase::start(std::mem::take(events));
            return self.ask(Listing::Links);
        }
        match what {
            Listing::Links => {
                *what = Listing::Addresses;
                self.ask(Listing::Addresses)
            }
            Listing::Addresses => {
                self.table = std::mem::take(listed);
                for change in std::mem::take(events) {
                    self.table.apply(change);
                }
                self.phase = Phase::Following;
                self.changed = true;
                Ok(())
            }
        }
    }

    fn ask(&mut self, what: Listing) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        socket::send(self.socket.get_ref(), &what.request(self.sequence)).map_err(failed("send"))
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// A socket that gets events, with a list of the links asked for.
fn subscribe(sequence: u32) -> Result<AsyncFd<Socket>, NetlinkError> {
    let groups = [
        libc::RTNLGRP_LINK,
        libc::RTNLGRP_IPV4_IFADDR,
        libc::RTNLGRP_IPV6_IFADDR,
    ];
    let bits = groups.iter().fold(0, |bits, group| bits | 1 << (group - 1));
    let socket = socket::open(libc::NETLINK_ROUTE, bits).map_err(failed("open"))?;
    socket::send(&socket, &Listing::Links.request(sequence)).map_err(failed("send"))?;
    sys::watch(socket).map_err(failed("registering with the runtime"))
}
