//! The objects in use: those of the files, and those the files can't show now but did.
//!
//! **Unknown is not gone.** An object leaves only when everything could be read and it is nowhere
//! in it; while any part that may hold an object is unreadable, none leaves.

use super::files::Files;
use super::read::{self, Identity, Placed};
use corten_api::core::{EndpointSlice, Service};
use corten_api::names;
use corten_engine::event::Object;
use corten_engine::names::{PoolName, ServiceKey};
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An object, kept as text: a tenth of what it takes in memory, and needed again only when an
/// allocation or a node's health changes what is said of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Which object.
    pub(crate) object_ref: ObjectRef,
    /// The Service it is, or belongs to as an EndpointSlice.
    pub(crate) service: Option<ServiceKey>,
    /// A Service's health annotation.
    pub(crate) health: Option<String>,
    /// Where it was read.
    pub(crate) place: String,
    json: Box<str>,
}

impl Kept {
    pub(crate) fn new(placed: Placed) -> Self {
        let object_ref = placed.object_ref;
        let (mut service, mut health) = (None, None);
        if let Object::Service(object) = &placed.object {
            service = Some(ServiceKey::new(&object_ref.namespace, &object_ref.name));
            health = object.metadata.annotations.get(names::HEALTH).cloned();
        }
        if let Object::EndpointSlice(slice) = &placed.object {
            let name = slice.metadata.labels.get(names::SERVICE_NAME);
            service = name.map(|name| ServiceKey::new(&object_ref.namespace, name));
        }
        Self {
            object_ref,
            service,
            health,
            place: placed.place,
            json: encode(&placed.object).into_boxed_str(),
        }
    }

    /// The object again.
    pub(crate) fn object(&self) -> Option<Object> {
        fn decode<T: DeserializeOwned>(json: &str, wrap: fn(Box<T>) -> Object) -> Option<Object> {
            match serde_json::from_str(json) {
                Ok(object) => Some(wrap(Box::new(object))),
                Err(error) => {
                    tracing::error!(%error, json, "an object can't be read back");
                    None
                }
            }
        }
        let json = &self.json;
        match self.object_ref.kind {
            Kind::Service => decode(json, Object::Service),
            Kind::EndpointSlice => decode(json, Object::EndpointSlice),
            Kind::Node => decode(json, Object::Node),
            Kind::Namespace => decode(json, Object::Namespace),
            Kind::IPAddressPool => decode(json, Object::IPAddressPool),
            Kind::L2Advertisement => decode(json, Object::L2Advertisement),
            Kind::BGPAdvertisement => decode(json, Object::BGPAdvertisement),
            Kind::BGPPeer => decode(json, Object::BGPPeer),
            Kind::BFDProfile => decode(json, Object::BFDProfile),
            Kind::Community => decode(json, Object::Community),
            Kind::Secret => None,
        }
    }

    /// Whether both say the same; where they say it doesn't matter.
    fn says_same(&self, other: &Self) -> bool {
        self.object_ref == other.object_ref && self.json == other.json
    }

    /// The object as a Service, if it is one.
    pub(crate) fn as_service(&self) -> Option<Box<Service>> {
        match self.object()? {
            Object::Service(service) => Some(service),
            Object::EndpointSlice(_)
            | Object::Node(_)
            | Object::Namespace(_)
            | Object::IPAddressPool(_)
            | Object::L2Advertisement(_)
            | Object::BGPAdvertisement(_)
            | Object::BGPPeer(_)
            | Object::BFDProfile(_)
            | Object::Community(_) => None,
        }
    }

    /// The object as an EndpointSlice, if it is one.
    pub(crate) fn as_slice(&self) -> Option<Box<EndpointSlice>> {
        match self.object()? {
            Object::EndpointSlice(slice) => Some(slice),
            Object::Service(_)
            | Object::Node(_)
            | Object::Namespace(_)
            | Object::IPAddressPool(_)
            | Object::L2Advertisement(_)
            | Object::BGPAdvertisement(_)
            | Object::BGPPeer(_)
            | Object::BFDProfile(_)
            | Object::Community(_) => None,
        }
    }
}

