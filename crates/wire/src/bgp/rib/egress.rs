//! How paths look to one peer: the rules of internal and external sessions (RFC 4271 §5.1,
//! §9.2), next hops (RFC 2545, 4760, 8950), and packing.

use crate::bgp::as_path::AsPath;
use crate::bgp::attribute::{Attributes, Origin};
use crate::bgp::bytes::with_length;
use crate::bgp::capability::Role;
use crate::bgp::family::{AfiSafi, Families, Family};
use crate::bgp::iana::{
    ATTRIBUTE_MP_REACH_NLRI, ATTRIBUTE_MP_UNREACH_NLRI, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL,
};
use crate::bgp::message::{HEADER_LEN, MessageType, frame};
use crate::bgp::prefix::Prefix;
use crate::bgp::routes::{DEFAULT_LOCAL_PREF, NextHop, Path};
use crate::bgp::update::MpNextHop;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Why a desired prefix isn't sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The session doesn't carry the family.
    Family(Family),
    /// This end of the session has no address the peer could send that family's traffic to.
    NextHop(Family),
    /// Its attributes don't fit a message of this session.
    TooLong,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => write!(f, "the session doesn't carry {family}"),
            Self::NextHop(family) => write!(f, "there is no next hop for {family}"),
            Self::TooLong => f.write_str("the attributes don't fit a message"),
        }
    }
}

/// What a session needs to know of itself to send paths.
#[derive(Clone, Debug)]
pub(in crate::bgp) struct Egress {
    pub(in crate::bgp) families: Families,
    /// The AS number shown to the peer.
    pub(in crate::bgp) own_as: u32,
    pub(in crate::bgp) external: bool,
    pub(in crate::bgp) four_octet_as: bool,
    pub(in crate::bgp) extended_next_hop: bool,
    /// This end's next hops.
    pub(in crate::bgp) ipv4: Option<Ipv4Addr>,
    pub(in crate::bgp) ipv6: Option<MpNextHop>,
    /// Our role on the session (RFC 9234).
    pub(in crate::bgp) role: Option<Role>,
    /// Octets of the longest message.
    pub(in crate::bgp) limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    /// NEXT_HOP, and prefixes at the end.
    Attribute(Ipv4Addr),
    /// MP_REACH_NLRI.
    Multiprotocol(MpNextHop),
}

/// Header and both lengths.
const FRAME: usize = HEADER_LEN + 4;
/// Flags, type and two octets of length.
const ATTRIBUTE: usize = 4;

impl Egress {
    /// Whether and why `path` isn't sent for `prefix`.
    pub(in crate::bgp) fn check(&self, prefix: Prefix, path: &Path) -> Result<(), Withheld> {
        let family = prefix.family();
        if !self.families.has(family) {
            return Err(Withheld::Family(family));
        }
        let via = self.via(family, path);
        let via = via.ok_or(Withheld::NextHop(family))?;
        // Everything that has a fixed size is within 256 octets.
        // The path may be there twice, for a two-octet speaker.
        let bound = 256
            + 8 * usize::from(path.prepend)
            + 4 * path.communities.len()
            + 8 * path.extended_communities.len()
            + 12 * path.large_communities.len();
        let fits = bound <= self.limit || {
            let head = self.head(via, family).len() + self.attributes(via, path).len();
            FRAME + head + prefix.encoded_len() <= self.limit
        };
        if fits { Ok(()) } else { Err(Withheld::TooLong) }
    }

    fn via(&self, family: Family, path: &Path) -> Option<Via> {
        match (family, path.next_hop) {
            (Family::Ipv4, NextHop::Own) => match (self.ipv4, self.ipv6) {
                (Some(ip), _) => Some(Via::Attribute(ip)),
                (None, Some(ip)) if self.extended_next_hop => Some(Via::Multiprotocol(ip)),
                (None, _) => None,
            },
            (Family::Ipv6, NextHop::Own) => self.ipv6.map(Via::Multiprotocol),
            (Family::Ipv4, NextHop::Address(IpAddr::V4(ip))) => Some(Via::Attribute(ip)),
            (Family::Ipv6, NextHop::Address(IpAddr::V4(_))) => None,
            (Family::Ipv4, NextHop::Address(IpAddr::V6(_))) if !self.extended_next_hop => None,
            (_, NextHop::Address(IpAddr::V6(ip))) => Some(Via::Multiprotocol(MpNextHop::Ipv6(ip))),
        }
    }

