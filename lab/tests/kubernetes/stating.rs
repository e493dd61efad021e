//! What Corten says of itself in the API.

use crate::announcing::{Membership, Site};
use crate::objects::{NAMESPACE, custom, service};
use crate::setup::{self, DEADLINE, wait, wait_addresses};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[
    ("pools_show_their_counters", pools_show_their_counters),
    (
        "the_controllers_configuration_is_judged",
        the_controllers_configuration_is_judged,
    ),
    (
        "the_speakers_configuration_is_judged",
        the_speakers_configuration_is_judged,
    ),
    (
        "a_status_names_the_announcing_node",
        a_status_names_the_announcing_node,
    ),
];

fn pools_show_their_counters() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    client.apply(&custom(
        "IPAddressPool",
        "pool",
        "addresses: [192.0.2.0/30, \"2001:db8::/126\"]",
    ))?;
    let mut controller = setup::controller(&cluster)?;
    let mut wait_counters = |what: &str, wanted: Value| {
        wait(&mut controller, what, || {
            let pool = client
                .get(Kind::IPAddressPool, NAMESPACE, "pool")?
                .context("pool")?;
            Ok((pool["status"] == wanted).then_some(()))
        })
    };
    let counters = |used: u32| json!({"assignedIPv4": used, "assignedIPv6": 0, "availableIPv4": 4 - used, "availableIPv6": 4});
    wait_counters("a fresh pool's counters", counters(0))?;
    client.apply(&service("web", "", ""))?;
    wait_counters("an address in use", counters(1))?;
    // Whoever edits them sees them come back.
    client.patch_status(
        Kind::IPAddressPool,
        NAMESPACE,
        "pool",
        json!({"status": {"assignedIPv4": 3}}),
    )?;
    wait_counters("counters put right", counters(1))?;
    client.delete(Kind::Service, "default", "web")?;
    wait_counters("no address in use", counters(0))
}

/// A component's state, if it says this.
fn state(client: &Client, name: &str, result: &str, summary: &str) -> Result<Option<Value>> {
    let state = client.get(Kind::ConfigurationState, NAMESPACE, name)?;
    let state = state.unwrap_or_default();
    let status = &state["status"];
    let said = status["result"] == result && status["errorSummary"] == summary;
    Ok(said.then_some(state))
}

fn the_controllers_configuration_is_judged() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let mut controller = setup::controller(&cluster)?;
    let valid = || state(client, "controller", "Valid", "");
    let good = wait(&mut controller, "the controller's state", valid)?;
    let labels = json!({"metallb.io/component-type": "controller"});
    ensure!(good["metadata"]["labels"] == labels, "{good}");
    let condition = &good["status"]["conditions"][0];
    ensure!(condition["type"] == "poolReconcilerValid", "{good}");
    ensure!(condition["reason"] == "Reconciled", "{good}");
    let managed = good["metadata"]["managedFields"].as_array();
    let ours = |m: &Value| m["manager"] == "poolReconciler" && m["subresource"] == "status";
    ensure!(managed.context("managedFields")?.iter().any(ours), "{good}");

    // Deleted, it comes back.
    client.delete(Kind::ConfigurationState, NAMESPACE, "controller")?;
    wait(&mut controller, "the state again", valid)?;

    let pool = |addresses: &str| {
        let spec = format!("addresses: [{addresses}]");
        client.apply(&custom("IPAddressPool", "pool", &spec))
    };
    pool("192.0.2.0/33")?;
    wait(&mut controller, "an invalid pool", || {
        let state = client.get(Kind::ConfigurationState, NAMESPACE, "controller")?;
        let state = state.unwrap_or_default();
        let summary = state["status"]["errorSummary"].as_str();
        let named = summary.is_some_and(|s| s.starts_with("configuration error: "));
        Ok((named && state["status"]["result"] == "Invalid").then_some(()))
    })?;
    pool("192.0.2.0/24")?;
    wait(&mut controller, "validity", valid)?;
    client.apply(&service("web", "", ""))?;
    wait_addresses(client, &mut controller, "web", &["192.0.2.0"]).map(drop)
}

