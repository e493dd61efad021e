//! Services, parsed once (`spec/metallb.md` §3.1, §3.2).

use super::{
    Class, Families, FamilyPolicy, Ingress, Origin, Port, Protocol, Requested, Service, Sharing,
    TrafficPolicy,
};
use crate::flat::FlatSet;
use crate::ip::{Family, parse_address};
use crate::names::{PoolName, ServiceKey};
use crate::rejection::Fault;
use corten_api::core;
use corten_api::names::{
    ADDRESS_POOL, ALLOW_SHARED_IP, DEPRECATED_PREFIX, IP_ALLOCATED_FROM_POOL, LOAD_BALANCER_IPS,
    PREFIX, annotation, deprecated,
};
use std::net::IpAddr;

/// Parses a Service.
///
/// # Errors
/// Everything the API server would not have let through.
pub(super) fn parse(object: &core::Service, origin: Origin) -> Result<Service, Vec<Fault>> {
    let (meta, spec) = (&object.metadata, &object.spec);
    let mut faults = Vec::new();
    let written = Written {
        families: families_written(&spec.ip_families, &mut faults),
        policy: policy_written(spec.ip_family_policy.as_deref(), &mut faults),
    };
    let traffic_policy = traffic_policy(spec.external_traffic_policy.as_deref(), &mut faults);
    let ports = ports(&spec.ports, &mut faults);
    if meta.name.is_empty() {
        faults.push(Fault::new("metadata.name", "missing name"));
    }
    let requested = requested(object);
    let (families, family_policy) = stack(spec, origin, &written, &requested, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (ingress, allocated_from) = status(object);
    Ok(Service {
        key: ServiceKey::new(&meta.namespace, &meta.name),
        created: meta.creation_timestamp.clone(),
        labels: (&meta.labels).into(),
        is_load_balancer: spec.type_.as_deref() == Some("LoadBalancer"),
        class: match &spec.load_balancer_class {
            None => Class::Default,
            Some(class) => Class::Named(class.clone()),
        },
        families,
        family_policy,
        primary_family: written.families.first().copied().unwrap_or(Family::V4),
        traffic_policy,
        selector: (&spec.selector).into(),
        ports,
        requested,
        requested_pool: annotation(&meta.annotations, ADDRESS_POOL)
            .filter(|pool| !pool.is_empty())
            .map(PoolName::from),
        sharing: match annotation(&meta.annotations, ALLOW_SHARED_IP) {
            None => Sharing::Absent,
            Some(key) => Sharing::Key(key.to_owned()),
        },
        ingress,
        allocated_from,
        deprecated_annotations: deprecated(&meta.annotations).map(str::to_owned).collect(),
    })
}

/// What a Service has, and the pool it is from. Readable whatever the rest says.
pub(super) fn status(object: &core::Service) -> (Ingress, Option<PoolName>) {
    let pool = object.metadata.annotations.get(IP_ALLOCATED_FROM_POOL);
    let pool = pool.filter(|pool| !pool.is_empty()).cloned();
    (ingress(&object.status.load_balancer), pool.map(PoolName))
}

/// What the spec says about families.
struct Written {
    /// `ipFamilies`.
    families: Vec<Family>,
    /// `ipFamilyPolicy`, if it is there.
    policy: Option<FamilyPolicy>,
}

fn families_written(texts: &[String], faults: &mut Vec<Fault>) -> Vec<Family> {
    let mut families = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let family = match text.as_str() {
            "IPv4" => Family::V4,
            "IPv6" => Family::V6,
            _ => {
                let cause = format!("{text:?} is not a family (IPv4 or IPv6)");
                faults.push(Fault::new(format!("spec.ipFamilies[{i}]"), cause));
                continue;
            }
        };
        if families.contains(&family) {
            let cause = format!("{family} is there twice");
            faults.push(Fault::new(format!("spec.ipFamilies[{i}]"), cause));
        } else {
            families.push(family);
        }
    }
    families
}

fn policy_written(text: Option<&str>, faults: &mut Vec<Fault>) -> Option<FamilyPolicy> {
    match text {
        None | Some("") => None,
        Some("SingleStack") => Some(FamilyPolicy::SingleStack),
        Some("PreferDualStack") => Some(FamilyPolicy::PreferDualStack),
        Some("RequireDualStack") => Some(FamilyPolicy::RequireDualStack),
        Some(other) => {
            let cause = format!(
                "{other:?} is not a policy (SingleStack, PreferDualStack or RequireDualStack)"
            );
            faults.push(Fault::new("spec.ipFamilyPolicy", cause));
            None
        }
    }
}

