//! The one decision: which node announces a Service, and why each other one doesn't
//! (`spec/metallb.md` §5.1, §5.2).
//!
//! [`decide`] reads facts only, so every speaker with the same facts and the same membership comes
//! to the same [`Decision`]; what just one node can know (its interfaces, the strangers it hears)
//! alters that node's own verdict and never the election. The verdicts of all nodes come out of
//! the same [`Decision`], rendered when asked for: the speaker asks for its own, `explain` for
//! every one.

use super::contest::Contest;
use super::{Announcement, Conflict, LinkState, Reason, Terms, Verdict};
use crate::advertise::home::{Grounds, Home, KnownGrounds, Last};
use crate::advertise::subject;
use crate::aside::Aside;
use crate::config::{ConflictPolicy, Filter, L2Advertisement};
use crate::election::Ranked;
use crate::facts::{Class, Facts, Labels, Service};
use crate::ip::Family;
use crate::membership::Membership;
use crate::names::{NodeName, ServiceKey};
use crate::ownership::{Claim, Ownership, Policy};
use crate::rejection::Kind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Kinds without whose first full list nothing is decided.
const NEEDED: [Kind; 6] = [
    Kind::Service,
    Kind::EndpointSlice,
    Kind::Node,
    Kind::Namespace,
    Kind::IPAddressPool,
    Kind::L2Advertisement,
];

/// Whether everything a decision rests on was listed in full once.
#[must_use]
pub fn ready(facts: &Facts) -> bool {
    NEEDED.iter().all(|kind| facts.listed.contains(kind))
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the sources said.
    pub facts: &'a Facts,
    /// Who is alive.
    pub membership: &'a Membership,
    /// Who has which address already.
    pub ownership: &'a Ownership,
    /// Who stands aside by its own word.
    pub aside: &'a Aside,
    /// The class served here.
    pub class: &'a Class,
    /// Whether nodes with the exclude label are candidates all the same (`--ignore-exclude-lb`).
    pub ignore_exclude_lb: bool,
    /// What only this node knows.
    pub local: Local<'a>,
}

/// What only this node knows.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// This node.
    pub node: &'a NodeName,
    /// Its interfaces, and what can be spoken on them now.
    pub links: &'a BTreeMap<String, LinkState>,
    /// The strangers it hears answering for its addresses.
    pub conflicts: &'a BTreeSet<Conflict>,
}

/// How an advertisement stands to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It is for the pool and selects the Service.
    Applies,
    /// It isn't for the pool.
    OtherPools,
    /// It is for the pool, but none of its service selectors matches.
    ServiceNotSelected,
}

/// The decision about one Service.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    situation: Situation<'a>,
    addresses: &'a [IpAddr],
    home: Home,
    reaching: Vec<&'a L2Advertisement>,
    grounds: Grounds,
    /// The contest, or the reason for which no node announces.
    contest: Result<Contest<'a>, Reason>,
}

/// Decides about a Service, which was decided about before on the grounds of `last`.
#[must_use]
pub fn decide<'a>(situation: Situation<'a>, key: &ServiceKey, last: Last<'_>) -> Decision<'a> {
    let nowhere = |reason| Decision {
        situation,
        addresses: &[],
        home: Home::Nowhere,
        reaching: Vec::new(),
        grounds: Grounds::Unknown,
        contest: Err(reason),
    };
    if !ready(situation.facts) {
        return nowhere(Reason::NotReady);
    }
    let Some(service) = situation.facts.services.get(key) else {
        return nowhere(Reason::NoSuchService);
    };
    match subject::addresses(situation.class, service) {
        Ok(addresses) => decide_allocated(situation, service, addresses, last),
        Err(unfit) => nowhere(unfit.into()),
    }
}

fn decide_allocated<'a>(
    situation: Situation<'a>,
    service: &'a Service,
    addresses: &'a [IpAddr],
    last: Last<'_>,
) -> Decision<'a> {
    let config = &situation.facts.config;
    let home = Home::of(config, &config.l2, service, addresses);
    let reaching = home.advertisements(config, &config.l2);
    let contest = Contest::hold(situation, service, addresses, &home, &reaching);
    let mut decision = Decision {
        situation,
        addresses,
        home,
        reaching,
        grounds: Grounds::Unknown,
        contest,
    };
    let remembered = match (&decision.home, last.known(addresses)) {
        (Home::Nowhere | Home::Uncertain(_), Some(known)) => known,
        (Home::Nowhere | Home::Pool(_) | Home::Uncertain(_), Some(_) | None) => {
            decision.grounds = decision.new_grounds();
            return decision;
        }
    };
    decision.grounds = last.grounds.clone();
    if decision.winner().is_none() {
        // The addresses lost their pool, by deletion or by a rejection: the advertisements that
        // were for it go on, on every node alike.
        let ads = config.l2.values();
        let reaching: Vec<_> = ads
            .filter(|ad| remembered.advertisements.contains(&ad.name))
            .collect();
        let home = &decision.home;
        if let Ok(contest) = Contest::hold(situation, service, addresses, home, &reaching)
            && contest.winner().is_some()
        {
            decision.contest = Ok(contest);
            decision.reaching = reaching;
        }
    }
    decision
}

impl<'a> Decision<'a> {
    /// The verdict of a node, known or not.
    #[must_use]
    pub fn verdict(&self, node: &NodeName) -> Verdict {
        if node == self.situation.local.node {
            return match self.local() {
                Err(reason) => Verdict::Withhold(reason),
                Ok(announcement) => self.unless_contested(announcement),
            };
        }
        match self.outcome(node) {
            Err(reason) => Verdict::Withhold(reason),
            Ok(announcement) => Verdict::Announce(announcement),
        }
    }

