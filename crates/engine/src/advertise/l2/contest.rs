//! Who may stand for a Service, in which order they come, and with what the winner announces
//! (`spec/metallb.md` §5.2, in its order of checks).

use super::decide::Situation;
use super::home::Home;
use super::{Announcement, Reason, Terms};
use crate::config::selector::Selectors;
use crate::config::{Filter, L2Advertisement};
use crate::election::{Candidate, Ranked, rank};
use crate::facts::{Facts, Node, Service, Sharing, TrafficPolicy};
use crate::names::NodeName;
use corten_api::names::EXCLUDE_FROM_LB;
use std::net::IpAddr;

/// The nodes that stand for a Service, in order of election.
#[derive(Clone, Debug)]
pub(super) struct Contest<'a> {
    rules: Rules<'a>,
    ranking: Vec<Ranked<'a>>,
}

/// Who may stand.
#[derive(Clone, Debug)]
struct Rules<'a> {
    situation: Situation<'a>,
    /// The advertisements that select the Service; the same on every node, so that all rank the
    /// same candidates with the same scores.
    advertisements: Vec<&'a L2Advertisement>,
    /// Nodes that may take traffic as far as endpoints go.
    serving: Filter<&'a NodeName>,
}

/// Why a node can't stand.
#[derive(Clone, Copy, Debug)]
enum Bar {
    NoMatchingNodeSelector,
    NotAMember,
    NetworkUnavailable,
    NodeExcluded,
    NoLocalEndpoint,
}

impl<'a> Contest<'a> {
    /// Ranks the candidates for a Service whose pool `reaching` advertise.
    ///
    /// # Errors
    ///
    /// The reason for which no node may announce.
    pub(super) fn hold(
        situation: Situation<'a>,
        service: &'a Service,
        addresses: &'a [IpAddr],
        home: &Home,
        reaching: &[&'a L2Advertisement],
    ) -> Result<Self, Reason> {
        let serving = serving_nodes(situation.facts, service).ok_or(Reason::NoServingEndpoint)?;
        if reaching.is_empty() {
            return Err(home.unreached(addresses));
        }
        let selects = |ad: &&&L2Advertisement| ad.services.matches(&service.labels);
        let advertisements: Vec<_> = reaching.iter().filter(selects).copied().collect();
        if advertisements.is_empty() {
            return Err(Reason::NoMatchingServiceSelector {
                advertisements: names(reaching),
            });
        }
        let selective = advertisements.iter().find(|ad| match ad.services {
            Selectors::Everything => false,
            Selectors::AnyOf(_) => true,
        });
        if let (Sharing::Key(_), Some(ad)) = (&service.sharing, selective) {
            return Err(Reason::SharedIpWithServiceSelector {
                advertisement: ad.name.clone(),
            });
        }
        let rules = Rules {
            situation,
            advertisements,
            serving,
        };
        let candidates = situation.facts.nodes.values().filter_map(|node| {
            let score = rules.admit(node).ok()?;
            Some(Candidate {
                node: &node.name,
                score,
            })
        });
        // A Service's second address goes with the first.
        let ranking = match addresses.first() {
            Some(&ip) => rank(ip, candidates),
            None => return Err(Reason::NoAllocation),
        };
        Ok(Self { rules, ranking })
    }

    /// The candidates in order of election.
    pub(super) fn ranking(&self) -> &[Ranked<'a>] {
        &self.ranking
    }

    /// The winner, if anyone stands.
    pub(super) fn winner(&self) -> Option<&'a NodeName> {
        self.ranking.first().map(|r| r.candidate.node)
    }

