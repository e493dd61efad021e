//! More than one controller: the holder of a Lease gives addresses, and nobody else does.

use crate::objects::{NAMESPACE, custom, service};
use crate::setup::{self, DEADLINE, wait_addresses};
use anyhow::{Context, Result, ensure};
use corten_lab::https;
use corten_lab::kubernetes::{Kind, Kubernetes};
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

pub(crate) const TRIALS: &[Trial] = &[(
    "one_of_several_controllers_gives_addresses",
    one_of_several_controllers_gives_addresses,
)];

/// What the chart grants for it (`charts/corten/templates/rbac.yaml`).
const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n\
    metadata: {name: leader, namespace: metallb-system}\nrules:\n\
    - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}\n\
    - {apiGroups: [coordination.k8s.io], resources: [leases], \
    resourceNames: [corten-controller], verbs: [get, update]}\n---\n\
    apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
    metadata: {name: leader, namespace: metallb-system}\n\
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: leader}\n\
    subjects: [{kind: ServiceAccount, name: controller, namespace: metallb-system}]\n";

const LEADING: &str = "the Lease is held: leading";
const LOST: &str = "the Lease is lost: nothing more is written";

/// A pod that takes the Lease, as far as the API says so, and its process.
fn controller(cluster: &Kubernetes, ns: &Netns, name: &str) -> Result<Process> {
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {NAMESPACE}, \
         labels: {{app: metallb, component: controller}}}}\n\
         spec: {{serviceAccountName: controller, automountServiceAccountToken: false, \
         containers: [{{name: main, image: corten, args: [--leader-elect]}}]}}\n"
    );
    let client = cluster.client();
    client.apply(&pod)?;
    let running = serde_json::json!({"status": {"phase": "Running"}});
    client.patch_status(Kind::Pod, NAMESPACE, name, running)?;
    let name = format!("--pod-name={name}");
    // In the proportion of 15, 10 and 2 s, so that the trial takes less time.
    let lease = "--leader-elect-lease-duration=9s";
    setup::start(cluster, ns, "controller", &[&name, "--leader-elect", lease])
}

fn count(process: &Process, text: &str) -> usize {
    let log = process.log();
    log.iter().filter(|line| line.contains(text)).count()
}

fn wait_said(process: &Process, text: &str, times: usize) -> Result<()> {
    wait_until(text, DEADLINE, || {
        Ok((count(process, text) >= times).then_some(()))
    })
    .with_context(|| format!("{}:\n  {}", process.label(), process.log().join("\n  ")))
}

fn holder(cluster: &Kubernetes) -> Result<Value> {
    let lease = cluster
        .client()
        .get(Kind::Lease, NAMESPACE, "corten-controller")?;
    Ok(lease.context("no Lease")?["spec"]["holderIdentity"].clone())
}

/// Whoever it is asked by, a webhook answers, with the same certificate.
fn webhooks_answer(namespaces: [&Netns; 2]) -> Result<()> {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9443));
    let mut certificates = BTreeSet::new();
    for ns in namespaces {
        let answer = wait_until("an answer of a webhook", DEADLINE, || {
            Ok(ns.run(|| https::get(to, "/", None, DEADLINE)).ok())
        })?;
        ensure!(answer.status == 405, "{answer:?}");
        certificates.insert(answer.certificate);
    }
    ensure!(certificates.len() == 1, "two certificates");
    Ok(())
}

fn one_of_several_controllers_gives_addresses() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    client.apply(ROLE)?;
    let pool = custom("IPAddressPool", "pool", "addresses: [192.0.2.0/24]");
    client.apply(&(pool + &service("web", "", "")))?;
    let (here, there) = (Netns::new("first")?, Netns::new("second")?);
    let _first_way = cluster.relay_to(&here)?;
    let second_way = cluster.relay_to(&there)?;
    let mut first = controller(&cluster, &here, "first")?;
    wait_said(&first, LEADING, 1)?;
    wait_addresses(client, &mut first, "web", &["192.0.2.0"])?;
    let mut second = controller(&cluster, &there, "second")?;
    wait_said(&second, "waiting for the Lease", 1)?;
    ensure!(holder(&cluster)? == "first", "{}", holder(&cluster)?);
    webhooks_answer([&here, &there])?;

    // A leader that is killed says nothing to anybody.
    first.kill()?;
    client.apply(&service("late", "", ""))?;
    wait_addresses(client, &mut second, "late", &["192.0.2.1"])?;
    wait_said(&second, LEADING, 1)?;
    ensure!(count(&second, LEADING) == 1, "leading twice");

    // One that is cut off stops before another begins.
    let mut first = controller(&cluster, &here, "first")?;
    wait_said(&first, "waiting for the Lease", 1)?;
    drop(second_way);
    client.apply(&service("meanwhile", "", ""))?;
    wait_said(&first, LEADING, 1)?;
    ensure!(count(&second, LOST) == 1, "two leaders: {:?}", second.log());
    wait_addresses(client, &mut first, "meanwhile", &["192.0.2.2"])?;
    let _second_way = cluster.relay_to(&there)?;
    wait_said(&second, "waiting for the Lease", 2)?;

    // One that leaves says so.
    first.signal(Signal::SIGTERM)?;
    ensure!(first.wait(DEADLINE)?.success(), "{:?}", first.log());
    ensure!(count(&first, "the Lease is given back") == 1, "kept");
    wait_said(&second, LEADING, 2)?;
    client.apply(&service("last", "", ""))?;
    wait_addresses(client, &mut second, "last", &["192.0.2.3"])?;
    wait_addresses(client, &mut second, "web", &["192.0.2.0"])?;
    ensure!(holder(&cluster)? == "second", "{}", holder(&cluster)?);

    let mut used = BTreeSet::new();
    for request in cluster.requests(NAMESPACE, "controller")? {
        ensure!(request.code != 403, "refused: {request:?}");
        if request.resource == "leases" {
            used.insert(request.verb);
        }
    }
    let granted = ["create", "get", "update"].map(str::to_owned);
    ensure!(used == granted.into(), "{used:?}");
    Ok(())
}
