//! Annotation and label names, MetalLB's (both prefixes) and ours (`spec/metallb.md` §3.1, §3.5).

/// API group of every MetalLB kind.
pub const GROUP: &str = "metallb.io";
/// Prefix of the current annotations and labels.
pub const PREFIX: &str = "metallb.io/";
/// Prefix of the deprecated annotations, still honoured.
pub const DEPRECATED_PREFIX: &str = "metallb.universe.tf/";

/// Service annotation: allocate from this pool.
pub const ADDRESS_POOL: &str = "address-pool";
/// Service annotation: comma list of one or two requested addresses.
pub const LOAD_BALANCER_IPS: &str = "loadBalancerIPs";
/// Service annotation: sharing key.
pub const ALLOW_SHARED_IP: &str = "allow-shared-ip";
/// Service annotation written by the controller: pool of the current allocation. Never written
/// with the deprecated prefix.
pub const IP_ALLOCATED_FROM_POOL: &str = "metallb.io/ip-allocated-from-pool";

/// Node label that takes the node out of load balancing, whatever its value (§3.4).
pub const EXCLUDE_FROM_LB: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Label on an EndpointSlice naming its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Service annotation: health check of the local endpoint, for running without Kubernetes.
pub const HEALTH: &str = "corten.io/health";
/// L2Advertisement annotation: what to do when a stranger answers for an announced address
/// (`report`, `withhold` or `defend`; absent means `report`).
pub const CONFLICT_POLICY: &str = "corten.io/address-conflict";
/// L2Advertisement annotation: period of the opt-in gratuitous refresh, a Go duration such as
/// `60s`; absent means never.
pub const GRATUITOUS_REFRESH: &str = "corten.io/gratuitous-refresh";

/// The value of MetalLB's annotation `name` under either prefix: the current one wins by
/// presence, even if its value is empty (§3.1).
#[must_use]
pub fn annotation<'a>(
    annotations: &'a std::collections::BTreeMap<String, String>,
    name: &str,
) -> Option<&'a str> {
    annotations
        .get(&format!("{PREFIX}{name}"))
        .or_else(|| annotations.get(&format!("{DEPRECATED_PREFIX}{name}")))
        .map(String::as_str)
}
