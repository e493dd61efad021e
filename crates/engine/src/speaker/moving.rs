//! What becomes of this node's addresses if it goes, and whether one may be moved: asked of the
//! decision functions, not of anything else.

use super::{BgpDriver, Protocol, Speaker, bgp};
use crate::advertise::bgp::Verdict as BgpVerdict;
use crate::advertise::l2::{Reason, Verdict};
use crate::aside::Aside;
use crate::facts::Facts;
use crate::names::{NodeName, ServiceKey};
use crate::ownership::Policy;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Who has an address of this node's when it is drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The address.
    pub ip: IpAddr,
    /// How this node announces it.
    pub protocol: Protocol,
    /// The Services that have it.
    pub services: BTreeSet<ServiceKey>,
    /// Who comes after this node; over BGP whoever announces it, too. Nobody if it is empty.
    pub to: BTreeSet<NodeName>,
    /// All that may come after it, the successor included: those who have to know of the drain.
    pub candidates: BTreeSet<NodeName>,
}

/// How an address can be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// The node has it already.
    Present,
    /// The node is to claim it.
    Claim {
        /// The address that the election of its Services goes by.
        ip: IpAddr,
        /// Who has it now.
        from: Option<NodeName>,
    },
}

/// Why an address can't be moved to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Immovable {
    /// Membership or interfaces aren't known yet.
    #[error("not everything has been read yet")]
    NotReady,
    /// No Service has the address.
    #[error("no Service has {0}")]
    NoService(IpAddr),
    /// Nobody may announce it on layer 2.
    #[error("{0} isn't announced on layer 2: {1}")]
    NotAnnounced(IpAddr, Reason),
    /// There is no such node.
    #[error("there is no Node {0}")]
    UnknownNode(NodeName),
    /// The hash decides.
    #[error(
        "the policy in force for {0} is metallb: the hash decides who has it, and claims don't count \
         (policy sticky is asked for with --ownership, speaker.ownership in the chart, or the annotation \
         corten.io/ownership, and holds once all members are Corten's)"
    )]
    Stateless(IpAddr),
    /// The node may not have it.
    #[error("{0} is no candidate: {1}")]
    NoCandidate(NodeName, Reason),
    /// Another node is preferred.
    #[error("{winner} is preferred to {node} by preferredNodeSelectors, which go before claims")]
    Preferred {
        /// The node.
        node: NodeName,
        /// The preferred one.
        winner: NodeName,
    },
}

impl Speaker {
    /// Who would have this node's addresses without it.
    #[must_use]
    pub fn successions(&self, facts: &Facts) -> Vec<Succession> {
        let own = &self.options.node;
        let mut aside = self.aside.clone();
        aside.drained.insert(own.clone());
        let mut all: BTreeMap<(IpAddr, Protocol), Succession> = BTreeMap::new();
        let mut add = |key: &ServiceKey,
                       ip: IpAddr,
                       protocol: Protocol,
                       to: &BTreeSet<NodeName>,
                       candidates: &BTreeSet<NodeName>| {
            let entry = all.entry((ip, protocol)).or_insert_with(|| Succession {
                ip,
                protocol,
                services: BTreeSet::new(),
                to: to.clone(),
                candidates: BTreeSet::new(),
            });
            entry.services.insert(key.clone());
            // An address has gone where all of its Services have.
            entry.to.retain(|node| to.contains(node));
            entry.candidates.extend(candidates.iter().cloned());
        };
        for (key, verdict) in self.verdicts() {
            let Verdict::Announce(announcement) = verdict else {
                continue;
            };
            let (to, candidates) = self.heirs(facts, &aside, key);
            for ip in &announcement.addresses {
                add(key, *ip, Protocol::Layer2, &to, &candidates);
            }
        }
        let spoken = self.options.bgp != BgpDriver::Absent;
        for (key, verdict) in self.bgp.verdicts().filter(|_| spoken) {
            let others = self.others(facts, &aside, key);
            for ip in bgp::addresses(verdict) {
                add(key, *ip, Protocol::Bgp, &others, &others);
            }
        }
        all.into_values().collect()
    }

    /// The winner and the candidates for a Service on layer 2, if these stood aside.
    fn heirs(
        &self,
        facts: &Facts,
        aside: &Aside,
        key: &ServiceKey,
    ) -> (BTreeSet<NodeName>, BTreeSet<NodeName>) {
        let Some(decision) = self.decision_if(facts, aside, key) else {
            return (BTreeSet::new(), BTreeSet::new());
        };
        let ranking = decision.ranking().iter();
        let candidates = ranking.map(|r| r.candidate.node.clone()).collect();
        (decision.winner().cloned().into_iter().collect(), candidates)
    }

    /// Other nodes that announce a Service over BGP.
    fn others(&self, facts: &Facts, aside: &Aside, key: &ServiceKey) -> BTreeSet<NodeName> {
        let decision = self.bgp.decision_if(facts, &self.options, aside, key);
        let announces = |node: &&&NodeName| match decision.verdict(node) {
            BgpVerdict::Announce(_) => true,
            BgpVerdict::Withhold(_) => false,
        };
        let nodes = decision.nodes();
        nodes
            .iter()
            .filter(announces)
            .map(|n| (*n).clone())
            .collect()
    }

    /// How `node` may come to have an address now.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn plan_move(&self, facts: &Facts, ip: IpAddr, node: &NodeName) -> Result<Move, Immovable> {
        if !self.started {
            return Err(Immovable::NotReady);
        }
        let mut holders = self.board.holders(ip).peekable();
        if holders.peek().is_none() {
            return Err(Immovable::NoService(ip));
        }
        let mut last = Reason::NoAllocation;
        let held = holders.find_map(|key| {
            let decision = self.decision(facts, key)?;
            match decision.is_held() {
                Ok(()) => Some(decision),
                Err(reason) => {
                    last = reason;
                    None
                }
            }
        });
        let Some(decision) = held else {
            return Err(Immovable::NotAnnounced(ip, last));
        };
        if !facts.nodes.contains_key(node) {
            return Err(Immovable::UnknownNode(node.clone()));
        }
        if decision.winner() == Some(node) {
            return Ok(Move::Present);
        }
        let (Some((Policy::Sticky, _)), Some(first)) =
            (decision.ownership(), decision.elected_by())
        else {
            return Err(Immovable::Stateless(ip));
        };
        decision
            .candidacy(node)
            .map_err(|reason| Immovable::NoCandidate(node.clone(), reason))?;
        let ranking = decision.ranking();
        let score = |r: &crate::election::Ranked<'_>| r.candidate.score;
        let wanted = ranking.iter().find(|r| r.candidate.node == node).map(score);
        match ranking.first() {
            Some(best) if Some(best.candidate.score) > wanted => Err(Immovable::Preferred {
                node: node.clone(),
                winner: best.candidate.node.clone(),
            }),
            best => Ok(Move::Claim {
                ip: first,
                from: best.map(|best| best.candidate.node.clone()),
            }),
        }
    }
}
