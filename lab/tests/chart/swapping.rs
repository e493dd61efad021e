//! A release of MetalLB's becomes one of this chart, and is rolled back: nothing users wrote is lost.
//!
//! The release that is taken over is made from this chart's objects, changed to what is known of
//! MetalLB's (`spec/metallb.md` §8.1): names, labels and selectors are the same (`naming` checks
//! them), definitions are not kept, frr-k8s comes along.

use crate::helm::{NAMESPACE, chart, helm_on, rendered};
use crate::installing::{DEADLINE, cluster, custom_objects, samples};
use anyhow::{Context, Result, bail, ensure};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::stage;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};

pub(crate) const TRIALS: &[Trial] = &[(
    "metallbs_release_is_taken_over_and_given_back",
    metallbs_release_is_taken_over_and_given_back,
)];

/// Webhooks nobody serves here must not be asked.
const UNASKED: &str = "crds.validationFailurePolicy=Ignore";

/// One of this chart's objects as MetalLB's would have it, if it has it.
fn as_metallbs(mut object: Value) -> Option<Value> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if kind.contains("Role") && name == "metallb-speaker" {
        return None;
    }
    object["metadata"]["labels"]["helm.sh/chart"] = json!("metallb-0.15.3");
    object["metadata"]["labels"]["app.kubernetes.io/version"] = json!("v0.15.3");
    if kind == "CustomResourceDefinition" {
        object["metadata"]["annotations"] = json!({});
        object["metadata"]["labels"] = json!({});
    }
    if kind == "Deployment" || kind == "DaemonSet" {
        let spec = &mut object["spec"]["template"]["spec"];
        spec["terminationGracePeriodSeconds"] = json!(0);
        let container = &mut spec["containers"][0];
        let component = container["name"].as_str().unwrap_or_default();
        container["image"] = json!(format!("quay.io/metallb/{component}:v0.15.3"));
        if let Some(container) = container.as_object_mut() {
            container.remove("command");
        }
        container["volumeMounts"] = json!([{"name": "cert", "mountPath": "/tmp/certs"}]);
        spec["volumes"] =
            json!([{"name": "cert", "secret": {"secretName": "metallb-webhook-cert"}}]);
    }
    Some(object)
}

/// frr-k8s, as it comes with MetalLB's chart.
fn frr_k8s() -> Vec<Value> {
    let kinds = [
        ("BGPSessionState", "bgpsessionstates", "Namespaced"),
        ("FRRConfiguration", "frrconfigurations", "Namespaced"),
        ("FRRK8sConfiguration", "frrk8sconfigurations", "Namespaced"),
        ("FRRNodeState", "frrnodestates", "Cluster"),
    ];
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut all: Vec<Value> = kinds
        .iter()
        .map(|(kind, plural, scope)| {
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.frrk8s.metallb.io")},
                "spec": {
                    "group": "frrk8s.metallb.io", "scope": scope,
                    "names": {"kind": kind, "plural": plural},
                    "versions": [{"name": "v1beta1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": schema}}],
                },
            })
        })
        .collect();
    let labels = json!({
        "app.kubernetes.io/name": "frr-k8s",
        "app.kubernetes.io/instance": "metallb",
        "app.kubernetes.io/component": "frr-k8s",
    });
    all.push(json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "metallb-frr-k8s", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "controller", "image": "frr-k8s"}]},
            },
        },
    }));
    all
}

/// Installs what stands for MetalLB's chart.
fn install_metallb(cluster: &Kubernetes) -> Result<()> {
    let values = "crds: {validationFailurePolicy: Ignore}";
    let objects = rendered("metallb", values)?.into_iter();
    let objects = objects.filter_map(as_metallbs).chain(frr_k8s());
    let text: Vec<String> = objects.map(|o| o.to_string()).collect();
    let dir = stage::scratch()?.join("metallb");
    std::fs::create_dir_all(dir.join("templates"))?;
    std::fs::write(
        dir.join("Chart.yaml"),
        "apiVersion: v2\nname: metallb\nversion: 0.15.3\n",
    )?;
    std::fs::write(dir.join("templates/all.yaml"), text.join("\n---\n"))?;
    helm_on(cluster, &["install", "metallb", &dir.display().to_string()])?;
    let client = cluster.client();
    wait_until("MetalLB's kinds and frr-k8s'", DEADLINE, || {
        let kinds = [
            Kind::BGPPeer,
            Kind::ConfigurationState,
            Kind::FRRConfiguration,
        ];
        let listed = kinds.iter().all(|k| client.list(*k, NAMESPACE).is_ok());
        Ok(listed.then_some(()))
    })
}

/// An FRRConfiguration.
fn frr_configuration(name: &str, node: &str) -> String {
    format!(
        "apiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         spec: {{nodeSelector: {{matchLabels: {{kubernetes.io/hostname: {node}}}}}}}\n---\n"
    )
}

