//! Who may stand for a Service, in which order they come, and with what the winner announces
//! (`spec/metallb.md` §5.2, in its order of checks).

use super::decide::Situation;
use super::{Announcement, Reason, Terms};
use crate::advertise::home::{Home, names};
use crate::config::selector::Selectors;
use crate::config::{Filter, L2Advertisement};
use crate::election::{Candidate, Ranked, rank};
use crate::facts::company::serving_nodes;
use crate::facts::{Node, Service, Sharing};
use crate::names::NodeName;
use crate::ownership::{Claim, Policy};
use corten_api::names::{EXCLUDE_FROM_LB, OUT_OF_SERVICE};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The nodes that stand for a Service, in order of election.
#[derive(Clone, Debug)]
pub(super) struct Contest<'a> {
    rules: Rules<'a>,
    /// The address that the election goes by.
    first: IpAddr,
    ranking: Vec<Ranked<'a>>,
    policy: Policy,
    claim: Option<&'a Claim>,
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
    /// The claim that counts.
    counted: Option<&'a Claim>,
}

/// Why a node can't stand.
#[derive(Clone, Copy, Debug)]
enum Bar {
    NoMatchingNodeSelector,
    NotAMember,
    NetworkUnavailable,
    NodeExcluded,
    NodeOutOfService,
    NodeDrained,
    NodeStarting,
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
        let endpoints = situation.facts.endpoints.get(&service.key);
        let serving = serving_nodes(endpoints, service).ok_or(Reason::NoServingEndpoint)?;
        if reaching.is_empty() {
            return Err(unreached(home, addresses));
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
        // A Service's second address goes with the first.
        let &first = addresses.first().ok_or(Reason::NoAllocation)?;
        let company = situation.facts.company(&service.key);
        let first = company.map_or(first, |company| company.first);
        let ownership = situation.ownership;
        let policy = ownership.policy(advertisements.iter().map(|ad| ad.ownership));
        let claim = ownership.claims.get(&first);
        let rules = Rules {
            situation,
            advertisements,
            serving,
            counted: claim.filter(|_| policy == Policy::Sticky),
        };
        let ranking = match company {
            None => rank(first, rules.candidates(&rules.serving)),
            // DEVIATION: Services that share an address are elected together, among the nodes
            // that can take traffic for all of them or, if none can, for one of them.
            Some(company) => {
                let ranking = rank(first, rules.candidates(&company.every));
                if ranking.is_empty() {
                    rank(first, rules.candidates(&company.any))
                } else {
                    ranking
                }
            }
        };
        Ok(Self {
            rules,
            first,
            ranking,
            policy,
            claim,
        })
    }

    /// The candidates in order of election.
    pub(super) fn ranking(&self) -> &[Ranked<'a>] {
        &self.ranking
    }

    /// The policy in force, and who claims the address that the election goes by.
    pub(super) fn ownership(&self) -> (Policy, Option<&'a Claim>) {
        (self.policy, self.claim)
    }

    /// The winner, if anyone stands.
    pub(super) fn winner(&self) -> Option<&'a NodeName> {
        self.ranking.first().map(|r| r.candidate.node)
    }

    /// Nodes that would stand before `node` by preference and hash, if they were members: gossip
    /// doesn't reach them, so the LAN has to say whether they answer.
    pub(super) fn rivals(&self, node: &NodeName) -> BTreeSet<NodeName> {
        let rules = &self.rules;
        let nodes = rules.situation.facts.nodes.values();
        let Situation {
            membership,
            ownership,
            ..
        } = rules.situation;
        let reached = |n: &Node| ownership.reaches(&n.name, membership);
        let unreached = nodes.filter(|n| n.name != *node && !reached(n));
        let mut unreached = unreached.peekable();
        if unreached.peek().is_none() {
            return BTreeSet::new();
        }
        let own = rules.situation.facts.nodes.get(node);
        let candidates = unreached.chain(own).filter_map(|n| {
            let score = rules.fit(n, &rules.serving).ok()?;
            Some(Candidate {
                node: &n.name,
                score,
                claims: false,
            })
        });
        let ranking = rank(self.first, candidates);
        let before = ranking.iter().take_while(|r| r.candidate.node != node);
        before.map(|r| r.candidate.node.clone()).collect()
    }

    /// The address that the election goes by.
    pub(super) fn first(&self) -> IpAddr {
        self.first
    }

    /// What `node` would announce if it had won.
    ///
    /// # Errors
    ///
    /// The reason for which it can't win.
    pub(super) fn candidacy(
        &self,
        node: &NodeName,
        addresses: &[IpAddr],
    ) -> Result<Announcement, Reason> {
        let object = self.admitted(node)?;
        if self.ranking.iter().any(|r| r.candidate.node == node) {
            Ok(self.rules.announcement(object, addresses))
        } else {
            self.outcome(node, addresses)
        }
    }

    fn admitted(&self, node: &NodeName) -> Result<&'a Node, Reason> {
        let nodes = &self.rules.situation.facts.nodes;
        let Some(object) = nodes.get(node) else {
            return Err(Reason::UnknownNode { node: node.clone() });
        };
        match self.rules.admit(object, &self.rules.serving) {
            Ok(_) => Ok(object),
            Err(bar) => Err(self.rules.reason(bar, node)),
        }
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
        let object = self.admitted(node)?;
        let place = self.ranking.iter().position(|r| r.candidate.node == node);
        match (self.winner(), place) {
            (Some(_), Some(0)) => Ok(self.rules.announcement(object, addresses)),
            (Some(winner), Some(rank)) => Err(Reason::LostElection {
                winner: winner.clone(),
                rank,
            }),
            // A node that can take this Service's traffic, but not that of one it shares with.
            (Some(winner), None) => Err(Reason::LostElection {
                winner: winner.clone(),
                rank: self.ranking.len(),
            }),
            // Whoever is admitted has a place.
            (None, None) | (None, Some(_)) => Err(Reason::UnknownNode { node: node.clone() }),
        }
    }
}

