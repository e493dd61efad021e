//! Corten in a cluster: its definitions, roles and processes.

use super::{Client, Kubernetes};
use crate::corten;
use crate::netns::Netns;
use crate::process::Process;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Namespace of the metallb.io objects.
pub const NAMESPACE: &str = "metallb-system";

/// A file of the manifests users apply.
///
/// # Errors
/// If there is none of that name.
pub fn deployed(file: &str) -> Result<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes");
    std::fs::read_to_string(dir.join(file)).with_context(|| file.to_owned())
}

/// What `corten crds` says.
///
/// # Errors
/// If it fails.
pub fn definitions() -> Result<String> {
    let crds = corten::command(&["crds"])?;
    ensure!(crds.status.success(), "{crds:?}");
    Ok(String::from_utf8(crds.stdout)?)
}

/// Applies the namespace, the roles and the definitions.
///
/// # Errors
/// If something is refused.
pub fn install(client: &Client) -> Result<()> {
    for file in ["namespace.yaml", "rbac.yaml"] {
        client.apply(&deployed(file)?)?;
    }
    client.apply_crds(&definitions()?)
}

/// Starts a component with these flags, under its own ServiceAccount.
///
/// # Errors
/// If there is no binary, or no token.
pub fn start(cluster: &Kubernetes, ns: &Netns, component: &str, flags: &[&str]) -> Result<Process> {
    let account = cluster.service_account(NAMESPACE, component)?;
    start_as(&account, ns, component, flags)
}

/// Starts a component with these flags that finds its way in by a kubeconfig.
///
/// # Errors
/// If there is no binary.
pub fn start_as(kubeconfig: &Path, ns: &Netns, component: &str, flags: &[&str]) -> Result<Process> {
    let kubeconfig = format!("KUBECONFIG={}", kubeconfig.display());
    let program = corten::binary()?.display().to_string();
    let mut args = vec![kubeconfig, program, component.to_owned()];
    args.push(format!("--namespace={NAMESPACE}"));
    args.extend(flags.iter().map(ToString::to_string));
    ns.spawn(component, "env", &args)
}

/// The addresses in a Service's status.
#[must_use]
pub fn addresses(service: &serde_json::Value) -> Vec<String> {
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
    let entries = ingress.into_iter().flatten();
    entries
        .filter_map(|e| Some(e["ip"].as_str()?.to_owned()))
        .collect()
}
