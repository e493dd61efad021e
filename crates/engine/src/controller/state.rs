//! What became of a Service, and why: the same value is acted on and explained.

use crate::allocate::Refusal;
use crate::event::Assignment;
use crate::names::PoolName;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// What a Service has been given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum AllocationState {
    /// What it asks for.
    Allocated {
        /// Its pool.
        pool: PoolName,
        /// Its addresses in ingress order.
        addresses: Vec<IpAddr>,
    },
    /// Less, or other, than it asks for.
    Partly {
        /// Its pool.
        pool: PoolName,
        /// Its addresses in ingress order.
        addresses: Vec<IpAddr>,
        /// What stands against the rest.
        reason: AllocationReason,
    },
    /// It keeps what it has, though no accepted pool vouches for it.
    Kept {
        /// The pool last on record.
        pool: Option<PoolName>,
        /// Its addresses in ingress order.
        addresses: Vec<IpAddr>,
        /// Why it isn't judged.
        reason: AllocationReason,
    },
    /// Nothing.
    Unallocated {
        /// Why.
        reason: AllocationReason,
    },
    /// Another controller's business: nothing is read or written.
    Ignored {
        /// The class it asks for; `None` if it names none.
        class: Option<String>,
    },
}

impl AllocationState {
    /// What is to be persisted; `None` if it isn't ours to say.
    #[must_use]
    pub fn assignment(&self) -> Option<Assignment> {
        match self {
            Self::Allocated { pool, addresses }
            | Self::Partly {
                pool, addresses, ..
            } => Some(Assignment {
                ingress: addresses.clone(),
                pool: Some(pool.clone()),
            }),
            Self::Kept {
                pool, addresses, ..
            } => Some(Assignment {
                ingress: addresses.clone(),
                pool: pool.clone(),
            }),
            Self::Unallocated { .. } => Some(Assignment {
                ingress: Vec::new(),
                pool: None,
            }),
            Self::Ignored { .. } => None,
        }
    }

    /// Why the Service hasn't all it asks for.
    #[must_use]
    pub fn reason(&self) -> Option<&AllocationReason> {
        match self {
            Self::Allocated { .. } | Self::Ignored { .. } => None,
            Self::Partly { reason, .. }
            | Self::Kept { reason, .. }
            | Self::Unallocated { reason } => Some(reason),
        }
    }

    /// Whether another Service's move may help this one.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Partly { .. } | Self::Kept { .. } => true,
            Self::Allocated { .. } | Self::Ignored { .. } => false,
            Self::Unallocated { reason } => match reason {
                AllocationReason::Refused(_) => true,
                AllocationReason::NotLoadBalancer
                | AllocationReason::NoPools
                | AllocationReason::PoolRejected { .. }
                | AllocationReason::NamespaceUnknown { .. }
                | AllocationReason::NoClusterAddress
                | AllocationReason::Headless
                | AllocationReason::UnreadableClusterAddress
                | AllocationReason::NotDualStack
                | AllocationReason::UnreadableRequest { .. }
                | AllocationReason::RequestedFamilies { .. } => false,
            },
        }
    }
}

/// Why a Service has no address, or not the one it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationReason {
    /// `type` is not LoadBalancer.
    NotLoadBalancer,
    /// There are no pools.
    NoPools,
    /// The pool meant is rejected, or may be hidden where the source can't be read.
    PoolRejected {
        /// The pools that are rejected; none if all that is known is that some can't be read.
        pools: Vec<PoolName>,
    },
    /// The pool isn't for the namespace as far as is known, but the Namespace can't be read now.
    NamespaceUnknown {
        /// The pool.
        pool: PoolName,
    },
    /// It has no cluster address yet.
    NoClusterAddress,
    /// `clusterIP: None`.
    Headless,
    /// Its cluster addresses can't be read, or there are too many.
    UnreadableClusterAddress,
    /// `RequireDualStack`, but there aren't cluster addresses of both families.
    NotDualStack,
    /// What it asks for can't be read.
    UnreadableRequest {
        /// The cause.
        cause: String,
    },
    /// The addresses it asks for are of other families than its cluster addresses.
    RequestedFamilies {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// No pool gives what it asks for.
    Refused(Box<Refusal>),
}

impl fmt::Display for AllocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoadBalancer => f.write_str("the service is not of type LoadBalancer"),
            Self::NoPools => f.write_str("there are no pools"),
            Self::PoolRejected { pools } if pools.is_empty() => {
                f.write_str("some pools can't be read now")
            }
            Self::PoolRejected { pools } => {
                let names: Vec<_> = pools.iter().map(PoolName::as_str).collect();
                write!(f, "pool {} is rejected", names.join(", "))
            }
            Self::NamespaceUnknown { pool } => {
                write!(
                    f,
                    "pool {pool} is for other namespaces, but a Namespace can't be read now"
                )
            }
            Self::NoClusterAddress => f.write_str("the service has no cluster IP"),
            Self::Headless => f.write_str("the service is headless (clusterIP: None)"),
            Self::UnreadableClusterAddress => {
                f.write_str("the cluster IPs of the service can't be read")
            }
            Self::NotDualStack => {
                f.write_str("RequireDualStack needs cluster IPs of both families")
            }
            Self::UnreadableRequest { cause } => f.write_str(cause),
            Self::RequestedFamilies { addresses } => write!(
                f,
                "requested {} but the cluster IPs of the service are of other families",
                crate::allocate::list(addresses)
            ),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl From<Refusal> for AllocationReason {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
