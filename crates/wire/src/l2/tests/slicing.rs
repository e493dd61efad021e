//! Tables and links applied a slice at a time: what is heard in between is answered as if
//! everything were applied, and nothing is said that the newest table doesn't allow.

use super::*;
use proptest::prelude::*;

const COUNT: u32 = 10_000;

fn address(n: u32) -> IpAddr {
    match n % 2 {
        0 => IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)),
        _ => IpAddr::V6(Ipv6Addr::from_bits(
            (0x2001_0db8_u128 << 96) + u128::from(n),
        )),
    }
}

fn all() -> impl Iterator<Item = IpAddr> {
    (0..COUNT).map(address)
}

fn of_epoch(epoch: u64) -> Entry {
    Entry { epoch, ..entry() }
}

fn yielding(ips: impl IntoIterator<Item = IpAddr>) -> Table {
    Table {
        yielded: ips.into_iter().collect(),
        ..table([])
    }
}

impl World {
    fn give(&mut self, table: Table) {
        self.l2.handle_table(Arc::new(table), self.now);
    }

    /// One slice; whether more is to come.
    fn slice(&mut self) -> bool {
        self.l2.handle_timeout(self.now);
        self.l2.poll_timeout().is_some_and(|at| at <= self.now)
    }

    fn in_state(&self, want: State) -> usize {
        let all = self.l2.addresses();
        all.filter(|&(_, state, _)| state == want).count()
    }

    /// Whether `ip` is answered, and by whom of the two.
    fn answered(&mut self, ip: IpAddr) -> bool {
        let answers = self.hear(1, &question(CLIENT, ip));
        let answers = answers.iter().filter(|said| {
            matches!(said, Said::Reply(of, CLIENT) | Said::Solicited(of, CLIENT, _) if *of == ip)
        });
        answers.count() == 1
    }
}

/// A world where all are active and announced.
fn full() -> World {
    let mut world = World::new(&[link(1)]);
    world.table(table(all().map(|ip| (ip, entry()))));
    world.run(Duration::from_secs(60));
    world.groups.clear();
    world
}

#[test]
fn a_big_gain_takes_many_bounded_slices() {
    let mut world = World::new(&[link(1)]);
    world.give(table(all().map(|ip| (ip, entry()))));
    let (mut slices, mut before) = (1, 0);
    loop {
        world.groups.clear();
        let sent = world.sent();
        let gained = world.l2.addresses.len() - before;
        before += gained;
        assert!(gained <= 32 && world.groups.len() <= gained, "{gained}");
        assert!(sent.len() <= 64);
        if !world.slice() {
            break;
        }
        slices += 1;
    }
    assert_eq!(world.in_state(State::Active), COUNT as usize);
    assert!(slices > 300, "{slices}");
}

#[test]
fn a_small_table_is_applied_at_once() {
    let mut world = World::new(&[link(1)]);
    world.give(table((0..10).map(|n| (address(n), entry()))));
    assert_eq!(world.in_state(State::Active), 10);
    assert!(world.l2.poll_timeout().is_none_or(|at| at > world.now));
}

#[test]
fn what_is_asked_for_during_a_gain_is_answered() {
    let mut world = World::new(&[link(1)]);
    world.give(table(all().map(|ip| (ip, entry()))));
    let mut n = 0;
    loop {
        n = (n + 7919) % COUNT;
        assert!(world.answered(address(n)), "{n}");
        assert!(!world.answered(address(COUNT + n)), "{n} is nobody's");
        if !world.slice() {
            break;
        }
    }
    assert!(world.in_state(State::Active) == COUNT as usize);
}

