//! `corten preflight` on a real API server.

use crate::helm::NAMESPACE;
use crate::installing::{DEADLINE, cluster};
use anyhow::{Context, Result, ensure};
use corten_lab::corten;
use corten_lab::kubernetes::{Kind, Kubernetes};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};
use std::process::{Command, Output};

pub(crate) const TRIALS: &[Trial] = &[(
    "a_preflight_names_what_is_left",
    a_preflight_names_what_is_left,
)];

/// What it says of the cluster, to the administrator or another.
fn preflight(cluster: &Kubernetes, kubeconfig: &std::path::Path) -> Result<Output> {
    let program = corten::binary()?;
    cluster.netns().run(|| {
        let mut command = Command::new(program);
        command.args(["preflight", "-o", "json"]);
        Ok(command.env("KUBECONFIG", kubeconfig).output()?)
    })
}

fn a_preflight_names_what_is_left() -> Result<()> {
    let cluster = cluster()?;
    let client = cluster.client();
    let administrator = cluster.administrator()?;
    // Nothing of MetalLB's is there, not even its kinds.
    let nothing = preflight(&cluster, &administrator)?;
    ensure!(nothing.status.code() == Some(0), "{nothing:?}");

    let crds = String::from_utf8(corten::command(&["crds"])?.stdout)?;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let frr = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "frrconfigurations.frrk8s.metallb.io"},
        "spec": {
            "group": "frrk8s.metallb.io", "scope": "Namespaced",
            "names": {"kind": "FRRConfiguration", "plural": "frrconfigurations"},
            "versions": [{"name": "v1beta1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}],
        },
    });
    client.apply(&format!("{crds}---\n{frr}\n"))?;
    wait_until("the kinds", DEADLINE, || {
        let kinds = [Kind::BGPPeer, Kind::FRRConfiguration];
        let listed = kinds.iter().all(|k| client.list(*k, NAMESPACE).is_ok());
        Ok(listed.then_some(()))
    })?;
    client.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: bgpextras, namespace: {NAMESPACE}}}\ndata: {{extras: log stdout}}\n---\n\
         apiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\n\
         metadata: {{name: mine, namespace: default}}\nspec: {{}}\n---\n\
         apiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\n\
         metadata: {{name: metallb-n1, namespace: {NAMESPACE}}}\n\
         spec: {{nodeSelector: {{matchLabels: {{kubernetes.io/hostname: n1}}}}}}\n---\n\
         apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: other, namespace: default}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: taker, namespace: default}}\n\
         spec: {{hostNetwork: true, nodeName: n1, serviceAccountName: other, \
         automountServiceAccountToken: false, containers: [{{name: main, image: other, \
         ports: [{{containerPort: 7946, hostPort: 7946}}]}}]}}\n"
    ))?;
    let found = preflight(&cluster, &administrator)?;
    ensure!(found.status.code() == Some(1), "{found:?}");
    let report: Value = serde_json::from_slice(&found.stdout)?;
    let findings = report["findings"].as_array().context("no findings")?;
    let named: Vec<_> = findings
        .iter()
        .filter_map(|f| f["object"].as_str())
        .collect();
    ensure!(
        named
            == [
                "ConfigMap metallb-system/bgpextras",
                "FRRConfiguration default/mine",
                "Pod default/taker",
            ],
        "{report}"
    );
    // Who may not look can't say that nothing is there.
    let nobody = cluster.service_account("default", "other")?;
    let refused = preflight(&cluster, &nobody)?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(3), "{refused:?}");
    ensure!(said.contains("configmaps can't be listed"), "{said}");
    Ok(())
}
