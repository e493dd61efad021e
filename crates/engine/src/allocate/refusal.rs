//! Why an address can't be had, in data and in words.

use crate::ip::Family;
use crate::names::{PoolName, ServiceKey};
use serde::Serialize;
use std::net::IpAddr;

/// Why an address, or any address, can't be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// No accepted pool has all of these addresses.
    #[error("{} is not allowed in config", list(.addresses))]
    NotInOnePool {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// `avoidBuggyIPs` of the pool keeps the address back.
    #[error("{address} ends in .0 or .255, which pool {pool} avoids")]
    KeptBack {
        /// The address.
        address: IpAddr,
        /// Its pool.
        pool: PoolName,
    },
    /// The pool's `serviceAllocation` doesn't admit the Service.
    #[error("pool {pool} is not for this service")]
    PoolNotForService {
        /// The pool.
        pool: PoolName,
    },
    /// There is no such pool.
    #[error("unknown pool {pool}")]
    UnknownPool {
        /// The pool asked for.
        pool: PoolName,
    },
    /// The addresses asked for aren't in the pool asked for.
    #[error("{} is in pool {pool}, not in the requested pool {requested}", list(.addresses))]
    OtherPool {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Their pool.
        pool: PoolName,
        /// The pool asked for.
        requested: PoolName,
    },
    /// The pool asked for has no address of a family.
    // DEVIATION: MetalLB says `["<nil>"] is not allowed in config`, which names nothing.
    #[error("pool {pool} has no {family} addresses")]
    NoSuchFamily {
        /// The pool.
        pool: PoolName,
        /// The family.
        family: Family,
    },
    /// The pool asked for is used up.
    #[error("no available {family} addresses in pool {pool}")]
    PoolUsedUp {
        /// The pool.
        pool: PoolName,
        /// The family.
        family: Family,
    },
    /// No pool this Service may use without asking has an address.
    #[error("no available IPs")]
    NothingAvailable,
    /// Others on the address share by another key, or not at all.
    #[error("can't change sharing key for {service}, address also in use by {}", names(.others))]
    SharingKey {
        /// The address.
        address: IpAddr,
        /// The Service refused.
        service: ServiceKey,
        /// Those on the address.
        others: Vec<ServiceKey>,
    },
    /// A port is in use on the address.
    #[error("port {port} is already in use on {address}")]
    PortInUse {
        /// The address.
        address: IpAddr,
        /// Protocol and number, such as `TCP/80`.
        port: String,
    },
    /// The address is on record for another Service, which the source can't see now or which
    /// keeps it in dispute.
    #[error("{address} is on record for {service}")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// The Service on record.
        service: ServiceKey,
    },
}

/// Addresses as MetalLB's texts have them: `["192.0.2.1" "2001:db8::1"]`.
#[must_use]
pub fn list(addresses: &[IpAddr]) -> String {
    let quoted = addresses.iter().map(|ip| format!("\"{ip}\""));
    format!("[{}]", quoted.collect::<Vec<_>>().join(" "))
}

fn names(services: &[ServiceKey]) -> String {
    let names = services.iter().map(ServiceKey::to_string);
    names.collect::<Vec<_>>().join(",")
}
