//! A node that was away says nothing until it may.

use super::*;

const A: &str = "192.168.1.240";
const B: &str = "2001:db8::240";

fn raised(epoch: u64) -> Entry {
    Entry { epoch, ..entry() }
}

fn away() -> World {
    let mut world = World::settled(table([(ip(A), entry()), (ip(B), entry())]));
    world.l2.fall_silent();
    world
}

#[test]
fn what_is_heard_in_silence_is_thrown_away() {
    let mut world = away();
    assert_eq!(world.hear(1, &question(CLIENT, ip(A))), []);
    assert_eq!(world.hear(1, &question(CLIENT, ip(B))), []);
    assert_eq!(world.hear(1, &claim(STRANGER, ip(A))), []);
    assert_eq!(world.dropped(Drop::Away), 3);
    assert!(world.l2.is_silent());
    // Neither tables nor links nor time make it say anything.
    world.table(table([(ip(A), raised(2)), (ip("192.168.1.241"), entry())]));
    world.l2.handle_links(links(&[link(1), link(2)]), world.now);
    assert_eq!(world.run(Duration::from_secs(60)), []);
    assert_eq!(world.notices, []);
}

#[test]
fn what_was_queued_isnt_sent_any_more() {
    let mut world = World::new(&[link(1)]);
    world
        .l2
        .handle_table(Arc::new(table([(ip(A), entry())])), world.now);
    world.l2.fall_silent();
    assert_eq!(world.sent(), []);
}

#[test]
fn it_ends_with_announcements_of_what_is_gained_anew() {
    let mut world = away();
    world.table(table([(ip(A), raised(2))]));
    let now = world.now;
    world.l2.speak_again(now);
    let said: Vec<Said> = world
        .run(Duration::from_millis(10))
        .into_iter()
        .map(|(_, _, said)| said)
        .collect();
    assert_eq!(said, [Said::Request(ip(A)), Said::Announce(ip(A))]);
    assert_eq!(
        world.hear(1, &question(CLIENT, ip(A))),
        [Said::Reply(ip(A), CLIENT)]
    );
    assert_eq!(world.hear(1, &question(CLIENT, ip(B))), []);
}

#[test]
fn nothing_lost_meanwhile_is_yielded_afterwards() {
    // Yielded before, and yielded during the silence: both are another's for long.
    for before in [true, false] {
        let mut world = World::settled(table([(ip(A), entry())]));
        let yielded = Table {
            yielded: [ip(A)].into(),
            ..table([])
        };
        if before {
            world.table(yielded.clone());
            world.l2.fall_silent();
        } else {
            world.l2.fall_silent();
            world.table(yielded);
        }
        let now = world.now;
        world.l2.speak_again(now);
        assert_eq!(world.hear(1, &question(CLIENT, ip(A))), [], "{before}");
        assert_eq!(world.state(ip(A)), None, "{before}");
    }
}

#[test]
fn a_big_table_is_there_as_a_whole_when_silence_ends() {
    let many = |epoch| {
        let ips = (0..2000u32).map(|i| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + i)));
        ips.map(move |ip| (ip, raised(epoch)))
    };
    let mut world = World::settled(table(many(1)));
    world.l2.fall_silent();
    let yielded = Table {
        yielded: many(1).map(|(ip, _)| ip).collect(),
        ..table([])
    };
    world.l2.handle_table(Arc::new(yielded), world.now);
    let now = world.now;
    world.l2.speak_again(now);
    assert_eq!(world.hear(1, &question(CLIENT, ip("10.0.7.1"))), []);
}

#[test]
fn what_was_being_probed_is_probed_anew() {
    let mut world = World::new(&[link(1)]);
    let probed = Entry {
        probe: true,
        ..entry()
    };
    world.table(table([(ip(A), probed)]));
    world.run(Duration::from_millis(150));
    world.l2.fall_silent();
    world.now += Duration::from_secs(5);
    let now = world.now;
    world.l2.speak_again(now);
    assert_eq!(world.state(ip(A)), Some(State::Probing));
    let said = world.run(Duration::from_millis(299));
    let probes = said.iter().filter(|s| matches!(s.2, Said::Asks(..)));
    assert_eq!(probes.count(), 3, "{said:?}");
    assert_eq!(world.state(ip(A)), Some(State::Probing));
    world.run(Duration::from_millis(1));
    assert_eq!(world.state(ip(A)), Some(State::Active));
}