fn the_speakers_configuration_is_judged() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let flags = ["--node-name=n1", "--port=0"];
    let mut speaker = setup::start(&cluster, cluster.netns(), "speaker", &flags)?;
    let valid = || state(client, "speaker-n1", "Valid", "");
    let good = wait(&mut speaker, "the speaker's state", valid)?;
    let labels = json!({"metallb.io/component-type": "speaker", "metallb.io/node-name": "n1"});
    ensure!(good["metadata"]["labels"] == labels, "{good}");

    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.9, bfdProfile: nowhere";
    client.apply(&custom("BGPPeer", "peer", peer))?;
    let cause = "configuration error: peer peer referencing non existing bfd profile nowhere";
    let bad = wait(&mut speaker, "the cause", || {
        state(client, "speaker-n1", "Invalid", cause)
    })?;
    let condition = &bad["status"]["conditions"][0];
    ensure!(condition["reason"] == "ConfigurationError", "{bad}");
    ensure!(condition["message"] == cause, "{bad}");
    client.apply(&custom("BFDProfile", "nowhere", "receiveInterval: 300"))?;
    wait(&mut speaker, "validity", valid).map(drop)
}

fn a_status_names_the_announcing_node() -> Result<()> {
    const COUNT: usize = 4;
    let mut site = Site::with_services(COUNT, Membership::Off)?;
    let assigned = site.wait_assigned(COUNT)?;
    let first: BTreeMap<&String, IpAddr> =
        assigned.iter().map(|(name, ips)| (name, ips[0])).collect();
    let ips: Vec<IpAddr> = first.values().copied().collect();
    let owners = site.wait_owned(&ips)?;
    let before = wait_statuses(&site, &first, &owners)?;

    // A drained node's statuses become another's, one object for each Service.
    let drained = owners[&ips[0]].clone();
    let elsewhere = first.iter().filter(|(_, ip)| owners[*ip] != drained);
    let kept: Vec<String> = elsewhere.map(|(service, _)| (*service).clone()).collect();
    site.drain(&drained)?;
    let owners = wait_until("other owners", DEADLINE, || {
        let now = site.wait_owned(&ips)?;
        Ok(now.values().all(|node| *node != drained).then_some(now))
    })?;
    let after = wait_statuses(&site, &first, &owners)?;
    for (service, uid) in &before {
        let stays = kept.contains(service);
        ensure!(
            !stays || after[service] == *uid,
            "{service}: made anew without cause"
        );
    }
    // A removed one comes back, and nothing remains of a Service that is gone.
    let client = site.client();
    for object in client.list(Kind::ServiceL2Status, NAMESPACE)? {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        client.delete(Kind::ServiceL2Status, NAMESPACE, name)?;
    }
    wait_statuses(&site, &first, &owners)?;
    for service in first.keys() {
        client.delete(Kind::Service, "default", service)?;
    }
    wait_until("no status", DEADLINE, || {
        let left = client.list(Kind::ServiceL2Status, NAMESPACE)?;
        Ok(left.is_empty().then_some(()))
    })
    .with_context(|| site.story())
}

/// Waits until there is one status for each Service and it names the owner of its address; gives
/// the objects' uids.
fn wait_statuses(
    site: &Site,
    services: &BTreeMap<&String, IpAddr>,
    owners: &BTreeMap<IpAddr, String>,
) -> Result<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut last = Vec::new();
    let found = wait_until("a status for each Service", DEADLINE, || {
        last = site.client().list(Kind::ServiceL2Status, NAMESPACE)?;
        let said: BTreeMap<String, (String, String)> = last
            .iter()
            .map(|o| {
                (
                    text(&o["status"]["serviceName"]),
                    (text(&o["status"]["node"]), text(&o["metadata"]["uid"])),
                )
            })
            .collect();
        let right = |(service, ip): (&&String, &IpAddr)| {
            said.get(*service)
                .is_some_and(|(node, _)| *node == owners[ip])
        };
        let done = last.len() == services.len() && services.iter().all(right);
        Ok(done.then(|| {
            said.into_iter()
                .map(|(service, (_, uid))| (service, uid))
                .collect()
        }))
    });
    found.with_context(|| format!("{last:?}\n{}", site.story()))
}
