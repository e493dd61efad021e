//! Why a Service is announced where it is, for people and programs.
//!
//! Nothing is decided here: every verdict is the [`Decision`] the speaker acts on, rendered.

pub mod bgp;
mod text;

use crate::advertise::l2::{Decision, Home, LinkState, Reason, Standing, Verdict};
use crate::config::{ConflictPolicy, Filter, L2Advertisement, Refresh};
use crate::controller::AllocationState;
use crate::facts::{Facts, Service};
use crate::names::{NodeName, PoolName, ServiceKey};
use crate::ownership::{Claim, Policy};
use crate::rejection::{Kind, Rejection, Subject};
use crate::speaker::Speaker;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Everything about one Service as this instance sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Service.
    pub service: ServiceKey,
    /// This node.
    pub node: NodeName,
    /// Its addresses, in ingress order.
    pub addresses: Vec<IpAddr>,
    /// The pool they belong to.
    pub pool: Home,
    /// How the allocator stands to it.
    pub allocation: Allocation,
    /// The same in plain words.
    pub allocation_text: String,
    /// Who won the election, if anyone stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<NodeName>,
    /// Whether whoever has the address keeps it, and who claims it; absent where claims play no
    /// part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<OwnershipReport>,
    /// Every node known: the candidates in order of election, then the others by name.
    pub nodes: Vec<NodeReport>,
    /// Every L2Advertisement, by name.
    pub advertisements: Vec<AdvertisementReport>,
    /// Interfaces of this node that the advertisements allow or name.
    pub interfaces: Vec<InterfaceReport>,
    /// What becomes of it over BGP.
    pub bgp: bgp::Report,
    /// What is rejected now and may concern the Service.
    pub rejections: Vec<Rejection>,
    /// What someone should know beyond that, in sentences.
    pub remarks: Vec<String>,
}

/// How the allocator stands to a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Allocation {
    /// Another instance allocates.
    Elsewhere,
    /// The allocator here didn't look at it yet.
    Undecided,
    /// The allocator here decided this.
    Decided(AllocationState),
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere => f.write_str("another instance allocates"),
            Self::Undecided => f.write_str("the allocator hasn't looked at the Service yet"),
            Self::Decided(AllocationState::Allocated { pool, .. }) => {
                write!(f, "allocated from pool {pool}")
            }
            Self::Decided(AllocationState::Partly { pool, reason, .. }) => {
                write!(f, "allocated in part from pool {pool}: {reason}")
            }
            Self::Decided(AllocationState::Kept { reason, .. }) => {
                write!(f, "kept as it was: {reason}")
            }
            Self::Decided(AllocationState::Unallocated { reason }) => {
                write!(f, "no address: {reason}")
            }
            Self::Decided(AllocationState::Ignored { .. }) => {
                f.write_str("another controller's business, by its loadBalancerClass")
            }
        }
    }
}

/// Who has the address already, and whether that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnershipReport {
    /// What decides between candidates of the same score.
    pub policy: Policy,
    /// Who claims the address that the election goes by, if a live member does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
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
    /// Place in the election, 0 being the winner's; absent if the node doesn't stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Sum of the weights that prefer it; absent if the node doesn't stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// Whether it claims the address that the election goes by, counted or not.
    pub claims: bool,
    /// Whether it is a suspected member: it may be this node that doesn't hear it.
    pub suspected: bool,
}

/// An advertisement and how it stands to the Service.
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
    /// Interfaces it names.
    pub interfaces: Filter<String>,
    /// Its conflict policy.
    pub conflict: ConflictPolicy,
    /// Its gratuitous refresh.
    pub refresh: Refresh,
}

/// An interface of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceReport {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub state: InterfaceState,
}

/// What an interface is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum InterfaceState {
    /// It is here, and this can be spoken on it now.
    Present(LinkState),
    /// An advertisement names it, but this node has none that is usable by that name.
    Absent,
}

/// Explains a Service; nothing if there is none of that name.
#[must_use]
pub fn explain(
    facts: &Facts,
    speaker: &Speaker,
    allocation: Allocation,
    key: &ServiceKey,
) -> Option<Explanation> {
    let service = facts.services.get(key)?;
    let mut explanation = Explanation {
        service: key.clone(),
        node: speaker.node().clone(),
        addresses: Vec::new(),
        pool: Home::Nowhere,
        allocation_text: allocation.to_string(),
        allocation,
        winner: None,
        ownership: None,
        nodes: Vec::new(),
        advertisements: Vec::new(),
        interfaces: Vec::new(),
        bgp: bgp::report(facts, speaker, service),
        rejections: Vec::new(),
        remarks: Vec::new(),
    };
    match speaker.decision(facts, key) {
        Some(decision) => explanation.render(facts, speaker, service, &decision),
        None => {
            let names = facts.nodes.keys().chain([speaker.node()]);
            let names: BTreeSet<_> = names.collect();
            let awaits = &speaker.aside().awaits;
            let unready = |&name: &&NodeName| {
                let reason = match awaits {
                    Some(awaits) if name == speaker.node() => Reason::NodeStarting {
                        awaits: awaits.clone(),
                    },
                    Some(_) | None => Reason::NotReady,
                };
                report(name, Verdict::Withhold(reason))
            };
            explanation.nodes = names.iter().map(unready).collect();
        }
    }
    let concerns = |r: &&Rejection| concerns(r, service, &explanation.pool);
    explanation.rejections = facts.rejections.iter().filter(concerns).cloned().collect();
    Some(explanation)
}

