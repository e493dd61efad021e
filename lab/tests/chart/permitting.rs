//! The chart's roles grant what those of the plain manifests grant, which a trial of theirs shows to
//! be just what is used.

use crate::helm::{documents, rendered, repository};
use anyhow::{Context, Result, ensure};
use corten_lab::trial::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "roles_are_those_of_the_manifests",
        roles_are_those_of_the_manifests,
    ),
    ("what_is_off_is_not_granted", what_is_off_is_not_granted),
    ("a_leader_may_write_its_lease", a_leader_may_write_its_lease),
    ("metallbs_roles_suffice", metallbs_roles_suffice),
];

/// Kind of the role, API group, resource, name of the object, verb.
pub(crate) type Grant = [String; 5];

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

/// What these objects let an account do.
pub(crate) fn granted(objects: &[Value], account: &str) -> Result<BTreeSet<Grant>> {
    let mut all = BTreeSet::new();
    for binding in objects {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        if !subjects.into_iter().any(|s| s["name"] == account) {
            continue;
        }
        let of = &binding["roleRef"];
        let role = objects
            .iter()
            .find(|d| d["kind"] == of["kind"] && d["metadata"]["name"] == of["name"])
            .context("a binding without role")?;
        let kind = role["kind"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let mut names = texts(&rule["resourceNames"]);
            if names.is_empty() {
                names.push(String::new());
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        for verb in texts(&rule["verbs"]) {
                            let of = [kind, &group, &resource, name, &verb];
                            all.insert(of.map(str::to_owned));
                        }
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Names the plain manifests have for what the chart names after the release.
const RENAMED: [(&str, &str, &str); 2] = [
    ("secrets", "memberlist", "metallb-memberlist"),
    ("deployments", "controller", "metallb-controller"),
];

fn roles_are_those_of_the_manifests() -> Result<()> {
    let manifests = repository().join("deploy/kubernetes/rbac.yaml");
    let manifests = documents(&std::fs::read_to_string(manifests)?)?;
    // The manifests have one controller, which takes no Lease.
    let chart = rendered("metallb", "controller: {leaderElection: {enabled: false}}")?;
    for account in ["controller", "speaker"] {
        let renamed = |mut grant: Grant| {
            for (resource, plain, chart) in RENAMED {
                if grant[2] == resource && grant[3] == plain {
                    chart.clone_into(&mut grant[3]);
                }
            }
            grant
        };
        let wanted = granted(&manifests, account)?;
        let wanted: BTreeSet<Grant> = wanted.into_iter().map(renamed).collect();
        let found = granted(&chart, &format!("metallb-{account}"))?;
        ensure!(!wanted.is_empty(), "{account} may do nothing");
        ensure!(
            found == wanted,
            "{account}: in the chart only: {:?}; in the manifests only: {:?}",
            found.difference(&wanted),
            wanted.difference(&found)
        );
    }
    Ok(())
}

/// A trial of the API server's shows that a leader uses just these.
fn a_leader_may_write_its_lease() -> Result<()> {
    let granted = |values: &str| granted(&rendered("metallb", values)?, "metallb-controller");
    let without = granted("controller: {leaderElection: {enabled: false}}")?;
    let with = granted("")?;
    let more: Vec<_> = with.difference(&without).collect();
    let lease = |name: &str, verb: &str| -> Grant {
        ["Role", "coordination.k8s.io", "leases", name, verb].map(str::to_owned)
    };
    let expected = [
        lease("", "create"),
        lease("corten-controller", "get"),
        lease("corten-controller", "update"),
    ];
    ensure!(more == expected.iter().collect::<Vec<_>>(), "{more:?}");
    Ok(())
}

fn what_is_off_is_not_granted() -> Result<()> {
    let objects = rendered("metallb", "rbac: {create: false}")?;
    let roles = objects.iter().filter(|o| {
        let kind = o["kind"].as_str().unwrap_or_default();
        kind.contains("Role")
    });
    ensure!(roles.count() == 0, "roles");

    let objects = rendered("metallb", "controller: {webhookMode: disabled}")?;
    for grant in granted(&objects, "metallb-controller")? {
        let resource = grant[2].as_str();
        let webhooks = [
            "validatingwebhookconfigurations",
            "customresourcedefinitions",
        ];
        ensure!(!webhooks.contains(&resource), "{grant:?}");
        ensure!(grant[3] != "metallb-webhook-cert", "{grant:?}");
    }

    let objects = rendered("metallb", "prometheus: {metricsPort: 0}")?;
    for account in ["metallb-controller", "metallb-speaker"] {
        for grant in granted(&objects, account)? {
            ensure!(!grant[2].ends_with("reviews"), "{account}: {grant:?}");
        }
    }

    let objects = rendered("metallb", "speaker: {enabled: false}")?;
    ensure!(granted(&objects, "metallb-speaker")?.is_empty(), "speaker");
    Ok(())
}

/// What the roles of MetalLB's manifests let both accounts, the controller and the speaker do
/// (`spec/metallb.md` §8.3): `*` is every verb.
const METALLBS: &[(&str, &str, &[&str], &[&str])] = &[
    // These two are in the chart and in the manifests with Prometheus.
    ("", "authentication.k8s.io", &["tokenreviews"], &["create"]),
    (
        "",
        "authorization.k8s.io",
        &["subjectaccessreviews"],
        &["create"],
    ),
    ("", "", &["pods"], &["get", "list"]),
    (
        "",
        "",
        &["secrets", "configmaps"],
        &["get", "list", "watch"],
    ),
    (
        "",
        "metallb.io",
        &[
            "bfdprofiles",
            "bgppeers",
            "l2advertisements",
            "bgpadvertisements",
            "ipaddresspools",
            "communities",
        ],
        &["get", "list", "watch"],
    ),
    (
        "",
        "metallb.io",
        &["servicebgpstatuses", "servicebgpstatuses/status"],
        &["*"],
    ),
    (
        "controller",
        "",
        &["services", "namespaces"],
        &["get", "list", "watch"],
    ),
    ("controller", "", &["nodes"], &["list"]),
    ("controller", "", &["services/status"], &["update"]),
    ("controller", "", &["events"], &["create", "patch"]),
    ("controller", "", &["secrets"], &["*"]),
    ("controller", "apps", &["deployments"], &["get"]),
    (
        "controller",
        "admissionregistration.k8s.io",
        &["validatingwebhookconfigurations"],
        &["*"],
    ),
    (
        "controller",
        "apiextensions.k8s.io",
        &["customresourcedefinitions"],
        &["*"],
    ),
    ("controller", "metallb.io", &["configurationstates"], &["*"]),
    (
        "controller",
        "metallb.io",
        &["configurationstates/status"],
        &["get", "patch", "update"],
    ),
    (
        "controller",
        "metallb.io",
        &["ipaddresspools/status"],
        &["update"],
    ),
    (
        "speaker",
        "",
        &["services", "nodes", "namespaces"],
        &["get", "list", "watch"],
    ),
    (
        "speaker",
        "discovery.k8s.io",
        &["endpointslices"],
        &["get", "list", "watch"],
    ),
    ("speaker", "", &["events"], &["create", "patch"]),
    (
        "speaker",
        "metallb.io",
        &[
            "servicel2statuses",
            "servicel2statuses/status",
            "configurationstates",
            "configurationstates/status",
        ],
        &["*"],
    ),
];

fn metallbs_roles_suffice() -> Result<()> {
    let manifests = repository().join("deploy/kubernetes/rbac.yaml");
    let manifests = documents(&std::fs::read_to_string(manifests)?)?;
    for account in ["controller", "speaker"] {
        for grant in granted(&manifests, account)? {
            let [_, group, resource, _, verb] = &grant;
            let there = METALLBS.iter().any(|(to, of, resources, verbs)| {
                (to.is_empty() || *to == account)
                    && of == group
                    && resources.contains(&resource.as_str())
                    && (verbs.contains(&"*") || verbs.contains(&verb.as_str()))
            });
            ensure!(there, "MetalLB's {account} may not {grant:?}");
        }
    }
    Ok(())
}
