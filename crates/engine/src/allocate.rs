//! Which Service has which addresses (`spec/metallb.md` §3.3, §4.4 to §4.8).
//!
//! One map is the truth, Services and what they hold; who uses an address, what is free and what
//! can be shared are indexes derived from it. Nothing here scans addresses or Services: every
//! search and change is logarithmic in what is in use, linear only in the number of pools.
//!
//! Invariants: no two Services hold an address without sharing it legally; a reservation on
//! record for a Service the source can't see is given to nobody else; an allocation lies in one
//! accepted pool ([`Home::Pool`]) or is kept while it isn't known whether a pool has it
//! ([`Home::Kept`]).

mod choose;
mod claim;
mod pool;
mod refusal;
mod slot;
mod spans;

pub use choose::Choice;
pub use claim::{Claim, SharingKey, Tenure};
pub use pool::{Count, PoolCounters};
pub use refusal::{Refusal, list};

use crate::config;
use crate::facts::Labels;
use crate::flat;
use crate::ip::Family;
use crate::names::{PoolName, ServiceKey};
use claim::Usage;
use pool::Stock;
use spans::Position;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a Service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Where the addresses come from.
    pub home: Home,
    /// The addresses in ingress order.
    pub addresses: Vec<IpAddr>,
    /// What is claimed on each of them.
    pub claim: Claim,
}

/// Where the addresses of an allocation come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// This pool, which has all of them.
    Pool(PoolName),
    /// No accepted pool as far as is known; the pool last on record.
    Kept(Option<PoolName>),
    /// As `Kept`, but others have one of the addresses and don't share it: they are only kept
    /// from being given to anyone else.
    Disputed(Option<PoolName>),
}

/// Families a Service wants addresses of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One.
    Single(Family),
    /// Both.
    Both,
    /// Both, or one if no pool has both, this one first.
    BothOr(Family),
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The Service.
    pub service: &'a ServiceKey,
    /// Its labels; pools select Services by label.
    pub labels: &'a Labels,
    /// What it claims on each address.
    pub claim: &'a Claim,
    /// Families of the addresses.
    pub wanted: Wanted,
}

/// The place of a CIDR: its last address, its pool and its index in it.
#[derive(Clone, Debug)]
struct Place {
    last: IpAddr,
    pool: PoolName,
    slot: usize,
}

/// Every Service's allocation, and the pools they come from.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    /// The truth.
    allocations: BTreeMap<ServiceKey, Box<Allocation>>,
    /// Addresses on record for Services the source can't see.
    reserved: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Derived: who uses an address.
    usage: BTreeMap<IpAddr, Box<Usage>>,
    /// Derived: pools and their stock.
    stocks: BTreeMap<PoolName, Stock>,
    /// Derived: CIDRs by first address.
    places: BTreeMap<IpAddr, Place>,
    /// Derived: pools used unasked, in order of preference (`spec/metallb.md` §4.4).
    order: choose::Order,
    /// Pools whose counters may have changed since they were last asked for.
    touched: BTreeSet<PoolName>,
    /// Counts changes that may let a waiting Service in.
    openings: u64,
}

impl Allocator {
    /// What a Service has.
    #[must_use]
    pub fn get(&self, service: &ServiceKey) -> Option<&Allocation> {
        self.allocations
            .get(service)
            .map(|allocation| &**allocation)
    }

    /// Every allocation.
    pub fn allocations(&self) -> impl Iterator<Item = (&ServiceKey, &Allocation)> {
        self.allocations.iter().map(|(key, a)| (key, &**a))
    }

    /// Whether there are no pools.
    #[must_use]
    pub fn has_no_pools(&self) -> bool {
        self.stocks.is_empty()
    }

    /// Whether one accepted pool has all these addresses (`avoidBuggyIPs` not considered).
    #[must_use]
    pub fn in_one_pool(&self, addresses: &[IpAddr]) -> bool {
        self.common_pool(addresses).is_some()
    }

