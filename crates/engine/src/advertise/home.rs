//! The pool a Service's addresses belong to, also when not every pool can be read, and what is
//! remembered of it (`spec/metallb.md` §5.1, §12 #28); the same for both protocols.
//!
//! Rejected is not deleted. What [`Home::of`] says comes from the facts alone, so a restarted
//! speaker says the same as one that ran on; [`Grounds`] are for the rest.

use crate::config::bgp::BgpAdvertisement;
use crate::config::{Config, Coverage, Filter, L2Advertisement};
use crate::facts::Service;
use crate::flat::FlatSet;
use crate::names::PoolName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a decision rested on when the addresses' pool was last known.
///
/// Kept by the speaker from one decision to the next, so that an address which loses its pool is
/// announced on until the controller takes it off the Service (§12 #28), and so that a rejection
/// never withdraws one.
// DEVIATION: MetalLB refuses the whole configuration meanwhile; only the address's grounds stay here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grounds {
    /// No pool was ever known to have the addresses.
    #[default]
    Unknown,
    /// A pool had them.
    Known(KnownGrounds),
}

/// What the decision before rested on.
#[derive(Clone, Copy, Debug)]
pub struct Last<'a> {
    /// The Service's addresses then; none if there was no decision.
    pub addresses: &'a [IpAddr],
    /// The grounds.
    pub grounds: &'a Grounds,
}

impl<'a> Last<'a> {
    /// What was known of `addresses`, if these were decided about and their pool was known.
    pub(super) fn known(self, addresses: &[IpAddr]) -> Option<&'a KnownGrounds> {
        match self.grounds {
            Grounds::Known(known) if self.addresses == addresses => Some(known),
            Grounds::Known(_) | Grounds::Unknown => None,
        }
    }
}

/// How a pool's addresses were advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGrounds {
    /// Names of the advertisements that were for the pool.
    pub(super) advertisements: FlatSet<String>,
}

/// An advertisement of either protocol, as far as pools go.
pub(super) trait ForPools {
    /// Its name.
    fn name(&self) -> &str;
    /// Pools it is for.
    fn pools(&self) -> &Filter<PoolName>;
    /// Whether it selects pools by label.
    fn by_label(&self) -> bool;
}

impl ForPools for L2Advertisement {
    fn name(&self) -> &str {
        &self.name
    }

    fn pools(&self) -> &Filter<PoolName> {
        &self.pools
    }

    fn by_label(&self) -> bool {
        self.by_label
    }
}

impl ForPools for BgpAdvertisement {
    fn name(&self) -> &str {
        &self.name
    }

    fn pools(&self) -> &Filter<PoolName> {
        &self.pools
    }

    fn by_label(&self) -> bool {
        self.by_label
    }
}

/// Advertisements by name.
pub(super) type Ads<A> = BTreeMap<String, A>;

/// The pool a Service's addresses belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Home {
    /// None, and every pool is known; or the Service has no address.
    Nowhere,
    /// This accepted pool.
    Pool(PoolName),
    /// No accepted one, but not every pool is accepted: perhaps one of these, perhaps one whose
    /// name is unknown.
    Uncertain(BTreeSet<PoolName>),
}

impl Home {
    /// The pool of `addresses`; `ads` are the advertisements of the protocol asked about.
    pub(super) fn of<A: ForPools>(
        config: &Config,
        ads: &Ads<A>,
        service: &Service,
        addresses: &[IpAddr],
    ) -> Self {
        let mut pools = config.pools.values();
        if let Some(pool) = pools.find(|p| addresses.iter().all(|&ip| p.contains(ip))) {
            return Self::Pool(pool.name.clone());
        }
        let rejected = match &config.coverage {
            Coverage::Complete => return Self::Nowhere,
            Coverage::Incomplete { rejected } => rejected,
        };
        match &service.allocated_from {
            Some(name) if rejected.contains_key(name) => Self::Uncertain([name.clone()].into()),
            // An accepted pool without the addresses has lost them; any other name may be that of
            // a pool hidden where the source can't be read, or renamed to one that is rejected.
            Some(name) if !config.pools.contains_key(name) => {
                let advertised = ads.values().any(|ad| ad.pools().admits(name));
                let others = rejected.keys().filter(|_| !advertised);
                Self::Uncertain(others.chain([name]).cloned().collect())
            }
            Some(_) | None => Self::Uncertain(rejected.keys().cloned().collect()),
        }
    }

    /// The advertisements that are for the pool, or for one it may be.
    pub(super) fn advertisements<'a, A: ForPools>(
        &self,
        config: &Config,
        ads: &'a Ads<A>,
    ) -> Vec<&'a A> {
        let reaches = |ad: &&A| match self {
            Self::Nowhere => false,
            Self::Pool(name) => ad.pools().admits(name),
            Self::Uncertain(names) => {
                *ad.pools() == Filter::Any || names.iter().any(|name| ad.pools().admits(name))
            }
        };
        let reaching: Vec<_> = ads.values().filter(reaches).collect();
        if reaching.is_empty() && self.may_have_any_label(config) {
            return selecting_by_label(config, ads);
        }
        reaching
    }

    /// Whether the pool may be one whose labels can't be read.
    fn may_have_any_label(&self, config: &Config) -> bool {
        let (Self::Uncertain(names), Coverage::Incomplete { rejected }) = (self, &config.coverage)
        else {
            return false;
        };
        let known = |name| rejected.get(name).is_some_and(|pool| pool.labels.is_some());
        names.is_empty() || !names.iter().all(known)
    }
}

/// The advertisements that may be for a pool whose labels can't be read: those that select none
/// of the pools that can be, or else all that select by label.
fn selecting_by_label<'a, A: ForPools>(config: &Config, ads: &'a Ads<A>) -> Vec<&'a A> {
    let by_label = || ads.values().filter(|ad| ad.by_label());
    let idle = |ad: &&A| !config.pools.keys().any(|name| ad.pools().admits(name));
    let idle: Vec<_> = by_label().filter(idle).collect();
    if idle.is_empty() {
        return by_label().collect();
    }
    idle
}

/// The names of advertisements, in their order.
pub(super) fn names<A: ForPools>(advertisements: &[&A]) -> Vec<String> {
    let name = |ad: &&A| ad.name().to_owned();
    advertisements.iter().map(name).collect()
}
