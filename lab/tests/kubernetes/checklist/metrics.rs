//! "L2 metrics": what a Prometheus would see of a Service that comes and goes.

use crate::announcing::{Membership, Site};
use crate::objects::NAMESPACE;
use crate::scraping::{reader, scrape};
use crate::setup::DEADLINE;
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::Kind;
use corten_lab::netns::Netns;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;

pub(crate) const TRIALS: &[Trial] = &[("a_service_is_counted", a_service_is_counted)];

/// The samples of a component's page whose names begin like this.
fn samples(ns: &Netns, token: &str, name: &str) -> Result<Vec<(String, f64)>> {
    let page = scrape(ns, Some(token))?;
    ensure!(page.status == 200, "{page:?}");
    let lines = page.body.lines().filter(|line| line.starts_with(name));
    let read = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        Ok((series.to_owned(), value.parse()?))
    });
    read.collect()
}

/// Addresses in use, the winner's series of each address and its counters; all gone with the
/// Service, but for counters.
fn a_service_is_counted() -> Result<()> {
    let mut site = Site::with_services(1, Membership::Off)?;
    let token = reader(site.cluster(), "reader")?;
    let ips = site.wait_assigned(1)?.remove("web1").context("web1")?;
    let owners = site.wait_owned(&ips)?;
    let owner = &owners[&ips[0]];
    let client = site.client();
    let in_use = |wanted: f64| {
        let ns = site.cluster().netns();
        wait_until(&format!("{wanted} addresses in use"), DEADLINE, || {
            let all = samples(ns, &token, "metallb_allocator_addresses_in_use_total{")?;
            let total = samples(ns, &token, "metallb_allocator_addresses_total{")?;
            let right = |(_, value): &(String, f64)| *value == wanted;
            Ok((all.len() == 1 && total.len() == 1 && all.iter().all(right)).then_some(()))
        })
    };
    in_use(2.0)?;
    for node in &site.world().nodes {
        let announced = || samples(&node.ns, &token, "metallb_speaker_announced{");
        let wanted = if node.name == *owner { ips.len() } else { 0 };
        wait_until(&format!("{wanted} on {}", node.name), DEADLINE, || {
            Ok((announced()?.len() == wanted).then_some(()))
        })?;
        for (series, value) in announced()? {
            let labels = [
                format!("node=\"{owner}\""),
                "protocol=\"layer2\"".to_owned(),
                "service=\"default/web1\"".to_owned(),
            ];
            ensure!(
                value == 1.0 && labels.iter().all(|l| series.contains(l)),
                "{series}"
            );
        }
        if node.name == *owner {
            for name in ["requests_received", "responses_sent", "gratuitous_sent"] {
                for ip in &ips {
                    let series = format!("metallb_layer2_{name}{{ip=\"{ip}\"}}");
                    let found = samples(&node.ns, &token, &series)?;
                    ensure!(found.len() == 1 && found[0].1 >= 1.0, "{series}: {found:?}");
                }
            }
        }
    }
    client.delete(Kind::Service, "default", "web1")?;
    in_use(0.0)?;
    for node in &site.world().nodes {
        wait_until("no series", DEADLINE, || {
            let left = samples(&node.ns, &token, "metallb_speaker_announced{")?;
            Ok(left.is_empty().then_some(()))
        })?;
    }
    wait_until("no status", DEADLINE, || {
        let left = client.list(Kind::ServiceL2Status, NAMESPACE)?;
        Ok(left.is_empty().then_some(()))
    })
}
