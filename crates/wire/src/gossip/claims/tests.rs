use super::*;
use crate::gossip::tests::{World, address, name, options, secs};
use crate::gossip::{Claiming, GossipOptions};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn claiming(i: usize) -> GossipOptions {
    GossipOptions {
        claiming: Claiming::On { sticky: true },
        ..options(i)
    }
}

fn ips(of: &[&str]) -> BTreeSet<IpAddr> {
    of.iter().map(|ip| ip.parse().unwrap()).collect()
}

const A: &str = "192.0.2.1";
const B: &str = "2001:db8::1";

fn hold(world: &mut World, i: usize, of: &[&str]) {
    let now = world.now;
    world.gossip(i).hold(ips(of), now);
    world.drain(address(i));
}

/// What a node knows: address, epoch, claimants.
fn known(world: &mut World, i: usize) -> Vec<(String, u64, Vec<String>)> {
    let claims = world.gossip(i).claims();
    let all = claims.map(|(ip, epoch, nodes)| {
        let nodes = nodes.into_iter().map(ToOwned::to_owned).collect();
        (ip.to_string(), epoch, nodes)
    });
    all.collect()
}

fn claim(ip: &str, epoch: u64, of: &[usize]) -> (String, u64, Vec<String>) {
    (ip.to_owned(), epoch, of.iter().map(|i| name(*i)).collect())
}

fn check(world: &mut World, nodes: &[usize], want: &[(String, u64, Vec<String>)]) {
    for i in nodes {
        assert_eq!(known(world, *i), want, "{i}");
    }
}

#[test]
fn everybody_hears_who_holds_what() {
    let mut world = World::of(5, claiming);
    hold(&mut world, 0, &[A, B]);
    world.run(secs(1));
    let all = [0, 1, 2, 3, 4];
    check(&mut world, &all, &[claim(A, 1, &[0]), claim(B, 1, &[0])]);
    // Another comes to hold it; the one before gives it up, which touches nobody else's.
    hold(&mut world, 3, &[A]);
    world.run(secs(1));
    hold(&mut world, 0, &[B]);
    world.run(secs(1));
    check(&mut world, &all, &[claim(A, 2, &[3]), claim(B, 1, &[0])]);
    // Nobody's any more.
    hold(&mut world, 0, &[]);
    world.run(secs(1));
    check(&mut world, &all, &[claim(A, 2, &[3])]);
}

#[test]
fn claims_die_with_their_node_and_dont_come_back_with_it() {
    let mut world = World::of(3, claiming);
    hold(&mut world, 0, &[A]);
    world.run(secs(1));
    world.kill(0);
    world.run(secs(20));
    check(&mut world, &[1, 2], &[]);
    hold(&mut world, 1, &[A]);
    world.run(secs(1));
    // The same node in another life.
    let seed = [7; 32];
    world.start(GossipOptions {
        seed,
        ..claiming(0)
    });
    world.join(0, 2);
    world.run(secs(2));
    check(&mut world, &[0, 1, 2], &[claim(A, 2, &[1])]);
}

#[test]
fn a_paused_claimant_is_outdone_by_who_took_over() {
    let mut world = World::of(3, claiming);
    hold(&mut world, 0, &[A]);
    world.run(secs(1));
    world.pause(0);
    world.run(secs(20));
    hold(&mut world, 2, &[A]);
    world.run(secs(1));
    world.resume(0);
    // Waking up it believes that it holds the address still; the exchange tells it more.
    let now = world.now;
    world.gossip(0).rejoin(now);
    world.drain(address(0));
    world.run(Duration::from_millis(50));
    check(&mut world, &[0], &[claim(A, 2, &[2])]);
    world.run(secs(5));
    check(&mut world, &[0, 1, 2], &[claim(A, 2, &[2])]);
}

