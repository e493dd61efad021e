//! Address families: the two unicast ones spoken here, and any other a peer may name.

use super::iana::{AFI_IPV4, AFI_IPV6, SAFI_UNICAST};
use std::fmt;
use std::net::IpAddr;

/// A family spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 unicast.
    Ipv4,
    /// IPv6 unicast.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Bits of an address.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4 unicast",
            Self::Ipv6 => "IPv6 unicast",
        })
    }
}

/// Address family and subsequent address family as sent, spoken here or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AfiSafi {
    /// Address Family Identifier.
    pub afi: u16,
    /// Subsequent Address Family Identifier.
    pub safi: u8,
}

impl AfiSafi {
    /// The family, if it is spoken here.
    pub fn family(self) -> Option<Family> {
        match (self.afi, self.safi) {
            (AFI_IPV4, SAFI_UNICAST) => Some(Family::Ipv4),
            (AFI_IPV6, SAFI_UNICAST) => Some(Family::Ipv6),
            _ => None,
        }
    }
}

impl From<Family> for AfiSafi {
    fn from(family: Family) -> Self {
        let afi = match family {
            Family::Ipv4 => AFI_IPV4,
            Family::Ipv6 => AFI_IPV6,
        };
        Self {
            afi,
            safi: SAFI_UNICAST,
        }
    }
}

/// One family or both, never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 unicast only.
    Ipv4,
    /// IPv6 unicast only.
    Ipv6,
    /// Both.
    Both,
}

impl Families {
    /// Whether `family` is among them.
    pub fn has(self, family: Family) -> bool {
        match self {
            Self::Ipv4 => family == Family::Ipv4,
            Self::Ipv6 => family == Family::Ipv6,
            Self::Both => true,
        }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |&one| self.has(one))
    }

    /// Those for which `keep` is true; `None` if that is none.
    pub fn filter(self, mut keep: impl FnMut(Family) -> bool) -> Option<Self> {
        let ipv4 = self.has(Family::Ipv4) && keep(Family::Ipv4);
        let ipv6 = self.has(Family::Ipv6) && keep(Family::Ipv6);
        match (ipv4, ipv6) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Ipv4),
            (false, true) => Some(Self::Ipv6),
            (false, false) => None,
        }
    }
}

impl From<Family> for Families {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}
