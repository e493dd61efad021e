//! Networks that lose, delay and split.

use super::*;

fn nobody_died(world: &World, count: usize) {
    for i in 0..count {
        let dead = world
            .heard(i)
            .into_iter()
            .filter(|(_, s)| *s == MemberState::Dead);
        assert_eq!(dead.collect::<Vec<_>>(), [], "{i}");
    }
}

#[test]
fn a_partition_divides_and_a_join_heals() {
    let mut world = World::of(10, options);
    let right: Vec<usize> = (5..10).collect();
    world.cut_between(0..5, &right);
    world.run(secs(60));
    for i in 0..10 {
        let side: BTreeSet<String> = if i < 5 { 0..5 } else { 5..10 }.map(name).collect();
        assert_eq!(world.present(i), side, "{i}");
    }
    world.cut.clear();
    world.join(0, 5);
    world.run(secs(5));
    for i in 0..10 {
        assert_eq!(world.present(i).len(), 10, "{i}");
    }
}

#[test]
fn a_short_cut_makes_suspects_but_nobody_dies() {
    let mut world = World::of(5, options);
    world.forget_events();
    for _ in 0..10 {
        world.cut_between([4].into_iter(), &[0, 1, 2, 3]);
        world.run(secs(3));
        world.cut.clear();
        world.run(secs(10));
    }
    nobody_died(&world, 5);
    assert!(world.gossip(4).counters().refuted > 0);
    for i in 0..5 {
        assert_eq!(world.state(i, 4), Some(MemberState::Alive), "{i}");
    }
}

#[test]
fn a_node_that_hears_nothing_blames_itself_first() {
    let mut world = World::of(6, options);
    world.cut_between([5].into_iter(), &[0, 1, 2, 3, 4]);
    world.run(secs(4));
    assert!(world.gossip(5).health() > 0);
    assert_eq!(world.gossip(0).health(), 0);
}

#[test]
fn others_speak_for_one_that_cant_be_reached_directly() {
    let mut world = World::of(4, options);
    world.forget_events();
    world.cut_between([0].into_iter(), &[1]);
    world.run(secs(120));
    for i in 0..4 {
        assert_eq!(world.heard(i), [], "{i}");
    }
}

#[test]
fn a_stream_speaks_for_one_whose_packets_are_lost() {
    let mut world = World::of(2, options);
    world.forget_events();
    world.deaf.insert((address(0), address(1)));
    world.deaf.insert((address(1), address(0)));
    world.run(secs(60));
    assert_eq!(world.heard(0), []);
    assert!(world.gossip(0).counters().stream_only > 10);
    // Unless that is switched off.
    let mut world = World::of(2, |i| {
        let mut options = options(i);
        options.parameters.stream_pings = false;
        options
    });
    world.deaf.insert((address(0), address(1)));
    world.deaf.insert((address(1), address(0)));
    world.run(secs(60));
    assert_ne!(world.state(0, 1), Some(MemberState::Alive));
}

#[test]
fn one_way_loss_is_no_death_while_others_reach_it() {
    let mut world = World::of(5, options);
    world.cut.insert((address(0), address(1)));
    world.run(secs(120));
    nobody_died(&world, 5);
}

#[test]
fn five_percent_loss_for_minutes_kills_nobody() {
    let mut world = World::of(10, options);
    world.loss = Some(20);
    world.run(secs(300));
    nobody_died(&world, 10);
}

#[test]
fn what_is_replayed_changes_nothing() {
    let mut world = World::of(3, options);
    // A restart raises the incarnation, a leaving ends it.
    world.kill(2);
    world.run(secs(10));
    world.start(GossipOptions {
        seed: [9; 32],
        ..options(2)
    });
    world.join(2, 0);
    world.run(secs(5));
    let trace = std::mem::take(&mut world.trace);
    world.forget_events();
    let before = world.gossip(0).drops().clone();
    for (from, to, bytes) in trace.into_iter().filter(|(_, to, _)| *to == address(0)) {
        world.post(to, Delivery::Packet(from, bytes));
    }
    world.run(secs(5));
    assert_eq!(world.heard(0), []);
    let after = world.gossip(0).drops();
    for drop in [Drop::Unasked, Drop::Stale] {
        assert!(after.get(&drop) > before.get(&drop), "{drop:?}");
    }
}

#[test]
fn the_same_seeds_say_the_same() {
    let run = || {
        let mut world = World::of(5, options);
        world.loss = Some(10);
        world.kill(3);
        world.run(secs(20));
        world.trace
    };
    assert_eq!(run(), run());
}

#[test]
fn one_looked_at_is_suspected_within_a_probe() {
    let mut world = World::of(40, options);
    world.run(secs(1));
    world.cut_between([0].into_iter(), &(1..40).collect::<Vec<_>>());
    let looks = |world: &mut World| {
        let now = world.now;
        // Once in an interval; nobody can be made to flood others.
        for _ in 0..100 {
            world.gossip(0).check(&name(7), now);
        }
        world.drain(address(0));
    };
    let probes = world.gossip(0).counters().probes;
    looks(&mut world);
    assert_eq!(world.gossip(0).counters().probes, probes + 1);
    world.run(Duration::from_millis(1001));
    assert_eq!(world.state(0, 7), Some(MemberState::Suspect));
    // Turns aren't missed for it.
    assert!(world.gossip(0).counters().probes > probes + 1);
    // One that answers isn't suspected, and one unknown isn't probed.
    let mut world = World::of(3, options);
    world.forget_events();
    let now = world.now;
    world.gossip(0).check(&name(1), now);
    world.gossip(0).check("nobody", now);
    world.gossip(0).check(&name(0), now);
    world.drain(address(0));
    world.run(secs(3));
    assert_eq!(world.heard(0), []);
}
