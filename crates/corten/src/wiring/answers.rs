//! Answers to questions, from the state between two events.

use super::FactsSide;
use crate::output::printable;
use crate::questions::Question;
use crate::report::build::{self, Around};
use crate::report::{BgpPeer, Deferred, Explained, Gossip};
use crate::speaker::l2::Observed;
use corten_cluster::http::Health;
use corten_cluster::metrics;
use corten_engine::advertise::bgp::BgpPeer as BgpPeerOf;
use corten_engine::advertise::bgp::{Hops, Kind as Relation, Session};
use corten_engine::config::peer::{Bfd, Remote};
use corten_engine::explain::{self, Allocation};
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use corten_engine::speaker::BgpDriver;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio::sync::watch;

impl FactsSide {
    /// Answers one question; an asker that went away is no concern.
    pub(super) async fn answer(&self, question: Question, observed: &watch::Receiver<Observed>) {
        match question {
            Question::Health(reply) => drop(reply.send(self.health().await)),
            Question::Explain(key, reply) => drop(reply.send(self.explain(&key).await)),
            Question::Metrics(reply) => drop(reply.send(self.metrics(observed).await)),
            Question::BgpPeers(reply) => drop(reply.send(self.bgp.report().await)),
            Question::BgpRoutes(reply) => {
                let wanted = self.core.speaker.bgp_table();
                drop(reply.send(self.bgp.routes(&wanted).await));
            }
            Question::BgpMessages(reply) => drop(reply.send(self.bgp.messages().await)),
            Question::Status(reply) => {
                let around = self.around(observed).await;
                drop(reply.send(build::status(&self.core, around)));
            }
        }
    }

    async fn health(&self) -> Health {
        if !self.is_alive().await {
            Health::Stuck("the thread that answers the LAN")
        } else if self.core.is_ready() {
            Health::Ready
        } else {
            Health::Waiting
        }
    }

    async fn explain(&self, key: &ServiceKey) -> Option<Explained> {
        let core = &self.core;
        let allocation = core.role.controller().map_or(Allocation::Elsewhere, |c| {
            c.state(key)
                .map_or(Allocation::Undecided, |s| Allocation::Decided(s.clone()))
        });
        let mut explanation = explain::explain(&core.facts, &core.speaker, allocation, key)?;
        for rejection in &mut explanation.rejections {
            *rejection = self.source.locate(rejection);
        }
        let snapshot = self.snapshot().await.unwrap_or_default();
        let addresses = || explanation.addresses.iter();
        let frames = addresses().filter_map(|ip| snapshot.frames.get(ip));
        let frames = frames.cloned().collect();
        let deferred = addresses().filter_map(|ip| {
            let to = snapshot.deferred.get(ip)?.clone();
            let ip = ip.to_string();
            Some(Deferred { ip, to })
        });
        let deferred = deferred.collect();
        Some(Explained {
            explanation,
            deferred,
            frames,
        })
    }

    async fn metrics(&self, observed: &watch::Receiver<Observed>) -> String {
        let core = &self.core;
        let frames = self.snapshot().await.unwrap_or_default().frames;
        let layer2 = frames.iter().map(|(ip, f)| {
            let counters = metrics::Layer2 {
                requests_received: f.requests,
                responses_sent: f.responses,
                gratuitous_sent: f.gratuitous,
            };
            (*ip, counters)
        });
        let gossip = self.link.report().await;
        let gossip = gossip.filter(|g| g.waiting.is_none());
        let peers = self.bgp.report().await;
        let bgp = peers.iter().filter_map(bgp_metrics);
        let bfd = peers.iter().filter_map(bfd_metrics);
        let announced =
            core.speaker
                .announced()
                .map(|(service, protocol, ip)| metrics::Announced {
                    service: service.clone(),
                    protocol: protocol.as_str(),
                    node: core.speaker.node().clone(),
                    ip,
                });
        metrics::Snapshot {
            pools: core.pools(),
            layer2: layer2.collect(),
            announced: announced.collect(),
            bgp: bgp.collect(),
            bfd: bfd.collect(),
            gossip: gossip.map(|g| gossip_metrics(&g)),
            source: Some(core.source_counters),
            conflicts: observed.borrow().conflicts.clone(),
            rejections: core.facts.problems().to_vec(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: metrics::process::Process::now(),
        }
        .to_text()
    }

    /// What someone should look at, ready to be printed.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.source.warnings();
        let (facts, node) = (&self.core.facts, self.core.speaker.node());
        let known = !facts.is_listed(&[Kind::Node]) || facts.nodes.contains_key(node);
        if self.core.role.announces() && !known {
            warnings.push(format!(
                "there is no Node named {node}: this host is no candidate"
            ));
        }
        warnings.extend(self.without_echo());
        warnings
    }

