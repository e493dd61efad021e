//! The peer ends up with what is wanted, in few messages that keep their size.

use super::*;
use crate::bgp::tests::{arbitrary, prefix, read};
use crate::bgp::{
    Attributes, Community, Families, LargeCommunity, MAX_EXTENDED_LEN, MpNextHop, MpReach, NextHop,
    Received, Role, UpdateContext,
};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

fn egress() -> Egress {
    Egress {
        families: Families::Both,
        own_as: 64512,
        external: true,
        four_octet_as: true,
        extended_next_hop: false,
        ipv4: Some(OWN),
        ipv6: Some(MpNextHop::Ipv6(OWN6)),
        role: None,
        limit: MAX_LEN,
    }
}

fn path(number: u32) -> Arc<Path> {
    Arc::new(Path {
        communities: [Community(number)].into(),
        ..Path::default()
    })
}

fn ipv4(number: u32) -> Prefix {
    Prefix::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)), 32).unwrap()
}

fn routes(entries: impl IntoIterator<Item = (Prefix, Arc<Path>)>) -> Arc<Routes> {
    Arc::new(entries.into_iter().collect())
}

/// What a peer makes of the messages.
#[derive(Debug, Default, PartialEq)]
struct Mirror {
    routes: BTreeMap<Prefix, (Attributes, Option<MpReach>)>,
    log: Vec<String>,
    longest: usize,
}

impl Mirror {
    fn context(egress: &Egress) -> UpdateContext {
        UpdateContext {
            four_octet_as: egress.four_octet_as,
            external: egress.external,
            extended_next_hop: egress.extended_next_hop,
        }
    }

    fn hear(&mut self, bytes: &[u8], egress: &Egress) {
        self.longest = self.longest.max(bytes.len());
        match read(bytes, &Self::context(egress)).unwrap() {
            Received::Update(decoded) => {
                assert_eq!(decoded.faults, []);
                let update = decoded.update;
                if let Some(family) = update.is_end_of_rib() {
                    self.log.push(format!("end of {family}"));
                    return;
                }
                let (gone, come) = (update.unreachable().count(), update.reachable().count());
                // RFC 7606 §5.1: not more than one kind of prefixes in a message.
                assert!((gone == 0) != (come == 0));
                self.log.push(format!("-{gone} +{come}"));
                for prefix in update.unreachable() {
                    assert!(
                        self.routes.remove(&prefix).is_some(),
                        "{prefix} wasn't there"
                    );
                }
                for prefix in update.reachable() {
                    let reach = update.mp_reach.clone().map(|mut reach| {
                        if let MpReach::Unicast { prefixes, .. } = &mut reach {
                            prefixes.clear();
                        }
                        reach
                    });
                    self.routes
                        .insert(prefix, (update.attributes.clone(), reach));
                }
            }
            Received::RouteRefresh(refresh) => self.log.push(format!("{:?}", refresh.subtype)),
            other @ (Received::Open(_) | Received::Notification(_) | Received::Keepalive) => {
                panic!("{other:?}")
            }
        }
    }

    fn drain(&mut self, rib: &mut AdjRibOut) {
        let egress = rib.sending.as_ref().unwrap().egress.clone();
        while let Some(bytes) = rib.next_message() {
            self.hear(&bytes, &egress);
        }
        assert!(rib.is_settled() || !rib.is_known());
        assert_eq!(rib.announced(), self.routes.len());
        assert_eq!(rib.pending(), 0);
    }

    fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }
}

fn started(egress: Egress, table: Arc<Routes>) -> (AdjRibOut, Mirror) {
    let mut rib = AdjRibOut::new();
    rib.set(table);
    rib.begin(egress, true);
    let mut mirror = Mirror::default();
    mirror.drain(&mut rib);
    (rib, mirror)
}

#[test]
fn prefixes_with_the_same_attributes_share_messages() {
    let table = routes((0..10_000).map(|n| (ipv4(n), path(1))));
    let (_, mut mirror) = started(egress(), table);
    assert_eq!(mirror.routes.len(), 10_000);
    // 5 octets a prefix, 50 for header, lengths and attributes: 809 in 4,096.
    let full = ["-0 +809"; 12].join(", ");
    let log = mirror.take_log();
    assert_eq!(
        log,
        format!("{full}, -0 +292, end of IPv4 unicast, end of IPv6 unicast")
    );
    assert!(mirror.longest <= MAX_LEN && mirror.longest > MAX_LEN - 5);
}

#[test]
fn extended_messages_carry_more() {
    let limit = MAX_EXTENDED_LEN;
    let table = routes((0..14_000).map(|n| (ipv4(n), path(1))));
    let (mut rib, mut mirror) = started(Egress { limit, ..egress() }, table);
    let ends = "end of IPv4 unicast, end of IPv6 unicast";
    assert_eq!(mirror.take_log(), format!("-0 +13097, -0 +903, {ends}"));
    rib.set(Arc::default());
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-13101 +0, -899 +0");
    assert!(mirror.longest <= limit);
}

