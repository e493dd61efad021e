//! What is sent unasked, and exactly when.

use super::*;
use std::collections::BTreeMap;

const VIP: &str = "192.168.1.240";
const VIP6: &str = "2001:db8::240";

fn many(count: u32) -> Vec<IpAddr> {
    (0..count)
        .map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
        .collect()
}

fn pair(at: u128, link: u32, of: &str) -> [(u128, u32, Said); 2] {
    [
        (at, link, Said::Request(ip(of))),
        (at, link, Said::Announce(ip(of))),
    ]
}

#[test]
fn the_schedule_is_at_once_and_every_1100_ms_for_5_s() {
    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(VIP), entry())]));
    let want: Vec<_> = [0, 1100, 2200, 3300, 4400]
        .into_iter()
        .flat_map(|at| pair(at, 1, VIP))
        .collect();
    assert_eq!(world.run(Duration::from_secs(60)), want);
    assert_eq!(world.l2.poll_timeout(), None);

    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(VIP6), entry())]));
    let want: Vec<_> = [0, 1100, 2200, 3300, 4400]
        .into_iter()
        .map(|at| (at, 1, Said::Unsolicited(ip(VIP6))))
        .collect();
    assert_eq!(world.run(Duration::from_secs(60)), want);
}

#[test]
fn only_a_raised_epoch_starts_it_again() {
    let mut world = World::settled(table([(ip(VIP), entry())]));
    let zero = (world.now - world.zero).as_millis();
    world.table(table([(ip(VIP), entry())]));
    world.table(table([(
        ip(VIP),
        Entry {
            conflict: Policy::Defend,
            ..entry()
        },
    )]));
    assert_eq!(world.run(Duration::from_secs(10)), []);
    world.table(table([(
        ip(VIP),
        Entry {
            epoch: 2,
            ..entry()
        },
    )]));
    let sent = world.run(Duration::from_secs(10));
    assert_eq!(sent.len(), 10);
    assert_eq!(sent[..2], pair(zero + 10_000, 1, VIP));
    // In the middle of a schedule it starts over, and doesn't run twice.
    world.table(table([(
        ip(VIP),
        Entry {
            epoch: 3,
            ..entry()
        },
    )]));
    world.run(Duration::from_millis(2500));
    world.table(table([(
        ip(VIP),
        Entry {
            epoch: 4,
            ..entry()
        },
    )]));
    assert_eq!(world.run(Duration::from_secs(10)).len(), 10);
}

#[test]
fn losing_an_address_stops_its_schedule() {
    let mut world = World::new(&[link(1)]);
    world.table(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
    world.sent();
    world.table(Table {
        yielded: BTreeSet::from([ip(VIP)]),
        ..table([])
    });
    assert_eq!(world.run(Duration::from_secs(10)), []);
}

#[test]
fn a_big_gain_is_paced_with_every_first_frame_first() {
    let all = many(10_000);
    let mut world = World::new(&[link(1)]);
    world.table(table(all.iter().map(|&ip| (ip, entry()))));
    let sent = world.run(Duration::from_secs(60));
    assert_eq!(sent.len(), 100_000);
    let firsts = &sent[..10_000];
    assert!(
        firsts
            .iter()
            .all(|(_, _, said)| matches!(said, Said::Request(_)))
    );
    let distinct: BTreeSet<_> = firsts.iter().map(|(_, _, said)| said).collect();
    assert_eq!(distinct.len(), 10_000);
    // 3,000 frames/s: never more than that and a bucket of 30 in a second, and not less.
    for start in (0..30_000).step_by(250) {
        let second = start..start + 1000;
        let count = sent.iter().filter(|(at, ..)| second.contains(at)).count();
        assert!(
            (2_990..=3_040).contains(&count),
            "{count} frames from {start} ms on"
        );
    }
    let mut rounds: BTreeMap<IpAddr, Vec<u128>> = BTreeMap::new();
    for (at, _, said) in sent {
        if let Said::Request(ip) = said {
            rounds.entry(ip).or_default().push(at);
        }
    }
    for (ip, rounds) in rounds {
        assert_eq!(rounds.len(), 5, "{ip}");
        assert!(
            rounds.windows(2).all(|two| two[1] - two[0] >= 1100),
            "{ip}: {rounds:?}"
        );
    }
}

#[test]
fn rounds_are_counted_from_the_first_half() {
    let all = many(60);
    let mut world = World::new(&[link(1)]);
    world.table(table(all.iter().map(|&ip| (ip, entry()))));
    let sent = world.run(Duration::from_secs(10));
    let of = |want: Said| -> Vec<u128> {
        let of_it = sent.iter().filter(|(_, _, said)| *said == want);
        of_it.map(|(at, ..)| *at).collect()
    };
    assert_eq!(of(Said::Request(all[0])), [0, 1100, 2200, 3300, 4400]);
    assert!(
        of(Said::Announce(all[0]))[0] > 0,
        "its second half had to wait"
    );
}

#[test]
fn the_pace_is_each_links_own_and_spares_answers() {
    let all = many(1000);
    let mut world = World::new(&[link(1), link(2)]);
    world.table(table(all.iter().map(|&ip| (ip, entry()))));
    let at_once = world.sent();
    assert_eq!(at_once.iter().filter(|(link, _)| *link == 1).count(), 30);
    assert_eq!(at_once.iter().filter(|(link, _)| *link == 2).count(), 30);
    for &ip in &all {
        assert_eq!(
            world.hear(1, &question(CLIENT, ip)),
            [Said::Reply(ip, CLIENT)]
        );
    }
}

#[test]
fn the_most_recently_asked_for_goes_first() {
    let all = many(1000);
    let mut world = World::new(&[link(1)]);
    for n in [7, 900, 500, 7] {
        world.now += Duration::from_millis(10);
        assert_eq!(world.hear(1, &question(CLIENT, all[n])), []);
    }
    world.table(table(all.iter().map(|&ip| (ip, entry()))));
    let order: Vec<Said> = world
        .sent()
        .into_iter()
        .map(|(_, said)| said)
        .take(5)
        .collect();
    let want = [7, 500, 900, 0, 1].map(|n| Said::Request(all[n]));
    assert_eq!(order, want);
}

#[test]
fn the_memory_of_questions_is_bounded_and_keeps_the_newest() {
    let all = many(10_000);
    let mut world = World::new(&[link(1)]);
    for &ip in &all {
        world.now += Duration::from_millis(1);
        world.hear(1, &question(CLIENT, ip));
    }
    let port = &world.l2.ports[&1];
    let known = all
        .iter()
        .filter(|&&ip| port.recent.last(ip).is_some())
        .count();
    assert!((2048..=4096).contains(&known), "{known}");
    assert!(
        all[10_000 - 2048..]
            .iter()
            .all(|&ip| port.recent.last(ip).is_some())
    );
}

#[test]
fn named_interfaces_only() {
    let named = |name: &str| Entry {
        interfaces: Interfaces::Named(BTreeSet::from([name.into()])),
        ..entry()
    };
    let mut world = World::new(&[link(1), link(2)]);
    world.table(table([(ip(VIP), named("eth2"))]));
    let sent = world.run(Duration::from_secs(10));
    assert!(sent.len() == 10 && sent.iter().all(|(_, link, _)| *link == 2));
    let at = (world.now - world.zero).as_millis();
    world.table(table([(ip(VIP), named("eth1"))]));
    assert_eq!(world.run(Duration::ZERO), pair(at, 1, VIP));
    assert_eq!(world.hear(2, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))).len(), 1);
}