/// Families and policy; see [`Origin`] for what stands in for the API server.
fn stack(
    spec: &core::ServiceSpec,
    origin: Origin,
    written: &Written,
    requested: &Requested,
    faults: &mut Vec<Fault>,
) -> (Families, FamilyPolicy) {
    let policy = written.policy.unwrap_or(FamilyPolicy::SingleStack);
    let assigned = cluster_families(spec);
    match (origin, assigned) {
        (Origin::Directory, Families::Unassigned) => {}
        (Origin::Directory | Origin::Kubernetes, families) => return (families, policy),
    }
    match (written.families.as_slice(), written.policy) {
        ([_, _, ..], Some(FamilyPolicy::SingleStack)) => {
            let cause = "SingleStack, but spec.ipFamilies has two families";
            faults.push(Fault::new("spec.ipFamilyPolicy", cause));
            (Families::Invalid, FamilyPolicy::SingleStack)
        }
        ([_, _, ..], None) => (Families::Dual, FamilyPolicy::RequireDualStack),
        (_, Some(policy @ (FamilyPolicy::PreferDualStack | FamilyPolicy::RequireDualStack))) => {
            (Families::Dual, policy)
        }
        ([family], None | Some(FamilyPolicy::SingleStack)) => (Families::Single(*family), policy),
        ([], Some(FamilyPolicy::SingleStack)) => (Families::Single(Family::V4), policy),
        ([], None) => match requested {
            Requested::Addresses(ips) => match ips.as_slice() {
                [ip] => (Families::Single(Family::of(*ip)), policy),
                _ => (Families::Dual, FamilyPolicy::RequireDualStack),
            },
            Requested::Any | Requested::Invalid(_) => (Families::Single(Family::V4), policy),
        },
    }
}

/// The families of `clusterIPs`, or of `clusterIP` without those.
fn cluster_families(spec: &core::ServiceSpec) -> Families {
    let mut texts: Vec<&str> = spec.cluster_ips.iter().map(String::as_str).collect();
    if texts.iter().all(|text| text.is_empty()) {
        texts = spec.cluster_ip.iter().map(String::as_str).collect();
    }
    texts.retain(|text| !text.is_empty());
    match texts.as_slice() {
        [] => Families::Unassigned,
        ["None"] => Families::Headless,
        [one] => {
            parse_address(one).map_or(Families::Invalid, |ip| Families::Single(Family::of(ip)))
        }
        [one, two] => match (parse_address(one), parse_address(two)) {
            (Some(one), Some(two)) if Family::of(one) != Family::of(two) => Families::Dual,
            (Some(_) | None, Some(_) | None) => Families::Invalid,
        },
        _ => Families::Invalid,
    }
}

fn traffic_policy(text: Option<&str>, faults: &mut Vec<Fault>) -> TrafficPolicy {
    match text {
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            let cause = format!("{other:?} is not a policy (Cluster or Local)");
            faults.push(Fault::new("spec.externalTrafficPolicy", cause));
            TrafficPolicy::Cluster
        }
    }
}

fn ports(list: &[core::ServicePort], faults: &mut Vec<Fault>) -> FlatSet<Port> {
    let mut ports = FlatSet::new();
    for (i, raw) in list.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        let protocol = match raw.protocol.as_deref() {
            None | Some("" | "TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            Some(other) => {
                let cause = format!("{other:?} is not a protocol (TCP, UDP or SCTP)");
                faults.push(Fault::new(format!("{at}.protocol"), cause));
                continue;
            }
        };
        match u16::try_from(raw.port) {
            Ok(port @ 1..) => {
                ports.insert(Port { protocol, port });
            }
            Ok(0) | Err(_) => {
                let cause = format!("port {} is not between 1 and 65535", raw.port);
                faults.push(Fault::new(format!("{at}.port"), cause));
            }
        }
    }
    ports
}

/// Addresses asked for by annotation or `loadBalancerIP`.
fn requested(object: &core::Service) -> Requested {
    let annotations = &object.metadata.annotations;
    let by_annotation = annotation(annotations, LOAD_BALANCER_IPS).unwrap_or_default();
    let by_spec = object.spec.load_balancer_ip.as_deref().unwrap_or_default();
    let current = format!("{PREFIX}{LOAD_BALANCER_IPS}");
    let name = if annotations.contains_key(&current) {
        current
    } else {
        format!("{DEPRECATED_PREFIX}{LOAD_BALANCER_IPS}")
    };
    match (by_annotation, by_spec) {
        ("", "") => Requested::Any,
        ("", text) => match parse_address(text) {
            Some(ip) => Requested::Addresses(vec![ip]),
            None => Requested::Invalid(format!("invalid svc.Spec.LoadBalancerIP {text:?}")),
        },
        (list, "") => requested_list(&name, list),
        (_, _) => Requested::Invalid(format!(
            "both annotation {name} and svc.Spec.LoadBalancerIP ask for addresses: use one of them"
        )),
    }
}

fn requested_list(name: &str, list: &str) -> Requested {
    let mut ips: Vec<IpAddr> = Vec::new();
    for text in list.split(',').map(str::trim) {
        match parse_address(text) {
            Some(ip) => ips.push(ip),
            None => {
                return Requested::Invalid(format!(
                    "invalid address {text:?} in annotation {name}"
                ));
            }
        }
    }
    match ips.as_slice() {
        [_] => Requested::Addresses(ips),
        [one, two] if Family::of(*one) != Family::of(*two) => Requested::Addresses(ips),
        _ => Requested::Invalid(format!(
            "annotation {name} asks for {list:?}: one address, or one of each family, can be asked \
             for"
        )),
    }
}

fn ingress(status: &core::LoadBalancerStatus) -> Ingress {
    let mut ips = Vec::with_capacity(status.ingress.len());
    let texts = status
        .ingress
        .iter()
        .filter_map(|entry| entry.ip.as_deref());
    for text in texts.filter(|text| !text.is_empty()) {
        match parse_address(text) {
            Some(ip) => ips.push(ip),
            None => return Ingress::Unreadable(text.to_owned()),
        }
    }
    if ips.is_empty() {
        Ingress::Empty
    } else {
        Ingress::Addresses(ips)
    }
}

#[cfg(test)]
mod tests;
