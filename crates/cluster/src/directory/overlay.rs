//! What is said of objects beyond their manifests: a Service's allocation, from the ledger, and
//! the readiness of endpoints on nodes whose health is checked.

use super::ledger::Ledger;
use super::view::{Kept, View};
use corten_api::core::{
    Endpoint, EndpointConditions, EndpointSlice, LoadBalancerIngress, LoadBalancerStatus, Meta,
    Service,
};
use corten_api::names;
use corten_engine::event::{Assignment, Object};
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::{Kind, ObjectRef};
use std::collections::BTreeMap;
use std::net::IpAddr;
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

    /// Whether `before` said something else of an object.
    pub(crate) fn differs(&self, before: &Self, kept: &Kept) -> bool {
        let Some(service) = &kept.service else {
            return false;
        };
        if kept.object_ref.kind == Kind::Service {
            let (old, new) = (before.assignment(service), self.assignment(service));
            return old != new || (new.is_none() && before.pins != self.pins);
        }
        self.readiness.get(service) != before.readiness.get(service)
    }

    /// The object as it is told to the engine.
    pub(crate) fn apply(&self, kept: &Kept) -> Option<Object> {
        if kept.object_ref.kind == Kind::Service {
            let mut service = kept.as_service()?;
            self.allocate(kept.service.as_ref()?, &mut service);
            return Some(Object::Service(service));
        }
        let readiness = kept.service.as_ref().and_then(|s| self.readiness.get(s));
        match readiness {
            Some(readiness) if kept.object_ref.kind == Kind::EndpointSlice => {
                let mut slice = kept.as_slice()?;
                for endpoint in &mut slice.endpoints {
                    set_ready(endpoint, readiness);
                }
                Some(Object::EndpointSlice(slice))
            }
            Some(_) | None => kept.object(),
        }
    }

    fn allocate(&self, key: &ServiceKey, service: &mut Service) {
        let annotations = &mut service.metadata.annotations;
        // Only the ledger says what is allocated; a manifest may be an old copy.
        annotations.remove(names::IP_ALLOCATED_FROM_POOL);
        let addresses = match self.assignment(key) {
            Some(assignment) => {
                if let Some(pool) = &assignment.pool {
                    let name = names::IP_ALLOCATED_FROM_POOL.to_owned();
                    annotations.insert(name, pool.0.clone());
                }
                assignment.ingress.clone()
            }
            None if self.pins == Pins::Granted => pinned(service),
            None => Vec::new(),
        };
        let ingress = addresses.iter().map(|ip| LoadBalancerIngress {
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
        for kept in view.objects.values() {
            match (kept.object_ref.kind, &kept.service) {
                (Kind::Node, _) => nodes.push(NodeName(kept.object_ref.name.clone())),
                (Kind::EndpointSlice, Some(service)) => {
                    lacking.remove(service);
                }
                _ => {}
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

/// The addresses a Service asks for, if all of them can be read.
fn pinned(service: &Service) -> Vec<IpAddr> {
    let annotation = names::annotation(&service.metadata.annotations, names::LOAD_BALANCER_IPS);
    let asked = annotation.or(service.spec.load_balancer_ip.as_deref());
    let parsed: Result<Vec<IpAddr>, _> = asked
        .unwrap_or_default()
        .split(',')
        .map(|ip| ip.trim().parse())
        .collect();
    parsed.unwrap_or_default()
}
