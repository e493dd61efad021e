//! What one Service gets (`spec/metallb.md` §4.3).
//!
//! While some pools are rejected or unreadable, an address outside the accepted ones isn't known
//! to be illegal: it is kept. It is given up only for a reason that holds whatever those pools
//! say, such as the Service asking for an accepted pool instead, and only for a new address.

use super::doubts::Doubts;
use super::state::{AllocationReason, AllocationState};
use crate::allocate::{Allocator, Choice, Claim, Refusal, Request, Tenure, Wanted, list};
use crate::config::Coverage;
use crate::event::{EventRecord, Severity};
use crate::facts::{Families, FamilyPolicy, Requested, Service};
use crate::ip::Family;
use crate::names::PoolName;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What a Service has so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    Nothing,
    /// A status that can't be read.
    Unreadable(String),
    /// Addresses, and the pool on record.
    Addresses(Vec<IpAddr>, Option<PoolName>),
}

/// What became of a Service.
#[derive(Debug)]
pub(super) struct Decision {
    /// The outcome.
    pub(super) state: AllocationState,
    /// What happened, worth an event.
    pub(super) news: Vec<EventRecord>,
    /// What stands in the way; an event unless it was said before.
    pub(super) complaints: Vec<EventRecord>,
}

/// Whether held addresses may stay.
enum Standing {
    /// This pool has them.
    In(PoolName),
    /// It isn't known.
    Doubtful(AllocationReason),
    /// They may not.
    Lost(Refusal),
}

/// Whether held addresses are what the Service asks for.
enum Asked {
    /// They are, or it asks for nothing in particular.
    These,
    /// It asks for something else, said in words.
    Other(String),
    /// It can't be read what it asks for.
    Unreadable(String),
}

/// One Service in front of the allocator.
pub(super) struct Case<'a> {
    service: &'a Service,
    claim: Claim,
    doubts: &'a Doubts,
    allocator: &'a mut Allocator,
    wanted: Wanted,
    news: Vec<EventRecord>,
    complaints: Vec<EventRecord>,
}

