//! Joining, dying, leaving and coming back.

use super::*;

#[test]
fn fifty_find_each_other_and_stay_together() {
    let mut world = World::of(50, options);
    world.forget_events();
    world.run(secs(60));
    for i in 0..50 {
        assert_eq!(world.heard(i), [], "{i}");
        assert_eq!(world.gossip(i).health(), 0);
        assert!(world.gossip(i).drops().is_empty());
    }
    assert!(world.largest <= 1400, "{}", world.largest);
}

#[test]
fn over_ipv6_it_is_the_same() {
    let mut world = World::new();
    let at = |i: usize| format!("[fd00::{i}]:7946").parse().unwrap();
    for i in 1..=3 {
        world.start(GossipOptions {
            address: at(i),
            ..options(i)
        });
    }
    for i in 2..=3 {
        let now = world.now;
        let node = world.nodes.get_mut(&at(i)).unwrap();
        node.gossip.join(at(1), now);
        world.drain(at(i));
    }
    world.run(secs(10));
    for node in world.nodes.values() {
        let present = node.gossip.members().filter(|m| m.state.is_present());
        assert_eq!(present.count(), 3);
    }
}

#[test]
fn an_exchange_says_how_it_went() {
    let mut world = World::new();
    world.start(options(0));
    world.start(options(1));
    world.join(0, 1);
    world.join(0, 2);
    world.cut_between([0].into_iter(), &[3]);
    world.join(0, 3);
    world.run(secs(11));
    let with = |i| move |e: &Event| *e == Event::Exchanged { with: address(i) };
    assert_eq!(world.happened(0, with(1)).len(), 1);
    let failed = |i, why: Failure| {
        move |e: &Event| {
            *e == Event::NotExchanged {
                with: address(i),
                why: why.clone(),
            }
        }
    };
    assert_eq!(world.happened(0, failed(2, Failure::Closed)).len(), 1);
    let late = world.happened(0, failed(3, Failure::TimedOut));
    assert_eq!(late, [secs(10)]);
}

/// Kills one of so many; everybody else has to know within the time, and of nobody else.
fn check_death(count: usize, within: Duration) {
    let mut world = World::of(count, options);
    world.forget_events();
    world.kill(1);
    world.run(within);
    for i in (0..count).filter(|i| *i != 1) {
        assert_eq!(world.state(i, 1), Some(MemberState::Dead), "{i}");
        let others: Vec<_> = world
            .heard(i)
            .into_iter()
            .filter(|(node, _)| *node != name(1))
            .collect();
        assert_eq!(others, [], "{i}");
    }
}

#[test]
fn a_death_is_known_after_probe_and_suspicion() {
    // Up to as many seconds as there are others until the probe, one for the probe, four (times
    // log10 of the members) of suspicion, and gossip.
    check_death(3, secs(2 + 1 + 4 + 1));
    check_death(2, secs(1 + 1 + 4 + 1));
    check_death(30, secs(20));
}

#[test]
fn a_death_is_not_known_before_suspicion_is_over() {
    let mut world = World::of(3, options);
    world.kill(1);
    world.run(secs(4));
    for i in [0, 2] {
        assert!(world.state(i, 1).unwrap().is_present(), "{i}");
    }
}

#[test]
fn a_suspected_member_is_shown_with_its_accusers() {
    let mut world = World::of(3, options);
    world.kill(1);
    let suspects = |world: &mut World| world.state(0, 1) == Some(MemberState::Suspect);
    let mut left = 100;
    while !suspects(&mut world) && left > 0 {
        world.run(Duration::from_millis(100));
        left -= 1;
    }
    let now = world.now;
    let (by, until) = world.gossip(0).suspicion(&name(1)).unwrap();
    assert!(by.contains(&name(0)) || by.contains(&name(2)), "{by:?}");
    assert!(until > now);
    assert!(world.gossip(0).suspicion(&name(2)).is_none());
    assert!(world.gossip(0).untold() > 0);
    world.run(secs(60));
    assert!(world.gossip(0).suspicion(&name(1)).is_none());
    assert_eq!(world.gossip(0).counters().suspicions, 1);
    assert_eq!(world.gossip(0).untold(), 0);
}

