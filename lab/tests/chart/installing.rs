//! A release of the chart on a real API server: installed, upgraded, rolled back and uninstalled,
//! with both components running as it says, under its accounts.

use crate::helm::{NAMESPACE, chart, helm_on, rendered};
use crate::running::Container;
use crate::values;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::stage;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::{Plan, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[("a_release_comes_and_goes", a_release_comes_and_goes)];

/// When to give up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Kind and name of every metallb.io object.
pub(crate) fn custom_objects(client: &Client) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for kind in [
        Kind::IPAddressPool,
        Kind::L2Advertisement,
        Kind::BGPAdvertisement,
        Kind::BGPPeer,
        Kind::BFDProfile,
        Kind::Community,
        Kind::ServiceL2Status,
        Kind::ServiceBGPStatus,
        Kind::ConfigurationState,
    ] {
        for object in client.list(kind, NAMESPACE)? {
            found.insert(format!("{kind:?} {}", object["metadata"]["name"]));
        }
    }
    Ok(found)
}

/// A namespace for the release, and where users keep their objects.
pub(crate) fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start()?;
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    cluster.client().apply(&namespace)?;
    Ok(cluster)
}

/// One of a component's pods, which the chart says how to run.
fn start(
    cluster: &Kubernetes,
    ns: &Netns,
    component: &str,
    facts: &[(&str, &str)],
) -> Result<Process> {
    let account = format!("metallb-{component}");
    let pod = facts[0].1;
    cluster.client().apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {pod}\n  namespace: {NAMESPACE}\n  labels:\n    \
         app.kubernetes.io/name: metallb\n    app.kubernetes.io/instance: metallb\n    \
         app.kubernetes.io/component: {component}\n\
         spec: {{serviceAccountName: {account}, automountServiceAccountToken: false, \
         containers: [{{name: {component}, image: corten}}]}}\n"
    ))?;
    let objects = rendered("metallb", "")?;
    let container = Container::of(&objects, component, facts)?;
    let account = cluster.service_account(NAMESPACE, &account)?;
    let root = stage::scratch()?.join(pod);
    let mut line = container.command_line(&account, &root)?;
    // What the file of the pod's ServiceAccount says in a cluster.
    line.push(format!("--namespace={NAMESPACE}"));
    ns.spawn(component, "env", &line)
}

