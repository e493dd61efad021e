//! `corten-simulate`: speakers in virtual time. `seeds [N]` runs N seeds (10,000) on every core
//! and prints those that break an invariant, made smaller; `figures [NODES…]` prints how long a
//! fail-over takes and what membership costs.

use anyhow::{Context as _, bail, ensure};
use corten_lab::simulation::{Measured, Plan, figures, run, shrink};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "seeds".to_owned());
    let numbers: Vec<u64> = arguments
        .map(|n| n.parse().with_context(|| format!("{n:?} is no number")))
        .collect::<Result<_, _>>()?;
    match what.as_str() {
        "seeds" => seeds(
            numbers.first().copied().unwrap_or(10_000),
            numbers.get(1).copied().unwrap_or(0),
        ),
        "figures" => show(&numbers),
        other => bail!("{other:?} is neither seeds nor figures"),
    }
}

fn seeds(count: u64, first: u64) -> anyhow::Result<()> {
    let next = AtomicU64::new(first);
    let worst = Mutex::new(Measured::default());
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match run(&Plan::of(seed)) {
                        Ok(measured) => {
                            if let Ok(mut worst) = worst.lock() {
                                worst.none = worst.none.max(measured.none);
                                worst.double = worst.double.max(measured.double);
                                worst.double_cut = worst.double_cut.max(measured.double_cut);
                                worst.double_healing =
                                    worst.double_healing.max(measured.double_healing);
                            }
                        }
                        Err(violation) => {
                            if let Ok(mut failed) = failed.lock() {
                                println!("seed {seed}: {violation}");
                                failed.push((seed, violation));
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    if let Some((seed, violation)) = failed.first().cloned() {
        let (plan, violation) = shrink(Plan::of(seed), violation);
        println!("seed {seed}, made smaller: {violation}\n{plan:#?}");
    }
    let worst = worst.into_inner().unwrap_or_default();
    println!(
        "{count} seeds: {} failed; nobody answered for at most {:.2?}, two for {:.2?}, \
         {:.2?} while gossip alone was cut, {:.2?} until it had healed",
        failed.len(),
        worst.none,
        worst.double,
        worst.double_cut,
        worst.double_healing
    );
    ensure!(failed.is_empty(), "an invariant is broken");
    Ok(())
}

fn show(sizes: &[u64]) -> anyhow::Result<()> {
    let usual = [3, 10, 30, 100, 300, 1000];
    println!("| nodes | packets/s | bytes/s | fail-over, median | longest | known to all |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for &nodes in if sizes.is_empty() { &usual } else { sizes } {
        let f = figures(usize::try_from(nodes)?, 10);
        let ms = |d: Duration| format!("{} ms", d.as_millis());
        println!(
            "| {nodes} | {:.0} | {:.0} | {} | {} | {} |",
            f.packets,
            f.bytes,
            ms(f.median),
            ms(f.longest),
            ms(f.known)
        );
    }
    Ok(())
}
