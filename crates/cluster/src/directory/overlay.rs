//! What is said of objects beyond their manifests: a Service's allocation, from the ledger, and
//! the readiness of endpoints on nodes whose health is checked.

use super::ledger::Ledger;
use super::view::{Kept, View};
use corten_api::core::{
    Endpoint, EndpointConditions, EndpointSlice, LoadBalancerIngress, LoadBalancerStatus, Meta,
    Service,
};
use corten_api::names;
use corten_engine::event::Assignment;
use corten_engine::names::{NodeName, PoolName, ServiceKey};
use corten_engine::rejection::{Kind, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Readiness of a Service's endpoints by node; a node that isn't in it is as its manifest says.
pub(crate) type Readiness = BTreeMap<NodeName, bool>;

/// Where the addresses of a Service without an allocation come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pins {
    /// There never was a ledger: the addresses a Service asks for are its own.
    #[default]
    Granted,
    /// There is an allocator, and what it doesn't grant isn't had.
    Ignored,
}

/// What is said of objects beyond their manifests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overlay {
    /// The ledger, shared with its keeper: it has every allocation.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// What an address asked for means.
    pub(crate) pins: Pins,
    /// Readiness, by Service with a health check.
    pub(crate) readiness: BTreeMap<ServiceKey, Readiness>,
}

impl Overlay {
    /// Allocations of Services.
    pub(crate) fn assignments(&self) -> impl Iterator<Item = (&ServiceKey, &Assignment)> {
        self.ledger.iter().flat_map(|ledger| &ledger.allocations)
    }

    fn assignment(&self, service: &ServiceKey) -> Option<&Assignment> {
        self.ledger.as_ref()?.allocations.get(service)
    }

    /// What a Service has.
    pub(crate) fn assigned(&self, service: &Kept) -> Assignment {
        let key = service.service();
        let granted = || match self.pins {
            Pins::Granted => service.pinned().to_vec(),
            Pins::Ignored => Vec::new(),
        };
        let assignment = key.and_then(|key| self.assignment(&key));
        assignment.cloned().unwrap_or_else(|| Assignment {
            ingress: granted(),
            pool: None,
        })
    }

    /// Whether `before` said the same of every Service, as far as can be told at once.
    pub(crate) fn has_same_allocations(&self, before: &Self) -> bool {
        let same = match (&self.ledger, &before.ledger) {
            (Some(now), Some(before)) => Arc::ptr_eq(now, before),
            (now, before) => now.is_none() && before.is_none(),
        };
        same && self.pins == before.pins
    }

    /// Whether `before` said that a Service has something else.
    pub(crate) fn differs(&self, before: &Self, service: &Kept) -> bool {
        let Some(key) = service.service() else {
            return false;
        };
        let (old, new) = (before.assignment(&key), self.assignment(&key));
        old != new || (new.is_none() && before.pins != self.pins)
    }

    /// Services whose readiness isn't as `before`, with what it is; none if it is not said any
    /// more.
    pub(crate) fn news(&self, before: &Self) -> Vec<(ServiceKey, Readiness)> {
        let services: BTreeSet<_> = before
            .readiness
            .keys()
            .chain(self.readiness.keys())
            .collect();
        let of = |overlay: &Self, service| overlay.readiness.get(service).cloned();
        let news = services.into_iter().filter_map(|service| {
            let now = of(self, service);
            (now != of(before, service)).then(|| (service.clone(), now.unwrap_or_default()))
        });
        news.collect()
    }

    /// Puts what a Service has into its status, as the API server shows it.
    pub(crate) fn allocate(&self, kept: &Kept, service: &mut Service) {
        let Assignment { ingress, pool } = self.assigned(kept);
        let annotations = &mut service.metadata.annotations;
        // Only the ledger says what is allocated; a manifest may be an old copy.
        annotations.remove(names::IP_ALLOCATED_FROM_POOL);
        if let Some(PoolName(pool)) = pool {
            annotations.insert(names::IP_ALLOCATED_FROM_POOL.to_owned(), pool);
        }
        let ingress = ingress.iter().map(|ip| LoadBalancerIngress {
            ip: Some(ip.to_string()),
            hostname: None,
            ip_mode: None,
        });
        service.status.load_balancer = LoadBalancerStatus {
            ingress: ingress.collect(),
        };
    }

    /// The EndpointSlices of Services that have a health check and no slice in a manifest: one
    /// endpoint a node.
    pub(crate) fn slices(&self, view: &View) -> BTreeMap<ServiceKey, EndpointSlice> {
        let mut lacking: BTreeMap<&ServiceKey, &Readiness> = self.readiness.iter().collect();
        let mut nodes = Vec::new();
        if lacking.is_empty() {
            return BTreeMap::new();
        }
        for kept in view.objects() {
            if kept.identity.kind() == Kind::Node {
                nodes.push(NodeName::from(kept.identity.name()));
            } else if let Some(service) = kept.slice_of() {
                lacking.remove(service);
            }
        }
        let slices = lacking.into_iter().map(|(service, readiness)| {
            let slice = synthesise(service, &nodes, readiness);
            (service.clone(), slice)
        });
        slices.collect()
    }
}

/// The reference of a slice made by [`Overlay::slices`]. Manifest names can't clash with it: a
/// Service that has a slice gets none.
pub(crate) fn slice_ref(service: &ServiceKey) -> ObjectRef {
    let name = format!("{}.corten-health", service.name());
    ObjectRef::new(Kind::EndpointSlice, service.namespace(), &name)
}

fn synthesise(service: &ServiceKey, nodes: &[NodeName], readiness: &Readiness) -> EndpointSlice {
    let ObjectRef {
        namespace, name, ..
    } = slice_ref(service);
    let labels = [(names::SERVICE_NAME.to_owned(), service.name().to_owned())];
    let endpoints = nodes.iter().map(|node| {
        let mut endpoint = Endpoint {
            node_name: Some(node.0.clone()),
            ..Endpoint::default()
        };
        set_ready(&mut endpoint, readiness);
        endpoint
    });
    EndpointSlice {
        metadata: Meta {
            name,
            namespace,
            labels: labels.into(),
            ..Meta::default()
        },
        endpoints: endpoints.collect(),
    }
}

fn set_ready(endpoint: &mut Endpoint, readiness: &Readiness) {
    let node = endpoint.node_name.clone().map(NodeName);
    if let Some(ready) = node.and_then(|node| readiness.get(&node).copied()) {
        endpoint.conditions = EndpointConditions {
            ready: Some(ready),
            serving: Some(ready),
        };
    }
}
