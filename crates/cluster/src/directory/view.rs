//! The objects in use: those of the files, and those the files can't show now but did.
//!
//! **Unknown is not gone.** An object leaves only when everything could be read and it is nowhere
//! in it; while any part that may hold an object is unreadable, none leaves.

use super::files::Files;
use super::read::{self, Identity, Placed};
use corten_api::core::Service;
use corten_api::names;
use corten_engine::event::Object;
use corten_engine::names::{PoolName, ServiceKey};
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

/// What is kept of an object: enough to tell whether it changed, and to say what the ledger and
/// health checks say of it. Its text goes when it is said, and stays where another document hides
/// it; typed or as text it would be the largest part of the process's memory.
pub(crate) struct Kept {
    /// Which object.
    pub(crate) identity: Identity,
    /// The Service an EndpointSlice belongs to.
    slice_of: Option<ServiceKey>,
    /// The file it was read from, and the line.
    file: Rc<str>,
    line: u32,
    /// What few objects have.
    rare: Option<Box<Rare>>,
    /// The first half of the SHA-256 of its text.
    digest: [u8; 16],
    /// Its text, in JSON, until it is said.
    text: Cell<Option<Box<str>>>,
}

/// What few objects have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rare {
    /// The namespace of a metallb.io object.
    namespace: String,
    /// A Service's health annotation.
    health: Option<String>,
    /// The addresses a Service asks for.
    pinned: Vec<IpAddr>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.object_ref(), self.place())
    }
}

impl Kept {
    /// The object of `placed`, read from `file`.
    pub(crate) fn new(placed: &Placed, file: &Rc<str>) -> Self {
        let object_ref = &placed.object_ref;
        let identity = Identity::from(object_ref);
        let (mut slice_of, mut rare) = (None, Rare::default());
        if identity.namespace() != object_ref.namespace {
            rare.namespace.clone_from(&object_ref.namespace);
        }
        if let Object::Service(object) = &placed.object {
            rare.health = object.metadata.annotations.get(names::HEALTH).cloned();
            rare.pinned = pinned(object);
        }
        if let Object::EndpointSlice(slice) = &placed.object {
            let name = slice.metadata.labels.get(names::SERVICE_NAME);
            slice_of = name.map(|name| ServiceKey::new(&object_ref.namespace, name));
        }
        let text = encode(&placed.object);
        let mut digest = [0; 16];
        for (to, from) in digest.iter_mut().zip(Sha256::digest(&text)) {
            *to = from;
        }
        Self {
            identity,
            slice_of,
            file: Rc::clone(file),
            line: placed.line,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            digest,
            text: Cell::new(Some(text.into())),
        }
    }

    /// Kind, namespace and name.
    pub(crate) fn object_ref(&self) -> ObjectRef {
        let identity = &self.identity;
        let namespace = match &self.rare {
            Some(rare) if !rare.namespace.is_empty() => &rare.namespace,
            Some(_) | None => identity.namespace(),
        };
        ObjectRef::new(identity.kind(), namespace, identity.name())
    }

    /// The Service it is.
    pub(crate) fn service(&self) -> Option<ServiceKey> {
        let identity = &self.identity;
        let key = || ServiceKey::new(identity.namespace(), identity.name());
        (identity.kind() == Kind::Service).then(key)
    }

    /// The Service it belongs to as an EndpointSlice.
    pub(crate) fn slice_of(&self) -> Option<&ServiceKey> {
        self.slice_of.as_ref()
    }

    /// Name of the file it was read from.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Where it was read: `pools.yaml:14`.
    pub(crate) fn place(&self) -> String {
        read::place(&self.file, self.line)
    }

    /// A Service's health annotation.
    pub(crate) fn health(&self) -> Option<&str> {
        self.rare.as_ref()?.health.as_deref()
    }

    /// The addresses a Service asks for, if all of them can be read.
    pub(crate) fn pinned(&self) -> &[IpAddr] {
        self.rare.as_ref().map_or(&[], |rare| &rare.pinned)
    }

