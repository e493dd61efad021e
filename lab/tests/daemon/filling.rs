//! Disks that are full or read-only: what is on record stays announced, what is new waits.

use crate::small;
use anyhow::{Context, Result, ensure};
use corten_lab::corten::Corten;
use corten_lab::disk::Disk;
use corten_lab::manifests::{self, Stack, state_directory};
use corten_lab::site::{DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use std::net::IpAddr;
use std::path::Path;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "filling::a_full_manifest_disk_holds_back_what_is_new",
        a_full_manifest_disk_holds_back_what_is_new,
    ),
    (
        "filling::a_full_state_disk_holds_back_nothing",
        a_full_state_disk_holds_back_nothing,
    ),
    (
        "filling::a_start_on_full_disks_announces",
        a_start_on_full_disks_announces,
    ),
    (
        "filling::a_restart_without_a_socket_announces",
        a_restart_without_a_socket_announces,
    ),
    (
        "filling::read_only_disks_hold_back_what_is_new",
        read_only_disks_hold_back_what_is_new,
    ),
    (
        "filling::a_start_on_a_read_only_disk_is_refused",
        a_start_on_a_read_only_disk_is_refused,
    ),
];

const LEDGER: &str = "corten.allocations.yaml";
const COPY: &str = "allocations.yaml";
const FULL: &str = "No space left on device";
const READ_ONLY: &str = "Read-only file system";

/// One page each.
fn service(name: &str) -> String {
    manifests::service(name, Stack::V4, &[], &["node1"])
}

fn address(instance: &mut Corten, service: &str) -> Result<IpAddr> {
    instance.wait_status("an address", |s| {
        let found = s.services.into_iter().find(|s| s.service == service)?;
        found
            .announced
            .then(|| found.addresses.first().copied())
            .flatten()
    })
}

/// The log must name each of `files` with `cause` exactly once, and nothing else.
fn named_once(instance: &mut Corten, cause: &str, files: &[&Path]) -> Result<()> {
    for file in files {
        named_once_of(instance, cause, file)?;
    }
    let log = instance.process().log();
    let said: Vec<_> = log.iter().filter(|l| l.contains(cause)).collect();
    ensure!(said.len() == files.len(), "{said:#?}");
    Ok(())
}

fn named_once_of(instance: &mut Corten, cause: &str, file: &Path) -> Result<()> {
    let name = file.display().to_string();
    let log = instance.process().log();
    let said = log.iter().filter(|l| l.contains(cause));
    let times: usize = said.map(|l| l.matches(&name).count()).sum();
    ensure!(times == 1, "{name} is named {times} times: {log:#?}");
    Ok(())
}

/// Has it look at everything a few times, as it does every second by itself.
fn look_again(instance: &mut Corten) -> Result<()> {
    let log = instance.process().log();
    let before = log.iter().filter(|l| l.contains("SIGHUP")).count();
    for i in before + 1..=before + 5 {
        // One that comes before the look that is called for already adds nothing.
        wait_until("a reload", DEADLINE, || {
            instance.process().signal(Signal::SIGHUP)?;
            let log = instance.process().log();
            let said = log.iter().filter(|l| l.contains("SIGHUP")).count();
            Ok((said >= i).then_some(()))
        })?;
        instance.status()?;
    }
    Ok(())
}

fn a_full_manifest_disk_holds_back_what_is_new() -> Result<()> {
    let mut site = small()?;
    let disk = Disk::under(site.manifests.path(), 64)?;
    disk.write("web1.yaml", &service("web1"))?;
    site.start(&[])?;
    site.wait_announced()?;
    let web1 = site.addresses()?;
    let ledger = site.manifests.path().join(LEDGER);
    let before = site.manifests.read(LEDGER)?;
    // Room for the manifests, none for a ledger.
    disk.fill_but(2)?;
    for name in ["web2", "web3"] {
        disk.write(&format!("{name}.yaml"), &service(name))?;
    }
    for killed in [false, true, true] {
        let instance = site.allocator()?;
        if killed {
            instance.kill()?;
            ensure!(std::fs::read_to_string(&ledger)? == before);
            instance.restart()?;
        }
        let status = instance.wait_status("the cause", |s| {
            let said = s.rejections.iter().any(|r| r.contains(FULL));
            (said && s.services.len() == 3).then_some(s)
        })?;
        for s in &status.services {
            let old = s.service == "default/web1";
            ensure!(s.announced == old && s.addresses.is_empty() != old, "{s:?}");
        }
        look_again(instance)?;
        named_once(instance, FULL, &[&ledger])?;
        site.wait_owners(0, &web1, |o| o.values().all(|m| m.len() == 1))?;
    }
    ensure!(site.manifests.read(LEDGER)? == before, "the ledger changed");
    disk.make_room()?;
    let instance = site.allocator()?;
    address(instance, "default/web2")?;
    address(instance, "default/web3")?;
    instance.wait_status("acceptance", |s| s.rejections.is_empty().then_some(()))?;
    site.wait_announced()?;
    ensure!(site.allocations()?["default/web1"] == web1);
    let after = site.manifests.read(LEDGER)?;
    ensure!(after.contains("default/web3"), "{after}");
    Ok(())
}

