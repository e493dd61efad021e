//! Events in, changes out.

use super::{Changes, Facts, Ingress, Node, Origin, Viewpoint, company, endpoint, node, service};
use crate::config::frr::Frr;
use crate::config::resources::{Applied, Id, Resources};
use crate::config::selector;
use crate::config::{self, Compiled, Config, Surroundings};
use crate::event::{Assignment, Event, Object};
use crate::flat;
use crate::names::{NodeName, PoolName, ServiceKey};
use crate::rejection::{Fault, Kind, ObjectRef, Rejection, Subject};
use corten_api::core;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

impl Facts {
    /// Nothing known, nothing listed; the configuration is judged for this node.
    #[must_use]
    pub fn of_node(origin: Origin, node: NodeName) -> Self {
        Self {
            viewpoint: Viewpoint::Node(node),
            ..Self::new(origin)
        }
    }

    /// Nothing known, nothing listed; the configuration is judged for every node.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            viewpoint: Viewpoint::Everywhere,
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            reserved: BTreeMap::new(),
            nodes: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            config: Config::default(),
            frr: Frr::default(),
            rejections: Vec::new(),
            listed: BTreeSet::new(),
            resources: Resources::default(),
            slices: endpoint::Slices::default(),
            companies: company::Companies::default(),
            hidden: BTreeMap::new(),
            unparsed: BTreeMap::new(),
            unreadable: Vec::new(),
            refused: BTreeMap::new(),
            uncompiled: Vec::new(),
        }
    }

    /// Takes in what the sources say. An object that says the same as before changes nothing.
    ///
    /// A batch is compiled once, so objects that only make sense together should come together.
    /// The events are taken one by one, so that a source may make them as it goes.
    pub fn handle(&mut self, events: impl IntoIterator<Item = Event>) -> Changes {
        let mut changes = Changes::default();
        let listed_before = self.listed.clone();
        let mut recompile = false;
        for event in events {
            recompile |= match event {
                Event::Apply(object) => self.apply(object, &mut changes),
                Event::Allocated(service, assignment) => {
                    self.take_allocation(service, assignment, &mut changes);
                    false
                }
                Event::Readiness(service, ready) => {
                    let all = &mut self.endpoints;
                    let touched = self.slices.set_readiness(service, ready, all);
                    changes.services.extend(touched);
                    false
                }
                Event::Delete(object) => self.delete(&object, &mut changes),
                Event::Rejections(list) => {
                    let new = list != self.unreadable;
                    self.unreadable = list;
                    new
                }
                Event::Reserved(map) => {
                    self.hidden = map;
                    false
                }
                Event::Frr(frr) => {
                    changes.config |= frr != self.frr;
                    self.frr = frr;
                    false
                }
                Event::Listed(kind) => {
                    let new = self.listed.insert(kind);
                    if kind == Kind::Secret {
                        self.resources.secrets.complete();
                    }
                    changes.listed |= new;
                    new
                }
            };
        }
        let new = changes.services.len();
        flat::pack(&mut self.services, new);
        flat::pack(&mut self.endpoints, new);
        self.slices.pack(new);
        self.reserve(&mut changes);
        let known = company::Known {
            services: &self.services,
            endpoints: &self.endpoints,
        };
        self.companies.update(known, &mut changes.services);
        if recompile {
            self.recompile(&listed_before, &mut changes);
        }
        let rejections = self.all_rejections();
        changes.rejections = rejections != self.rejections;
        self.rejections = rejections;
        changes
    }

    /// What a Service that shares addresses is elected by.
    pub(crate) fn company(&self, service: &ServiceKey) -> Option<&company::Company> {
        self.companies.of(service)
    }

    /// The Services elected together with this one, itself included.
    pub(crate) fn companions(&self, service: &ServiceKey) -> BTreeSet<ServiceKey> {
        let known = company::Known {
            services: &self.services,
            endpoints: &self.endpoints,
        };
        self.companies.members(known, service)
    }

    /// Whether the first full lists of all these kinds are complete.
    #[must_use]
    pub fn is_listed(&self, kinds: &[Kind]) -> bool {
        kinds.iter().all(|kind| self.listed.contains(kind))
    }

    /// Everything rejected now, sorted, nothing twice.
    #[must_use]
    pub fn problems(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Whether a rejection is about something that is for the node whose configuration is judged,
    /// or about anything else: BGPPeers and BGPAdvertisements for other nodes are not its business
    /// (`spec/metallb.md` §2.3).
    #[must_use]
    pub fn concerns(&self, rejection: &Rejection) -> bool {
        let (Viewpoint::Node(name), Subject::Object(object)) =
            (&self.viewpoint, &rejection.subject)
        else {
            return true;
        };
        let id = Id {
            name: object.name.clone(),
            namespace: object.namespace.clone(),
        };
        let resources = &self.resources;
        let selectors = if object.kind == Kind::BGPPeer {
            resources.peers.get(&id).map(|o| &o.spec.node_selectors)
        } else if object.kind == Kind::BGPAdvertisement {
            resources.bgp.get(&id).map(|o| &o.spec.node_selectors)
        } else {
            None
        };
        let Some((selectors, node)) = selectors.zip(self.nodes.get(name)) else {
            return true;
        };
        // Selectors that can't be read may mean any node.
        let selectors = selector::compile_list("", selectors);
        selectors.map_or(true, |selectors| selectors.matches(&node.labels))
    }

    /// The objects the configuration is compiled from.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Takes an object in; whether the configuration depends on the change.
    fn apply(&mut self, object: Object, changes: &mut Changes) -> bool {
        match self.resources.apply(object) {
            Applied::Changed => true,
            Applied::Same => false,
            Applied::Other(object) => {
                let reference = object.reference();
                match object {
                    Object::Service(o) => self.apply_service(reference, &o, changes),
                    Object::Node(o) => return self.apply_node(reference, &o, changes),
                    Object::Namespace(o) => return self.apply_namespace(*o, changes),
                    Object::EndpointSlice(o) => {
                        let all = &mut self.endpoints;
                        let touched = self.slices.apply(&o, &self.services, all);
                        changes.services.extend(touched);
                    }
                    Object::IPAddressPool(_)
                    | Object::L2Advertisement(_)
                    | Object::BGPAdvertisement(_)
                    | Object::BGPPeer(_)
                    | Object::BFDProfile(_)
                    | Object::Community(_)
                    | Object::Secret(_) => {}
                }
                false
            }
        }
    }

    fn apply_service(&mut self, object: ObjectRef, raw: &core::Service, changes: &mut Changes) {
        match service::parse(raw, self.origin) {
            Ok(service) => {
                self.refused.remove(&object);
                self.unparsed.remove(&service.key);
                if self.services.get(&service.key).map(|s| &**s) != Some(&service) {
                    changes.services.insert(service.key.clone());
                    let key = service.key.clone();
                    self.services.insert(key, Box::new(service));
                }
            }
            Err(faults) => {
                self.take_status(
                    ServiceKey::new(&object.namespace, &object.name),
                    raw,
                    changes,
                );
                self.refuse(object, faults);
            }
        }
    }

    /// Takes the status of a Service that can't be parsed otherwise: what it has is known all the
    /// same. Without a last good version its addresses are at least nobody else's.
    fn take_status(&mut self, key: ServiceKey, raw: &core::Service, changes: &mut Changes) {
        let (ingress, allocated_from) = service::status(raw);
        self.take_ingress(key, ingress, allocated_from, changes);
    }

    /// Takes what is on record for a Service that was said, usable or not.
    fn take_allocation(&mut self, key: ServiceKey, new: Assignment, changes: &mut Changes) {
        let object = ObjectRef::new(Kind::Service, key.namespace(), key.name());
        if self.services.contains_key(&key) || self.refused.contains_key(&object) {
            let ingress = match new.ingress {
                none if none.is_empty() => Ingress::Empty,
                addresses => Ingress::Addresses(addresses),
            };
            self.take_ingress(key, ingress, new.pool, changes);
        }
    }

    fn take_ingress(
        &mut self,
        key: ServiceKey,
        ingress: Ingress,
        allocated_from: Option<PoolName>,
        changes: &mut Changes,
    ) {
        match (self.services.get_mut(&key), ingress) {
            (Some(old), ingress) => {
                if (&old.ingress, &old.allocated_from) != (&ingress, &allocated_from) {
                    (old.ingress, old.allocated_from) = (ingress, allocated_from);
                    changes.services.insert(key);
                }
            }
            (None, Ingress::Addresses(addresses)) => {
                self.unparsed.insert(key, addresses);
            }
            (None, Ingress::Empty | Ingress::Unreadable(_)) => {
                self.unparsed.remove(&key);
            }
        }
    }

    /// Puts together what is on record for Services that can't be seen.
    fn reserve(&mut self, changes: &mut Changes) {
        let unparsed = self.unparsed.iter();
        let all = self.hidden.iter().chain(unparsed);
        let reserved = all.map(|(key, ips)| (key.clone(), ips.clone())).collect();
        changes.reserved |= reserved != self.reserved;
        self.reserved = reserved;
    }

    fn apply_node(&mut self, object: ObjectRef, raw: &core::Node, changes: &mut Changes) -> bool {
        match node::parse(raw) {
            Ok(node) => {
                self.refused.remove(&object);
                let old = self.nodes.get(&node.name);
                if old == Some(&node) {
                    return false;
                }
                let relabelled = old.is_none_or(|old| old.labels != node.labels);
                changes.nodes = true;
                self.nodes.insert(node.name.clone(), node);
                relabelled
            }
            Err(faults) => {
                self.refuse(object, faults);
                false
            }
        }
    }

    fn apply_namespace(&mut self, raw: core::Namespace, changes: &mut Changes) -> bool {
        let core::Meta { name, labels, .. } = raw.metadata;
        let labels = labels.into();
        if self.namespaces.get(&name) == Some(&labels) {
            return false;
        }
        changes.namespaces = true;
        self.namespaces.insert(name, labels);
        true
    }

    /// Removes an object; whether the configuration depends on it.
    fn delete(&mut self, object: &ObjectRef, changes: &mut Changes) -> bool {
        self.refused.remove(object);
        match object.kind {
            Kind::Service => {
                let key = ServiceKey::new(&object.namespace, &object.name);
                self.unparsed.remove(&key);
                if self.services.remove(&key).is_some() {
                    changes.services.insert(key);
                }
                false
            }
            Kind::EndpointSlice => {
                let touched = self.slices.delete(object, &mut self.endpoints);
                changes.services.extend(touched);
                false
            }
            Kind::Node => {
                let name = NodeName(object.name.clone());
                let gone = self.nodes.remove(&name).is_some();
                changes.nodes |= gone;
                gone
            }
            Kind::Namespace => {
                let gone = self.namespaces.remove(&object.name).is_some();
                changes.namespaces |= gone;
                gone
            }
            Kind::IPAddressPool
            | Kind::L2Advertisement
            | Kind::BGPAdvertisement
            | Kind::BGPPeer
            | Kind::BFDProfile
            | Kind::Community
            | Kind::Secret => self.resources.delete(object),
        }
    }

    fn refuse(&mut self, object: ObjectRef, faults: Vec<Fault>) {
        let rejections = faults.into_iter().map(|fault| fault.of(&object)).collect();
        self.refused.insert(object, rejections);
    }

    fn recompile(&mut self, listed_before: &BTreeSet<Kind>, changes: &mut Changes) {
        let previous = settled(&self.config, listed_before);
        let here: BTreeMap<NodeName, Node>;
        let nodes = match &self.viewpoint {
            Viewpoint::Everywhere => &self.nodes,
            Viewpoint::Node(name) => {
                let node = self.nodes.get_key_value(name);
                here = node
                    .map(|(n, node)| (n.clone(), node.clone()))
                    .into_iter()
                    .collect();
                &here
            }
        };
        let around = Surroundings {
            previous: &previous,
            listed: &self.listed,
            unreadable: &self.unreadable,
            namespaces: &self.namespaces,
            nodes,
        };
        let Compiled { config, rejections } = config::compile(&self.resources, &around);
        let before = std::mem::replace(&mut self.config, config);
        let after = &self.config;
        changes.pools = before.pools != after.pools || before.coverage != after.coverage;
        changes.config = before.l2 != after.l2 || before.bgp != after.bgp;
        self.uncompiled = rejections;
    }

    fn all_rejections(&self) -> Vec<Rejection> {
        let parsed = self.refused.values().flatten();
        let all = self.unreadable.iter().chain(parsed).chain(&self.uncompiled);
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// What may have precedence and stand in for rejected objects: nothing of a kind whose first list
/// wasn't complete, so that the order in which that list came makes no difference.
fn settled<'a>(config: &'a Config, listed: &BTreeSet<Kind>) -> Cow<'a, Config> {
    let mut config = Cow::Borrowed(config);
    if !listed.contains(&Kind::IPAddressPool) {
        config.to_mut().pools.clear();
    }
    if !listed.contains(&Kind::L2Advertisement) {
        config.to_mut().l2.clear();
    }
    if !listed.contains(&Kind::BGPAdvertisement) {
        config.to_mut().bgp.advertisements.clear();
    }
    if !listed.contains(&Kind::BGPPeer) {
        config.to_mut().bgp.peers.clear();
    }
    if !listed.contains(&Kind::BFDProfile) {
        config.to_mut().bgp.bfd.clear();
    }
    if !listed.contains(&Kind::Community) {
        config.to_mut().bgp.communities.clear();
    }
    config
}
