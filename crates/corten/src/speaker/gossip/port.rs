//! The port of gossip, which another process may have for a while: MetalLB's speaker on the same
//! host network, or the Corten before this one, both on their way out.
//!
//! A node that can't gossip knows neither who is alive nor who has which address. So it decides
//! nothing and answers for nothing until the port is its own, and says so.

use super::Ports;
use crate::report;
use crate::speaker::until;
use corten_host::gossip::Endpoint;
use corten_node::standing::{Seen, View};
use corten_wire::gossip::Fleet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Before the second attempt; each wait is twice the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait: the port is free for that long at most before gossip begins.
const LONGEST: Duration = Duration::from_secs(2);

/// Binds the address, and waits while another process has it; `None` if this node is to leave
/// before.
///
/// # Errors
/// If the address can't be bound for another reason.
pub(super) async fn bind(
    address: SocketAddr,
    ports: &mut Ports,
) -> anyhow::Result<Option<Endpoint>> {
    let mut rest = FIRST;
    let mut said = false;
    loop {
        let fault = match Endpoint::bind(address) {
            Ok(endpoint) => {
                if said {
                    tracing::info!(%address, "the port of gossip is free: gossip begins");
                }
                return Ok(Some(endpoint));
            }
            Err(error) if error.is_taken() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(
                error = fault,
                "another process has the port of gossip: trying again, nothing is announced by \
                 layer 2 until then"
            );
        }
        let again = Instant::now() + rest;
        rest = (rest * 2).min(LONGEST);
        if !wait(again, &fault, ports).await {
            return Ok(None);
        }
    }
}

/// Waits until it is tried again; false if this node is to leave.
async fn wait(again: Instant, fault: &str, ports: &mut Ports) -> bool {
    loop {
        tokio::select! {
            _ = &mut ports.leave => {
                ports.seen.send_replace(Seen::Left(nobody()));
                return false;
            }
            Some(reply) = ports.queries.recv() => {
                let report = report::Gossip {
                    waiting: Some(fault.to_owned()),
                    ownership: "stateless".to_owned(),
                    ..report::Gossip::default()
                };
                // Whoever asked may have gone; that's theirs.
                let _gone = reply.send(report);
            }
            () = until(Some(again)) => return true,
        }
    }
}

/// What one sees who never was a member.
fn nobody() -> View {
    View {
        names: Arc::default(),
        left: Arc::default(),
        doubted: Arc::default(),
        claims: Arc::default(),
        fleet: Fleet::Stateless,
        term: 0,
    }
}
