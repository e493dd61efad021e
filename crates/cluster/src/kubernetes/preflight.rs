//! What of a live MetalLB won't carry over to Corten, found without changing anything.
//!
//! A kind the cluster doesn't have holds nothing; one that can't be listed for another cause is an
//! error, as nothing is known of it then.

use super::kinds::api_resource;
use super::{CallError, Client, call};
use kube::api::{Api, DynamicObject, ListParams};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

/// Ports a speaker uses on its node: membership, metrics and health. Corten's default ports.
const PORTS: [u64; 3] = [7946, 9120, 17472];

/// Something that won't carry over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Kind, namespace and name.
    pub object: String,
    /// Why it won't.
    pub cause: String,
}

/// A kind that can't be listed.
#[derive(Debug, Error)]
#[error("{what} can't be listed: {cause}")]
pub struct PreflightError {
    what: &'static str,
    cause: String,
}

/// What a kind's objects are judged by: the object, and the namespace of MetalLB.
type Judge = fn(&Value, &str) -> Option<String>;

/// Kind, API group, version, plural, whether only MetalLB's namespace counts, and the judge.
const KINDS: [(&str, &str, &str, &str, bool, Judge); 6] = [
    ("ConfigMap", "", "v1", "configmaps", true, config_map),
    (
        "FRRConfiguration",
        "frrk8s.metallb.io",
        "v1beta1",
        "frrconfigurations",
        false,
        frr_configuration,
    ),
    (
        "ServiceMonitor",
        "monitoring.coreos.com",
        "v1",
        "servicemonitors",
        false,
        monitoring,
    ),
    (
        "PodMonitor",
        "monitoring.coreos.com",
        "v1",
        "podmonitors",
        false,
        monitoring,
    ),
    (
        "PrometheusRule",
        "monitoring.coreos.com",
        "v1",
        "prometheusrules",
        false,
        monitoring,
    ),
    ("Pod", "", "v1", "pods", false, pod),
];

/// Looks for what won't carry over. `namespace` is MetalLB's.
///
/// # Errors
/// If a kind the cluster has can't be listed.
pub async fn preflight(client: &Client, namespace: &str) -> Result<Vec<Finding>, PreflightError> {
    let mut found = Vec::new();
    for (kind, group, version, plural, own, judge) in KINDS {
        let resource = api_resource(kind, group, version, plural);
        let api: Api<DynamicObject> = if own {
            Api::namespaced_with(client.clone(), namespace, &resource)
        } else {
            Api::all_with(client.clone(), &resource)
        };
        let objects = match call(api.list(&ListParams::default())).await {
            Ok(list) => list.items,
            Err(error) if error.code() == Some(404) => continue,
            Err(error) => return Err(failed(plural, &error)),
        };
        for object in objects {
            let name = object.metadata.name.clone().unwrap_or_default();
            let home = object.metadata.namespace.clone().unwrap_or_default();
            let json = serde_json::to_value(object).unwrap_or_default();
            found.extend(judge(&json, namespace).map(|cause| Finding {
                object: format!("{kind} {home}/{name}"),
                cause,
            }));
        }
    }
    Ok(found)
}

fn failed(what: &'static str, error: &CallError) -> PreflightError {
    PreflightError {
        what,
        cause: error.to_string(),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Text for FRR (`spec/metallb.md` §6.5).
fn config_map(object: &Value, _: &str) -> Option<String> {
    let extras = text(object, "/metadata/name") == "bgpextras"
        && !text(object, "/data/extras").trim().is_empty();
    extras.then(|| "is configuration for FRR, and there is no FRR".to_owned())
}

/// MetalLB's own are named after the node they are for (`spec/metallb.md` §6.6).
fn frr_configuration(object: &Value, _: &str) -> Option<String> {
    let node = text(
        object,
        "/spec/nodeSelector/matchLabels/kubernetes.io~1hostname",
    );
    let ours = text(object, "/metadata/name").strip_prefix("metallb-") == Some(node);
    (!ours || node.is_empty())
        .then(|| "isn't MetalLB's: it needs frr-k8s, as a release of its own".to_owned())
}

/// Metrics that frr-k8s has and Corten doesn't (`spec/metallb.md` §6.10).
fn monitoring(object: &Value, _: &str) -> Option<String> {
    let named = object
        .get("spec")
        .is_some_and(|s| s.to_string().contains("frrk8s_"));
    named.then(|| "uses metrics of frr-k8s (frrk8s_…): use metallb_bgp_…".to_owned())
}

/// Whether a pod is a component of MetalLB's: by its manifests' label or its chart's.
fn is_metallbs(pod: &Value, namespace: &str) -> bool {
    text(pod, "/metadata/namespace") == namespace
        && (text(pod, "/metadata/labels/app") == "metallb"
            || matches!(
                text(pod, "/metadata/labels/app.kubernetes.io~1component"),
                "controller" | "speaker"
            ))
}

/// Others on a node's own ports.
fn pod(object: &Value, namespace: &str) -> Option<String> {
    if is_metallbs(object, namespace) {
        return None;
    }
    let on_host = object.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
    let containers = object.pointer("/spec/containers")?.as_array()?;
    let ports = containers.iter().filter_map(|c| c.get("ports")?.as_array());
    let taken = ports.flatten().filter_map(|port| {
        let key = if on_host { "containerPort" } else { "hostPort" };
        port.get(key)?.as_u64().filter(|p| PORTS.contains(p))
    });
    let mut taken: Vec<u64> = taken.collect();
    taken.sort_unstable();
    taken.dedup();
    let taken: Vec<String> = taken.iter().map(u64::to_string).collect();
    (!taken.is_empty()).then(|| {
        let node = text(object, "/spec/nodeName");
        let taken = taken.join(", ");
        format!("has port {taken} of node {node:?}, which the speaker uses")
    })
}

#[cfg(test)]
mod tests;
