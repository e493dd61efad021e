//! Who uses an address, and who may join in (`spec/metallb.md` §3.3).

use super::Refusal;
use crate::facts::{Port, Protocol, Service, Sharing, TrafficPolicy};
use crate::flat::{FlatMap, FlatSet};
use crate::names::ServiceKey;
use std::net::IpAddr;

/// With whom a Service shares its addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharingKey {
    /// With nobody: no sharing annotation, or an empty one.
    Exclusive,
    /// With Services that have the same key and the same backends.
    Shared {
        /// Annotation `allow-shared-ip`.
        key: String,
        /// Empty for `externalTrafficPolicy: Cluster`, else the pod selector: traffic that stays
        /// on its node must find the same pods. So a Local Service without selector shares with
        /// Cluster ones, as in MetalLB.
        backend: String,
    },
}

/// What a Service claims on each of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// With whom it shares.
    pub sharing: SharingKey,
    /// Its ports; two Services on one address have none in common.
    pub ports: FlatSet<Port>,
}

impl Claim {
    /// What a Service claims.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let sharing = match &service.sharing {
            Sharing::Key(key) if !key.is_empty() => SharingKey::Shared {
                key: key.clone(),
                backend: backend(service),
            },
            Sharing::Key(_) | Sharing::Absent => SharingKey::Exclusive,
        };
        Self {
            sharing,
            ports: service.ports.clone(),
        }
    }
}

fn backend(service: &Service) -> String {
    match service.traffic_policy {
        TrafficPolicy::Cluster => String::new(),
        TrafficPolicy::Local => {
            let pairs = service.selector.iter().map(|(k, v)| format!("{k}={v}"));
            pairs.collect::<Vec<_>>().join(",")
        }
    }
}

/// Whether a Service already has the addresses it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It asks for them.
    New,
    /// They are in its status: a reservation on record for another Service, which the source
    /// can't see now, is no cause to take them away.
    Held,
}

/// Who uses one address.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    /// Services on it.
    holders: FlatSet<ServiceKey>,
    /// Services that have it on record without using it: the source can't see them, or others
    /// were there first.
    pub(super) reserved: FlatSet<ServiceKey>,
    /// What its holders share by.
    pub(super) sharing: SharingKey,
    /// Ports in use on it, and by whom.
    ports: FlatMap<Port, ServiceKey>,
}

impl Usage {
    /// Nobody's.
    pub(super) fn unused() -> Self {
        Self {
            holders: FlatSet::new(),
            reserved: FlatSet::new(),
            sharing: SharingKey::Exclusive,
            ports: FlatMap::new(),
        }
    }

    /// Whether nobody has it.
    pub(super) fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.reserved.is_empty()
    }

    /// The ports in use, when others may join; they are then found by sharing key and ports.
    pub(super) fn open_ports(&self) -> Option<Vec<Port>> {
        let open = self.reserved.is_empty()
            && !self.holders.is_empty()
            && self.sharing != SharingKey::Exclusive;
        open.then(|| self.ports.keys().copied().collect())
    }

    /// Adds a holder; the caller has asked [`Usage::check`].
    pub(super) fn join(&mut self, service: &ServiceKey, claim: &Claim) {
        self.holders.insert(service.clone());
        self.sharing.clone_from(&claim.sharing);
        for port in &claim.ports {
            self.ports.insert(*port, service.clone());
        }
    }

    /// Removes a holder.
    pub(super) fn leave(&mut self, service: &ServiceKey, claim: &Claim) {
        self.holders.remove(service);
        for port in &claim.ports {
            self.ports.remove(port);
        }
    }

    /// Whether a Service may hold the address beside those who do.
    ///
    /// # Errors
    /// The first obstacle, in MetalLB's order: sharing key, then ports.
    pub(super) fn check(
        &self,
        ip: IpAddr,
        service: &ServiceKey,
        claim: &Claim,
        tenure: Tenure,
    ) -> Result<(), Refusal> {
        if tenure == Tenure::New
            && let Some(other) = self.reserved.iter().find(|r| *r != service)
        {
            return Err(Refusal::Reserved {
                address: ip,
                service: other.clone(),
            });
        }
        let others = || self.holders.iter().filter(|h| *h != service);
        if others().next().is_none() {
            return Ok(());
        }
        if claim.sharing == SharingKey::Exclusive || claim.sharing != self.sharing {
            return Err(Refusal::SharingKey {
                address: ip,
                service: service.clone(),
                others: others().cloned().collect(),
            });
        }
        let taken = |p: &&Port| self.ports.get(p).is_some_and(|holder| holder != service);
        match claim.ports.iter().find(taken) {
            Some(port) => Err(Refusal::PortInUse {
                address: ip,
                port: port_text(*port),
            }),
            None => Ok(()),
        }
    }
}

fn port_text(port: Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    format!("{protocol}/{}", port.port)
}
