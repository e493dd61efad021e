//! The pool a Service's addresses belong to, also when not every pool can be read, and what is
//! remembered of it (`spec/metallb.md` §5.1, §12 #28).
//!
//! Rejected is not deleted. What [`Home::of`] says comes from the facts alone, so a restarted
//! speaker says the same as one that ran on; [`Grounds`] are for the rest.

use super::Reason;
use crate::config::{Config, Coverage, Filter, L2Advertisement};
use crate::facts::Service;
use crate::flat::FlatSet;
use crate::names::PoolName;
use serde::Serialize;
use std::collections::BTreeSet;
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

/// How a pool's addresses were advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGrounds {
    /// Names of the advertisements that were for the pool.
    pub(super) advertisements: FlatSet<String>,
}

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
    pub(super) fn of(config: &Config, service: &Service, addresses: &[IpAddr]) -> Self {
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
                let advertised = config.l2.values().any(|ad| ad.pools.admits(name));
                let others = rejected.keys().filter(|_| !advertised);
                Self::Uncertain(others.chain([name]).cloned().collect())
            }
            Some(_) | None => Self::Uncertain(rejected.keys().cloned().collect()),
        }
    }

    /// The advertisements that are for the pool, or for one it may be.
    pub(super) fn advertisements<'a>(&self, config: &'a Config) -> Vec<&'a L2Advertisement> {
        let reaches = |ad: &&L2Advertisement| match self {
            Self::Nowhere => false,
            Self::Pool(name) => ad.pools.admits(name),
            Self::Uncertain(names) => {
                ad.pools == Filter::Any || names.iter().any(|name| ad.pools.admits(name))
            }
        };
        let reaching: Vec<_> = config.l2.values().filter(reaches).collect();
        if reaching.is_empty() && self.may_have_any_label(config) {
            return selecting_by_label(config);
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

    /// Why no advertisement reaches the addresses.
    pub(super) fn unreached(&self, addresses: &[IpAddr]) -> Reason {
        let addresses = addresses.to_vec();
        match self {
            Self::Nowhere => Reason::NotInPool { addresses },
            Self::Pool(name) => Reason::NoAdvertisement { pool: name.clone() },
            Self::Uncertain(names) => Reason::PoolUnknown {
                addresses,
                rejected: names.clone(),
            },
        }
    }
}

/// The advertisements that may be for a pool whose labels can't be read: those that select none
/// of the pools that can be, or else all that select by label.
fn selecting_by_label(config: &Config) -> Vec<&L2Advertisement> {
    let by_label = || config.l2.values().filter(|ad| ad.by_label);
    let idle = |ad: &&L2Advertisement| !config.pools.keys().any(|name| ad.pools.admits(name));
    let idle: Vec<_> = by_label().filter(idle).collect();
    if idle.is_empty() {
        return by_label().collect();
    }
    idle
}
