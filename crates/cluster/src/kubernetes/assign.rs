//! Writes allocations: a Service's status and its annotation in one request, through
//! `services/status` (`spec/metallb.md` §3.2, §12 #3).
//!
//! Nothing is written that differs in nothing.

use super::jobs::Write;
use super::{gone_is_done, kinds};
use corten_api::names::IP_ALLOCATED_FROM_POOL;
use corten_engine::event::Assignment;
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};

/// Most writes at once.
pub(super) const PARALLEL: usize = 32;

/// An allocation to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assign(pub(super) Assignment);

impl Write for Assign {
    type Subject = ServiceKey;

    const WHAT: &'static str = "allocations are";

    /// Writes the assignment, unless it stands already or the Service is gone.
    async fn write(self, client: Client, service: ServiceKey) -> Result<(), kube::Error> {
        let resource = kinds::resource(Kind::Service);
        let api: Api<DynamicObject> = Api::namespaced_with(client, service.namespace(), &resource);
        let Some(mut object) = api.get_opt(service.name()).await? else {
            return Ok(());
        };
        if !put(&mut object, &self.0) {
            return Ok(());
        }
        let how = PostParams::default();
        gone_is_done(api.replace_status(service.name(), &how, &object).await)
    }
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
