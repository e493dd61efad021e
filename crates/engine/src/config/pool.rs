//! IPAddressPools (`spec/metallb.md` §2.4 "Pools").
//!
//! Two pools never share an address. An address stays with the pool that had it as long as that
//! pool still claims it; otherwise a pool that was there before goes first, then the first by name.
//! The other pool is rejected and goes on as it was.

use super::compile::{Rejections, Surroundings};
use super::resources::Id;
use super::selector::{self, Selectors};
use super::{Coverage, Entry, Filter, Pinning, Pool, PoolScope, RejectedPool};
use crate::facts::Labels;
use crate::ip::{self, Disjoint};
use crate::names::PoolName;
use crate::rejection::{Fault, Kind, Rejection, Subject};
use corten_api::pool::{IPAddressPool, ServiceAllocation};
use std::collections::{BTreeMap, BTreeSet};

type Pools = BTreeMap<PoolName, Pool>;

/// Compiles every pool.
pub(super) fn compile(
    objects: &BTreeMap<Id, IPAddressPool>,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> (Pools, Coverage) {
    let mut mine = Rejections::default();
    let previous = &around.previous.pools;
    let mut claims = Pools::new();
    let mut ids = BTreeMap::new();
    for (id, object) in mine.unique(Kind::IPAddressPool, objects) {
        let name = PoolName(id.name.clone());
        ids.insert(name.clone(), id);
        match judge(object, around.namespaces) {
            Ok(pool) => {
                claims.insert(name, pool);
            }
            Err(faults) => {
                mine.add(Kind::IPAddressPool, id, faults);
                if let Some(last_good) = previous.get(&name) {
                    claims.insert(name, last_good.clone());
                }
            }
        }
    }
    let (pools, faults) = settle(claims, previous);
    for (name, fault) in faults {
        if let Some(id) = ids.get(&name) {
            mine.add(Kind::IPAddressPool, id, [fault]);
        }
    }
    let coverage = coverage(objects, around, &mine.0);
    rejections.0.append(&mut mine.0);
    (pools, coverage)
}

/// Labels of every pool known, accepted or not.
pub(super) fn labels_of(pools: &Pools, coverage: &Coverage) -> Vec<(PoolName, Labels)> {
    let accepted = pools
        .iter()
        .map(|(name, p)| (name.clone(), p.labels.clone()));
    let rejected = match coverage {
        Coverage::Complete => &BTreeMap::new(),
        Coverage::Incomplete { rejected } => rejected,
    };
    let rejected = rejected
        .iter()
        .filter_map(|(name, p)| Some((name.clone(), p.labels.clone()?)));
    accepted.chain(rejected).collect()
}

/// Judges a pool by itself.
fn judge(
    object: &IPAddressPool,
    namespaces: &BTreeMap<String, Labels>,
) -> Result<Pool, Vec<Fault>> {
    let mut faults = Vec::new();
    let name = PoolName(object.metadata.name.clone().unwrap_or_default());
    let entries = entries(&name, &object.spec.addresses, &mut faults);
    let scope = match &object.spec.service_allocation {
        None => PoolScope::Everyone,
        Some(allocation) => match pinning(allocation, namespaces) {
            Ok(pinning) => PoolScope::Pinned(pinning),
            Err(more) => {
                faults.extend(more);
                PoolScope::Everyone
            }
        },
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Pool {
        name,
        labels: object.metadata.labels.clone().unwrap_or_default().into(),
        entries,
        auto_assign: object.spec.auto_assign.unwrap_or(true),
        avoid_buggy_ips: object.spec.avoid_buggy_ips,
        scope,
    })
}

fn entries(pool: &PoolName, texts: &[String], faults: &mut Vec<Fault>) -> Vec<Entry> {
    if texts.is_empty() {
        faults.push(Fault::new(
            "spec.addresses",
            "a pool needs at least one CIDR or range",
        ));
    }
    let mut taken = Disjoint::default();
    let mut entries = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let field = format!("spec.addresses[{i}]");
        match ip::parse_block(text) {
            Err(error) => faults.push(Fault::new(field, error)),
            Ok(cidrs) => {
                let clash = cidrs
                    .iter()
                    .find_map(|cidr| taken.overlaps(cidr).next().map(|(o, ())| (*cidr, *o)));
                match clash {
                    Some((cidr, other)) => {
                        faults.push(overlap(field, pool, cidr, pool, other));
                    }
                    None => cidrs.iter().for_each(|cidr| taken.insert(*cidr, ())),
                }
                entries.push(Entry {
                    text: text.clone(),
                    cidrs,
                });
            }
        }
    }
    entries
}

fn overlap(
    field: String,
    pool: &PoolName,
    cidr: ipnet::IpNet,
    other_pool: &PoolName,
    other: ipnet::IpNet,
) -> Fault {
    let cause = format!(
        "CIDR {cidr} of pool \"{pool}\" overlaps with already defined CIDR {other} of pool \
         \"{other_pool}\""
    );
    Fault::new(field, cause)
}

