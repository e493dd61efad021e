//! Others answering for an address in use: fellows, strangers, and who can't be told.

use super::*;

const VIP: &str = "192.168.1.240";
const VIP6: &str = "2001:db8::240";
const NODE_B: &str = "192.168.1.2";

fn with(conflict: Policy) -> Entry {
    Entry {
        conflict,
        ..entry()
    }
}

fn conflict(of: &str, proxy_arp: bool) -> Conflict {
    Conflict {
        ip: ip(of),
        mac: STRANGER,
        interface: "eth1".into(),
        proxy_arp,
    }
}

/// A table with node b's address.
fn fellowship(entries: impl IntoIterator<Item = (IpAddr, Entry)>) -> Table {
    Table {
        fellows: [
            ("me".into(), vec![ip("192.168.1.1")]),
            ("b".into(), vec![ip(NODE_B), ip("10.77.0.2")]),
        ]
        .into(),
        ..table(entries)
    }
}

#[test]
fn fellows_on_the_link_are_asked_for_and_asked_again() {
    let mut world = World::new(&[link(1)]);
    world.table(fellowship([]));
    let ask = |at| (at, 1, Said::Asks(ip(NODE_B), Mac::BROADCAST));
    assert_eq!(world.run(Duration::from_secs(10)), [0, 1000, 2000].map(ask));
    // Silent: again about a minute after the last wait, three times.
    let first = |sent: &[(u128, u32, Said)]| sent.first().map_or(0, |(at, ..)| *at);
    let again = world.run(Duration::from_millis(60_500));
    let at = first(&again);
    assert!((57_000..=69_000).contains(&at), "{again:?}");
    assert_eq!(again, [at, at + 1000, at + 2000].map(ask)[..again.len()]);
    // Heard: about a minute after that.
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    let heard = (world.now - world.zero).as_millis();
    let again = world.run(Duration::from_secs(67));
    let wait = first(&again) - heard;
    assert!((54_000..=66_000).contains(&wait), "{again:?}");
}

#[test]
fn a_fellow_is_no_stranger() {
    for policy in [Policy::Report, Policy::Withhold, Policy::Defend] {
        let mut world = World::new(&[link(1)]);
        world.table(fellowship([
            (ip(VIP), with(policy)),
            (ip(VIP6), with(policy)),
        ]));
        // Learnt from what it asks, too.
        let asks = arp::Packet::question(FELLOW, v4(ip(NODE_B)), Ipv4Addr::new(192, 168, 1, 99));
        world.hear(1, &asks.frame(Mac::BROADCAST));
        world.run(Duration::from_secs(8));
        for vip in [VIP, VIP6] {
            world.notices.clear();
            for _ in 0..100 {
                assert_eq!(world.hear(1, &claim(FELLOW, ip(vip))), []);
            }
            let want = Notice::FellowAnswers {
                ip: ip(vip),
                node: "b".into(),
                mac: FELLOW,
                interface: "eth1".into(),
            };
            assert_eq!(world.notices, [want]);
            assert_eq!(world.state(ip(vip)), Some(State::Active));
        }
        assert!(world.l2.conflicts().is_empty());
    }
}

#[test]
fn a_stranger_in_use_is_met_as_the_policy_says() {
    let rows = [
        (Policy::Report, State::Active, 0),
        (Policy::Withhold, State::Withheld, 0),
        (Policy::Defend, State::Active, 1),
    ];
    for (policy, state, defences) in rows {
        for vip in [VIP, VIP6] {
            let mut world = World::settled(table([(ip(vip), with(policy))]));
            let sent = world.hear(1, &claim(STRANGER, ip(vip)));
            let defended = sent
                .iter()
                .filter(|said| matches!(said, Said::Request(_) | Said::Unsolicited(_)))
                .count();
            assert_eq!(defended, defences, "{policy:?} {sent:?}");
            assert_eq!(world.state(ip(vip)), Some(state));
            assert_eq!(world.notices, [Notice::Conflict(conflict(vip, false))]);
        }
    }
}

