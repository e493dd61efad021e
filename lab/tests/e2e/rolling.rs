//! Upgrades, roll-outs and roll-backs under a client that never stops asking.

use crate::scene::{NAMESPACE, addresses, helm, on, repository, rolled_out};
use anyhow::{Context, Result, ensure};
use corten_lab::full::Cluster;
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[("upgrades_and_roll_outs_keep_addresses", || on(rolling))];

/// Time between two requests.
const INTERVAL: Duration = Duration::from_millis(20);

/// Requests that may be lost however few were made: one address that nobody answers for costs a
/// newcomer one in three seconds.
const FEW: usize = 10;

/// Does something while two machines ask every address in turn: a user's, and one that asks the LAN
/// each time who has the address. Every Service keeps its addresses, and at most this percentage of
/// each machine's requests is lost.
pub(crate) fn asking(
    cluster: &Cluster,
    what: &str,
    most: usize,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let client = cluster.kubernetes.client();
    let before = addresses(client)?;
    let targets: Vec<IpAddr> = before.values().flatten().copied().collect();
    let user = cluster.client.probe(&targets, INTERVAL);
    let newcomer = cluster.newcomer.probe_forgetting(&targets, INTERVAL);
    let done = work();
    let tallies = [("user", user.stop()?), ("newcomer", newcomer.stop()?)];
    done?;
    let after = addresses(client)?;
    ensure!(after == before, "{what}: {after:?}, not {before:?}");
    for (who, tally) in &tallies {
        println!(
            "    {what}, {who}: {} requests, {} late, the slowest took {:.1?}, lost {} {:?}",
            tally.sent,
            tally.slow.len(),
            tally.slowest,
            tally.lost.len(),
            tally.lost
        );
    }
    for (who, tally) in tallies {
        ensure!(
            tally.lost.len() <= FEW.max(tally.sent * most / 100),
            "{what}, {who}: {} of {} lost: {:?}",
            tally.lost.len(),
            tally.sent,
            tally.lost
        );
    }
    Ok(())
}

/// The level speakers log at.
fn level(cluster: &Cluster) -> Result<String> {
    let client = cluster.kubernetes.client();
    let set = client.get(Kind::DaemonSet, NAMESPACE, "metallb-speaker")?;
    let set = set.context("no speakers")?;
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"].as_array();
    let mut texts = args.into_iter().flatten().filter_map(|a| a.as_str());
    let found = texts.find_map(|a| a.strip_prefix("--log-level="));
    Ok(found.context("no level")?.to_owned())
}

fn rolling(cluster: &mut Cluster) -> Result<()> {
    let chart = repository("charts/corten").display().to_string();
    let changes = "controller.logLevel=debug,speaker.logLevel=debug,\
                   speaker.memberlist.detector=conservative,\
                   speaker.readinessProbe.initialDelaySeconds=1,\
                   speaker.readinessProbe.periodSeconds=2";
    asking(cluster, "helm upgrade with other values", 2, || {
        helm(cluster, &["upgrade", "metallb", &chart, "--set", changes])?;
        rolled_out(cluster)
    })?;
    ensure!(level(cluster)? == "debug", "{}", level(cluster)?);
    let set = "daemonset/metallb-speaker";
    asking(cluster, "roll-out of the speakers", 2, || {
        let restart = ["rollout", "restart", set, "-n", NAMESPACE];
        cluster.kubernetes.kubectl(&restart)?;
        rolled_out(cluster)
    })?;
    asking(cluster, "helm rollback", 2, || {
        helm(cluster, &["rollback", "metallb"])?;
        rolled_out(cluster)
    })?;
    ensure!(level(cluster)? == "info", "{}", level(cluster)?);
    Ok(())
}
