//! EndpointSlices, gathered by Service (`spec/metallb.md` §3.8).

use super::{Endpoint, Endpoints};
use crate::flat::FlatMap;
use crate::names::{NodeName, ServiceKey};
use crate::rejection::ObjectRef;
use corten_api::core;
use corten_api::names::SERVICE_NAME;
use std::collections::BTreeMap;

/// Every slice, by the Service it names.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// Endpoints by Service and slice name. A slice is in its Service's namespace.
    by_service: BTreeMap<ServiceKey, FlatMap<String, Vec<Endpoint>>>,
    /// The Service of each slice, by the slice's namespace and name.
    service_of: BTreeMap<(String, String), ServiceKey>,
}

impl Slices {
    /// Takes a slice in; the Services whose endpoints may have changed.
    pub(super) fn apply(&mut self, slice: &core::EndpointSlice) -> Vec<ServiceKey> {
        let meta = &slice.metadata;
        let id = (meta.namespace.clone(), meta.name.clone());
        let service = meta
            .labels
            .get(SERVICE_NAME)
            .filter(|name| !name.is_empty())
            .map(|name| ServiceKey::new(&meta.namespace, name));
        let mut touched: Vec<ServiceKey> = self.forget(&id).into_iter().collect();
        if let Some(service) = service {
            let endpoints = slice.endpoints.iter().map(parse).collect();
            let slices = self.by_service.entry(service.clone()).or_default();
            slices.insert(meta.name.clone(), endpoints);
            self.service_of.insert(id, service.clone());
            if !touched.contains(&service) {
                touched.push(service);
            }
        }
        touched
    }

    /// Drops a slice; the Service it was of.
    pub(super) fn delete(&mut self, slice: &ObjectRef) -> Option<ServiceKey> {
        self.forget(&(slice.namespace.clone(), slice.name.clone()))
    }

    /// The endpoints of a Service, of all its slices in the order of their names; `None` if it has
    /// no slice.
    pub(super) fn endpoints(&self, service: &ServiceKey) -> Option<Endpoints> {
        let slices = self.by_service.get(service)?;
        let mut endpoints: Vec<_> = slices.values().flatten().cloned().collect();
        endpoints.shrink_to_fit();
        Some(Endpoints { endpoints })
    }

    fn forget(&mut self, id: &(String, String)) -> Option<ServiceKey> {
        let service = self.service_of.remove(id)?;
        if let Some(slices) = self.by_service.get_mut(&service) {
            slices.remove(&id.1);
            if slices.is_empty() {
                self.by_service.remove(&service);
            }
        }
        Some(service)
    }
}

fn parse(endpoint: &core::Endpoint) -> Endpoint {
    let conditions = endpoint.conditions;
    Endpoint {
        node: endpoint
            .node_name
            .clone()
            .filter(|name| !name.is_empty())
            .map(NodeName),
        serving: conditions.ready.unwrap_or(true) || conditions.serving.unwrap_or(false),
        has_address: !endpoint.addresses.is_empty(),
    }
}

#[cfg(test)]
mod tests;
