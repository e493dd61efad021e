//! The image runs on kubelets as the chart says.

use crate::scene::{self, NAMESPACE, on, pods};
use anyhow::{Context, Result, ensure};
use corten_lab::full::{Cluster, Node};
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const TRIALS: &[Trial] = &[
    ("pods_run_with_the_privileges_they_need", || on(privileges)),
    ("webhooks_are_asked", || on(webhooks)),
    ("a_stuck_speaker_is_restarted", || on(stuck)),
];

/// Label whose value is a pod's component.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";

/// Bit of the one capability speakers have (capability.h).
const NET_RAW: u64 = 1 << 13;

/// What the kernel says of a component's process on a node, and of its root.
fn status(node: &Node, component: &str) -> Result<(BTreeMap<String, String>, String)> {
    let find = format!(
        "for p in /proc/[0-9]*; do if [ \"$(cat $p/comm)\" = {component} ]; then \
         cat $p/status; grep ' / / ' $p/mountinfo; fi; done"
    );
    let text = node.output("sh", &["-c", &find])?;
    let fields = text.lines().filter_map(|l| l.split_once(":\t"));
    let fields = fields.map(|(k, v)| (k.to_owned(), v.trim().to_owned()));
    let root = text.lines().find(|l| l.contains(" / / "));
    Ok((
        fields.collect(),
        root.with_context(|| format!("no {component} on {}: {text}", node.name))?
            .to_owned(),
    ))
}

fn check(node: &Node, component: &str, user: &str, capabilities: u64) -> Result<()> {
    let (fields, root) = status(node, component)?;
    let field = |name: &str| fields.get(name).map(String::as_str);
    let users = [user; 4].join("\t");
    ensure!(field("Uid") == Some(&users), "{component}: {fields:?}");
    ensure!(field("NoNewPrivs") == Some("1"), "{component}: {fields:?}");
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        let held = field(set).context("no capabilities")?;
        // The bounding set of a user without any is what the pod may have at most.
        let held = u64::from_str_radix(held, 16)?;
        ensure!(held == capabilities, "{component}: {set} is {held:x}");
    }
    let options = root.split(' ').nth(5).context("no options")?;
    ensure!(options.split(',').any(|o| o == "ro"), "{component}: {root}");
    Ok(())
}

fn privileges(cluster: &mut Cluster) -> Result<()> {
    let client = cluster.kubernetes.client();
    let speakers = pods(client, NAMESPACE, (COMPONENT, "speaker"))?;
    ensure!(speakers.len() == 3, "{:?}", speakers.keys());
    for node in cluster.nodes() {
        check(node, "speaker", "0", NET_RAW)?;
    }
    let controllers = pods(client, NAMESPACE, (COMPONENT, "controller"))?;
    ensure!(controllers.len() == 1, "{:?}", controllers.keys());
    let (_, controller) = controllers.first_key_value().context("no controller")?;
    let home = &controller["spec"]["nodeName"];
    let node = cluster.nodes().find(|n| *home == n.name.as_str());
    check(
        node.context("the controller is nowhere")?,
        "controller",
        "65534",
        0,
    )?;
    for (name, pod) in speakers.iter().chain(&controllers) {
        let container = &pod["status"]["containerStatuses"][0];
        ensure!(
            container["ready"] == true && container["restartCount"] == 0,
            "{name}: {container}"
        );
    }
    Ok(())
}

fn webhooks(cluster: &mut Cluster) -> Result<()> {
    let client = cluster.kubernetes.client();
    let bad = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n\
               metadata: {name: overlapping, namespace: metallb-system}\n\
               spec: {addresses: [10.50.0.210/32]}\n";
    let refused = client
        .apply(bad)
        .err()
        .context("an overlap was let through")?;
    let text = format!("{refused:#}");
    ensure!(
        text.contains("overlap") && text.contains("denied the request"),
        "{text}"
    );
    let peer = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\n\
                metadata: {name: old, namespace: metallb-system}\n\
                spec: {myASN: 64512, peerASN: 64513, peerAddress: 10.50.0.98, holdTime: 30s, \
                nodeSelectors: [{matchLabels: {kubernetes.io/hostname: nowhere}}]}\n";
    client.apply(peer).context("asking the conversion")?;
    let found = client.get(Kind::BGPPeer, NAMESPACE, "old")?;
    let found = found.context("no BGPPeer")?;
    ensure!(
        found["apiVersion"] == "metallb.io/v1beta2" && found["spec"]["holdTime"] == "30s",
        "{found}"
    );
    client.delete(Kind::BGPPeer, NAMESPACE, "old")
}

fn restarts(pod: &Value) -> Option<u64> {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64()
}

/// One that no longer does anything, but hasn't ended.
fn stuck(cluster: &mut Cluster) -> Result<()> {
    let node = cluster.node(1)?;
    node.output(
        "sh",
        &[
            "-c",
            "for p in /proc/[0-9]*; do \
        if [ \"$(cat $p/comm)\" = speaker ]; then kill -STOP ${p#/proc/}; fi; done",
        ],
    )?;
    let client = cluster.kubernetes.client();
    wait_until("a restart", 2 * scene::DEADLINE, || {
        let speakers = pods(client, NAMESPACE, (COMPONENT, "speaker"))?;
        let pod = speakers
            .values()
            .find(|p| p["spec"]["nodeName"] == node.name.as_str());
        let pod = pod.context("no speaker")?;
        let ready = &pod["status"]["containerStatuses"][0]["ready"];
        Ok((restarts(pod) == Some(1) && *ready == true).then_some(()))
    })?;
    for addresses in scene::addresses(client)?.values() {
        for ip in addresses {
            scene::wait_reached(cluster, *ip)?;
        }
    }
    Ok(())
}
