//! The plain words of an explanation.

use super::{AdvertisementReport, OwnershipReport};
use crate::advertise::l2::Standing;
use crate::config::{Coverage, Filter, L2Advertisement};
use crate::facts::Facts;
use crate::names::{NodeName, PoolName};
use crate::ownership::{Claim, Policy};

/// How an advertisement stands to the Service.
pub(super) fn advertisement(facts: &Facts, ad: &L2Advertisement, standing: Standing) -> String {
    let mut text = match standing {
        Standing::Applies => "applies".to_owned(),
        Standing::ServiceNotSelected => {
            "is for the pool, but no service selector matches the Service".to_owned()
        }
        Standing::OtherPools => "isn't for the Service's pool".to_owned(),
    };
    text += &unknown_pools(facts, &ad.pools);
    if !facts.nodes.values().any(|n| ad.nodes.matches(&n.labels)) {
        text += "; its node selectors match no node";
    }
    text
}

/// Pools an advertisement names that are neither accepted nor rejected, as the end of a sentence.
pub(super) fn unknown_pools(facts: &Facts, pools: &Filter<PoolName>) -> String {
    let rejected = |name: &PoolName| match &facts.config.coverage {
        Coverage::Complete => false,
        Coverage::Incomplete { rejected } => rejected.contains_key(name),
    };
    let unknown = |name: &&PoolName| !facts.config.pools.contains_key(*name) && !rejected(name);
    let unknown: Vec<_> = match pools {
        Filter::Any => Vec::new(),
        Filter::Only(names) => names.iter().filter(unknown).map(PoolName::as_str).collect(),
    };
    match unknown[..] {
        [] => String::new(),
        [one] => format!("; names pool {one}, which isn't known"),
        [..] => format!("; names pools {}, which aren't known", unknown.join(", ")),
    }
}

/// Who claims the address, and whether that counts.
pub(super) fn ownership(report: &OwnershipReport) -> String {
    let rule = match report.policy {
        Policy::Metallb => "the hash decides between candidates",
        Policy::Sticky => "whoever has the address keeps it",
    };
    match &report.claim {
        None => format!("{rule}; no live member claims it"),
        Some(Claim { epoch, nodes }) => {
            let nodes: Vec<_> = nodes.iter().map(NodeName::as_str).collect();
            let claim = if nodes.len() == 1 { "claims" } else { "claim" };
            format!("{rule}; {} {claim} it, epoch {epoch}", nodes.join(" and "))
        }
    }
}

/// What the advertisements that apply amount to together.
pub(super) fn remarks(facts: &Facts, applying: &[&AdvertisementReport]) -> Vec<String> {
    let mut remarks = Vec::new();
    let names: Vec<_> = applying.iter().map(|ad| ad.name.as_str()).collect();
    let names = names.join(", ");
    let differs = |same: fn(&AdvertisementReport, &AdvertisementReport) -> bool| {
        applying
            .windows(2)
            .any(|w| matches!(w, [a, b] if !same(a, b)))
    };
    if differs(|a, b| a.conflict == b.conflict) {
        remarks.push(format!(
            "L2Advertisements {names} ask for different conflict policies; the strictest holds"
        ));
    }
    if differs(|a, b| a.refresh == b.refresh) {
        remarks.push(format!(
            "L2Advertisements {names} ask for different refresh periods; the shortest holds"
        ));
    }
    if differs(|a, b| a.interfaces == b.interfaces) {
        remarks.push(format!(
            "L2Advertisements {names} name different interfaces; each node uses those of every \
             one that allows it"
        ));
    }
    if facts.config.coverage != Coverage::Complete {
        remarks.push(
            "not every pool is accepted: no address is withdrawn or moved because of that"
                .to_owned(),
        );
    }
    remarks
}
