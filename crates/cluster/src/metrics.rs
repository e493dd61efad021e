//! Metrics, from a snapshot to the Prometheus text format 0.0.4: MetalLB's names, types and
//! labels (`spec/metallb.md` §4.8, §5.4, §6.10, §7.6) and our own under `corten_`.
//!
//! The text is written here rather than by a client library: MetalLB has counters without
//! `_total` and gauges with it, which such libraries put right. A snapshot holds what exists now,
//! so the series of a pool or Service vanish with it. [`FAMILIES`] is the list that
//! `docs/reference/metrics.md` explains; a test keeps the two equal.

mod bfd;
mod bgp;
mod gossip;
pub mod process;

pub use bfd::Bfd;
pub use bgp::Bgp;
pub use gossip::Gossip;

use corten_api::pool::IPAddressPoolStatus;
use corten_engine::advertise::l2::Conflict;
use corten_engine::names::{NodeName, PoolName, ServiceKey};
use corten_engine::rejection::{Rejection, Subject};
use process::Process;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Everything measured, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Counters of every accepted pool; only an allocator has them.
    pub pools: BTreeMap<PoolName, IPAddressPoolStatus>,
    /// Frames by announced address.
    pub layer2: BTreeMap<IpAddr, Layer2>,
    /// What this node announces.
    pub announced: BTreeSet<Announced>,
    /// BGP sessions, by address and port of the peer and by VRF.
    pub bgp: BTreeMap<(String, String), Bgp>,
    /// BFD sessions, by address of the peer and by VRF.
    pub bfd: BTreeMap<(String, String), Bfd>,
    /// Gossip; none where membership is off or gossip doesn't answer.
    pub gossip: Option<Gossip>,
    /// The source; none while it isn't read, since another instance is at work.
    pub source: Option<Source>,
    /// Conflicts known now.
    pub conflicts: BTreeSet<Conflict>,
    /// Rejections now.
    pub rejections: Vec<Rejection>,
    /// Version of the program.
    pub version: String,
    /// The process.
    pub process: Process,
}

/// Frames about one address since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer2 {
    /// Requests for it.
    pub requests_received: u64,
    /// Answers.
    pub responses_sent: u64,
    /// Gratuitous frames.
    pub gratuitous_sent: u64,
}

/// One address this node announces for one Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Announced {
    /// The Service.
    pub service: ServiceKey,
    /// `layer2` or `bgp`.
    pub protocol: &'static str,
    /// This node.
    pub node: NodeName,
    /// The address.
    pub ip: IpAddr,
}

/// What came from the source of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Changes taken in since the start.
    pub updates: u64,
    /// Changes that brought a rejection.
    pub update_errors: u64,
    /// Whether a configuration was ever in use.
    pub config_loaded: bool,
    /// Whether a part of the newest configuration is rejected, so that an older one is in use.
    pub config_stale: bool,
}

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only rises, except at a restart.
    Counter,
    /// Any value.
    Gauge,
}

impl Type {
    /// The name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Series with one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub type_: Type,
    /// Label names.
    pub labels: &'static [&'static str],
    /// Help.
    pub help: &'static str,
    samples: fn(&Snapshot) -> Vec<Sample>,
}

/// Label values in the family's order, and the value.
struct Sample(Vec<String>, String);

impl Sample {
    fn plain(value: impl ToString) -> Vec<Self> {
        vec![Self(Vec::new(), value.to_string())]
    }
}

fn pools(snapshot: &Snapshot, value: fn(&IPAddressPoolStatus) -> i64) -> Vec<Sample> {
    let pools = snapshot.pools.iter();
    pools
        .map(|(name, status)| Sample(vec![name.to_string()], value(status).to_string()))
        .collect()
}

fn source(snapshot: &Snapshot, value: fn(&Source) -> u64) -> Vec<Sample> {
    let read = snapshot.source.iter();
    read.flat_map(|source| Sample::plain(value(source)))
        .collect()
}

