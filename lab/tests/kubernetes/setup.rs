//! A cluster with Corten's definitions in it, and Corten's processes beside it.

use crate::objects::NAMESPACE;
use anyhow::{Context, Result, ensure};
use corten_lab::corten;
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// When to give up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster with the definitions and the namespace of the metallb.io objects.
pub(crate) fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start()?;
    let client = cluster.client();
    for file in ["namespace.yaml", "rbac.yaml"] {
        client.apply(&deployed(file)?)?;
    }
    client.apply_crds(&definitions()?)?;
    Ok(cluster)
}

/// A file of the manifests users apply.
pub(crate) fn deployed(file: &str) -> Result<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes");
    std::fs::read_to_string(dir.join(file)).with_context(|| file.to_owned())
}

/// What `corten crds` says.
pub(crate) fn definitions() -> Result<String> {
    let crds = corten::command(&["crds"])?;
    ensure!(crds.status.success(), "{crds:?}");
    Ok(String::from_utf8(crds.stdout)?)
}

/// Starts a component with these flags, under its own ServiceAccount.
pub(crate) fn start(
    cluster: &Kubernetes,
    ns: &Netns,
    component: &str,
    flags: &[&str],
) -> Result<Process> {
    let account = cluster.service_account(NAMESPACE, component)?;
    start_as(&account, ns, component, flags)
}

/// Starts a component with these flags that finds its way in by a kubeconfig.
pub(crate) fn start_as(
    kubeconfig: &Path,
    ns: &Netns,
    component: &str,
    flags: &[&str],
) -> Result<Process> {
    let kubeconfig = format!("KUBECONFIG={}", kubeconfig.display());
    let program = corten::binary()?.display().to_string();
    let mut args = vec![kubeconfig, program, component.to_owned()];
    args.push(format!("--namespace={NAMESPACE}"));
    args.extend(flags.iter().map(ToString::to_string));
    ns.spawn(component, "env", &args)
}

/// Starts a controller beside the API server.
pub(crate) fn controller(cluster: &Kubernetes) -> Result<Process> {
    start(cluster, cluster.netns(), "controller", &[])
}

/// Waits until what is asked of the cluster is as wanted.
pub(crate) fn wait<T>(
    process: &mut Process,
    what: &str,
    mut wanted: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    wait_until(what, DEADLINE, || {
        if let Some(status) = process.ended()? {
            anyhow::bail!("{} ended: {status}", process.label());
        }
        wanted()
    })
    .with_context(|| {
        format!(
            "{} logged:\n  {}",
            process.label(),
            process.log().join("\n  ")
        )
    })
}

/// The addresses in a Service's status.
pub(crate) fn addresses(service: &Value) -> Vec<String> {
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
    let entries = ingress.into_iter().flatten();
    entries
        .filter_map(|e| Some(e["ip"].as_str()?.to_owned()))
        .collect()
}

/// Waits until a Service of namespace `default` has just these addresses.
pub(crate) fn wait_addresses(
    client: &Client,
    process: &mut Process,
    service: &str,
    wanted: &[&str],
) -> Result<Value> {
    let mut last = Vec::new();
    let found = wait(process, &format!("{wanted:?} for {service}"), || {
        let object = client.get(Kind::Service, "default", service)?;
        let object = object.with_context(|| format!("no Service {service}"))?;
        last = addresses(&object);
        Ok((last == wanted).then_some(object))
    });
    found.with_context(|| format!("{service} has {last:?}"))
}
