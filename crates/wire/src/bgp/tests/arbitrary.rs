//! Messages that a speaker could send.

use crate::bgp::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(crate) fn prefix(family: Family) -> BoxedStrategy<Prefix> {
    match family {
        Family::Ipv4 => (any::<u32>(), 0..=32_u8)
            .prop_map(|(bits, length)| {
                Prefix::new(IpAddr::V4(Ipv4Addr::from_bits(bits)), length).unwrap()
            })
            .boxed(),
        Family::Ipv6 => (any::<u128>(), 0..=128_u8)
            .prop_map(|(bits, length)| {
                Prefix::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), length).unwrap()
            })
            .boxed(),
    }
}

fn asn() -> impl Strategy<Value = u32> {
    prop_oneof![1..=65535_u32, 65536..=u32::MAX]
}

fn as_path() -> impl Strategy<Value = AsPath> {
    let segment = prop_oneof![
        vec(asn(), 1..6).prop_map(Segment::Sequence),
        vec(asn(), 1..4).prop_map(Segment::Set),
    ];
    vec(segment, 0..4).prop_map(AsPath)
}

fn next_hop() -> impl Strategy<Value = Ipv4Addr> {
    (0x0100_0000..0xdf00_0000_u32).prop_map(Ipv4Addr::from_bits)
}

fn communities() -> impl Strategy<Value = Vec<Community>> {
    vec(any::<u32>().prop_map(Community), 0..70)
}

fn extended() -> impl Strategy<Value = Vec<ExtendedCommunity>> {
    vec(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..4)
}

fn large() -> impl Strategy<Value = Vec<LargeCommunity>> {
    let one = any::<(u32, u32, u32)>().prop_map(|(global, local1, local2)| LargeCommunity {
        global,
        local1,
        local2,
    });
    vec(one, 0..4)
}

fn raw() -> impl Strategy<Value = RawAttribute> {
    // Types that nothing here knows, optional so that they may stay unknown.
    let flags = prop_oneof![Just(0xc0_u8), Just(0xe0), Just(0x80)];
    (flags, 200..=250_u8, vec(any::<u8>(), 0..300)).prop_map(|(flags, code, value)| RawAttribute {
        flags,
        code,
        value,
    })
}

/// Attributes of an internal session between four-octet speakers.
pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    let origin = prop_oneof![
        Just(Origin::Igp),
        Just(Origin::Egp),
        Just(Origin::Incomplete)
    ];
    let aggregator = (asn(), any::<u32>()).prop_map(|(asn, id)| Aggregator {
        asn,
        identifier: Ipv4Addr::from_bits(id),
    });
    let numbers = (
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        any::<bool>(),
    );
    let lists = (communities(), extended(), large(), option::of(raw()));
    (
        origin,
        as_path(),
        next_hop(),
        option::of(aggregator),
        numbers,
        lists,
    )
        .prop_map(|(origin, as_path, next_hop, aggregator, numbers, lists)| {
            let (med, local_pref, only_to_customer, atomic_aggregate) = numbers;
            let (communities, extended_communities, large_communities, other) = lists;
            Attributes {
                origin: Some(origin),
                as_path: Some(as_path),
                next_hop: Some(next_hop),
                med,
                local_pref,
                atomic_aggregate,
                aggregator,
                communities,
                extended_communities,
                large_communities,
                only_to_customer,
                others: other.into_iter().collect(),
                ..Attributes::default()
            }
        })
}

