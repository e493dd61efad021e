//! The one decision: which nodes announce a Service over BGP, to which of their peers, and why not
//! to the others (`spec/metallb.md` §5.1, §6.1 to §6.3, in its order of checks).

use super::session::{Session, families, is_for};
use super::{Announcement, Attributes, Path, Reason, Verdict, offer};
use crate::advertise::home::{Grounds, Home, KnownGrounds, Last, names};
use crate::advertise::subject;
use crate::aside::Aside;
use crate::config::bgp::{BgpAdvertisement, share_peer};
use crate::config::peer::Peer;
use crate::facts::{Class, Endpoints, Facts, Labels, Node, Service, TrafficPolicy};
use crate::ip::Family;
use crate::names::{NodeName, ServiceKey};
use crate::rejection::Kind;
use corten_api::annotation::HoldDown;
use corten_api::names::{EXCLUDE_FROM_LB, OUT_OF_SERVICE};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Kinds without whose first full list nothing is decided. Secrets are not among them: a peer
/// whose password is awaited says so, and the others needn't wait for it.
const NEEDED: [Kind; 9] = [
    Kind::Service,
    Kind::EndpointSlice,
    Kind::Node,
    Kind::Namespace,
    Kind::IPAddressPool,
    Kind::BGPAdvertisement,
    Kind::BGPPeer,
    Kind::BFDProfile,
    Kind::Community,
];

/// Whether everything a decision rests on was listed in full once.
#[must_use]
pub fn ready(facts: &Facts) -> bool {
    facts.is_listed(&NEEDED)
}

/// What a decision is made from. Membership is no part of it: a node whose sessions are up is
/// reachable whatever the others think of it (§6.3).
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the sources said.
    pub facts: &'a Facts,
    /// This node.
    pub node: &'a NodeName,
    /// Who stands aside by its own word.
    pub aside: &'a Aside,
    /// The class served here.
    pub class: &'a Class,
    /// Whether nodes with the exclude label announce all the same (`--ignore-exclude-lb`).
    pub ignore_exclude_lb: bool,
    /// Whether the Service lost its last endpoint on this node not long ago, so that an advertisement
    /// may hold it down.
    pub fallen: bool,
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
    reaching: Vec<&'a BgpAdvertisement>,
    grounds: Grounds,
    /// The Service, or the reason for which no node announces.
    subject: Result<&'a Service, Reason>,
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
        subject: Err(reason),
    };
    if !ready(situation.facts) {
        return nowhere(Reason::NotReady);
    }
    let Some(service) = situation.facts.services.get(key) else {
        return nowhere(Reason::NoSuchService);
    };
    let service: &Service = service;
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
    let ads = &config.bgp.advertisements;
    let home = Home::of(config, ads, service, addresses);
    let reaching = home.advertisements(config, ads);
    let mut decision = Decision {
        situation,
        addresses,
        home,
        reaching,
        grounds: Grounds::Unknown,
        subject: Ok(service),
    };
    let remembered = match (&decision.home, last.known(addresses)) {
        (Home::Nowhere | Home::Uncertain(_), Some(known)) => known,
        (Home::Nowhere | Home::Pool(_) | Home::Uncertain(_), Some(_) | None) => {
            decision.grounds = decision.new_grounds();
            return decision;
        }
    };
    decision.grounds = last.grounds.clone();
    if decision.outcome(situation.node).is_err() {
        // The addresses lost their pool, by deletion or by a rejection: the advertisements that
        // were for it go on.
        let known = |ad: &&BgpAdvertisement| remembered.advertisements.contains(&ad.name);
        let remembered = Decision {
            reaching: ads.values().filter(known).collect(),
            ..decision.clone()
        };
        if remembered.outcome(situation.node).is_ok() {
            return remembered;
        }
    }
    decision
}

impl<'a> Decision<'a> {
    /// The verdict of a node, known or not.
    #[must_use]
    pub fn verdict(&self, node: &NodeName) -> Verdict {
        match self.outcome(node) {
            Ok(announcement) => Verdict::Announce(announcement),
            Err(reason) => Verdict::Withhold(reason),
        }
    }