#[test]
fn every_way_of_saying_it_counts() {
    let asks = arp::Packet::question(STRANGER, v4(ip(VIP)), Ipv4Addr::new(192, 168, 1, 99));
    let announces = arp::Packet::gratuitous(Operation::Request, STRANGER, v4(ip(VIP)));
    let replies = arp::Packet::gratuitous(Operation::Reply, STRANGER, v4(ip(VIP)));
    let frames = [
        asks.frame(Mac::BROADCAST),
        announces.frame(Mac::BROADCAST),
        replies.frame(Mac::BROADCAST),
        claim(STRANGER, ip(VIP)),
        claim(STRANGER, ip(VIP6)),
    ];
    for frame in frames {
        let mut world = World::settled(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
        world.hear(1, &frame);
        assert_eq!(world.l2.conflicts().len(), 1, "{:?}", said(&frame));
    }
    // Neither this node's interfaces, used or not, nor a mere question.
    let mut world = World::settled(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
    let relayed = {
        let mut frame = claim(OWN, ip(VIP6));
        frame[6..12].copy_from_slice(&CLIENT.0);
        frame
    };
    let macs = BTreeSet::from([Mac([2, 0, 0, 0, 9, 9])]);
    world.l2.handle_links(
        Links {
            macs,
            ..links(&[link(1)])
        },
        world.now,
    );
    for frame in [
        claim(OWN, ip(VIP)),
        relayed,
        claim(Mac([2, 0, 0, 0, 9, 9]), ip(VIP)),
        question(STRANGER, ip(VIP)),
        probe(STRANGER, ip(VIP)),
    ] {
        world.hear(1, &frame);
    }
    assert!(world.l2.conflicts().is_empty());
}

#[test]
fn a_flood_is_met_with_one_notice_and_one_defence_in_10_s() {
    let mut world = World::settled(table([(ip(VIP), with(Policy::Defend))]));
    let mut defended = Vec::new();
    let mut other = 0;
    for n in 0..25_000u128 {
        world.now += Duration::from_millis(1);
        world
            .l2
            .handle_frame(1, &claim(STRANGER, ip(VIP)), world.now);
        for (_, said) in world.sent() {
            match said {
                Said::Request(_) => defended.push(n),
                Said::Reply(..)
                | Said::Announce(_)
                | Said::Unsolicited(_)
                | Said::Solicited(..)
                | Said::Asks(..) => other += 1,
            }
        }
    }
    assert_eq!(defended, [0, 10_000, 20_000]);
    assert_eq!(other, 1, "the question whether he is a proxy");
    assert_eq!(world.notices.len(), 1);
}

#[test]
fn a_running_schedule_is_defence_enough_and_isnt_cut_short() {
    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(VIP), with(Policy::Defend))]));
    world.run(Duration::from_secs(1));
    let asked = world.hear(1, &claim(STRANGER, ip(VIP)));
    assert!(matches!(asked[..], [Said::Asks(..)]), "{asked:?}");
    let sent = world.run(Duration::from_secs(10));
    assert_eq!(sent.len(), 8, "{sent:?}");
}

#[test]
fn many_macs_are_kept_to_a_few() {
    for fellows in [false, true] {
        let entries = [(ip(VIP), entry())];
        let mut world = World::new(&[link(1)]);
        world.table(if fellows {
            fellowship(entries)
        } else {
            table(entries)
        });
        world.sent();
        let mut sent = 0;
        for n in 0..1000u16 {
            let [a, b] = n.to_be_bytes();
            sent += world
                .hear(1, &claim(Mac([2, 0, 0, 7, a, b]), ip(VIP)))
                .len();
        }
        assert_eq!(world.notices.len(), 4);
        assert!(sent <= 4, "{sent}");
    }
}

