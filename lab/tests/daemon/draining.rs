//! A drained node hands its addresses over; nobody notices.

use anyhow::{Context, Result, ensure};
use corten_lab::site::{self, HAND_OVER, Site};
use corten_lab::trial::Trial;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    ("draining::loses_no_request", loses_no_request),
    ("draining::comes_back", comes_back),
    ("draining::everyone_leaves_nobody", everyone_leaves_nobody),
];

fn loses_no_request() -> Result<()> {
    let site = Site::with_services(9)?;
    let addresses = site.addresses()?;
    let owned = site.owners(0, &addresses)?;
    let node = *owned.values().next().context("an owner")?;
    let theirs: Vec<IpAddr> = addresses
        .iter()
        .filter(|ip| owned[ip].name == node.name)
        .copied()
        .collect();
    let macs: Vec<_> = node.nics.iter().map(|n| n.mac).collect();
    let sniffers = site.sniff()?;
    let probers: Vec<_> = site
        .world
        .clients
        .iter()
        .map(|c| c.probe(&addresses, Duration::from_millis(1)))
        .collect();
    for client in &site.world.clients {
        for ip in &addresses {
            client.get(*ip, site::DEADLINE)?;
        }
    }
    site.drain(&node.name)?;
    for lan in 0..site.world.lans.len() {
        site.wait_owners(lan, &addresses, |owners| {
            owners
                .values()
                .all(|m| m.len() == 1 && m.iter().all(|mac| !macs.contains(mac)))
        })?;
    }
    for prober in probers {
        let tally = prober.stop()?;
        ensure!(
            tally.sent > addresses.len() && tally.lost.is_empty() && tally.slow.is_empty(),
            "{tally:?}\n{}",
            site.story()
        );
    }
    let moves = site::only_from(&sniffers, &addresses, &macs)?;
    ensure!(
        moves.len() == theirs.len() * site.world.lans.len(),
        "each of {theirs:?} moved once a LAN: {moves:?}"
    );
    for m in moves {
        ensure!(m.overlap <= HAND_OVER, "{m:?}");
    }
    Ok(())
}

fn comes_back() -> Result<()> {
    let site = Site::with_services(6)?;
    let addresses = site.addresses()?;
    let name = |owners: std::collections::BTreeMap<IpAddr, &corten_lab::world::Node>| {
        owners
            .into_iter()
            .map(|(ip, n)| (ip, n.name.clone()))
            .collect::<Vec<_>>()
    };
    let before = name(site.owners(0, &addresses)?);
    let node = before.first().context("an owner")?.1.clone();
    let theirs = |mac| site.world.node_of(mac).is_some_and(|n| n.name == node);
    site.drain(&node)?;
    site.wait_owners(0, &addresses, |o| {
        o.values()
            .all(|macs| macs.len() == 1 && !macs.iter().any(|m| theirs(*m)))
    })?;
    site.undrain(&node)?;
    // Each comes back, whatever it takes, and the same is on the other LAN.
    for lan in 0..site.world.lans.len() {
        site.wait_owners(lan, &addresses, |o| {
            before.iter().all(|(ip, node)| {
                let owner = site.world.owner(o, *ip);
                owner.is_ok_and(|owner| owner.name == *node)
            })
        })?;
    }
    Ok(())
}

/// With every node excluded, no node is a candidate; "none" must not become "any".
fn everyone_leaves_nobody() -> Result<()> {
    let site = Site::with_services(3)?;
    let addresses = site.addresses()?;
    for node in &site.world.nodes {
        site.drain(&node.name)?;
    }
    site.wait_owners(0, &addresses, |o| {
        o.values().all(std::collections::BTreeSet::is_empty)
    })?;
    Ok(())
}
