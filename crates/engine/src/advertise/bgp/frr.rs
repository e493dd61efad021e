//! The BGP table as an FRRConfiguration of frr-k8s, for clusters where an FRR on each node holds the
//! sessions (`spec/metallb.md` §6.6).
//!
//! The whole object, of the peers' own settings: what isn't set is FRR's default. Incoming routes
//! are never asked for.

use super::{BgpPeer, BgpTable};
use crate::config::Bgp;
use crate::config::bfd::BfdProfile;
use crate::config::peer::{Bfd, Password, Peer, PeerAsn, Remote, Timers};
use crate::names::NodeName;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Label by which the object selects its node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// How FRR learns passwords that are in Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    /// By the Secret's name: it is in FRR's own namespace, and in this process's.
    Refer,
    /// By the Secret's name, which only FRR can look up.
    Unseen,
    /// In clear: the Secret is in a namespace FRR doesn't read.
    Clear,
}

/// The object's name.
#[must_use]
pub fn name(node: &NodeName) -> String {
    format!("metallb-{node}")
}

/// `spec` of an FRRConfiguration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// What FRR speaks.
    pub bgp: BgpConfig,
    /// This node.
    pub node_selector: NodeSelector,
}

impl Spec {
    /// Whether FRR has nothing to do: the object needn't exist.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.bgp.routers.is_empty()
    }
}

/// What FRR on `node` does for nobody.
#[must_use]
pub fn idle(node: &NodeName) -> Spec {
    Spec {
        bgp: BgpConfig {
            routers: Vec::new(),
            bfd_profiles: Vec::new(),
        },
        node_selector: NodeSelector::of(node),
    }
}

/// `spec.nodeSelector`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    /// Labels of the node.
    pub match_labels: BTreeMap<String, String>,
}

impl NodeSelector {
    fn of(node: &NodeName) -> Self {
        Self {
            match_labels: [(HOSTNAME.to_owned(), node.to_string())].into(),
        }
    }
}

/// `spec.bgp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpConfig {
    /// One for each local AS number, identifier and VRF.
    pub routers: Vec<Router>,
    /// Every BFDProfile, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bfd_profiles: Vec<Profile>,
}

/// One of `spec.bgp.routers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// `myASN`.
    pub asn: u32,
    /// `routerID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Ipv4Addr>,
    /// `vrf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,
    /// The peers, by where they are.
    pub neighbors: Vec<Neighbor>,
    /// Every prefix some neighbour is told.
    pub prefixes: BTreeSet<IpNet>,
}

/// One of a router's `neighbors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the fields of a BGPPeer, under frr-k8s's names"
)]
pub struct Neighbor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    #[serde(rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    pub dynamic_asn: Option<&'static str>,
    #[serde(rename = "localASN", skip_serializing_if = "Option::is_none")]
    pub local_asn: Option<u32>,
    #[serde(rename = "sourceaddress", skip_serializing_if = "Option::is_none")]
    pub source_address: Option<IpAddr>,
    pub port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Clear>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretName>,
    #[serde(rename = "bfdProfile", skip_serializing_if = "Option::is_none")]
    pub bfd_profile: Option<String>,
    pub enable_graceful_restart: bool,
    pub ebgp_multi_hop: bool,
    pub dual_stack_address_family: bool,
    #[serde(rename = "disableMP")]
    pub disable_mp: bool,
    pub to_advertise: ToAdvertise,
}

/// A password in clear; only serialising shows it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Clear(String);

impl std::fmt::Debug for Clear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clear(..)")
    }
}

/// `passwordSecret`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretName {
    /// Name of the Secret.
    pub name: String,
}

/// `toAdvertise`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToAdvertise {
    /// Every prefix the neighbour is told.
    pub allowed: Allowed,
    /// By LOCAL_PREF; those without aren't listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with_local_pref: Vec<WithLocalPref>,
    /// By community.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with_community: Vec<WithCommunity>,
}

/// `toAdvertise.allowed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// The prefixes; with none, none is allowed.
    pub prefixes: BTreeSet<IpNet>,
}

/// One of `withLocalPref`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WithLocalPref {
    /// The LOCAL_PREF.
    pub local_pref: u32,
    /// Prefixes that have it.
    pub prefixes: BTreeSet<IpNet>,
}

/// One of `withCommunity`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithCommunity {
    /// The community; a large one begins with `large:`.
    pub community: String,
    /// Prefixes that have it.
    pub prefixes: BTreeSet<IpNet>,
}

/// One of `spec.bgp.bfdProfiles`; intervals in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the fields of a BFDProfile, under its own names"
)]
pub struct Profile {
    pub name: String,
    pub receive_interval: u64,
    pub transmit_interval: u64,
    pub detect_multiplier: u8,
    pub echo_interval: u64,
    pub echo_mode: bool,
    pub passive_mode: bool,
    pub minimum_ttl: u8,
}