fn layer2(snapshot: &Snapshot, value: fn(&Layer2) -> u64) -> Vec<Sample> {
    let addresses = snapshot.layer2.iter();
    addresses
        .map(|(ip, counters)| Sample(vec![ip.to_string()], value(counters).to_string()))
        .collect()
}

// DEVIATION: metallb_allocator_services_allocated_total, registered and never set, is left out.
/// Every family, in the order written.
pub const FAMILIES: [Family; 61] = [
    Family {
        name: "metallb_allocator_addresses_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "Addresses a pool has, without those it holds back",
        samples: |s| pools(s, |p| ipv4_total(p).saturating_add(ipv6_total(p))),
    },
    Family {
        name: "metallb_allocator_ipv4_addresses_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "IPv4 addresses a pool has, without those it holds back",
        samples: |s| pools(s, ipv4_total),
    },
    Family {
        name: "metallb_allocator_ipv6_addresses_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "IPv6 addresses a pool has",
        samples: |s| pools(s, ipv6_total),
    },
    Family {
        name: "metallb_allocator_addresses_in_use_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "Addresses of a pool in use; a shared address counts once",
        samples: |s| pools(s, |p| p.assigned_ipv4.saturating_add(p.assigned_ipv6)),
    },
    Family {
        name: "metallb_allocator_ipv4_addresses_in_use_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "IPv4 addresses of a pool in use; a shared address counts once",
        samples: |s| pools(s, |p| p.assigned_ipv4),
    },
    Family {
        name: "metallb_allocator_ipv6_addresses_in_use_total",
        type_: Type::Gauge,
        labels: &["pool"],
        help: "IPv6 addresses of a pool in use; a shared address counts once",
        samples: |s| pools(s, |p| p.assigned_ipv6),
    },
    Family {
        name: "metallb_layer2_requests_received",
        type_: Type::Counter,
        labels: &["ip"],
        help: "ARP requests and neighbour solicitations received for an address",
        samples: |s| layer2(s, |c| c.requests_received),
    },
    Family {
        name: "metallb_layer2_responses_sent",
        type_: Type::Counter,
        labels: &["ip"],
        help: "ARP replies and neighbour advertisements sent in answer for an address",
        samples: |s| layer2(s, |c| c.responses_sent),
    },
    Family {
        name: "metallb_layer2_gratuitous_sent",
        type_: Type::Counter,
        labels: &["ip"],
        help: "Gratuitous frames sent for an address, one for each frame and interface",
        samples: |s| layer2(s, |c| c.gratuitous_sent),
    },
    Family {
        name: "metallb_speaker_announced",
        type_: Type::Gauge,
        labels: &["service", "protocol", "node", "ip"],
        help: "1 for each address this node announces for a Service",
        samples: announced,
    },
    Family {
        name: "metallb_bgp_session_up",
        type_: Type::Gauge,
        labels: &["peer", "vrf"],
        help: "1 while the session with a peer is established, else 0",
        samples: |s| bgp::samples(s, |b| u64::from(b.up)),
    },
    Family {
        name: "metallb_bgp_announced_prefixes_total",
        type_: Type::Gauge,
        labels: &["peer", "vrf"],
        help: "Prefixes a peer has of this node",
        samples: |s| bgp::samples(s, |b| b.announced_prefixes),
    },
    Family {
        name: "metallb_bgp_opens_sent",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "OPENs sent to a peer",
        samples: |s| bgp::samples(s, |b| b.opens_sent),
    },
    Family {
        name: "metallb_bgp_opens_received",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "OPENs received from a peer",
        samples: |s| bgp::samples(s, |b| b.opens_received),
    },
    Family {
        name: "metallb_bgp_notifications_sent",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "NOTIFICATIONs sent to a peer",
        samples: |s| bgp::samples(s, |b| b.notifications_sent),
    },
    Family {
        name: "metallb_bgp_updates_total",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "UPDATEs sent to a peer",
        samples: |s| bgp::samples(s, |b| b.updates_sent),
    },
    Family {
        name: "metallb_bgp_updates_total_received",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "UPDATEs received from a peer",
        samples: |s| bgp::samples(s, |b| b.updates_received),
    },
    Family {
        name: "metallb_bgp_keepalives_sent",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "KEEPALIVEs sent to a peer",
        samples: |s| bgp::samples(s, |b| b.keepalives_sent),
    },
    Family {
        name: "metallb_bgp_keepalives_received",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "KEEPALIVEs received from a peer",
        samples: |s| bgp::samples(s, |b| b.keepalives_received),
    },
    Family {
        name: "metallb_bgp_route_refresh_sent",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "ROUTE-REFRESHs sent to a peer",
        samples: |s| bgp::samples(s, |b| b.route_refreshes_sent),
    },
    Family {
        name: "metallb_bgp_total_sent",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BGP messages sent to a peer",
        samples: |s| bgp::samples(s, |b| b.total_sent),
    },
    Family {
        name: "metallb_bgp_total_received",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BGP messages received from a peer",
        samples: |s| bgp::samples(s, |b| b.total_received),
    },
    Family {
        name: "metallb_bfd_session_up",
        type_: Type::Gauge,
        labels: &["peer", "vrf"],
        help: "1 while the BFD session with a peer is up, else 0",
        samples: |s| bfd::samples(s, |b| u64::from(b.up)),
    },
    Family {
        name: "metallb_bfd_control_packet_input",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BFD control packets of a peer taken",
        samples: |s| bfd::samples(s, |b| b.packets_received),
    },
    Family {
        name: "metallb_bfd_control_packet_output",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BFD control packets sent to a peer",
        samples: |s| bfd::samples(s, |b| b.packets_sent),
    },
    Family {
        name: "metallb_bfd_echo_packet_input",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BFD echo packets that a peer returned",
        samples: |s| bfd::samples(s, |b| b.echoes_returned),
    },
    Family {
        name: "metallb_bfd_echo_packet_output",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "BFD echo packets sent to be returned by a peer",
        samples: |s| bfd::samples(s, |b| b.echoes_sent),
    },
    Family {
        name: "metallb_bfd_session_up_events",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "Times the BFD session with a peer went up",
        samples: |s| bfd::samples(s, |b| b.ups),
    },
    Family {
        name: "metallb_bfd_session_down_events",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "Times the BFD session with a peer went down",
        samples: |s| bfd::samples(s, |b| b.downs),
    },
    Family {
        name: "metallb_bfd_zebra_notifications",
        type_: Type::Counter,
        labels: &["peer", "vrf"],
        help: "Times BGP was told of a change of the BFD session",
        samples: |s| bfd::samples(s, |b| b.notices),
    },
    Family {
        name: "metallb_k8s_client_updates_total",
        type_: Type::Counter,
        labels: &[],
        help: "Changes taken in from the source of facts",
        samples: |s| source(s, |f| f.updates),
    },
    Family {
        name: "metallb_k8s_client_update_errors_total",
        type_: Type::Counter,
        labels: &[],
        help: "Changes that brought a rejection",
        samples: |s| source(s, |f| f.update_errors),
    },
    Family {
        name: "metallb_k8s_client_config_loaded_bool",
        type_: Type::Gauge,
        labels: &[],
        help: "1 once a configuration has been in use",
        samples: |s| source(s, |f| u64::from(f.config_loaded)),
    },
    Family {
        name: "metallb_k8s_client_config_stale_bool",
        type_: Type::Gauge,
        labels: &[],
        help: "1 while a part of the newest configuration is rejected and an older one in use",
        samples: |s| source(s, |f| u64::from(f.config_stale)),
    },
    Family {
        name: "corten_address_conflict",
        type_: Type::Gauge,
        labels: &["ip", "mac", "interface"],
        help: "1 while a stranger answers for an address this node announces",
        samples: conflicts,
    },
    Family {
        name: "corten_gossip_members",
        type_: Type::Gauge,
        labels: &["state"],
        help: "Members known to gossip, by state; those gone not long ago included",
        samples: gossip::members,
    },
    Family {
        name: "corten_gossip_health",
        type_: Type::Gauge,
        labels: &[],
        help: "0 while this node takes itself for healthy; more stretches its timers",
        samples: |s| gossip::samples(s, |g| g.health),
    },
    Family {
        name: "corten_gossip_probes_total",
        type_: Type::Counter,
        labels: &[],
        help: "Probes of members begun",
        samples: |s| gossip::samples(s, |g| g.probes),
    },
    Family {
        name: "corten_gossip_probes_failed_total",
        type_: Type::Counter,
        labels: &[],
        help: "Probes that nobody answered",
        samples: |s| gossip::samples(s, |g| g.probes_failed),
    },
    Family {
        name: "corten_gossip_suspicions_total",
        type_: Type::Counter,
        labels: &[],
        help: "Members that came under suspicion, whoever suspected them",
        samples: |s| gossip::samples(s, |g| g.suspicions),
    },
    Family {
        name: "corten_gossip_refutations_total",
        type_: Type::Counter,
        labels: &[],
        help: "Suspicions of this node that it refuted",
        samples: |s| gossip::samples(s, |g| g.refuted),
    },
    Family {
        name: "corten_gossip_accusations_total",
        type_: Type::Counter,
        labels: &[],
        help: "Neighbours that the fast detector of this node accused",
        samples: |s| gossip::samples(s, |g| g.accusations),
    },
    Family {
        name: "corten_gossip_acquittals_total",
        type_: Type::Counter,
        labels: &[],
        help: "Accused neighbours that were alive",
        samples: |s| gossip::samples(s, |g| g.acquittals),
    },
    Family {
        name: "corten_gossip_exchanges_total",
        type_: Type::Counter,
        labels: &[],
        help: "Exchanges of the whole state with a member",
        samples: |s| gossip::samples(s, |g| g.exchanges),
    },
    Family {
        name: "corten_gossip_packets_sent_total",
        type_: Type::Counter,
        labels: &[],
        help: "Gossip packets sent",
        samples: |s| gossip::samples(s, |g| g.packets_sent),
    },
    Family {
        name: "corten_gossip_bytes_sent_total",
        type_: Type::Counter,
        labels: &[],
        help: "Bytes of gossip packets sent",
        samples: |s| gossip::samples(s, |g| g.bytes_sent),
    },
    Family {
        name: "corten_gossip_packets_received_total",
        type_: Type::Counter,
        labels: &[],
        help: "Gossip packets received, usable or not",
        samples: |s| gossip::samples(s, |g| g.packets_received),
    },
    Family {
        name: "corten_gossip_bytes_received_total",
        type_: Type::Counter,
        labels: &[],
        help: "Bytes of gossip packets received",
        samples: |s| gossip::samples(s, |g| g.bytes_received),
    },
    Family {
        name: "corten_gossip_dropped_total",
        type_: Type::Counter,
        labels: &["reason"],
        help: "Packets and messages left aside, by reason; the reasons are a closed list",
        samples: gossip::dropped,
    },
    Family {
        name: "corten_gossip_broadcasts",
        type_: Type::Gauge,
        labels: &[],
        help: "Rumours in the queue that are yet to be told",
        samples: |s| gossip::samples(s, |g| g.broadcasts),
    },
    Family {
        name: "corten_gossip_claims",
        type_: Type::Gauge,
        labels: &[],
        help: "Addresses that a live member claims",
        samples: |s| gossip::samples(s, |g| g.claims),
    },
    Family {
        name: "corten_gossip_ownership",
        type_: Type::Gauge,
        labels: &["policy"],
        help: "1 for what decides who has an address where no advertisement says otherwise; stateless while claims can't count",
        samples: gossip::ownership,
    },
    Family {
        name: "corten_rejections",
        type_: Type::Gauge,
        labels: &["kind"],
        help: "Rejected objects by kind; Unidentified for what can't be told from its text",
        samples: rejections,
    },
    Family {
        name: "corten_build_info",
        type_: Type::Gauge,
        labels: &["version"],
        help: "Always 1; the version is in the label",
        samples: |s| vec![Sample(vec![s.version.clone()], "1".to_owned())],
    },
    Family {
        name: "process_cpu_seconds_total",
        type_: Type::Counter,
        labels: &[],
        help: "Processor time used by the process, user and system, in seconds",
        samples: |s| Sample::plain(s.process.cpu.as_secs_f64()),
    },
    Family {
        name: "process_resident_memory_bytes",
        type_: Type::Gauge,
        labels: &[],
        help: "Memory of the process that is resident, in bytes",
        samples: |s| Sample::plain(s.process.resident_bytes),
    },
    Family {
        name: "process_virtual_memory_bytes",
        type_: Type::Gauge,
        labels: &[],
        help: "Address space of the process, in bytes",
        samples: |s| Sample::plain(s.process.virtual_bytes),
    },
    Family {
        name: "process_open_fds",
        type_: Type::Gauge,
        labels: &[],
        help: "Open file descriptors of the process",
        samples: |s| Sample::plain(s.process.open_fds),
    },
    Family {
        name: "process_max_fds",
        type_: Type::Gauge,
        labels: &[],
        help: "Most file descriptors the process may open",
        samples: |s| Sample::plain(s.process.max_fds),
    },
    Family {
        name: "process_threads",
        type_: Type::Gauge,
        labels: &[],
        help: "Threads of the process",
        samples: |s| Sample::plain(s.process.threads),
    },
    Family {
        name: "process_start_time_seconds",
        type_: Type::Gauge,
        labels: &[],
        help: "Start of the process, in seconds since 1970",
        samples: |s| Sample::plain(s.process.started.as_secs_f64()),
    },
];

