//! A stranger on the LAN has one of our addresses.

use crate::ip;
use anyhow::{Result, ensure};
use corten_lab::corten::Conflict;
use corten_lab::manifests::{self, Stack};
use corten_lab::site::{self, DEADLINE, Site, WINDOW};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "conflicting::a_stranger_is_reported",
        a_stranger_is_reported,
    ),
    (
        "conflicting::a_latecomer_is_reported",
        a_latecomer_is_reported,
    ),
    ("conflicting::withhold_withholds", withhold_withholds),
];

const TAKEN: [&str; 2] = ["192.0.2.77", "2001:db8:1::77"];

fn started(policy: Option<&str>) -> Result<Site> {
    let mut site = Site::new(&corten_lab::world::Plan::default())?;
    let mut config = site::basics();
    if let Some(policy) = policy {
        config +=
            &manifests::advertisement("everything", &[("corten.io/address-conflict", policy)], &[]);
        let plain = manifests::advertisement("everything", &[], &[]);
        config = config.replacen(&plain, "", 1);
    }
    site.manifests.write("config.yaml", &config)?;
    site.start(&[])?;
    Ok(site)
}

fn pinned(site: &Site) -> Result<()> {
    let both = TAKEN.join(",");
    site.write_service("web", Stack::Dual, &[("metallb.io/loadBalancerIPs", &both)])
}

/// Waits until an instance reports the stranger for every address.
fn reported(site: &Site, mac: &str) -> Result<Vec<Conflict>> {
    let wanted: BTreeSet<IpAddr> = TAKEN.iter().map(|a| ip(a)).collect::<Result<_>>()?;
    wait_until("the reports", DEADLINE, || {
        let all = site.instances.iter().filter_map(|i| i.status().ok());
        let found: Vec<Conflict> = all
            .flat_map(|s| s.conflicts)
            .filter(|c| c.mac == mac)
            .collect();
        let seen: BTreeSet<IpAddr> = found.iter().map(|c| c.ip).collect();
        Ok((seen == wanted).then_some(found))
    })
    .map_err(|e| e.context(site.story()))
}

fn a_stranger_is_reported() -> Result<()> {
    let mut site = started(None)?;
    let (_stranger, nic) = site.world.stranger(
        0,
        201,
        &[&format!("{}/32", TAKEN[0]), &format!("{}/128", TAKEN[1])],
    )?;
    pinned(&site)?;
    for conflict in reported(&site, &nic.mac.to_string())? {
        ensure!(conflict.interface == "eth0", "{conflict:?}");
    }
    // Reporting delays nothing: the other LAN has one owner, this one two.
    let addresses = [ip(TAKEN[0])?, ip(TAKEN[1])?];
    site.wait_owners(1, &addresses, |o| o.values().all(|m| m.len() == 1))?;
    site.wait_owners(0, &addresses, |o| {
        o.values().all(|m| m.len() == 2 && m.contains(&nic.mac))
    })?;
    let owner = site.owners(1, &addresses)?[&addresses[0]].name.clone();
    let text = site.instance(&owner)?.explain("default/web")?;
    ensure!(
        text.contains(&nic.mac.to_string()) && text.contains("eth0"),
        "{text}"
    );
    Ok(())
}

fn a_latecomer_is_reported() -> Result<()> {
    let mut site = started(None)?;
    pinned(&site)?;
    site.wait_announced()?;
    let (stranger, nic) = site.world.stranger(
        0,
        201,
        &[&format!("{}/32", TAKEN[0]), &format!("{}/128", TAKEN[1])],
    )?;
    // What a host says when it gets its address: nothing else gives it away.
    stranger.run(|| {
        let socket = corten_lab::raw::RawSocket::on("eth0")?;
        let v4 = TAKEN[0].parse()?;
        socket.send(&corten_lab::frame::arp_request(nic.mac, v4, v4))?;
        socket.send(&corten_lab::frame::advertisement(
            nic.mac,
            TAKEN[1].parse()?,
        ))
    })?;
    reported(&site, &nic.mac.to_string())?;
    Ok(())
}

fn withhold_withholds() -> Result<()> {
    let site = started(Some("withhold"))?;
    let (_stranger, nic) = site.world.stranger(
        0,
        201,
        &[&format!("{}/32", TAKEN[0]), &format!("{}/128", TAKEN[1])],
    )?;
    pinned(&site)?;
    reported(&site, &nic.mac.to_string())?;
    let addresses = [ip(TAKEN[0])?, ip(TAKEN[1])?];
    site.wait_owners(1, &addresses, |o| o.values().all(BTreeSet::is_empty))?;
    let red = site.world.client(0)?.ask(&addresses, WINDOW)?;
    for (ip, macs) in red {
        ensure!(macs == BTreeSet::from([nic.mac]), "{ip}: {macs:?}");
    }
    Ok(())
}
