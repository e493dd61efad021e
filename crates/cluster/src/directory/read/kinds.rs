//! Which kinds are read, in which versions, and as which types.

use crate::directory::decode::{DecodeError, UnknownField, decode as typed};
use crate::directory::tree::Node;
use corten_api::bgp::{conversion, v1beta1};
use corten_engine::event::Object;
use corten_engine::rejection::{Kind, ObjectRef};

/// Whether an apiVersion and a kind are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Yes.
    Kind(Kind),
    /// The kind is, in another version.
    Version(Kind),
    /// No.
    No,
}

const READ: [(Kind, &str, &[&str]); 11] = [
    (Kind::Service, "", &["v1"]),
    (Kind::Node, "", &["v1"]),
    (Kind::Namespace, "", &["v1"]),
    (Kind::EndpointSlice, "discovery.k8s.io", &["v1"]),
    (Kind::IPAddressPool, "metallb.io", &["v1beta1"]),
    (Kind::L2Advertisement, "metallb.io", &["v1beta1"]),
    (Kind::BGPAdvertisement, "metallb.io", &["v1beta1"]),
    (Kind::BGPPeer, "metallb.io", &["v1beta1", "v1beta2"]),
    (Kind::BFDProfile, "metallb.io", &["v1beta1"]),
    (Kind::Community, "metallb.io", &["v1beta1"]),
    (Kind::Secret, "", &["v1"]),
];

/// Looks up an object's apiVersion and kind.
pub(crate) fn known(api_version: &str, kind: &str) -> Known {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let found = READ
        .iter()
        .find(|(k, g, _)| *g == group && k.to_string() == kind);
    match found {
        Some((kind, _, versions)) if versions.contains(&version) => Known::Kind(*kind),
        Some((kind, _, _)) => Known::Version(*kind),
        None => Known::No,
    }
}

/// A kind by its bare name, whatever the group.
pub(crate) fn by_name(kind: &str) -> Option<Kind> {
    let found = READ.iter().find(|(k, _, _)| k.to_string() == kind);
    found.map(|(kind, _, _)| *kind)
}

/// Whether objects of the kind have a namespace.
pub(crate) fn is_namespaced(kind: Kind) -> bool {
    !matches!(kind, Kind::Node | Kind::Namespace)
}

/// Whether the type has every field the kind has.
pub(crate) fn is_complete(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Service | Kind::EndpointSlice | Kind::Node | Kind::Namespace | Kind::Secret
    )
}

/// Reads a document as the type of its kind, named as `object_ref`.
pub(crate) fn decode(
    kind: Kind,
    version: &str,
    object_ref: &ObjectRef,
    node: &Node,
) -> (Result<Object, DecodeError>, Vec<UnknownField>) {
    macro_rules! core {
        ($kind:ident, $type:ty) => {{
            let (object, unknown) = typed::<$type>(node);
            let object = object.map(|mut object| {
                object.metadata.namespace = object_ref.namespace.clone();
                Object::$kind(Box::new(object))
            });
            (object, unknown)
        }};
    }
    macro_rules! custom {
        ($kind:ident, $type:ty) => {{
            let (object, unknown) = typed::<$type>(node);
            let object = object.map(|mut object| {
                object.metadata.namespace = Some(object_ref.namespace.clone());
                Object::$kind(Box::new(object))
            });
            (object, unknown)
        }};
    }
    match kind {
        Kind::Service => core!(Service, corten_api::core::Service),
        Kind::EndpointSlice => core!(EndpointSlice, corten_api::core::EndpointSlice),
        Kind::Node => core!(Node, corten_api::core::Node),
        Kind::Namespace => core!(Namespace, corten_api::core::Namespace),
        Kind::IPAddressPool => custom!(IPAddressPool, corten_api::pool::IPAddressPool),
        Kind::L2Advertisement => custom!(L2Advertisement, corten_api::l2::L2Advertisement),
        Kind::BGPAdvertisement => custom!(BGPAdvertisement, corten_api::bgp::BGPAdvertisement),
        Kind::BGPPeer if version.ends_with("v1beta1") => {
            let (peer, unknown) = typed::<v1beta1::BGPPeer>(node);
            let peer = peer.and_then(|mut peer| {
                peer.metadata.namespace = Some(object_ref.namespace.clone());
                let peer = conversion::to_v1beta2(peer).map_err(|error| DecodeError {
                    field: "metadata.annotations".to_owned(),
                    line: node.line,
                    cause: error.to_string(),
                })?;
                Ok(Object::BGPPeer(Box::new(peer)))
            });
            (peer, unknown)
        }
        Kind::BGPPeer => custom!(BGPPeer, corten_api::bgp::BGPPeer),
        Kind::BFDProfile => custom!(BFDProfile, corten_api::bfd::BFDProfile),
        Kind::Community => custom!(Community, corten_api::bgp::Community),
        Kind::Secret => core!(Secret, corten_api::secret::Secret),
    }
}
