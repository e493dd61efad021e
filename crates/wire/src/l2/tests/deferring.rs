//! Fellows that gossip doesn't reach: the LAN decides.

use super::*;

const VIP: &str = "192.168.1.240";
const NODE_B: &str = "192.168.1.2";

/// A table of one address; node b isn't reached, and comes before this node or not.
fn apart(alone: bool, rival: bool) -> Table {
    let rivals = rival.then(|| (ip(VIP), ["b".to_owned()].into()));
    Table {
        fellows: [
            ("me".into(), vec![ip("192.168.1.1")]),
            ("b".into(), vec![ip(NODE_B)]),
        ]
        .into(),
        unreached: ["b".to_owned()].into(),
        rivals: rivals.into_iter().collect(),
        alone,
        ..table([(ip(VIP), entry())])
    }
}

/// The same with everybody reached.
fn together() -> Table {
    Table {
        unreached: BTreeSet::new(),
        rivals: BTreeMap::new(),
        alone: false,
        ..apart(false, false)
    }
}

/// One that knows node b's MAC.
fn acquainted() -> World {
    let mut world = World::new(&[link(1)]);
    world.table(Table {
        entries: BTreeMap::new(),
        ..apart(true, true)
    });
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.run(Duration::from_millis(10));
    world
}

fn asks(of: &[(u128, u32, Said)]) -> usize {
    let asks = |s: &&(u128, u32, Said)| matches!(s.2, Said::Asks(asked, _) if asked == ip(VIP));
    of.iter().filter(asks).count()
}

fn deferred(world: &World) -> Vec<(IpAddr, Option<&str>)> {
    world.l2.deferred().collect()
}

#[test]
fn one_alone_takes_what_nobody_answers_for() {
    let mut world = acquainted();
    world.table(apart(true, true));
    assert_eq!(deferred(&world), [(ip(VIP), None)]);
    let said = world.run(Duration::from_millis(149));
    assert_eq!(asks(&said), 3);
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    world.run(Duration::from_millis(2));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
}

#[test]
fn one_alone_leaves_what_a_fellow_answers_for_whatever_his_rank() {
    for rival in [false, true] {
        let mut world = acquainted();
        world.table(apart(true, rival));
        world.hear(1, &claim(FELLOW, ip(VIP)));
        assert_eq!(world.state(ip(VIP)), Some(State::Deferring), "{rival}");
        // Asked every second, answered every second.
        for _ in 0..5 {
            assert_eq!(asks(&world.run(Duration::from_millis(1010))), 1);
            assert_eq!(deferred(&world), [(ip(VIP), Some("b"))]);
            world.hear(1, &claim(FELLOW, ip(VIP)));
        }
        assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
        // The fellow is gone.
        world.run(Duration::from_millis(1300));
        assert_eq!(world.state(ip(VIP)), Some(State::Active), "{rival}");
        assert_eq!(deferred(&world), []);
    }
}

#[test]
fn what_is_answered_is_left_to_one_that_comes_before_only() {
    for (rival, state) in [(true, State::Deferring), (false, State::Active)] {
        let mut world = World::settled(together());
        world.hear(1, &claim(FELLOW, ip(NODE_B)));
        // Reached by gossip, an answer is reported and no more.
        world.hear(1, &claim(FELLOW, ip(VIP)));
        assert_eq!(world.state(ip(VIP)), Some(State::Active));
        world.table(apart(false, rival));
        let mut answered = Vec::new();
        for _ in 0..20 {
            answered.extend(world.hear(1, &claim(FELLOW, ip(VIP))));
            let said = world.run(Duration::from_millis(10));
            answered.extend(said.into_iter().map(|(.., said)| said));
        }
        assert_eq!(world.state(ip(VIP)), Some(state), "{rival}");
        // He hears that he isn't the owner; once a second.
        let words = answered.iter().filter(|s| **s == Said::Request(ip(VIP)));
        assert_eq!(words.count(), usize::from(!rival), "{answered:?}");
        // Gossip reaches him again, and the table still says that it's ours.
        world.table(together());
        assert_eq!(world.state(ip(VIP)), Some(State::Active), "{rival}");
    }
}

#[test]
fn of_two_that_ask_the_first_goes_on() {
    for (rival, state) in [(true, State::Deferring), (false, State::Probing)] {
        let mut world = acquainted();
        world.table(apart(true, rival));
        world.hear(1, &probe(FELLOW, ip(VIP)));
        assert_eq!(world.state(ip(VIP)), Some(state), "{rival}");
    }
}

#[test]
fn a_stranger_silences_nobody() {
    // Neither one that answers, nor one that is about to, nor with a flood.
    let mut world = World::settled(apart(true, true));
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    for _ in 0..1000 {
        world.hear(1, &claim(STRANGER, ip(VIP)));
        world.hear(1, &probe(STRANGER, ip(VIP)));
        world.run(Duration::from_millis(1));
    }
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    let mut world = acquainted();
    world.table(apart(true, true));
    for _ in 0..160 {
        world.hear(1, &claim(STRANGER, ip(VIP)));
        world.run(Duration::from_millis(1));
    }
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
}

#[test]
fn one_alone_asks_again_after_silence() {
    let mut world = World::settled(together());
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.l2.fall_silent();
    world.table(apart(true, true));
    world.l2.speak_again(world.now);
    assert_eq!(world.state(ip(VIP)), Some(State::Probing));
    world.hear(1, &claim(FELLOW, ip(VIP)));
    assert_eq!(world.state(ip(VIP)), Some(State::Deferring));
}

#[test]
fn one_that_comes_before_and_doesnt_object_is_asked() {
    let mut world = World::settled(together());
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.table(apart(false, true));
    assert_eq!(asks(&world.run(Duration::from_millis(49))), 0);
    assert_eq!(asks(&world.run(Duration::from_millis(2))), 1);
    world.hear(1, &claim(FELLOW, ip(VIP)));
    assert_eq!(world.state(ip(VIP)), Some(State::Deferring));
}

#[test]
fn questions_after_one_that_is_silent_become_rare() {
    let mut world = World::settled(together());
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.table(apart(false, true));
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(asks(&world.run(Duration::from_secs(60))));
        // The same table doesn't make them begin anew.
        world.table(apart(false, true));
    }
    assert_eq!(asked, [10, 2, 2, 1]);
    world.table(apart(false, false));
    assert_eq!(asks(&world.run(Duration::from_secs(60))), 0);
}

#[test]
fn one_that_is_said_to_be_reached_and_answers_is_counted() {
    let mut world = World::settled(together());
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    assert!(world.l2.contested().is_empty());
    for _ in 0..25 {
        world.hear(1, &claim(FELLOW, ip(VIP)));
        world.hear(1, &claim(STRANGER, ip(VIP)));
        world.run(Duration::from_millis(100));
    }
    // Once a second.
    assert_eq!(*world.l2.contested(), [("b".to_owned(), 3)].into());
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    // One that isn't needs no looking at; one that is no node any more is forgotten.
    world.table(apart(false, false));
    world.run(Duration::from_secs(2));
    world.hear(1, &claim(FELLOW, ip(VIP)));
    assert_eq!(*world.l2.contested(), [("b".to_owned(), 3)].into());
    world.table(Table {
        fellows: BTreeMap::new(),
        ..together()
    });
    assert!(world.l2.contested().is_empty());
}
