//! What is refused, missing, malformed or plenty.

use crate::objects::{NAMESPACE, custom, service};
use crate::setup::{self, DEADLINE, addresses, wait_addresses};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::process::Process;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "a_refused_kind_changes_no_fact",
        a_refused_kind_changes_no_fact,
    ),
    ("definitions_come_and_go", definitions_come_and_go),
    (
        "a_malformed_object_stops_nobody",
        a_malformed_object_stops_nobody,
    ),
    ("many_services_are_served", many_services_are_served),
];

/// What the controller may do, but for reading what `without` names.
fn role(without: &str) -> String {
    let kinds = ["ipaddresspools", "communities"];
    let kinds: Vec<_> = kinds.into_iter().filter(|k| *k != without).collect();
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: probe}}\n\
         rules:\n\
         - {{apiGroups: [\"\"], resources: [services, namespaces], verbs: [get, list, watch]}}\n\
         - {{apiGroups: [\"\"], resources: [services/status], verbs: [update]}}\n\
         - {{apiGroups: [\"\"], resources: [events], verbs: [create, patch]}}\n\
         - {{apiGroups: [metallb.io], resources: {kinds:?}, verbs: [get, list, watch]}}\n"
    )
}

/// A controller that is the ServiceAccount `probe`, with that role.
fn probe(cluster: &Kubernetes, without: &str) -> Result<Process> {
    let client = cluster.client();
    client.apply(&role(without))?;
    client.apply(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
         metadata: {name: probe}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: probe}\n\
         subjects: [{kind: ServiceAccount, name: probe, namespace: metallb-system}]\n",
    )?;
    let account = cluster.service_account(NAMESPACE, "probe")?;
    setup::start_as(&account, cluster.netns(), "controller", &[])
}

fn logged(process: &Process, text: &str) -> bool {
    process.log().iter().any(|line| line.contains(text))
}

/// Waits until a process has logged a line with `text`.
fn wait_logged(process: &Process, text: &str) -> Result<()> {
    wait_until(text, DEADLINE, || Ok(logged(process, text).then_some(())))
        .with_context(|| process.log().join("\n  "))
}

fn a_refused_kind_changes_no_fact() -> Result<()> {
    let mut cluster = setup::cluster()?;
    let pool = custom("IPAddressPool", "pool", "addresses: [192.0.2.0/24]");
    cluster.client().apply(&(pool + &service("web", "", "")))?;
    let mut controller = probe(&cluster, "ipaddresspools")?;
    let refusal = "IPAddressPool objects can't be watched now";
    wait_logged(&controller, refusal)?;
    let web = cluster.client().get(Kind::Service, "default", "web")?;
    ensure!(
        addresses(&web.context("web")?).is_empty(),
        "nothing is decided without pools"
    );

    // Allowed now: nobody has to be told.
    cluster.client().apply(&role(""))?;
    wait_addresses(cluster.client(), &mut controller, "web", &["192.0.2.0"])?;

    // Refused again, and asked anew since the API server went and came: the pool is still known.
    cluster.client().apply(&role("ipaddresspools"))?;
    let before = controller
        .log()
        .iter()
        .filter(|l| l.contains(refusal))
        .count();
    cluster.kill_server()?;
    cluster.start_server()?;
    wait_until("another refusal", DEADLINE, || {
        let now = controller
            .log()
            .iter()
            .filter(|l| l.contains("is forbidden"))
            .count();
        Ok((now > before).then_some(()))
    })?;
    cluster.client().apply(&service("late", "", ""))?;
    wait_addresses(cluster.client(), &mut controller, "late", &["192.0.2.1"])?;
    wait_addresses(cluster.client(), &mut controller, "web", &["192.0.2.0"])?;
    Ok(())
}

fn definitions_come_and_go() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    client.apply(&custom(
        "IPAddressPool",
        "pool",
        "addresses: [192.0.2.0/24]",
    ))?;
    client.apply(&service("web", "", ""))?;
    let mut controller = setup::controller(&cluster)?;
    wait_addresses(client, &mut controller, "web", &["192.0.2.0"])?;
    let definition = "communities.metallb.io";
    client.delete(Kind::CustomResourceDefinition, "", definition)?;
    wait_logged(&controller, "Community objects can't be watched now")?;
    client.apply(&service("meanwhile", "", ""))?;
    wait_addresses(client, &mut controller, "meanwhile", &["192.0.2.1"])?;
    // The old one has to be gone: what is applied to it before that goes with it.
    wait_until("the end of the definition", DEADLINE, || {
        let left = client.get(Kind::CustomResourceDefinition, "", definition)?;
        Ok(left.is_none().then_some(()))
    })?;
    client.apply_crds(&setup::definitions()?)?;
    // Heard again: a rejection of such an object is said.
    let community = custom(
        "Community",
        "bad",
        "communities: [{name: a, value: nonsense}]",
    );
    client.apply(&community)?;
    wait_logged(&controller, "Community metallb-system/bad")?;
    wait_addresses(client, &mut controller, "web", &["192.0.2.0"])?;
    Ok(())
}

