//! BGPAdvertisements, by themselves and against pools, peers and each other (`spec/metallb.md`
//! §1.3, §2.4 "BGP ads", "Cross").

use super::community::{Aliases, Community};
use super::compile::{Rejections, Seniority, Surroundings};
use super::l2::{self, annotation_fault};
use super::peer::{Bfd, Peer};
use super::resources::Id;
use super::selector::{self, Selectors};
use super::{Filter, Pool};
use crate::facts::{Labels, Node};
use crate::ip::Family;
use crate::names::{NodeName, PoolName};
use crate::rejection::{Fault, Kind};
use corten_api::annotation::HoldDown;
use corten_api::bgp;
use std::collections::{BTreeMap, BTreeSet};

/// A compiled BGPAdvertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpAdvertisement {
    /// Name.
    pub name: String,
    /// Pools it is for, accepted or rejected, listed or selected by label.
    pub pools: Filter<PoolName>,
    /// Whether it selects pools by label, so that one whose labels can't be read may be meant.
    pub by_label: bool,
    /// Nodes that may announce.
    pub nodes: Selectors,
    /// Services announced.
    pub services: Selectors,
    /// BGPPeers announced to; unknown names stay in the set.
    pub peers: Filter<String>,
    /// IPv4 prefix length to aggregate to, 1 to 32.
    pub aggregation_v4: u8,
    /// IPv6 prefix length to aggregate to, 0 to 128.
    pub aggregation_v6: u8,
    /// LOCAL_PREF towards iBGP peers; 0 means unset.
    pub local_pref: u32,
    /// Communities, in the order of announcements.
    pub communities: BTreeSet<Community>,
    /// How long a Service that lost its last endpoint isn't announced again.
    pub hold_down: HoldDown,
}

impl BgpAdvertisement {
    /// The prefix length addresses of `family` are aggregated to.
    #[must_use]
    pub fn aggregation(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.aggregation_v4,
            Family::V6 => self.aggregation_v6,
        }
    }
}

/// What advertisements are judged against.
pub(super) struct Others<'a> {
    /// Labels of every pool known.
    pub(super) labels: &'a [(PoolName, Labels)],
    /// Accepted pools.
    pub(super) pools: &'a BTreeMap<PoolName, Pool>,
    /// Accepted peers.
    pub(super) peers: &'a BTreeMap<String, Peer>,
    /// Every alias.
    pub(super) aliases: Aliases,
}

/// Compiles every BGPAdvertisement. Of two whose LOCAL_PREFs conflict the senior one stays, else
/// the first by name.
pub(super) fn compile(
    objects: &BTreeMap<Id, bgp::BGPAdvertisement>,
    others: &Others<'_>,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, BgpAdvertisement> {
    let previous = &around.previous.bgp.advertisements;
    let mut candidates = Vec::new();
    let mut refused = Vec::new();
    for (id, object) in rejections.unique(Kind::BGPAdvertisement, objects) {
        match judge(&id.name, object, others) {
            Ok(advertisement) => {
                let seniority = match previous.get(&id.name) {
                    Some(before) if *before == advertisement => Seniority::Same,
                    Some(_) => Seniority::Changed,
                    None => Seniority::New,
                };
                candidates.push((seniority, id, advertisement));
            }
            Err(faults) => {
                rejections.add(Kind::BGPAdvertisement, id, faults);
                refused.push(id);
            }
        }
    }
    candidates.sort_by_key(|(seniority, id, _)| (*seniority, *id));
    let mut accepted = BTreeMap::new();
    for (_, id, advertisement) in candidates {
        match conflict(&advertisement, &accepted, others.pools, around.nodes) {
            None => {
                accepted.insert(id.name.clone(), advertisement);
            }
            Some(fault) => {
                rejections.add(Kind::BGPAdvertisement, id, [fault]);
                refused.push(id);
            }
        }
    }
    for id in refused {
        if let Some(last_good) = previous.get(&id.name)
            && conflict(last_good, &accepted, others.pools, around.nodes).is_none()
        {
            accepted.insert(id.name.clone(), last_good.clone());
        }
    }
    accepted
}

