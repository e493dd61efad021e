//! `make demo`, whole and cut short.

use anyhow::{Context, Result, ensure};
use corten_lab::netns::Netns;
use corten_lab::process::{Process, runs};
use corten_lab::site::DEADLINE;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    ("demonstrating::it_ends_well", it_ends_well),
    (
        "demonstrating::ctrl_c_leaves_nothing_behind",
        ctrl_c_leaves_nothing_behind,
    ),
];

/// It takes seconds; more only where others want the processors too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A demo and the network namespace it was started in.
fn started() -> Result<(Netns, Process)> {
    let ns = Netns::new("outside")?;
    let demo = ns.spawn("demo", env!("CARGO_BIN_EXE_corten-demo"), &[])?;
    Ok((ns, demo))
}

/// Processes whose parent this is (proc(5): the fourth field of `stat`, behind the name).
fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let (Some(id), Ok(stat)) = (id, fs::read_to_string(path.join("stat"))) else {
            // Not a process, or one that has just ended.
            continue;
        };
        let rest = stat.rsplit(") ").next();
        let its = rest.and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if its == Some(parent) {
            found.push(id);
        }
    }
    Ok(found)
}

/// Names of the interfaces in a namespace.
fn links(ns: &Netns) -> Result<String> {
    ns.output("ip", &["-brief", "link"])
}

fn it_ends_well() -> Result<()> {
    let (_ns, mut demo) = started()?;
    let status = demo.wait(PATIENCE)?;
    let said = demo.log().join("\n");
    ensure!(status.success(), "{status}\n{said}");
    // What it says in the end was checked by itself.
    ensure!(said.contains("nothing is left behind"), "{said}");
    ensure!(!said.contains('\x1b'), "colours in a pipe: {said}");
    Ok(())
}

fn ctrl_c_leaves_nothing_behind() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let (ns, mut demo) = started()?;
    let before = links(&ns)?;
    wait_until("its third scene", PATIENCE, || {
        if let Some(status) = demo.ended()? {
            anyhow::bail!("it ended before: {status}");
        }
        let third = demo.log().iter().any(|line| line.starts_with("3. "));
        Ok(third.then_some(()))
    })
    .with_context(|| demo.log().join("\n"))?;
    let instances = children(demo.id())?;
    ensure!(instances.len() >= 3, "one on each node: {instances:?}");
    demo.signal(Signal::SIGINT)?;
    let status = demo.wait(DEADLINE)?;
    ensure!(status.signal() == Some(Signal::SIGINT as i32), "{status}");
    wait_until("the end of what it started", DEADLINE, || {
        Ok((!instances.iter().any(|id| runs(*id))).then_some(()))
    })?;
    ensure!(links(&ns)? == before, "{}", links(&ns)?);
    ensure!(fs::read_to_string("/proc/self/mountinfo")? == mounts);
    Ok(())
}
