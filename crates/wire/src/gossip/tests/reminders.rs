//! Those who missed what was said are told again.

use super::*;

/// A packet with just this message, as others send it.
fn packet(message: &Message) -> Vec<u8> {
    plain().seal(&[message.encode()], false, [0; NONCE_LEN])
}

fn accusation(node: usize, incarnation: u32, from: usize) -> Accusation {
    Accusation {
        incarnation,
        node: name(node),
        from: name(from),
    }
}

/// Incarnations of a node that were told by one to another since the last look.
fn told(world: &mut World, from: usize, to: usize, of: usize) -> Vec<u32> {
    let mut told = Vec::new();
    for (sender, receiver, bytes) in std::mem::take(&mut world.trace) {
        if (sender, receiver) != (address(from), address(to)) {
            continue;
        }
        for message in plain().open(&bytes).unwrap().messages {
            if let Message::Alive(alive) = message
                && alive.node == name(of)
            {
                told.push(alive.incarnation);
            }
        }
    }
    told
}

/// Nodes of which the second was accused once and has refuted it.
fn refuted() -> World {
    let mut world = World::of(3, options);
    let suspect = Message::Suspect(accusation(1, 1, 2));
    world.post(address(1), Delivery::Packet(address(2), packet(&suspect)));
    world.run(secs(5));
    for i in 0..3 {
        let members = world.gossip(i).members();
        let known: Vec<u32> = members
            .filter(|m| m.alive.node == name(1))
            .map(|m| m.alive.incarnation)
            .collect();
        assert_eq!(known, [2], "{i}");
    }
    world.trace.clear();
    world
}

#[test]
fn an_accuser_learns_at_once_that_it_is_refuted() {
    // Among so many rumours alone would reach it later.
    let mut world = World::of(30, options);
    world.trace.clear();
    let suspect = Message::Suspect(accusation(1, 1, 2));
    world.post(address(1), Delivery::Packet(address(2), packet(&suspect)));
    world.run(LATENCY);
    assert_eq!(told(&mut world, 1, 2, 1), [2]);
}

#[test]
fn who_accuses_an_earlier_incarnation_hears_of_the_newer_one() {
    // From a third member, or from the accused itself.
    for by in [0, 1] {
        for stale in [
            Message::Suspect(accusation(1, 1, 2)),
            Message::Dead(accusation(1, 1, 2)),
        ] {
            let mut world = refuted();
            for _ in 0..10 {
                world.post(address(by), Delivery::Packet(address(2), packet(&stale)));
            }
            world.run(LATENCY);
            assert_eq!(world.state(by, 1), Some(MemberState::Alive));
            // Once, and at most another time as a rumour; not for each.
            let told = told(&mut world, by, 2, 1);
            assert!((1..=2).contains(&told.len()), "{by} {stale:?} {told:?}");
            assert_eq!(told.first(), Some(&2));
        }
    }
}

#[test]
fn the_dead_arent_vouched_for() {
    let mut world = refuted();
    world.kill(1);
    world.run(secs(10));
    assert_eq!(world.state(0, 1), Some(MemberState::Dead));
    world.trace.clear();
    let stale = Message::Dead(accusation(1, 1, 2));
    world.post(address(0), Delivery::Packet(address(2), packet(&stale)));
    world.run(secs(1));
    assert_eq!(told(&mut world, 0, 2, 1), []);
}

#[test]
fn one_that_wasnt_heard_is_back_when_it_is() {
    for detection in [Detection::Off, Detection::FAST] {
        let mut world = World::of(4, |i| {
            let mut options = options(i);
            options.parameters.detection = detection;
            options
        });
        world.run(secs(2));
        for i in 0..3 {
            world.cut.insert((address(3), address(i)));
        }
        world.run(secs(15));
        assert_eq!(world.state(0, 3), Some(MemberState::Dead));
        // It took notice, and what it said against it was lost.
        assert!(world.gossip(3).counters().refuted > 0);
        world.cut.clear();
        world.run(secs(2));
        for i in 0..4 {
            assert_eq!(world.present(i).len(), 4, "{i} {detection:?}");
        }
    }
}

#[test]
fn the_sides_of_a_short_cut_find_each_other() {
    for (left, nodes) in [(1, 2), (1, 5), (5, 10)] {
        let mut world = World::of(nodes, options);
        let right: Vec<usize> = (left..nodes).collect();
        world.cut_between(0..left, &right);
        world.run(secs(28));
        for i in 0..nodes {
            assert!(world.present(i).len() < nodes, "{i}");
        }
        world.cut.clear();
        world.run(secs(4));
        for i in 0..nodes {
            assert_eq!(world.present(i).len(), nodes, "{i} of {left} and {nodes}");
        }
    }
}

#[test]
fn one_suspected_that_speaks_learns_of_it_at_once() {
    let mut world = World::of(9, |i| {
        let mut options = options(i);
        options.parameters.detection = Detection::FAST;
        options
    });
    world.run(secs(2));
    // Long enough for the one to suspect some, and to doubt itself.
    world.cut_between([0].into_iter(), &(1..9).collect::<Vec<_>>());
    world.run(secs(8));
    let suspects = |world: &mut World| {
        let members = world.gossip(0).members();
        members.filter(|m| m.state == MemberState::Suspect).count()
    };
    assert!(suspects(&mut world) >= 4);
    world.cut.clear();
    world.run(Duration::from_millis(1500));
    assert_eq!(suspects(&mut world), 0);
    assert_eq!(world.present(0).len(), 9);
}
