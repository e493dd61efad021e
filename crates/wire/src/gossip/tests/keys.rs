//! Encryption, labels, and keys exchanged while members run.

use super::*;
use crate::gossip::envelope::tests::envelope;

fn keyed(i: usize, secret: &str) -> GossipOptions {
    GossipOptions {
        envelope: Envelope {
            security: Security::with(Keyring::of_secret(secret.as_bytes()).unwrap()),
            ..plain()
        },
        ..options(i)
    }
}

#[test]
fn encrypted_and_labelled_it_is_the_same() {
    for label in ["", "blue"] {
        for secret in [false, true] {
            World::of(5, |i| GossipOptions {
                envelope: envelope(label, secret, true),
                ..options(i)
            });
        }
    }
}

/// A stranger that tries to join gets nowhere, and is counted.
fn check_stranger(stranger: GossipOptions, want: Malformed) {
    let mut world = World::of(3, |i| keyed(i, "secret"));
    world.forget_events();
    world.start(GossipOptions {
        name: name(3),
        address: address(3),
        ..stranger
    });
    world.join(3, 0);
    world.gossip(3).send_user(address(0), b"x".to_vec());
    world.drain(address(3));
    world.run(secs(60));
    for i in 0..3 {
        assert_eq!(world.present(i), (0..3).map(name).collect(), "{i}");
        assert_eq!(world.heard(i), []);
    }
    assert_eq!(world.present(3), BTreeSet::from([name(3)]));
    let drops = world.gossip(0).drops().clone();
    assert!(drops.contains_key(&Drop::Malformed(want)), "{drops:?}");
}

#[test]
fn one_with_another_key_stays_outside() {
    check_stranger(keyed(3, "another"), Malformed::Key);
}

#[test]
fn one_without_a_key_stays_outside() {
    check_stranger(options(3), Malformed::Plaintext);
}

#[test]
fn one_with_another_label_stays_outside() {
    let mut stranger = keyed(3, "secret");
    stranger.envelope.label = Label::new("blue").unwrap();
    check_stranger(stranger, Malformed::Label);
}

#[test]
fn keys_are_exchanged_without_a_lost_packet() {
    let mut world = World::of(4, |i| keyed(i, "old"));
    world.forget_events();
    let new = Keyring::of_secret(b"new").unwrap();
    // Each learns of it at another time, within the grace of one another.
    for i in 0..4 {
        let now = world.now;
        world.gossip(i).rotate(new.clone(), secs(60), now);
        world.run(secs(15));
    }
    world.run(secs(180));
    for i in 0..4 {
        assert_eq!(world.heard(i), [], "{i}");
        assert!(world.gossip(i).drops().is_empty());
        let security = &world.gossip(i).options.envelope.security;
        assert_eq!(*security, Security::with(new.clone()), "{i}");
    }
    // Who has the old one only is outside now.
    world.start(keyed(4, "old"));
    world.join(4, 0);
    world.run(secs(10));
    assert_eq!(world.present(0).len(), 4);
}

#[test]
fn the_key_that_a_hash_would_give_is_understood() {
    use sha2::{Digest as _, Sha256};
    let mut world = World::of(2, |i| keyed(i, "secret"));
    let hashed = Keyring::new(Key::new(&Sha256::digest("secret")).unwrap());
    let mut other = hashed.clone();
    // It understands ours as well, as the fixed peer would have to.
    other.install(Keyring::of_secret(b"secret").unwrap().primary().clone());
    world.start(GossipOptions {
        envelope: Envelope {
            security: Security::with(other),
            ..plain()
        },
        ..options(2)
    });
    world.join(2, 0);
    world.run(secs(10));
    for i in 0..3 {
        assert_eq!(world.present(i).len(), 3, "{i}");
    }
}
