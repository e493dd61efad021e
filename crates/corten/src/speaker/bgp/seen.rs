//! What people see of the sessions.

use super::Driver;
use crate::report::{BgpMessages, BgpPeer};
use corten_wire::bgp as wire;
use std::sync::Arc;
use std::time::Instant;

impl Driver {
    /// Logs what is worth it; an attempt that fails as the last one did isn't.
    pub(super) fn say(&mut self, peer: &Arc<str>, notice: &wire::Notice) {
        match notice {
            wire::Notice::SessionUp(with) => {
                self.said.remove(peer);
                tracing::info!(%peer, asn = with.peer_asn, identifier = %with.identifier, "BGP session is up");
            }
            wire::Notice::SessionDown(why) => {
                tracing::warn!(%peer, %why, "BGP session is down");
            }
            wire::Notice::AttemptFailed(why) => {
                let before = self.said.insert(Arc::clone(peer), why.clone());
                if before.as_ref() != Some(why) {
                    tracing::warn!(%peer, why, "no BGP session: trying again");
                }
            }
            wire::Notice::EndOfRib(_) | wire::Notice::Left => {}
        }
    }

    /// Every peer, by name.
    pub(super) fn report(&self) -> Vec<BgpPeer> {
        let now = Instant::now();
        let spoken = self.machine.peers().filter_map(|(name, peer)| {
            let target = self.targets.get(name)?;
            let vrf = target.device.clone();
            Some(spoken(name, &target.remote.to_string(), vrf, peer, now))
        });
        let waiting = self.waiting.iter().map(|(name, why)| BgpPeer {
            peer: name.to_string(),
            state: "Waiting".to_owned(),
            error: Some(why.clone()),
            ..BgpPeer::default()
        });
        let mut all: Vec<_> = spoken.chain(waiting).collect();
        all.sort_by(|a, b| a.peer.cmp(&b.peer));
        all
    }
}

fn spoken(
    name: &str,
    address: &str,
    vrf: Option<String>,
    peer: &wire::Peer,
    now: Instant,
) -> BgpPeer {
    let session = peer.session();
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs();
    let wanted = peer.routes().map_or(0, |routes| routes.len());
    let (announced, pending) = (peer.announced(), peer.pending());
    let up = session.is_some();
    let counters = peer.counters();
    let messages = |c: &wire::MessageCounters| BgpMessages {
        opens: c.open,
        updates: c.update,
        notifications: c.notification,
        keepalives: c.keepalive,
        route_refreshes: c.route_refresh,
        total: c.total(),
    };
    // What went wrong before a session that is up is history.
    let error = peer.last_error().filter(|_| !up);
    BgpPeer {
        peer: name.to_owned(),
        address: Some(address.to_owned()),
        vrf,
        state: peer.state().to_string(),
        up_seconds: session.map(|s| ago(s.since)),
        error: error.map(|e| e.words.clone()),
        error_seconds: error.map(|e| ago(e.at)),
        announced,
        pending,
        withheld: if up {
            wanted.saturating_sub(announced + pending)
        } else {
            0
        },
        sent: messages(&counters.sent),
        received: messages(&counters.received),
    }
}