fn mp_next_hop(family: Family) -> BoxedStrategy<MpNextHop> {
    let ipv6 = any::<u128>().prop_map(|bits| MpNextHop::Ipv6(Ipv6Addr::from_bits(bits)));
    let both = any::<(u128, u64)>().prop_map(|(bits, low)| {
        let link_local = Ipv6Addr::from_bits((0xfe80_u128 << 112) | u128::from(low));
        MpNextHop::Ipv6WithLinkLocal(Ipv6Addr::from_bits(bits), link_local)
    });
    match family {
        Family::Ipv4 => {
            let ipv4 = next_hop().prop_map(MpNextHop::Ipv4);
            prop_oneof![ipv4, ipv6, both].boxed()
        }
        Family::Ipv6 => prop_oneof![ipv6, both].boxed(),
    }
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn mp_reach() -> impl Strategy<Value = MpReach> {
    family().prop_flat_map(|family| {
        (mp_next_hop(family), vec(prefix(family), 1..5)).prop_map(move |(next_hop, prefixes)| {
            MpReach::Unicast {
                family,
                next_hop,
                prefixes,
            }
        })
    })
}

fn mp_unreach() -> impl Strategy<Value = MpUnreach> {
    family().prop_flat_map(|family| {
        vec(prefix(family), 0..5).prop_map(move |prefixes| MpUnreach::Unicast { family, prefixes })
    })
}

pub(crate) fn update() -> impl Strategy<Value = Update> {
    (
        vec(prefix(Family::Ipv4), 0..5),
        option::of(mp_unreach()),
        option::of(mp_reach()),
        attributes(),
        vec(prefix(Family::Ipv4), 1..5),
    )
        .prop_map(
            |(withdrawn, mp_unreach, mp_reach, attributes, announced)| Update {
                withdrawn,
                mp_unreach,
                mp_reach,
                attributes,
                announced,
            },
        )
}

fn afi_safi() -> impl Strategy<Value = AfiSafi> {
    prop_oneof![
        family().prop_map(AfiSafi::from),
        (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| AfiSafi { afi, safi }),
    ]
}

fn capability() -> impl Strategy<Value = Capability> {
    let encoding = any::<(u16, u16, u16)>().prop_map(|(afi, safi, next_hop_afi)| NextHopEncoding {
        afi,
        safi,
        next_hop_afi,
    });
    let restart_family = (afi_safi(), any::<bool>())
        .prop_map(|(family, forwarding)| RestartFamily { family, forwarding });
    let restart = (
        any::<(bool, bool)>(),
        0..=4095_u64,
        vec(restart_family, 0..4),
    )
        .prop_map(
            |((restarted, notification), time, families)| GracefulRestart {
                restarted,
                notification,
                time: Duration::from_secs(time),
                families,
            },
        );
    prop_oneof![
        afi_safi().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec(encoding, 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        role().prop_map(Capability::Role),
        restart.prop_map(Capability::GracefulRestart),
        any::<u32>().prop_map(Capability::FourOctetAs),
        Just(Capability::EnhancedRouteRefresh),
        (100..=250_u8, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Other { code, value }),
    ]
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::Provider),
        Just(Role::RouteServer),
        Just(Role::RouteServerClient),
        Just(Role::Customer),
        Just(Role::Peer),
    ]
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    (
        any::<(u16, u16, u32)>(),
        // Up to twelve, so that RFC 9072 is needed sometimes.
        vec(capability(), 0..12),
    )
        .prop_map(|((my_as, hold_time, identifier), capabilities)| Open {
            my_as,
            hold_time,
            identifier: Ipv4Addr::from_bits(identifier),
            capabilities,
        })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let notification = (any::<(u8, u8)>(), vec(any::<u8>(), 0..64))
        .prop_map(|((code, subcode), data)| Notification::with_data(code, subcode, data));
    let refresh = (afi_safi(), 0..4_u8).prop_map(|(family, subtype)| RouteRefresh {
        family,
        subtype: match subtype {
            0 => RefreshKind::Request,
            1 => RefreshKind::Begin,
            2 => RefreshKind::End,
            other => RefreshKind::Other(other),
        },
    });
    prop_oneof![
        open().prop_map(Message::Open),
        update().prop_map(|update| Message::Update(Box::new(update))),
        notification.prop_map(Message::Notification),
        Just(Message::Keepalive),
        refresh.prop_map(Message::RouteRefresh),
    ]
}
