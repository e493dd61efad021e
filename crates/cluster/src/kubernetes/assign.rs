//! Writes allocations: a Service's status and its annotation in one request, through
//! `services/status` (`spec/metallb.md` §3.2, §12 #3).
//!
//! Nothing is written that differs in nothing. A Service that has no address yet is written as the
//! watch showed it, in one request; only if it was changed since is it asked for.

use super::jobs::Write;
use super::wire::Wire;
use super::{gone_is_done, kinds};
use corten_api::names::IP_ALLOCATED_FROM_POOL;
use corten_engine::event::Assignment;
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams, TypeMeta};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most writes at once.
pub(super) const PARALLEL: usize = 32;

/// Most Services kept as they were shown; any others are asked for.
const KEPT: usize = 4096;

/// Services without address as the watch last showed them, as JSON.
#[derive(Debug, Default)]
pub(super) struct Unassigned(BTreeMap<ServiceKey, Arc<str>>);

impl Unassigned {
    /// Takes note of a Service as it is shown.
    pub(super) fn see(&mut self, object: &Wire) {
        let service = ServiceKey::new(object.namespace(), object.name());
        let known = self.0.contains_key(&service);
        if is_unassigned(object) && (known || self.0.len() < KEPT) {
            self.0.insert(service, object.json().to_string().into());
        } else if known {
            self.0.remove(&service);
        }
    }

    /// A Service is gone.
    pub(super) fn forget(&mut self, service: &ServiceKey) {
        self.0.remove(service);
    }

    /// What is to be written about a Service.
    pub(super) fn assign(&mut self, service: &ServiceKey, assignment: Assignment) -> Assign {
        Assign {
            assignment,
            shown: self.0.remove(service),
        }
    }
}

fn is_unassigned(object: &Wire) -> bool {
    let spec = object.tree.get("spec");
    let status = object.tree.get("status");
    let ingress = status
        .and_then(|status| status.get("loadBalancer"))
        .and_then(|balancer| balancer.get("ingress"));
    spec.and_then(|spec| spec.text("type")) == Some("LoadBalancer") && ingress.is_none()
}

/// An allocation to be written.
#[derive(Clone, Debug)]
pub(super) struct Assign {
    assignment: Assignment,
    /// The Service, if it was shown without address.
    shown: Option<Arc<str>>,
}

impl PartialEq for Assign {
    fn eq(&self, other: &Self) -> bool {
        self.assignment == other.assignment
    }
}

impl Write for Assign {
    type Subject = ServiceKey;

    const WHAT: &'static str = "allocations are";

    /// Writes the assignment, unless it stands already or the Service is gone.
    async fn write(self, client: Client, service: ServiceKey) -> Result<(), kube::Error> {
        let resource = kinds::resource(Kind::Service);
        let api: Api<DynamicObject> = Api::namespaced_with(client, service.namespace(), &resource);
        let how = PostParams::default();
        if let Some(mut object) = self.shown.as_deref().and_then(read) {
            if !put(&mut object, &self.assignment) {
                return Ok(());
            }
            let written = api.replace_status(service.name(), &how, &object).await;
            // Whatever the server has against it, it may have nothing against what is there now.
            let refused = matches!(&written, Err(kube::Error::Api(status))
                if matches!(status.code, 400 | 409 | 422));
            if !refused {
                return gone_is_done(written);
            }
        }
        let Some(mut object) = api.get_opt(service.name()).await? else {
            return Ok(());
        };
        if !put(&mut object, &self.assignment) {
            return Ok(());
        }
        gone_is_done(api.replace_status(service.name(), &how, &object).await)
    }
}

/// A Service as it was shown; in a list, objects don't say their kind.
fn read(shown: &str) -> Option<DynamicObject> {
    let mut object: DynamicObject = serde_json::from_str(shown).ok()?;
    object.types = Some(TypeMeta {
        api_version: "v1".to_owned(),
        kind: Kind::Service.to_string(),
    });
    Some(object)
}

/// Puts an assignment into a Service; whether that changes anything.
fn put(object: &mut DynamicObject, assignment: &Assignment) -> bool {
    // What the server says of who wrote which field, it keeps without being told.
    object.metadata.managed_fields = None;
    let annotations = object.metadata.annotations.get_or_insert_default();
    let pool = assignment.pool.as_ref().map(|pool| pool.to_string());
    let same_pool = annotations.get(IP_ALLOCATED_FROM_POOL) == pool.as_ref();
    match pool {
        Some(pool) => annotations.insert(IP_ALLOCATED_FROM_POOL.to_owned(), pool),
        None => annotations.remove(IP_ALLOCATED_FROM_POOL),
    };
    let wanted: Vec<String> = assignment.ingress.iter().map(ToString::to_string).collect();
    let shown = &object.data["status"]["loadBalancer"]["ingress"];
    // The server adds a field to each entry (`ipMode`), so entries as a whole are never the same.
    if same_pool && is_shown(shown, &wanted) {
        return false;
    }
    let Value::Object(data) = &mut object.data else {
        return false;
    };
    let status = data.entry("status").or_insert_with(|| json!({}));
    let ingress: Vec<Value> = wanted.iter().map(|ip| json!({ "ip": ip })).collect();
    let balancer = if ingress.is_empty() {
        json!({})
    } else {
        json!({ "ingress": ingress })
    };
    if let Value::Object(fields) = status {
        fields.insert("loadBalancer".to_owned(), balancer);
    } else {
        *status = json!({ "loadBalancer": balancer });
    }
    true
}

/// Whether a status' ingress has just these addresses and nothing of anybody else.
fn is_shown(ingress: &Value, wanted: &[String]) -> bool {
    let entries = ingress.as_array().map_or(&[][..], Vec::as_slice);
    let ours = |(entry, ip): (&Value, &String)| {
        entry["ip"].as_str() == Some(ip) && entry.get("hostname").is_none()
    };
    entries.len() == wanted.len() && entries.iter().zip(wanted).all(ours)
}

#[cfg(test)]
mod tests;
