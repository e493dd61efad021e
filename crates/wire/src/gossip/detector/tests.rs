use super::said::Beat;
use super::*;
use crate::gossip::tests::{World, address, name, options, secs};
use crate::gossip::{Event, GossipOptions, MemberState, Parameters};
use proptest::prelude::*;

fn fast(i: usize) -> GossipOptions {
    let mut options = options(i);
    options.parameters.detection = Detection::FAST;
    options
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// When a node took another for dead, since the start.
fn deaths(world: &World, at: usize, of: usize) -> Vec<Duration> {
    world.happened(
        at,
        |e| matches!(e, Event::Member { node, state: MemberState::Dead, .. } if *node == name(of)),
    )
}

/// Who took whom for dead.
fn all_deaths(world: &World, count: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for at in 0..count {
        for of in 0..count {
            if world.nodes.contains_key(&address(at)) && !deaths(world, at, of).is_empty() {
                all.push((at, of));
            }
        }
    }
    all
}

fn check_crash(count: usize, within: Duration) {
    let mut world = World::of(count, fast);
    world.forget_events();
    let crash = world.now - world.start;
    world.kill(1);
    world.run(secs(1));
    for i in (0..count).filter(|i| *i != 1) {
        let at = deaths(&world, i, 1);
        let [at] = at[..] else { panic!("{i}: {at:?}") };
        assert!(at - crash <= within, "{i} knew after {:?}", at - crash);
    }
    let others = all_deaths(&world, count);
    assert!(others.iter().all(|(_, of)| *of == 1), "{others:?}");
}

#[test]
fn a_crash_is_known_everywhere_within_300_ms() {
    for count in [2, 3, 4, 10] {
        check_crash(count, millis(300));
    }
    check_crash(100, millis(450));
}

#[test]
fn one_that_is_cut_off_is_dead_for_the_others_and_doubts_itself() {
    let mut world = World::of(5, fast);
    world.forget_events();
    world.cut_between([4].into_iter(), &[0, 1, 2, 3]);
    world.run(millis(400));
    for i in 0..4 {
        assert_eq!(deaths(&world, i, 4).len(), 1, "{i}");
    }
    // It can't tell that from four deaths: only suspicion, which takes its time, may decide.
    world.run(secs(3));
    for i in 0..4 {
        assert_eq!(deaths(&world, 4, i), [], "{i}");
    }
    world.run(secs(60));
    assert_eq!(world.present(4).len(), 1);
}

#[test]
fn one_paused_accuses_nobody_when_it_goes_on() {
    let mut world = World::of(5, fast);
    world.forget_events();
    for pause in [150, 2000, 20_000] {
        let before = world.gossip(4).counters().accusations;
        world.pause(4);
        world.run(millis(pause));
        world.resume(4);
        world.run(millis(300));
        assert_eq!(world.gossip(4).counters().accusations, before, "{pause}");
        world.run(secs(15));
        let accused: Vec<_> = all_deaths(&world, 5)
            .into_iter()
            .filter(|(_, of)| *of != 4)
            .collect();
        assert_eq!(accused, [], "{pause}");
        for i in 0..5 {
            assert_eq!(world.state(i, 4), Some(MemberState::Alive), "{pause} {i}");
        }
    }
}

#[test]
fn five_percent_loss_for_two_minutes_kills_nobody() {
    let mut world = World::of(7, fast);
    world.loss = Some(20);
    world.run(secs(120));
    assert_eq!(all_deaths(&world, 7), []);
}

#[test]
fn others_acquit_one_that_a_neighbour_doesnt_hear() {
    let mut world = World::of(5, fast);
    for (from, to) in [(0, 1), (1, 0)] {
        world.cut.insert((address(from), address(to)));
    }
    world.run(secs(60));
    assert_eq!(all_deaths(&world, 5), []);
    let acquitted = world.gossip(0).counters().acquittals + world.gossip(1).counters().acquittals;
    assert!(acquitted > 0);
}

#[test]
fn a_pair_that_never_heard_each_other_never_accuses() {
    let mut world = World::new();
    for i in 0..3 {
        world.start(fast(i));
    }
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        world.deaf.insert((address(from), address(to)));
    }
    world.join(1, 0);
    world.join(2, 0);
    world.run(secs(30));
    for i in 0..3 {
        assert_eq!(world.gossip(i).counters().accusations, 0, "{i}");
    }
}

