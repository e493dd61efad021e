//! A controller that isn't the only one: it waits for those that were there before it.
//!
//! Two that give out addresses at once may give one address to two Services, and MetalLB's
//! controller takes no Lease. So whoever starts looks for older pods with its own labels.

use super::{CallError, call};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use std::time::Duration;
use tokio::time::Instant;

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// How often to say that there is somebody, and when an event says so.
const COMPLAINT: Duration = Duration::from_secs(60);
/// Labels by which manifests and charts tell a controller's pods.
const LABELS: [&str; 5] = [
    "app",
    "component",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
];
/// How a pod is told to take the [Lease](super::leader).
const LEADER_FLAG: &str = "leader-elect";
const LEADER_VARIABLE: &str = "CORTEN_LEADER_ELECT";

/// Which older controllers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rivals {
    /// All.
    All,
    /// Those that take no Lease; among the others, it decides.
    WithoutLease,
}

/// Waits until no older pod with this one's labels runs. Without the name of a pod there is
/// nothing to tell by, and no wait. After a minute an event of this pod says what it waits for.
/// Nothing is lost if the future is dropped.
pub async fn alone(client: Client, namespace: &str, pod: &str, rivals: Rivals) {
    if pod.is_empty() {
        return;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let events: Api<Event> = Api::namespaced(client, namespace);
    let began = Instant::now();
    let mut said: Option<Instant> = None;
    let mut told = false;
    loop {
        let (why, own) = match call(older(&pods, pod, rivals)).await {
            Ok(None) => return,
            Ok(Some((own, other))) => {
                let why = format!("another controller runs: pod {other}");
                (why, Some(own))
            }
            Err(error) => {
                let why = format!("whether another controller runs can't be told: {error}");
                (why, None)
            }
        };
        let now = Instant::now();
        if said.is_none_or(|at| now >= at + COMPLAINT) {
            said = Some(now);
            tracing::warn!("nothing is written yet: {why}");
        }
        if let Some(own) = own.filter(|_| !told && now >= began + COMPLAINT) {
            match tell(&events, &own, &why).await {
                Ok(()) => told = true,
                Err(error) => tracing::debug!(%error, "the event isn't written yet"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says in an event of the pod what it waits for.
async fn tell(events: &Api<Event>, pod: &Pod, why: &str) -> Result<(), CallError> {
    let ObjectMeta {
        name,
        namespace,
        uid,
        ..
    } = pod.metadata.clone();
    let now = Timestamp::now();
    let component = "metallb-controller".to_owned();
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!(
                "{}.{:x}",
                name.as_deref().unwrap_or_default(),
                now.as_nanosecond().unsigned_abs()
            )),
            namespace: namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name,
            namespace,
            uid,
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some("WaitingForController".to_owned()),
        message: Some(format!("No Service is given an address yet: {why}")),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource {
            component: Some(component.clone()),
            host: None,
        }),
        reporting_component: Some(component),
        reporting_instance: Some(String::new()),
        ..Event::default()
    };
    call(events.create(&PostParams::default(), &event)).await?;
    Ok(())
}

/// This pod, and the name of an older one of the same labels that runs.
async fn older(
    api: &Api<Pod>,
    own: &str,
    rivals: Rivals,
) -> Result<Option<(Pod, String)>, kube::Error> {
    let Some(pod) = api.get_opt(own).await? else {
        return Ok(None);
    };
    let Some(selector) = selector(&pod) else {
        return Ok(None);
    };
    let list = api.list(&ListParams::default().labels(&selector)).await?;
    let is_rival = |other: &Pod| match rivals {
        Rivals::All => true,
        Rivals::WithoutLease => !takes_lease(other),
    };
    let older = list
        .items
        .iter()
        .find(|other| is_running(other) && is_rival(other) && age(other) < age(&pod));
    let older = older.and_then(|other| other.metadata.name.clone());
    Ok(older.map(|older| (pod, older)))
}

/// Whether a pod's containers say that it takes part in the election by Lease.
fn takes_lease(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut containers = containers.map(|container| {
        let flags = container.args.iter().chain(&container.command).flatten();
        let mut values = flags.filter_map(|flag| {
            let flag = flag.trim_start_matches('-').strip_prefix(LEADER_FLAG)?;
            match flag {
                "" => Some(true),
                flag => Some(flag.strip_prefix('=')? == "true"),
            }
        });
        let variables = container.env.iter().flatten();
        let mut variables = variables.filter(|v| v.name == LEADER_VARIABLE);
        let by_variable = || variables.any(|v| v.value.as_deref() == Some("true"));
        values.next().unwrap_or_else(by_variable)
    });
    containers.any(|takes| takes)
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
fn age(pod: &Pod) -> (Option<Timestamp>, Option<&String>) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, pod.metadata.name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::{Rivals, age, alone, is_running, selector, takes_lease};
    use http_body_util::BodyExt as _;
    use k8s_openapi::api::core::v1::Pod;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

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

    #[test]
    fn who_takes_the_lease_is_told_by_flag_or_variable() {
        let check = |args: Value, env: Value, expected: bool| {
            let containers = json!([{"name": "c", "args": args, "env": env}]);
            let object = json!({"metadata": {}, "spec": {"containers": containers}});
            let pod: Pod = serde_json::from_value(object).unwrap();
            assert_eq!(takes_lease(&pod), expected, "{pod:?}");
        };
        let variable = |value: &str| json!([{"name": "CORTEN_LEADER_ELECT", "value": value}]);
        check(json!(["--port=1"]), json!([]), false);
        check(json!(["--port=1", "--leader-elect"]), json!([]), true);
        check(json!(["-leader-elect=true"]), json!([]), true);
        check(json!(["--leader-elect=false"]), variable("true"), false);
        check(
            json!(["--leader-elect-lease-duration=5s"]),
            json!([]),
            false,
        );
        check(json!([]), variable("true"), true);
        check(json!([]), variable("false"), false);
    }

    /// An API server with two pods, and the events it was given.
    fn server(old: Value, events: &Arc<Mutex<Vec<Value>>>) -> Client {
        let own = json!({"metadata": {"name": "new", "namespace": "metallb-system", "uid": "u",
            "creationTimestamp": "2026-01-02T00:00:00Z", "labels": {"app": "metallb"}}});
        let events = Arc::clone(events);
        let service = tower::service_fn(move |request: hyper::Request<Body>| {
            let path = request.uri().path().to_owned();
            let (own, old, events) = (own.clone(), old.clone(), Arc::clone(&events));
            async move {
                let said = if path.ends_with("/pods/new") {
                    own
                } else if path.ends_with("/pods") {
                    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {},
                        "items": [old, own]})
                } else {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let event: Value = serde_json::from_slice(&body).unwrap();
                    events.lock().unwrap().push(event.clone());
                    event
                };
                let body = Body::from(said.to_string().into_bytes());
                Ok::<_, std::io::Error>(hyper::Response::new(body))
            }
        });
        Client::new(service, "metallb-system")
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_minute_an_event_says_what_is_waited_for() {
        let events = Arc::default();
        let mut old = json!({"metadata": {"name": "old", "labels": {"app": "metallb"},
            "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"},
            "spec": {"containers": [{"name": "c", "args": ["--leader-elect"]}]}});
        let waiting = alone(
            server(old.clone(), &events),
            "metallb-system",
            "new",
            Rivals::All,
        );
        tokio::pin!(waiting);
        let mut wait = async |seconds| {
            let limit = Duration::from_secs(seconds);
            let ended = tokio::time::timeout(limit, &mut waiting).await;
            assert!(ended.is_err(), "it isn't alone");
            events.lock().unwrap().clone()
        };
        assert_eq!(wait(59).await, Vec::<Value>::new());
        let said = wait(3).await;
        assert_eq!(said.len(), 1);
        assert_eq!(said[0]["reason"], "WaitingForController");
        assert_eq!(said[0]["involvedObject"]["uid"], "u");
        let message = said[0]["message"].as_str().unwrap();
        assert!(
            message.ends_with("another controller runs: pod old"),
            "{message}"
        );
        assert_eq!(wait(600).await.len(), 1, "said once");
        // The Lease decides between those that take it.
        let client = server(old.clone(), &events);
        alone(client, "metallb-system", "new", Rivals::WithoutLease).await;
        old["status"]["phase"] = json!("Succeeded");
        alone(server(old, &events), "metallb-system", "new", Rivals::All).await;
    }
}
