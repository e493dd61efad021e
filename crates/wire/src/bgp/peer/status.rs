//! What there is to see of a peer.

use super::connection::Endpoints;
use super::{Peer, PeerOptions};
use crate::bgp::counters::Counters;
use crate::bgp::fsm::State;
use crate::bgp::negotiate::Negotiated;
use crate::bgp::prefix::Prefix;
use crate::bgp::received::Count;
use crate::bgp::rib::Advertised;
use crate::bgp::ring::Recorded;
use crate::bgp::routes::Routes;
use std::sync::Arc;
use std::time::Instant;

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Instant,
    /// What, in words.
    pub words: String,
}

/// An established session.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// What was agreed on.
    pub negotiated: &'a Negotiated,
    /// Over which connection.
    pub endpoints: Endpoints,
    /// Since when.
    pub since: Instant,
}

impl Peer {
    /// What it is configured with.
    pub fn options(&self) -> &PeerOptions {
        &self.options
    }

    /// The table that is wanted; `None` until there was one.
    pub fn routes(&self) -> Option<&Arc<Routes>> {
        self.wanted.as_ref()
    }

    /// The state; of two connections that of the one that is further.
    pub fn state(&self) -> State {
        let rival = self.rival.as_ref().map(|rival| rival.fsm.state());
        rival.map_or(self.main.fsm.state(), |rival| {
            rival.max(self.main.fsm.state())
        })
    }

    /// The session, if one is established.
    pub fn session(&self) -> Option<Session<'_>> {
        let connection = self.main.connection.as_ref()?;
        Some(Session {
            since: self.main.fsm.established()?,
            negotiated: connection.negotiated.as_ref()?,
            endpoints: connection.endpoints?,
        })
    }

    /// The ConnectRetryCounter (RFC 4271 §8.1.1).
    pub fn connect_retry_counter(&self) -> u32 {
        self.main.fsm.retries()
    }

    /// Counters since it was configured.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The last thing that went wrong.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The last messages, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Recorded> {
        self.ring.iter()
    }

    /// Prefixes the peer has of us.
    pub fn announced(&self) -> usize {
        self.rib.announced()
    }

    /// Prefixes still to be announced or withdrawn.
    pub fn pending(&self) -> usize {
        self.rib.pending()
    }

    /// What is known about one prefix.
    pub fn advertised(&self, prefix: Prefix) -> Advertised {
        self.rib.advertised(prefix)
    }

    /// Prefixes the peer announces; all are dropped.
    pub fn received(&self) -> Count {
        self.heard.count()
    }
}
