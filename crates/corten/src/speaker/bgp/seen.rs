//! What people see of the sessions.

use super::peers::LEAVES;
use super::{Driver, Standings};
use crate::report::{self, BgpMessage, BgpMessages, BgpPeer, BgpSession, Standing};
use crate::speaker::bfd::{Seen, Way};
use corten_wire::bfd::Diagnostic;
use corten_wire::bgp as wire;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    pub(super) async fn report(&self) -> Vec<BgpPeer> {
        let watched = match &self.bfd {
            Some(bfd) => bfd.report().await,
            None => BTreeMap::new(),
        };
        let now = Instant::now();
        let spoken = self.machine.peers().filter_map(|(name, peer)| {
            let target = self.targets.get(name)?;
            let vrf = target.device.clone();
            let mut seen = spoken(name, &target.remote.to_string(), vrf, peer, now);
            if self.retired {
                seen.error = Some(LEAVES.to_owned());
            }
            seen.bfd = self.ways.get(name).map(|way| bfd(way, watched.get(way)));
            Some(seen)
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

impl Driver {
    /// What became of the table, peer by peer.
    pub(super) fn standings(&self) -> Standings {
        let peers = self.machine.peers().map(|(name, peer)| {
            let up = peer.session().is_some();
            let prefixes = peer.routes().into_iter().flat_map(|routes| routes.keys());
            let standings = prefixes.filter_map(|prefix| {
                let standing = match peer.advertised(*prefix) {
                    wire::Advertised::No => return None,
                    wire::Advertised::Sent => (Standing::Announced, None),
                    wire::Advertised::Withheld(why) => (Standing::Withheld, Some(why.to_string())),
                    wire::Advertised::Pending => {
                        let why = (!up).then(|| "there is no session".to_owned());
                        (Standing::Pending, why)
                    }
                };
                Some((
                    IpNet::new(prefix.address(), prefix.length()).ok()?,
                    standing,
                ))
            });
            (name.to_string(), standings.collect())
        });
        peers.collect()
    }

    /// The last messages, in the order of time.
    pub(super) fn messages(&self) -> Vec<BgpMessage> {
        let (now, clock) = (Instant::now(), jiff::Timestamp::now());
        let peers = self.machine.peers();
        let messages = peers.flat_map(|(name, peer)| peer.messages().map(move |m| (name, m)));
        let mut messages: Vec<_> = messages.collect();
        messages.sort_by_key(|(_, message)| message.at);
        let one = |(name, message): (&Arc<str>, &wire::Recorded)| BgpMessage {
            time: clock
                .checked_sub(now.saturating_duration_since(message.at))
                .unwrap_or(clock),
            peer: name.to_string(),
            sent: message.direction == wire::Direction::Sent,
            local: message.local,
            remote: message.peer,
            length: message.length,
            text: message.to_string(),
            octets: hex(&message.bytes),
        };
        messages.into_iter().map(one).collect()
    }
}

fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a String can't fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn agreed(peer: &wire::Peer, session: &wire::Session<'_>) -> BgpSession {
    let (options, agreed) = (peer.options(), session.negotiated);
    BgpSession {
        local: session.endpoints.local.to_string(),
        asn: options.asn,
        identifier: options.identifier.to_string(),
        peer_asn: agreed.peer_asn,
        peer_identifier: agreed.identifier.to_string(),
        hold_seconds: agreed.hold_time.as_secs(),
        keepalive_seconds: agreed.keepalive.as_secs(),
        families: agreed.families.iter().map(|f| f.to_string()).collect(),
        capabilities: agreed
            .capabilities
            .iter()
            .map(ToString::to_string)
            .collect(),
        kept: agreed.kept,
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
        session: session.map(|session| agreed(peer, &session)),
        retries: peer.connect_retry_counter(),
        heard: peer.received().to_string(),
        announced,
        pending,
        withheld: if up {
            wanted.saturating_sub(announced + pending)
        } else {
            0
        },
        sent: messages(&counters.sent),
        received: messages(&counters.received),
        bfd: None,
    }
}

fn bfd(way: &Way, seen: Option<&Seen>) -> report::Bfd {
    let session = seen.and_then(|seen| seen.session);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    report::Bfd {
        local: way.local.to_string(),
        peer: way.remote.ip().to_string(),
        multihop: way.multihop,
        state: session.map_or("Waiting".to_owned(), |s| s.state.to_string()),
        peer_state: session
            .filter(|s| s.peer.discriminator != 0)
            .map(|s| s.peer.state.to_string()),
        diagnostic: session
            .filter(|s| s.diagnostic != Diagnostic::NONE)
            .map(|s| s.diagnostic.to_string()),
        transmit_milliseconds: session.and_then(|s| s.transmit_interval).map(milliseconds),
        detection_milliseconds: session.and_then(|s| s.detection_time).map(milliseconds),
        error: seen.and_then(|seen| seen.error.clone()),
        echo: session.is_some_and(|s| s.echo),
        echoes_sent: session.map_or(0, |s| s.echoes_sent),
        echoes_returned: session.map_or(0, |s| s.echoes_returned),
        packets_sent: session.map_or(0, |s| s.sent),
        packets_received: session.map_or(0, |s| s.received),
        packets_ignored: session.map_or(0, |s| s.ignored),
        ups: seen.map_or(0, |seen| seen.ups),
        downs: seen.map_or(0, |seen| seen.downs),
        notices: seen.map_or(0, |seen| seen.notices),
    }
}