    /// Counters of every pool.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<PoolName, PoolCounters> {
        let pools = self.stocks.iter();
        pools.map(|(name, s)| (name.clone(), s.counters)).collect()
    }

    /// Pools whose counters may have changed since the last call, with their counters.
    pub fn take_touched(&mut self) -> Vec<(PoolName, PoolCounters)> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        touched
            .filter_map(|name| {
                let counters = self.stocks.get(&name)?.counters;
                Some((name, counters))
            })
            .collect()
    }

    /// A number that grows with every change that may let a waiting Service in: an address is
    /// given back, or someone on it claims something else.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.openings
    }

    /// Replaces the pools. Each allocation moves to the pool that has all its addresses, or is
    /// kept without one (`spec/metallb.md` §4.7); the controller says what becomes of it. False
    /// if these are the pools it has.
    pub fn set_pools(&mut self, pools: &BTreeMap<PoolName, config::Pool>) -> bool {
        if self.stocks.values().map(|s| &s.pool).eq(pools.values()) {
            return false;
        }
        self.stocks = pools
            .iter()
            .map(|(name, pool)| (name.clone(), Stock::new(pool)))
            .collect();
        self.order = choose::Order::of(pools.values());
        self.places = pools.values().flat_map(places).collect();
        self.touched = pools.keys().cloned().collect();
        self.openings += 1;
        for (ip, usage) in &self.usage {
            if let Some((stock, at)) = locate(&self.places, &mut self.stocks, *ip) {
                stock.take(at, Family::of(*ip));
                if let Some(ports) = usage.open_ports() {
                    stock.open(at, Family::of(*ip), &usage.sharing, ports);
                }
            }
        }
        let mut allocations = std::mem::take(&mut self.allocations);
        for allocation in allocations.values_mut() {
            allocation.home = match (self.common_pool(&allocation.addresses), &allocation.home) {
                (_, Home::Disputed(pool)) => Home::Disputed(pool.clone()),
                (Some(pool), Home::Pool(_) | Home::Kept(_)) => Home::Pool(pool.clone()),
                (None, Home::Pool(pool)) => Home::Kept(Some(pool.clone())),
                (None, Home::Kept(pool)) => Home::Kept(pool.clone()),
            };
        }
        self.allocations = allocations;
        true
    }

    /// Replaces the reservations. One that overlaps an allocation moves nobody.
    pub fn set_reserved(&mut self, reserved: &BTreeMap<ServiceKey, Vec<IpAddr>>) {
        for (service, addresses) in std::mem::take(&mut self.reserved) {
            for ip in addresses {
                self.change_usage(ip, |usage| {
                    usage.reserved.remove(&service);
                });
            }
        }
        for (service, addresses) in reserved {
            for ip in addresses {
                self.change_usage(*ip, |usage| {
                    usage.reserved.insert(service.clone());
                });
            }
        }
        self.reserved.clone_from(reserved);
        self.openings += 1;
    }

    /// Gives a Service exactly these addresses in place of what it has.
    ///
    /// # Errors
    /// Any [`Refusal`] about the addresses; the Service then has what it had.
    pub fn assign(
        &mut self,
        request: Request<'_>,
        addresses: &[IpAddr],
        tenure: Tenure,
    ) -> Result<PoolName, Refusal> {
        let pool = self.check(request, addresses, tenure)?;
        self.put(request, addresses, Home::Pool(pool.clone()));
        Ok(pool)
    }

    /// Lets a Service keep addresses that may belong to a pool nobody can read now.
    ///
    /// # Errors
    /// Others have one of the addresses and don't share it; the Service then has what it had.
    pub fn keep(
        &mut self,
        request: Request<'_>,
        addresses: &[IpAddr],
        last: Option<&PoolName>,
    ) -> Result<(), Refusal> {
        self.check_users(request, addresses, Tenure::Held)?;
        self.put(request, addresses, Home::Kept(last.cloned()));
        Ok(())
    }

    /// Keeps addresses of a Service, which others have too, from being given to anyone else.
    pub fn dispute(&mut self, request: Request<'_>, addresses: &[IpAddr], last: Option<&PoolName>) {
        self.put(request, addresses, Home::Disputed(last.cloned()));
    }

    /// Whether a Service could have exactly these addresses, and from which pool.
    ///
    /// # Errors
    /// Any [`Refusal`] about the addresses.
    pub fn check(
        &self,
        request: Request<'_>,
        addresses: &[IpAddr],
        tenure: Tenure,
    ) -> Result<PoolName, Refusal> {
        let Some(pool) = self.common_pool(addresses) else {
            return Err(Refusal::NotInOnePool {
                addresses: addresses.to_vec(),
            });
        };
        let admitted = |stock: &Stock| stock.is_for(request.service.namespace(), request.labels);
        if !self.stocks.get(pool).is_some_and(admitted) {
            return Err(Refusal::PoolNotForService { pool: pool.clone() });
        }
        let kept_back = |ip: &&IpAddr| self.position(**ip).is_none();
        if let Some(ip) = addresses.iter().find(kept_back) {
            return Err(Refusal::KeptBack {
                address: *ip,
                pool: pool.clone(),
            });
        }
        self.check_users(request, addresses, tenure)?;
        Ok(pool.clone())
    }

    /// Takes everything from a Service; what it had.
    pub fn release(&mut self, service: &ServiceKey) -> Option<Allocation> {
        let old = self.remove(service)?;
        self.openings += 1;
        Some(old)
    }

    fn check_users(
        &self,
        request: Request<'_>,
        addresses: &[IpAddr],
        tenure: Tenure,
    ) -> Result<(), Refusal> {
        addresses
            .iter()
            .try_for_each(|ip| match self.usage.get(ip) {
                Some(usage) => usage.check(*ip, request.service, request.claim, tenure),
                None => Ok(()),
            })
    }

    /// Replaces what a Service has.
    fn put(&mut self, request: Request<'_>, addresses: &[IpAddr], home: Home) {
        let new = Allocation {
            home,
            addresses: addresses.to_vec(),
            claim: request.claim.clone(),
        };
        if self.get(request.service) == Some(&new) {
            return;
        }
        if let Some(old) = self.remove(request.service)
            && (old.claim != new.claim || !old.addresses.iter().all(|a| addresses.contains(a)))
        {
            self.openings += 1;
        }
        let disputed = matches!(new.home, Home::Disputed(_));
        for ip in addresses {
            self.change_usage(*ip, |usage| {
                if disputed {
                    usage.reserved.insert(request.service.clone());
                } else {
                    usage.join(request.service, request.claim);
                }
            });
        }
        self.allocations
            .insert(request.service.clone(), Box::new(new));
    }

    fn remove(&mut self, service: &ServiceKey) -> Option<Allocation> {
        let old = *self.allocations.remove(service)?;
        let disputed = matches!(old.home, Home::Disputed(_));
        let on_record = self.reserved.get(service).cloned().unwrap_or_default();
        for ip in &old.addresses {
            self.change_usage(*ip, |usage| {
                if !disputed {
                    usage.leave(service, &old.claim);
                } else if !on_record.contains(ip) {
                    usage.reserved.remove(service);
                }
            });
        }
        Some(old)
    }

    /// Packs what is kept, see [`flat::pack`].
    pub(crate) fn pack(&mut self, new: usize) {
        flat::pack(&mut self.allocations, new);
        flat::pack(&mut self.usage, new);
    }

    /// Changes who uses an address and brings the pool's stock in line.
    fn change_usage(&mut self, ip: IpAddr, change: impl FnOnce(&mut Usage)) {
        let mut usage = self
            .usage
            .remove(&ip)
            .unwrap_or_else(|| Box::new(Usage::unused()));
        let family = Family::of(ip);
        let place = locate(&self.places, &mut self.stocks, ip);
        if let Some((stock, at)) = place {
            if let Some(ports) = usage.open_ports() {
                stock.close(at, family, &usage.sharing, &ports);
            }
            change(&mut usage);
            if usage.is_unused() {
                stock.give(at, family);
            } else {
                stock.take(at, family);
            }
            if let Some(ports) = usage.open_ports() {
                stock.open(at, family, &usage.sharing, ports);
            }
            if !self.touched.contains(&stock.pool.name) {
                self.touched.insert(stock.pool.name.clone());
            }
        } else {
            change(&mut usage);
        }
        if !usage.is_unused() {
            self.usage.insert(ip, usage);
        }
    }

    /// The pool that has all these addresses.
    fn common_pool(&self, addresses: &[IpAddr]) -> Option<&PoolName> {
        let (first, rest) = addresses.split_first()?;
        let pool = &place(&self.places, *first)?.pool;
        let same = |ip: &IpAddr| place(&self.places, *ip).is_some_and(|p| p.pool == *pool);
        rest.iter().all(same).then_some(pool)
    }

    fn position(&self, ip: IpAddr) -> Option<Position> {
        let place = place(&self.places, ip)?;
        self.stocks.get(&place.pool)?.position(place.slot, ip)
    }
}