#[test]
fn one_who_leaves_is_gone_at_once() {
    let mut world = World::of(10, options);
    world.forget_events();
    let now = world.now;
    world.gossip(3).leave(now);
    world.drain(address(3));
    world.run(Duration::from_millis(50));
    for i in (0..10).filter(|i| *i != 3) {
        assert_eq!(world.heard(i), [(name(3), MemberState::Left)], "{i}");
    }
    world.run(secs(1));
    assert_eq!(world.happened(3, |e| *e == Event::Left).len(), 1);
    // Nobody takes what it says as it goes for a return.
    world.run(secs(20));
    for i in (0..10).filter(|i| *i != 3) {
        assert_eq!(world.heard(i), [(name(3), MemberState::Left)], "{i}");
    }
}

#[test]
fn one_alone_has_left_when_it_says_so() {
    let mut world = World::new();
    world.start(options(0));
    let now = world.now;
    world.gossip(0).leave(now);
    world.drain(address(0));
    assert_eq!(world.happened(0, |e| *e == Event::Left).len(), 1);
}

#[test]
fn one_that_restarts_is_back_with_a_higher_incarnation() {
    for pause in [0, 20, 200] {
        let mut world = World::of(4, options);
        world.kill(2);
        world.run(secs(pause));
        world.start(GossipOptions {
            seed: [9; 32],
            ..options(2)
        });
        world.join(2, 0);
        world.run(secs(3));
        for i in 0..4 {
            assert_eq!(world.state(i, 2), Some(MemberState::Alive), "{i} {pause}");
        }
        let incarnation = world.gossip(2).incarnation;
        // Forgotten after 30 s, it is new; until then it has to outdo what is known.
        let wanted = if pause == 20 { 2 } else { 1 };
        assert_eq!(incarnation, wanted, "{pause}");
    }
}

#[test]
fn the_dead_are_forgotten_in_time() {
    let mut world = World::of(3, options);
    world.kill(1);
    world.run(secs(10));
    assert_eq!(world.state(0, 1), Some(MemberState::Dead));
    world.run(secs(40));
    assert_eq!(world.state(0, 1), None);
}

#[test]
fn a_name_comes_back_elsewhere_only_when_it_is_free() {
    let elsewhere = |world: &mut World| {
        world.start(GossipOptions {
            name: name(1),
            ..options(7)
        });
        world.join(7, 0);
        world.run(secs(2));
        let members = world.gossip(0).members();
        let found = members.filter(|m| m.alive.node == name(1));
        found.map(Member::address).collect::<Vec<_>>()
    };
    let is_conflict = |e: &Event| matches!(e, Event::Conflict { .. });
    // In use.
    let mut world = World::of(3, options);
    assert_eq!(elsewhere(&mut world), [address(1)]);
    world.run(secs(50));
    assert_eq!(world.happened(0, is_conflict).len(), 1);
    assert!(world.gossip(0).drops()[&Drop::Conflict] >= 1);
    // Dead: it stays taken, unless it may be reclaimed.
    for (reclaim, want) in [(0, 1), (5, 7)] {
        let mut world = World::of(3, |i| {
            let mut options = options(i);
            options.parameters.dead_reclaim = secs(reclaim);
            options
        });
        world.kill(1);
        world.run(secs(15));
        assert_eq!(elsewhere(&mut world), [address(want)], "{reclaim}");
    }
    // Left.
    let mut world = World::of(3, options);
    let now = world.now;
    world.gossip(1).leave(now);
    world.drain(address(1));
    world.run(secs(1));
    world.kill(1);
    assert_eq!(elsewhere(&mut world), [address(7)]);
}

#[test]
fn what_the_application_says_arrives() {
    let mut world = World::of(2, options);
    world.gossip(1).set_user_state(b"mine".to_vec());
    world.join(0, 1);
    world.gossip(0).send_user(address(1), b"hello".to_vec());
    world.drain(address(0));
    world.run(secs(1));
    let state = |e: &Event| matches!(e, Event::UserState { bytes, join: true } if bytes == b"mine");
    assert_eq!(world.happened(0, state).len(), 1);
    let hello = |e: &Event| matches!(e, Event::User { bytes, from } if bytes == b"hello" && *from == address(0));
    assert_eq!(world.happened(1, hello).len(), 1);
}