    /// The attributes without MP_REACH_NLRI.
    fn attributes(&self, via: Via, path: &Path) -> Vec<u8> {
        // RFC 4271 §5.1.2: the own AS number first to an external peer, an empty path within
        // the AS.
        let count = usize::from(path.prepend) + 1;
        let as_path = if self.external {
            AsPath::sequence(vec![self.own_as; count])
        } else {
            AsPath::default()
        };
        // RFC 6793 §4.2.2: AS4_PATH is for two-octet speakers, and only if it says more.
        let as4_path =
            (!self.four_octet_as && as_path.needs_four_octets()).then(|| as_path.clone());
        let marks = self.external && self.role.is_some_and(Role::marks_routes);
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(as_path),
            next_hop: match via {
                Via::Attribute(ip) => Some(ip),
                Via::Multiprotocol(_) => None,
            },
            med: path.med,
            // RFC 4271 §5.1.5: to every internal peer, never to an external one.
            local_pref: (!self.external).then(|| path.local_pref.unwrap_or(DEFAULT_LOCAL_PREF)),
            communities: path.communities.iter().copied().collect(),
            extended_communities: path.extended_communities.iter().copied().collect(),
            large_communities: path.large_communities.iter().copied().collect(),
            as4_path,
            // RFC 9234 §5: what goes to a customer, a peer or a route server's client.
            only_to_customer: marks.then_some(self.own_as),
            ..Attributes::default()
        };
        let mut out = Vec::new();
        attributes.encode(self.four_octet_as, &mut out);
        out
    }

    /// MP_REACH_NLRI's part before the prefixes; empty without it.
    fn head(&self, via: Via, family: Family) -> Vec<u8> {
        let mut out = Vec::new();
        if let Via::Multiprotocol(next_hop) = via {
            out.extend_from_slice(&[0; ATTRIBUTE]);
            next_hop.encode(family.into(), &mut out);
        }
        out
    }

    /// An UPDATE that announces as many of the prefixes, all of one family, as fit; those taken
    /// are appended to `taken`.
    pub(in crate::bgp) fn announce(
        &self,
        path: &Path,
        prefixes: impl IntoIterator<Item = Prefix>,
        taken: &mut Vec<Prefix>,
    ) -> Option<Vec<u8>> {
        let mut prefixes = prefixes.into_iter().peekable();
        let family = prefixes.peek()?.family();
        let via = self.via(family, path)?;
        let attributes = self.attributes(via, path);
        let head = self.head(via, family);
        let room = self
            .limit
            .checked_sub(FRAME + head.len() + attributes.len())?;
        let nlri = fill(&mut prefixes, family, room, taken);
        self.message(|out| {
            out.extend_from_slice(&[0, 0]);
            let plain = head.is_empty();
            with_length(out, |out| {
                if !plain {
                    attribute(out, ATTRIBUTE_MP_REACH_NLRI, &head, &nlri);
                }
                out.extend_from_slice(&attributes);
            })?;
            if plain {
                out.extend_from_slice(&nlri);
            }
            Some(())
        })
    }

    /// An UPDATE that withdraws as many of the prefixes, all of one family, as fit.
    pub(in crate::bgp) fn withdraw(
        &self,
        prefixes: impl IntoIterator<Item = Prefix>,
        taken: &mut Vec<Prefix>,
    ) -> Option<Vec<u8>> {
        let mut prefixes = prefixes.into_iter().peekable();
        let family = prefixes.peek()?.family();
        let mut head = vec![0; ATTRIBUTE];
        let afi_safi = AfiSafi::from(family);
        head.extend_from_slice(&afi_safi.afi.to_be_bytes());
        head.push(afi_safi.safi);
        let room = self.limit.checked_sub(FRAME + head.len())?;
        let nlri = fill(&mut prefixes, family, room, taken);
        self.message(|out| {
            match family {
                Family::Ipv4 => {
                    with_length(out, |out| out.extend_from_slice(&nlri))?;
                    out.extend_from_slice(&[0, 0]);
                }
                Family::Ipv6 => {
                    out.extend_from_slice(&[0, 0]);
                    with_length(out, |out| {
                        attribute(out, ATTRIBUTE_MP_UNREACH_NLRI, &head, &nlri);
                    })?;
                }
            }
            Some(())
        })
    }

    fn message(&self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        frame(&mut out, MessageType::Update, self.limit, write).ok()?;
        Some(out)
    }
}

/// Encodes prefixes of `family` while there is room.
fn fill(
    prefixes: &mut impl Iterator<Item = Prefix>,
    family: Family,
    room: usize,
    taken: &mut Vec<Prefix>,
) -> Vec<u8> {
    let mut nlri = Vec::new();
    for prefix in prefixes {
        if prefix.family() != family || nlri.len() + prefix.encoded_len() > room {
            break;
        }
        prefix.encode(&mut nlri);
        taken.push(prefix);
    }
    nlri
}

/// A multiprotocol attribute: `head` begins with room for its header.
fn attribute(out: &mut Vec<u8>, code: u8, head: &[u8], nlri: &[u8]) {
    let fixed = head.get(ATTRIBUTE..).unwrap_or_default();
    let length = u16::try_from(fixed.len() + nlri.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&[FLAG_OPTIONAL | FLAG_EXTENDED_LENGTH, code]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(fixed);
    out.extend_from_slice(nlri);
}
