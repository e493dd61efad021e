//! BGP from the facts side: where its table goes, and where its sessions are asked after.

use crate::ask::{PATIENCE, ask_within};
use crate::core::Core;
use crate::report::{BgpMessage, BgpPeer, BgpRoute, BgpRoutes, Standing};
use crate::speaker::bgp::{Beside, Ports, Query, convert};
use corten_engine::advertise::bgp::frr::{self, Passwords, Spec};
use corten_engine::advertise::bgp::{self, BgpPeer as Wanted, BgpTable};
use corten_engine::config;
use corten_engine::config::bfd::BfdProfile;
use corten_engine::config::peer::{Password, Peer};
use corten_engine::names::NodeName;
use corten_engine::speaker::BgpDriver;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// How a prefix stands, and why.
type Told = (Standing, Option<String>);

/// BGP from the facts side.
pub(super) enum Bgp {
    /// Nobody speaks it.
    Off,
    /// FRR does, as an FRRConfiguration says.
    Frr(Box<Configured>),
    /// The driver does.
    On {
        table: watch::Sender<Option<Arc<convert::Table>>>,
        /// The newest table, as long as the driver has none.
        first: Option<BgpTable>,
        queries: mpsc::Sender<Query>,
        beside: Beside,
    },
}

/// What FRR was told last, and how it is told.
pub(super) struct Configured {
    passwords: Passwords,
    /// What was rendered beside the table.
    peers: BTreeMap<String, Peer>,
    profiles: BTreeMap<String, BfdProfile>,
    shown: Vec<BgpPeer>,
}

impl Bgp {
    /// FRR speaks.
    pub(super) fn frr(passwords: Passwords) -> Self {
        Self::Frr(Box::new(Configured {
            passwords,
            peers: BTreeMap::new(),
            profiles: BTreeMap::new(),
            shown: Vec::new(),
        }))
    }

    /// Both ends of a driver, and what ends it when dropped.
    pub(super) fn on(beside: Beside) -> (Self, Ports, oneshot::Sender<()>) {
        let (table, table_rx) = watch::channel(None);
        let (queries, queries_rx) = mpsc::channel(8);
        let (stay, stop) = oneshot::channel();
        let ports = Ports {
            table: table_rx,
            queries: queries_rx,
            beside,
            stop,
        };
        let on = Self::On {
            table,
            first: None,
            queries,
            beside,
        };
        (on, ports, stay)
    }

    /// What the speaker is to know of it.
    pub(super) fn driver(&self) -> BgpDriver {
        match self {
            Self::Off => BgpDriver::Absent,
            Self::Frr(_) => BgpDriver::Frr,
            Self::On { .. } => BgpDriver::Present,
        }
    }

    /// What FRR is to be told now, if anything new; `news` says that the table changed.
    pub(super) fn configuration(&mut self, core: &Core, news: bool) -> Option<Spec> {
        let (node, config) = (core.speaker.node(), &core.facts.config.bgp);
        match self {
            // It gives up what this process is about to have.
            Self::On { beside, .. } => (*beside == Beside::Frr && news).then(|| frr::idle(node)),
            Self::Frr(last) => last.configuration(core, node, config, news),
            Self::Off => None,
        }
    }

    /// Takes a table: at once, or the first of all when [`Self::begin`] is called.
    pub(super) fn tell(&mut self, new: BgpTable) {
        if let Self::On { table, first, .. } = self {
            if table.borrow().is_none() {
                *first = Some(new);
            } else {
                table.send_replace(Some(Arc::new(convert::table(&new))));
            }
        }
    }

    /// Everything was decided once: the first table is no half of what follows at once, and what
    /// peers are told at its end (End-of-RIB) is true.
    pub(super) fn begin(&mut self) {
        if let Self::On { table, first, .. } = self
            && let Some(first) = first.take()
        {
            table.send_replace(Some(Arc::new(convert::table(&first))));
        }
    }

    /// The peers; none if nobody speaks or the wire thread doesn't answer.
    pub(super) async fn report(&self) -> Vec<BgpPeer> {
        match self {
            Self::Frr(last) => last.shown.clone(),
            Self::On { .. } | Self::Off => self.ask(Query::Peers).await,
        }
    }

    /// The last messages, likewise.
    pub(super) async fn messages(&self) -> Vec<BgpMessage> {
        self.ask(Query::Messages).await
    }

    /// What each peer of `wanted` is told, and what not.
    pub(super) async fn routes(&self, wanted: &BgpTable) -> Vec<BgpRoutes> {
        let standings = self.ask(Query::Standings).await;
        let peers = wanted.peers.iter();
        let routes = peers.map(|(name, peer)| routes(name, peer, standings.get(name)));
        routes.collect()
    }

    async fn ask<T: Default>(&self, query: impl FnOnce(oneshot::Sender<T>) -> Query) -> T {
        let Self::On { queries, .. } = self else {
            return T::default();
        };
        let answer = ask_within(PATIENCE, queries, query).await;
        answer.unwrap_or_default()
    }
}

impl Configured {
    fn configuration(
        &mut self,
        core: &Core,
        node: &NodeName,
        config: &config::Bgp,
        news: bool,
    ) -> Option<Spec> {
        let same = self.peers == config.peers && self.profiles == config.bfd;
        // DEVIATION: MetalLB may delete the object before its own configuration is read.
        // Before Secrets are listed a peer would lose its password, and with it its session.
        let awaited = |peer: &Peer| matches!(peer.password, Password::Awaited { .. });
        let unknown = self.passwords != Passwords::Unseen && config.peers.values().any(awaited);
        if (same && !news) || unknown || !bgp::ready(&core.facts) {
            return None;
        }
        (self.peers, self.profiles) = (config.peers.clone(), config.bfd.clone());
        let table = core.speaker.bgp_table();
        let shown = table.peers.iter().map(|(name, peer)| BgpPeer {
            peer: name.clone(),
            address: Some(peer.session.remote.to_string()),
            vrf: peer.session.vrf.clone(),
            state: "HeldByFrr".to_owned(),
            error: Some(format!("told by FRRConfiguration {}", frr::name(node))),
            ..BgpPeer::default()
        });
        self.shown = shown.collect();
        Some(frr::render(node, config, &table, self.passwords))
    }
}

fn routes(name: &str, peer: &Wanted, standings: Option<&BTreeMap<IpNet, Told>>) -> BgpRoutes {
    let told = peer.routes.iter().map(|(prefix, route)| {
        let standing = standings.and_then(|standings| standings.get(prefix));
        let (standing, why) = standing.cloned().unwrap_or_else(|| {
            let why = "there is no session".to_owned();
            (Standing::Pending, Some(why))
        });
        let attributes = &route.attributes;
        BgpRoute {
            prefix: prefix.to_string(),
            standing,
            why,
            services: route.services.iter().map(ToString::to_string).collect(),
            local_pref: (attributes.local_pref != 0).then_some(attributes.local_pref),
            communities: attributes
                .communities
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    });
    let withheld = peer.withheld.iter().map(|(prefix, reason)| BgpRoute {
        prefix: prefix.to_string(),
        standing: Standing::Withheld,
        why: Some(reason.to_string()),
        services: Vec::new(),
        local_pref: None,
        communities: Vec::new(),
    });
    BgpRoutes {
        peer: name.to_owned(),
        routes: told.chain(withheld).collect(),
    }
}

#[cfg(test)]
mod tests;
