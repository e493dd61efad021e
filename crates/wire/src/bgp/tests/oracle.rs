//! The same messages written and read by an implementation that shares nothing with this one.

use super::arbitrary;
use super::*;
use proptest::prelude::*;
use rustbgpd_wire as oracle;
use std::net::IpAddr;

fn oracle_family(family: Family) -> (oracle::Afi, oracle::Safi) {
    match family {
        Family::Ipv4 => (oracle::Afi::Ipv4, oracle::Safi::Unicast),
        Family::Ipv6 => (oracle::Afi::Ipv6, oracle::Safi::Unicast),
    }
}

fn oracle_prefix(prefix: &Prefix) -> oracle::NlriEntry {
    let prefix = match prefix.address() {
        IpAddr::V4(ip) => oracle::Prefix::V4(oracle::Ipv4Prefix::new(ip, prefix.length())),
        IpAddr::V6(ip) => oracle::Prefix::V6(oracle::Ipv6Prefix::new(ip, prefix.length())),
    };
    oracle::NlriEntry { path_id: 0, prefix }
}

fn oracle_ipv4(prefixes: &[Prefix]) -> Vec<oracle::Ipv4NlriEntry> {
    let entries = prefixes.iter().map(|prefix| match prefix.address() {
        IpAddr::V4(ip) => oracle::Ipv4NlriEntry {
            path_id: 0,
            prefix: oracle::Ipv4Prefix::new(ip, prefix.length()),
        },
        IpAddr::V6(_) => panic!("an IPv6 prefix among IPv4 ones"),
    });
    entries.collect()
}

fn oracle_path(path: &AsPath) -> oracle::AsPath {
    let segments = path.0.iter().map(|segment| match segment {
        Segment::Sequence(ases) => oracle::AsPathSegment::AsSequence(ases.clone()),
        Segment::Set(ases) => oracle::AsPathSegment::AsSet(ases.clone()),
    });
    oracle::AsPath {
        segments: segments.collect(),
    }
}

fn oracle_next_hop(next_hop: MpNextHop) -> (IpAddr, Option<std::net::Ipv6Addr>) {
    match next_hop {
        MpNextHop::Ipv4(ip) => (ip.into(), None),
        MpNextHop::Ipv6(ip) => (ip.into(), None),
        MpNextHop::Ipv6WithLinkLocal(ip, link_local) => (ip.into(), Some(link_local)),
    }
}

/// The attributes as the oracle has them, in the order they are written here.
fn oracle_attributes(update: &Update) -> Vec<oracle::PathAttribute> {
    use oracle::PathAttribute as P;
    let mut all = Vec::new();
    if let Some(MpUnreach::Unicast { family, prefixes }) = &update.mp_unreach {
        let (afi, safi) = oracle_family(*family);
        all.push(P::MpUnreachNlri(Box::new(oracle::MpUnreachNlri {
            afi,
            safi,
            withdrawn: prefixes.iter().map(oracle_prefix).collect(),
            flowspec_withdrawn: Vec::new(),
            evpn_withdrawn: Vec::new(),
            bgpls_withdrawn: Vec::new(),
            vpn_withdrawn: Vec::new(),
            labeled_withdrawn: Vec::new(),
            rtc_withdrawn: Vec::new(),
        })));
    }
    if let Some(MpReach::Unicast {
        family,
        next_hop,
        prefixes,
    }) = &update.mp_reach
    {
        let (afi, safi) = oracle_family(*family);
        let (next_hop, link_local_next_hop) = oracle_next_hop(*next_hop);
        all.push(P::MpReachNlri(Box::new(oracle::MpReachNlri {
            afi,
            safi,
            next_hop,
            link_local_next_hop,
            announced: prefixes.iter().map(oracle_prefix).collect(),
            flowspec_announced: Vec::new(),
            evpn_announced: Vec::new(),
            bgpls_announced: Vec::new(),
            vpn_announced: Vec::new(),
            labeled_announced: Vec::new(),
            rtc_announced: Vec::new(),
        })));
    }
    let own = &update.attributes;
    all.extend(own.origin.map(|origin| {
        P::Origin(match origin {
            Origin::Igp => oracle::Origin::Igp,
            Origin::Egp => oracle::Origin::Egp,
            Origin::Incomplete => oracle::Origin::Incomplete,
        })
    }));
    all.extend(
        own.as_path
            .as_ref()
            .map(|path| P::AsPath(oracle_path(path))),
    );
    all.extend(own.next_hop.map(P::NextHop));
    all.extend(own.med.map(P::Med));
    all.extend(own.local_pref.map(P::LocalPref));
    all.extend(own.atomic_aggregate.then_some(P::AtomicAggregate));
    all.extend(own.aggregator.map(|aggregator| {
        P::Aggregator(oracle::Aggregator {
            asn: aggregator.asn,
            router_id: aggregator.identifier,
            partial: false,
        })
    }));
    if !own.communities.is_empty() {
        let communities = own.communities.iter().map(|community| community.0);
        all.push(P::Communities(communities.collect()));
    }
    if !own.extended_communities.is_empty() {
        let extended = own.extended_communities.iter();
        let extended = extended.map(|c| oracle::ExtendedCommunity::new(u64::from_be_bytes(c.0)));
        all.push(P::ExtendedCommunities(extended.collect()));
    }
    if !own.large_communities.is_empty() {
        let large = own.large_communities.iter();
        let large = large.map(|c| oracle::LargeCommunity::new(c.global, c.local1, c.local2));
        all.push(P::LargeCommunities(large.collect()));
    }
    all.extend(own.only_to_customer.map(P::OnlyToCustomer));
    all
}

