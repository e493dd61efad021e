//! Names, labels and selectors are those of MetalLB's chart (`spec/metallb.md` §8.1), or an upgrade
//! of its release would be refused, or make everything anew.

use crate::helm::{object, rendered, repository};
use anyhow::{Result, ensure};
use corten_lab::corten;
use corten_lab::trial::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "objects_are_named_as_metallbs",
        objects_are_named_as_metallbs,
    ),
    ("names_can_be_overridden", names_can_be_overridden),
    (
        "definitions_are_those_of_the_binary",
        definitions_are_those_of_the_binary,
    ),
    (
        "without_webhooks_nothing_asks_them",
        without_webhooks_nothing_asks_them,
    ),
];

/// What brings every object there can be.
const EVERYTHING: &str = "
prometheus:
  serviceMonitor: {enabled: true}
  prometheusRule: {enabled: true}
  serviceAccount: prometheus
  namespace: monitoring
networkpolicies: {enabled: true, defaultDeny: true}
";

const PLURALS: [&str; 9] = [
    "bfdprofiles",
    "bgpadvertisements",
    "bgppeers",
    "communities",
    "configurationstates",
    "ipaddresspools",
    "l2advertisements",
    "servicebgpstatuses",
    "servicel2statuses",
];

/// Kind and name of every object of a release with this full name.
fn expected(fullname: &str) -> BTreeSet<(String, String)> {
    let named = [
        ("ServiceAccount", "@-controller"),
        ("ServiceAccount", "@-speaker"),
        ("Deployment", "@-controller"),
        ("DaemonSet", "@-speaker"),
        ("ConfigMap", "metallb-excludel2"),
        ("Secret", "metallb-webhook-cert"),
        ("Service", "metallb-webhook-service"),
        (
            "ValidatingWebhookConfiguration",
            "metallb-webhook-configuration",
        ),
        ("ClusterRole", "@:controller"),
        ("ClusterRole", "@:speaker"),
        ("ClusterRoleBinding", "@:controller"),
        ("ClusterRoleBinding", "@:speaker"),
        ("Role", "@-controller"),
        ("Role", "@-speaker"),
        ("Role", "@-pod-lister"),
        ("Role", "@-prometheus"),
        ("RoleBinding", "@-controller"),
        ("RoleBinding", "@-speaker"),
        ("RoleBinding", "@-pod-lister"),
        ("RoleBinding", "@-prometheus"),
        ("NetworkPolicy", "controller"),
        ("NetworkPolicy", "default-deny"),
        ("Service", "@-controller-monitor-service"),
        ("Service", "@-speaker-monitor-service"),
        ("ServiceMonitor", "@-controller-monitor"),
        ("ServiceMonitor", "@-speaker-monitor"),
        ("PrometheusRule", "@"),
    ];
    let named = named.map(|(kind, name)| (kind.to_owned(), name.replace('@', fullname)));
    let crds = PLURALS.map(|p| {
        let kind = "CustomResourceDefinition".to_owned();
        (kind, format!("{p}.metallb.io"))
    });
    named.into_iter().chain(crds).collect()
}

fn named(objects: &[Value]) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pair = |o: &Value| (text(&o["kind"]), text(&o["metadata"]["name"]));
    objects.iter().map(pair).collect()
}

/// Checks what tells a component's pods from others.
fn selected(objects: &[Value], fullname: &str, name: &str, instance: &str) -> Result<()> {
    for (kind, component) in [("Deployment", "controller"), ("DaemonSet", "speaker")] {
        let labels = json!({
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/instance": instance,
            "app.kubernetes.io/component": component,
        });
        let found = object(objects, kind, &format!("{fullname}-{component}"))?;
        let spec = &found["spec"];
        ensure!(spec["selector"] == json!({"matchLabels": labels}), "{spec}");
        ensure!(spec["template"]["metadata"]["labels"] == labels, "{spec}");
    }
    Ok(())
}