#[cfg(any(test, feature = "bench"))]
impl Allocator {
    /// Leaves only these addresses free of their pool and family: a nearly full pool without a
    /// Service for every address in use. Counters stay as they are.
    pub fn leave_free(&mut self, free: &[IpAddr]) {
        let at: Vec<_> = free.iter().filter_map(|ip| self.position(*ip)).collect();
        let Some(&first) = free.first() else { return };
        if let Some((stock, _)) = locate(&self.places, &mut self.stocks, first) {
            stock.leave_free(Family::of(first), &at);
        }
    }
}

/// The CIDRs of a pool by first address.
fn places(pool: &config::Pool) -> impl Iterator<Item = (IpAddr, Place)> + '_ {
    let cidrs = pool.entries.iter().flat_map(|e| &e.cidrs);
    cidrs.enumerate().map(|(slot, cidr)| {
        let place = Place {
            last: cidr.broadcast(),
            pool: pool.name.clone(),
            slot,
        };
        (cidr.network(), place)
    })
}

/// The CIDR an address is in.
fn place(places: &BTreeMap<IpAddr, Place>, ip: IpAddr) -> Option<&Place> {
    let (_, place) = places.range(..=ip).next_back()?;
    (ip <= place.last).then_some(place)
}

/// The stock an address is in, and its position there.
fn locate<'a>(
    places: &BTreeMap<IpAddr, Place>,
    stocks: &'a mut BTreeMap<PoolName, Stock>,
    ip: IpAddr,
) -> Option<(&'a mut Stock, Position)> {
    let place = place(places, ip)?;
    let stock = stocks.get_mut(&place.pool)?;
    let at = stock.position(place.slot, ip)?;
    Some((stock, at))
}

#[cfg(test)]
mod tests;