/// What stays the same object through all of it.
fn identities(client: &Client) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (kind, name) in [
        (Kind::Deployment, "metallb-controller"),
        (Kind::DaemonSet, "metallb-speaker"),
        (Kind::ServiceAccount, "metallb-controller"),
        (Kind::ServiceAccount, "metallb-speaker"),
        (Kind::Secret, "metallb-webhook-cert"),
        (Kind::Service, "metallb-webhook-service"),
        (Kind::ConfigMap, "metallb-excludel2"),
        (Kind::ClusterRole, "metallb:controller"),
        (Kind::Role, "metallb-pod-lister"),
        (Kind::CustomResourceDefinition, "ipaddresspools.metallb.io"),
        (
            Kind::CustomResourceDefinition,
            "frrconfigurations.frrk8s.metallb.io",
        ),
        (Kind::FRRConfiguration, "metallb-n1"),
    ] {
        let found = client.get(kind, NAMESPACE, name)?;
        all.push(found.with_context(|| format!("no {name}"))?["metadata"]["uid"].clone());
    }
    let secret = client.get(Kind::Secret, NAMESPACE, "metallb-webhook-cert")?;
    all.push(secret.context("no Secret")?["data"].clone());
    let peers = client.get(Kind::CustomResourceDefinition, "", "bgppeers.metallb.io")?;
    let conversion = &peers.context("no BGPPeers")?["spec"]["conversion"];
    all.push(conversion["webhook"]["clientConfig"]["caBundle"].clone());
    Ok(all)
}

/// Checks that an upgrade is refused, for this cause.
fn refused(cluster: &Kubernetes, more: &[&str], cause: &str) -> Result<()> {
    let chart = chart().display().to_string();
    let upgrade = [&["upgrade", "metallb", &chart, "--set", UNASKED], more].concat();
    match helm_on(cluster, &upgrade) {
        Ok(_) => bail!("upgraded, though {cause}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(cause), "{text}");
            Ok(())
        }
    }
}

/// Whether the live workloads are this chart's.
fn is_taken_over(client: &Client) -> Result<bool> {
    let frr = client.get(Kind::DaemonSet, NAMESPACE, "metallb-frr-k8s")?;
    let mut ours = 0;
    for (kind, name) in [
        (Kind::Deployment, "metallb-controller"),
        (Kind::DaemonSet, "metallb-speaker"),
    ] {
        let found = client.get(kind, NAMESPACE, name)?.context("no workload")?;
        let container = &found["spec"]["template"]["spec"]["containers"][0];
        if container["image"] == concat!("corten:", env!("CARGO_PKG_VERSION")) {
            ours += 1;
        }
    }
    ensure!(ours == 0 || ours == 2, "{ours} of two");
    ensure!(frr.is_none() == (ours == 2), "frr-k8s: {frr:?}");
    Ok(ours == 2)
}

fn metallbs_release_is_taken_over_and_given_back() -> Result<()> {
    let cluster = cluster()?;
    let client = cluster.client();
    install_metallb(&cluster)?;
    client.apply(&samples())?;
    client
        .apply(&(frr_configuration("metallb-n1", "n1") + &frr_configuration("metallb-n2", "n1")))?;
    // What MetalLB's controller leaves.
    let key = rcgen::KeyPair::generate()?;
    let authority = rcgen::CertificateParams::new(Vec::new())?
        .self_signed(&key)?
        .pem();
    let secret = json!({"stringData": {"ca.crt": authority}});
    client.patch(Kind::Secret, NAMESPACE, "metallb-webhook-cert", secret)?;
    let bundle = client.get(Kind::Secret, NAMESPACE, "metallb-webhook-cert")?;
    let bundle = bundle.context("no Secret")?["data"]["ca.crt"].clone();
    let patch =
        json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}});
    client.patch(
        Kind::CustomResourceDefinition,
        "",
        "bgppeers.metallb.io",
        patch,
    )?;
    let before = (custom_objects(client)?, identities(client)?);
    ensure!(before.0.len() == 6, "{before:?}");

    refused(&cluster, &["--set", "crds.enabled=false"], "every pool")?;
    refused(&cluster, &[], "did not write: metallb-system/metallb-n2.")?;
    ensure!(!is_taken_over(client)?, "refused, and changed all the same");
    client.delete(Kind::FRRConfiguration, NAMESPACE, "metallb-n2")?;

    let chart = chart().display().to_string();
    let upgrade = ["upgrade", "metallb", &chart, "--set", UNASKED];
    let same = |when: &str| -> Result<()> {
        let now = (custom_objects(client)?, identities(client)?);
        ensure!(now == before, "{when}: {now:?} instead of {before:?}");
        Ok(())
    };
    helm_on(&cluster, &upgrade)?;
    ensure!(is_taken_over(client)?, "upgraded");
    same("upgrade")?;
    // Once more, now from a release of this chart.
    helm_on(&cluster, &upgrade)?;
    same("second upgrade")?;
    helm_on(&cluster, &["rollback", "metallb", "1"])?;
    ensure!(!is_taken_over(client)?, "rolled back");
    same("rollback")?;
    helm_on(&cluster, &upgrade)?;
    same("third upgrade")?;
    helm_on(&cluster, &["uninstall", "metallb"])?;
    ensure!(custom_objects(client)? == before.0, "uninstalled");
    let frr = client.list(Kind::FRRConfiguration, NAMESPACE)?;
    ensure!(frr.len() == 1, "{frr:?}");
    Ok(())
}