/// Has the definitions let everything through, as a foreign or an old one may; the API server does
/// from then on.
pub(crate) fn open_definitions(client: &Client) -> Result<()> {
    client.apply_crds(&opened()?)?;
    // It learns of each by a watch, a moment after it has stored it.
    for kind in [
        "IPAddressPool",
        "L2Advertisement",
        "BGPAdvertisement",
        "BGPPeer",
        "BFDProfile",
        "Community",
    ] {
        let odd = custom(kind, "odd", "nobody: [knows, this]");
        wait_until(&format!("an open {kind}"), DEADLINE, || {
            Ok(client.would_apply(&odd).ok())
        })?;
    }
    Ok(())
}

fn opened() -> Result<String> {
    let text = setup::definitions()?;
    let mut open = String::new();
    for document in text.split("---\n").filter(|d| !d.trim().is_empty()) {
        let mut crd: serde_json::Value = serde_saphyr::from_str(document)?;
        for version in crd["spec"]["versions"].as_array_mut().context("versions")? {
            version["schema"]["openAPIV3Schema"] =
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        }
        open.push_str(&format!("---\n{}\n", serde_json::to_string(&crd)?));
    }
    Ok(open)
}

fn a_malformed_object_stops_nobody() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    open_definitions(client)?;
    let mut bad = String::new();
    for (kind, spec) in [
        ("IPAddressPool", "addresses: 7"),
        ("IPAddressPool", "addresses: [{a: b}], autoAssign: [true]"),
        ("IPAddressPool", "addresses: [not-an-address]"),
        ("L2Advertisement", "interfaces: {a: b}"),
        ("BGPAdvertisement", "localPref: high"),
        ("BGPPeer", "myASN: [1]"),
        ("BFDProfile", "receiveInterval: fast"),
        ("Community", "communities: none"),
    ] {
        let name = format!("bad{}", bad.len());
        bad.push_str(&custom(kind, &name, spec));
    }
    client.apply(&bad)?;
    client.apply(&custom(
        "IPAddressPool",
        "good",
        "addresses: [192.0.2.0/24]",
    ))?;
    client.apply(&custom("L2Advertisement", "good", ""))?;
    client.apply(&service("web", "", ""))?;
    let mut controller = setup::controller(&cluster)?;
    wait_addresses(client, &mut controller, "web", &["192.0.2.0"])?;
    for field in [
        "spec.addresses: ",
        "spec.addresses[0]",
        "spec.communities: ",
    ] {
        wait_logged(&controller, field)?;
    }
    // One that was good and turns bad keeps its last good version.
    let turned = json!({"spec": {"addresses": 7}});
    client.patch(Kind::IPAddressPool, NAMESPACE, "good", turned)?;
    wait_logged(
        &controller,
        "IPAddressPool metallb-system/good: spec.addresses: ",
    )?;
    client.apply(&service("late", "", ""))?;
    wait_addresses(client, &mut controller, "late", &["192.0.2.1"])?;
    let (flags, ns) = (
        ["--node-name=n1", "--port=0", "--health-probe-port=17473"],
        cluster.netns(),
    );
    let speaker = setup::start(&cluster, ns, "speaker", &flags)?;
    for field in [
        "spec.interfaces: ",
        "spec.localPref: ",
        "spec.myASN: ",
        "spec.receiveInterval: ",
    ] {
        wait_logged(&speaker, field)?;
    }
    wait_logged(&speaker, "\"ready\"")
}

/// How long it takes is reported, not judged: it depends on the machine. `$CORTEN_SERVICES` asks
/// for another number of them.
fn many_services_are_served() -> Result<()> {
    let count = match std::env::var("CORTEN_SERVICES") {
        Ok(count) => count.parse()?,
        Err(_) => 300,
    };
    let cluster = setup::cluster()?;
    let client = cluster.client();
    client.apply(&custom(
        "IPAddressPool",
        "pool",
        "addresses: [198.18.0.0/20]",
    ))?;
    let all: String = (0..count)
        .map(|i| service(&format!("web{i}"), "", ""))
        .collect();
    client.create_all(&all)?;
    let start = Instant::now();
    let controller = setup::controller(&cluster)?;
    let mut served = BTreeSet::new();
    client.watch_until(Kind::Service, "default", DEADLINE, move |service| {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        if !addresses(service).is_empty() {
            served.insert(name.to_owned());
        }
        served.len() == count
    })?;
    println!(
        "    {count} waiting Services had addresses after {:.1} s",
        start.elapsed().as_secs_f32()
    );
    println!(
        "    controller: {} KiB resident",
        controller.resident_kib()?
    );
    let services = client.list(Kind::Service, "default")?;
    let distinct: BTreeSet<_> = services.iter().flat_map(addresses).collect();
    ensure!(distinct.len() == count, "{} addresses", distinct.len());
    Ok(())
}
