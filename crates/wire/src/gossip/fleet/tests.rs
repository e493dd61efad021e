use crate::gossip::tests::{World, name, options, secs};
use crate::gossip::{Claiming, Fleet, GossipOptions};

fn claiming(i: usize, sticky: bool) -> GossipOptions {
    GossipOptions {
        claiming: Claiming::On { sticky },
        ..options(i)
    }
}

fn fleets(world: &mut World, of: usize) -> Vec<Fleet> {
    (0..of).map(|i| world.gossip(i).fleet()).collect()
}

const STICKY: Fleet = Fleet::Claiming { sticky: true };

#[test]
fn it_changes_over_when_all_have_spoken_for_long_and_a_newcomer_follows_at_once() {
    let mut world = World::of(3, |i| claiming(i, true));
    world.run(secs(20));
    assert_eq!(fleets(&mut world, 3), [Fleet::Stateless; 3]);
    world.run(secs(12));
    assert_eq!(fleets(&mut world, 3), [STICKY; 3]);
    world.start(claiming(3, true));
    world.join(3, 0);
    world.run(secs(1));
    assert_eq!(fleets(&mut world, 4), [STICKY; 4]);
    for i in 0..4 {
        assert_eq!(world.present(i), (0..4).map(name).collect(), "{i}");
    }
}

#[test]
fn one_who_doesnt_speak_takes_it_back_at_once_until_he_is_gone() {
    let mut world = World::of(3, |i| claiming(i, true));
    world.run(secs(40));
    world.start(options(3));
    world.join(3, 0);
    world.run(secs(1));
    assert_eq!(fleets(&mut world, 4), [Fleet::Stateless; 4]);
    world.kill(3);
    world.run(secs(20));
    assert_eq!(
        fleets(&mut world, 3),
        [Fleet::Stateless; 3],
        "not for long yet"
    );
    world.run(secs(40));
    assert_eq!(fleets(&mut world, 3), [STICKY; 3]);
}

#[test]
fn one_who_wants_it_otherwise_is_enough() {
    let mut world = World::of(3, |i| claiming(i, i != 1));
    world.run(secs(40));
    assert_eq!(
        fleets(&mut world, 3),
        [Fleet::Claiming { sticky: false }; 3]
    );
}