#[test]
fn members_without_the_detector_are_left_to_swim() {
    let mut world = World::of(4, |i| if i < 2 { fast(i) } else { options(i) });
    world.forget_events();
    world.kill(3);
    world.run(secs(3));
    assert_eq!(all_deaths(&world, 3), []);
    world.run(secs(15));
    assert_eq!(deaths(&world, 0, 3).len(), 1);
    // One with it isn't declared dead by the only other who knows it while others are there.
    world.kill(1);
    world.run(secs(2));
    assert_eq!(deaths(&world, 0, 1), []);
    world.run(secs(15));
    assert_eq!(deaths(&world, 0, 1).len(), 1);
}

#[test]
fn one_that_restarts_is_watched_again() {
    let mut world = World::of(3, fast);
    for round in 0..3 {
        world.forget_events();
        world.kill(2);
        world.run(secs(1));
        assert_eq!(deaths(&world, 0, 2).len(), 1, "{round}");
        world.start(GossipOptions {
            seed: [round + 9; 32],
            ..fast(2)
        });
        world.join(2, 0);
        world.run(secs(3));
        assert_eq!(world.state(0, 2), Some(MemberState::Alive));
    }
}

#[test]
fn one_that_was_paused_and_is_back_is_watched_again() {
    let mut world = World::of(3, fast);
    world.pause(2);
    world.run(secs(2));
    world.resume(2);
    world.run(secs(3));
    world.forget_events();
    let crash = world.now - world.start;
    world.kill(2);
    world.run(secs(1));
    for i in 0..2 {
        let at = deaths(&world, i, 2);
        assert!(
            at.iter().any(|at| *at - crash <= millis(300)),
            "{i}: {at:?}"
        );
    }
}

#[test]
fn it_costs_the_same_in_any_cluster() {
    let rate = |count: usize| {
        let mut world = World::of(count, fast);
        let before = world.gossip(0).counters().packets_sent;
        world.run(secs(4));
        (world.gossip(0).counters().packets_sent - before) / 4
    };
    let (ten, fifty) = (rate(10), rate(30));
    assert!((80..=90).contains(&ten), "{ten}");
    assert!((80..=90).contains(&fifty), "{fifty}");
}

#[test]
fn heartbeats_of_another_life_or_time_dont_count() {
    let now = crate::gossip::tests::zero();
    let mut watch = Watch::new(address(1), now);
    let beat = |session, to, number| Beat {
        session,
        to,
        number,
        heard: 99,
    };
    for number in 1..=20 {
        assert_eq!(watch.hear(&beat(7, 1, number), 1, now), Ok(()));
    }
    // Replayed, and of an earlier life.
    for old in [beat(7, 1, 20), beat(7, 1, 3), beat(6, 1, 99)] {
        assert_eq!(watch.hear(&old, 1, now), Err(Drop::Stale), "{old:?}");
    }
    assert_eq!(watch.hear(&beat(7, 1, 21), 1, now), Ok(()));
    let timers = Timers {
        interval: millis(50),
        multiplier: 4,
        confirm: millis(40),
    };
    assert!(!watch.is_silent(timers, now + millis(199)));
    assert!(watch.is_silent(timers, now + millis(200)));
    // A gap that was survived makes the next one wait longer, within bounds.
    assert_eq!(watch.hear(&beat(7, 1, 22), 1, now + millis(180)), Ok(()));
    assert!(!watch.is_silent(timers, now + millis(180 + 279)));
    assert!(watch.is_silent(timers, now + millis(180 + 280)));
    assert_eq!(watch.hear(&beat(7, 1, 23), 1, now + secs(9)), Ok(()));
    assert!(watch.is_silent(timers, now + secs(9) + millis(500)));
}

#[test]
fn the_profile_is_off_unless_asked_for() {
    assert_eq!(Parameters::LAN.detection, Detection::Off);
    assert_eq!(Features::of(b""), Features::default());
    assert_eq!(Features::of(b"corten\x01"), Features::default());
    assert_eq!(Features::of(b"corten\x02\x01"), Features::default());
    let meta = Features {
        detector: true,
        ..Features::default()
    }
    .encode();
    assert!(Features::of(&[meta, b"more".to_vec()].concat()).detector);
}

proptest! {
    #[test]
    fn what_is_said_reads_back(
        fields in any::<[u32; 4]>(),
        node in "[a-z]{1,20}",
        alive in any::<bool>(),
    ) {
        let [session, to, number, heard] = fields;
        for said in [
            Said::Beat(Beat { session, to, number, heard }),
            Said::Ask { number, incarnation: heard, node: node.clone() },
            Said::Verdict { number, alive },
        ] {
            let bytes = said.encode();
            prop_assert_eq!(Said::decode(&bytes), Some(said.clone()));
            let least = if let Said::Ask { .. } = said { 13 } else { bytes.len() };
            for length in 0..least {
                prop_assert_eq!(Said::decode(&bytes[..length.min(bytes.len() - 1)]).filter(|_| length < least), None);
            }
        }
    }
}
