//! Annotation and label names, MetalLB's (both prefixes) and ours (`spec/metallb.md` §3.1, §3.5).
//!
//! Each one is explained in `docs/reference/annotations.md`; a test keeps the two lists equal.

use std::collections::BTreeMap;

/// API group of every MetalLB kind.
pub const GROUP: &str = "metallb.io";
/// Prefix of the current annotations and labels.
pub const PREFIX: &str = "metallb.io/";
/// Prefix of the deprecated annotations, still honoured.
pub const DEPRECATED_PREFIX: &str = "metallb.universe.tf/";
/// Prefix of our own annotations.
pub const OWN_PREFIX: &str = "corten.io/";

/// Service annotation, after either prefix: allocate from this pool.
pub const ADDRESS_POOL: &str = "address-pool";
/// Service annotation, after either prefix: comma list of one or two requested addresses.
pub const LOAD_BALANCER_IPS: &str = "loadBalancerIPs";
/// Service annotation, after either prefix: sharing key.
pub const ALLOW_SHARED_IP: &str = "allow-shared-ip";
/// Service annotation written by the controller: pool of the current allocation. Never written
/// with the deprecated prefix.
pub const IP_ALLOCATED_FROM_POOL: &str = "metallb.io/ip-allocated-from-pool";

/// Node label that takes the node out of load balancing, whatever its value (§3.4).
pub const EXCLUDE_FROM_LB: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Taint of a node that somebody declared to be out of service, whatever its effect.
pub const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Label on an EndpointSlice naming its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Label on ServiceL2Status and ServiceBGPStatus: the announcing node.
pub const STATUS_NODE: &str = "metallb.io/node";
/// Label on ServiceL2Status and ServiceBGPStatus: the Service's name.
pub const STATUS_SERVICE_NAME: &str = "metallb.io/service-name";
/// Label on ServiceL2Status and ServiceBGPStatus: the Service's namespace.
pub const STATUS_SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";
/// Label on ConfigurationState: `controller` or `speaker`.
pub const COMPONENT_TYPE: &str = "metallb.io/component-type";
/// Label on a speaker's ConfigurationState: its node.
pub const NODE_NAME: &str = "metallb.io/node-name";

/// Service annotation: health check of the local endpoint, for running without Kubernetes; its
/// value is a [`crate::health::HealthCheck`].
pub const HEALTH: &str = "corten.io/health";
/// L2Advertisement annotation: what to do when a stranger answers for an announced address; its
/// value is a [`crate::annotation::ConflictPolicy`].
pub const CONFLICT_POLICY: &str = "corten.io/address-conflict";
/// L2Advertisement annotation: period of the opt-in gratuitous refresh, a Go duration such as
/// `60s`; its value is a [`crate::annotation::Refresh`].
pub const GRATUITOUS_REFRESH: &str = "corten.io/gratuitous-refresh";
/// L2Advertisement annotation: whether whoever has an address keeps it; its value is a
/// [`crate::annotation::Ownership`].
pub const OWNERSHIP: &str = "corten.io/ownership";
/// BGPPeer annotation: how many hops away the peer may be, 1 to 254, which its packets have to show
/// (RFC 5082); read by [`crate::annotation::PeerWire`].
pub const BGP_TTL_SECURITY: &str = "corten.io/bgp-ttl-security";
/// BGPPeer annotation: our role towards the peer (RFC 9234), such as `customer`, or `customer strict`
/// where the peer has to say its own; read by [`crate::annotation::PeerWire`].
pub const BGP_ROLE: &str = "corten.io/bgp-role";
/// BGPPeer annotation: differentiated services code point of what is sent, 0 to 63; read by
/// [`crate::annotation::PeerWire`].
pub const BGP_DSCP: &str = "corten.io/bgp-dscp";
/// BGPPeer annotation: TCP port on which this node waits for the peer, which it never dials then; read
/// by [`crate::annotation::PeerWire`].
pub const BGP_LISTEN: &str = "corten.io/bgp-listen";
/// BGPPeer annotation: how long routes are marked with GRACEFUL_SHUTDOWN (RFC 8326) before they are
/// withdrawn when the node leaves load balancing, a Go duration such as `30s`; `0s` marks nothing.
/// Read by [`crate::annotation::PeerWire`].
pub const BGP_GRACEFUL_SHUTDOWN: &str = "corten.io/bgp-graceful-shutdown";
/// BGPPeer annotation: maximum segment size of the TCP connection in octets, 88 to 32767; read by
/// [`crate::annotation::PeerWire`].
pub const BGP_MSS: &str = "corten.io/bgp-mss";
/// BGPPeer annotation: how long sent octets may stay unacknowledged before the TCP connection ends
/// (RFC 5482), a Go duration of at least a second such as `20s`; read by
/// [`crate::annotation::PeerWire`].
pub const BGP_USER_TIMEOUT: &str = "corten.io/bgp-user-timeout";
/// BGPAdvertisement annotation: how long a Service that lost its last endpoint isn't announced again, a
/// Go duration such as `30s`; its value is a [`crate::annotation::HoldDown`].
pub const BGP_HOLD_DOWN: &str = "corten.io/bgp-hold-down";
/// BGPPeer annotation written by the conversion to v1beta1: what that version has no field for,
/// so that converting back loses nothing.
pub const BGP_PEER_REMAINDER: &str = "corten.io/bgppeer-v1beta2";

/// The value of MetalLB's annotation `name` under either prefix: the current one wins by
/// presence, even if its value is empty (§3.1).
#[must_use]
pub fn annotation<'a>(annotations: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    annotations
        .get(&format!("{PREFIX}{name}"))
        .or_else(|| annotations.get(&format!("{DEPRECATED_PREFIX}{name}")))
        .map(String::as_str)
}

/// The annotations whose prefix is deprecated, in order; their use is told to the user (§3.1).
pub fn deprecated(annotations: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    // Compared without the slash: MetalLB warns about anything that starts so.
    let prefix = DEPRECATED_PREFIX.trim_end_matches('/');
    annotations
        .keys()
        .filter(move |name| name.starts_with(prefix))
        .map(String::as_str)
}

#[cfg(test)]
mod tests;