/// What FRR on `node` is to do: `table` is the node's, `config` what it was decided from.
///
/// A peer whose password isn't known yet is left out: FRR would open the session without it.
// DEVIATION: sourceAddress and localASN are passed on; MetalLB drops them silently.
#[must_use]
pub fn render(node: &NodeName, config: &Bgp, table: &BgpTable, passwords: Passwords) -> Spec {
    let mut routers: BTreeMap<_, Router> = BTreeMap::new();
    let mut peers: Vec<_> = table
        .peers
        .iter()
        .filter_map(|(name, told)| Some((config.peers.get(name)?, told)))
        .collect();
    peers.sort_by_cached_key(|(peer, _)| (peer.remote.to_string(), peer.port, peer.name.clone()));
    for (peer, told) in peers {
        let Some(neighbor) = neighbor(peer, told, passwords) else {
            continue;
        };
        let key = (peer.vrf.clone(), peer.my_asn, peer.router_id);
        let router = routers.entry(key).or_insert_with(|| Router {
            asn: peer.my_asn,
            id: peer.router_id,
            vrf: peer.vrf.clone(),
            neighbors: Vec::new(),
            prefixes: BTreeSet::new(),
        });
        router.prefixes.extend(told.routes.keys());
        router.neighbors.push(neighbor);
    }
    Spec {
        bgp: BgpConfig {
            routers: routers.into_values().collect(),
            bfd_profiles: config.bfd.iter().map(profile).collect(),
        },
        node_selector: NodeSelector::of(node),
    }
}

fn neighbor(peer: &Peer, told: &BgpPeer, passwords: Passwords) -> Option<Neighbor> {
    let (password, secret) = match (&peer.password, &peer.secret, passwords) {
        (Password::None, _, _) => (None, None),
        (_, Some(name), Passwords::Unseen) | (Password::Text(_), Some(name), Passwords::Refer) => {
            (None, Some(SecretName { name: name.clone() }))
        }
        (Password::Text(text), _, _) => (Some(Clear(text.clone())), None),
        (Password::Awaited { .. }, _, _) => return None,
    };
    let (hold_time, keepalive_time) = match peer.timers {
        Timers::Default => (None, None),
        Timers::Set { hold, keepalive } => (Some(length(hold)), Some(length(keepalive))),
    };
    let (address, interface) = match &peer.remote {
        Remote::Address(ip) => (Some(*ip), None),
        Remote::Interface(name) => (None, Some(name.clone())),
    };
    let (asn, dynamic_asn) = match peer.peer_asn {
        PeerAsn::Number(asn) => (Some(asn), None),
        PeerAsn::Internal => (None, Some("internal")),
        PeerAsn::External => (None, Some("external")),
    };
    Some(Neighbor {
        address,
        interface,
        asn,
        dynamic_asn,
        local_asn: peer.local_asn,
        source_address: peer.source,
        port: peer.port,
        hold_time,
        keepalive_time,
        connect_time: peer.connect_time.map(length),
        password,
        password_secret: secret,
        bfd_profile: match &peer.bfd {
            Bfd::Off => None,
            Bfd::On { name, .. } => Some(name.clone()),
        },
        enable_graceful_restart: peer.graceful_restart,
        ebgp_multi_hop: peer.multihop,
        dual_stack_address_family: peer.dual_stack,
        disable_mp: peer.disable_mp,
        to_advertise: to_advertise(told),
    })
}

fn to_advertise(told: &BgpPeer) -> ToAdvertise {
    let mut local_prefs: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    let mut communities: BTreeMap<_, BTreeSet<IpNet>> = BTreeMap::new();
    for (prefix, route) in &*told.routes {
        let attributes = &route.attributes;
        if attributes.local_pref != 0 {
            let prefixes = local_prefs.entry(attributes.local_pref).or_default();
            prefixes.insert(*prefix);
        }
        for community in &attributes.communities {
            communities.entry(*community).or_default().insert(*prefix);
        }
    }
    ToAdvertise {
        allowed: Allowed {
            prefixes: told.routes.keys().copied().collect(),
        },
        with_local_pref: local_prefs
            .into_iter()
            .map(|(local_pref, prefixes)| WithLocalPref {
                local_pref,
                prefixes,
            })
            .collect(),
        with_community: communities
            .into_iter()
            .map(|(community, prefixes)| WithCommunity {
                community: community.to_string(),
                prefixes,
            })
            .collect(),
    }
}

fn profile((name, profile): (&String, &BfdProfile)) -> Profile {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    Profile {
        name: name.clone(),
        receive_interval: ms(profile.receive_interval),
        transmit_interval: ms(profile.transmit_interval),
        detect_multiplier: profile.detect_multiplier,
        echo_interval: ms(profile.echo_interval),
        echo_mode: profile.echo_mode,
        passive_mode: profile.passive_mode,
        minimum_ttl: profile.minimum_ttl,
    }
}

/// A duration as the API machinery writes one, in one unit.
fn length(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests;