    /// What a node tells each BGPPeer there is of each prefix it has to announce; nothing if it
    /// has none.
    #[must_use]
    pub fn told(&self, node: &NodeName) -> Vec<Told<'a>> {
        let Ok(paths) = self.paths(node) else {
            return Vec::new();
        };
        let prefixes: BTreeSet<_> = paths.iter().map(|path| path.prefix).collect();
        let peers = self.situation.facts.config.bgp.peers.values();
        let told = peers.flat_map(|peer| {
            let told = prefixes.iter().map(|prefix| Told {
                peer: &peer.name,
                prefix: *prefix,
                outcome: self.tell(peer, node, paths.iter().filter(|p| p.prefix == *prefix)),
            });
            told.collect::<Vec<_>>()
        });
        told.collect()
    }

    /// What `node` tells `peer` of paths of one prefix.
    fn tell<'p>(
        &self,
        peer: &Peer,
        node: &NodeName,
        paths: impl Iterator<Item = &'p Path>,
    ) -> Result<Attributes, Reason> {
        if !is_for(peer, self.labels(node)) {
            return Err(Reason::PeerOfOtherNodes);
        }
        if let Some(held) = self.situation.facts.frr.holds(peer, self.labels(node)) {
            return Err(held.into());
        }
        let ads = &self.situation.facts.config.bgp.advertisements;
        let admits = |ad: &str| ads.get(ad).is_some_and(|ad| ad.peers.admits(&peer.name));
        offer(families(peer), admits, paths)
    }

    fn labels(&self, node: &NodeName) -> Option<&'a Labels> {
        let node = self.situation.facts.nodes.get(node);
        node.map(|node| &node.labels)
    }

    fn outcome(&self, node: &NodeName) -> Result<Announcement, Reason> {
        let paths = self.paths(node)?;
        let peers = || {
            let peers = self.situation.facts.config.bgp.peers.values();
            peers.filter(|peer| is_for(peer, self.labels(node)))
        };
        let mut told = BTreeSet::new();
        // DEVIATION: a node none of whose peers hears of the Service doesn't announce it; MetalLB says it does.
        let mut deaf = Reason::NoPeer;
        for path in &paths {
            match listener(peers(), |peer| self.tell(peer, node, [path].into_iter())) {
                Ok(()) => drop(told.insert(path.prefix)),
                Err(Reason::NoPeer) => {}
                Err(reason) => deaf = reason,
            }
        }
        if told.is_empty() {
            return Err(deaf);
        }
        let heard = |ip: &&IpAddr| told.iter().any(|prefix| prefix.contains(*ip));
        Ok(Announcement {
            addresses: self.addresses.iter().filter(heard).copied().collect(),
            paths,
        })
    }

    /// What a node has to announce, whoever listens.
    fn paths(&self, node: &NodeName) -> Result<Vec<Path>, Reason> {
        let Situation {
            facts,
            ignore_exclude_lb,
            ..
        } = self.situation;
        let service = self.subject.clone()?;
        if self.reaching.is_empty() {
            return Err(self.unreached());
        }
        let Some(object) = facts.nodes.get(node) else {
            return Err(Reason::UnknownNode { node: node.clone() });
        };
        let applying = applying(&self.reaching, object, service)?;
        if let Some(reason) = self.conflict(&applying) {
            return Err(reason);
        }
        if object.network_unavailable {
            return Err(Reason::NetworkUnavailable);
        }
        if object.labels.contains_key(EXCLUDE_FROM_LB) && !ignore_exclude_lb {
            return Err(Reason::NodeExcluded {
                label: EXCLUDE_FROM_LB.to_owned(),
            });
        }
        if object.out_of_service {
            return Err(Reason::NodeOutOfService {
                taint: OUT_OF_SERVICE.to_owned(),
            });
        }
        self.stands_by(node)?;
        self.served(service, node)?;
        let fallen = self.situation.fallen && node == self.situation.node;
        if let Some(held) = hold_down(&applying).filter(|_| fallen) {
            return Err(held.into());
        }
        let each = |ip: &IpAddr| {
            let ip = *ip;
            applying.iter().filter_map(move |ad| Path::of(ad, ip))
        };
        Ok(self.addresses.iter().flat_map(each).collect())
    }

    /// Whether a node stands aside by its own word.
    fn stands_by(&self, node: &NodeName) -> Result<(), Reason> {
        let Situation {
            aside, node: own, ..
        } = self.situation;
        if aside.drained.contains(node) {
            return Err(Reason::NodeDrained);
        }
        match &aside.awaits {
            Some(awaits) if node == own => Err(Reason::NodeStarting {
                awaits: awaits.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Why no advertisement reaches the addresses.
    fn unreached(&self) -> Reason {
        let addresses = self.addresses.to_vec();
        match &self.home {
            Home::Nowhere => Reason::NotInPool { addresses },
            Home::Pool(name) => Reason::NoAdvertisement { pool: name.clone() },
            Home::Uncertain(names) => Reason::PoolUnknown {
                addresses,
                rejected: names.clone(),
            },
        }
    }

    /// The rule of §2.4 for advertisements of one Service on one node: different LOCAL_PREFs for
    /// the same prefixes and a peer that would be told both.
    fn conflict(&self, applying: &[&BgpAdvertisement]) -> Option<Reason> {
        let families = self.families();
        let same_prefix = |one: &BgpAdvertisement, two: &BgpAdvertisement| {
            let mut families = families.iter();
            families.any(|family| one.aggregation(*family) == two.aggregation(*family))
        };
        let pairs = applying.iter().enumerate().flat_map(|(i, one)| {
            let later = applying.iter().skip(i + 1);
            later.map(move |two| (*one, *two))
        });
        let mut conflicts = pairs.filter(|(one, two)| {
            one.local_pref != two.local_pref
                && same_prefix(one, two)
                && share_peer(&one.peers, &two.peers)
        });
        conflicts
            .next()
            .map(|(one, two)| Reason::ConflictingAdvertisements {
                one: one.name.clone(),
                local_pref: one.local_pref,
                two: two.name.clone(),
                other_local_pref: two.local_pref,
            })
    }

    /// The families of the pool, or of the addresses while the pool isn't known.
    fn families(&self) -> Vec<Family> {
        let pool = match &self.home {
            Home::Pool(name) => self.situation.facts.config.pools.get(name),
            Home::Nowhere | Home::Uncertain(_) => None,
        };
        let has = |family: &Family| match pool {
            Some(pool) => pool.has_family(*family),
            None => self.addresses.iter().any(|ip| Family::of(*ip) == *family),
        };
        [Family::V4, Family::V6].into_iter().filter(has).collect()
    }

    /// Whether `node` can take traffic for the Service. Services that share an address don't
    /// matter to each other.
    fn served(&self, service: &Service, node: &NodeName) -> Result<(), Reason> {
        let endpoints = self.situation.facts.endpoints.get(&service.key);
        let endpoints = endpoints.into_iter().flat_map(Endpoints::iter);
        let mut serving = endpoints.filter(|e| e.serving && e.has_address);
        match service.traffic_policy {
            TrafficPolicy::Local if !serving.any(|e| e.node.as_ref() == Some(node)) => {
                Err(Reason::NoLocalEndpoint)
            }
            TrafficPolicy::Cluster if serving.next().is_none() => Err(Reason::NoServingEndpoint),
            TrafficPolicy::Local | TrafficPolicy::Cluster => Ok(()),
        }
    }

    /// For how long this node holds the Service down if it has just lost its last endpoint.
    pub(crate) fn hold_down(&self) -> Option<Duration> {
        let object = self.situation.facts.nodes.get(self.situation.node)?;
        let service = self.subject.as_ref().ok()?;
        let applying = applying(&self.reaching, object, service).ok()?;
        hold_down(&applying).map(|held| held.time)
    }

    /// Every node that plays a part: Node objects, and this node.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<&'a NodeName> {
        let nodes = self.situation.facts.nodes.keys();
        nodes.chain([self.situation.node]).collect()
    }

    /// Addresses of the Service, in ingress order.
    #[must_use]
    pub fn addresses(&self) -> &'a [IpAddr] {
        self.addresses
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
    pub fn standing(&self, advertisement: &BgpAdvertisement, labels: &Labels) -> Standing {
        let named = |ad: &&BgpAdvertisement| ad.name == advertisement.name;
        if !self.reaching.iter().any(named) {
            Standing::OtherPools
        } else if advertisement.services.matches(labels) {
            Standing::Applies
        } else {
            Standing::ServiceNotSelected
        }
    }

    fn new_grounds(&self) -> Grounds {
        let known = match &self.home {
            Home::Nowhere => false,
            Home::Pool(_) => true,
            Home::Uncertain(_) => self.outcome(self.situation.node).is_ok(),
        };
        if !known {
            return Grounds::Unknown;
        }
        Grounds::Known(KnownGrounds {
            advertisements: self.reaching.iter().map(|ad| ad.name.clone()).collect(),
        })
    }
}

/// The advertisements of `reaching` that are for the node and select the Service.
fn applying<'a>(
    reaching: &[&'a BgpAdvertisement],
    node: &Node,
    service: &Service,
) -> Result<Vec<&'a BgpAdvertisement>, Reason> {
    let here = reaching.iter().filter(|ad| ad.nodes.matches(&node.labels));
    let here: Vec<_> = here.copied().collect();
    if here.is_empty() {
        return Err(Reason::NoMatchingNodeSelector {
            advertisements: names(reaching),
        });
    }
    let applying = here
        .iter()
        .filter(|ad| ad.services.matches(&service.labels));
    let applying: Vec<_> = applying.copied().collect();
    if applying.is_empty() {
        return Err(Reason::NoMatchingServiceSelector {
            advertisements: names(&here),
        });
    }
    Ok(applying)
}

/// The longest hold-down of advertisements.
struct HeldDown<'a> {
    advertisement: &'a str,
    time: Duration,
}

