//! The roles in `deploy/kubernetes`: nothing is refused, and nothing granted is never used.

use crate::admitting;
use crate::announcing::{Membership, Site};
use crate::objects::{NAMESPACE, custom, service};
use crate::scraping;
use crate::setup::{DEADLINE, addresses, deployed};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[("roles_are_as_wide_as_used", roles_are_as_wide_as_used)];

const ACCOUNTS: [&str; 2] = ["controller", "speaker"];

/// Group, resource and verb.
type Permission = (String, String, String);

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

/// What a manifest lets an account do.
fn granted(text: &str, account: &str) -> Result<BTreeSet<Permission>> {
    let documents: Vec<Value> = text
        .split("\n---\n")
        .map(serde_saphyr::from_str)
        .collect::<Result<_, _>>()?;
    let bound = documents.iter().filter(|d| {
        let subjects = d["subjects"].as_array().into_iter().flatten();
        subjects.into_iter().any(|s| s["name"] == account)
    });
    let mut all = BTreeSet::new();
    for binding in bound {
        let of = &binding["roleRef"];
        let role = documents
            .iter()
            .find(|d| d["kind"] == of["kind"] && d["metadata"]["name"] == of["name"]);
        let rules = role.context("a binding without role")?["rules"].as_array();
        for rule in rules.into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        all.insert((group.clone(), resource.clone(), verb));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// What an account is granted by a manifest and hasn't used.
pub(crate) fn unused(
    cluster: &Kubernetes,
    manifest: &str,
    account: &str,
) -> Result<BTreeSet<Permission>> {
    let mut unused = granted(manifest, account)?;
    ensure!(!unused.is_empty(), "{account} may do nothing");
    for request in cluster.requests(NAMESPACE, account)? {
        ensure!(request.code != 403, "{account} was refused: {request:?}");
        unused.remove(&(request.group, request.resource, request.verb));
    }
    Ok(unused)
}

/// Waits until what an account hasn't used is as `wanted`, and gives it.
fn wait_used(
    site: &Site,
    grants: &str,
    account: &str,
    wanted: impl Fn(&BTreeSet<Permission>) -> bool,
) -> Result<BTreeSet<Permission>> {
    let mut left = BTreeSet::new();
    wait_until("the use of every grant", DEADLINE, || {
        left = unused(site.cluster(), grants, account)?;
        Ok(wanted(&left).then_some(()))
    })
    .with_context(|| format!("{account} never used {left:?}\n{}", site.story()))?;
    Ok(left)
}

/// The same event again is counted on the first.
fn failures_are_counted(client: &Client) -> Result<()> {
    let reasons = |reason: &str| -> Result<Vec<Value>> {
        let events = client.list(Kind::Event, "default")?.into_iter();
        Ok(events.filter(|e| e["reason"] == reason).collect())
    };
    // A request that can't be granted, another, and the first again.
    client.apply(&service("odd", "", ""))?;
    for (ip, said) in [("203.0.113.1", 1), ("203.0.113.2", 2), ("203.0.113.1", 2)] {
        let asked = json!({"spec": {"loadBalancerIP": ip}});
        client.patch(Kind::Service, "default", "odd", asked)?;
        wait_until("a failure's event", DEADLINE, || {
            Ok((reasons("AllocationFailed")?.len() == said).then_some(()))
        })?;
    }
    let again = |e: &Value| e["count"] == 2;
    for reason in ["AllocationFailed", "nodeAssigned"] {
        wait_until("an event that is counted", DEADLINE, || {
            Ok(reasons(reason)?.iter().any(again).then_some(()))
        })
        .with_context(|| reason.to_owned())?;
    }
    Ok(())
}

fn roles_are_as_wide_as_used() -> Result<()> {
    const COUNT: usize = 3;
    let mut site = Site::with_services(COUNT, Membership::On)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    let owners = site.wait_owned(&ips)?;
    let client = site.client();
    // A node that gives an address away and gets it back says the same again.
    let node = &owners[&ips[0]];
    site.drain(node)?;
    wait_until("another owner", DEADLINE, || {
        let now = site.wait_owned(&ips)?;
        Ok((now[&ips[0]] != *node).then_some(()))
    })?;
    site.undrain(node)?;
    wait_until("the owner again", DEADLINE, || {
        let now = site.wait_owned(&ips)?;
        Ok((now[&ips[0]] == *node).then_some(()))
    })?;
    failures_are_counted(client)?;
    // One that has an address already gets another.
    let others = "192.0.2.99,2001:db8:1::99";
    let asked = json!({"metadata": {"annotations": {"metallb.io/loadBalancerIPs": others}}});
    client.patch(Kind::Service, "default", "web1", asked)?;
    wait_until("another address", DEADLINE, || {
        let web = client.get(Kind::Service, "default", "web1")?;
        let ips = web.map(|web| addresses(&web)).unwrap_or_default();
        Ok(ips.iter().any(|ip| ip == "192.0.2.99").then_some(()))
    })
    .with_context(|| site.story())?;
    // Whatever the webhooks judge is listed, and a spoilt certificate replaced.
    admitting::enable(site.cluster())?;
    for (kind, spec) in [
        ("BGPAdvertisement", ""),
        ("L2Advertisement", ""),
        ("BGPPeer", "myASN: 1, peerASN: 2, peerAddress: 192.0.2.9"),
    ] {
        client.apply(&custom(kind, "judged", spec))?;
    }
    admitting::spoil(client)?;
    // The speakers say that they tell the peer, and that they don't any more.
    let statuses = || client.list(Kind::ServiceBGPStatus, NAMESPACE);
    wait_until("statuses of every Service and node", DEADLINE, || {
        let all = statuses()?;
        let whole = all.iter().all(|o| o["status"]["peers"][0] == "judged");
        Ok((all.len() == COUNT * 3 && whole).then_some(()))
    })
    .with_context(|| site.story())?;
    client.delete(Kind::BGPPeer, NAMESPACE, "judged")?;
    // Who reads the metrics is asked of the API server.
    let reader = scraping::reader(site.cluster(), "reader")?;
    for (process, ns) in site.components() {
        let answer = scraping::scrape(ns, Some(&reader))?;
        ensure!(answer.status == 200, "{}: {answer:?}", process.label());
    }
    let grants = deployed("rbac.yaml")?;
    let lists = |left: &BTreeSet<Permission>| left.iter().all(|(_, _, verb)| verb == "list");
    for account in ACCOUNTS {
        let left = wait_used(&site, &grants, account, lists)?;
        ensure!(!left.is_empty(), "{account}: no list was streamed");
    }
    // Lists are for servers that don't stream them.
    site.restart(&["--feature-gates=WatchList=false"])?;
    for account in ACCOUNTS {
        wait_used(&site, &grants, account, BTreeSet::is_empty)?;
    }
    let client = site.client();
    // What belongs to a pod goes with it.
    let statuses = client.list(Kind::ServiceL2Status, NAMESPACE)?;
    for status in statuses {
        let owner = &status["metadata"]["ownerReferences"][0];
        ensure!(
            owner["kind"] == "Pod" && owner.get("controller").is_none(),
            "{status}"
        );
    }
    Ok(())
}
