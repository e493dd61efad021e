//! Where other speakers may be: the addresses of their pods (`spec/metallb.md` §5.6).

use super::{CallError, call};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;
use std::net::IpAddr;
use thiserror::Error;

/// What a look for pods found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Addresses of those that have one.
    pub addresses: BTreeSet<IpAddr>,
    /// Whether some that may run have none yet.
    pub unaddressed: bool,
}

/// Why the pods couldn't be looked for.
#[derive(Debug, Error)]
#[error("the pods labelled {labels:?} can't be listed: {cause}")]
pub struct FindError {
    labels: String,
    cause: CallError,
}

/// Looks for the pods of a namespace with these labels, ended ones left out.
///
/// # Errors
/// If the API server refuses, or doesn't answer in time.
pub async fn pods(client: &Client, namespace: &str, labels: &str) -> Result<Pods, FindError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(labels);
    let list = call(api.list(&params)).await.map_err(|cause| FindError {
        labels: labels.to_owned(),
        cause,
    })?;
    Ok(addresses(&list.items))
}

fn addresses(pods: &[Pod]) -> Pods {
    let mut found = Pods::default();
    for status in pods.iter().filter_map(|pod| pod.status.as_ref()) {
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            continue;
        }
        match status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()) {
            Some(ip) => {
                found.addresses.insert(ip);
            }
            None => found.unaddressed = true,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Pods, addresses};
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    fn check(statuses: &[Value], ips: &[&str], unaddressed: bool) {
        let pod = |status: &Value| serde_json::from_value(json!({"status": status})).unwrap();
        let pods: Vec<Pod> = statuses.iter().map(pod).collect();
        let found = Pods {
            addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            unaddressed,
        };
        assert_eq!(addresses(&pods), found, "{statuses:?}");
    }

    #[test]
    fn pods_that_run_or_will_count() {
        let running = json!({"phase": "Running", "podIP": "192.0.2.1"});
        let other = json!({"phase": "Running", "podIP": "2001:db8::1"});
        let starting = json!({"phase": "Pending"});
        let evicted = json!({"phase": "Failed", "podIP": "192.0.2.9"});
        let done = json!({"phase": "Succeeded"});
        check(&[], &[], false);
        check(
            &[running.clone(), other],
            &["192.0.2.1", "2001:db8::1"],
            false,
        );
        check(&[running.clone(), starting], &["192.0.2.1"], true);
        check(&[running, evicted, done], &["192.0.2.1"], false);
    }
}