fn judge(
    name: &str,
    object: &bgp::BGPAdvertisement,
    others: &Others<'_>,
) -> Result<BgpAdvertisement, Vec<Fault>> {
    let spec = &object.spec;
    let mut faults = selector::repeated("spec.communities", "community", &spec.communities);
    faults.extend(selector::repeated("spec.peers", "peer", &spec.peers));
    let mut keep = |more: Vec<Fault>| faults.extend(more);
    let selectors = &spec.ip_address_pool_selectors;
    let pools = l2::pools(&spec.ip_address_pools, selectors, others.labels).map_err(&mut keep);
    let nodes = selector::compile_list("spec.nodeSelectors", &spec.node_selectors);
    let nodes = nodes.map_err(&mut keep);
    let services = selector::compile_list("spec.serviceSelectors", &spec.service_selectors);
    let services = services.map_err(&mut keep);
    let aggregation = aggregation(spec).map_err(&mut keep);
    let communities = communities(&spec.communities, &others.aliases).map_err(&mut keep);
    let annotations = object.metadata.annotations.as_ref();
    let hold_down = annotations.map(HoldDown::of).transpose();
    let hold_down = hold_down.map_err(|e| keep(vec![annotation_fault(&e)]));
    let (Ok(pools), Ok(nodes), Ok(services), Ok((aggregation_v4, aggregation_v6)), Ok(communities)) =
        (pools, nodes, services, aggregation, communities)
    else {
        return Err(faults);
    };
    let (Ok(hold_down), true) = (hold_down, faults.is_empty()) else {
        return Err(faults);
    };
    let advertisement = BgpAdvertisement {
        name: name.to_owned(),
        pools,
        by_label: !selectors.is_empty(),
        nodes,
        services,
        peers: if spec.peers.is_empty() {
            Filter::Any
        } else {
            Filter::Only(spec.peers.iter().cloned().collect())
        },
        aggregation_v4,
        aggregation_v6,
        local_pref: spec.local_pref.unwrap_or(0),
        communities,
        hold_down: hold_down.unwrap_or_default(),
    };
    let faults = against_pools(&advertisement, others);
    if faults.is_empty() {
        Ok(advertisement)
    } else {
        Err(faults)
    }
}

/// Both prefix lengths.
fn aggregation(spec: &bgp::BGPAdvertisementSpec) -> Result<(u8, u8), Vec<Fault>> {
    let mut faults = Vec::new();
    let mut number = |field: &str, value: Option<i32>, low: u8, high: u8| {
        let value = value.unwrap_or_else(|| high.into());
        let number = u8::try_from(value)
            .ok()
            .filter(|n| (low..=high).contains(n));
        number.unwrap_or_else(|| {
            let cause = format!("invalid aggregation length {value}: must be {low} to {high}");
            faults.push(Fault::new(format!("spec.{field}"), cause));
            high
        })
    };
    let v4 = number("aggregationLength", spec.aggregation_length, 1, 32);
    let v6 = number("aggregationLengthV6", spec.aggregation_length_v6, 0, 128);
    if !spec.service_selectors.is_empty() {
        for (field, wide) in [
            ("aggregationLength", v4 != 32),
            ("aggregationLengthV6", v6 != 128),
        ] {
            if wide {
                let cause = "serviceSelectors and aggregationLength are mutually exclusive: an \
                             aggregate would announce other Services too";
                faults.push(Fault::new(format!("spec.{field}"), cause));
            }
        }
    }
    if faults.is_empty() {
        Ok((v4, v6))
    } else {
        Err(faults)
    }
}

fn communities(texts: &[String], aliases: &Aliases) -> Result<BTreeSet<Community>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut communities = BTreeSet::new();
    for (i, text) in texts.iter().enumerate() {
        let community = aliases.get(text).copied().map_or_else(|| text.parse(), Ok);
        match community {
            Ok(community) => {
                communities.insert(community);
            }
            Err(error) => {
                let cause = format!("{error}\ninvalid community {text:?} in BGP advertisement");
                faults.push(Fault::new(format!("spec.communities[{i}]"), cause));
            }
        }
    }
    if faults.is_empty() {
        Ok(communities)
    } else {
        Err(faults)
    }
}

