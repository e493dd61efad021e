//! Solicited-node groups: several addresses can need one, so they are counted.

use super::ndp::solicited_node;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// How many addresses need each group on each link.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    users: BTreeMap<(u32, Ipv6Addr), u32>,
}

impl Groups {
    /// `ip` is on `link` now; the group to join, if it is its first user.
    pub(super) fn add(&mut self, link: u32, ip: IpAddr) -> Option<Ipv6Addr> {
        let group = group_of(ip)?;
        let users = self.users.entry((link, group)).or_default();
        *users += 1;
        (*users == 1).then_some(group)
    }

    /// `ip` is on `link` no more; the group to leave, if it was its last user.
    pub(super) fn remove(&mut self, link: u32, ip: IpAddr) -> Option<Ipv6Addr> {
        let group = group_of(ip)?;
        let users = self.users.get_mut(&(link, group))?;
        *users -= 1;
        if *users > 0 {
            return None;
        }
        self.users.remove(&(link, group));
        Some(group)
    }
}

fn group_of(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(solicited_node(ip)),
    }
}
