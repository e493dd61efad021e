//! The cluster all trials share: the chart is installed, and there are Services to reach.

use anyhow::{Context, Error, Result, anyhow, ensure};
use corten_lab::full::Cluster;
use corten_lab::http;
use corten_lab::kubernetes::{Client, Kind};
use corten_lab::wait::wait_until;
use corten_lab::world::Client as Machine;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Namespace of the release.
pub(crate) const NAMESPACE: &str = "metallb-system";

/// When to give up on what the cluster is to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// When a request is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Pods that say who they are, one a node, and Services of every family in front of them.
const WEB: &str = include_str!("web.yaml");

static SCENE: Mutex<Option<Cluster>> = Mutex::new(None);

/// Every Service's addresses.
pub(crate) type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// A path of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs a trial on the cluster, which is started if there is none. One that failed may have left
/// anything, so it is the last there.
pub(crate) fn on(trial: impl FnOnce(&mut Cluster) -> Result<()>) -> Result<()> {
    let mut scene = SCENE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cluster = match scene.take() {
        Some(cluster) => cluster,
        None => start()?,
    };
    trial(&mut cluster).map_err(|e| with_story(&e, &cluster))?;
    *scene = Some(cluster);
    Ok(())
}

/// Ends the cluster.
pub(crate) fn end() {
    drop(SCENE.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// A cluster without a release, with Corten's image on every node.
pub(crate) fn bare() -> Result<Cluster> {
    let cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_corten-runc")))?;
    for node in cluster.nodes() {
        node.install_corten()?;
    }
    Ok(cluster)
}

fn start() -> Result<Cluster> {
    let cluster = bare()?;
    let install = || {
        let chart = repository("charts/corten").display().to_string();
        let args = ["install", "metallb", &chart, "--create-namespace"];
        helm(&cluster, &args)?;
        rolled_out(&cluster)?;
        populate(&cluster)
    };
    install().map_err(|e| with_story(&e, &cluster))?;
    Ok(cluster)
}

/// Waits until every speaker is the new one, and ready: Helm is content when one of them isn't.
pub(crate) fn rolled_out(cluster: &Cluster) -> Result<()> {
    let set = "daemonset/metallb-speaker";
    let status = ["rollout", "status", set, "-n", NAMESPACE, "--timeout=3m"];
    cluster.kubernetes.kubectl(&status).map(drop)
}

/// Makes pools and Services, and waits until every one is reached.
pub(crate) fn populate(cluster: &Cluster) -> Result<()> {
    let client = cluster.kubernetes.client();
    wait_until("objects that pass the webhooks", DEADLINE, || {
        Ok(client.apply(WEB).ok())
    })
    .or_else(|_| client.apply(WEB))?;
    cluster
        .kubernetes
        .kubectl(&["rollout", "status", "daemonset/web", "--timeout=120s"])?;
    for (name, addresses) in addresses(client)? {
        for ip in addresses {
            wait_reached(cluster, ip).with_context(|| name.clone())?;
        }
    }
    Ok(())
}

/// What helm says to a command about the release; it waits until pods are ready.
pub(crate) fn helm(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let mut all = vec!["--namespace", NAMESPACE];
    all.extend(args);
    all.extend(["--wait", "--timeout", "3m"]);
    cluster.kubernetes.program("helm", &all)
}

/// Waits until every LoadBalancer Service has an address of each of its families, and gives them.
pub(crate) fn addresses(client: &Client) -> Result<Addresses> {
    wait_until("addresses of every Service", DEADLINE, || {
        let mut all = BTreeMap::new();
        for service in client.list(Kind::Service, "default")? {
            if service["spec"]["type"] != "LoadBalancer" {
                continue;
            }
            let given = ingress(&service)?;
            let families = service["spec"]["ipFamilies"].as_array();
            if given.len() != families.context("no families")?.len() {
                return Ok(None);
            }
            let name = service["metadata"]["name"].as_str().context("no name")?;
            all.insert(name.to_owned(), given);
        }
        ensure!(!all.is_empty(), "no Services");
        Ok(Some(all))
    })
}

/// Addresses in a Service's status.
pub(crate) fn ingress(service: &Value) -> Result<Vec<IpAddr>> {
    let given = service["status"]["loadBalancer"]["ingress"].as_array();
    let each = given.into_iter().flatten();
    each.map(|i| Ok(i["ip"].as_str().context("no address")?.parse()?))
        .collect()
}

/// The addresses of one Service.
pub(crate) fn addresses_of(client: &Client, name: &str) -> Result<Vec<IpAddr>> {
    let all = addresses(client)?;
    Ok(all.get(name).with_context(|| format!("no {name}"))?.clone())
}

/// What a page of a Service says to a machine.
pub(crate) fn page(asking: &Machine, ip: IpAddr, path: &str) -> Result<String> {
    let at = SocketAddr::new(ip, 80);
    asking.ns.run(|| http::page(at, path, PATIENCE))
}

/// Waits until the client reaches a pod at an address, and gives the pod's name.
pub(crate) fn wait_reached(cluster: &Cluster, ip: IpAddr) -> Result<String> {
    let mut last = None;
    wait_until(&format!("a pod behind {ip}"), DEADLINE, || {
        match page(&cluster.client, ip, "/hostname") {
            Ok(name) => Ok(Some(name)),
            Err(error) => {
                last = Some(format!("{error:#}"));
                Ok(None)
            }
        }
    })
    .with_context(|| last.unwrap_or_default())
}

/// The pods a page of which the client gets at an address, once all of `wanted` were among them.
pub(crate) fn wait_reached_all(
    asking: &Machine,
    ip: IpAddr,
    wanted: &BTreeSet<String>,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let end = Instant::now() + DEADLINE;
    while &seen != wanted {
        ensure!(Instant::now() < end, "{ip}: {seen:?}, not {wanted:?}");
        seen.insert(page(asking, ip, "/hostname")?);
    }
    Ok(())
}

/// The pods with a label: name to the whole object.
pub(crate) fn pods(
    client: &Client,
    namespace: &str,
    label: (&str, &str),
) -> Result<BTreeMap<String, Value>> {
    let all = client.list(Kind::Pod, namespace)?.into_iter();
    let some = all.filter(|p| p["metadata"]["labels"][label.0] == label.1);
    some.map(|pod| {
        let name = pod["metadata"]["name"].as_str().context("no name")?;
        Ok((name.to_owned(), pod))
    })
    .collect()
}

/// A failure, and what is to be known of it.
pub(crate) fn with_story(error: &Error, cluster: &Cluster) -> Error {
    anyhow!("{error:#}\n{}", story(cluster))
}

fn story(cluster: &Cluster) -> String {
    let kubectl = |args: &[&str]| {
        let said = cluster.kubernetes.kubectl(args);
        said.unwrap_or_else(|e| format!("{e:#}\n"))
    };
    let mut text = kubectl(&["get", "nodes,pods,services", "-A", "-o", "wide"]);
    text += &kubectl(&["get", "events", "-A", "--field-selector", "type!=Normal"]);
    for component in ["controller", "speaker"] {
        let label = format!("app.kubernetes.io/component={component}");
        text += &kubectl(&[
            "logs",
            "-n",
            NAMESPACE,
            "-l",
            &label,
            "--tail=12",
            "--prefix",
        ]);
    }
    let pods = cluster.kubernetes.client().list(Kind::Pod, NAMESPACE);
    for pod in pods.into_iter().flatten() {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        if pod["status"]["containerStatuses"][0]["restartCount"] != 0 {
            text += &kubectl(&["logs", "-n", NAMESPACE, name, "--previous", "--tail=12"]);
        }
    }
    let lines = text.lines().map(|l| l.chars().take(400));
    lines.flat_map(|l| l.chain(['\n'])).collect()
}
