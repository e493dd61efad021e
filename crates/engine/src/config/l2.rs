//! L2Advertisements (`spec/metallb.md` §2.4 "Advertisements"), and our annotations on them.
//!
//! MetalLB drops an advertisement that repeats another one of the same pool. Keeping both changes
//! no decision, and `explain` can name both.

use super::compile::{Rejections, Surroundings};
use super::resources::Id;
use super::selector::{self, Selectors};
use super::{ConflictPolicy, Filter, L2Advertisement, Ownership, Preference, Refresh};
use crate::facts::Labels;
use crate::names::PoolName;
use crate::rejection::{Fault, Kind};
use corten_api::annotation::AnnotationError;
use corten_api::{LabelSelector, l2};
use std::collections::{BTreeMap, BTreeSet};

/// Compiles every L2Advertisement. `pools` are the labels of every pool known.
pub(super) fn compile(
    objects: &BTreeMap<Id, l2::L2Advertisement>,
    pools: &[(PoolName, Labels)],
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, L2Advertisement> {
    let mut accepted = BTreeMap::new();
    for (id, object) in rejections.unique(Kind::L2Advertisement, objects) {
        match judge(&id.name, object, pools) {
            Ok(advertisement) => {
                accepted.insert(id.name.clone(), advertisement);
            }
            Err(faults) => {
                rejections.add(Kind::L2Advertisement, id, faults);
                if let Some(last_good) = around.previous.l2.get(&id.name) {
                    accepted.insert(id.name.clone(), last_good.clone());
                }
            }
        }
    }
    accepted
}

fn judge(
    name: &str,
    object: &l2::L2Advertisement,
    known: &[(PoolName, Labels)],
) -> Result<L2Advertisement, Vec<Fault>> {
    let spec = &object.spec;
    let mut faults = Vec::new();
    let mut keep = |more: Vec<Fault>| faults.extend(more);
    let listed = &spec.ip_address_pools;
    let pools = pools(listed, &spec.ip_address_pool_selectors, known).map_err(&mut keep);
    let nodes = selector::compile_list("spec.nodeSelectors", &spec.node_selectors);
    let nodes = nodes.map_err(&mut keep);
    let services = selector::compile_list("spec.serviceSelectors", &spec.service_selectors);
    let services = services.map_err(&mut keep);
    let preferences = preferences(&spec.preferred_node_selectors).map_err(&mut keep);
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    let conflict = ConflictPolicy::of(&annotations).map_err(|e| keep(vec![annotation_fault(&e)]));
    let refresh = Refresh::of(&annotations).map_err(|e| keep(vec![annotation_fault(&e)]));
    let ownership = Ownership::of(&annotations).map_err(|e| keep(vec![annotation_fault(&e)]));
    let (Ok(pools), Ok(nodes), Ok(services), Ok(preferences)) =
        (pools, nodes, services, preferences)
    else {
        return Err(faults);
    };
    let (Ok(conflict), Ok(refresh), Ok(ownership)) = (conflict, refresh, ownership) else {
        return Err(faults);
    };
    Ok(L2Advertisement {
        name: name.to_owned(),
        pools,
        by_label: !spec.ip_address_pool_selectors.is_empty(),
        nodes,
        interfaces: if spec.interfaces.is_empty() {
            Filter::Any
        } else {
            Filter::Only(spec.interfaces.iter().cloned().collect())
        },
        services,
        preferences,
        conflict,
        refresh,
        ownership,
    })
}

/// The pools an advertisement is for: those listed and those selected; none written means all.
///
/// # Errors
/// Duplicates and invalid selectors.
pub(super) fn pools(
    listed: &[String],
    selectors: &[LabelSelector],
    known: &[(PoolName, Labels)],
) -> Result<Filter<PoolName>, Vec<Fault>> {
    let mut faults = selector::repeated("spec.ipAddressPools", "pool", listed);
    let selectors = selector::compile_list("spec.ipAddressPoolSelectors", selectors);
    let selectors = selectors.map_err(|more| faults.extend(more));
    let Ok(selectors) = selectors else {
        return Err(faults);
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let listed: BTreeSet<PoolName> = listed.iter().cloned().map(PoolName).collect();
    Ok(match selectors {
        Selectors::Everything if listed.is_empty() => Filter::Any,
        Selectors::Everything => Filter::Only(listed),
        Selectors::AnyOf(_) => {
            let selected = known.iter().filter(|(_, labels)| selectors.matches(labels));
            let selected = selected.map(|(name, _)| name.clone());
            Filter::Only(listed.into_iter().chain(selected).collect())
        }
    })
}

fn preferences(list: &[l2::PreferredNodeSelector]) -> Result<Vec<Preference>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut preferences = Vec::new();
    for (i, raw) in list.iter().enumerate() {
        let at = format!("spec.preferredNodeSelectors[{i}]");
        if !(1..=100).contains(&raw.weight) {
            let cause = format!("weight {} is not between 1 and 100", raw.weight);
            faults.push(Fault::new(format!("{at}.weight"), cause));
        }
        match selector::compile(&format!("{at}.preference"), &raw.preference) {
            Ok(nodes) => preferences.push(Preference {
                weight: raw.weight,
                nodes,
            }),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() {
        Ok(preferences)
    } else {
        Err(faults)
    }
}

pub(super) fn annotation_fault(error: &AnnotationError) -> Fault {
    Fault::new(
        format!("metadata.annotations[{}]", error.name),
        &error.cause,
    )
}

#[cfg(test)]
mod tests;
