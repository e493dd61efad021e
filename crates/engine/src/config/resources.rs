//! The objects a configuration is compiled from, as the sources read them.

use crate::event::Object;
use crate::rejection::{Kind, ObjectRef};
use corten_api as api;
use std::collections::BTreeMap;
use std::fmt;

/// Name and namespace of an object, ordered by name first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
}

impl Id {
    /// The object of this kind and name.
    #[must_use]
    pub fn object(&self, kind: Kind) -> ObjectRef {
        ObjectRef::new(kind, &self.namespace, &self.name)
    }
}

impl From<ObjectRef> for Id {
    fn from(object: ObjectRef) -> Self {
        Self {
            name: object.name,
            namespace: object.namespace,
        }
    }
}

/// Every metallb.io object there is, each as last read.
#[derive(Clone, Default, PartialEq)]
pub struct Resources {
    /// IPAddressPools.
    pub pools: BTreeMap<Id, api::pool::IPAddressPool>,
    /// L2Advertisements.
    pub l2: BTreeMap<Id, api::l2::L2Advertisement>,
    /// BGPAdvertisements.
    pub bgp: BTreeMap<Id, api::bgp::BGPAdvertisement>,
    /// BGPPeers.
    pub peers: BTreeMap<Id, api::bgp::BGPPeer>,
    /// BFDProfiles.
    pub bfd: BTreeMap<Id, api::bfd::BFDProfile>,
    /// Communities.
    pub communities: BTreeMap<Id, api::bgp::Community>,
    /// Secrets.
    pub secrets: Secrets,
}

/// Names only: peers have passwords.
impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources")
            .field("pools", &self.pools.keys())
            .field("l2", &self.l2.keys())
            .field("bgp", &self.bgp.keys())
            .field("peers", &self.peers.keys())
            .field("bfd", &self.bfd.keys())
            .field("communities", &self.communities.keys())
            .field("secrets", &self.secrets)
            .finish()
    }
}

/// The Secrets peers can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// So far: one that isn't known may well exist.
    Listing(BTreeMap<Id, SecretContent>),
    /// All there are.
    Listed(BTreeMap<Id, SecretContent>),
}

impl Default for Secrets {
    fn default() -> Self {
        Self::Listing(BTreeMap::new())
    }
}

impl Secrets {
    fn known(&mut self) -> &mut BTreeMap<Id, SecretContent> {
        match self {
            Self::Listing(known) | Self::Listed(known) => known,
        }
    }

    /// Takes note that those known are all there are.
    pub fn complete(&mut self) {
        *self = Self::Listed(std::mem::take(self.known()));
    }
}

/// What a Secret has in it.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretContent {
    /// Type `kubernetes.io/basic-auth` and key `password`.
    Password(String),
    /// Type `kubernetes.io/basic-auth` without key `password`.
    NoPassword,
    /// Another type.
    OtherType,
}

impl SecretContent {
    /// What is of use of a Secret.
    fn of(secret: &api::secret::Secret) -> Self {
        if secret.type_.as_deref() != Some(api::secret::BASIC_AUTH) {
            return Self::OtherType;
        }
        match secret.password() {
            Some(password) => Self::Password(password.to_owned()),
            None => Self::NoPassword,
        }
    }
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::NoPassword => "NoPassword",
            Self::OtherType => "OtherType",
        })
    }
}

/// What putting an object into [`Resources`] did.
#[derive(Debug)]
pub enum Applied {
    /// It differs from what was there.
    Changed,
    /// The same was there.
    Same,
    /// It is none of the configuration's kinds.
    Other(Object),
}

impl Resources {
    /// What is in use of `accepted`, each with its object: the first of its name.
    pub fn kept<'a, T, C>(
        objects: &'a BTreeMap<Id, T>,
        accepted: &'a BTreeMap<String, C>,
    ) -> impl Iterator<Item = (&'a Id, &'a C)> {
        accepted.iter().filter_map(|(name, compiled)| {
            let first = Id {
                name: name.clone(),
                namespace: String::new(),
            };
            let (id, _) = objects.range(first..).next()?;
            (id.name == *name).then_some((id, compiled))
        })
    }

    /// Puts an object in the place of its predecessor.
    pub fn apply(&mut self, object: Object) -> Applied {
        let id = Id::from(object.reference());
        match object {
            Object::IPAddressPool(o) => put(&mut self.pools, id, *o),
            Object::L2Advertisement(o) => put(&mut self.l2, id, *o),
            Object::BGPAdvertisement(o) => put(&mut self.bgp, id, *o),
            Object::BGPPeer(o) => put(&mut self.peers, id, *o),
            Object::BFDProfile(o) => put(&mut self.bfd, id, *o),
            Object::Community(o) => put(&mut self.communities, id, *o),
            Object::Secret(o) => put(self.secrets.known(), id, SecretContent::of(&o)),
            other @ (Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Node(_)
            | Object::Namespace(_)) => Applied::Other(other),
        }
    }

    /// Removes an object; whether it was there.
    pub fn delete(&mut self, object: &ObjectRef) -> bool {
        let id = Id::from(object.clone());
        match object.kind {
            Kind::IPAddressPool => self.pools.remove(&id).is_some(),
            Kind::L2Advertisement => self.l2.remove(&id).is_some(),
            Kind::BGPAdvertisement => self.bgp.remove(&id).is_some(),
            Kind::BGPPeer => self.peers.remove(&id).is_some(),
            Kind::BFDProfile => self.bfd.remove(&id).is_some(),
            Kind::Community => self.communities.remove(&id).is_some(),
            Kind::Secret => self.secrets.known().remove(&id).is_some(),
            Kind::Service | Kind::EndpointSlice | Kind::Node | Kind::Namespace => false,
        }
    }
}

fn put<T: PartialEq>(map: &mut BTreeMap<Id, T>, id: Id, object: T) -> Applied {
    if map.get(&id) == Some(&object) {
        return Applied::Same;
    }
    map.insert(id, object);
    Applied::Changed
}
