//! One CIDR of a pool, and the numbering of its usable addresses.

use crate::ip::Family;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// From this many host bits on, a size is reported as the greatest `i64`, as MetalLB does.
const HUGE_HOST_BITS: u8 = 62;

/// Which addresses have a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbering {
    /// Every one: the rank is the address as a number.
    Plain,
    /// IPv4 without .0 and .255: 254 ranks for every /24.
    WithoutEnds,
}

impl Numbering {
    fn rank(self, number: u128) -> Option<u128> {
        match self {
            Self::Plain => Some(number),
            Self::WithoutEnds => match number % 256 {
                0 | 255 => None,
                low => Some(number / 256 * 254 + low - 1),
            },
        }
    }

    fn number(self, rank: u128) -> u128 {
        match self {
            Self::Plain => rank,
            Self::WithoutEnds => rank / 254 * 256 + rank % 254 + 1,
        }
    }

    /// Ranks of the usable addresses from `first` to `last`; empty if there are none.
    fn ranks(self, first: u128, last: u128) -> RangeInclusive<u128> {
        match self {
            Self::Plain => first..=last,
            Self::WithoutEnds => {
                let up = match first % 256 {
                    0 => first + 1,
                    255 => first + 2,
                    _ => first,
                };
                let down = match last % 256 {
                    255 => last - 1,
                    0 => last.saturating_sub(2),
                    _ => last,
                };
                // An end may have been moved past the other one; (1, 0) is an empty range.
                match (up <= down, self.rank(up), self.rank(down)) {
                    (true, Some(a), Some(b)) => a..=b,
                    (true | false, _, _) => RangeInclusive::new(1, 0),
                }
            }
        }
    }
}

/// A CIDR of a pool.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Its family.
    pub(super) family: Family,
    /// Ranks of its usable addresses; may be empty.
    pub(super) ranks: RangeInclusive<u128>,
    /// How many usable addresses it has, saturating (`spec/metallb.md` §4.8).
    pub(super) size: i64,
    numbering: Numbering,
}

impl Slot {
    /// The slot of a CIDR.
    pub(super) fn new(cidr: &IpNet, avoid_buggy_ips: bool) -> Self {
        let family = Family::of(cidr.network());
        let numbering = match (family, avoid_buggy_ips) {
            (Family::V4, true) => Numbering::WithoutEnds,
            (Family::V4, false) | (Family::V6, _) => Numbering::Plain,
        };
        let ranks = numbering.ranks(number(cidr.network()), number(cidr.broadcast()));
        let size = if cidr.max_prefix_len() - cidr.prefix_len() >= HUGE_HOST_BITS {
            i64::MAX
        } else if ranks.is_empty() {
            0
        } else {
            i64::try_from(ranks.end() - ranks.start() + 1).unwrap_or(i64::MAX)
        };
        Self {
            family,
            ranks,
            size,
            numbering,
        }
    }

    /// Rank of an address of this slot; `None` if `avoidBuggyIPs` keeps it back.
    pub(super) fn rank(&self, ip: IpAddr) -> Option<u128> {
        self.numbering.rank(number(ip))
    }

    /// The address of a rank.
    pub(super) fn address(&self, rank: u128) -> IpAddr {
        let number = self.numbering.number(rank);
        match self.family {
            // Ranks of an IPv4 slot never exceed 32 bits.
            Family::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Family::V6 => Ipv6Addr::from(number).into(),
        }
    }
}

/// An address as a number.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}