fn ipv4_total(pool: &IPAddressPoolStatus) -> i64 {
    pool.assigned_ipv4.saturating_add(pool.available_ipv4)
}

fn ipv6_total(pool: &IPAddressPoolStatus) -> i64 {
    pool.assigned_ipv6.saturating_add(pool.available_ipv6)
}

fn announced(snapshot: &Snapshot) -> Vec<Sample> {
    let one = |a: &Announced| {
        let labels = [
            a.service.to_string(),
            a.protocol.to_owned(),
            a.node.to_string(),
            a.ip.to_string(),
        ];
        Sample(labels.into(), "1".to_owned())
    };
    snapshot.announced.iter().map(one).collect()
}

fn conflicts(snapshot: &Snapshot) -> Vec<Sample> {
    let labels = |c: &Conflict| vec![c.ip.to_string(), c.mac.to_string(), c.interface.clone()];
    let distinct: BTreeSet<_> = snapshot.conflicts.iter().map(labels).collect();
    distinct
        .into_iter()
        .map(|labels| Sample(labels, "1".to_owned()))
        .collect()
}

fn rejections(snapshot: &Snapshot) -> Vec<Sample> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for rejection in &snapshot.rejections {
        let kind = match &rejection.subject {
            Subject::Object(object) => object.kind.to_string(),
            Subject::Unidentified => "Unidentified".to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
        .into_iter()
        .map(|(kind, count)| Sample(vec![kind], count.to_string()))
        .collect()
}

impl Snapshot {
    /// The snapshot as text; a family without series is left out.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for family in &FAMILIES {
            let samples = (family.samples)(self);
            if samples.is_empty() {
                continue;
            }
            let (name, type_) = (family.name, family.type_.name());
            // Writing to a String can't fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {type_}", family.help);
            for Sample(values, value) in samples {
                text.push_str(name);
                write_labels(&mut text, family.labels, &values);
                let _ = writeln!(text, " {value}");
            }
        }
        text
    }
}

fn write_labels(text: &mut String, names: &[&str], values: &[String]) {
    for (index, (name, value)) in names.iter().zip(values).enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if !names.is_empty() {
        text.push('}');
    }
}

#[cfg(test)]
mod tests;