fn parsed(bytes: &[u8]) -> oracle::ParsedUpdate {
    let mut body = &bytes[HEADER_LEN..];
    let length = body.len();
    let update = oracle::UpdateMessage::decode(&mut body, length).unwrap();
    update.parse(true, false, &[]).unwrap()
}

/// What the oracle writes: no attributes of its own invention, and no AS_SET (RFC 9774).
fn update() -> impl Strategy<Value = Update> {
    arbitrary::update().prop_map(|mut update| {
        update.attributes.others.clear();
        if let Some(path) = &mut update.attributes.as_path {
            path.0
                .retain(|segment| matches!(segment, Segment::Sequence(_)));
        }
        update
    })
}

const INTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: false,
    extended_next_hop: true,
};

fn oracle_capability(capability: &Capability) -> Option<oracle::Capability> {
    use oracle::Capability as C;
    let known = |family: AfiSafi| family.family().map(oracle_family);
    Some(match capability {
        Capability::Multiprotocol(family) => {
            let (afi, safi) = known(*family)?;
            C::MultiProtocol { afi, safi }
        }
        Capability::RouteRefresh => C::RouteRefresh,
        Capability::ExtendedNextHop(_) => return None,
        Capability::ExtendedMessage => C::ExtendedMessage,
        Capability::Role(role) => C::Role {
            role: oracle::BgpRole::from_u8(role.code())?,
        },
        Capability::GracefulRestart(restart) => {
            let families = restart.families.iter().map(|entry| {
                let (afi, safi) = known(entry.family)?;
                Some(oracle::GracefulRestartFamily {
                    afi,
                    safi,
                    forwarding_preserved: entry.forwarding,
                })
            });
            C::GracefulRestart {
                restart_state: restart.restarted,
                notification: restart.notification,
                restart_time: u16::try_from(restart.time.as_secs()).unwrap(),
                families: families.collect::<Option<_>>()?,
            }
        }
        Capability::FourOctetAs(asn) => C::FourOctetAs { asn: *asn },
        Capability::EnhancedRouteRefresh => C::EnhancedRouteRefresh,
        Capability::Other { code, value } => C::Unknown {
            code: *code,
            data: value.clone().into(),
        },
    })
}

/// An OPEN of capabilities the oracle has, too, once here and once there.
fn opens() -> impl Strategy<Value = (Open, oracle::OpenMessage)> {
    arbitrary::open().prop_map(|mut open| {
        open.capabilities
            .retain(|capability| oracle_capability(capability).is_some());
        let theirs = oracle::OpenMessage {
            version: 4,
            my_as: open.my_as,
            hold_time: open.hold_time,
            bgp_identifier: open.identifier,
            capabilities: open
                .capabilities
                .iter()
                .filter_map(oracle_capability)
                .collect(),
        };
        (open, theirs)
    })
}

proptest! {
    #[test]
    fn an_update_written_here_is_read_there(update in update()) {
        let bytes = Message::Update(Box::new(update.clone())).encode(true, MAX_LEN).unwrap();
        let parsed = parsed(&bytes);
        prop_assert_eq!(parsed.withdrawn, oracle_ipv4(&update.withdrawn));
        prop_assert_eq!(parsed.announced, oracle_ipv4(&update.announced));
        prop_assert_eq!(parsed.attributes, oracle_attributes(&update));
    }

    #[test]
    fn an_update_written_there_is_read_here(update in update()) {
        let theirs = oracle::UpdateMessage::build(
            &oracle_ipv4(&update.announced),
            &oracle_ipv4(&update.withdrawn),
            &oracle_attributes(&update),
            true,
            false,
            oracle::Ipv4UnicastMode::Body,
        );
        let mut bytes = Vec::new();
        theirs.encode(&mut bytes).unwrap();
        let sound = Decoded { update, faults: Vec::new() };
        prop_assert_eq!(read(&bytes, &INTERNAL), Ok(Received::Update(Box::new(sound))));
    }

    #[test]
    fn an_open_written_here_is_read_there((open, theirs) in opens()) {
        let bytes = Message::Open(open).encode(true, MAX_LEN).unwrap();
        let mut body = &bytes[HEADER_LEN..];
        let length = body.len();
        prop_assert_eq!(oracle::OpenMessage::decode(&mut body, length).unwrap(), theirs);
    }

    #[test]
    fn an_open_written_there_is_read_here((open, theirs) in opens()) {
        let mut bytes = Vec::new();
        theirs.encode(&mut bytes).unwrap();
        prop_assert_eq!(read(&bytes, &INTERNAL), Ok(Received::Open(open)));
    }
}
