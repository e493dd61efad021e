use super::*;
use serde_json::json;

const NAMESPACE: &str = "metallb-system";

/// Checks whether an object is found, and by what in its cause.
fn check(judge: Judge, object: &Value, expected: Option<&str>) {
    let found = judge(object, NAMESPACE);
    match expected {
        None => assert_eq!(found, None, "{object}"),
        Some(part) => assert!(
            found.as_deref().is_some_and(|cause| cause.contains(part)),
            "{object}: {found:?}"
        ),
    }
}

#[test]
fn config_maps() {
    let map = |name: &str, data: Value| json!({"metadata": {"name": name}, "data": data});
    for (object, expected) in [
        (
            map("bgpextras", json!({"extras": "log stdout"})),
            Some("FRR"),
        ),
        (map("bgpextras", json!({"extras": " \n"})), None),
        (map("bgpextras", json!({})), None),
        (map("other", json!({"extras": "log stdout"})), None),
        (map("metallb-excludel2", json!({})), None),
    ] {
        check(config_map, &object, expected);
    }
}

#[test]
fn configurations_of_frr() {
    let of = |name: &str, node: &str| {
        json!({
            "metadata": {"name": name},
            "spec": {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}},
        })
    };
    for (object, expected) in [
        (of("metallb-n1", "n1"), None),
        (of("metallb-n1", "n2"), Some("frr-k8s")),
        (of("mine", "n1"), Some("frr-k8s")),
        (of("metallb-", ""), Some("frr-k8s")),
        (json!({"metadata": {"name": "metallb-n1"}}), Some("frr-k8s")),
    ] {
        check(frr_configuration, &object, expected);
    }
}

#[test]
fn monitors_and_rules() {
    let rule = |expr: &str| json!({"spec": {"groups": [{"rules": [{"expr": expr}]}]}});
    check(
        monitoring,
        &rule("frrk8s_bgp_session_up == 0"),
        Some("metallb_bgp_"),
    );
    check(monitoring, &rule("metallb_bgp_session_up == 0"), None);
    check(monitoring, &json!({"metadata": {"name": "frrk8s_"}}), None);
}

#[test]
fn ports_of_nodes() {
    let pod_with = |labels: Value, host: bool, port: Value| {
        json!({
            "metadata": {"namespace": NAMESPACE, "labels": labels},
            "spec": {"hostNetwork": host, "nodeName": "n1", "containers": [{}, {"ports": [port]}]},
        })
    };
    let plain = json!({});
    let other = json!({"app": "other"});
    let ours = json!({"app": "metallb", "component": "speaker"});
    let chart = json!({"app.kubernetes.io/component": "speaker"});
    for (labels, host, port, expected) in [
        (
            &other,
            true,
            json!({"containerPort": 7946}),
            Some("port 7946 of node \"n1\""),
        ),
        (&other, true, json!({"containerPort": 17472}), Some("17472")),
        (&other, true, json!({"containerPort": 8080}), None),
        (&other, false, json!({"containerPort": 7946}), None),
        (
            &plain,
            false,
            json!({"containerPort": 1, "hostPort": 9120}),
            Some("9120"),
        ),
        (&ours, true, json!({"containerPort": 7946}), None),
        (&chart, true, json!({"containerPort": 7946}), None),
    ] {
        check(pod, &pod_with(labels.clone(), host, port), expected);
    }
    let mut elsewhere = pod_with(ours, true, json!({"containerPort": 7946}));
    elsewhere["metadata"]["namespace"] = json!("another");
    check(pod, &elsewhere, Some("7946"));
    for odd in [json!({}), json!({"spec": {"containers": 7}}), json!(null)] {
        check(pod, &odd, None);
    }
}
