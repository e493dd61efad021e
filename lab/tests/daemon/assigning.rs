//! `--assign`: the kernel owns a won address, and loses it even if nobody takes it away.

use anyhow::{Context, Result, ensure};
use corten_lab::http::Server;
use corten_lab::manifests::Stack;
use corten_lab::netns::Netns;
use corten_lab::site::{DEADLINE, Site, WINDOW};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::Plan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "assigning::won_addresses_are_on_lo",
        won_addresses_are_on_lo,
    ),
    ("assigning::they_go_after_sigkill", they_go_after_sigkill),
    ("assigning::they_go_with_sigterm", they_go_with_sigterm),
];

/// The valid lifetime of an assigned address, and what the kernel's timers may add.
const LIFETIME: Duration = Duration::from_secs(12);

fn assigned() -> Result<Site> {
    let mut site = Site::new(&Plan::default())?;
    site.manifests
        .write("config.yaml", &corten_lab::site::basics())?;
    for (name, stack) in [("a", Stack::Dual), ("b", Stack::Dual), ("c", Stack::Dual)] {
        site.write_service(name, stack, &[])?;
    }
    site.start(&["--assign"])?;
    site.wait_announced()?;
    Ok(site)
}

/// Addresses on `lo` beside the usual, with what the kernel says about each.
pub(crate) fn on_lo(ns: &Netns) -> Result<BTreeMap<IpAddr, Value>> {
    let text = ns.output("ip", &["-json", "addr", "show", "dev", "lo"])?;
    let links: Vec<Value> = serde_json::from_str(&text)?;
    let mut found = BTreeMap::new();
    for a in links
        .iter()
        .filter_map(|l| l.get("addr_info")?.as_array())
        .flatten()
    {
        let ip: IpAddr = a["local"].as_str().context("local")?.parse()?;
        if !ip.is_loopback() {
            found.insert(ip, a.clone());
        }
    }
    Ok(found)
}

fn won_addresses_are_on_lo() -> Result<()> {
    let site = assigned()?;
    let addresses = site.addresses()?;
    let owners = site.owners(0, &addresses)?;
    for node in &site.world.nodes {
        let want: BTreeSet<IpAddr> = owners
            .iter()
            .filter(|(_, n)| n.name == node.name)
            .map(|(ip, _)| *ip)
            .collect();
        let have = wait_until("the addresses on lo", DEADLINE, || {
            let have = on_lo(&node.ns)?;
            Ok(have.keys().eq(want.iter()).then_some(have))
        })
        .with_context(|| format!("{want:?} on {}\n{}", node.name, site.story()))?;
        for (ip, info) in have {
            let whole = if ip.is_ipv4() { 32 } else { 128 };
            ensure!(info["prefixlen"] == whole, "{info}");
            ensure!(info["preferred_life_time"] == 0, "never a source: {info}");
            let valid = info["valid_life_time"].as_u64().context("lifetime")?;
            ensure!(valid <= LIFETIME.as_secs(), "{info}");
        }
        // Not by the pods: the node itself is asked now.
        let _server = Server::start(&node.ns, 80, &site.world.names)?;
        for ip in &want {
            site.world.client(0)?.get(*ip, DEADLINE)?;
        }
    }
    Ok(())
}

fn they_go_after_sigkill() -> Result<()> {
    let mut site = assigned()?;
    let addresses = site.addresses()?;
    // Longer than a lifetime: they are renewed.
    let start = Instant::now();
    wait_until("a lifetime", LIFETIME * 2, || {
        let now: usize = site
            .world
            .nodes
            .iter()
            .map(|n| Ok(on_lo(&n.ns)?.len()))
            .sum::<Result<usize>>()?;
        ensure!(
            now == addresses.len(),
            "{now} of {} on lo\n{}",
            addresses.len(),
            site.story()
        );
        Ok((start.elapsed() > LIFETIME).then_some(()))
    })?;
    for instance in &mut site.instances {
        instance.kill()?;
    }
    // The kernel has them still, but doesn't answer for them.
    let answers = site.world.client(0)?.ask(&addresses, WINDOW)?;
    ensure!(answers.values().all(BTreeSet::is_empty), "{answers:?}");
    for node in &site.world.nodes {
        // What is left of a lifetime was checked; when the kernel's timers run is its affair.
        wait_until("an empty lo", DEADLINE, || {
            Ok(on_lo(&node.ns)?.is_empty().then_some(()))
        })?;
    }
    Ok(())
}

fn they_go_with_sigterm() -> Result<()> {
    let mut site = assigned()?;
    for instance in &mut site.instances {
        let status = instance.stop()?;
        ensure!(status.success(), "{status}\n{}", instance.story());
    }
    for node in &site.world.nodes {
        let left = on_lo(&node.ns)?;
        ensure!(left.is_empty(), "{}: {left:?}", node.name);
        let rules = node.ns.output("nft", &["list", "ruleset"])?;
        ensure!(!rules.contains("corten"), "{rules}");
    }
    Ok(())
}