#[test]
fn those_who_claim_at_once_are_both_named() {
    let mut world = World::of(3, claiming);
    hold(&mut world, 0, &[A]);
    hold(&mut world, 1, &[A]);
    world.run(secs(1));
    check(&mut world, &[0, 1, 2], &[claim(A, 1, &[0, 1])]);
    hold(&mut world, 1, &[]);
    world.run(secs(1));
    check(&mut world, &[0, 1, 2], &[claim(A, 1, &[0])]);
}

#[test]
fn who_holds_what_nobody_claims_any_more_claims_it() {
    let mut world = World::of(3, claiming);
    hold(&mut world, 0, &[A]);
    world.run(secs(1));
    hold(&mut world, 1, &[A]);
    world.run(secs(1));
    // Node 1 holds it as well; it is node 0's until that one is gone.
    check(&mut world, &[1, 2], &[claim(A, 1, &[0])]);
    world.kill(0);
    world.run(secs(20));
    check(&mut world, &[1, 2], &[claim(A, 2, &[1])]);
}

#[test]
fn who_was_alone_takes_nothing_with_it() {
    let mut world = World::of(3, claiming);
    hold(&mut world, 0, &[A]);
    hold(&mut world, 2, &[B]);
    world.run(secs(1));
    world.cut_between([2].into_iter(), &[0, 1]);
    world.run(secs(20));
    // Each side believes that it has everything.
    hold(&mut world, 2, &[A, B]);
    hold(&mut world, 1, &[B]);
    world.run(secs(1));
    world.cut.clear();
    world.join(2, 0);
    world.run(secs(2));
    let all = [0, 1, 2];
    check(&mut world, &all, &[claim(A, 1, &[0]), claim(B, 2, &[1])]);
}

#[test]
fn who_is_new_learns_what_one_alone_has() {
    let mut world = World::of(2, claiming);
    world.kill(1);
    world.run(secs(20));
    hold(&mut world, 0, &[A]);
    world.run(secs(1));
    check(&mut world, &[0], &[]);
    let mut anew = claiming(1);
    anew.seed[31] = 1;
    world.start(anew);
    world.join(1, 0);
    // Question and answer take a millisecond each.
    world.run(Duration::from_millis(5));
    check(&mut world, &[1], &[claim(A, 1, &[0])]);
}

#[test]
fn what_was_lost_is_repaired_by_exchanges() {
    let mut world = World::of(3, claiming);
    for i in [0, 1] {
        world.deaf.insert((address(i), address(2)));
    }
    hold(&mut world, 0, &[A]);
    world.run(secs(3));
    check(&mut world, &[2], &[]);
    world.run(secs(60));
    assert_eq!(known(&mut world, 2), [claim(A, 1, &[0])]);
}

#[test]
fn a_crowd_of_addresses_arrives() {
    let mut world = World::of(3, claiming);
    let many: BTreeSet<IpAddr> = (0..2000u32)
        .map(|i| (0x0a00_0000 + i).to_be_bytes().into())
        .collect();
    let now = world.now;
    world.gossip(0).hold(many, now);
    world.drain(address(0));
    world.run(Duration::from_millis(100));
    assert_eq!(known(&mut world, 2).len(), 2000);
}

#[test]
fn who_doesnt_speak_them_isnt_troubled() {
    let mut world = World::of(3, |i| if i == 2 { options(i) } else { claiming(i) });
    hold(&mut world, 0, &[A]);
    hold(&mut world, 2, &[B]);
    world.run(secs(60));
    check(&mut world, &[0, 1], &[claim(A, 1, &[0])]);
    check(&mut world, &[2], &[]);
}

fn word(life: u64, given_up: bool) -> Word {
    Word { life, given_up }
}

fn said(ip: &str, epoch: u64, word: Word) -> Claim {
    let ip = ip.parse().unwrap();
    Claim { ip, epoch, word }
}

