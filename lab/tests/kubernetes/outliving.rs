//! The API server and its storage gone, for a while and in the middle of work.

use crate::announcing::{Membership, Site};
use crate::objects::{endpoints, service};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[(
    "an_outage_under_load_loses_nothing",
    an_outage_under_load_loses_nothing,
)];

/// Services there are before the load.
const COUNT: usize = 6;
/// Most Services the load makes.
const MOST: usize = 60;
/// How often the load tries again.
const PACE: Duration = Duration::from_millis(50);

/// What makes and changes Services, whether or not anybody takes them.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    made: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    fn run(&self, client: &Client, nodes: &[&str]) {
        let mut next = 0;
        let mut turn = 0;
        while !self.stop.load(Ordering::Relaxed) {
            turn += 1;
            let name = format!("load{next}");
            let objects = service(&name, "", "") + &endpoints(&name, nodes);
            let old = format!("load{}", next / 2);
            let label = json!({"metadata": {"labels": {"turn": turn.to_string()}}});
            let made = next < MOST && client.apply(&objects).is_ok();
            let changed = client.patch(Kind::Service, "default", &old, label).is_ok();
            if made {
                next += 1;
                self.made.store(next, Ordering::Relaxed);
            }
            if !changed {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(PACE);
        }
    }

    fn wait(&self, what: &str, counter: &AtomicUsize, least: usize) -> Result<()> {
        wait_until(what, crate::setup::DEADLINE, || {
            Ok((counter.load(Ordering::Relaxed) >= least).then_some(()))
        })
    }
}

fn an_outage_under_load_loses_nothing() -> Result<()> {
    let seconds = match std::env::var("CORTEN_OUTAGE") {
        Ok(seconds) => seconds.parse().context("CORTEN_OUTAGE")?,
        Err(_) => 20,
    };
    // Without membership who announces depends on the objects alone: only they can move anything.
    let mut site = Site::with_services(COUNT, Membership::Off)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    let owners = site.wait_owned(&ips)?;
    let client = site.cluster().another_client()?;
    let nodes: Vec<String> = site.world().nodes.iter().map(|n| n.name.clone()).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let load = Load::default();
    thread::scope(|scope| {
        scope.spawn(|| load.run(&client, &nodes));
        let result = outage(&mut site, &load, seconds, |site| {
            let now = site.wait_owned(&ips)?;
            let moved = ips.iter().filter(|ip| now[*ip] != owners[*ip]);
            let moved: Vec<_> = moved.map(|ip| (ip, &owners[ip], &now[ip])).collect();
            ensure!(moved.is_empty(), "moved: {moved:?}\n{}", site.story());
            Ok(())
        });
        load.stop.store(true, Ordering::Relaxed);
        result
    })?;

    // Everything converges: whatever was made has an address of its own, and one owner.
    let services = site.client().list(Kind::Service, "default")?;
    let count = services
        .iter()
        .filter(|s| s["spec"]["type"] == "LoadBalancer")
        .count();
    println!(
        "    {count} Services, {} changes refused in {seconds} s",
        load.refused.load(Ordering::Relaxed)
    );
    let after = site.wait_assigned(count)?;
    for (name, before) in &assigned {
        ensure!(after[name] == *before, "{name} got another address");
    }
    let all: Vec<IpAddr> = after.values().flatten().copied().collect();
    let distinct: BTreeSet<_> = all.iter().collect();
    ensure!(distinct.len() == all.len(), "one address twice: {all:?}");
    let now = site.wait_owned(&all)?;
    for (ip, owner) in &owners {
        ensure!(now[ip] == *owner, "{ip} moved");
    }
    Ok(())
}

/// Kills the API server while there is load, looks every now and then, and starts it again.
fn outage(
    site: &mut Site,
    load: &Load,
    seconds: u64,
    look: impl Fn(&Site) -> Result<()>,
) -> Result<()> {
    load.wait("load", &load.made, 5)?;
    site.cluster_mut().kill_everything()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    load.wait("load that is refused", &load.refused, 1)?;
    while Instant::now() < end {
        look(site)?;
    }
    let before = load.made.load(Ordering::Relaxed);
    site.cluster_mut().start_server()?;
    look(site)?;
    load.wait("load that goes on", &load.made, (before + 5).min(MOST))
}