impl<'a> Rules<'a> {
    /// The nodes that may stand among those that take traffic.
    fn candidates<T>(&self, serving: &Filter<T>) -> impl Iterator<Item = Candidate<'a>>
    where
        T: Ord + Borrow<NodeName>,
    {
        let nodes = self.situation.facts.nodes.values();
        nodes.filter_map(move |node| {
            let score = self.admit(node, serving).ok()?;
            Some(Candidate {
                node: &node.name,
                score,
                claims: self.counted.is_some_and(|c| c.nodes.contains(&node.name)),
            })
        })
    }

    /// Whether a node may stand among those that take traffic, and with which score.
    fn admit<T>(&self, node: &Node, serving: &Filter<T>) -> Result<i64, Bar>
    where
        T: Ord + Borrow<NodeName>,
    {
        let fit = self.fit(node, serving);
        let selected = !matches!(fit, Err(Bar::NoMatchingNodeSelector));
        if selected && !self.situation.membership.admits(&node.name) {
            return Err(Bar::NotAMember);
        }
        fit
    }

    /// The same, member or not.
    fn fit<T>(&self, node: &Node, serving: &Filter<T>) -> Result<i64, Bar>
    where
        T: Ord + Borrow<NodeName>,
    {
        let ignore_exclude_lb = self.situation.ignore_exclude_lb;
        if self.on(node).next().is_none() {
            Err(Bar::NoMatchingNodeSelector)
        } else if node.network_unavailable {
            Err(Bar::NetworkUnavailable)
        } else if node.labels.contains_key(EXCLUDE_FROM_LB) && !ignore_exclude_lb {
            Err(Bar::NodeExcluded)
        } else if node.out_of_service {
            // DEVIATION: MetalLB keeps a node that is declared to be out of service as a candidate.
            Err(Bar::NodeOutOfService)
        } else if self.situation.aside.drained.contains(&node.name) {
            Err(Bar::NodeDrained)
        } else if self.awaits().is_some() && node.name == *self.situation.local.node {
            Err(Bar::NodeStarting)
        } else if !serving.admits(&node.name) {
            Err(Bar::NoLocalEndpoint)
        } else {
            Ok(self.score(node))
        }
    }

    /// What this node waits for after its start.
    fn awaits(&self) -> Option<&'a str> {
        self.situation.aside.awaits.as_deref()
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
            Bar::NodeOutOfService => Reason::NodeOutOfService {
                taint: OUT_OF_SERVICE.to_owned(),
            },
            Bar::NodeDrained => Reason::NodeDrained,
            Bar::NodeStarting => Reason::NodeStarting {
                awaits: self.awaits().unwrap_or_default().to_owned(),
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

/// Why no advertisement reaches the addresses.
fn unreached(home: &Home, addresses: &[IpAddr]) -> Reason {
    let addresses = addresses.to_vec();
    match home {
        Home::Nowhere => Reason::NotInPool { addresses },
        Home::Pool(name) => Reason::NoAdvertisement { pool: name.clone() },
        Home::Uncertain(names) => Reason::PoolUnknown {
            addresses,
            rejected: names.clone(),
        },
    }
}
