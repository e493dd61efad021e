//! The kinds watched, by where the API server has them.

use super::watch::Selector;
use corten_engine::rejection::Kind;
use kube::Client;
use kube::api::{Api, ApiResource, Resource};

/// Where a kind's objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The whole cluster.
    Cluster,
    /// Corten's own namespace; objects elsewhere don't count (`spec/metallb.md` §1).
    Own,
}

fn place(kind: Kind) -> (Scope, &'static str, &'static str, &'static str) {
    const METALLB: &str = "metallb.io";
    match kind {
        Kind::Service => (Scope::Cluster, "", "v1", "services"),
        Kind::EndpointSlice => (Scope::Cluster, "discovery.k8s.io", "v1", "endpointslices"),
        Kind::Node => (Scope::Cluster, "", "v1", "nodes"),
        Kind::Namespace => (Scope::Cluster, "", "v1", "namespaces"),
        Kind::IPAddressPool => (Scope::Own, METALLB, "v1beta1", "ipaddresspools"),
        Kind::L2Advertisement => (Scope::Own, METALLB, "v1beta1", "l2advertisements"),
        Kind::BGPAdvertisement => (Scope::Own, METALLB, "v1beta1", "bgpadvertisements"),
        Kind::BGPPeer => (Scope::Own, METALLB, "v1beta2", "bgppeers"),
        Kind::BFDProfile => (Scope::Own, METALLB, "v1beta1", "bfdprofiles"),
        Kind::Community => (Scope::Own, METALLB, "v1beta1", "communities"),
        Kind::Secret => (Scope::Own, "", "v1", "secrets"),
    }
}

/// The API's name of a kind.
pub(super) fn resource(kind: Kind) -> ApiResource {
    let (_, group, version, plural) = place(kind);
    api_resource(&kind.to_string(), group, version, plural)
}

/// The API's name of a kind of this name.
pub(super) fn api_resource(kind: &str, group: &str, version: &str, plural: &str) -> ApiResource {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The version a kind is read in, as [`crate::directory`]'s reader names it.
pub(super) fn version(kind: Kind) -> &'static str {
    place(kind).2
}

/// Which objects of a kind are wanted.
pub(super) fn selector(kind: Kind) -> Selector {
    match kind {
        // A slice without the label is of no Service.
        Kind::EndpointSlice => Selector::Label(corten_api::names::SERVICE_NAME),
        Kind::Service
        | Kind::Node
        | Kind::Namespace
        | Kind::IPAddressPool
        | Kind::L2Advertisement
        | Kind::BGPAdvertisement
        | Kind::BGPPeer
        | Kind::BFDProfile
        | Kind::Community
        | Kind::Secret => Selector::All,
    }
}

/// A kind's objects, as far as they count; `own` is Corten's namespace.
pub(super) fn api<K>(client: &Client, kind: Kind, own: &str) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    let resource = resource(kind);
    match place(kind).0 {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Own => Api::namespaced_with(client.clone(), own, &resource),
    }
}
