//! `make bench`: what the daemon costs and how fast it answers, measured from outside.
//!
//! Latency is that of a client on the same LAN, from sending a question to reading its answer,
//! in turn with a question the kernel answers for an address it owns: the ratio is the figure,
//! the microseconds are this machine's.

use anyhow::{Context, Result, bail, ensure};
use corten_lab::bench;
use corten_lab::corten::binary;
use corten_lab::frame;
use corten_lab::manifests::{self, Stack};
use corten_lab::raw::RawSocket;
use corten_lab::site::Site;
use corten_lab::teller::Teller;
use corten_lab::wait::wait_until;
use corten_lab::world::{Client, Plan};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Questions asked for each figure.
const SAMPLES: usize = 5000;
/// When an answer counts as missing.
const MISSING: Duration = Duration::from_secs(1);
/// Goal for the slowest in a hundred.
const GOAL_P99: Duration = Duration::from_millis(1);
/// Goals for resident memory, in KiB.
const GOAL_IDLE: u64 = 8 << 10;
const GOAL_LOADED: u64 = 12 << 10;
/// Goal for following a change.
const GOAL_FOLLOWED: Duration = Duration::from_millis(100);
/// Changes measured.
const CHANGES: usize = 30;
/// How long an address that nobody answers for is asked for.
const SILENT: Duration = Duration::from_millis(20);
/// Starts measured.
const STARTS: usize = 20;
const QUIET: Duration = Duration::from_secs(3);

/// A bench; whether it reached its goals.
type Bench = fn(&mut Teller) -> Result<bool>;

/// Every bench by the name it is asked for on the command line; all without one.
const BENCHES: [(&str, Bench); 4] = [
    ("memory", memory),
    ("start", cold_start),
    ("following", following),
    ("latency", latency),
];

fn main() -> ExitCode {
    bench::main(run)
}

fn run() -> Result<bool> {
    let mut tell = Teller::new();
    let program = binary()?;
    let size = std::fs::metadata(&program)?.len() >> 10;
    println!("corten: {} ({size} KiB)", program.display());
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| BENCHES.iter().any(|(known, _)| known == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!("no bench {unknown:?}: there are {}", names.join(", "));
    }
    let mut met = true;
    for (name, bench) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            met &= bench(&mut tell)?;
        }
    }
    Ok(met)
}

/// A world of one node on one LAN and a pool that holds every Service, nothing started.
fn small() -> Result<Site> {
    let site = Site::new(&Plan {
        nodes: 1,
        lans: vec!["red".to_owned()],
        prefixes: vec!["198.18.0.0/15".to_owned(), "2001:db8:1::/64".to_owned()],
    })?;
    site.manifests.write("config.yaml", &config(&[]))?;
    Ok(site)
}

/// The configuration of [`small`], announcing on these interfaces, or on all.
fn config(interfaces: &[&str]) -> String {
    manifests::namespace("default")
        + &manifests::pool("both", &["198.18.0.0/15", "2001:db8:1::/64"])
        + &manifests::advertisement("everything", &[], interfaces)
}

fn write_services(site: &Site, count: usize, stack: Stack) -> Result<()> {
    let text: String = (0..count)
        .map(|i| manifests::service(&format!("web{i}"), stack, &[], &["node1"]))
        .collect();
    site.manifests.write("services.yaml", &text)
}

/// Starts the node and waits until all is announced and its first announcements are over.
fn settled(site: &mut Site) -> Result<Duration> {
    let start = Instant::now();
    site.start(&[])?;
    site.wait_announced()?;
    let took = start.elapsed();
    site.wait_quiet(0, QUIET)?;
    Ok(took)
}

