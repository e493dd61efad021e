use super::{Unassigned, put, read};
use corten_engine::event::Assignment;
use corten_engine::names::ServiceKey;
use kube::api::DynamicObject;
use serde_json::{Value, json};

const POOL: &str = "metallb.io/ip-allocated-from-pool";

fn service(annotations: Value, status: Value) -> DynamicObject {
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "annotations": annotations,
            "labels": {"app": "web"}, "resourceVersion": "5"},
        "spec": {"type": "LoadBalancer"},
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn assignment(ips: &[&str], pool: Option<&str>) -> Assignment {
    Assignment {
        ingress: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        pool: pool.map(Into::into),
    }
}

/// What an assignment makes of a Service: annotations and load balancer, or nothing to write.
fn check(
    annotations: Value,
    status: Value,
    ips: &[&str],
    pool: Option<&str>,
    expected: Option<(Value, Value)>,
) {
    let mut object = service(annotations, status);
    let changed = put(&mut object, &assignment(ips, pool));
    let found = changed.then(|| {
        let annotations = object.metadata.annotations.clone().unwrap_or_default();
        (
            json!(annotations),
            object.data["status"]["loadBalancer"].clone(),
        )
    });
    assert_eq!(found, expected);
    assert_eq!(
        object.metadata.resource_version.as_deref(),
        Some("5"),
        "no change is overwritten"
    );
    assert_eq!(
        object.metadata.labels.unwrap_or_default().len(),
        1,
        "labels stay"
    );
}

#[test]
fn status_and_annotation_are_written_together() {
    let ingress = json!({"ingress": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]});
    let expected = Some((json!({"a": "b", POOL: "p"}), ingress));
    check(
        json!({"a": "b"}),
        json!({}),
        &["192.0.2.1", "2001:db8::1"],
        Some("p"),
        expected,
    );
}

#[test]
fn what_stands_is_not_written_again() {
    // The server adds ipMode to what was written.
    let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}});
    check(
        json!({POOL: "p"}),
        status.clone(),
        &["192.0.2.1"],
        Some("p"),
        None,
    );
    check(json!({}), json!({"loadBalancer": {}}), &[], None, None);
    let moved = Some((
        json!({POOL: "q"}),
        json!({"ingress": [{"ip": "192.0.2.1"}]}),
    ));
    check(json!({POOL: "p"}), status, &["192.0.2.1"], Some("q"), moved);
}

#[test]
fn clearing_takes_the_annotation_away() {
    let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    check(
        json!({POOL: "p"}),
        status,
        &[],
        None,
        Some((json!({}), json!({}))),
    );
}

#[test]
fn the_entries_of_others_are_replaced() {
    let status =
        json!({"loadBalancer": {"ingress": [{"hostname": "elsewhere"}]}, "conditions": []});
    let expected = Some((
        json!({POOL: "p"}),
        json!({"ingress": [{"ip": "192.0.2.1"}]}),
    ));
    check(json!({}), status, &["192.0.2.1"], Some("p"), expected);
}

/// Whether a Service is kept as it is shown.
fn check_kept(service: &Value, kept: bool) {
    let key = ServiceKey::new("default", "web");
    let mut unassigned = Unassigned::default();
    let before = json!({"metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}},
        "spec": {"type": "LoadBalancer"}});
    for object in [&before, service] {
        unassigned.see(&serde_json::from_value(object.clone()).unwrap());
    }
    let assign = unassigned.assign(&key, assignment(&["192.0.2.1"], Some("p")));
    let shown = assign.shown.as_deref().and_then(read);
    let shown =
        shown.map(|object| json!({"metadata": object.metadata, "spec": object.data["spec"]}));
    let expected = kept.then(|| json!({"metadata": service["metadata"], "spec": service["spec"]}));
    assert_eq!(shown, expected, "{service}");
    let again = unassigned.assign(&key, assignment(&[], None));
    assert!(again.shown.is_none(), "what is written once is old");
}

#[test]
fn a_service_without_address_is_written_as_it_was_shown() {
    let service = |kind: &str, status: Value| {
        json!({"metadata": {"name": "web", "namespace": "default", "resourceVersion": "7",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"type": kind, "ports": [{"port": 80}]}, "status": status})
    };
    check_kept(&service("LoadBalancer", json!({"loadBalancer": {}})), true);
    check_kept(&service("LoadBalancer", Value::Null), true);
    let assigned = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    check_kept(&service("LoadBalancer", assigned), false);
    check_kept(&service("ClusterIP", json!({})), false);
}
