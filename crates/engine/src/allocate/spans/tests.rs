//! The intervals against a plain set of positions.

use super::{Position, Spans};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Two slots of twelve, the second at the very end of the number space.
const FIRSTS: [u128; 2] = [5, u128::MAX - 11];

fn both() -> (Spans, BTreeSet<Position>) {
    let mut spans = Spans::default();
    let mut model = BTreeSet::new();
    for (slot, first) in FIRSTS.into_iter().enumerate() {
        spans.add_slot(slot, first, first + 11);
        model.extend((0..12).map(|i| Position {
            slot,
            rank: first + i,
        }));
    }
    (spans, model)
}

proptest! {
    #[test]
    fn like_a_plain_set(ops in prop::collection::vec((any::<bool>(), 0..2usize, 0..12u128), 0..200)) {
        let (mut spans, mut model) = both();
        for (take, slot, offset) in ops {
            let at = Position { slot, rank: FIRSTS[slot] + offset };
            if take {
                prop_assert_eq!(spans.take(at), model.remove(&at));
            } else {
                prop_assert_eq!(spans.give(at), model.insert(at));
            }
            prop_assert_eq!(spans.first(), model.first().copied());
        }
        let gaps = model.iter().filter(|p| {
            p.rank == FIRSTS[p.slot] || !model.contains(&Position { slot: p.slot, rank: p.rank - 1 })
        });
        prop_assert_eq!(spans.spans.len(), gaps.count(), "intervals that touch are joined");
    }

    #[test]
    fn first_walks_in_order(taken in prop::collection::btree_set(0..24usize, 0..24)) {
        let (mut spans, model) = both();
        let all: Vec<_> = model.into_iter().collect();
        for i in &taken {
            prop_assert!(spans.take(all[*i]));
        }
        for (i, at) in all.iter().enumerate().filter(|(i, _)| !taken.contains(i)) {
            prop_assert_eq!(spans.first(), Some(*at), "position {}", i);
            prop_assert!(spans.take(*at));
        }
        prop_assert_eq!(spans.first(), None);
    }
}

#[test]
fn outside_is_not_free() {
    let (mut spans, _) = both();
    for (slot, rank) in [(0, 4), (0, 17), (1, 0), (2, 5)] {
        assert!(!spans.take(Position { slot, rank }), "{slot} {rank}");
    }
}
