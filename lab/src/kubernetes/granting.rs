//! Waiting until the API server goes by a binding: it learns of roles and of bindings by watches of
//! its own, each a moment after it has stored them, and refuses until then what they grant.

use super::{Client, Kind};
use crate::wait::wait_until;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// When to give up.
const DEADLINE: Duration = Duration::from_secs(120);

/// A RoleBinding or ClusterRoleBinding among objects as they were applied.
#[must_use]
pub(super) fn is_binding(kind: Kind) -> bool {
    kind == Kind::RoleBinding || kind == Kind::ClusterRoleBinding
}

impl Client {
    /// Waits until the API server goes by what it has stored of bindings for the ServiceAccounts of
    /// a namespace, whoever made them.
    ///
    /// # Errors
    /// If it doesn't, or a role is missing.
    pub fn wait_bindings(&self, namespace: &str) -> Result<()> {
        for kind in [Kind::RoleBinding, Kind::ClusterRoleBinding] {
            for binding in self.list(kind, "")? {
                if binding["subjects"][0]["namespace"] == namespace {
                    self.wait_granted(&binding)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until every ServiceAccount of a binding may do what each rule of its role says first.
    pub(super) fn wait_granted(&self, binding: &Value) -> Result<()> {
        let namespace = text(&binding["metadata"]["namespace"]);
        let role = &binding["roleRef"];
        let (kind, of) = match text(&role["kind"]) {
            "Role" => (Kind::Role, namespace),
            _ => (Kind::ClusterRole, ""),
        };
        let name = text(&role["name"]);
        let role = self.get(kind, of, name)?;
        let role = role.with_context(|| format!("a binding of {name}, which isn't there"))?;
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        for subject in subjects.filter(|s| s["kind"] == "ServiceAccount") {
            let (of, who) = (text(&subject["namespace"]), text(&subject["name"]));
            let user = format!("system:serviceaccount:{of}:{who}");
            for rule in role["rules"].as_array().into_iter().flatten() {
                let review = review(&user, namespace, rule);
                wait_until(&format!("{rule} for {who}"), DEADLINE, || {
                    let said = self.post(
                        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                        &review,
                    )?;
                    Ok((said["status"]["allowed"] == true).then_some(()))
                })?;
            }
        }
        Ok(())
    }
}

/// The question whether somebody may do what a rule says first.
fn review(user: &str, namespace: &str, rule: &Value) -> Value {
    let first = |field: &str| text(&rule[field][0]).to_owned();
    let verb = first("verbs");
    let mut spec = json!({"user": user});
    if rule["nonResourceURLs"].is_array() {
        spec["nonResourceAttributes"] = json!({"path": first("nonResourceURLs"), "verb": verb});
    } else {
        let resource = first("resources");
        let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
        spec["resourceAttributes"] = json!({
            "namespace": namespace, "verb": verb, "group": first("apiGroups"),
            "resource": resource, "subresource": subresource, "name": first("resourceNames"),
        });
    }
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
