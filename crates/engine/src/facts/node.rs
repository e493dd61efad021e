//! Nodes, parsed once (`spec/metallb.md` §3.4).

use super::Node;
use crate::ip::parse_address;
use crate::names::NodeName;
use crate::rejection::Fault;
use corten_api::core;
use corten_api::names::OUT_OF_SERVICE;

/// Parses a Node.
///
/// # Errors
/// A missing name and addresses that are none.
pub(super) fn parse(object: &core::Node) -> Result<Node, Vec<Fault>> {
    let mut faults = Vec::new();
    if object.metadata.name.is_empty() {
        faults.push(Fault::new("metadata.name", "missing name"));
    }
    let mut addresses = Vec::new();
    for (i, raw) in object.status.addresses.iter().enumerate() {
        if !matches!(raw.type_.as_str(), "InternalIP" | "ExternalIP") {
            continue;
        }
        match parse_address(&raw.address) {
            Some(ip) => addresses.push(ip),
            None => {
                let field = format!("status.addresses[{i}].address");
                let cause = format!("{:?} is not an IP address", raw.address);
                faults.push(Fault::new(field, cause));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let unavailable =
        |c: &core::NodeCondition| c.type_ == "NetworkUnavailable" && c.status == "True";
    let mut taints = object.spec.taints.iter();
    Ok(Node {
        name: NodeName(object.metadata.name.clone()),
        labels: (&object.metadata.labels).into(),
        network_unavailable: object.status.conditions.iter().any(unavailable),
        out_of_service: taints.any(|taint| taint.key == OUT_OF_SERVICE),
        addresses,
    })
}
