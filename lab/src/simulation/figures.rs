//! How long a fail-over takes and what membership costs, in clusters of any size.

use super::plan::{Plan, Policy};
use super::site;
use super::world::World;
use std::time::Duration;

/// What was measured in a cluster of one size.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Nodes.
    pub nodes: usize,
    /// Packets a second and node, sent.
    pub packets: f64,
    /// Bytes a second and node, sent.
    pub bytes: f64,
    /// From a node's power failing until another answers for each of its addresses: the median.
    pub median: Duration,
    /// The longest.
    pub longest: Duration,
    /// Until every node knew.
    pub known: Duration,
}

const QUIET: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(1);

/// Measures so many nodes; `failures` nodes fail one after another.
#[must_use]
pub fn figures(nodes: usize, failures: usize) -> Figures {
    let plan = Plan {
        seed: 1,
        nodes,
        addresses: 64,
        policy: Policy::Metallb,
        loss: 0,
        doubled: 0,
        delay: Duration::from_millis(1),
        skew: 1,
        fellows: false,
        found: (nodes > 32).then_some(3),
        faults: Vec::new(),
    };
    let mut world = World::new(&plan);
    run(&mut world, Duration::from_secs(30));
    let before = sent(&world);
    run(&mut world, QUIET);
    let after = sent(&world);
    let per = 1.0 / (QUIET.as_secs_f64() * nodes as f64);
    let mut waits = Vec::new();
    let mut known = Duration::ZERO;
    for _ in 0..failures.min(nodes.saturating_sub(1)) {
        let owners = world
            .judge
            .owners
            .values()
            .filter_map(|o| o.first().copied());
        let Some(victim) = owners.min() else { break };
        known = fail(&mut world, victim, &mut waits).max(known);
        run(&mut world, Duration::from_secs(2));
    }
    waits.sort();
    Figures {
        nodes,
        packets: (after.0 - before.0) as f64 * per,
        bytes: (after.1 - before.1) as f64 * per,
        median: waits.get(waits.len() / 2).copied().unwrap_or_default(),
        longest: waits.last().copied().unwrap_or_default(),
        known,
    }
}

/// The invariants are none of this measurement's business.
fn run(world: &mut World, time: Duration) {
    let end = world.time + time;
    while world.time < end {
        let _judged = world.run_to(end);
    }
}

fn sent(world: &World) -> (u64, u64) {
    let all = (0..world.plan.nodes).filter_map(|i| world.process(i));
    let counters = all.map(|p| p.gossip.counters());
    counters.fold((0, 0), |(packets, bytes), c| {
        (packets + c.packets_sent, bytes + c.bytes_sent)
    })
}

/// Until everybody knew that a node failed; how long each of its addresses waited is added.
fn fail(world: &mut World, victim: usize, waits: &mut Vec<Duration>) -> Duration {
    let owned = |(ip, owners): (&std::net::IpAddr, &std::collections::BTreeSet<usize>)| {
        owners.contains(&victim).then_some(*ip)
    };
    let mut orphans: Vec<_> = world.judge.owners.iter().filter_map(owned).collect();
    let begun = world.time;
    world.power_off(victim);
    let name = site::name(victim);
    for _ in 0..30_000 {
        run(world, STEP);
        let passed = world.time - begun;
        orphans.retain(|ip| {
            let found = world.judge.owners.get(ip).is_some_and(|o| !o.is_empty());
            if found {
                waits.push(passed);
            }
            !found
        });
        let mut all = (0..world.plan.nodes).filter_map(|i| world.process(i));
        let ignorant = |p: &super::process::Process| {
            p.seen.view().is_some_and(|view| view.names.contains(&name))
        };
        if orphans.is_empty() && !all.any(ignorant) {
            return passed;
        }
    }
    world.time - begun
}
