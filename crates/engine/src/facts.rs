//! The last known objects, parsed once, held once.
//!
//! An object that can't be used keeps its last good version: only [`Event::Delete`] removes one.
//!
//! [`Event::Delete`]: crate::event::Event::Delete

pub(crate) mod company;
mod endpoint;
mod handle;
mod node;
mod service;

use crate::config::Config;
use crate::config::frr::Frr;
use crate::config::resources::Resources;
use crate::flat::{FlatMap, FlatSet};
use crate::ip::Family;
use crate::names::{NodeName, PoolName, ServiceKey};
use crate::rejection::{Kind, ObjectRef, Rejection};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Labels of an object.
pub type Labels = FlatMap<String, String>;

/// Where Services come from; decides what stands in for the API server's defaulting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The API server fills in clusterIPs.
    Kubernetes,
    /// Nobody fills in clusterIPs. Without them `ipFamilies` and `ipFamilyPolicy` say the families,
    /// as the API server of a dual-stack cluster would read them: two families or a dual-stack
    /// policy mean both (without a policy, both required), one family means that one. Without
    /// either, the requested addresses say them, and without those it is IPv4.
    Directory,
}

/// Whose configuration is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewpoint {
    /// That of every node: two objects clash if they do on some node.
    Everywhere,
    /// This node's: what isn't for it clashes with nothing (`spec/metallb.md` §2.3).
    Node(NodeName),
}

/// A Service, as far as load balancing goes (`spec/metallb.md` §3.1, §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// Creation time as the source writes it (RFC 3339), where it knows one; of two Services
    /// found with one address the older keeps it.
    pub created: Option<String>,
    /// Labels.
    pub labels: Labels,
    /// Whether `type` is LoadBalancer.
    pub is_load_balancer: bool,
    /// `loadBalancerClass`.
    pub class: Class,
    /// Families, from the cluster addresses.
    pub families: Families,
    /// `ipFamilyPolicy`.
    pub family_policy: FamilyPolicy,
    /// First of `ipFamilies`, IPv4 when absent.
    pub primary_family: Family,
    /// `externalTrafficPolicy`.
    pub traffic_policy: TrafficPolicy,
    /// Pod selector; the backend key of a Local Service.
    pub selector: FlatMap<String, String>,
    /// Ports.
    pub ports: FlatSet<Port>,
    /// Addresses asked for.
    pub requested: Requested,
    /// Pool asked for.
    pub requested_pool: Option<PoolName>,
    /// Annotation `allow-shared-ip`: absent, present but empty, or a key.
    pub sharing: Sharing,
    /// Addresses in the status, in order.
    pub ingress: Ingress,
    /// Annotation `ip-allocated-from-pool`.
    pub allocated_from: Option<PoolName>,
    /// Deprecated annotations in use, by name.
    pub deprecated_annotations: Vec<String>,
}

/// `loadBalancerClass` of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// None asked for.
    Default,
    /// This one.
    Named(String),
}

/// The families a Service's cluster addresses have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// No cluster address yet.
    Unassigned,
    /// `clusterIP: None`.
    Headless,
    /// Cluster addresses that can't be read, or of which there are too many.
    Invalid,
    /// One family.
    Single(Family),
    /// Both.
    Dual,
}

/// `ipFamilyPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyPolicy {
    /// One family.
    SingleStack,
    /// Both if possible.
    PreferDualStack,
    /// Both.
    RequireDualStack,
}

/// `externalTrafficPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node takes traffic.
    Cluster,
    /// Only nodes with a serving endpoint.
    Local,
}

/// Protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A protocol and a port number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Protocol.
    pub protocol: Protocol,
    /// Port number.
    pub port: u16,
}

/// Addresses a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// None: allocation is automatic.
    Any,
    /// One, or one of each family, in the order asked.
    Addresses(Vec<IpAddr>),
    /// Asked for, but not in a way that can be granted.
    Invalid(String),
}

/// Annotation `allow-shared-ip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Absent.
    Absent,
    /// Present, maybe empty (an empty key shares nothing but counts as present, §3.3).
    Key(String),
}

/// Addresses in a Service's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// None.
    Empty,
    /// These, in order.
    Addresses(Vec<IpAddr>),
    /// An entry that is no address.
    Unreadable(String),
}

/// Endpoints of a Service, of all its slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Endpoints by name of their slice.
    pub slices: FlatMap<Box<str>, Box<[Endpoint]>>,
}

impl Endpoints {
    /// Every endpoint, in the order of the slices' names.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.slices.values().flatten()
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Node it runs on, if known.
    pub node: Option<NodeName>,
    /// Whether it can serve (§3.8).
    pub serving: bool,
    /// Whether it has at least one address (BGP asks for it).
    pub has_address: bool,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name.
    pub name: NodeName,
    /// Labels.
    pub labels: Labels,
    /// Condition NetworkUnavailable is True.
    pub network_unavailable: bool,
    /// It carries the taint `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
    /// Addresses of type InternalIP and ExternalIP.
    pub addresses: Vec<IpAddr>,
}

/// Everything the sources said, and the configuration compiled from it.
///
/// Held once per process; the controller and the speaker read it.
#[derive(Debug)]
pub struct Facts {
    /// Where objects come from.
    pub origin: Origin,
    /// Whose configuration is judged.
    pub viewpoint: Viewpoint,
    /// Services.
    pub services: BTreeMap<ServiceKey, Box<Service>>,
    /// Endpoints by Service, of all its slices.
    pub endpoints: BTreeMap<ServiceKey, Endpoints>,
    /// Addresses on record for Services that can't be seen now, by the source or here.
    pub reserved: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Nodes.
    pub nodes: BTreeMap<NodeName, Node>,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<String, Labels>,
    /// Compiled configuration: accepted objects, each in its last good version.
    pub config: Config,
    /// What FRR is configured to hold.
    pub frr: Frr,
    /// What is rejected now, by the sources and by the compiler.
    pub rejections: Vec<Rejection>,
    /// Kinds whose first full list is complete.
    pub listed: BTreeSet<Kind>,
    /// The objects `config` is compiled from.
    resources: Resources,
    /// EndpointSlices.
    slices: endpoint::Slices,
    /// Services that share addresses.
    companies: company::Companies,
    /// Addresses on record for Services the source can't see.
    hidden: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Addresses of Services that can't be parsed and never could.
    unparsed: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// What the sources can't read.
    unreadable: Vec<Rejection>,
    /// What can't be parsed of the objects that aren't configuration.
    refused: BTreeMap<ObjectRef, Vec<Rejection>>,
    /// What the compiler rejects.
    uncompiled: Vec<Rejection>,
}

/// What a batch of events changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Services that appeared, changed, vanished, whose endpoints did, or any of this of one they
    /// share an address with.
    pub services: BTreeSet<ServiceKey>,
    /// Pools changed: set, content or acceptance.
    pub pools: bool,
    /// Advertisements, peers or anything else of the configuration changed.
    pub config: bool,
    /// Nodes (set, labels, taint, NetworkUnavailable, addresses) changed.
    pub nodes: bool,
    /// Namespace labels changed.
    pub namespaces: bool,
    /// The reserved addresses changed.
    pub reserved: bool,
    /// A kind's first full list became complete.
    pub listed: bool,
    /// What is rejected changed.
    pub rejections: bool,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