#[test]
fn a_loss_silences_at_once_and_goes_before_gains() {
    let mut world = full();
    // The even ones go, as many new ones come, some raised ones stay.
    let odd = (0..COUNT).filter(|n| n % 2 == 1);
    let stay = odd.map(|n| (address(n), of_epoch(2)));
    let new = (COUNT..2 * COUNT).map(|n| (address(n), entry()));
    world.give(table(stay.chain(new)));
    let (mut n, mut first) = (0, true);
    loop {
        n = (n + 2 * 3331) % COUNT;
        assert!(!world.answered(address(n)), "{n} was lost");
        let gained = world.l2.addresses.contains_key(&address(COUNT));
        let lost = (0..COUNT).step_by(2);
        if gained && std::mem::replace(&mut first, false) {
            let left = lost.filter(|&n| world.l2.addresses.contains_key(&address(n)));
            assert_eq!(left.count(), 0, "gained before all was lost");
        }
        for (_, said) in world.sent() {
            if let Said::Request(ip) | Said::Announce(ip) = said {
                assert!(ip >= address(COUNT), "{ip} was lost");
            }
        }
        if !world.slice() {
            break;
        }
    }
    assert!(!first, "never seen");
    assert_eq!(world.l2.addresses().count(), 3 * COUNT as usize / 2);
}

#[test]
fn nothing_is_announced_that_waits_to_be_lost() {
    let mut world = World::new(&[link(1)]);
    world.table(table(all().map(|ip| (ip, entry()))));
    world.sent();
    // Announcing takes seconds yet; the table is gone before any slice.
    world.now += Duration::from_millis(100);
    world.give(table([(address(COUNT), entry())]));
    while world.slice() {
        let sent = world.sent();
        let new = address(COUNT);
        assert!(sent.iter().all(|(_, said)| *said == Said::Request(new)));
    }
}

#[test]
fn the_newest_table_wins_in_the_middle_of_a_walk() {
    let mut world = World::new(&[link(1)]);
    world.give(table(all().map(|ip| (ip, entry()))));
    (0..200).for_each(|_| assert!(world.slice()));
    let gained = world.in_state(State::Active);
    assert!((1000..9000).contains(&gained), "{gained}");
    world.give(table((5000..COUNT + 5).map(|n| (address(n), entry()))));
    for n in [0, 1, 4998, 4999] {
        assert!(!world.answered(address(n)), "{n}");
    }
    for n in [5000, 9999, COUNT + 4] {
        assert!(world.answered(address(n)), "{n}");
    }
    world.work();
    let want: BTreeSet<_> = (5000..COUNT + 5).map(address).collect();
    let have: BTreeSet<_> = world.l2.addresses().map(|(ip, ..)| ip).collect();
    assert_eq!(have, want);
    world.run(Duration::from_secs(60));
    for ip in want {
        let rounds = if ip.is_ipv4() { 10 } else { 5 };
        assert_eq!(world.counters(ip).gratuitous_sent, rounds, "{ip}");
    }
}

#[test]
fn an_epoch_raised_in_the_middle_of_a_walk_is_announced() {
    let mut world = full();
    world.give(table(all().map(|ip| (ip, of_epoch(2)))));
    (0..100).for_each(|_| assert!(world.slice()));
    // Lost and gained again before it was touched, or after.
    let again = [address(0), address(9998), address(9999)];
    world.give(table(all().map(|ip| {
        let epoch = if again.contains(&ip) { 4 } else { 2 };
        (ip, of_epoch(epoch))
    })));
    world.work();
    world.run(Duration::from_secs(60));
    for ip in all() {
        let rounds = if ip.is_ipv4() { 20 } else { 10 };
        let sent = world.counters(ip).gratuitous_sent;
        let late = again.contains(&ip) && sent > rounds;
        assert!(sent == rounds || late, "{ip}: {sent}");
    }
}

#[test]
fn a_yield_counts_from_its_table_however_late_it_is_applied() {
    let mut world = full();
    world.give(yielding(all()));
    let begin = world.now;
    let mut n = 0;
    while world.slice() && world.now < begin + Duration::from_millis(900) {
        world.now += Duration::from_millis(1);
        n = (n + 7919) % COUNT;
        assert!(world.answered(address(n)), "{n} is yielded");
    }
    world.now = begin + Duration::from_secs(1);
    // Over a second: none is answered, though taking them off takes many slices.
    for n in [0, 1, 9998, 9999, 5000] {
        assert!(!world.answered(address(n)), "{n}");
    }
    while world.slice() {}
    assert_eq!(world.l2.addresses().count(), 0);
}

