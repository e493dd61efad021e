//! The wire side: one driver task a protocol, and what they need.

mod assigned;
pub(crate) mod bfd;
pub(crate) mod bgp;
pub(crate) mod convert;
pub(crate) mod exclusions;
pub(crate) mod gossip;
pub(crate) mod l2;
pub(crate) mod lease;

use std::time::Instant;

/// Waits until then, or for ever.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
