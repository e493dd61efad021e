//! One allocator, one ledger; anything else is refused by name.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::{Corten, run_arguments};
use corten_lab::manifests::{Manifests, Stack, state_directory};
use corten_lab::site::{self, DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::world::{Node, Plan};
use std::path::Path;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "ledgers::copies_follow_one_allocator",
        copies_follow_one_allocator,
    ),
    (
        "ledgers::a_second_ledger_is_refused_by_name",
        a_second_ledger_is_refused_by_name,
    ),
    (
        "ledgers::a_second_allocator_is_told_who_holds_it",
        a_second_allocator_is_told_who_holds_it,
    ),
    (
        "ledgers::one_instance_a_state_directory",
        one_instance_a_state_directory,
    ),
];

const LEDGER: &str = "corten.allocations.yaml";

fn prepared() -> Result<Site> {
    let site = Site::new(&Plan::default())?;
    site.manifests.write("config.yaml", &site::basics())?;
    for i in 1..=4 {
        site.write_service(&format!("web{i}"), Stack::V4, &[])?;
    }
    Ok(site)
}

fn allocated(
    instance: &mut Corten,
) -> Result<std::collections::BTreeMap<String, Vec<std::net::IpAddr>>> {
    instance.wait_status("an address for every Service", |s| {
        let all = site::addresses(&s);
        (!all.is_empty() && all.values().all(|a| !a.is_empty())).then_some(all)
    })
}

/// Hosts that hold copies of the directory agree once they hold the same ledger.
fn copies_follow_one_allocator() -> Result<()> {
    let mut site = prepared()?;
    let copies = [site.manifests.copy()?, site.manifests.copy()?];
    let first = Corten::start(site.world.node(0)?, site.manifests.path(), &["--allocate"])?;
    site.instances.push(first);
    let given = allocated(site.allocator()?)?;
    for (copy, i) in copies.iter().zip(1..) {
        let instance = Corten::start(site.world.node(i)?, copy.path(), &[])?;
        site.instances.push(instance);
    }
    // Without the ledger a host announces nothing: it must not guess.
    let waiting = site.instances[1].wait_ready()?;
    ensure!(
        waiting
            .services
            .iter()
            .all(|s| !s.announced && s.addresses.is_empty()),
        "{waiting:?}"
    );
    for copy in &copies {
        copy.write(LEDGER, &site.manifests.read(LEDGER)?)?;
    }
    for instance in &mut site.instances {
        ensure!(allocated(instance)? == given, "{}", instance.story());
    }
    let addresses: Vec<_> = given.into_values().flatten().collect();
    site.wait_owners(0, &addresses, |o| o.values().all(|m| m.len() == 1))?;
    Ok(())
}

/// Three hosts with copies, two of them wrongly allocating: the third uses the ledger it knows,
/// and names the other.
fn a_second_ledger_is_refused_by_name() -> Result<()> {
    let site = prepared()?;
    let copies: Vec<Manifests> = (0..3)
        .map(|_| site.manifests.copy())
        .collect::<Result<_>>()?;
    // The wrong one knows one Service more, so that its addresses differ.
    copies[1].write(
        "a.yaml",
        &corten_lab::manifests::service("a", Stack::V4, &[], &["node1"]),
    )?;
    let start =
        |i: usize, options: &[&str]| Corten::start(site.world.node(i)?, copies[i].path(), options);
    let mut right = start(0, &["--allocate"])?;
    let mut wrong = start(1, &["--allocate"])?;
    let mut reader = start(2, &[])?;
    let given = allocated(&mut right)?;
    allocated(&mut wrong)?;
    copies[2].write(LEDGER, &copies[0].read(LEDGER)?)?;
    ensure!(allocated(&mut reader)? == given, "{}", reader.story());

    copies[2].write(LEDGER, &copies[1].read(LEDGER)?)?;
    let said = reader.wait_status("the refusal", |s| {
        let found = s.rejections.into_iter().find(|r| r.contains(LEDGER));
        found.map(|r| (r, s.services))
    })?;
    ensure!(
        said.0.contains("node2") && said.0.contains("node1"),
        "{}",
        said.0
    );
    for s in &said.1 {
        ensure!(given.get(&s.service) == Some(&s.addresses), "{s:?}");
    }
    // A restart doesn't forget which ledger was in use.
    reader.restart()?;
    ensure!(allocated(&mut reader)? == given, "{}", reader.story());
    // Nor does an allocator take another's.
    copies[0].write(LEDGER, &copies[1].read(LEDGER)?)?;
    right.wait_status("the refusal by the allocator", |s| {
        s.rejections
            .iter()
            .any(|r| r.contains("node2"))
            .then_some(())
    })?;
    ensure!(allocated(&mut right)? == given, "{}", right.story());
    Ok(())
}

/// Starts one more, which must end with an error that contains `words`.
pub(crate) fn refused(
    node: &Node,
    manifests: &Path,
    state: &Path,
    flags: &[&str],
    words: &[&str],
) -> Result<()> {
    let mut args = run_arguments(&node.name, manifests, state);
    args.extend(flags.iter().map(ToString::to_string));
    let program = corten_lab::corten::binary()?.display().to_string();
    let mut second = node.ns.spawn("second", &program, &args)?;
    let status = second.wait(DEADLINE)?;
    let said = second.log().join("\n");
    ensure!(!status.success(), "{said}");
    for word in words {
        ensure!(said.contains(word), "{word:?} is not in {said:?}");
    }
    Ok(())
}

fn a_second_allocator_is_told_who_holds_it() -> Result<()> {
    let site = Site::with_services(1)?;
    let state = state_directory("second")?;
    refused(
        site.world.node(1)?,
        site.manifests.path(),
        state.path(),
        &["--allocate", "--metrics", "off"],
        &["corten.allocator.lock", "node1"],
    )
}

fn one_instance_a_state_directory() -> Result<()> {
    let site = Site::with_services(1)?;
    let first = site.instances.get(1).context("an instance")?;
    let state = first.state().to_owned();
    refused(
        site.world.node(1)?,
        site.manifests.path(),
        &state,
        &["--metrics", "off"],
        &[&state.display().to_string(), "held by", "node2"],
    )?;
    first.status()?;
    Ok(())
}
