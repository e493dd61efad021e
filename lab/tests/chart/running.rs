//! What the chart has its containers run is what the binary understands.

use crate::helm::{object, rendered};
use anyhow::{Context, Result, ensure};
use corten_lab::trial::Trial;
use corten_lab::{corten, stage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

pub(crate) const TRIALS: &[Trial] = &[("every_flag_is_known", every_flag_is_known)];

/// A component as the chart starts it.
#[derive(Debug)]
pub(crate) struct Container {
    /// Its name, which is its command's.
    pub(crate) component: String,
    args: Vec<String>,
    environment: BTreeMap<String, String>,
    mounts: Vec<String>,
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}

impl Container {
    /// The one of a component, among a release's objects. What it learns of its pod is in `facts`:
    /// field paths and their values.
    pub(crate) fn of(objects: &[Value], component: &str, facts: &[(&str, &str)]) -> Result<Self> {
        let kind = if component == "controller" {
            "Deployment"
        } else {
            "DaemonSet"
        };
        let found = object(objects, kind, &format!("metallb-{component}"))?;
        let container = &found["spec"]["template"]["spec"]["containers"][0];
        ensure!(container["name"] == component, "{container}");
        ensure!(
            container["command"] == serde_json::json!([format!("/{component}")]),
            "{container}"
        );
        Self::read(container, component, facts)
    }

    /// The one a pod's description has.
    pub(crate) fn read(container: &Value, component: &str, facts: &[(&str, &str)]) -> Result<Self> {
        let mut environment = BTreeMap::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                None => text(&variable["value"])?,
                Some(path) => {
                    let fact = facts.iter().find(|(known, _)| *known == path);
                    fact.with_context(|| format!("{path} isn't known"))?.1
                }
            };
            let name = text(&variable["name"])?.to_owned();
            ensure!(
                environment.insert(name, value.to_owned()).is_none(),
                "{variable}"
            );
        }
        let list = |value: &Value, key: &str| -> Result<Vec<String>> {
            let items = value.as_array().into_iter().flatten();
            let each = items.map(|i| if key.is_empty() { i } else { &i[key] });
            each.map(|i| Ok(text(i)?.to_owned())).collect()
        };
        Ok(Self {
            component: component.to_owned(),
            args: list(&container["args"], "")?,
            environment,
            mounts: list(&container["volumeMounts"], "mountPath")?,
        })
    }

    /// Its command line, to be run by `env`. What is mounted is below `root`.
    pub(crate) fn command_line(&self, kubeconfig: &Path, root: &Path) -> Result<Vec<String>> {
        let moved = |value: &String| {
            let mounted = self
                .mounts
                .iter()
                .any(|mount| value.starts_with(mount.as_str()));
            if mounted {
                format!("{}{value}", root.display())
            } else {
                value.clone()
            }
        };
        for mount in &self.mounts {
            std::fs::create_dir_all(root.join(mount.trim_start_matches('/')))?;
        }
        let mut line = vec![format!("KUBECONFIG={}", kubeconfig.display())];
        let variables = self.environment.iter();
        line.extend(variables.map(|(name, value)| format!("{name}={}", moved(value))));
        line.push(corten::binary()?.display().to_string());
        line.push(self.component.clone());
        line.extend(self.args.iter().cloned());
        Ok(line)
    }
}

/// What a container learns of its pod where nothing depends on it.
pub(crate) const FACTS: [(&str, &str); 4] = [
    ("metadata.name", "pod"),
    ("spec.nodeName", "node"),
    ("status.podIP", "127.0.0.1"),
    ("status.hostIP", "127.0.0.1"),
];

fn every_flag_is_known() -> Result<()> {
    let root = stage::scratch()?.join("container");
    for values in [
        "",
        "loadBalancerClass: example.com/lb\n\
         tls: {minVersion: VersionTLS12, curvePreferences: \"29,23\", \
         cipherSuites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}\n\
         prometheus: {metricsPort: 0}\n\
         controller: {webhookMode: onlywebhook, logLevel: none}\n\
         speaker: {ignoreExcludeLB: true, logLevel: all, secretName: other, ownership: sticky, \
         memberlist: {mlBindPort: 7947, mlBindAddrOverride: \"127.0.0.2\"}}\n\
         frrk8s: {enabled: true}",
        "controller: {webhookMode: disabled}\n\
         speaker: {memberlist: {enabled: false}, excludeInterfaces: {enabled: false}, \
         frr: {enabled: true}}",
    ] {
        let objects = rendered("metallb", values)?;
        for component in ["controller", "speaker"] {
            let mut container = Container::of(&objects, component, &FACTS)?;
            // Everything is understood before anything is connected to, and nothing is there.
            container.args.push("--namespace=metallb-system".to_owned());
            let line = container.command_line(Path::new("/nonexistent"), &root)?;
            let output = Command::new("env").args(&line).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            // 2 is what a command line that isn't understood ends with.
            ensure!(
                output.status.code() == Some(1) && said.contains("/nonexistent"),
                "{values}: {line:?}: {}: {said}",
                output.status
            );
            container.args.push("--no-such-flag".to_owned());
            let line = container.command_line(Path::new("/nonexistent"), &root)?;
            let output = Command::new("env").args(&line).output()?;
            ensure!(output.status.code() == Some(2), "{}", output.status);
        }
    }
    Ok(())
}
