//! The test of an address before its first announcement.

use super::*;

const VIP: &str = "192.168.1.240";
const VIP6: &str = "2001:db8::240";

fn probed(conflict: Policy) -> Entry {
    Entry {
        conflict,
        probe: true,
        ..entry()
    }
}

fn world(of: &str, conflict: Policy) -> World {
    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(of), probed(conflict))]));
    world
}

fn conflict(of: &str, mac: Mac) -> Conflict {
    Conflict {
        ip: ip(of),
        mac,
        interface: "eth1".into(),
        proxy_arp: false,
    }
}

#[test]
fn a_quiet_lan_is_probed_three_times_in_300_ms() {
    for policy in [Policy::Report, Policy::Withhold, Policy::Defend] {
        for (vip, to) in [
            (VIP, Mac::BROADCAST),
            (VIP6, Mac([0x33, 0x33, 0xff, 0, 0x02, 0x40])),
        ] {
            let mut world = world(vip, policy);
            let sent = world.run(Duration::from_millis(299));
            let want = [0, 100, 200].map(|at| (at, 1, Said::Asks(ip(vip), to)));
            assert_eq!(sent, want);
            assert_eq!(world.state(ip(vip)), Some(State::Probing));
            assert_eq!(world.hear(1, &question(CLIENT, ip(vip))), []);
            let sent = world.run(Duration::from_millis(1));
            assert!(sent.iter().all(|(at, ..)| *at == 300) && !sent.is_empty());
            assert_eq!(world.hear(1, &question(CLIENT, ip(vip))).len(), 1);
            assert_eq!(world.notices, []);
        }
    }
}

#[test]
fn a_strangers_answer_is_met_as_the_policy_says() {
    let rows = [
        (Policy::Report, State::Active),
        (Policy::Defend, State::Active),
        (Policy::Withhold, State::Withheld),
    ];
    for (policy, state) in rows {
        for vip in [VIP, VIP6] {
            for frame in [claim(STRANGER, ip(vip)), probe(STRANGER, ip(vip))] {
                let mut world = world(vip, policy);
                world.run(Duration::from_millis(150));
                world.hear(1, &frame);
                assert_eq!(world.state(ip(vip)), Some(state), "{policy:?}");
                assert_eq!(world.notices, [Notice::Conflict(conflict(vip, STRANGER))]);
                assert_eq!(
                    world.l2.conflicts(),
                    BTreeSet::from([conflict(vip, STRANGER)])
                );
                let sent = world.run(Duration::from_secs(5));
                let announced = sent.iter().any(|(_, _, said)| {
                    matches!(
                        said,
                        Said::Request(_) | Said::Announce(_) | Said::Unsolicited(_)
                    )
                });
                assert_eq!(announced, state == State::Active, "{policy:?}");
            }
        }
    }
}

#[test]
fn a_withheld_address_is_probed_again_and_announced_when_clean() {
    let mut world = world(VIP, Policy::Withhold);
    world.hear(1, &claim(STRANGER, ip(VIP)));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let from = world.now;
        while world.state(ip(VIP)) == Some(State::Withheld) {
            world.run(Duration::from_millis(50));
        }
        waits.push((world.now - from).as_secs_f64());
        world.hear(1, &claim(STRANGER, ip(VIP)));
        assert_eq!(world.state(ip(VIP)), Some(State::Withheld));
        assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    }
    for (wait, want) in waits.iter().zip([10.0, 20.0, 40.0, 60.0, 60.0]) {
        assert!((want * 0.9..=want * 1.1 + 0.1).contains(wait), "{waits:?}");
    }
    assert_eq!(world.notices.len(), 1, "told once: {:?}", world.notices);
    world.notices.clear();
    world.run(Duration::from_secs(67));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert_eq!(
        world.notices,
        [Notice::ConflictCleared(conflict(VIP, STRANGER))]
    );
    assert!(world.l2.conflicts().is_empty());
    assert!(world.counters(ip(VIP)).gratuitous_sent >= 2);
}

#[test]
fn a_quiet_second_probe_clears_the_conflict_at_once() {
    let mut world = world(VIP, Policy::Withhold);
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.run(Duration::from_secs(12));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert!(world.l2.conflicts().is_empty());
}

#[test]
fn a_changed_policy_ends_the_withholding() {
    let mut world = world(VIP, Policy::Withhold);
    world.hear(1, &claim(STRANGER, ip(VIP)));
    world.table(table([(ip(VIP), probed(Policy::Report))]));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert_eq!(world.l2.conflicts().len(), 1);
    // And back: what is known counts.
    world.table(table([(ip(VIP), probed(Policy::Withhold))]));
    assert_eq!(world.state(ip(VIP)), Some(State::Withheld));
}

#[test]
fn neither_takeover_nor_an_address_held_already_is_probed() {
    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(VIP), entry())]));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    world.table(table([(
        ip(VIP),
        Entry {
            epoch: 2,
            ..probed(Policy::Withhold)
        },
    )]));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
}

#[test]
fn without_a_link_the_probe_waits_for_one() {
    let mut world = World::new(&[]);
    world.table(table([(ip(VIP), probed(Policy::Report))]));
    assert_eq!(world.run(Duration::from_secs(10)), []);
    assert_eq!(world.state(ip(VIP)), Some(State::Probing));
    world.l2.handle_links(links(&[link(1)]), world.now);
    let sent = world.run(Duration::from_secs(10));
    assert_eq!(sent.len(), 3 + 10);
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
}

#[test]
fn many_take_turns_but_report_waits_no_longer_than_one_probe() {
    let all: Vec<IpAddr> = (0..3000)
        .map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
        .collect();
    for (policy, most) in [(Policy::Report, 300), (Policy::Withhold, 6400)] {
        let mut world = World::new(&[link(1)]);
        world.table(table(all.iter().map(|&ip| (ip, probed(policy)))));
        let sent = world.run(Duration::from_millis(most));
        assert!(
            all.iter().all(|&ip| world.state(ip) == Some(State::Active)),
            "{policy:?}"
        );
        for start in (0..most).step_by(100) {
            let second = u128::from(start)..u128::from(start) + 1000;
            let count = sent.iter().filter(|(at, ..)| second.contains(at)).count();
            assert!(
                count <= 3_100,
                "{policy:?}: {count} frames from {start} ms on"
            );
        }
    }
}
