//! EndpointSlices, gathered by Service (`spec/metallb.md` §3.8).

use super::{Endpoint, Endpoints, Service};
use crate::flat;
use crate::names::{NodeName, ServiceKey};
use crate::rejection::ObjectRef;
use corten_api::core;
use corten_api::names::SERVICE_NAME;
use std::collections::BTreeMap;

/// Which slice is of which Service, and what is said of endpoints beyond their slices.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// The Service of each slice, by the slice's namespace and name in one text.
    service_of: BTreeMap<Box<str>, ServiceKey>,
    /// Services whose endpoints' readiness is said apart.
    overridden: BTreeMap<ServiceKey, Overridden>,
}

/// Readiness said apart from the slices.
#[derive(Debug, Default)]
struct Overridden {
    ready: BTreeMap<NodeName, bool>,
    /// The endpoints as the slices say.
    written: Endpoints,
}

/// The endpoints of every Service.
type All = BTreeMap<ServiceKey, Endpoints>;

impl Slices {
    /// Takes a slice in; the Services whose endpoints changed.
    pub(super) fn apply(
        &mut self,
        slice: &core::EndpointSlice,
        services: &BTreeMap<ServiceKey, Box<Service>>,
        all: &mut All,
    ) -> impl IntoIterator<Item = ServiceKey> + use<> {
        let meta = &slice.metadata;
        let service = meta.labels.get(SERVICE_NAME);
        let service = service
            .filter(|name| !name.is_empty())
            .map(|name| ServiceKey::new(&meta.namespace, name));
        let id = id(&meta.namespace, &meta.name);
        let was_of = self.service_of.get(&id).cloned();
        let left = match (&was_of, &service) {
            (Some(was_of), service) if service.as_ref() != Some(was_of) => {
                self.service_of.remove(&id);
                self.change(was_of, all, |endpoints| {
                    endpoints.slices.remove(meta.name.as_str());
                })
            }
            _ => None,
        };
        let joined = service.and_then(|service| {
            // The key that is known already shares its text.
            let known = services.get(&service).map(|known| known.key.clone());
            let service = known.unwrap_or(service);
            self.service_of.insert(id, service.clone());
            let endpoints: Vec<_> = slice.endpoints.iter().map(parse).collect();
            self.change(&service, all, |all| {
                all.slices
                    .insert(meta.name.as_str().into(), endpoints.into());
            })
        });
        left.into_iter().chain(joined)
    }

    /// Drops a slice; the Service whose endpoints changed with it.
    pub(super) fn delete(&mut self, slice: &ObjectRef, all: &mut All) -> Option<ServiceKey> {
        let service = self.service_of.remove(&id(&slice.namespace, &slice.name))?;
        self.change(&service, all, |endpoints| {
            endpoints.slices.remove(slice.name.as_str());
        })
    }

    /// Takes readiness said apart, in place of what was said so before; the Service if its
    /// endpoints changed.
    pub(super) fn set_readiness(
        &mut self,
        service: ServiceKey,
        ready: BTreeMap<NodeName, bool>,
        all: &mut All,
    ) -> Option<ServiceKey> {
        if ready.is_empty() {
            let before = self.overridden.remove(&service)?;
            return put(service, before.written, all);
        }
        let overridden = self.overridden.entry(service.clone()).or_insert_with(|| {
            let written = all.get(&service).cloned().unwrap_or_default();
            Overridden {
                ready: BTreeMap::new(),
                written,
            }
        });
        overridden.ready = ready;
        put(service, overridden.effective(), all)
    }

    /// Packs what is kept, see [`flat::pack`].
    pub(super) fn pack(&mut self, new: usize) {
        flat::pack(&mut self.service_of, new);
    }

    /// Changes what the slices say of a Service; the Service if its endpoints changed with it.
    fn change(
        &mut self,
        service: &ServiceKey,
        all: &mut All,
        change: impl FnOnce(&mut Endpoints),
    ) -> Option<ServiceKey> {
        let endpoints = match self.overridden.get_mut(service) {
            Some(overridden) => {
                change(&mut overridden.written);
                overridden.effective()
            }
            None => {
                let mut endpoints = all.get(service).cloned().unwrap_or_default();
                change(&mut endpoints);
                endpoints
            }
        };
        put(service.clone(), endpoints, all)
    }
}

impl Overridden {
    fn effective(&self) -> Endpoints {
        let mut endpoints = self.written.clone();
        for endpoint in endpoints.slices.values_mut().flatten() {
            let ready = endpoint.node.as_ref().and_then(|node| self.ready.get(node));
            endpoint.serving = ready.copied().unwrap_or(endpoint.serving);
        }
        endpoints
    }
}

/// Sets the endpoints of a Service, none if it has no slice; the Service if that is a change.
fn put(service: ServiceKey, endpoints: Endpoints, all: &mut All) -> Option<ServiceKey> {
    if endpoints.slices.is_empty() {
        return all.remove(&service).map(|_| service);
    }
    if all.get(&service) == Some(&endpoints) {
        return None;
    }
    all.insert(service.clone(), endpoints);
    Some(service)
}

fn id(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
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