impl<'a> Case<'a> {
    /// The case of a Service.
    pub(super) fn new(
        service: &'a Service,
        doubts: &'a Doubts,
        allocator: &'a mut Allocator,
    ) -> Self {
        Self {
            service,
            claim: Claim::of(service),
            doubts,
            allocator,
            wanted: wanted(service),
            news: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// Takes up the addresses in the status, if they may stay, before anyone is given a new one.
    pub(super) fn adopt(mut self, addresses: &[IpAddr], last: Option<&PoolName>) {
        // What can't be taken up now is dealt with by `decide`.
        drop(self.standing(addresses, last));
    }

    /// Keeps addresses in a status that is none of ours from being given to anyone.
    pub(super) fn set_aside(mut self, addresses: &[IpAddr]) {
        let last = self.service.allocated_from.as_ref();
        let (request, allocator) = self.request();
        allocator.dispute(request, addresses, last);
    }

    /// Decides.
    pub(super) fn decide(mut self, held: Held) -> Decision {
        let state = match self.unfit() {
            Some(reason) => {
                self.allocator.release(&self.service.key);
                AllocationState::Unallocated { reason }
            }
            None => self.settle(held),
        };
        Decision {
            state,
            news: self.news,
            complaints: self.complaints,
        }
    }

    /// What rules out any address.
    fn unfit(&mut self) -> Option<AllocationReason> {
        if !self.service.is_load_balancer {
            return Some(AllocationReason::NotLoadBalancer);
        }
        if self.allocator.has_no_pools() && self.doubts.pools == Coverage::Complete {
            return Some(AllocationReason::NoPools);
        }
        let dual_only = self.service.family_policy == FamilyPolicy::RequireDualStack;
        let (reason, kind) = match self.service.families {
            Families::Unassigned => return Some(AllocationReason::NoClusterAddress),
            Families::Headless => {
                self.failed(&AllocationReason::Headless);
                return Some(AllocationReason::Headless);
            }
            Families::Invalid => (
                AllocationReason::UnreadableClusterAddress,
                "noclusterIPsIPFamily",
            ),
            Families::Single(_) if dual_only => {
                (AllocationReason::NotDualStack, "not enough clusterips")
            }
            Families::Single(_) | Families::Dual => return None,
        };
        self.complain(Severity::Warning, kind, reason.to_string());
        Some(reason)
    }

    fn settle(&mut self, held: Held) -> AllocationState {
        match held {
            Held::Nothing => self.obtain(),
            Held::Unreadable(text) => {
                let message = format!("{text} in the status is no address, will be cleared");
                self.tell(Severity::Warning, "nolbIPsIPFamily", message);
                self.obtain()
            }
            Held::Addresses(addresses, last) => match self.families_fit(&addresses) {
                Ok(()) => self.stay(addresses, last),
                Err(why) => self.replace(&addresses, &why),
            },
        }
    }

    /// Whether the families of held addresses are those of the cluster addresses.
    fn families_fit(&mut self, addresses: &[IpAddr]) -> Result<(), String> {
        let Some(have) = families(addresses) else {
            let message = format!("{} is neither single nor dual stack", list(addresses));
            self.tell(Severity::Warning, "nolbIPsIPFamily", message.clone());
            return Err(message);
        };
        // One address will do where both families are only preferred.
        let prefers = matches!(self.wanted, Wanted::BothOr(_));
        if have == self.service.families || prefers {
            return Ok(());
        }
        Err("the cluster IPs of the service are of other families".to_owned())
    }

    /// A Service with addresses of the right families.
    fn stay(&mut self, addresses: Vec<IpAddr>, last: Option<PoolName>) -> AllocationState {
        match self.standing(&addresses, last.as_ref()) {
            Standing::Lost(refusal) => self.replace(&addresses, &refusal.to_string()),
            Standing::In(pool) => match self.asked(&addresses, Some(&pool)) {
                Asked::These => self.complete(pool, addresses),
                Asked::Unreadable(cause) => {
                    self.keeps_despite(&cause);
                    let reason = AllocationReason::UnreadableRequest { cause };
                    AllocationState::Partly {
                        pool,
                        addresses,
                        reason,
                    }
                }
                Asked::Other(why) => match self.plan() {
                    Err(reason) if self.is_doubtful(&reason) => {
                        self.failed(&reason);
                        AllocationState::Partly {
                            pool,
                            addresses,
                            reason,
                        }
                    }
                    Ok(_) | Err(_) => self.replace(&addresses, &why),
                },
            },
            Standing::Doubtful(reason) => {
                match self.asked(&addresses, last.as_ref()) {
                    Asked::These => {}
                    Asked::Unreadable(cause) => self.keeps_despite(&cause),
                    Asked::Other(why) => match self.plan() {
                        Ok(_) => return self.replace(&addresses, &why),
                        Err(refused) => self.failed(&refused),
                    },
                }
                AllocationState::Kept {
                    pool: last,
                    addresses,
                    reason,
                }
            }
        }
    }

    /// Whether held addresses may stay; if so, or if it isn't known, they are claimed.
    fn standing(&mut self, addresses: &[IpAddr], last: Option<&PoolName>) -> Standing {
        // DEVIATION: rejected is not deleted: MetalLB keeps its whole last configuration, but has
        // none after a restart.
        let outside = !self.allocator.in_one_pool(addresses);
        if let Some(rejected) = self.doubts.rejected()
            && outside
        {
            let named = last.filter(|pool| rejected.contains(pool)).cloned();
            let pools = named.map_or(rejected, |pool| vec![pool]);
            return self.kept(addresses, last, AllocationReason::PoolRejected { pools });
        }
        let (request, allocator) = self.request();
        match allocator.assign(request, addresses, Tenure::Held) {
            Ok(pool) => Standing::In(pool),
            Err(Refusal::PoolNotForService { pool }) if self.doubts.namespaces => {
                self.kept(addresses, last, AllocationReason::NamespaceUnknown { pool })
            }
            Err(refusal) => Standing::Lost(refusal),
        }
    }

    /// Claims addresses in doubt. Where another Service has them, they stay in the status all the
    /// same, for nothing in doubt is cleared.
    fn kept(
        &mut self,
        addresses: &[IpAddr],
        last: Option<&PoolName>,
        reason: AllocationReason,
    ) -> Standing {
        let (request, allocator) = self.request();
        match allocator.keep(request, addresses, last) {
            Ok(()) => Standing::Doubtful(reason),
            Err(refusal) => {
                let (request, allocator) = self.request();
                allocator.dispute(request, addresses, last);
                Standing::Doubtful(refusal.into())
            }
        }
    }

    /// Whether these addresses, from this pool, are what the Service asks for.
    fn asked(&self, addresses: &[IpAddr], pool: Option<&PoolName>) -> Asked {
        if let Some(requested) = &self.service.requested_pool
            && Some(requested) != pool
        {
            return Asked::Other(format!("the service asks for pool {requested}"));
        }
        match &self.service.requested {
            Requested::Any => Asked::These,
            Requested::Invalid(cause) => Asked::Unreadable(cause.clone()),
            // DEVIATION: the published order stays. MetalLB sorts it on the second reconcile; the
            // first address decides the election, so a flip would move it.
            Requested::Addresses(requested) => {
                let set = |ips: &[IpAddr]| ips.iter().copied().collect::<BTreeSet<_>>();
                if set(requested) == set(addresses) {
                    Asked::These
                } else {
                    Asked::Other(format!("the service asks for {}", list(requested)))
                }
            }
        }
    }

    /// Adds the second family where both are preferred and one was had.
    // DEVIATION: only with cluster addresses of both families, where MetalLB flaps between one
    // and two addresses on a single-stack cluster; and never beside one requested address.
    fn complete(&mut self, pool: PoolName, mut addresses: Vec<IpAddr>) -> AllocationState {
        let missing = match (self.wanted, addresses.as_slice(), &self.service.requested) {
            (Wanted::BothOr(_), [one], Requested::Any) => other_family(*one),
            (Wanted::Single(_) | Wanted::Both | Wanted::BothOr(_), _, _) => {
                return AllocationState::Allocated { pool, addresses };
            }
        };
        let (request, allocator) = self.request();
        match allocator.add_family(request, missing) {
            Ok(ip) => {
                let message = format!("Assigned additional IP \"{ip}\"");
                self.tell(Severity::Normal, "IPAllocated", message);
                addresses.push(ip);
                AllocationState::Allocated { pool, addresses }
            }
            Err(refusal) => {
                let message = format!("Failed to assign an additional {missing} IP: {refusal}");
                self.complain(Severity::Normal, "AdditionalAssignFailed", message);
                AllocationState::Partly {
                    pool,
                    addresses,
                    reason: refusal.into(),
                }
            }
        }
    }

    /// Takes addresses away, gives others if it can.
    fn replace(&mut self, addresses: &[IpAddr], why: &str) -> AllocationState {
        let message = format!("Assigned IP {} is cleared: {why}", list(addresses));
        self.tell(Severity::Normal, "ClearAssignment", message);
        self.allocator.release(&self.service.key);
        self.obtain()
    }

    /// Gives a Service that has nothing what it asks for.
    fn obtain(&mut self) -> AllocationState {
        let planned = self.plan().and_then(|(_, addresses)| {
            let (request, allocator) = self.request();
            let pool = allocator.assign(request, &addresses, Tenure::New)?;
            Ok((pool, addresses))
        });
        match planned {
            Ok((pool, addresses)) => {
                let message = format!("Assigned IP {}", list(&addresses));
                self.tell(Severity::Normal, "IPAllocated", message);
                self.complete(pool, addresses)
            }
            Err(reason) => {
                self.failed(&reason);
                AllocationState::Unallocated { reason }
            }
        }
    }

    /// What the Service could have: the addresses it asks for, else from the pool it asks for,
    /// else from any it may use unasked. Nothing is allocated.
    fn plan(&mut self) -> Result<Choice, AllocationReason> {
        let service = self.service;
        let rejected = self.doubts.rejected();
        let fits = |ips: &[IpAddr]| families(ips) == Some(service.families);
        let (request, allocator) = self.request();
        let choice = match (&service.requested, &service.requested_pool) {
            (Requested::Invalid(cause), _) => {
                let cause = cause.clone();
                return Err(AllocationReason::UnreadableRequest { cause });
            }
            (Requested::Addresses(asked), _) if !fits(asked) => {
                let addresses = asked.clone();
                return Err(AllocationReason::RequestedFamilies { addresses });
            }
            (Requested::Addresses(asked), requested) => {
                let pool = allocator.check(request, asked, Tenure::New);
                pool.and_then(|pool| agree(pool, asked, requested.as_ref()))
            }
            (Requested::Any, Some(pool)) => allocator.choose_from(request, pool),
            (Requested::Any, None) => allocator.choose(request),
        };
        choice.map_err(|refusal| match (refusal, rejected) {
            (Refusal::NotInOnePool { .. }, Some(pools)) => {
                let named = service
                    .requested_pool
                    .as_ref()
                    .filter(|p| pools.contains(p));
                let pools = named.map_or_else(|| pools.clone(), |pool| vec![pool.clone()]);
                AllocationReason::PoolRejected { pools }
            }
            (Refusal::UnknownPool { pool }, Some(pools)) if pools.contains(&pool) => {
                AllocationReason::PoolRejected { pools: vec![pool] }
            }
            (refusal, _) => refusal.into(),
        })
    }

    /// Whether what stands in the way may vanish once every pool can be read.
    fn is_doubtful(&self, reason: &AllocationReason) -> bool {
        let hidden = |refusal: &Refusal| matches!(refusal, Refusal::UnknownPool { .. });
        let unknown = matches!(reason, AllocationReason::PoolRejected { .. })
            || matches!(reason, AllocationReason::Refused(refusal) if hidden(refusal));
        unknown && self.doubts.pools != Coverage::Complete
    }

    fn request(&mut self) -> (Request<'_>, &mut Allocator) {
        let request = Request {
            service: &self.service.key,
            labels: &self.service.labels,
            claim: &self.claim,
            wanted: self.wanted,
        };
        (request, self.allocator)
    }

    fn keeps_despite(&mut self, cause: &str) {
        let message = format!("{cause}; the assigned IP is kept");
        self.complain(Severity::Warning, "LoadBalancerFailed", message);
    }

    fn failed(&mut self, reason: &AllocationReason) {
        let service = &self.service.key;
        let message = format!("Failed to allocate IP for \"{service}\": {reason}");
        self.complain(Severity::Warning, "AllocationFailed", message);
    }

    fn tell(&mut self, severity: Severity, reason: &'static str, message: String) {
        let record = self.record(severity, reason, message);
        self.news.push(record);
    }

    fn complain(&mut self, severity: Severity, reason: &'static str, message: String) {
        let record = self.record(severity, reason, message);
        self.complaints.push(record);
    }

    fn record(&self, severity: Severity, reason: &'static str, message: String) -> EventRecord {
        EventRecord {
            service: self.service.key.clone(),
            severity,
            reason,
            message,
        }
    }
}

/// The families a Service wants addresses of. Only asked of Services with cluster addresses of
/// one or both families.
fn wanted(service: &Service) -> Wanted {
    match (service.families, service.family_policy) {
        (Families::Dual, FamilyPolicy::PreferDualStack) => Wanted::BothOr(service.primary_family),
        (Families::Dual, FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack) => {
            Wanted::Both
        }
        (Families::Single(family), _) => Wanted::Single(family),
        (Families::Unassigned | Families::Headless | Families::Invalid, _) => {
            Wanted::Single(service.primary_family)
        }
    }
}

/// The families of one address, or of two of different families; `None` of anything else.
fn families(addresses: &[IpAddr]) -> Option<Families> {
    match addresses {
        [one] => Some(Families::Single(Family::of(*one))),
        [a, b] if Family::of(*a) != Family::of(*b) => Some(Families::Dual),
        _ => None,
    }
}

fn other_family(ip: IpAddr) -> Family {
    match Family::of(ip) {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

/// Requested addresses must be in the requested pool.
fn agree(
    pool: PoolName,
    asked: &[IpAddr],
    requested: Option<&PoolName>,
) -> Result<Choice, Refusal> {
    match requested {
        Some(requested) if *requested != pool => Err(Refusal::OtherPool {
            addresses: asked.to_vec(),
            pool,
            requested: requested.clone(),
        }),
        Some(_) | None => Ok((pool, asked.to_vec())),
    }
}
