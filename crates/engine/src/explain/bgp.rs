//! What becomes of a Service over BGP: which nodes announce it, which of this node's peers hear of
//! it, and why not the others.

use super::text::unknown_pools;
use crate::advertise::bgp::frr;
use crate::advertise::bgp::{
    Attributes, Decision, Reason, Session, Standing, Told, Verdict, ready, sessions,
};
use crate::config::Filter;
use crate::config::bgp::BgpAdvertisement;
use crate::facts::{Facts, Service};
use crate::names::NodeName;
use crate::speaker::{BgpDriver, Speaker};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::BTreeSet;

/// What becomes of a Service over BGP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether this process speaks BGP or has FRR speak it; if not, all this is what it would
    /// announce.
    pub spoken: bool,
    /// Every node known, by name; none while nothing of BGP is configured.
    pub nodes: Vec<NodeReport>,
    /// Every BGPAdvertisement, by name.
    pub advertisements: Vec<AdvertisementReport>,
    /// Every BGPPeer, by name, as this node stands to it.
    pub peers: Vec<PeerReport>,
    /// What someone should know beyond that, in sentences.
    pub remarks: Vec<String>,
}

/// A node and its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    /// The node.
    pub node: NodeName,
    /// Whether it announces.
    pub verdict: Verdict,
    /// The verdict in plain words.
    pub text: String,
}

/// A BGPAdvertisement and how it stands to the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvertisementReport {
    /// Its name.
    pub name: String,
    /// How it stands to the Service.
    pub standing: Standing,
    /// The same in plain words.
    pub text: String,
    /// Nodes its selectors match.
    pub nodes: BTreeSet<NodeName>,
}

/// A BGPPeer and what this node tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerReport {
    /// Its name.
    pub peer: String,
    /// The session in plain words; absent if it isn't a peer of this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Each prefix of the Service; none if this node has none to announce.
    pub prefixes: Vec<PrefixReport>,
}

/// A prefix and whether a peer hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrefixReport {
    /// The prefix.
    pub prefix: IpNet,
    /// Whether it is announced to the peer.
    pub outcome: Outcome,
    /// The same in plain words.
    pub text: String,
}

/// Whether a prefix is announced to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// With these attributes.
    Announce(Attributes),
    /// Not, for this reason.
    Withhold(Reason),
}

/// Reports on a Service.
pub(super) fn report(facts: &Facts, speaker: &Speaker, service: &Service) -> Report {
    let spoken = speaker.bgp_driver() != BgpDriver::Absent;
    let config = &facts.config.bgp;
    if !ready(facts) || (config.peers.is_empty() && config.advertisements.is_empty()) {
        return Report {
            spoken,
            ..Report::default()
        };
    }
    let decision = speaker.bgp_decision(facts, &service.key);
    let nodes = decision.nodes().into_iter();
    let ads = config.advertisements.values();
    let advertisements: Vec<_> = ads
        .map(|ad| advertisement(facts, ad, decision.standing(ad, &service.labels)))
        .collect();
    let mut remarks = Vec::new();
    match speaker.bgp_driver() {
        BgpDriver::Present => {}
        BgpDriver::Absent => remarks.push(
            "this process doesn't speak BGP: the above is decided, but announced by nobody here"
                .to_owned(),
        ),
        BgpDriver::Frr => remarks.push(format!(
            "FRR holds the sessions of this node and is told by FRRConfiguration {}",
            frr::name(speaker.node())
        )),
    }
    Report {
        spoken,
        nodes: nodes.map(|name| node(&decision, name)).collect(),
        advertisements,
        peers: peers(facts, speaker.node(), &decision),
        remarks,
    }
}

fn node(decision: &Decision<'_>, name: &NodeName) -> NodeReport {
    let verdict = decision.verdict(name);
    NodeReport {
        node: name.clone(),
        text: verdict.to_string(),
        verdict,
    }
}

fn advertisement(facts: &Facts, ad: &BgpAdvertisement, standing: Standing) -> AdvertisementReport {
    let nodes = facts.nodes.values();
    let nodes: BTreeSet<_> = nodes
        .filter(|n| ad.nodes.matches(&n.labels))
        .map(|n| n.name.clone())
        .collect();
    let mut text = match standing {
        Standing::Applies => "applies".to_owned(),
        Standing::ServiceNotSelected => {
            "is for the pool, but no service selector matches the Service".to_owned()
        }
        Standing::OtherPools => "isn't for the Service's pool".to_owned(),
    };
    text += &unknown_pools(facts, &ad.pools);
    text += &unknown_peers(facts, ad);
    if nodes.is_empty() {
        text += "; its node selectors match no node";
    }
    AdvertisementReport {
        name: ad.name.clone(),
        standing,
        text,
        nodes,
    }
}

/// BGPPeers an advertisement names that aren't there, as the end of a sentence.
fn unknown_peers(facts: &Facts, ad: &BgpAdvertisement) -> String {
    let unknown: Vec<_> = match &ad.peers {
        Filter::Any => Vec::new(),
        Filter::Only(names) => {
            let known = &facts.config.bgp.peers;
            let unknown = names.iter().filter(|name| !known.contains_key(*name));
            unknown.map(String::as_str).collect()
        }
    };
    match unknown[..] {
        [] => String::new(),
        [one] => format!("; names peer {one}, which isn't known"),
        [..] => format!("; names peers {}, which aren't known", unknown.join(", ")),
    }
}

fn peers(facts: &Facts, here: &NodeName, decision: &Decision<'_>) -> Vec<PeerReport> {
    let told = decision.told(here);
    let sessions = sessions(facts, here);
    let peer = |name: &String| PeerReport {
        peer: name.clone(),
        session: sessions.get(name).map(Session::to_string),
        prefixes: told
            .iter()
            .filter(|told| told.peer == name)
            .map(prefix)
            .collect(),
    };
    facts.config.bgp.peers.keys().map(peer).collect()
}

fn prefix(told: &Told<'_>) -> PrefixReport {
    let text = match &told.outcome {
        Ok(attributes) => announced(attributes),
        Err(reason) => format!("not announced: {reason}"),
    };
    PrefixReport {
        prefix: told.prefix,
        outcome: match &told.outcome {
            Ok(attributes) => Outcome::Announce(attributes.clone()),
            Err(reason) => Outcome::Withhold(reason.clone()),
        },
        text,
    }
}

fn announced(attributes: &Attributes) -> String {
    let mut text = "announced".to_owned();
    if attributes.local_pref != 0 {
        text += &format!(", localPref {}", attributes.local_pref);
    }
    if !attributes.communities.is_empty() {
        let communities = attributes.communities.iter().map(ToString::to_string);
        let communities: Vec<_> = communities.collect();
        text += &format!(", communities {}", communities.join(" "));
    }
    text
}
