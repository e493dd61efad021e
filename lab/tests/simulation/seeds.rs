//! Runs made from seeds.

use corten_lab::simulation::{Plan, run, shrink};

/// What a test machine does in some ten seconds.
const SEEDS: u64 = 40;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

fn check(seed: u64) {
    let plan = Plan::of(seed);
    if let Err(violation) = run(&plan) {
        let (plan, small) = shrink(plan, violation.clone());
        panic!("CORTEN_SEED={seed}: {violation}\nmade smaller: {small}\n{plan:#?}");
    }
}

#[test]
fn nobody_lies_for_long() {
    match number("CORTEN_SEED") {
        Some(seed) => check(seed),
        None => (0..number("CORTEN_SEEDS").unwrap_or(SEEDS)).for_each(check),
    }
}
