//! The real helm, and what it renders.

use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Kubernetes, binary};
use corten_lab::stage;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// Namespace of the releases.
pub(crate) const NAMESPACE: &str = "metallb-system";

/// The chart.
pub(crate) fn chart() -> PathBuf {
    repository().join("charts/corten")
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What helm says when it does as told, without a cluster.
///
/// # Errors
/// With what it says when it doesn't.
pub(crate) fn helm(args: &[&str]) -> Result<String> {
    let home = stage::scratch()?.join("helm");
    let mut command = Command::new(binary("helm")?);
    command.args(args).env_remove("KUBECONFIG");
    for kind in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{kind}_HOME"), &home);
    }
    let output = command.output().context("helm")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "helm {args:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What helm says when it does as told with a cluster.
///
/// # Errors
/// With what it says when it doesn't.
pub(crate) fn helm_on(cluster: &Kubernetes, args: &[&str]) -> Result<String> {
    let kubeconfig = format!("KUBECONFIG={}", cluster.administrator()?.display());
    let home = stage::scratch()?.join("helm");
    let home = ["CACHE", "CONFIG", "DATA"].map(|k| format!("HELM_{k}_HOME={}", home.display()));
    let program = binary("helm")?;
    let mut all = vec![kubeconfig.as_str()];
    all.extend(home.iter().map(String::as_str));
    all.extend([program.as_str(), "--namespace", NAMESPACE]);
    all.extend(args);
    cluster.netns().output("env", &all)
}

/// The objects a release called `release` consists of, with these values beside the defaults
/// (YAML).
pub(crate) fn rendered(release: &str, values: &str) -> Result<Vec<Value>> {
    // Trials run beside each other.
    let file = NamedTempFile::new_in(stage::scratch()?)?;
    std::fs::write(file.path(), values)?;
    let (file, chart) = (file.path(), chart().display().to_string());
    let file = file.display().to_string();
    let args = ["template", release, &chart, "-n", NAMESPACE, "-f", &file];
    documents(&helm(&args).with_context(|| values.to_owned())?)
}

/// The objects of a YAML stream.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    let texts = text.split("\n---\n").map(|t| t.trim_start_matches("---\n"));
    let mut found = Vec::new();
    for text in texts {
        let value: Option<Value> = serde_saphyr::from_str(text).with_context(|| text.to_owned())?;
        found.extend(value.filter(|v| !v.is_null()));
    }
    Ok(found)
}

/// The object of that kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let found = objects
        .iter()
        .find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.with_context(|| format!("no {kind} {name}"))
}