fn custom(kind: &str, version: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// One of each kind users write.
pub(crate) fn samples() -> String {
    [
        custom(
            "IPAddressPool",
            "v1beta1",
            "pool",
            "addresses: [192.0.2.0/28]",
        ),
        custom("L2Advertisement", "v1beta1", "l2", ""),
        custom(
            "BGPAdvertisement",
            "v1beta1",
            "bgp",
            "aggregationLength: 32",
        ),
        custom("BFDProfile", "v1beta1", "fast", "receiveInterval: 300"),
        custom(
            "Community",
            "v1beta1",
            "aliases",
            "communities: [{name: a, value: \"64512:1\"}]",
        ),
        custom(
            "BGPPeer",
            "v1beta2",
            "router",
            "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.99",
        ),
    ]
    .concat()
}

fn service(client: &Client) -> Result<Value> {
    let found = client.get(Kind::Service, "default", "web")?;
    found.context("no Service")
}

fn address(service: &Value) -> Option<String> {
    let ip = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
    Some(ip.as_str()?.to_owned())
}

/// Authorities the API server asks the webhooks with.
fn authorities(client: &Client) -> Result<Vec<Value>> {
    let name = "metallb-webhook-configuration";
    let found = client.get(Kind::ValidatingWebhookConfiguration, "", name)?;
    let found = found.context("no configuration of webhooks")?;
    let webhooks = found["webhooks"].as_array().into_iter().flatten();
    let mut all: Vec<Value> = webhooks
        .map(|w| w["clientConfig"]["caBundle"].clone())
        .collect();
    let peers = client.get(Kind::CustomResourceDefinition, "", "bgppeers.metallb.io")?;
    let conversion = &peers.context("no BGPPeers")?["spec"]["conversion"];
    all.push(conversion["webhook"]["clientConfig"]["caBundle"].clone());
    Ok(all)
}

/// The arguments a live controller would be started with.
fn live_arguments(client: &Client) -> Result<Value> {
    let found = client.get(Kind::Deployment, NAMESPACE, "metallb-controller")?;
    let found = found.context("no Deployment")?;
    Ok(found["spec"]["template"]["spec"]["containers"][0]["args"].clone())
}

/// Has the chart say what it doesn't honour.
fn ignored_values_are_named(cluster: &Kubernetes) -> Result<()> {
    let mut all = json!({});
    let ignored = values::without_effect();
    for (path, other) in &ignored {
        all = values::with(all, path, other)?;
    }
    let file = stage::scratch()?.join("ignored.json");
    std::fs::write(&file, all.to_string())?;
    let (chart, file) = (chart().display().to_string(), file.display().to_string());
    let dry = ["install", "dry", &chart, "--dry-run=client"];
    let notes = |more: &[&str]| -> Result<String> {
        let said = helm_on(cluster, &[&dry, more].concat())?;
        let (_, notes) = said.split_once("NOTES:").context("no notes")?;
        Ok(notes.to_owned())
    };
    let said = notes(&["-f", &file])?;
    let (_, listed) = said
        .split_once("have no effect:")
        .context("nothing is named")?;
    for (path, _) in ignored {
        let named = |line: &str| !line.is_empty() && path.starts_with(line.trim());
        ensure!(listed.lines().any(named), "{path} isn't named: {said}");
    }
    for mode in ["speaker.frr.enabled=true", "frrk8s.enabled=true"] {
        let said = notes(&["--set", mode])?;
        ensure!(said.contains("have no effect:"), "{mode}: {said}");
    }
    let said = notes(&[])?;
    ensure!(!said.contains("have no effect:"), "{said}");
    Ok(())
}

/// Waits until the controller gave the Service an address and the speaker announces it.
fn wait_announced(client: &Client, processes: &[&Process]) -> Result<String> {
    let story = || {
        let logs = processes.iter().map(|p| p.log().join("\n  "));
        logs.collect::<Vec<_>>().join("\n---\n  ")
    };
    wait_until("an announced address", DEADLINE, || {
        let statuses = client.list(Kind::ServiceL2Status, NAMESPACE)?;
        let announced = statuses.iter().any(|s| s["status"]["serviceName"] == "web");
        Ok(address(&service(client)?).filter(|_| announced))
    })
    .with_context(story)
}

/// Puts the speakers' key where the kubelet mounts it, once the controller made it.
fn mount_key(client: &Client) -> Result<()> {
    let key = wait_until("the speakers' key", DEADLINE, || {
        client.get(Kind::Secret, NAMESPACE, "metallb-memberlist")
    })?;
    let key = key["data"]["secretkey"].as_str().context("no key")?;
    let mounted = stage::scratch()?.join("speaker-1/etc/ml_secret_key");
    std::fs::create_dir_all(&mounted)?;
    std::fs::write(mounted.join("secretkey"), STANDARD.decode(key)?)?;
    Ok(())
}

fn a_release_comes_and_goes() -> Result<()> {
    let world = World::build(&Plan::default())?;
    let cluster = cluster()?;
    let client = cluster.client();
    ignored_values_are_named(&cluster)?;
    let chart = chart().display().to_string();
    helm_on(&cluster, &["install", "metallb", &chart])?;
    client.wait_bindings(NAMESPACE)?;

    let node = world.node(0)?;
    client.apply(&format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: {0}}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: default}}\n\
         spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: web-1, namespace: default, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: IPv4\nports: [{{name: \"\", port: 80}}]\n\
         endpoints: [{{addresses: [10.244.0.1], conditions: {{ready: true}}, nodeName: {0}}}]\n",
        node.name
    ))?;
    let facts = [("metadata.name", "controller-1")];
    let controller = start(&cluster, cluster.netns(), "controller", &facts)?;
    cluster.proxy(NAMESPACE, "metallb-webhook-service", 443, 9443)?;
    wait_until("objects that pass the webhooks", DEADLINE, || {
        Ok(client.apply(&samples()).ok())
    })
    .with_context(|| controller.log().join("\n  "))?;
    let _relay = cluster.relay_to(&node.ns)?;
    let ip = node.nics.first().context("no interface")?.ipv4.to_string();
    let facts = [
        ("metadata.name", "speaker-1"),
        ("spec.nodeName", node.name.as_str()),
        ("status.podIP", &ip),
        ("status.hostIP", &ip),
    ];
    mount_key(client)?;
    let speaker = start(&cluster, &node.ns, "speaker", &facts)?;
    let given = wait_announced(client, &[&controller, &speaker])?;
    let before = custom_objects(client)?;
    let trusted = wait_until("the authority in all that is asked", DEADLINE, || {
        let found = authorities(client)?;
        Ok(found.iter().all(Value::is_string).then_some(found))
    })?;

    // Nothing is lost on the way there, back, and out.
    let arguments = live_arguments(client)?;
    let changed = ["controller.logLevel=debug", "speaker.labels.tier=edge"];
    let changed = format!("{},{}", changed[0], changed[1]);
    let unchanged = |when: &str| -> Result<()> {
        let now = custom_objects(client)?;
        let lost: Vec<_> = before.difference(&now).collect();
        ensure!(lost.is_empty(), "{when}: lost {lost:?}");
        let now = address(&service(client)?);
        ensure!(now.as_ref() == Some(&given), "{when}: {now:?}");
        Ok(())
    };
    helm_on(&cluster, &["upgrade", "metallb", &chart, "--set", &changed])?;
    unchanged("upgrade")?;
    let now = live_arguments(client)?;
    ensure!(now.to_string().contains("--log-level=debug"), "{now}");
    ensure!(
        authorities(client)? == trusted,
        "authorities after the upgrade"
    );
    helm_on(&cluster, &["rollback", "metallb", "1"])?;
    unchanged("rollback")?;
    ensure!(live_arguments(client)? == arguments, "rolled back");
    ensure!(
        authorities(client)? == trusted,
        "authorities after the rollback"
    );
    for account in ["metallb-controller", "metallb-speaker"] {
        for request in cluster.requests(NAMESPACE, account)? {
            ensure!(request.code != 403, "{account} was refused: {request:?}");
        }
    }
    drop((controller, speaker));
    helm_on(&cluster, &["uninstall", "metallb"])?;
    unchanged("uninstall")?;
    let left = client.get(Kind::Deployment, NAMESPACE, "metallb-controller")?;
    ensure!(left.is_none(), "{left:?}");
    Ok(())
}