fn memory(tell: &mut Teller) -> Result<bool> {
    tell.step("Resident memory of `corten run --allocate`");
    let mut rows = vec![row(["WITH", "RSS KiB", "GOAL"])];
    let mut met = true;
    for (services, goal) in [(0, GOAL_IDLE), (2000, GOAL_LOADED)] {
        let mut site = small()?;
        if services == 0 {
            site.start(&[])?;
            site.wait_quiet(0, QUIET)?;
        } else {
            write_services(&site, services, Stack::V4)?;
            settled(&mut site)?;
        }
        let rss = site.allocator()?.process().resident_kib()?;
        met &= rss <= goal;
        rows.push(vec![
            format!("{services} Services"),
            rss.to_string(),
            format!("<= {goal}"),
        ]);
    }
    tell.table(&rows);
    Ok(met)
}

fn cold_start(tell: &mut Teller) -> Result<bool> {
    tell.step("From starting the process to its first answer, 10 Services on record");
    let mut site = small()?;
    write_services(&site, 10, Stack::V4)?;
    settled(&mut site)?;
    let ip = *site.addresses()?.first().context("an address")?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        site.allocator()?.stop()?;
        let start = Instant::now();
        site.allocator()?.restart()?;
        let client = site.world.client(0)?;
        let socket = client.socket()?;
        let tick = Duration::from_micros(500);
        wait_until("the first answer", Duration::from_secs(10), || {
            Ok(client.time_answer(&socket, ip, tick)?.map(drop))
        })
        .with_context(|| site.story())?;
        times.push(start.elapsed());
    }
    tell.table(&[
        row(["", "p50", "p99", "slowest"]),
        figures("first answer", &mut times),
    ]);
    Ok(true)
}

fn following(tell: &mut Teller) -> Result<bool> {
    tell.step("From renaming a file into place to the frame that tells the LAN");
    let mut rows = vec![row(["SERVICES", "p50", "p99", "slowest", "GOAL"])];
    let mut met = true;
    for count in [10, 2000, 10_000] {
        let mut site = small()?;
        write_services(&site, count, Stack::V4)?;
        site.manifests.write("change.yaml", &changing(true))?;
        settled(&mut site)?;
        let ip = *site
            .allocations()?
            .get(CHANGING)
            .and_then(|ips| ips.first())
            .context("its address")?;
        let mut times = Vec::new();
        for _ in 0..CHANGES {
            site.manifests.write("change.yaml", &changing(false))?;
            let client = site.world.client(0)?;
            let socket = client.socket()?;
            wait_until("silence", Duration::from_secs(10), || {
                Ok(client
                    .time_answer(&socket, ip, SILENT)?
                    .is_none()
                    .then_some(()))
            })?;
            let socket = client.socket()?;
            let mut buffer = RawSocket::buffer();
            let start = Instant::now();
            site.manifests.write("change.yaml", &changing(true))?;
            let took = loop {
                let left = MISSING.saturating_sub(start.elapsed());
                ensure!(
                    !left.is_zero(),
                    "no frame within {MISSING:?}: {}",
                    site.story()
                );
                let heard = socket.receive(&mut buffer, left)?;
                let claim = heard.and_then(|heard| frame::claim(heard.frame));
                if claim.is_some_and(|claim| claim.ip == ip) {
                    break start.elapsed();
                }
            };
            times.push(took);
        }
        let mut line = figures(&count.to_string(), &mut times);
        met &= percentile(&times, 99) <= GOAL_FOLLOWED;
        line.push(format!("<= {} ms", GOAL_FOLLOWED.as_millis()));
        rows.push(line);
    }
    tell.table(&rows);
    Ok(met)
}

/// The Service that changes.
const CHANGING: &str = "default/changing";

/// Its manifest, with an endpoint that is ready or not.
fn changing(ready: bool) -> String {
    let text = manifests::service("changing", Stack::V4, &[], &["node1"]);
    text.replace("ready: true", &format!("ready: {ready}"))
}