/// Aggregates that would reach beyond a pool, and echo mode, which IPv6 doesn't have.
fn against_pools(advertisement: &BgpAdvertisement, others: &Others<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let pools = others
        .pools
        .values()
        .filter(|pool| advertisement.pools.admits(&pool.name));
    for pool in pools {
        for entry in &pool.entries {
            let widest = entry.cidrs.iter().min_by_key(|cidr| cidr.prefix_len());
            let Some(widest) = widest else { continue };
            let family = Family::of(widest.network());
            // DEVIATION: the number is that of the entry's family; MetalLB prints IPv4's for both.
            let (length, prefix) = (advertisement.aggregation(family), widest.prefix_len());
            if prefix > length {
                let field = match family {
                    Family::V4 => "spec.aggregationLength",
                    Family::V6 => "spec.aggregationLengthV6",
                };
                let cause = format!(
                    "invalid aggregation length {length}: prefix {prefix} in this pool is more \
                     specific than the aggregation length for addresses {} (pool \"{}\")",
                    entry.text, pool.name
                );
                faults.push(Fault::new(field, cause));
            }
        }
        if !pool.has_family(Family::V6) {
            continue;
        }
        let echo = |peer: &&Peer| match &peer.bfd {
            Bfd::Off => false,
            Bfd::On { profile, .. } => profile.echo_mode,
        };
        let peers = others.peers.values();
        let reached = peers.filter(|peer| advertisement.peers.admits(&peer.name));
        faults.extend(reached.filter(echo).map(|peer| {
            let cause = format!(
                "pool \"{}\" has IPv6 addresses, but peer {:?} uses a BFD profile with echo mode, \
                 which is IPv4 only",
                pool.name, peer.name
            );
            Fault::new("spec.peers", cause)
        }));
    }
    faults
}

/// Two advertisements that would give one prefix two LOCAL_PREFs. Those that select Services are
/// compared when a Service is announced.
fn conflict(
    one: &BgpAdvertisement,
    accepted: &BTreeMap<String, BgpAdvertisement>,
    pools: &BTreeMap<PoolName, Pool>,
    nodes: &BTreeMap<NodeName, Node>,
) -> Option<Fault> {
    let conflicts = |two: &&BgpAdvertisement| {
        one.local_pref != two.local_pref
            && one.services == Selectors::Everything
            && two.services == Selectors::Everything
            && share_peer(&one.peers, &two.peers)
            && nodes
                .values()
                .any(|n| one.nodes.matches(&n.labels) && two.nodes.matches(&n.labels))
    };
    accepted.values().filter(conflicts).find_map(|two| {
        let pool = pools.values().find(|pool| {
            one.pools.admits(&pool.name)
                && two.pools.admits(&pool.name)
                && same_prefix(pool, one, two)
        })?;
        let cause = format!(
            "localPref {} conflicts with localPref {} of BGPAdvertisement {:?} for the same \
             prefixes of pool \"{}\"",
            one.local_pref, two.local_pref, two.name, pool.name
        );
        Some(Fault::new("spec.localPref", cause))
    })
}

/// Whether both make the same prefix of an address of the pool, in one family of it at least.
fn same_prefix(pool: &Pool, one: &BgpAdvertisement, two: &BgpAdvertisement) -> bool {
    [Family::V4, Family::V6]
        .into_iter()
        .any(|family| pool.has_family(family) && one.aggregation(family) == two.aggregation(family))
}

/// Whether some peer may be told both.
pub(crate) fn share_peer(one: &Filter<String>, two: &Filter<String>) -> bool {
    match (one, two) {
        (Filter::Only(one), Filter::Only(two)) => !one.is_disjoint(two),
        (Filter::Any, Filter::Any | Filter::Only(_)) | (Filter::Only(_), Filter::Any) => true,
    }
}

#[cfg(test)]
mod tests;