#[test]
fn a_change_sends_only_its_difference() {
    let all: Vec<_> = (0..2_000).map(|n| (ipv4(n), path(n % 3))).collect();
    let (mut rib, mut mirror) = started(egress(), routes(all.clone()));
    mirror.take_log();
    let mut changed = all.clone();
    changed[5].1 = path(9);
    changed.remove(7);
    changed.push((ipv4(5_000), path(1)));
    rib.set(routes(changed.clone()));
    assert_eq!(rib.pending(), 3);
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-1 +0, -0 +1, -0 +1");
    assert_eq!(mirror.routes.len(), 2_000);
    // The same again, in other memory.
    let copies = changed
        .iter()
        .map(|(prefix, path)| (*prefix, Arc::new(Path::clone(path))));
    rib.set(routes(copies));
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "");
}

#[test]
fn the_latest_table_wins() {
    let (mut rib, mut mirror) = started(egress(), routes([(ipv4(1), path(1))]));
    mirror.take_log();
    rib.set(routes([(ipv4(1), path(2)), (ipv4(2), path(2))]));
    rib.set(routes([(ipv4(3), path(2))]));
    rib.set(routes([(ipv4(1), path(1)), (ipv4(3), path(4))]));
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-0 +1");
    rib.set(routes([]));
    rib.set(routes([(ipv4(1), path(1)), (ipv4(3), path(4))]));
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "");
}

#[test]
fn no_end_of_rib_before_the_table_is_known() {
    let mut rib = AdjRibOut::new();
    rib.begin(egress(), false);
    assert_eq!(rib.next_message(), None);
    assert!(!rib.is_settled());
    let mut mirror = Mirror::default();
    rib.set(Arc::default());
    mirror.drain(&mut rib);
    assert_eq!(
        mirror.take_log(),
        "end of IPv4 unicast, end of IPv6 unicast"
    );
}

#[test]
fn only_the_families_of_the_session_are_sent() {
    let both = routes([(ipv4(1), path(1)), (prefix("2001:db8::1/128"), path(1))]);
    let check = |families, log: &str| {
        let (rib, mut mirror) = started(
            Egress {
                families,
                ..egress()
            },
            Arc::clone(&both),
        );
        assert_eq!(mirror.take_log(), log);
        let ipv6 = rib.advertised(prefix("2001:db8::1/128"));
        let expected = match families {
            Families::Ipv4 => Advertised::Withheld(Withheld::Family(Family::Ipv6)),
            Families::Ipv6 | Families::Both => Advertised::Sent,
        };
        assert_eq!(ipv6, expected);
        assert_eq!(rib.advertised(ipv4(9)), Advertised::No);
    };
    check(Families::Ipv4, "-0 +1, end of IPv4 unicast");
    check(Families::Ipv6, "-0 +1, end of IPv6 unicast");
    check(
        Families::Both,
        "-0 +1, -0 +1, end of IPv4 unicast, end of IPv6 unicast",
    );
}

#[test]
fn next_hops_are_those_the_peer_can_use() {
    let check = |egress: Egress, prefix: Prefix, next_hop, expected: Result<&str, Withheld>| {
        let wanted = Path {
            next_hop,
            ..Path::default()
        };
        let (rib, mirror) = started(egress, routes([(prefix, Arc::new(wanted))]));
        let got = mirror
            .routes
            .get(&prefix)
            .map(|(attributes, reach)| match reach {
                Some(MpReach::Unicast { next_hop, .. }) => format!("{next_hop:?}"),
                Some(MpReach::Other { .. }) => panic!(),
                None => attributes.next_hop.unwrap().to_string(),
            });
        match expected {
            Ok(text) => assert_eq!(got.as_deref(), Some(text)),
            Err(why) => {
                assert_eq!(got, None);
                assert_eq!(rib.advertised(prefix), Advertised::Withheld(why));
            }
        }
    };
    let (v4, v6) = (ipv4(1), prefix("2001:db8:1::/48"));
    let no_ipv4 = Egress {
        ipv4: None,
        ..egress()
    };
    let extended = Egress {
        extended_next_hop: true,
        ..no_ipv4.clone()
    };
    let link_local = "fe80::1".parse().unwrap();
    let both = MpNextHop::Ipv6WithLinkLocal(OWN6, link_local);
    check(egress(), v4, NextHop::Own, Ok("10.0.0.1"));
    check(egress(), v6, NextHop::Own, Ok("Ipv6(2001:db8::1)"));
    check(
        no_ipv4.clone(),
        v4,
        NextHop::Own,
        Err(Withheld::NextHop(Family::Ipv4)),
    );
    check(extended.clone(), v4, NextHop::Own, Ok("Ipv6(2001:db8::1)"));
    let link = Egress {
        ipv6: Some(both),
        ..extended.clone()
    };
    check(
        link,
        v4,
        NextHop::Own,
        Ok("Ipv6WithLinkLocal(2001:db8::1, fe80::1)"),
    );
    let no_ipv6 = Egress {
        ipv6: None,
        ..egress()
    };
    check(
        no_ipv6,
        v6,
        NextHop::Own,
        Err(Withheld::NextHop(Family::Ipv6)),
    );
    let other = |text: &str| NextHop::Address(text.parse().unwrap());
    check(egress(), v4, other("10.0.0.9"), Ok("10.0.0.9"));
    check(egress(), v6, other("2001:db8::9"), Ok("Ipv6(2001:db8::9)"));
    check(
        egress(),
        v4,
        other("2001:db8::9"),
        Err(Withheld::NextHop(Family::Ipv4)),
    );
    check(extended, v4, other("2001:db8::9"), Ok("Ipv6(2001:db8::9)"));
    check(
        egress(),
        v6,
        other("10.0.0.9"),
        Err(Withheld::NextHop(Family::Ipv6)),
    );
}

