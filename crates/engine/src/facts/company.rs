//! Services that share addresses, and what they have in common for the election.
//!
//! An address is one node's, whichever Services share it. MetalLB elects Service by Service, so
//! two nodes answer for an address whose Services have other first addresses, or endpoints on
//! other nodes (`spec/metallb.md` §5.2). Services that share an address, directly or through
//! others, are a company here: all of them are elected by one address among the same nodes.

use super::{Endpoints, Ingress, Service, Sharing, TrafficPolicy};
use crate::config::Filter;
use crate::names::{NodeName, ServiceKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What Services on shared addresses are elected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Company {
    /// The lowest of their first addresses.
    pub(crate) first: IpAddr,
    /// Nodes that can take traffic for each of them that has a serving endpoint.
    pub(crate) every: Filter<NodeName>,
    /// Nodes that can for one of them at least.
    pub(crate) any: Filter<NodeName>,
}

/// The companies there are.
#[derive(Debug, Default)]
pub(super) struct Companies {
    /// Services that may share, by address.
    holders: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    /// The addresses of each of them.
    addresses: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// The company of each Service that does share.
    of: BTreeMap<ServiceKey, Arc<Company>>,
}

/// What companies are made of.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) services: &'a BTreeMap<ServiceKey, Box<Service>>,
    pub(super) endpoints: &'a BTreeMap<ServiceKey, Endpoints>,
}

impl Companies {
    pub(super) fn of(&self, service: &ServiceKey) -> Option<&Company> {
        self.of.get(service).map(AsRef::as_ref)
    }

    /// Takes in changed Services, and adds those whose company changed with them.
    pub(super) fn update(&mut self, known: Known<'_>, changed: &mut BTreeSet<ServiceKey>) {
        let mut open = BTreeSet::new();
        for key in changed.iter() {
            let old = self.addresses.remove(key).unwrap_or_default();
            let new = known.services.get(key).map_or(&[][..], |s| may_share(s));
            if old.is_empty() && new.is_empty() {
                continue;
            }
            for ip in &old {
                if let Some(holders) = self.holders.get_mut(ip) {
                    holders.remove(key);
                    open.extend(holders.iter().cloned());
                    if holders.is_empty() {
                        self.holders.remove(ip);
                    }
                }
            }
            for ip in new {
                self.holders.entry(*ip).or_default().insert(key.clone());
            }
            if !new.is_empty() {
                self.addresses.insert(key.clone(), new.to_vec());
            }
            open.insert(key.clone());
        }
        while let Some(key) = open.pop_first() {
            let members = self.members(known, &key);
            let company = (members.len() > 1).then(|| Arc::new(known.company(&members)));
            for member in members {
                open.remove(&member);
                if self.of.get(&member) == company.as_ref() {
                    continue;
                }
                match &company {
                    Some(company) => self.of.insert(member.clone(), Arc::clone(company)),
                    None => self.of.remove(&member),
                };
                changed.insert(member);
            }
        }
    }

    /// The Services that share addresses with this one, directly or through others, and itself.
    pub(super) fn members(&self, known: Known<'_>, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let class = |key| known.services.get(key).map(|service| &service.class);
        let mut members = BTreeSet::from([key.clone()]);
        let mut seen = BTreeSet::new();
        let mut next = vec![key];
        while let Some(member) = next.pop() {
            for ip in self.addresses.get(member).into_iter().flatten() {
                if !seen.insert(*ip) {
                    continue;
                }
                for other in self.holders.get(ip).into_iter().flatten() {
                    if class(other) == class(key) && members.insert(other.clone()) {
                        next.push(other);
                    }
                }
            }
        }
        members
    }
}

impl Known<'_> {
    fn company(self, members: &BTreeSet<ServiceKey>) -> Company {
        let services = || members.iter().filter_map(|key| self.services.get(key));
        let firsts = services().filter_map(|service| may_share(service).first());
        let mut company = Company {
            // More than one Service shares, so there is an address.
            first: firsts.min().copied().unwrap_or(IpAddr::from([0, 0, 0, 0])),
            every: Filter::Any,
            any: Filter::Only(BTreeSet::new()),
        };
        for service in services() {
            let Some(nodes) = serving_nodes(self.endpoints.get(&service.key), service) else {
                continue;
            };
            let Filter::Only(nodes) = nodes else {
                company.any = Filter::Any;
                continue;
            };
            if let Filter::Only(any) = &mut company.any {
                any.extend(nodes.iter().map(|node| (*node).clone()));
            }
            company.every = Filter::Only(match company.every {
                Filter::Any => nodes.into_iter().cloned().collect(),
                Filter::Only(mut every) => {
                    every.retain(|node| nodes.contains(node));
                    every
                }
            });
        }
        company
    }
}

/// The addresses of a Service that may share them.
fn may_share(service: &Service) -> &[IpAddr] {
    match (&service.sharing, &service.ingress) {
        (Sharing::Key(key), Ingress::Addresses(addresses))
            if !key.is_empty() && service.is_load_balancer =>
        {
            addresses
        }
        (Sharing::Absent | Sharing::Key(_), _) => &[],
    }
}

/// Nodes that may take traffic as far as endpoints go; none if no endpoint can serve.
pub(crate) fn serving_nodes<'a>(
    endpoints: Option<&'a Endpoints>,
    service: &Service,
) -> Option<Filter<&'a NodeName>> {
    let mut serving = endpoints?.iter().filter(|e| e.serving).peekable();
    serving.peek()?;
    Some(match service.traffic_policy {
        TrafficPolicy::Cluster => Filter::Any,
        TrafficPolicy::Local => Filter::Only(serving.filter_map(|e| e.node.as_ref()).collect()),
    })
}
