//! A node loses its power.

use crate::scene::{DEADLINE, NAMESPACE, addresses, on, page, rolled_out, wait_reached};
use anyhow::{Context, Result, ensure};
use corten_lab::full::Cluster;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use std::net::IpAddr;
use std::time::Instant;

pub(crate) const TRIALS: &[Trial] = &[
    ("a_node_without_power_is_replaced", || on(power)),
    ("nothing_was_refused", || on(permitted)),
];

fn power(cluster: &mut Cluster) -> Result<()> {
    let before = addresses(cluster.kubernetes.client())?;
    let all: Vec<IpAddr> = before.values().flatten().copied().collect();
    let first = *all.first().context("no address")?;
    let owner = cluster.owner(first)?.context("nobody owns it")?.number;
    let mut lost = Vec::new();
    for ip in &all {
        if cluster.owner(*ip)?.is_some_and(|n| n.number == owner) {
            lost.push(*ip);
        }
    }
    cluster.power_off(owner)?;
    let off = Instant::now();
    for ip in &lost {
        wait_until(&format!("another owner of {ip}"), DEADLINE, || {
            Ok(cluster.owner(*ip)?.map(drop))
        })?;
    }
    println!(
        "    {} addresses have another owner after {:.1?}",
        lost.len(),
        off.elapsed()
    );
    for ip in &all {
        wait_reached(cluster, *ip)?;
    }
    println!(
        "    every address was reached again after {:.1?}",
        off.elapsed()
    );
    // Once the pod that went with the node is no endpoint any more, no request is lost.
    wait_until("a hundred answers in a row", DEADLINE, || {
        let mut each = all.iter().cycle().take(100);
        Ok(each
            .all(|ip| page(&cluster.client, *ip, "/hostname").is_ok())
            .then_some(()))
    })?;
    cluster.power_on(owner)?;
    cluster.wait_ready(owner)?;
    cluster.node(owner)?.install_corten()?;
    rolled_out(cluster)?;
    let after = addresses(cluster.kubernetes.client())?;
    ensure!(after == before, "{after:?}, not {before:?}");
    for ip in &all {
        wait_reached(cluster, *ip)?;
    }
    Ok(())
}

/// Of all that the pods asked for under their accounts.
fn permitted(cluster: &mut Cluster) -> Result<()> {
    for account in ["metallb-controller", "metallb-speaker"] {
        let asked = cluster.kubernetes.requests(NAMESPACE, account)?;
        ensure!(
            asked.len() > 20,
            "{account} asked for {} things",
            asked.len()
        );
        let refused: Vec<_> = asked
            .iter()
            .filter(|r| r.code == 403 || r.code == 401)
            .collect();
        ensure!(refused.is_empty(), "{account}: {refused:?}");
    }
    Ok(())
}
