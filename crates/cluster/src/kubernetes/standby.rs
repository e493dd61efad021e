//! A controller that isn't the only one: it waits for those that were there before it.
//!
//! Two that give out addresses at once may give one address to two Services, and MetalLB's
//! controller takes no Lease. So whoever starts looks for older pods with its own labels.

use super::call;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};
use std::time::Duration;
use tokio::time::Instant;

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// How often to say that there is somebody.
const COMPLAINT: Duration = Duration::from_secs(60);
/// Labels by which manifests and charts tell a controller's pods.
const LABELS: [&str; 5] = [
    "app",
    "component",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
];

/// Waits until no older pod with this one's labels runs. Without the name of a pod there is
/// nothing to tell by, and no wait. Nothing is lost if the future is dropped.
pub async fn alone(client: Client, namespace: &str, pod: &str) {
    if pod.is_empty() {
        return;
    }
    let api = Api::namespaced(client, namespace);
    let mut said: Option<Instant> = None;
    loop {
        let why = match call(older(&api, pod)).await {
            Ok(None) => return,
            Ok(Some(other)) => format!("another controller runs: pod {other}"),
            Err(error) => format!("whether another controller runs can't be told: {error}"),
        };
        if said.is_none_or(|at| at.elapsed() >= COMPLAINT) {
            said = Some(Instant::now());
            tracing::warn!("nothing is written yet: {why}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The name of an older pod of the same labels that runs.
async fn older(api: &Api<Pod>, own: &str) -> Result<Option<String>, kube::Error> {
    let Some(pod) = api.get_opt(own).await? else {
        return Ok(None);
    };
    let Some(selector) = selector(&pod) else {
        return Ok(None);
    };
    let list = api.list(&ListParams::default().labels(&selector)).await?;
    let older = list
        .items
        .iter()
        .find(|other| is_running(other) && age(other) < age(&pod));
    Ok(older.and_then(|other| other.metadata.name.clone()))
}

/// What selects the pod and those like it; none if it has none of the labels.
fn selector(pod: &Pod) -> Option<String> {
    let labels = pod.metadata.labels.as_ref()?;
    let known = LABELS
        .iter()
        .filter_map(|key| Some((key, labels.get(*key)?)));
    let terms: Vec<_> = known.map(|(key, value)| format!("{key}={value}")).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Also one that is about to end runs until it has ended.
fn is_running(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Running")
}

/// Oldest first; of two made in the same second, the one whose name comes first.
fn age(pod: &Pod) -> (Option<jiff::Timestamp>, Option<&String>) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, pod.metadata.name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::{age, is_running, selector};
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    fn pod(name: &str, created: &str, labels: &Value, phase: &str) -> Pod {
        let object = json!({
            "metadata": {"name": name, "creationTimestamp": created, "labels": labels},
            "status": {"phase": phase},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_older_goes_first_and_ties_are_broken_by_name() {
        let none = json!({});
        let old = pod("z", "2026-01-01T00:00:00Z", &none, "Running");
        let new = pod("a", "2026-01-01T00:00:01Z", &none, "Running");
        let twin = pod("b", "2026-01-01T00:00:01Z", &none, "Running");
        assert!(age(&old) < age(&new) && age(&new) < age(&twin));
    }

    #[test]
    fn pods_are_told_by_the_labels_of_manifests_and_charts() {
        let labels = json!({"app": "metallb", "component": "controller", "pod-template-hash": "x"});
        let ours = pod("a", "2026-01-01T00:00:00Z", &labels, "Running");
        assert_eq!(
            selector(&ours).as_deref(),
            Some("app=metallb,component=controller")
        );
        let none = pod(
            "a",
            "2026-01-01T00:00:00Z",
            &json!({"hash": "x"}),
            "Running",
        );
        assert_eq!(selector(&none), None);
    }

    #[test]
    fn one_that_has_ended_is_no_rival() {
        for (phase, expected) in [("Running", true), ("Succeeded", false), ("Pending", false)] {
            let pod = pod("a", "2026-01-01T00:00:00Z", &json!({}), phase);
            assert_eq!(is_running(&pod), expected, "{phase}");
        }
    }
}