    /// Whether both are the same, read at the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.says_same(other) && (&self.file, self.line) == (&other.file, other.line)
    }

    /// Whether both say the same; where they say it doesn't matter.
    fn says_same(&self, other: &Self) -> bool {
        (&self.identity, self.digest) == (&other.identity, other.digest)
            && self.object_ref() == other.object_ref()
    }

    /// Whether the object can be said.
    fn has_text(&self) -> bool {
        let text = self.text.take();
        let has = text.is_some();
        self.text.set(text);
        has
    }

    /// Takes the text of the same object read once more.
    pub(crate) fn restore(&self, other: &Self) {
        self.text.set(other.text.take());
    }

    /// The object, once; later only what its file says again can be told.
    pub(crate) fn take_object(&self) -> Option<Object> {
        fn decode<T: DeserializeOwned>(json: &str, wrap: fn(Box<T>) -> Object) -> Option<Object> {
            match serde_json::from_str(json) {
                Ok(object) => Some(wrap(Box::new(object))),
                Err(error) => {
                    tracing::error!(%error, json, "an object can't be read back");
                    None
                }
            }
        }
        let json = &*self.text.take()?;
        match self.identity.kind() {
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
            Kind::Secret => decode(json, Object::Secret),
        }
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
        Object::Secret(o) => serde_json::to_string(o),
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
    /// In the order of their identities, none twice.
    objects: Vec<Rc<Kept>>,
    /// What is rejected in the files now.
    pub(crate) rejections: Vec<Rejection>,
    /// Whether a file changed while an object of it was to be said.
    pub(crate) lacking: bool,
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
    /// Takes over what the files say now. Linear in the number of objects.
    pub(crate) fn update(&mut self, files: &Files, absent: Absent) -> Difference {
        let found = self.find(files);
        let rejected: BTreeSet<Identity> = self.rejections.iter().filter_map(named).collect();
        let changes = pair(std::mem::take(&mut self.objects), found);
        // Said before, and then hidden by another document: only its file knows it still.
        let is_lost = |change: &&Change| match change {
            (old, Some(new)) => {
                !new.has_text() && !old.as_ref().is_some_and(|old| new.says_same(old))
            }
            (_, None) => false,
        };
        let lost = changes.iter().filter(is_lost);
        files.restore(lost.filter_map(|(_, new)| new.as_ref()));
        self.lacking = false;
        let mut difference = Difference::default();
        let mut objects = Vec::with_capacity(changes.len());
        for (old, new) in changes {
            let kept = match (old, new) {
                (old, Some(new)) => self.follow(old, new, &mut difference),
                (Some(old), None)
                    if absent == Absent::Unknown || rejected.contains(&old.identity) =>
                {
                    Some(old)
                }
                (old, None) => {
                    let gone = old.map(|old| old.object_ref());
                    difference.deleted.extend(gone);
                    None
                }
            };
            objects.extend(kept);
        }
        objects.shrink_to_fit();
        self.objects = objects;
        difference
    }

    /// The object to be in use in place of `old`, if any is.
    fn follow(
        &mut self,
        old: Option<Rc<Kept>>,
        new: Rc<Kept>,
        difference: &mut Difference,
    ) -> Option<Rc<Kept>> {
        if old.as_ref().is_some_and(|old| new.says_same(old)) {
            new.text.take();
            return Some(new);
        }
        if !new.has_text() {
            self.lacking = true;
            self.rejections.push(Rejection {
                subject: Subject::Object(new.object_ref()),
                field: String::new(),
                cause: "its file can't be read again as it was; it is used once it can".to_owned(),
                place: new.place(),
            });
            return old;
        }
        if let Some(before) = old.map(|old| old.object_ref())
            && before != new.object_ref()
        {
            difference.deleted.push(before);
        }
        difference.applied.insert(new.identity.clone());
        Some(new)
    }

    /// What the files say now, in the order of identities; what they say twice is rejected.
    fn find(&mut self, files: &Files) -> Vec<Rc<Kept>> {
        self.rejections = files.unlisted.iter().cloned().collect();
        self.rejections.extend(files.unnamed.iter().cloned());
        let all = files.files.values();
        let mut found: Vec<Rc<Kept>> = all.clone().flat_map(|f| &f.objects).cloned().collect();
        for file in all {
            self.rejections.extend(file.rejections.iter().cloned());
        }
        // The objects of each file are sorted already, and the first file's stay in front.
        found.sort_by(|a, b| a.identity.cmp(&b.identity));
        found.dedup_by(|second, first| {
            let twice = second.identity == first.identity;
            if twice {
                let (object, place) = (second.object_ref(), second.place());
                let duplicate = read::duplicate(&object, &place, &first.place());
                self.rejections.push(duplicate);
            }
            twice
        });
        found
    }

    /// The Services of `keys` that aren't in use; `keys` are in order.
    pub(crate) fn without<'a, T>(
        &self,
        keys: impl Iterator<Item = (&'a ServiceKey, T)>,
    ) -> impl Iterator<Item = (&'a ServiceKey, T)> {
        let is_service = |kept: &&Rc<Kept>| kept.identity.kind() == Kind::Service;
        let mut services = self.objects().filter(is_service).peekable();
        keys.filter(move |(key, _)| {
            let wanted = (key.namespace(), key.name());
            let name = |kept: &Rc<Kept>| {
                let identity = &kept.identity;
                (identity.namespace(), identity.name()).cmp(&wanted)
            };
            while services.next_if(|kept| name(kept).is_lt()).is_some() {}
            !services.peek().is_some_and(|kept| name(kept).is_eq())
        })
    }

    /// Every object in use, in the order of their identities.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Rc<Kept>> {
        self.objects.iter()
    }

    /// The object in use of this identity.
    pub(crate) fn get(&self, identity: &Identity) -> Option<&Rc<Kept>> {
        let at = self.objects.binary_search_by(|k| k.identity.cmp(identity));
        self.objects.get(at.ok()?)
    }

    /// Whether a pool is in use.
    pub(crate) fn has_pool(&self, pool: &PoolName) -> bool {
        let identity = Identity::new(Kind::IPAddressPool, "", pool.as_str());
        self.get(&identity).is_some()
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

/// An object in use, and what the files say in its place.
type Change = (Option<Rc<Kept>>, Option<Rc<Kept>>);

/// Puts together what was in use and what was found, both in the order of identities.
fn pair(before: Vec<Rc<Kept>>, found: Vec<Rc<Kept>>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::with_capacity(found.len());
    let mut before = before.into_iter().peekable();
    for new in found {
        while let Some(old) = before.next_if(|old| old.identity < new.identity) {
            changes.push((Some(old), None));
        }
        let old = before.next_if(|old| old.identity == new.identity);
        changes.push((old, Some(new)));
    }
    changes.extend(before.map(|old| (Some(old), None)));
    changes
}

fn named(rejection: &Rejection) -> Option<Identity> {
    match &rejection.subject {
        Subject::Object(object) => Some(Identity::from(object)),
        Subject::Unidentified => None,
    }
}

fn service_identity(key: &ServiceKey) -> Identity {
    Identity::new(Kind::Service, key.namespace(), key.name())
}