fn encode(object: &Object) -> String {
    let json = match object {
        Object::Service(o) => serde_json::to_string(o),
        Object::EndpointSlice(o) => serde_json::to_string(o),
        Object::Node(o) => serde_json::to_string(o),
        Object::Namespace(o) => serde_json::to_string(o),
        Object::IPAddressPool(o) => serde_json::to_string(o),
        Object::L2Advertisement(o) => serde_json::to_string(o),
        Object::BGPAdvertisement(o) => serde_json::to_string(o),
        Object::BGPPeer(o) => serde_json::to_string(o),
        Object::BFDProfile(o) => serde_json::to_string(o),
        Object::Community(o) => serde_json::to_string(o),
    };
    json.unwrap_or_else(|error| {
        tracing::error!(%error, "an object can't be written");
        String::new()
    })
}

/// How the objects in use changed.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Objects that are gone.
    pub(crate) deleted: Vec<ObjectRef>,
    /// Objects that are new or say something else.
    pub(crate) applied: BTreeSet<Identity>,
}

/// The objects in use.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// By identity.
    pub(crate) objects: BTreeMap<Identity, Arc<Kept>>,
    /// What is rejected in the files now.
    pub(crate) rejections: Vec<Rejection>,
}

/// Whether absent objects may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// They have been deleted.
    Deleted,
    /// They may just be out of sight.
    Unknown,
}

impl View {
    /// Takes over what the files say now.
    pub(crate) fn update(&mut self, files: &Files, absent: Absent) -> Difference {
        let mut found: BTreeMap<Identity, Arc<Kept>> = BTreeMap::new();
        self.rejections = files.unlisted.iter().cloned().collect();
        for file in files.files.values() {
            self.rejections.extend(file.rejections.iter().cloned());
            for kept in &file.objects {
                let identity = read::identity(&kept.object_ref);
                match found.get(&identity) {
                    Some(first) => self.rejections.push(read::duplicate(
                        &kept.object_ref,
                        &kept.place,
                        &first.place,
                    )),
                    None => {
                        found.insert(identity, Arc::clone(kept));
                    }
                }
            }
        }
        let rejected: BTreeSet<Identity> = self.rejections.iter().filter_map(named).collect();
        let mut difference = Difference::default();
        for (identity, old) in std::mem::take(&mut self.objects) {
            match found.get(&identity) {
                Some(new) if new.says_same(&old) => {}
                Some(new) => {
                    if new.object_ref != old.object_ref {
                        difference.deleted.push(old.object_ref.clone());
                    }
                    difference.applied.insert(identity.clone());
                }
                None if absent == Absent::Unknown || rejected.contains(&identity) => {
                    self.objects.insert(identity, old);
                    continue;
                }
                None => difference.deleted.push(old.object_ref.clone()),
            }
            if let Some(new) = found.remove(&identity) {
                self.objects.insert(identity, new);
            }
        }
        difference.applied.extend(found.keys().cloned());
        self.objects.extend(found);
        difference
    }

    /// Whether a Service is in use.
    pub(crate) fn has_service(&self, key: &ServiceKey) -> bool {
        self.objects.contains_key(&service_identity(key))
    }

    /// Whether a pool is in use.
    pub(crate) fn has_pool(&self, pool: &PoolName) -> bool {
        let identity = (Kind::IPAddressPool, String::new(), pool.0.clone());
        self.objects.contains_key(&identity)
    }

    /// Whether a Service is rejected, so that it may exist although it can't be read.
    pub(crate) fn is_rejected(&self, key: &ServiceKey) -> bool {
        let identity = service_identity(key);
        self.rejections
            .iter()
            .filter_map(named)
            .any(|named| named == identity)
    }
}

fn named(rejection: &Rejection) -> Option<Identity> {
    match &rejection.subject {
        Subject::Object(object) => Some(read::identity(object)),
        Subject::Unidentified => None,
    }
}

fn service_identity(key: &ServiceKey) -> Identity {
    (
        Kind::Service,
        key.namespace().to_owned(),
        key.name().to_owned(),
    )
}