#[test]
fn epochs_that_cant_be_are_refused() {
    let mut claims = Claims::default();
    let rows = [
        (0, Err(Drop::Epoch)),
        (JUMP + 1, Err(Drop::Epoch)),
        (JUMP, Ok(Heard::News)),
        (JUMP - 1, Ok(Heard::Known)),
        (u64::MAX, Err(Drop::Epoch)),
        (2 * JUMP, Ok(Heard::News)),
        (2 * JUMP, Ok(Heard::Known)),
    ];
    for (epoch, want) in rows {
        let heard = claims.take("n", &said(A, epoch, word(1, false)));
        assert_eq!(heard, want, "{epoch}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut claims = Claims::default();
    for i in 0..TIES_MAX {
        let heard = claims.take(&name(i), &said(A, 1, word(1, false)));
        assert_eq!(heard, Ok(Heard::News));
    }
    let more = said(A, 1, word(1, false));
    assert_eq!(claims.take("more", &more), Err(Drop::Full));
    for i in 1..u32::try_from(ADDRESSES_MAX).unwrap() {
        let ip = IpAddr::from(i.to_be_bytes());
        let claim = Claim { ip, ..more.clone() };
        assert_eq!(claims.take("n", &claim), Ok(Heard::News));
    }
    let last = said(B, 1, word(1, false));
    assert_eq!(claims.take("n", &last), Err(Drop::Full));
}

fn spoken() -> Spoken {
    Spoken {
        node: "node-1".to_owned(),
        life: 0x0102_0304_0506_0708,
        claims: vec![
            said(A, 7, word(0x0102_0304_0506_0708, false)),
            said(B, u64::MAX, word(0x0102_0304_0506_0708, true)),
        ],
    }
}

#[test]
fn messages_round_trip_and_no_truncation_panics() {
    let want = spoken();
    let batch = want.batches(1000).next().unwrap().encode();
    assert_eq!(Spoken::decode(&batch), Some(want.clone()));
    let state = spoken::encode_state(&[want.clone(), want.clone()], b"rest");
    let (all, rest) = spoken::decode_state(&state).unwrap();
    assert_eq!(
        (all, rest),
        (vec![want.clone(), want.clone()], &b"rest"[..])
    );
    for length in 0..batch.len() {
        // Between two claims it is a shorter message.
        if let Some(less) = Spoken::decode(&batch[..length]) {
            assert!(less.claims.len() < want.claims.len());
        }
    }
    for length in 0..state.len() {
        let _any = spoken::decode_state(&state[..length]);
    }
    assert_eq!(spoken::decode_state(b"mine"), None);
}

#[test]
fn batches_fit_their_room() {
    let mut all = spoken();
    let many = (1..500).map(|epoch| said(B, epoch, word(1, false)));
    all.claims = many.collect();
    for room in [0, 100, 500, 1300] {
        let batches: Vec<_> = all.batches(room).map(|b| b.encode()).collect();
        let read = batches
            .iter()
            .flat_map(|b| Spoken::decode(b).unwrap().claims);
        assert_eq!(read.count(), 499, "{room}");
        if room >= 100 {
            assert!(batches.iter().all(|b| b.len() <= room), "{room}");
        }
    }
}

proptest! {
    /// Whatever the order, and however often: all end up with the same.
    #[test]
    fn the_order_doesnt_matter(
        mut all in prop::collection::vec((0..3usize, 1..5u64, 1..3u64, any::<bool>()), 0..20)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let end = |of: &[(usize, u64, u64, bool)]| {
            let mut claims = Claims::default();
            for (node, epoch, life, given_up) in of {
                let heard = claims.take(&name(*node), &said(A, *epoch, word(*life, *given_up)));
                prop_assert!(heard.is_ok());
            }
            let records = claims.records.into_iter();
            let records: BTreeMap<_, _> = records.map(|(ip, r)| (ip, (r.epoch, r.words))).collect();
            Ok(records)
        };
        let first = end(&all.0)?;
        prop_assert_eq!(&first, &end(&all.1)?);
        let twice = all.0.clone();
        all.0.extend(twice);
        prop_assert_eq!(first, end(&all.0)?);
    }
}
