//! Where this node stands among the members: whom it joins, when what it knows of them may be
//! relied on, and how it leaves.

use crate::joining::{Found, Joiner};
use crate::tenure::Tenure;
use corten_wire::gossip::{Fleet, Gossip, Member, MemberState};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long leaving may take (`spec/metallb.md` §5.6).
const LEAVE: Duration = Duration::from_secs(1);

/// Who claims which address, and in which epoch.
pub type Claims = BTreeMap<IpAddr, (u64, BTreeSet<String>)>;

/// What the machine says, until it says otherwise.
#[derive(Clone, Debug)]
struct Known {
    names: Arc<BTreeSet<String>>,
    doubted: Arc<BTreeSet<String>>,
    left: Arc<BTreeSet<String>>,
    claims: Arc<Claims>,
    fleet: Fleet,
}

/// What those who decide need to know: latest wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Others may be there and weren't asked yet: nothing may rest on membership.
    Unsettled,
    /// The members.
    Members(View),
    /// This node has left; the members without it.
    Left(View),
}

impl Seen {
    /// What is known of the members; `None` while nothing may rest on it.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        match self {
            Self::Unsettled => None,
            Self::Members(view) | Self::Left(view) => Some(view),
        }
    }
}

/// What the members are, as far as gossip tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Their names.
    pub names: Arc<BTreeSet<String>>,
    /// Those of them that are suspected.
    pub doubted: Arc<BTreeSet<String>>,
    /// Those that said not long ago that they leave.
    pub left: Arc<BTreeSet<String>>,
    /// Who claims which address, and in which epoch.
    pub claims: Arc<Claims>,
    /// Whether claims may count.
    pub fleet: Fleet,
    /// The term of the lease in which that was found.
    pub term: u64,
}

/// A node among the members.
#[derive(Debug)]
pub struct Standing {
    joiner: Joiner,
    tenure: Tenure,
    /// The term of the lease, and the one in which membership was last to be relied on.
    term: u64,
    settled: u64,
    /// When leaving ends at the latest, once it began.
    leaving: Option<Instant>,
    left: bool,
    /// What the layer-2 machine said of who contests addresses.
    contested: BTreeMap<String, u64>,
    /// What the machine said when its generation was this.
    said: Option<(u64, Known)>,
}

impl Standing {
    /// A node that starts at `now`, in this term of its lease.
    #[must_use]
    pub fn new(own: SocketAddr, term: u64, now: Instant) -> Self {
        Self {
            joiner: Joiner::new(own, now),
            tenure: Tenure::default(),
            term,
            settled: 0,
            leaving: None,
            left: false,
            contested: BTreeMap::new(),
            said: None,
        }
    }

    /// When [`Self::due`] is to be called next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        match self.leaving {
            // One who leaves joins nobody any more.
            Some(until) => Some(until).filter(|_| !self.left),
            None => [self.joiner.next(), self.tenure.next()]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// This node answers for these addresses, and claims those that it does for a moment.
    pub fn answers(&mut self, answered: &BTreeSet<IpAddr>, now: Instant) {
        self.tenure.answers(answered, now);
    }

    /// Who was heard to answer for addresses of this node's although gossip is said to reach it, and
    /// how often: whoever was again is probed now.
    pub fn contested(
        &mut self,
        contested: &BTreeMap<String, u64>,
        machine: &mut Gossip,
        now: Instant,
    ) {
        let again = |e: &(&String, &u64)| self.contested.get(e.0) != Some(e.1);
        for (node, _) in contested.iter().filter(again) {
            machine.check(node, now);
        }
        if self.contested != *contested {
            self.contested.clone_from(contested);
        }
    }

    /// Discovery looked.
    pub fn found(&mut self, found: Found, now: Instant) {
        self.joiner.found(found, now);
    }

    /// States were exchanged with this address.
    pub fn exchanged(&mut self, with: SocketAddr) {
        self.joiner.exchanged(with);
    }

    /// They weren't; whether that is news.
    pub fn not_exchanged(&mut self, with: SocketAddr) -> bool {
        self.joiner.failed(with)
    }

    /// The lease was renewed and is in this term; whether there was a gap, after which the
    /// members have to be asked what happened.
    pub fn renewed(&mut self, term: u64, now: Instant) -> bool {
        let gap = std::mem::replace(&mut self.term, term) != term;
        if gap {
            self.joiner.again(now);
        }
        gap
    }

    /// Begins to leave.
    pub fn leave(&mut self, machine: &mut Gossip, now: Instant) {
        self.leaving = Some(now + LEAVE);
        machine.leave(now);
    }

    /// The others have been told that this node leaves.
    pub fn left(&mut self) {
        self.left = true;
    }

    /// Whether this node leaves or has left.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Does what is due; calling early does no harm.
    pub fn due(&mut self, machine: &mut Gossip, now: Instant) {
        if self.leaving.is_some_and(|at| at <= now) {
            self.left = true;
        }
        if let Some(held) = self.tenure.due(now) {
            machine.hold(held, now);
        }
        if self.leaving.is_some() || self.joiner.next().is_none_or(|at| at > now) {
            return;
        }
        if self.joiner.asks_again(now) {
            machine.rejoin(now);
        }
        let present = machine.members().filter(|m| m.state.is_present());
        let present = present.map(Member::address).collect();
        for address in self.joiner.due(&present, now) {
            machine.join(address, now);
        }
    }

    /// What those who decide need to know now.
    pub fn see(&mut self, machine: &Gossip) -> Seen {
        let Known {
            names,
            doubted,
            left,
            claims,
            fleet,
        } = self.known(machine);
        let exchanged = machine.counters().exchanges > 0;
        let settled = self.joiner.is_settled(exchanged, names.len() > 1);
        if settled && self.leaving.is_none() {
            self.settled = self.term;
        }
        let view = View {
            names,
            doubted,
            left,
            claims,
            fleet,
            term: self.settled,
        };
        if self.left {
            Seen::Left(view)
        } else if self.leaving.is_some() || settled {
            Seen::Members(view)
        } else {
            Seen::Unsettled
        }
    }

    fn known(&mut self, machine: &Gossip) -> Known {
        let generation = machine.generation();
        if let Some((of, known)) = &self.said
            && *of == generation
        {
            return known.clone();
        }
        let present = machine.members().filter(|m| m.state.is_present());
        let names = present.map(|m| m.alive.node.clone()).collect();
        let of = |state| {
            let members = machine.members().filter(move |m| m.state == state);
            Arc::new(members.map(|m| m.alive.node.clone()).collect())
        };
        let claims = machine.claims().map(|(ip, epoch, nodes)| {
            let nodes = nodes.into_iter().map(ToOwned::to_owned).collect();
            (ip, (epoch, nodes))
        });
        let known = Known {
            names: Arc::new(names),
            doubted: of(MemberState::Suspect),
            left: of(MemberState::Left),
            claims: Arc::new(claims.collect()),
            fleet: machine.fleet(),
        };
        self.said = Some((generation, known.clone()));
        known
    }
}
