//! Which pool and which address a Service gets (`spec/metallb.md` §4.4 to §4.6).

use super::pool::Stock;
use super::{Allocator, Home, Refusal, Request, Wanted};
use crate::config::{Pool, PoolScope};
use crate::ip::Family;
use crate::names::PoolName;
use std::net::IpAddr;

/// Pools used without being asked for, in order of preference.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Pinned pools by priority: lower first, 0 last, then by name.
    pinned: Vec<PoolName>,
    /// Pools for everyone, by name.
    // DEVIATION: MetalLB tries plain pools in random order.
    plain: Vec<PoolName>,
}

impl Order {
    /// The order of these pools.
    pub(super) fn of<'a>(pools: impl Iterator<Item = &'a Pool>) -> Self {
        let mut pinned = Vec::new();
        let mut plain = Vec::new();
        for pool in pools.filter(|p| p.auto_assign) {
            match &pool.scope {
                PoolScope::Everyone => plain.push(pool.name.clone()),
                PoolScope::Pinned(p) => {
                    pinned.push((p.priority == 0, p.priority, pool.name.clone()));
                }
            }
        }
        pinned.sort();
        plain.sort();
        let pinned = pinned.into_iter().map(|(_, _, name)| name).collect();
        Self { pinned, plain }
    }
}

/// A pool and the addresses to take from it, in ingress order.
pub type Choice = (PoolName, Vec<IpAddr>);

impl Allocator {
    /// Chooses addresses from the pools a Service may use without asking: pinned ones first, then
    /// those for everyone. Nothing is allocated yet.
    ///
    /// # Errors
    /// [`Refusal::NothingAvailable`].
    pub fn choose(&self, request: Request<'_>) -> Result<Choice, Refusal> {
        self.choose_among(&self.order.pinned, request)
            .or_else(|| self.choose_among(&self.order.plain, request))
            .ok_or(Refusal::NothingAvailable)
    }

    /// Chooses addresses from a pool the Service asks for. Nothing is allocated yet.
    ///
    /// # Errors
    /// The pool is unknown, not for this Service, without addresses of a family, or used up.
    pub fn choose_from(&self, request: Request<'_>, pool: &PoolName) -> Result<Choice, Refusal> {
        let Some(stock) = self.stocks.get(pool) else {
            return Err(Refusal::UnknownPool { pool: pool.clone() });
        };
        if !stock.is_for(request.service.namespace(), request.labels) {
            return Err(Refusal::PoolNotForService { pool: pool.clone() });
        }
        let find = |family| lowest(stock, request, family);
        let addresses = match request.wanted {
            Wanted::Single(family) => vec![find(family)?],
            Wanted::Both => vec![find(Family::V4)?, find(Family::V6)?],
            Wanted::BothOr(primary) => match (find(Family::V4), find(Family::V6)) {
                (Ok(v4), Ok(v6)) => vec![v4, v6],
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => vec![one],
                (Err(no_v4), Err(no_v6)) => {
                    return Err(match primary {
                        Family::V4 => no_v4,
                        Family::V6 => no_v6,
                    });
                }
            },
        };
        Ok((pool.clone(), addresses))
    }

    /// Adds an address of another family, from the same pool, to what the Service has.
    ///
    /// # Errors
    /// The pool has none, or none left, or the Service has nothing from a pool.
    pub fn add_family(&mut self, request: Request<'_>, family: Family) -> Result<IpAddr, Refusal> {
        let Some((pool, mut addresses)) = self.get(request.service).and_then(|a| match &a.home {
            Home::Pool(pool) => Some((pool.clone(), a.addresses.clone())),
            Home::Kept(_) | Home::Disputed(_) => None,
        }) else {
            return Err(Refusal::NothingAvailable);
        };
        let Some(stock) = self.stocks.get(&pool) else {
            return Err(Refusal::UnknownPool { pool });
        };
        let address = lowest(stock, request, family)?;
        addresses.push(address);
        self.put(request, &addresses, Home::Pool(pool));
        Ok(address)
    }

    /// The first pool that has what is wanted; failing that, one address if that will do.
    fn choose_among(&self, pools: &[PoolName], request: Request<'_>) -> Option<Choice> {
        let mut fallback: Option<(bool, Choice)> = None;
        let names = pools.iter().filter_map(|name| self.stocks.get(name));
        for stock in names.filter(|s| s.is_for(request.service.namespace(), request.labels)) {
            let name = &stock.pool.name;
            let find = |family| stock.lowest(family, request.claim);
            match request.wanted {
                Wanted::Single(family) => {
                    if let Some(ip) = find(family) {
                        return Some((name.clone(), vec![ip]));
                    }
                }
                Wanted::Both | Wanted::BothOr(_) => match (find(Family::V4), find(Family::V6)) {
                    (Some(v4), Some(v6)) => return Some((name.clone(), vec![v4, v6])),
                    (Some(one), None) | (None, Some(one)) => {
                        if let Wanted::BothOr(primary) = request.wanted {
                            let is_primary = Family::of(one) == primary;
                            let better = fallback.as_ref().is_none_or(|(p, _)| is_primary && !p);
                            if better {
                                fallback = Some((is_primary, (name.clone(), vec![one])));
                            }
                        }
                    }
                    (None, None) => {}
                },
            }
        }
        fallback.map(|(_, choice)| choice)
    }
}

fn lowest(stock: &Stock, request: Request<'_>, family: Family) -> Result<IpAddr, Refusal> {
    let pool = || stock.pool.name.clone();
    stock.lowest(family, request.claim).ok_or_else(|| {
        if stock.pool.has_family(family) {
            Refusal::PoolUsedUp {
                pool: pool(),
                family,
            }
        } else {
            Refusal::NoSuchFamily {
                pool: pool(),
                family,
            }
        }
    })
}