fn latency(tell: &mut Teller) -> Result<bool> {
    tell.step("Time to answer, beside the kernel's for an address it owns");
    let head = row([
        "CASE",
        "p50",
        "p99",
        "slowest",
        "KERNEL p50",
        "p99",
        "RATIO p50",
        "p99",
    ]);
    let mut rows = vec![head];
    let mut met = true;

    let mut site = small()?;
    write_services(&site, 5, Stack::Dual)?;
    settled(&mut site)?;
    met &= measure(&site, "10 addresses", &mut rows)?;

    let mut site = small()?;
    write_services(&site, 5000, Stack::Dual)?;
    let took = settled(&mut site)?;
    met &= measure(&site, "10,000 addresses", &mut rows)?;

    let stop = AtomicBool::new(false);
    let changes = std::thread::scope(|scope| {
        let storm = scope.spawn(|| storm(&site, &stop));
        let result = measure(&site, "10,000 in a storm", &mut rows);
        stop.store(true, Ordering::Relaxed);
        let changes = match storm.join() {
            Ok(changes) => changes,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        met &= result?;
        changes
    })?;
    tell.table(&rows);
    tell.say(format!(
        "10,000 addresses were given and answered for within {} ms of the start;",
        took.as_millis()
    ));
    tell.say(format!(
        "the storm wrote {changes} changes of the configuration, each touching every Service and its table entry"
    ));
    Ok(met)
}

/// Adds and removes a pool, and names the interface or leaves it open, without pause: every Service
/// is looked at again and again, and every entry of the table is another one each time.
fn storm(site: &Site, stop: &AtomicBool) -> Result<usize> {
    let nic = site.world.node(0)?.nics.first().context("a NIC")?;
    let extra = manifests::pool("extra", &["203.0.113.0/24"]);
    let texts = [config(&[&nic.interface]) + &extra, config(&[])];
    let mut changes = 0;
    for text in texts.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        site.manifests.write("config.yaml", text)?;
        changes += 1;
        // Faster than a change is followed (100 ms), slower than the disk.
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(changes)
}

fn measure(site: &Site, case: &str, rows: &mut Vec<Vec<String>>) -> Result<bool> {
    let client = site.world.client(0)?;
    let node = site.world.node(0)?;
    let nic = node.nics.first().context("a NIC")?;
    let addresses = site.addresses()?;
    let mut met = true;
    for (name, own, v4) in [
        ("ARP", IpAddr::from(nic.ipv4), true),
        ("NDP", IpAddr::from(nic.ipv6), false),
    ] {
        let ours: Vec<IpAddr> = addresses
            .iter()
            .filter(|a| a.is_ipv4() == v4)
            .copied()
            .collect();
        ensure!(!ours.is_empty(), "no address to ask for");
        let socket = client.socket()?;
        let (mut corten, mut kernel) = (Vec::new(), Vec::new());
        // A stride that meets every part of the table.
        for ip in ours
            .iter()
            .cycle()
            .step_by(ours.len() / 7 + 1)
            .take(SAMPLES)
        {
            corten.push(ask(client, &socket, *ip)?);
            kernel.push(ask(client, &socket, own)?);
        }
        let mut line = figures(&format!("{name}, {case}"), &mut corten);
        let theirs = figures("", &mut kernel);
        line.extend(theirs.into_iter().skip(1).take(2));
        for percent in [50, 99] {
            let ratio = percentile(&corten, percent).as_secs_f64()
                / percentile(&kernel, percent).as_secs_f64();
            line.push(format!("{ratio:.1}"));
        }
        met &= percentile(&corten, 99) <= GOAL_P99;
        rows.push(line);
    }
    Ok(met)
}

fn ask(client: &Client, socket: &RawSocket, ip: IpAddr) -> Result<Duration> {
    let answer = client.time_answer(socket, ip, MISSING)?;
    Ok(answer.map_or(MISSING, |(_, took)| took))
}

/// Name, p50, p99 and slowest; sorts the samples.
fn figures(name: &str, samples: &mut [Duration]) -> Vec<String> {
    samples.sort();
    let mut line = vec![name.to_owned()];
    line.extend([50, 99, 100].map(|p| format!("{} µs", percentile(samples, p).as_micros())));
    line
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}