    /// BGP peers that want what isn't there.
    fn without_echo(&self) -> Vec<String> {
        let speaker = &self.core.speaker;
        let peers = match speaker.bgp_driver() {
            BgpDriver::Absent | BgpDriver::Frr => BTreeMap::new(),
            BgpDriver::Present => speaker.bgp_table().peers,
        };
        let warning = |(name, peer): (String, BgpPeerOf)| match &peer.session.bfd {
            Bfd::On { name: of, profile } if profile.echo_mode && !may_echo(&peer.session) => {
                Some(format!(
                    "BGPPeer {name}: BFD profile {of} asks for echo packets, which are for IPv4 over \
                     one hop: the way is watched by control packets alone"
                ))
            }
            Bfd::On { .. } | Bfd::Off => None,
        };
        peers.into_iter().filter_map(warning).collect()
    }

    pub(super) fn rejections(&self) -> Vec<String> {
        let problems = self.core.facts.problems().iter();
        problems
            .map(|r| printable(&self.source.locate(r).to_string()))
            .collect()
    }

    async fn around(&self, observed: &watch::Receiver<Observed>) -> Around {
        let frames = self.snapshot().await.unwrap_or_default();
        let gossip = self.link.report().await;
        let bgp_peers = self.bgp.report().await;
        let waiting = gossip.as_ref().and_then(|g| g.waiting.as_ref());
        let waiting = waiting.map(|fault| {
            format!("{fault}: nothing is announced by layer 2 until gossip has its port")
        });
        let warnings = self.warnings().into_iter().chain(waiting).collect();
        let observed = observed.borrow();
        Around {
            uptime: self.started.elapsed(),
            assign: self.assign,
            rejections: self.rejections(),
            interfaces: observed.interfaces.clone(),
            conflicts: observed.conflicts.iter().map(Into::into).collect(),
            warnings,
            frames,
            gossip,
            bgp_peers,
        }
    }
}

/// Whether echo packets can watch the way of a session, as far as its peer says.
fn may_echo(session: &Session) -> bool {
    let multihop = (session.hops, session.kind) == (Hops::Any, Relation::External);
    matches!(session.remote, Remote::Address(IpAddr::V4(_))) && !multihop
}

/// A peer with a session to be, measured; labelled as MetalLB does (`spec/metallb.md` §6.10).
fn bgp_metrics(peer: &BgpPeer) -> Option<((String, String), metrics::Bgp)> {
    let vrf = peer.vrf.clone().unwrap_or_else(|| "default".to_owned());
    let measured = metrics::Bgp {
        up: peer.up_seconds.is_some(),
        announced_prefixes: u64::try_from(peer.announced).unwrap_or(u64::MAX),
        opens_sent: peer.sent.opens,
        opens_received: peer.received.opens,
        notifications_sent: peer.sent.notifications,
        updates_sent: peer.sent.updates,
        updates_received: peer.received.updates,
        keepalives_sent: peer.sent.keepalives,
        keepalives_received: peer.received.keepalives,
        route_refreshes_sent: peer.sent.route_refreshes,
        total_sent: peer.sent.total,
        total_received: peer.received.total,
    };
    Some(((peer.address.clone()?, vrf), measured))
}

/// Its BFD session, measured likewise.
fn bfd_metrics(peer: &BgpPeer) -> Option<((String, String), metrics::Bfd)> {
    let vrf = peer.vrf.clone().unwrap_or_else(|| "default".to_owned());
    let bfd = peer.bfd.as_ref()?;
    let measured = metrics::Bfd {
        up: bfd.state == "Up",
        packets_received: bfd.packets_received,
        packets_sent: bfd.packets_sent,
        echoes_sent: bfd.echoes_sent,
        echoes_returned: bfd.echoes_returned,
        ups: bfd.ups,
        downs: bfd.downs,
        notices: bfd.notices,
    };
    Some(((bfd.peer.clone(), vrf), measured))
}

/// Gossip, measured.
fn gossip_metrics(gossip: &Gossip) -> metrics::Gossip {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let in_state = |state| gossip.members.iter().filter(|m| m.state == state).count();
    let states = ["alive", "suspect", "dead", "left"];
    metrics::Gossip {
        members: states.map(|state| (state, count(in_state(state)))).into(),
        health: gossip.health.into(),
        probes: gossip.probes,
        probes_failed: gossip.probes_failed,
        suspicions: gossip.suspicions,
        refuted: gossip.refuted,
        accusations: gossip.accusations,
        acquittals: gossip.acquittals,
        exchanges: gossip.exchanges,
        packets_sent: gossip.packets_sent,
        bytes_sent: gossip.bytes_sent,
        packets_received: gossip.packets_received,
        bytes_received: gossip.bytes_received,
        dropped: gossip.dropped.clone(),
        broadcasts: count(gossip.broadcasts),
        claims: count(gossip.claimed),
        ownership: gossip.ownership.clone(),
    }
}
