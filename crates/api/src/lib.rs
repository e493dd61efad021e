//! What users write: the metallb.io kinds, the few Kubernetes kinds Corten reads, and every
//! annotation and label name. Data only: no IO, no clocks, no decisions.
//!
//! The field tables are `spec/metallb.md` §1; the CRD YAML is generated from these types.

pub mod annotation;
pub mod bfd;
pub mod bgp;
pub mod core;
pub mod duration;
pub mod health;
pub mod l2;
pub mod names;
pub mod pool;
pub mod status;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
pub use kube::core::ObjectMeta;