#[test]
fn attributes_follow_the_kind_of_session() {
    let check = |egress: Egress, wanted: Path, expected: Attributes| {
        let (_, mirror) = started(egress, routes([(ipv4(1), Arc::new(wanted))]));
        assert_eq!(mirror.routes[&ipv4(1)].0, expected);
    };
    let sent = |ases: &[u32], local_pref| Attributes {
        origin: Some(crate::bgp::Origin::Igp),
        as_path: Some(crate::bgp::AsPath::sequence(ases)),
        next_hop: Some(OWN),
        local_pref,
        ..Attributes::default()
    };
    let internal = Egress {
        external: false,
        ..egress()
    };
    let preferred = Path {
        local_pref: Some(7),
        ..Path::default()
    };
    check(egress(), Path::default(), sent(&[64512], None));
    check(egress(), preferred.clone(), sent(&[64512], None));
    check(internal.clone(), Path::default(), sent(&[], Some(100)));
    check(internal.clone(), preferred, sent(&[], Some(7)));
    let prepended = Path {
        prepend: 2,
        ..Path::default()
    };
    check(egress(), prepended.clone(), sent(&[64512; 3], None));
    check(internal.clone(), prepended, sent(&[], Some(100)));
    // A two-octet peer of an AS that needs four (RFC 6793).
    let big = Egress {
        own_as: 4_200_000_000,
        four_octet_as: false,
        ..egress()
    };
    let mut trans = sent(&[23456], None);
    trans.as4_path = Some(crate::bgp::AsPath::sequence([4_200_000_000]));
    check(big, Path::default(), trans);
    // Roles (RFC 9234 §5).
    for role in [Role::Provider, Role::RouteServer, Role::Peer] {
        let marked = Attributes {
            only_to_customer: Some(64512),
            ..sent(&[64512], None)
        };
        check(
            Egress {
                role: Some(role),
                ..egress()
            },
            Path::default(),
            marked,
        );
    }
    for role in [Role::Customer, Role::RouteServerClient] {
        let plain = sent(&[64512], None);
        check(
            Egress {
                role: Some(role),
                ..egress()
            },
            Path::default(),
            plain,
        );
    }
}

#[test]
fn what_no_message_can_carry_is_withheld() {
    let large = |count: u32| {
        let communities = (0..count).map(|n| LargeCommunity {
            global: n,
            local1: 0,
            local2: 0,
        });
        Arc::new(Path {
            large_communities: communities.collect(),
            ..Path::default()
        })
    };
    // 23 for the frame, 20 for ORIGIN, AS_PATH and NEXT_HOP, 4 and 12 each, 5 for the prefix.
    let (mut rib, mut mirror) = started(egress(), routes([(ipv4(1), large(337))]));
    assert_eq!(rib.advertised(ipv4(1)), Advertised::Sent);
    mirror.take_log();
    rib.set(routes([(ipv4(1), large(338))]));
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-1 +0", "the old path must not stay");
    assert_eq!(
        rib.advertised(ipv4(1)),
        Advertised::Withheld(Withheld::TooLong)
    );
    rib.set(routes([(ipv4(1), large(337))]));
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-0 +1");
    let limit = MAX_EXTENDED_LEN;
    let (rib, _) = started(
        Egress { limit, ..egress() },
        routes([(ipv4(1), large(338))]),
    );
    assert_eq!(rib.advertised(ipv4(1)), Advertised::Sent);
}

