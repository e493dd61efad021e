//! The snapshot of `corten status`, from the cores that act.

use super::{BgpPeer, Conflict, Event, Gossip, Interface, Pool, Service, Status, Usage};
use crate::core::Core;
use crate::speaker::l2::Snapshot;
use corten_api::pool::IPAddressPoolStatus;
use corten_engine::advertise::l2::{Home, Verdict};
use corten_engine::config;
use corten_engine::controller::AllocationState;
use corten_engine::event::EventRecord;
use corten_engine::facts;
use corten_engine::membership::Membership;
use corten_engine::speaker::BgpDriver;
use std::time::Duration;

/// What the cores don't know.
pub(crate) struct Around {
    pub(crate) uptime: Duration,
    pub(crate) assign: bool,
    pub(crate) rejections: Vec<String>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) warnings: Vec<String>,
    pub(crate) frames: Snapshot,
    pub(crate) gossip: Option<Gossip>,
    pub(crate) bgp_peers: Vec<BgpPeer>,
}

/// Builds the snapshot.
pub(crate) fn status(core: &Core, around: Around) -> Status {
    let facts = &core.facts;
    let counters = core.pools();
    let waiting = around.gossip.as_ref().and_then(|g| g.waiting.as_ref());
    let waits = waiting.is_some();
    Status {
        node: core.speaker.node().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: around.uptime.as_secs(),
        ready: core.is_ready(),
        allocator: core.role.controller().is_some(),
        assign: around.assign,
        membership: match &core.membership {
            Some(Membership::Disabled) => "disabled: every Node is a candidate".to_owned(),
            Some(Membership::Members(alive)) => format!("{} alive", alive.len()),
            None if waits => "not known yet: waiting for the port of gossip".to_owned(),
            None => "not known yet: looking for others".to_owned(),
        },
        services: facts
            .services
            .values()
            .filter(|s| s.is_load_balancer)
            .map(|s| service(core, s, &around.frames))
            .collect(),
        pools: facts
            .config
            .pools
            .values()
            .map(|p| pool(p, counters.get(&p.name)))
            .collect(),
        interfaces: around.interfaces,
        conflicts: around.conflicts,
        dropped_frames: around.frames.drops,
        lost_frames: around.frames.kernel_drops,
        rejections: around.rejections,
        warnings: around.warnings,
        bgp_peers: around.bgp_peers,
        gossip: around.gossip,
        events: core.events.iter().map(event).collect(),
    }
}

fn service(core: &Core, service: &facts::Service, frames: &Snapshot) -> Service {
    let decision = core.speaker.decision(&core.facts, &service.key);
    let verdict = decision.as_ref().map(|d| d.verdict(core.speaker.node()));
    let addresses = decision.as_ref().map_or(&[][..], |d| d.addresses());
    let winner = decision
        .as_ref()
        .and_then(|d| d.winner())
        .map(ToString::to_string);
    let (announced, reason, message) = match &verdict {
        Some(Verdict::Announce(announcement)) => {
            let message = match announcement.conflicts.first() {
                None => "announced by this node".to_owned(),
                Some(c) => format!("announced by this node, but {} answers, too", c.mac),
            };
            (true, None, message)
        }
        Some(Verdict::Withhold(reason)) => (false, Some(reason_name(reason)), reason.to_string()),
        None => (
            false,
            Some("notReady".to_owned()),
            "nothing is decided yet".to_owned(),
        ),
    };
    // Why there is no address is the allocator's to say, where it runs here.
    let message = match (core.role.controller(), addresses) {
        (Some(controller), []) => {
            let state = controller.state(&service.key);
            state
                .and_then(AllocationState::reason)
                .map_or(message, ToString::to_string)
        }
        (Some(_) | None, _) => message,
    };
    let bgp_peers = bgp_peers(core, service);
    let (announced, reason, message) = if announced || bgp_peers.is_empty() {
        (announced, reason, message)
    } else {
        (true, None, "announced over BGP by this node".to_owned())
    };
    Service {
        service: service.key.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        pool: decision.as_ref().and_then(|d| match d.home() {
            Home::Pool(name) => Some(name.to_string()),
            Home::Nowhere | Home::Uncertain(_) => None,
        }),
        announced,
        bgp_peers,
        winner,
        reason,
        message,
        frames: addresses
            .iter()
            .filter_map(|ip| frames.frames.get(ip).cloned())
            .collect(),
    }
}

/// Peers that are to hear of the Service, where somebody speaks to them.
fn bgp_peers(core: &Core, service: &facts::Service) -> Vec<String> {
    match core.speaker.bgp_driver() {
        BgpDriver::Absent => Vec::new(),
        BgpDriver::Present | BgpDriver::Frr => {
            let peers = core.speaker.bgp_peers(&service.key).into_iter();
            peers.map(str::to_owned).collect()
        }
    }
}

/// The variant's name, as `-o json` of a verdict has it.
fn reason_name(reason: &corten_engine::advertise::l2::Reason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|v| v.get("reason").and_then(|r| r.as_str()).map(str::to_owned))
        .unwrap_or_default()
}

fn pool(pool: &config::Pool, counters: Option<&IPAddressPoolStatus>) -> Pool {
    Pool {
        name: pool.name.to_string(),
        addresses: pool.entries.iter().map(|e| e.text.clone()).collect(),
        usage: counters.map(|c| Usage {
            assigned_ipv4: c.assigned_ipv4,
            available_ipv4: c.available_ipv4,
            assigned_ipv6: c.assigned_ipv6,
            available_ipv6: c.available_ipv6,
        }),
    }
}

fn event((time, record): &(jiff::Timestamp, EventRecord)) -> Event {
    Event {
        time: time.to_string(),
        severity: format!("{:?}", record.severity),
        service: record.service.to_string(),
        reason: record.reason.to_owned(),
        message: record.message.clone(),
    }
}

impl From<&corten_engine::advertise::l2::Conflict> for Conflict {
    fn from(c: &corten_engine::advertise::l2::Conflict) -> Self {
        Self {
            ip: c.ip.to_string(),
            mac: c.mac.to_string(),
            interface: c.interface.clone(),
            proxy_arp: c.proxy_arp,
        }
    }
}
