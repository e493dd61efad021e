//! What is ours to announce, by whichever protocol (`spec/metallb.md` §5.1).

use crate::facts::{Class, Ingress, Service};
use std::net::IpAddr;

/// Why a Service has nothing for us to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// `type` is not LoadBalancer.
    NotLoadBalancer,
    /// `loadBalancerClass` is another's.
    OtherClass {
        /// The class asked for; empty if none is.
        class: String,
    },
    /// No address in status (and without an allocator here, none in the ledger).
    NoAllocation,
    /// A status entry is no address.
    InvalidAddress {
        /// The entry.
        text: String,
    },
}

/// The addresses of a Service that is ours to announce.
pub(super) fn addresses<'a>(class: &Class, service: &'a Service) -> Result<&'a [IpAddr], Unfit> {
    if !service.is_load_balancer {
        return Err(Unfit::NotLoadBalancer);
    }
    if service.class != *class {
        let class = match &service.class {
            Class::Default => String::new(),
            Class::Named(name) => name.clone(),
        };
        return Err(Unfit::OtherClass { class });
    }
    match &service.ingress {
        Ingress::Addresses(addresses) if !addresses.is_empty() => Ok(addresses),
        Ingress::Addresses(_) | Ingress::Empty => Err(Unfit::NoAllocation),
        Ingress::Unreadable(text) => Err(Unfit::InvalidAddress { text: text.clone() }),
    }
}