#[test]
fn a_refresh_sends_everything_of_its_family_again() {
    let table = routes([
        (ipv4(1), path(1)),
        (ipv4(2), path(2)),
        (prefix("2001:db8::/32"), path(1)),
    ]);
    let (mut rib, mut mirror) = started(egress(), Arc::clone(&table));
    mirror.take_log();
    rib.refresh(Family::Ipv4);
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "Begin, -0 +1, -0 +1, End");
    // Asked for again in the middle: it starts over.
    rib.refresh(Family::Ipv6);
    let begin = rib.next_message().unwrap();
    mirror.hear(&begin, &egress());
    rib.refresh(Family::Ipv6);
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "Begin, Begin, -0 +1, End");
    // A path that changes and changes back during a refresh still has to be sent.
    rib.refresh(Family::Ipv4);
    let mut other = Routes::clone(&table);
    other.insert(ipv4(1), path(5));
    rib.set(Arc::new(other));
    rib.set(table);
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "Begin, -0 +1, -0 +1, End");
}

#[test]
fn a_refresh_without_demarcation_or_before_the_end_of_rib_has_no_marks() {
    let table = routes([(ipv4(1), path(1))]);
    let mut rib = AdjRibOut::new();
    rib.set(Arc::clone(&table));
    rib.begin(egress(), false);
    let mut mirror = Mirror::default();
    mirror.drain(&mut rib);
    mirror.take_log();
    rib.refresh(Family::Ipv4);
    mirror.drain(&mut rib);
    assert_eq!(mirror.take_log(), "-0 +1");
    let mut rib = AdjRibOut::new();
    rib.set(table);
    rib.begin(egress(), true);
    let mut mirror = Mirror::default();
    let one = rib.next_message().unwrap();
    mirror.hear(&one, &egress());
    rib.refresh(Family::Ipv4);
    mirror.drain(&mut rib);
    let log = mirror.take_log();
    assert_eq!(
        log,
        "-0 +1, -0 +1, end of IPv4 unicast, end of IPv6 unicast"
    );
}

#[test]
fn a_table_on_its_way_out_says_so() {
    let wanted = Arc::new(Path {
        local_pref: Some(300),
        ..Path::default()
    });
    let table = routes([(ipv4(1), Arc::clone(&wanted)), (ipv4(2), wanted)]);
    let out = routes::leaving(&table);
    assert!(
        Arc::ptr_eq(&out[&ipv4(1)], &out[&ipv4(2)]),
        "paths stay shared"
    );
    let path = &out[&ipv4(1)];
    assert_eq!(path.local_pref, Some(0));
    assert!(path.communities.contains(&Community::GRACEFUL_SHUTDOWN));
}

/// A step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Set(BTreeMap<u8, u8>),
    Send(u8),
    Refresh(bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let table = proptest::collection::btree_map(0..24_u8, 0..4_u8, 0..24);
    prop_oneof![
        3 => table.prop_map(Step::Set),
        3 => (0..6_u8).prop_map(Step::Send),
        1 => any::<bool>().prop_map(Step::Refresh),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever happens in between, the peer ends up with the last table.
    #[test]
    fn the_peer_has_the_last_table(
        steps in proptest::collection::vec(step(), 1..20),
        prefixes in proptest::collection::vec(
            prop_oneof![arbitrary::prefix(Family::Ipv4), arbitrary::prefix(Family::Ipv6)], 24),
        enhanced: bool,
    ) {
        let mut rib = AdjRibOut::new();
        let mut mirror = Mirror::default();
        rib.begin(egress(), enhanced);
        let mut wanted: Arc<Routes> = Arc::default();
        for step in steps {
            match step {
                Step::Set(table) => {
                    wanted = routes(table.into_iter().map(|(prefix, n)| {
                        (prefixes[usize::from(prefix)], path(n.into()))
                    }));
                    rib.set(Arc::clone(&wanted));
                }
                Step::Send(count) => {
                    for _ in 0..count {
                        let Some(bytes) = rib.next_message() else { break };
                        mirror.hear(&bytes, &egress());
                        prop_assert_eq!(rib.announced(), mirror.routes.len());
                    }
                }
                Step::Refresh(ipv4) => {
                    rib.refresh(if ipv4 { Family::Ipv4 } else { Family::Ipv6 });
                }
                Step::Restart => {
                    rib.end();
                    rib.begin(egress(), enhanced);
                    mirror = Mirror::default();
                }
            }
        }
        rib.set(Arc::clone(&wanted));
        mirror.drain(&mut rib);
        let (fresh, expected) = started(egress(), Arc::clone(&wanted));
        prop_assert_eq!(&mirror.routes, &expected.routes);
        prop_assert_eq!(fresh.announced(), wanted.len());
        // Nothing but a reference is kept.
        prop_assert!(rib.sending.unwrap().differs.is_empty());
    }
}