    /// What `node` announces if it has won.
    ///
    /// # Errors
    ///
    /// The reason for which it hasn't.
    pub(super) fn outcome(
        &self,
        node: &NodeName,
        addresses: &[IpAddr],
    ) -> Result<Announcement, Reason> {
        let nodes = &self.rules.situation.facts.nodes;
        let Some(object) = nodes.get(node) else {
            return Err(Reason::UnknownNode { node: node.clone() });
        };
        if let Err(bar) = self.rules.admit(object) {
            return Err(self.rules.reason(bar, node));
        }
        let place = self.ranking.iter().position(|r| r.candidate.node == node);
        match (self.winner(), place) {
            (Some(_), Some(0)) => Ok(self.rules.announcement(object, addresses)),
            (Some(winner), Some(rank)) => Err(Reason::LostElection {
                winner: winner.clone(),
                rank,
            }),
            // Whoever is admitted has a place.
            (Some(_) | None, None) | (None, Some(_)) => {
                Err(Reason::UnknownNode { node: node.clone() })
            }
        }
    }
}

impl Rules<'_> {
    /// Whether a node may stand, and with which score.
    fn admit(&self, node: &Node) -> Result<i64, Bar> {
        let Situation {
            membership,
            ignore_exclude_lb,
            ..
        } = self.situation;
        if self.on(node).next().is_none() {
            Err(Bar::NoMatchingNodeSelector)
        } else if !membership.admits(&node.name) {
            Err(Bar::NotAMember)
        } else if node.network_unavailable {
            Err(Bar::NetworkUnavailable)
        } else if node.labels.contains_key(EXCLUDE_FROM_LB) && !ignore_exclude_lb {
            Err(Bar::NodeExcluded)
        } else if !self.serving.admits(&node.name) {
            Err(Bar::NoLocalEndpoint)
        } else {
            Ok(self.score(node))
        }
    }

    /// The advertisements whose node selectors match.
    fn on(&self, node: &Node) -> impl Iterator<Item = &L2Advertisement> {
        let ads = self.advertisements.iter().copied();
        ads.filter(|ad| ad.nodes.matches(&node.labels))
    }

    /// The weights of every preference for the node, of the advertisements that allow it.
    fn score(&self, node: &Node) -> i64 {
        self.on(node)
            .flat_map(|ad| &ad.preferences)
            .filter(|p| p.nodes.matches(&node.labels))
            .map(|p| i64::from(p.weight))
            .sum()
    }

    fn reason(&self, bar: Bar, node: &NodeName) -> Reason {
        match bar {
            Bar::NoMatchingNodeSelector => Reason::NoMatchingNodeSelector {
                advertisements: names(&self.advertisements),
            },
            Bar::NotAMember => Reason::NotAMember { node: node.clone() },
            Bar::NetworkUnavailable => Reason::NetworkUnavailable,
            Bar::NodeExcluded => Reason::NodeExcluded {
                label: EXCLUDE_FROM_LB.to_owned(),
            },
            Bar::NoLocalEndpoint => Reason::NoLocalEndpoint,
        }
    }

    /// What the advertisements that allow the node add up to.
    fn announcement(&self, node: &Node, addresses: &[IpAddr]) -> Announcement {
        let Terms {
            interfaces,
            conflict,
            refresh,
        } = self
            .on(node)
            .map(Terms::from)
            .fold(Terms::none(), Terms::and);
        Announcement {
            addresses: addresses.to_vec(),
            interfaces,
            conflict,
            refresh,
            conflicts: Vec::new(),
        }
    }
}

/// Nodes that may take traffic as far as endpoints go; none if no endpoint can serve.
fn serving_nodes<'a>(facts: &'a Facts, service: &Service) -> Option<Filter<&'a NodeName>> {
    let endpoints = &facts.endpoints.get(&service.key)?.endpoints;
    let mut serving = endpoints.iter().filter(|e| e.serving).peekable();
    serving.peek()?;
    Some(match service.traffic_policy {
        TrafficPolicy::Cluster => Filter::Any,
        TrafficPolicy::Local => Filter::Only(serving.filter_map(|e| e.node.as_ref()).collect()),
    })
}

fn names(advertisements: &[&L2Advertisement]) -> Vec<String> {
    advertisements.iter().map(|ad| ad.name.clone()).collect()
}
