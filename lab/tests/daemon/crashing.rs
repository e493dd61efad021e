//! SIGKILL at any moment loses no allocation and moves none.
//!
//! `CORTEN_SOAK` sets how many seconds it goes on (`make soak` runs ten minutes),
//! `CORTEN_SEED` repeats the moments of an earlier run.

use anyhow::{Context, Result, ensure};
use corten_lab::manifests::Stack;
use corten_lab::site::{DEADLINE, Site, WINDOW};
use corten_lab::trial::Trial;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) const TRIALS: &[Trial] = &[("crashing::no_allocation_is_lost", no_allocation_is_lost)];

/// Short enough for every `make test`.
const SHORT: Duration = Duration::from_secs(20);

type Allocations = BTreeMap<String, Vec<IpAddr>>;

#[derive(Deserialize)]
struct Ledger {
    id: String,
    version: u64,
    allocations: BTreeMap<String, Entry>,
    #[serde(rename = "checksum")]
    _checksum: String,
}

#[derive(Deserialize)]
struct Entry {
    addresses: Vec<IpAddr>,
}

/// Reads the ledger without end: whole at every moment, never another, never backwards, and no
/// address in it ever changes.
struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(usize, Allocations)>>,
}

impl Witness {
    fn start(path: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut known = Allocations::new();
            let (mut id, mut version, mut reads) = (String::new(), 0, 0);
            while !stopped.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string(&path)?;
                let ledger: Ledger = serde_saphyr::from_str(&text)
                    .with_context(|| format!("a ledger that can't be read:\n{text}"))?;
                ensure!(
                    id.is_empty() || id == ledger.id,
                    "{id} became {}",
                    ledger.id
                );
                ensure!(
                    version <= ledger.version,
                    "{version} became {}",
                    ledger.version
                );
                for (service, addresses) in &known {
                    let now = ledger.allocations.get(service).map(|e| &e.addresses);
                    ensure!(
                        now == Some(addresses),
                        "{service}: {addresses:?} became {now:?}"
                    );
                }
                id = ledger.id;
                version = ledger.version;
                known = ledger
                    .allocations
                    .into_iter()
                    .map(|(service, e)| (service, e.addresses))
                    .collect();
                reads += 1;
            }
            Ok((reads, known))
        });
        Self { stop, thread }
    }

    fn stop(self) -> Result<(usize, Allocations)> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(seen) => seen,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn no_allocation_is_lost() -> Result<()> {
    let time = match std::env::var("CORTEN_SOAK") {
        Ok(seconds) => Duration::from_secs(seconds.parse().context("CORTEN_SOAK")?),
        Err(_) => SHORT,
    };
    let mut dice = Dice::new()?;
    let mut site = Site::with_services(20)?;
    let before = site.allocations()?;
    let witness = Witness::start(site.manifests.path().join("corten.allocations.yaml"));
    let end = Instant::now() + time;
    let mut kills = 0;
    let mut written = 20;
    while Instant::now() < end {
        if written < 200 {
            written += 1;
            site.write_service(&format!("web{written}"), Stack::V4, &[])?;
        }
        let victim = dice.roll(site.instances.len());
        // Any moment between the start of the process and well after its readiness. Waiting is
        // the point here: nothing observable marks "at random".
        std::thread::sleep(Duration::from_micros(u64::try_from(dice.roll(300_000))?));
        let instance = site.instances.get_mut(victim).context("victim")?;
        instance.kill()?;
        kills += 1;
        instance.restart()?;
    }
    for instance in &mut site.instances {
        instance.wait_ready()?;
    }
    site.wait_announced()?;
    let (reads, known) = witness.stop()?;
    println!(
        "    {kills} kills, {reads} reads of the ledger, seed {}",
        dice.seed
    );
    let after = site.allocations()?;
    ensure!(
        after.len() == written,
        "{} of {written} Services",
        after.len()
    );
    for (service, addresses) in before.iter().chain(&known) {
        ensure!(
            after.get(service) == Some(addresses),
            "{service} was at {addresses:?}"
        );
    }
    let all: Vec<IpAddr> = after.values().flatten().copied().collect();
    for lan in 0..site.world.lans.len() {
        let seen = site.world.client(lan)?.ask_all(&all, DEADLINE, WINDOW)?;
        for (service, addresses) in &after {
            for ip in addresses {
                site.world
                    .owner(&seen, *ip)
                    .with_context(|| verdicts(&site, lan, service))?;
            }
        }
    }
    Ok(())
}

/// What every instance says of a Service, its frames included: tells a lost frame from silence.
fn verdicts(site: &Site, lan: usize, service: &str) -> String {
    let mut text = format!("on LAN {lan}\n");
    for instance in &site.instances {
        match instance.explain(service) {
            Ok(said) => text += &said,
            Err(error) => text += &format!("{error:#}\n"),
        }
    }
    text + &site.story()
}

/// A linear congruential generator: the same seed, the same moments.
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    fn new() -> Result<Self> {
        let seed = match std::env::var("CORTEN_SEED") {
            Ok(seed) => seed.parse().context("CORTEN_SEED")?,
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        Ok(Self { seed, state: seed })
    }

    fn roll(&mut self, below: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).map_or(0, |n| n % below.max(1))
    }
}
