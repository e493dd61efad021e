//! The CustomResourceDefinitions of the metallb.io kinds, generated from their types
//! (`spec/metallb.md` §1).
//!
//! kube's derive makes the definitions; `schema` holds what field attributes refer to; this module
//! removes what the derive says beyond MetalLB's schemas and adds what lies outside a single
//! type: the two versions of BGPPeer and their conversion.

pub(crate) mod schema;

use crate::{bfd, bgp, l2, pool, status};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as ext;
use kube::CustomResourceExt;
use serde_json::Value;
use thiserror::Error;

pub use ext::CustomResourceDefinition;

/// Namespace of the webhook Service unless told otherwise, MetalLB's.
pub const DEFAULT_NAMESPACE: &str = "metallb-system";
/// Name of the webhook Service, MetalLB's.
pub const WEBHOOK_SERVICE: &str = "metallb-webhook-service";
/// Path of the conversion webhook, MetalLB's.
pub const CONVERSION_PATH: &str = "/convert";

/// Why the definitions can't be written.
#[derive(Debug, Error)]
pub enum CrdError {
    /// Not representable as JSON.
    #[error("definition of {name}: {source}")]
    Json {
        /// Name of the definition.
        name: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// Not representable as YAML.
    #[error("definition of {name}: {source}")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// The cause.
        source: serde_saphyr::SerializeError,
    },
}

/// The definitions of all nine kinds, by name. `namespace` is where the webhook Service that
/// converts BGPPeers lives, [`DEFAULT_NAMESPACE`] in a standard installation.
#[must_use]
pub fn all(namespace: &str) -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        bfd::BFDProfile::crd(),
        bgp::BGPAdvertisement::crd(),
        peers(namespace),
        bgp::Community::crd(),
        status::ConfigurationState::crd(),
        pool::IPAddressPool::crd(),
        l2::L2Advertisement::crd(),
        status::ServiceBGPStatus::crd(),
        status::ServiceL2Status::crd(),
    ];
    for crd in &mut crds {
        crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
        for version in &mut crd.spec.versions {
            if let Some(root) = root(version) {
                tidy(root);
            }
        }
    }
    crds.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    crds
}

/// The definitions as a stream of YAML documents, the same text for the same `namespace` (see
/// [`all`]) every time.
///
/// # Errors
/// Names the definition that can't be written.
pub fn yaml(namespace: &str) -> Result<String, CrdError> {
    let mut text = String::new();
    for crd in all(namespace) {
        let name = crd.metadata.name.clone().unwrap_or_default();
        let mut value = serde_json::to_value(&crd).map_err(|source| CrdError::Json {
            name: name.clone(),
            source,
        })?;
        whole_numbers(&mut value);
        text.push_str("---\n");
        text.push_str(
            &serde_saphyr::to_string(&value).map_err(|source| CrdError::Yaml { name, source })?,
        );
    }
    Ok(text)
}

/// BGPPeer in both versions: v1beta2 is stored, v1beta1 is served through the webhook.
fn peers(namespace: &str) -> CustomResourceDefinition {
    let mut crd = bgp::BGPPeer::crd();
    // Oldest first, as Kubernetes' own tools order them.
    crd.spec
        .versions
        .splice(0..0, bgp::v1beta1::BGPPeer::crd().spec.versions);
    crd.spec.conversion = Some(ext::CustomResourceConversion {
        strategy: "Webhook".to_owned(),
        webhook: Some(ext::WebhookConversion {
            client_config: Some(ext::WebhookClientConfig {
                service: Some(ext::ServiceReference {
                    name: WEBHOOK_SERVICE.to_owned(),
                    namespace: namespace.to_owned(),
                    path: Some(CONVERSION_PATH.to_owned()),
                    port: None,
                }),
                ..ext::WebhookClientConfig::default()
            }),
            conversion_review_versions: vec!["v1beta1".to_owned(), "v1beta2".to_owned()],
        }),
    });
    crd
}

fn root(version: &mut ext::CustomResourceDefinitionVersion) -> Option<&mut ext::JSONSchemaProps> {
    version.schema.as_mut()?.open_api_v3_schema.as_mut()
}

/// Takes away what comes from Rust's types and not from MetalLB's schemas: an `Option` doesn't
/// make a field nullable, and the default of a whole object is no default of the kind.
fn tidy(schema: &mut ext::JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if schema.type_.as_deref() == Some("object") {
        schema.default = None;
    }
    for property in schema.properties.iter_mut().flat_map(|p| p.values_mut()) {
        tidy(property);
    }
    if let Some(ext::JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// Writes 1.0 as 1. The bounds of a schema are floating point numbers in Kubernetes' types, but
/// every tool prints them as whole ones, and a difference in text shows up as a difference in
/// the cluster.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|f| f.fract() == 0.0)
                && number.is_f64()
            {
                *value = Value::from(float as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