#[test]
fn a_link_that_appears_later_is_announced_on_and_joins_the_groups() {
    let mut world = World::settled(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
    let group: Ipv6Addr = "ff02::1:ff00:240".parse().unwrap();
    assert_eq!(world.groups, [(true, 1, group)]);
    world.l2.handle_links(links(&[link(1), link(2)]), world.now);
    let sent = world.run(Duration::from_secs(10));
    assert!(
        sent.len() == 15 && sent.iter().all(|(_, link, _)| *link == 2),
        "{sent:?}"
    );
    assert_eq!(world.groups[1..], [(true, 2, group)]);
    // Gone, and back.
    world.l2.handle_links(links(&[link(2)]), world.now);
    assert_eq!(world.run(Duration::from_secs(10)), []);
    assert_eq!(world.groups[2..], [(false, 1, group)]);
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    world.l2.handle_links(links(&[link(1), link(2)]), world.now);
    assert_eq!(world.run(Duration::from_secs(10)).len(), 15);
    assert_eq!(world.groups[3..], [(true, 1, group)]);
}

#[test]
fn another_mac_is_another_link_and_another_address_is_not() {
    let mut world = World::settled(table([(ip(VIP), entry())]));
    let mut changed = link(1);
    changed.addresses.push((ip("10.9.9.9"), 24));
    world.l2.handle_links(links(&[changed.clone()]), world.now);
    assert_eq!(world.run(Duration::from_secs(10)), []);
    changed.mac = Mac([2, 0, 0, 0, 0, 77]);
    world.l2.handle_links(links(&[changed]), world.now);
    assert_eq!(world.run(Duration::from_secs(10)).len(), 10);
}

#[test]
fn groups_are_counted() {
    let shared: [IpAddr; 2] = [ip("2001:db8:a::240"), ip("2001:db8:b::240")];
    let group: Ipv6Addr = "ff02::1:ff00:240".parse().unwrap();
    let mut world = World::settled(table(shared.map(|ip| (ip, entry()))));
    assert_eq!(world.groups, [(true, 1, group)]);
    world.table(table([(shared[1], entry())]));
    world.sent();
    assert_eq!(world.groups.len(), 1);
    world.table(Table {
        yielded: BTreeSet::from([shared[1]]),
        ..table([])
    });
    world.sent();
    assert_eq!(
        world.groups.len(),
        1,
        "a yielded address is still answered for"
    );
    world.run(Duration::from_secs(1));
    assert_eq!(world.groups, [(true, 1, group), (false, 1, group)]);
}

#[test]
fn the_refresh_is_one_round_about_each_period() {
    let refresh = Refresh::Every(Duration::from_secs(60));
    let mut world = World::settled(table([(ip(VIP), Entry { refresh, ..entry() })]));
    let sent = world.run(Duration::from_secs(600));
    assert!((18..=22).contains(&sent.len()), "{}", sent.len());
    let mut before = 0;
    for round in sent.chunks(2) {
        let at = round[0].0;
        assert_eq!(round, pair(at, 1, VIP));
        let gap = at - before;
        assert!((54_000..=66_000).contains(&gap), "{gap}");
        before = at;
    }
    world.table(table([(ip(VIP), entry())]));
    assert_eq!(world.run(Duration::from_secs(600)), []);
    assert_eq!(world.l2.poll_timeout(), None);
}