fn objects_are_named_as_metallbs() -> Result<()> {
    for (release, fullname) in [
        ("metallb", "metallb"),
        ("lb", "lb-metallb"),
        ("my-metallb-2", "my-metallb-2"),
    ] {
        let objects = rendered(release, EVERYTHING)?;
        let (found, expected) = (named(&objects), expected(fullname));
        ensure!(
            found == expected,
            "{release}: too many: {:?}; missing: {:?}",
            found.difference(&expected),
            expected.difference(&found)
        );
        selected(&objects, fullname, "metallb", release)?;
        for object in &objects {
            let labels = &object["metadata"]["labels"];
            for (label, value) in [
                ("app.kubernetes.io/name", "metallb"),
                ("app.kubernetes.io/instance", release),
                ("app.kubernetes.io/managed-by", "Helm"),
                ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
                (
                    "helm.sh/chart",
                    concat!("corten-", env!("CARGO_PKG_VERSION")),
                ),
            ] {
                ensure!(labels[label] == value, "{label} of {object}");
            }
        }
    }
    let objects = rendered("metallb", "")?;
    let service = object(&objects, "Service", "metallb-webhook-service")?;
    ensure!(
        service["spec"]["selector"]
            == json!({
                "app.kubernetes.io/name": "metallb",
                "app.kubernetes.io/instance": "metallb",
                "app.kubernetes.io/component": "controller",
            }),
        "{service}"
    );
    Ok(())
}

fn names_can_be_overridden() -> Result<()> {
    let objects = rendered("metallb", "controller: {labels: {tier: 1, edge: true}}")?;
    let found = object(&objects, "Deployment", "metallb-controller")?;
    for labels in [
        &found["metadata"]["labels"],
        &found["spec"]["template"]["metadata"]["labels"],
    ] {
        ensure!(
            labels["tier"] == "1" && labels["edge"] == "true",
            "{labels}"
        );
    }
    ensure!(
        found["spec"]["selector"]["matchLabels"]
            .get("tier")
            .is_none(),
        "{found}"
    );
    selected(
        &rendered("r", "fullnameOverride: whole")?,
        "whole",
        "metallb",
        "r",
    )?;
    selected(&rendered("r", "nameOverride: part")?, "r-part", "part", "r")
}

fn definitions_are_those_of_the_binary() -> Result<()> {
    let crds = corten::command(&["crds"])?;
    let crds = String::from_utf8(crds.stdout)?;
    let file = repository().join("charts/corten/files/crds.yaml");
    ensure!(
        std::fs::read_to_string(file)? == crds,
        "renew it: corten crds > charts/corten/files/crds.yaml"
    );
    let wanted = crate::helm::documents(&crds)?;
    ensure!(wanted.len() == PLURALS.len(), "{}", wanted.len());
    let objects = rendered("metallb", "")?;
    for mut crd in wanted {
        let name = crd["metadata"]["name"].as_str().unwrap_or_default();
        let mut found = object(&objects, "CustomResourceDefinition", name)?.clone();
        ensure!(
            found["metadata"]["annotations"] == json!({"helm.sh/resource-policy": "keep"}),
            "{found}"
        );
        for object in [&mut crd, &mut found] {
            object["metadata"] = Value::Null;
        }
        ensure!(found == crd, "{found}\n{crd}");
    }
    Ok(())
}

fn without_webhooks_nothing_asks_them() -> Result<()> {
    for values in [
        "controller: {webhookMode: disabled}",
        "controller: {enabled: false}",
    ] {
        let objects = rendered("metallb", values)?;
        let kinds = ["ValidatingWebhookConfiguration", "Service", "Secret"];
        ensure!(
            !objects
                .iter()
                .any(|o| kinds.iter().any(|k| o["kind"] == *k)),
            "{values}"
        );
        let peers = object(&objects, "CustomResourceDefinition", "bgppeers.metallb.io")?;
        ensure!(
            peers["spec"]["conversion"] == json!({"strategy": "None"}),
            "{values}"
        );
        for version in peers["spec"]["versions"].as_array().into_iter().flatten() {
            ensure!(version["served"] == version["storage"], "{version}");
        }
    }
    Ok(())
}