#[test]
fn an_unknown_mac_is_not_acted_on_until_every_fellow_is_known() {
    let entries = || [(ip(VIP), with(Policy::Withhold))];
    let unverified = Notice::Unverified {
        ip: ip(VIP),
        mac: STRANGER,
        interface: "eth1".into(),
    };
    // The fellow answers with another MAC: it was a stranger.
    let mut world = World::new(&[link(1)]);
    world.table(fellowship(entries()));
    world.hear(1, &claim(STRANGER, ip(VIP)));
    assert_eq!(world.notices, [unverified]);
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    assert_eq!(world.state(ip(VIP)), Some(State::Withheld));
    assert_eq!(world.notices[1..], [Notice::Conflict(conflict(VIP, false))]);
    // It was the fellow.
    let mut world = World::new(&[link(1)]);
    world.table(fellowship(entries()));
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.hear(1, &claim(STRANGER, ip(NODE_B)));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert!(matches!(world.notices[1..], [Notice::FellowAnswers { .. }]));
    assert!(world.l2.conflicts().is_empty());
    // The fellow stays silent: after three questions it is a stranger.
    let mut world = World::new(&[link(1)]);
    world.table(fellowship(entries()));
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.run(Duration::from_millis(2999));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    world.run(Duration::from_millis(1));
    assert_eq!(world.state(ip(VIP)), Some(State::Withheld));
}

#[test]
fn a_silent_fellow_is_asked_again_when_a_doubt_comes_up() {
    let mut world = World::new(&[link(1)]);
    world.table(fellowship([(ip(VIP), with(Policy::Withhold))]));
    world.run(Duration::from_secs(30));
    let sent = world.hear(1, &claim(STRANGER, ip(VIP)));
    assert_eq!(sent, [Said::Asks(ip(NODE_B), Mac::BROADCAST)]);
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    world.hear(1, &claim(STRANGER, ip(NODE_B)));
    assert!(matches!(
        world.notices[..],
        [Notice::Unverified { .. }, Notice::FellowAnswers { .. }]
    ));
}

#[test]
fn where_no_fellow_has_an_address_nobody_is_called_a_stranger() {
    let mut world = World::new(&[link(1)]);
    let fellows = [("b".into(), vec![ip("10.77.0.2")])].into();
    world.table(Table {
        fellows,
        ..table([(ip(VIP), with(Policy::Withhold))])
    });
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.run(Duration::from_secs(30));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert!(matches!(world.notices[..], [Notice::Unverified { .. }]));
}

#[test]
fn this_node_is_no_fellow_to_wait_for() {
    for own in ["192.168.1.77", "10.77.0.1"] {
        let mut world = World::new(&[link(1)]);
        let fellows = [("me".into(), vec![ip(own)])].into();
        world.table(Table {
            fellows,
            ..table([(ip(VIP), entry())])
        });
        world.hear(1, &claim(STRANGER, ip(VIP)));
        assert_eq!(world.l2.conflicts().len(), 1, "{own}");
    }
}

#[test]
fn a_fellow_that_fell_silent_stays_known_until_it_has_another_mac() {
    let mut world = World::new(&[link(1)]);
    world.table(fellowship([(ip(VIP), entry())]));
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.run(Duration::from_secs(90));
    world.hear(1, &claim(FELLOW, ip(VIP)));
    assert!(world.l2.conflicts().is_empty());
    // Nobody is missing, so a stranger is one at once.
    world.hear(1, &claim(STRANGER, ip(VIP)));
    assert_eq!(world.l2.conflicts().len(), 1);
    world.hear(1, &claim(CLIENT, ip(NODE_B)));
    world.hear(1, &claim(FELLOW, ip(VIP)));
    assert_eq!(world.l2.conflicts().len(), 2);
}

#[test]
fn our_own_address_is_not_asked_for_whoever_lists_it() {
    let mut world = World::new(&[link(1)]);
    let fellows = [("b".into(), vec![ip("192.168.1.1")])].into();
    world.table(Table {
        fellows,
        ..table([])
    });
    assert_eq!(world.run(Duration::from_secs(10)), []);
}

#[test]
fn a_proxy_is_named() {
    for (vip, prefix) in [(VIP, "192.168.1."), (VIP6, "2001:db8:")] {
        let mut world = World::settled(table([(ip(vip), entry())]));
        let sent = world.hear(1, &claim(STRANGER, ip(vip)));
        let [Said::Asks(unused, _)] = sent[..] else {
            panic!("{sent:?}")
        };
        assert!(
            unused.to_string().starts_with(prefix) && unused != ip(vip),
            "{unused}"
        );
        world.hear(1, &claim(CLIENT, unused));
        assert_eq!(world.l2.conflicts(), BTreeSet::from([conflict(vip, false)]));
        world.hear(1, &claim(STRANGER, unused));
        world.hear(1, &claim(STRANGER, unused));
        assert_eq!(world.l2.conflicts(), BTreeSet::from([conflict(vip, true)]));
        assert_eq!(world.notices.len(), 2);
    }
}