impl From<HeldDown<'_>> for Reason {
    fn from(held: HeldDown<'_>) -> Self {
        Self::HeldDown {
            advertisement: held.advertisement.to_owned(),
            milliseconds: u64::try_from(held.time.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn hold_down<'a>(applying: &[&'a BgpAdvertisement]) -> Option<HeldDown<'a>> {
    let held = applying.iter().filter_map(|ad| match ad.hold_down {
        HoldDown::Off => None,
        HoldDown::For(time) => Some(HeldDown {
            advertisement: &ad.name,
            time,
        }),
    });
    held.max_by_key(|held| held.time)
}

/// Whether one of `peers` is told.
///
/// # Errors
/// Why the last one isn't.
fn listener<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    tell: impl Fn(&Peer) -> Result<Attributes, Reason>,
) -> Result<(), Reason> {
    let mut deaf = Reason::NoPeer;
    for peer in peers {
        match tell(peer) {
            Ok(_) => return Ok(()),
            Err(reason) => deaf = reason,
        }
    }
    Err(deaf)
}

/// What a peer is told of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// The BGPPeer.
    pub peer: &'a str,
    /// The prefix.
    pub prefix: IpNet,
    /// The attributes it is told with, or why it isn't.
    pub outcome: Result<Attributes, Reason>,
}

/// The sessions of `node`, by peer.
pub(crate) fn sessions(facts: &Facts, node: &NodeName) -> BTreeMap<String, Session> {
    let labels = facts.nodes.get(node).map(|node| &node.labels);
    let peers = facts.config.bgp.peers.values();
    let peers = peers.filter(|peer| is_for(peer, labels));
    peers
        .map(|peer| {
            let session = Session {
                held: facts.frr.holds(peer, labels),
                ..Session::of(peer, node)
            };
            (peer.name.clone(), session)
        })
        .collect()
}