/// A site of one host whose state directory is a disk of its own.
fn on_state_disk(site: &Site, pages: u64) -> Result<(Corten, Disk)> {
    let state = state_directory("node1")?;
    let disk = Disk::under(state.path(), pages)?;
    let node = site.world.node(0)?;
    let options = ["--allocate"];
    let instance = Corten::start_on(node, site.manifests.path(), state, &options)?;
    Ok((instance, disk))
}

fn a_full_state_disk_holds_back_nothing() -> Result<()> {
    let mut site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    let (mut instance, disk) = on_state_disk(&site, 64)?;
    let web1 = address(&mut instance, "default/web1")?;
    let status = instance.state().join("status/layer2.yaml");
    wait_until("the status files", DEADLINE, || {
        Ok(std::fs::read_to_string(&status)
            .ok()
            .filter(|s| s.contains("web1")))
    })?;
    let copy = instance.state().join(COPY);
    disk.fill_but(0)?;
    site.manifests.write("web2.yaml", &service("web2"))?;
    let web2 = address(&mut instance, "default/web2")?;
    let files = [copy.clone(), instance.state().join("status/services.yaml")];
    wait_until("the causes", DEADLINE, || {
        let log = instance.process().log();
        Ok((log.iter().filter(|l| l.contains(FULL)).count() >= 2).then_some(()))
    })
    .with_context(|| instance.story())?;
    look_again(&mut instance)?;
    named_once(&mut instance, FULL, &[&files[0], &files[1]])?;
    site.wait_owners(0, &[web1, web2], |o| o.values().all(|m| m.len() == 1))?;
    // Nothing else happens, and yet both are written.
    disk.make_room()?;
    wait_until("the copy and the status files", DEADLINE, || {
        let written = |p: &Path| std::fs::read_to_string(p).is_ok_and(|t| t.contains("web2"));
        let done = written(&copy) && written(&files[1]) && written(&status);
        Ok(done.then_some(()))
    })
    .with_context(|| instance.story())?;
    ensure!(std::fs::read(&copy)? == std::fs::read(site.manifests.path().join(LEDGER))?);
    site.instances.push(instance);
    Ok(())
}

fn a_start_on_full_disks_announces() -> Result<()> {
    let mut site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    // Two allocators, one after the other, neither knowing of the other's ledger.
    let mut ledgers = Vec::new();
    for _ in 0..2 {
        let node = site.world.node(0)?;
        let mut instance = Corten::start(node, site.manifests.path(), &["--allocate"])?;
        let web1 = address(&mut instance, "default/web1")?;
        ensure!(instance.stop()?.success());
        ledgers.push((web1, site.manifests.read(LEDGER)?));
        site.manifests.remove(LEDGER)?;
    }
    let [(_, other), (web1, used)] = ledgers.as_slice() else {
        anyhow::bail!("two ledgers");
    };
    site.manifests.write(LEDGER, used)?;
    let manifests = Disk::under(site.manifests.path(), 64)?;
    manifests.fill_but(0)?;
    let (mut instance, _disk) = {
        let state = state_directory("node1")?;
        let disk = Disk::under(state.path(), 64)?;
        disk.fill_but(0)?;
        let node = site.world.node(0)?;
        let options = ["--allocate"];
        let instance = Corten::start_on(node, site.manifests.path(), state, &options)?;
        (instance, disk)
    };
    ensure!(address(&mut instance, "default/web1")? == *web1);
    look_again(&mut instance)?;
    let copy = instance.state().join(COPY);
    named_once_of(&mut instance, FULL, &copy)?;
    ensure!(!copy.exists());
    // Another ledger isn't accepted because there is no copy of this one yet.
    manifests.make_room()?;
    site.manifests.write(LEDGER, other)?;
    instance.wait_status("a refusal", |s| {
        let refused = s.rejections.iter().any(|r| r.contains("this is ledger"));
        refused.then_some(())
    })?;
    ensure!(address(&mut instance, "default/web1")? == *web1);
    site.wait_owners(0, &[*web1], |o| o.values().all(|m| m.len() == 1))?;
    site.instances.push(instance);
    Ok(())
}