impl Explanation {
    fn render(
        &mut self,
        facts: &Facts,
        speaker: &Speaker,
        service: &Service,
        decision: &Decision<'_>,
    ) {
        self.addresses = decision.addresses().to_vec();
        self.pool = decision.home().clone();
        self.winner = decision.winner().cloned();
        self.ownership = ownership(decision);
        self.nodes = nodes(decision);
        let ads = facts.config.l2.values();
        self.advertisements = ads
            .map(|ad| advertisement(facts, ad, decision.standing(ad, &service.labels)))
            .collect();
        let applying = || {
            let all = self.advertisements.iter();
            all.filter(|ad| ad.standing == Standing::Applies)
        };
        let here = applying().filter(|ad| ad.nodes.contains(&self.node));
        self.interfaces = interfaces(speaker, here);
        self.remarks = text::remarks(facts, &applying().collect::<Vec<_>>());
        self.remarks
            .extend(self.ownership.as_ref().map(text::ownership));
    }
}

fn ownership(decision: &Decision<'_>) -> Option<OwnershipReport> {
    let (policy, claim) = decision.ownership()?;
    let claim = claim.cloned();
    let plays_a_part = policy == Policy::Sticky || claim.is_some();
    plays_a_part.then_some(OwnershipReport { policy, claim })
}

/// Candidates in order of election, then everyone else.
fn nodes(decision: &Decision<'_>) -> Vec<NodeReport> {
    let claim = decision.ownership().and_then(|(_, claim)| claim);
    let told = |node: &NodeName, verdict| NodeReport {
        claims: claim.is_some_and(|claim| claim.nodes.contains(node)),
        suspected: decision.doubts(node),
        ..report(node, verdict)
    };
    let ranking = decision.ranking();
    let standing = ranking.iter().enumerate().map(|(rank, ranked)| NodeReport {
        rank: Some(rank),
        score: Some(ranked.candidate.score),
        ..told(
            ranked.candidate.node,
            decision.verdict(ranked.candidate.node),
        )
    });
    let ranked: BTreeSet<_> = ranking.iter().map(|r| r.candidate.node).collect();
    let all = decision.nodes();
    let others = all.difference(&ranked);
    let others = others.map(|&node| told(node, decision.verdict(node)));
    standing.chain(others).collect()
}

fn report(node: &NodeName, verdict: Verdict) -> NodeReport {
    NodeReport {
        node: node.clone(),
        text: verdict.to_string(),
        verdict,
        rank: None,
        score: None,
        claims: false,
        suspected: false,
    }
}

fn advertisement(facts: &Facts, ad: &L2Advertisement, standing: Standing) -> AdvertisementReport {
    let nodes = facts.nodes.values();
    let nodes = nodes.filter(|n| ad.nodes.matches(&n.labels));
    AdvertisementReport {
        name: ad.name.clone(),
        standing,
        text: text::advertisement(facts, ad, standing),
        nodes: nodes.map(|n| n.name.clone()).collect(),
        interfaces: ad.interfaces.clone(),
        conflict: ad.conflict,
        refresh: ad.refresh,
    }
}

/// What of this node's interfaces the advertisements `here` allow or name.
fn interfaces<'a>(
    speaker: &Speaker,
    here: impl Iterator<Item = &'a AdvertisementReport>,
) -> Vec<InterfaceReport> {
    let mut names = BTreeSet::new();
    for ad in here {
        match &ad.interfaces {
            Filter::Any => names.extend(speaker.links().map(|(name, _)| name)),
            Filter::Only(named) => names.extend(named.iter().map(String::as_str)),
        }
    }
    let state = |name: &str| {
        let link = speaker.links().find(|(n, _)| *n == name);
        link.map_or(InterfaceState::Absent, |(_, link)| {
            InterfaceState::Present(link)
        })
    };
    let report = |name: &str| InterfaceReport {
        name: name.to_owned(),
        state: state(name),
    };
    names.into_iter().map(report).collect()
}

/// Whether a rejection may have to do with the Service.
fn concerns(rejection: &Rejection, service: &Service, pool: &Home) -> bool {
    let object = match &rejection.subject {
        Subject::Object(object) => object,
        Subject::Unidentified => return true,
    };
    let (namespace, name) = (service.key.namespace(), service.key.name());
    match object.kind {
        Kind::Service => object.namespace == *namespace && object.name == *name,
        Kind::EndpointSlice => object.namespace == *namespace,
        Kind::Namespace => object.name == *namespace,
        Kind::Node
        | Kind::L2Advertisement
        | Kind::BGPAdvertisement
        | Kind::BGPPeer
        | Kind::BFDProfile
        | Kind::Community
        | Kind::Secret => true,
        Kind::IPAddressPool => {
            let named = |pool: &PoolName| pool.as_str() == object.name;
            service.requested_pool.as_ref().is_some_and(named)
                || service.allocated_from.as_ref().is_some_and(named)
                || match pool {
                    Home::Pool(pool) => named(pool),
                    Home::Nowhere | Home::Uncertain(_) => true,
                }
        }
    }
}