#[test]
fn a_yield_in_the_middle_of_a_walk_hands_over() {
    let mut world = full();
    world.give(table(all().map(|ip| (ip, of_epoch(2)))));
    (0..20).for_each(|_| assert!(world.slice()));
    let (first, last) = (address(0), address(9998));
    let mut given = table(
        all()
            .filter(|ip| *ip != first && *ip != last)
            .map(|ip| (ip, of_epoch(2))),
    );
    given.yielded = BTreeSet::from([first, last]);
    world.give(given);
    for ip in [first, last] {
        assert!(world.answered(ip));
        assert_eq!(world.state(ip), Some(State::Yielding));
        world.hear(1, &claim(FELLOW, ip));
        assert!(!world.answered(ip));
    }
    world.work();
    assert_eq!(world.state(first), None);
    assert_eq!(world.in_state(State::Active), COUNT as usize - 2);
}

#[test]
fn a_link_that_appears_is_taken_into_use_in_slices() {
    let mut world = full();
    let given = links(&[link(1), link(2)]);
    world.l2.handle_links(given, world.now);
    let mut n = 0;
    loop {
        n = (n + 7919) % COUNT;
        world.groups.clear();
        let frame = question(CLIENT, address(n));
        assert_eq!(world.hear(2, &frame).len(), 1, "{n}");
        assert!(world.groups.len() <= 32);
        assert!(world.sent().iter().all(|&(link, _)| link == 2));
        if !world.slice() {
            break;
        }
        world.sent();
        assert!(world.groups.len() <= 32);
    }
    // And goes: silence at once.
    world.l2.handle_links(links(&[link(2)]), world.now);
    assert_eq!(world.hear(1, &question(CLIENT, address(4))), []);
    assert_eq!(world.hear(2, &question(CLIENT, address(4))).len(), 1);
}

#[test]
fn conflicts_and_answered_addresses_are_numbered() {
    let mut world = World::settled(table([]));
    let mut seen = (0, 0);
    let mut news = |world: &World| {
        let now = (
            world.l2.answering_generation(),
            world.l2.conflicts_generation(),
        );
        let news = (now.0 != seen.0, now.1 != seen.1);
        seen = now;
        news
    };
    let ip = address(0);
    assert_eq!(news(&world), (false, false));
    world.table(table([(
        ip,
        Entry {
            probe: true,
            ..entry()
        },
    )]));
    assert_eq!(news(&world), (false, false), "probed");
    world.run(Duration::from_secs(10));
    assert_eq!(news(&world), (true, false), "active");
    world.answered(ip);
    world.table(table([(
        ip,
        Entry {
            probe: true,
            ..of_epoch(2)
        },
    )]));
    assert_eq!(news(&world), (false, false), "announced again");
    world.hear(1, &claim(STRANGER, ip));
    assert_eq!(news(&world), (false, true), "a stranger");
    world.hear(1, &claim(STRANGER, ip));
    assert_eq!(news(&world), (false, false), "the same one");
    world.table(table([(
        ip,
        Entry {
            conflict: Policy::Withhold,
            ..of_epoch(2)
        },
    )]));
    assert_eq!(news(&world), (true, false), "withheld");
    world.table(table([(ip, of_epoch(2))]));
    assert_eq!(news(&world), (true, false), "active");
    world.table(yielding([ip]));
    assert_eq!(news(&world), (false, true), "yielded");
    world.run(Duration::from_secs(1));
    assert_eq!(news(&world), (true, false), "gone");
}