/// Not even the control socket can be made, and the LAN is answered all the same.
fn a_restart_without_a_socket_announces() -> Result<()> {
    let site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    let (mut instance, disk) = on_state_disk(&site, 64)?;
    let web1 = address(&mut instance, "default/web1")?;
    ensure!(instance.stop()?.success());
    disk.use_up_names()?;
    instance.restart()?;
    site.wait_owners(0, &[web1], |o| o.values().all(|m| m.len() == 1))
        .with_context(|| instance.story())?;
    let socket = instance.state().join("corten.sock");
    wait_until("the cause", DEADLINE, || {
        let log = instance.process().log();
        Ok(log.iter().any(|l| l.contains(FULL)).then_some(()))
    })
    .with_context(|| instance.story())?;
    named_once_of(&mut instance, FULL, &socket)?;
    ensure!(instance.status().is_err());
    disk.make_room()?;
    ensure!(address(&mut instance, "default/web1")? == web1);
    Ok(())
}

fn read_only_disks_hold_back_what_is_new() -> Result<()> {
    let site = small()?;
    let mut manifests = Disk::under(site.manifests.path(), 64)?;
    manifests.write("web1.yaml", &service("web1"))?;
    let (mut instance, mut state) = on_state_disk(&site, 64)?;
    let web1 = address(&mut instance, "default/web1")?;
    let ledger = site.manifests.path().join(LEDGER);
    manifests.make_read_only()?;
    state.make_read_only()?;
    manifests.write("web2.yaml", &service("web2"))?;
    instance.wait_status("the cause", |s| {
        let said = s.rejections.iter().any(|r| r.contains(READ_ONLY));
        (said && s.services.len() == 2).then_some(())
    })?;
    look_again(&mut instance)?;
    named_once_of(&mut instance, READ_ONLY, &ledger)?;
    site.wait_owners(0, &[web1], |o| o.values().all(|m| m.len() == 1))?;
    manifests.make_writable()?;
    let web2 = address(&mut instance, "default/web2")?;
    ensure!(std::fs::read_to_string(&ledger)?.contains("web2"));
    site.wait_owners(0, &[web1, web2], |o| o.values().all(|m| m.len() == 1))?;
    state.make_writable()?;
    let copy = instance.state().join(COPY);
    wait_until("the copy", DEADLINE, || {
        // There may be none yet: the disk was read-only soon.
        let text = std::fs::read_to_string(&copy);
        Ok(text.is_ok_and(|t| t.contains("web2")).then_some(()))
    })
    .with_context(|| instance.story())?;
    ensure!(instance.stop()?.success());
    Ok(())
}

fn a_start_on_a_read_only_disk_is_refused() -> Result<()> {
    let site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    let node = site.world.node(0)?;
    let state = state_directory("node1")?;
    let mut disk = Disk::under(state.path(), 64)?;
    disk.make_read_only()?;
    let words = [state.path().display().to_string(), READ_ONLY.to_owned()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    crate::ledgers::refused(node, site.manifests.path(), state.path(), &[], &words)?;
    disk.make_writable()?;
    let mut manifests = Disk::under(site.manifests.path(), 64)?;
    manifests.make_read_only()?;
    let words = [
        site.manifests.path().display().to_string(),
        READ_ONLY.to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let allocate = ["--allocate"];
    crate::ledgers::refused(node, site.manifests.path(), state.path(), &allocate, &words)?;
    // Who only follows needs to write nothing there.
    let mut follower = Corten::start(node, site.manifests.path(), &[])?;
    follower.wait_ready()?;
    Ok(())
}
