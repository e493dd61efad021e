//! `make bench`, second part: how long an address has no owner after its owner's end.
//!
//! Two LANs, membership on with its defaults. Time runs from the kill to the first frame in which
//! another node claims the address, seen on the first LAN's bridge. `-n ROUNDS` sets how often (10
//! unless given), `-m NODES` on how many nodes (3 unless given).

use anyhow::{Context, Result};
use corten_lab::bench;
use corten_lab::manifests::Stack;
use corten_lab::site::{DEADLINE, Site, basics};
use corten_lab::sniff::Sniffer;
use corten_lab::wait::wait_until;
use corten_lab::world::Plan;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Services, every third with two addresses.
const SERVICES: usize = 12;
/// Until neighbours that have just met may accuse each other, and more.
const SETTLE: Duration = Duration::from_secs(2);
/// Goals for the median and the longest.
const GOALS: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(500));

/// How an owner ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The cable is pulled and the process killed: nothing says that it is gone.
    Crash,
    /// The process is killed; its host answers for closed ports.
    Kill,
    /// The process is stopped for two seconds and goes on then.
    Stop,
}

fn main() -> ExitCode {
    bench::main(run)
}

fn run() -> Result<bool> {
    let rounds = usize::from(option("-n", 10)?);
    let nodes = option("-m", 3)?;
    let mut site = Site::new(&Plan {
        nodes,
        ..Plan::default()
    })?;
    site.manifests.write("config.yaml", &basics())?;
    let stacks = [Stack::V4, Stack::V6, Stack::Dual];
    for (i, stack) in (1..=SERVICES).zip(stacks.into_iter().cycle()) {
        site.write_service(&format!("web{i}"), stack, &[])?;
    }
    site.start_members()?;
    site.wait_announced()?;
    let addresses = site.addresses()?;
    let mut reached = true;
    settle(&mut site, &addresses)?;
    cost(&site)?;
    println!("fail-over, {} addresses on {nodes} nodes:", addresses.len());
    for end in [End::Crash, End::Kill, End::Stop] {
        let mut all = Vec::new();
        for round in 0..rounds {
            all.extend(fail(
                &mut site,
                round % usize::from(nodes),
                end,
                &addresses,
            )?);
        }
        all.sort();
        let median = all.get(all.len() / 2).context("nothing failed over")?;
        let longest = all.last().context("nothing failed over")?;
        let fine = *median <= GOALS.0 && *longest <= GOALS.1;
        println!(
            "  {end:?}: {} hand-overs in {rounds} rounds: median {median:.0?}, longest {longest:.0?}{}",
            all.len(),
            if fine { "" } else { "  (goal missed)" }
        );
        reached &= fine;
    }
    Ok(reached)
}

/// The number behind a flag.
fn option(flag: &str, default: u8) -> Result<u8> {
    match std::env::args().skip_while(|a| a != flag).nth(1) {
        Some(n) => n.parse().with_context(|| flag.to_owned()),
        None => Ok(default),
    }
}

/// What a node sends while nothing happens.
fn cost(site: &Site) -> Result<()> {
    const TIME: Duration = Duration::from_secs(5);
    let instance = site.instances.first().context("nothing was started")?;
    let sent = || -> Result<(u64, u64)> {
        let gossip = instance.status()?.gossip.context("membership is off")?;
        Ok((gossip.packets_sent, gossip.bytes_sent))
    };
    let (packets, bytes) = sent()?;
    std::thread::sleep(TIME);
    let (after, more) = sent()?;
    println!(
        "gossip at rest, of one of {} nodes: {} packets/s, {} bytes/s",
        site.instances.len(),
        (after - packets) / TIME.as_secs(),
        (more - bytes) / TIME.as_secs()
    );
    Ok(())
}

/// Waits until each address has one owner and everybody is alive for everybody.
fn settle(site: &mut Site, addresses: &[IpAddr]) -> Result<()> {
    let all = site.instances.len();
    for instance in &mut site.instances {
        instance.wait_status("every member", |s| (s.alive().len() == all).then_some(()))?;
    }
    site.wait_owners(0, addresses, |owners| {
        let one = |ip| owners.get(ip).is_some_and(|macs| macs.len() == 1);
        addresses.iter().all(one)
    })?;
    // The detector arms itself meanwhile.
    std::thread::sleep(SETTLE);
    Ok(())
}

/// Ends a node, and says for each of its addresses how long nobody claimed it.
fn fail(site: &mut Site, victim: usize, end: End, addresses: &[IpAddr]) -> Result<Vec<Duration>> {
    settle(site, addresses)?;
    let node = site.world.node(victim)?;
    let (name, nic) = (
        node.name.clone(),
        node.nics.first().context("no NIC")?.clone(),
    );
    let owners = site.owners(0, addresses)?;
    let his = owners.iter().filter(|(_, n)| n.name == name);
    let his: Vec<IpAddr> = his.map(|(ip, _)| *ip).collect();
    if his.is_empty() {
        // With few addresses on many nodes, some have none.
        return Ok(Vec::new());
    }
    let lan = site.world.lan(0)?;
    let sniffer = lan.sniff()?;
    let begun = Instant::now();
    if end == End::Crash {
        lan.set_cable(&nic, false)?;
    }
    let process = site.instances.get_mut(victim).context("no instance")?;
    match end {
        End::Crash | End::Kill => process.kill()?,
        End::Stop => process.process().signal(Signal::SIGSTOP)?,
    }
    let taken = wait_until("new owners", DEADLINE, || {
        let taken = claims(&sniffer, begun, nic.mac);
        Ok(his.iter().all(|ip| taken.contains_key(ip)).then_some(taken))
    })
    .with_context(|| format!("{end:?} of {name}, {his:?}\n{}", site.story()))?;
    if end == End::Crash {
        site.world.lan(0)?.set_cable(&nic, true)?;
    }
    let process = site.instances.get_mut(victim).context("no instance")?;
    match end {
        End::Crash | End::Kill => process.restart()?,
        End::Stop => {
            std::thread::sleep(SETTLE.saturating_sub(begun.elapsed()));
            process.process().signal(Signal::SIGCONT)?;
        }
    }
    let of_his = taken.into_iter().filter(|(ip, _)| his.contains(ip));
    Ok(of_his.map(|(_, after)| after).collect())
}

/// When each address was first claimed by another than `mac`.
fn claims(
    sniffer: &Sniffer,
    begun: Instant,
    mac: corten_lab::frame::Mac,
) -> BTreeMap<IpAddr, Duration> {
    let mut first = BTreeMap::new();
    for heard in sniffer.heard() {
        if heard.claim.mac != mac && heard.at >= begun {
            let after = heard.at.duration_since(begun);
            first.entry(heard.claim.ip).or_insert(after);
        }
    }
    first
}
