//! Manifests and links change under the running daemons.

use crate::ip;
use anyhow::{Context, Result, ensure};
use corten_lab::manifests::Stack;
use corten_lab::site::{DEADLINE, Site, WINDOW};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "changing::a_pool_edited_moves_its_services",
        a_pool_edited_moves_its_services,
    ),
    (
        "changing::a_broken_pool_changes_nothing",
        a_broken_pool_changes_nothing,
    ),
    (
        "changing::a_vanished_directory_changes_nothing",
        a_vanished_directory_changes_nothing,
    ),
    (
        "changing::a_nic_that_comes_later_answers",
        a_nic_that_comes_later_answers,
    ),
    ("changing::a_cable_comes_back", a_cable_comes_back),
    ("changing::a_lossy_link_answers", a_lossy_link_answers),
    (
        "changing::a_paused_owner_comes_back",
        a_paused_owner_comes_back,
    ),
];

fn a_pool_edited_moves_its_services() -> Result<()> {
    let mut site = Site::with_services(1)?;
    let old = site.addresses()?;
    site.manifests
        .edit("config.yaml", "192.0.2.0/24", "198.51.100.0/24")?;
    let new = ip("198.51.100.0")?;
    site.wait_owners(0, &[new], |o| o[&new].len() == 1)?;
    // Whoever had the old one may read of it later than who has the new one.
    site.wait_owners(0, &old, |o| o.values().all(BTreeSet::is_empty))?;
    let status = site.allocator()?.status()?;
    ensure!(status.services[0].addresses == [new], "{status:?}");
    Ok(())
}

fn a_broken_pool_changes_nothing() -> Result<()> {
    let mut site = Site::with_services(6)?;
    let before = site.allocations()?;
    let addresses = site.addresses()?;
    // An object that breaks a rule, and a file that is no YAML.
    for (from, to, named) in [
        ("192.0.2.0/24", "192.0.2.0/99", "metallb-system/both"),
        ("kind: IPAddressPool", "kind: [IPAddressPool", "config.yaml"),
    ] {
        site.manifests.edit("config.yaml", from, to)?;
        let seen = site.allocator()?.wait_status("the rejection", |s| {
            (!s.rejections.is_empty()).then_some(s.rejections)
        })?;
        ensure!(seen.iter().any(|r| r.contains(named)), "{seen:?}");
        site.owners(0, &addresses)?;
        // Also right after a restart, with no last good version in memory.
        for instance in &mut site.instances {
            instance.restart()?;
            instance.wait_status("an answer", Some)?;
        }
        site.wait_owners(0, &addresses, |o| o.values().all(|m| m.len() == 1))?;
        ensure!(site.allocations()? == before, "{:?}", site.allocations()?);
        site.manifests.edit("config.yaml", to, from)?;
        site.allocator()?
            .wait_status("acceptance", |s| s.rejections.is_empty().then_some(()))?;
    }
    ensure!(site.allocations()? == before, "{:?}", site.allocations()?);
    Ok(())
}

fn a_vanished_directory_changes_nothing() -> Result<()> {
    let mut site = Site::with_services(3)?;
    let before = site.allocations()?;
    let addresses = site.addresses()?;
    let path = site.manifests.path().to_owned();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside)?;
    site.allocator()?.wait_status("the loss is told", |s| {
        (!s.rejections.is_empty() || !s.warnings.is_empty()).then_some(())
    })?;
    site.owners(0, &addresses)?;
    std::fs::rename(&aside, &path)?;
    site.write_service("later", Stack::V4, &[])?;
    site.allocator()?
        .wait_status("a Service written after its return", |s| {
            s.services
                .iter()
                .any(|s| s.service == "default/later" && !s.addresses.is_empty())
                .then_some(())
        })?;
    let after = site.allocations()?;
    ensure!(
        before.iter().all(|(k, v)| after.get(k) == Some(v)),
        "{after:?}"
    );
    Ok(())
}

fn a_nic_that_comes_later_answers() -> Result<()> {
    let mut site = Site::with_services(1)?;
    let address = site.addresses()?;
    let owner = site.owners(1, &address)?[&address[0]].name.clone();
    let index = site
        .world
        .nodes
        .iter()
        .position(|n| n.name == owner)
        .context("owner")?;
    let old = site.world.nodes[index].nics[1].clone();
    site.world.lan(1)?.remove(&old)?;
    site.wait_owners(1, &address, |o| o.values().all(BTreeSet::is_empty))?;
    site.owners(0, &address)?;
    site.world.add_nic(index, 1, "eth9", 59)?;
    let new = site.world.nodes[index].nics[2].mac;
    site.wait_owners(1, &address, |o| {
        o.values().all(|macs| *macs == BTreeSet::from([new]))
    })?;
    Ok(())
}

/// A link that lost its carrier and got it back tells the LAN again.
fn a_cable_comes_back() -> Result<()> {
    let site = Site::with_services(2)?;
    let addresses = site.addresses()?;
    let owners = site.owners(0, &addresses)?;
    let (ip, node) = owners.iter().next().context("an owner")?;
    let nic = &node.nics[0];
    site.world.lan(0)?.set_cable(nic, false)?;
    site.wait_owners(0, &[*ip], |o| o[ip].is_empty())?;
    site.owners(1, &[*ip])?;
    let sniffer = site.world.lan(0)?.sniff()?;
    site.world.lan(0)?.set_cable(nic, true)?;
    wait_until("a gratuitous frame", DEADLINE, || {
        let heard = sniffer.heard();
        let told = heard
            .iter()
            .any(|h| h.claim.ip == *ip && h.claim.mac == nic.mac);
        Ok(told.then_some(()))
    })
    .with_context(|| site.story())?;
    site.owners(0, &addresses)?;
    Ok(())
}

fn a_lossy_link_answers() -> Result<()> {
    let site = Site::with_services(3)?;
    let addresses = site.addresses()?;
    for node in &site.world.nodes {
        node.ns.set_loss("eth0", 30)?;
    }
    let mut owners = site.world.client(0)?.ask(&[], Duration::ZERO)?;
    wait_until("an answer for each", DEADLINE, || {
        for (ip, macs) in site.world.client(0)?.ask(&addresses, WINDOW)? {
            owners.entry(ip).or_default().extend(macs);
        }
        Ok(owners.values().all(|m| !m.is_empty()).then_some(()))
    })?;
    ensure!(owners.values().all(|m| m.len() == 1), "{owners:?}");
    Ok(())
}

/// A process that is stopped for a while goes on where it was; nobody else took over.
fn a_paused_owner_comes_back() -> Result<()> {
    let mut site = Site::with_services(3)?;
    let addresses = site.addresses()?;
    for instance in &mut site.instances {
        instance.process().signal(Signal::SIGSTOP)?;
    }
    let silent = site.world.client(0)?.ask(&addresses, WINDOW)?;
    ensure!(silent.values().all(BTreeSet::is_empty), "{silent:?}");
    for instance in &mut site.instances {
        instance.process().signal(Signal::SIGCONT)?;
    }
    site.wait_owners(0, &addresses, |o| o.values().all(|m| m.len() == 1))?;
    site.write_service("later", Stack::V4, &[])?;
    site.wait_announced()
}