/// The machine's say on an address, as far as it doesn't depend on when it was applied.
fn standing(world: &World) -> Vec<(IpAddr, State, Entry, BTreeSet<u32>)> {
    let all = world.l2.addresses.iter();
    all.map(|(&ip, a)| (ip, a.state(), a.entry.clone(), a.on.clone()))
        .collect()
}

type Row = (u32, u64, bool, bool);

fn table_of(rows: &[Row], yielded: bool) -> Table {
    let named = |only: bool| match only {
        true => Interfaces::Named(BTreeSet::from(["eth2".into()])),
        false => Interfaces::Any,
    };
    let mut built = table(rows.iter().map(|&(n, epoch, only, probe)| {
        let interfaces = named(only);
        (
            address(n),
            Entry {
                interfaces,
                probe,
                ..of_epoch(epoch)
            },
        )
    }));
    if yielded {
        built.yielded = (0..200)
            .map(address)
            .filter(|ip| !built.entries.contains_key(ip))
            .collect();
    }
    built
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// However slices, frames, links and tables come in turn, what stands at the end is what the
    /// last table says, and no answer on the way contradicts the newest.
    #[test]
    fn any_interleaving_ends_where_the_last_table_says(
        steps in prop::collection::vec(
            (prop::collection::vec((0u32..200, 1u64..3, any::<bool>(), any::<bool>()), 0..150),
             any::<bool>(), prop::option::of(any::<bool>()),
             prop::collection::vec(0u32..220, 0..6), 0usize..6),
            1..6),
    ) {
        let mut sliced = World::new(&[link(1), link(2)]);
        let mut whole = World::new(&[link(1), link(2)]);
        whole.zero = sliced.zero;
        whole.now = sliced.now;
        let mut tested = BTreeSet::new();
        for (rows, yielded, both, asked, slices) in &steps {
            tested.extend(rows.iter().filter(|row| row.3).map(|row| row.0));
            let given = table_of(rows, *yielded);
            sliced.give(given.clone());
            whole.table(given.clone());
            if let Some(both) = both {
                let of = if *both { vec![link(1), link(2)] } else { vec![link(2)] };
                sliced.l2.handle_links(links(&of), sliced.now);
                whole.l2.handle_links(links(&of), whole.now);
                whole.work();
            }
            for &n in asked {
                for on in [1, 2] {
                    let frame = question(CLIENT, address(n));
                    let answers = |said: Vec<Said>| -> Vec<Said> {
                        let mine = |said: &Said| matches!(said, Said::Reply(..) | Said::Solicited(..));
                        said.into_iter().filter(mine).collect()
                    };
                    let (one, other) = (answers(sliced.hear(on, &frame)), answers(whole.hear(on, &frame)));
                    // What only a table in between had may be yielded or not.
                    if given.entries.contains_key(&address(n)) || !given.yielded.contains(&address(n)) {
                        // A probe of a table in between may have been missed.
                        prop_assert!(one == other || tested.contains(&n), "{n}: {one:?} {other:?}");
                    }
                }
            }
            for _ in 0..*slices {
                sliced.slice();
            }
        }
        for world in [&mut sliced, &mut whole] {
            world.work();
            world.run(Duration::from_secs(40));
            check_groups(world);
        }
        prop_assert_eq!(standing(&sliced), standing(&whole));
        prop_assert!(sliced.l2.poll_timeout().is_none());
    }
}

/// Joined are exactly the groups of the addresses, on the links they are on.
fn check_groups(world: &World) {
    let mut joined = BTreeSet::new();
    for (join, link, group) in &world.groups {
        let news = if *join {
            joined.insert((*link, *group))
        } else {
            joined.remove(&(*link, *group))
        };
        assert!(news, "{join} {link} {group} twice");
    }
    let mut want = BTreeSet::new();
    for (ip, address) in &world.l2.addresses {
        if let IpAddr::V6(ip) = ip {
            want.extend(address.on.iter().map(|&link| (link, solicited_node(*ip))));
        }
    }
    assert_eq!(joined, want);
}