fn pinning(
    allocation: &ServiceAllocation,
    known: &BTreeMap<String, Labels>,
) -> Result<Pinning, Vec<Fault>> {
    let at = "spec.serviceAllocation";
    let listed = &allocation.namespaces;
    let mut faults = selector::repeated(&format!("{at}.namespaces"), "namespace", listed);
    let mut compiled = |field: &str, list| {
        selector::compile_list(&format!("{at}.{field}"), list).unwrap_or_else(|more| {
            faults.extend(more);
            Selectors::Everything
        })
    };
    let by_label = compiled("namespaceSelectors", &allocation.namespace_selectors);
    let services = compiled("serviceSelectors", &allocation.service_selectors);
    if !faults.is_empty() {
        return Err(faults);
    }
    let listed: BTreeSet<String> = listed.iter().cloned().collect();
    let namespaces = match by_label {
        Selectors::Everything if listed.is_empty() => Filter::Any,
        Selectors::Everything => Filter::Only(listed),
        // Selectors that match no namespace admit none: the set may be empty (§12 #24).
        Selectors::AnyOf(_) => {
            let matching = known.iter().filter(|(_, labels)| by_label.matches(labels));
            let matching = matching.map(|(name, _)| name.clone());
            Filter::Only(listed.into_iter().chain(matching).collect())
        }
    };
    Ok(Pinning {
        priority: allocation.priority,
        namespaces,
        services,
    })
}

/// Settles who has which addresses: the pools in use, and what is wrong with the others.
///
/// A refused pool goes on as it was in `previous`, so that no pool that is still there ever drops
/// out. That may put another one in the wrong: the rounds end when nobody is, at the latest when
/// every pool is as it was.
fn settle(mut claims: Pools, previous: &Pools) -> (Pools, Vec<(PoolName, Fault)>) {
    let mut faults = Vec::new();
    loop {
        let mut refused = trespassers(&claims, previous);
        if refused.is_empty() {
            refused = latecomers(&claims, previous);
        }
        if refused.is_empty() {
            return (claims, faults);
        }
        for (name, clashes) in refused {
            match previous.get(&name) {
                Some(last_good) => claims.insert(name.clone(), last_good.clone()),
                None => claims.remove(&name),
            };
            faults.extend(clashes.into_iter().map(|fault| (name.clone(), fault)));
        }
    }
}

/// Pools and what is wrong with them.
type Refused = Vec<(PoolName, Vec<Fault>)>;

/// Those that claim what another one had and still claims.
fn trespassers(claims: &Pools, previous: &Pools) -> Refused {
    let kept = kept(claims, previous);
    let clashes = claims
        .iter()
        .map(|(name, pool)| (name.clone(), clashes(pool, &kept)));
    clashes.filter(|(_, clashes)| !clashes.is_empty()).collect()
}

/// Those that claim what nobody had, after another one: pools that were there come first, then
/// the first by name.
fn latecomers(claims: &Pools, previous: &Pools) -> Refused {
    let mut refused = Refused::new();
    let mut taken = Disjoint::default();
    let (old, new): (Vec<_>, Vec<_>) = claims
        .values()
        .partition(|p| previous.contains_key(&p.name));
    for pool in old.into_iter().chain(new) {
        let clashes = clashes(pool, &taken);
        if clashes.is_empty() {
            take(&mut taken, pool);
        } else {
            refused.push((pool.name.clone(), clashes));
        }
    }
    refused
}

/// What each pool had in `previous` and still claims.
fn kept(claims: &Pools, previous: &Pools) -> Disjoint<PoolName> {
    let mut had = Disjoint::default();
    for pool in previous.values() {
        take(&mut had, pool);
    }
    let mut kept = Disjoint::default();
    for (name, pool) in claims {
        for cidr in pool.entries.iter().flat_map(|e| &e.cidrs) {
            for (before, owner) in had.overlaps(cidr).filter(|(_, owner)| *owner == name) {
                let smaller = if before.contains(cidr) { cidr } else { before };
                kept.insert(*smaller, owner.clone());
            }
        }
    }
    kept
}

fn take(taken: &mut Disjoint<PoolName>, pool: &Pool) {
    for cidr in pool.entries.iter().flat_map(|e| &e.cidrs) {
        taken.insert(*cidr, pool.name.clone());
    }
}

/// One fault for each entry of `pool` that overlaps with what another pool has.
fn clashes(pool: &Pool, taken: &Disjoint<PoolName>) -> Vec<Fault> {
    let clash = |(i, entry): (usize, &Entry)| {
        entry.cidrs.iter().find_map(|cidr| {
            let (other, owner) = taken
                .overlaps(cidr)
                .find(|(_, owner)| **owner != pool.name)?;
            let field = format!("spec.addresses[{i}]");
            Some(overlap(field, &pool.name, *cidr, owner, *other))
        })
    };
    pool.entries.iter().enumerate().filter_map(clash).collect()
}

/// Whether the accepted pools are all there are, and what is known of the others.
fn coverage(
    objects: &BTreeMap<Id, IPAddressPool>,
    around: &Surroundings<'_>,
    rejections: &[Rejection],
) -> Coverage {
    let mut complete = around.listed.contains(&Kind::IPAddressPool);
    let mut rejected: BTreeMap<PoolName, RejectedPool> = BTreeMap::new();
    for rejection in around.unreadable.iter().chain(rejections) {
        let object = match &rejection.subject {
            Subject::Object(object) if object.kind == Kind::IPAddressPool => object,
            Subject::Object(_) => continue,
            Subject::Unidentified => {
                complete = false;
                continue;
            }
        };
        complete = false;
        let pool = rejected.entry(PoolName(object.name.clone())).or_default();
        if let Some(known) = objects.get(&Id::from(object.clone())) {
            pool.labels = Some(known.metadata.labels.clone().unwrap_or_default().into());
        }
        if !pool.cause.is_empty() {
            pool.cause.push_str("; ");
        }
        if !rejection.field.is_empty() {
            pool.cause.push_str(&rejection.field);
            pool.cause.push_str(": ");
        }
        pool.cause.push_str(&rejection.cause);
    }
    if complete {
        Coverage::Complete
    } else {
        Coverage::Incomplete { rejected }
    }
}

#[cfg(test)]
mod tests;
