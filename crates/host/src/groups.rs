//! Membership of IPv6 solicited-node multicast groups (RFC 4291 §2.7.1).
//!
//! Groups are joined through the kernel, which then sends MLD reports, so that a snooping switch
//! forwards neighbour solicitations for our addresses and the interface's own filter passes them.
//! The kernel limits the memberships of one socket (`net.core.optmem_max`); another socket is
//! opened whenever one is full.
//!
//! Invariant: what the kernel has joined for us is exactly what [`SolicitedNodeGroups`] records,
//! also after an error. Needs no capability.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;

use socket2::{Domain, Socket, Type};

/// Memberships of one socket at most. The kernel searches a socket's memberships one by one.
const SOCKET_MAX: usize = 1024;

/// Why a group couldn't be joined.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The interface is gone or has IPv6 turned off.
    #[error("group {group}: interface {interface} is gone or has no IPv6")]
    NoInterface {
        /// The group.
        group: Ipv6Addr,
        /// Index of the interface.
        interface: u32,
    },
    /// Any other failure.
    #[error("group {group} on interface {interface}: {source}")]
    Io {
        /// The group.
        group: Ipv6Addr,
        /// Index of the interface.
        interface: u32,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// The solicited-node group of `target`.
#[must_use]
pub fn solicited_node_group(target: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// A membership: interface index and group.
type Membership = (u32, Ipv6Addr);

/// A socket that holds memberships; it never receives anything, having no port.
#[derive(Debug)]
struct Holder {
    socket: Socket,
    memberships: usize,
    /// The kernel refused one more.
    full: bool,
}

/// The solicited-node groups we are members of.
#[derive(Debug, Default)]
pub struct SolicitedNodeGroups {
    /// By a number of our own.
    holders: BTreeMap<u32, Holder>,
    /// Which holder has it, and how many targets use it: targets with the same last 24 bits share
    /// a group.
    memberships: BTreeMap<Membership, (u32, usize)>,
}

impl SolicitedNodeGroups {
    /// No groups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of groups joined, over all interfaces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memberships.len()
    }

    /// Whether no group is joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memberships.is_empty()
    }

    /// Number of sockets in use.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.holders.len()
    }

    /// Joins the group of `target` on the interface with index `interface`. Every call wants its
    /// own [`leave`](Self::leave).
    ///
    /// # Errors
    /// The kernel refused; nothing is recorded then.
    pub fn join(&mut self, interface: u32, target: Ipv6Addr) -> Result<(), GroupError> {
        let membership = (interface, solicited_node_group(target));
        if let Some((_, users)) = self.memberships.get_mut(&membership) {
            *users += 1;
            return Ok(());
        }
        let holder = self.join_kernel(membership)?;
        self.memberships.insert(membership, (holder, 1));
        Ok(())
    }

    /// Gives one [`join`](Self::join) of `target` back; the last one leaves the group.
    pub fn leave(&mut self, interface: u32, target: Ipv6Addr) {
        let membership = (interface, solicited_node_group(target));
        let Some((holder, users)) = self.memberships.get_mut(&membership) else {
            return;
        };
        *users -= 1;
        if *users == 0 {
            let holder = *holder;
            self.memberships.remove(&membership);
            self.leave_kernel(membership, holder);
        }
    }

    /// Leaves every group on the interface: it is gone, or no longer used.
    pub fn forget(&mut self, interface: u32) {
        let first = (interface, Ipv6Addr::UNSPECIFIED);
        let last = (interface, Ipv6Addr::from(u128::MAX));
        let gone: Vec<_> = self
            .memberships
            .range(first..=last)
            .map(|(membership, (holder, _))| (*membership, *holder))
            .collect();
        for (membership, holder) in gone {
            self.memberships.remove(&membership);
            self.leave_kernel(membership, holder);
        }
    }

    /// Joins every group of the interface anew. The kernel keeps memberships while a link is down,
    /// but loses them with the interface's IPv6 state (removed and made again, MTU too small, moved
    /// to another namespace).
    ///
    /// # Errors
    /// The first failure. The groups that couldn't be joined are forgotten; the others stay.
    pub fn rejoin(&mut self, interface: u32) -> Result<(), GroupError> {
        let first = (interface, Ipv6Addr::UNSPECIFIED);
        let last = (interface, Ipv6Addr::from(u128::MAX));
        let held: Vec<_> = self
            .memberships
            .range(first..=last)
            .map(|(membership, held)| (*membership, *held))
            .collect();
        let mut result = Ok(());
        for (membership, (holder, users)) in held {
            self.memberships.remove(&membership);
            self.leave_kernel(membership, holder);
            match self.join_kernel(membership) {
                Ok(holder) => {
                    self.memberships.insert(membership, (holder, users));
                }
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Joins in the first holder that has room; its number.
    fn join_kernel(&mut self, (interface, group): Membership) -> Result<u32, GroupError> {
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENODEV) => GroupError::NoInterface { group, interface },
            _ => GroupError::Io {
                group,
                interface,
                source,
            },
        };
        for (number, holder) in &mut self.holders {
            if holder.full || holder.memberships >= SOCKET_MAX {
                continue;
            }
            match holder.socket.join_multicast_v6(&group, interface) {
                Ok(()) => {
                    holder.memberships += 1;
                    return Ok(*number);
                }
                Err(error) if is_full(&error) => holder.full = true,
                Err(error) => return Err(failed(error)),
            }
        }
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).map_err(failed)?;
        socket
            .join_multicast_v6(&group, interface)
            .map_err(failed)?;
        let number = self
            .holders
            .last_key_value()
            .map_or(0, |(last, _)| last + 1);
        let holder = Holder {
            socket,
            memberships: 1,
            full: false,
        };
        self.holders.insert(number, holder);
        Ok(number)
    }

    /// Leaves in the holder, and closes it if that was its last membership.
    fn leave_kernel(&mut self, (interface, group): Membership, number: u32) {
        let Some(holder) = self.holders.get_mut(&number) else {
            return;
        };
        if let Err(error) = holder.socket.leave_multicast_v6(&group, interface) {
            // The interface took the membership with it.
            tracing::debug!(interface, %group, %error, "the group was left already");
        }
        holder.memberships -= 1;
        holder.full = false;
        if holder.memberships == 0 {
            self.holders.remove(&number);
        }
    }
}

/// Whether a socket has no room for one more membership.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}
