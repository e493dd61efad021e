//! What users write: the metallb.io kinds, the few Kubernetes kinds Corten reads, and every
//! annotation and label name. Data only: no IO, no clocks, no decisions.
//!
//! The field tables are `spec/metallb.md` §1; the CRD YAML is generated from these types.
//!
//! Kinds whose `spec` may be left out carry `attr = "cfg_attr(all(), serde(default))"`: kube's
//! derive has no option for it and refuses `serde(default)` itself.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printcolumn(…) of kube's derive has the same keys"
)]

pub mod annotation;
pub mod bfd;
pub mod bgp;
pub mod core;
pub mod crd;
pub mod duration;
pub mod health;
pub mod l2;
pub mod names;
pub mod pool;
pub mod secret;
pub mod status;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
pub use kube::core::ObjectMeta;

#[cfg(test)]
mod tests;