#[test]
fn a_stranger_is_asked_whether_he_still_answers_and_forgotten_when_not() {
    let mut world = World::settled(table([(ip(VIP), entry())]));
    world.hear(1, &claim(STRANGER, ip(VIP)));
    let from = (world.now - world.zero).as_millis();
    let sent = world.run(Duration::from_secs(25));
    assert_eq!(sent, [(from + 25_000, 1, Said::Asks(ip(VIP), STRANGER))]);
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.run(Duration::from_millis(59_999));
    assert_eq!(world.l2.conflicts().len(), 1);
    world.notices.clear();
    world.run(Duration::from_millis(1));
    assert_eq!(
        world.notices,
        [Notice::ConflictCleared(conflict(VIP, false))]
    );
    assert_eq!(world.l2.poll_timeout(), None);
}

#[test]
fn losing_the_address_or_the_link_ends_the_conflict() {
    let changes: [fn(&mut World); 3] = [
        |world| world.table(table([])),
        |world| {
            world.table(Table {
                yielded: BTreeSet::from([ip(VIP)]),
                ..table([])
            });
        },
        |world| world.l2.handle_links(links(&[link(2)]), world.now),
    ];
    for change in changes {
        let mut world = World::settled(table([(ip(VIP), entry())]));
        world.hear(1, &claim(STRANGER, ip(VIP)));
        change(&mut world);
        world.sent();
        assert_eq!(
            world.notices[1..],
            [Notice::ConflictCleared(conflict(VIP, false))]
        );
        assert!(world.l2.conflicts().is_empty());
    }
}

/// Questions for fellows among what was sent.
fn asked(sent: &[(u128, u32, Said)]) -> usize {
    let asks = |s: &&(u128, u32, Said)| matches!(s.2, Said::Asks(..));
    sent.iter().filter(asks).count()
}

#[test]
fn asking_for_fellows_costs_the_same_however_many_there_are() {
    for fellows in [10_u32, 500] {
        let of = |i: u32| IpAddr::from(Ipv4Addr::from_bits(0x0a0a_0000 + i));
        let mac = |i: u32| {
            let [.., a, b] = i.to_be_bytes();
            Mac([2, 0, 0, 9, a, b])
        };
        let mut link = link(1);
        link.addresses = vec![(of(0), 16)];
        let mut world = World::new(&[link]);
        world.table(Table {
            fellows: (1..=fellows)
                .map(|i| (format!("node-{i}"), vec![of(i)]))
                .collect(),
            ..table([])
        });
        // Each is asked for once, and answers.
        let first = world.run(Duration::from_millis(6000));
        assert!(asked(&first) >= fellows as usize);
        (1..=fellows).for_each(|i| drop(world.hear(1, &claim(mac(i), of(i)))));
        // If they only answer, a question a second.
        let mut questions = 0;
        for _ in 0..1000 {
            for (.., said) in world.run(Duration::from_secs(1)) {
                if let Said::Asks(IpAddr::V4(ip), _) = said {
                    questions += 1;
                    let i = ip.to_bits() - 0x0a0a_0000;
                    world.hear(1, &claim(mac(i), of(i)));
                }
            }
        }
        assert!((100..=1100).contains(&questions), "{fellows} {questions}");
        // If none answers, four.
        let silent = asked(&world.run(Duration::from_secs(1000)));
        assert!(silent <= 4400, "{fellows} {silent}");
        // If they speak by themselves, none.
        for _ in 0..20 {
            (1..=fellows).for_each(|i| drop(world.hear(1, &claim(mac(i), of(i)))));
            assert_eq!(asked(&world.run(Duration::from_secs(50))), 0, "{fellows}");
        }
    }
}
