//! What sources say and what the cores ask for in return.

use crate::config::frr::Frr;
use crate::names::{NodeName, PoolName, ServiceKey};
use crate::rejection::{Kind, ObjectRef, Rejection};
use corten_api as api;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An object as a source read it, well-formed but not yet judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A Service, its status merged in by the source (the directory takes it from the ledger).
    Service(Box<api::core::Service>),
    /// An EndpointSlice.
    EndpointSlice(Box<api::core::EndpointSlice>),
    /// A Node.
    Node(Box<api::core::Node>),
    /// A Namespace.
    Namespace(Box<api::core::Namespace>),
    /// An IPAddressPool.
    IPAddressPool(Box<api::pool::IPAddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Box<api::l2::L2Advertisement>),
    /// A BGPAdvertisement.
    BGPAdvertisement(Box<api::bgp::BGPAdvertisement>),
    /// A BGPPeer, converted to v1beta2.
    BGPPeer(Box<api::bgp::BGPPeer>),
    /// A BFDProfile.
    BFDProfile(Box<api::bfd::BFDProfile>),
    /// A Community.
    Community(Box<api::bgp::Community>),
    /// A Secret.
    Secret(Box<api::secret::Secret>),
}

impl Object {
    /// Kind, namespace and name.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        let core = |kind, meta: &api::core::Meta| ObjectRef {
            kind,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        };
        let custom = |kind, meta: &api::ObjectMeta| ObjectRef {
            kind,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        match self {
            Self::Service(o) => core(Kind::Service, &o.metadata),
            Self::EndpointSlice(o) => core(Kind::EndpointSlice, &o.metadata),
            Self::Node(o) => core(Kind::Node, &o.metadata),
            Self::Namespace(o) => core(Kind::Namespace, &o.metadata),
            Self::IPAddressPool(o) => custom(Kind::IPAddressPool, &o.metadata),
            Self::L2Advertisement(o) => custom(Kind::L2Advertisement, &o.metadata),
            Self::BGPAdvertisement(o) => custom(Kind::BGPAdvertisement, &o.metadata),
            Self::BGPPeer(o) => custom(Kind::BGPPeer, &o.metadata),
            Self::BFDProfile(o) => custom(Kind::BFDProfile, &o.metadata),
            Self::Community(o) => custom(Kind::Community, &o.metadata),
            Self::Secret(o) => core(Kind::Secret, &o.metadata),
        }
    }
}

/// One thing a source says.
///
/// A source never says `Delete` for an object it merely can't see: rejected, unreadable or not
/// yet listed is never deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The object exists and reads like this.
    Apply(Object),
    /// A Service, said before, has this now: it takes the place of what its status and its
    /// annotation said. For sources that keep allocations apart from objects.
    Allocated(ServiceKey, Assignment),
    /// Whether the endpoints of a Service on these nodes are ready, whatever its slices say; the
    /// complete list for that Service, replacing the one before. On other nodes they are as the
    /// slices say.
    Readiness(ServiceKey, BTreeMap<NodeName, bool>),
    /// The source was read in full and the object isn't there any more.
    Delete(ObjectRef),
    /// Everything the source can't read now: the complete list, replacing the one before. The
    /// last good version of each such object stays.
    Rejections(Vec<Rejection>),
    /// Allocations on record for Services the source can't see now (hidden in an unreadable
    /// part): the complete list, replacing the one before. Their addresses are nobody else's.
    Reserved(BTreeMap<ServiceKey, Vec<IpAddr>>),
    /// What FRR is configured to hold, replacing what was said before.
    Frr(Frr),
    /// The first full list of a kind is complete.
    Listed(Kind),
}

/// Event on an object, as `kubectl describe` shows it (`spec/metallb.md` §3.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRecord {
    /// The Service it is about.
    pub service: ServiceKey,
    /// Normal or Warning.
    pub severity: Severity,
    /// Machine-readable reason, MetalLB's where it has one.
    pub reason: &'static str,
    /// Text.
    pub message: String,
}

/// Type of an [`EventRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Severity {
    /// Something expected happened.
    Normal,
    /// Someone should look.
    Warning,
}

/// The allocation of a Service as it is to be persisted: status and annotation together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Addresses in ingress order; none means cleared.
    pub ingress: Vec<IpAddr>,
    /// Pool named in the annotation; `None` removes the annotation.
    pub pool: Option<PoolName>,
}

#[cfg(test)]
pub(crate) mod manifest;