    /// What this node is to hold, silently or not; nothing if another node is to or none.
    pub(crate) fn held(&self) -> Option<Terms> {
        self.local().ok().map(|a| Terms::from(&a))
    }

    /// Nodes that gossip doesn't reach and that come before this one: it leaves the addresses to
    /// one of them that answers.
    #[must_use]
    pub fn rivals(&self) -> BTreeSet<NodeName> {
        let own = self.situation.local.node;
        let contest = self.contest.as_ref().ok();
        let won = contest.filter(|contest| contest.winner() == Some(own));
        won.map(|contest| contest.rivals(own)).unwrap_or_default()
    }

    fn outcome(&self, node: &NodeName) -> Result<Announcement, Reason> {
        match &self.contest {
            Ok(contest) => contest.outcome(node, self.addresses),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// The address that the election goes by; `None` if there was no contest.
    #[must_use]
    pub fn elected_by(&self) -> Option<IpAddr> {
        self.contest.as_ref().ok().map(Contest::first)
    }

    /// Whether there was a contest.
    ///
    /// # Errors
    ///
    /// The reason for which no node announces.
    pub fn is_held(&self) -> Result<(), Reason> {
        match &self.contest {
            Ok(_) => Ok(()),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// Whether a node may announce, whoever has won: the candidates may, and this node only on an
    /// interface.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn candidacy(&self, node: &NodeName) -> Result<(), Reason> {
        let contest = self.contest.as_ref().map_err(Clone::clone)?;
        let announcement = contest.candidacy(node, self.addresses)?;
        if node == self.situation.local.node {
            self.on_a_link(announcement)?;
        }
        Ok(())
    }

    /// The outcome for this node: it also has to have an interface.
    fn local(&self) -> Result<Announcement, Reason> {
        self.on_a_link(self.outcome(self.situation.local.node)?)
    }

    /// The same, if this node has an interface for it.
    fn on_a_link(&self, announcement: Announcement) -> Result<Announcement, Reason> {
        let links = self.situation.local.links;
        let usable = links.iter().any(|(name, link)| {
            let speaks = |ip: &IpAddr| link.speaks(Family::of(*ip));
            announcement.interfaces.admits(name) && self.addresses.iter().any(speaks)
        });
        if usable {
            return Ok(announcement);
        }
        Err(Reason::NoInterface {
            wanted: match announcement.interfaces {
                Filter::Any => BTreeSet::new(),
                Filter::Only(wanted) => wanted,
            },
        })
    }

    fn unless_contested(&self, mut announcement: Announcement) -> Verdict {
        let conflicts = self.conflicts();
        match (announcement.conflict, conflicts.first()) {
            (ConflictPolicy::Withhold, Some(first)) => {
                Verdict::Withhold(Reason::AddressConflict(first.clone()))
            }
            (
                ConflictPolicy::Report | ConflictPolicy::Withhold | ConflictPolicy::Defend,
                Some(_) | None,
            ) => {
                announcement.conflicts = conflicts;
                Verdict::Announce(announcement)
            }
        }
    }

    /// Every node that plays a part: Node objects, members, and this node.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<&'a NodeName> {
        let mut nodes: BTreeSet<_> = self.situation.facts.nodes.keys().collect();
        nodes.insert(self.situation.local.node);
        match self.situation.membership {
            Membership::Disabled => {}
            Membership::Members(alive) => nodes.extend(alive),
        }
        nodes
    }

    /// Whether a member is suspected; a candidate all the same.
    #[must_use]
    pub fn doubts(&self, node: &NodeName) -> bool {
        self.situation.ownership.doubted.contains(node)
    }

    /// Who won the election, if anyone stood.
    #[must_use]
    pub fn winner(&self) -> Option<&'a NodeName> {
        self.contest.as_ref().ok().and_then(Contest::winner)
    }

    /// The candidates in order of election.
    #[must_use]
    pub fn ranking(&self) -> &[Ranked<'a>] {
        self.contest.as_ref().map_or(&[], Contest::ranking)
    }

    /// The policy in force, and the claim it goes by; `None` if there was no contest.
    #[must_use]
    pub fn ownership(&self) -> Option<(Policy, Option<&'a Claim>)> {
        self.contest.as_ref().ok().map(Contest::ownership)
    }

    /// Addresses of the Service, in ingress order.
    #[must_use]
    pub fn addresses(&self) -> &'a [IpAddr] {
        self.addresses
    }

    /// Strangers heard by this node for one of the addresses.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let all = self.situation.local.conflicts.iter();
        all.filter(|c| self.addresses.contains(&c.ip))
            .cloned()
            .collect()
    }

    /// The pool the addresses belong to.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What the next decision may rest on.
    #[must_use]
    pub fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// How an advertisement stands to the Service.
    #[must_use]
    pub fn standing(&self, advertisement: &L2Advertisement, labels: &Labels) -> Standing {
        if !self.reaching.iter().any(|ad| ad.name == advertisement.name) {
            Standing::OtherPools
        } else if advertisement.services.matches(labels) {
            Standing::Applies
        } else {
            Standing::ServiceNotSelected
        }
    }

    fn new_grounds(&self) -> Grounds {
        match (&self.home, self.winner()) {
            (Home::Nowhere, _) | (Home::Uncertain(_), None) => Grounds::Unknown,
            (Home::Pool(_), _) | (Home::Uncertain(_), Some(_)) => Grounds::Known(KnownGrounds {
                advertisements: self.reaching.iter().map(|ad| ad.name.clone()).collect(),
            }),
        }
    }
}
