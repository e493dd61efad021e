//! Timers and limits from a file, in the form of MetalLB's memberlist config.json
//! (`spec/metallb.md` §5.6).

use anyhow::{Context as _, ensure};
use corten_api::duration::GoDuration;
use corten_wire::gossip::Parameters;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// Smallest and largest packet that makes sense.
const PACKET: std::ops::RangeInclusive<usize> = 576..=65_507;

/// What the file sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    pub(crate) parameters: Parameters,
    pub(crate) verify_incoming: bool,
    pub(crate) verify_outgoing: bool,
    pub(crate) compression: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            parameters: Parameters::LAN,
            verify_incoming: true,
            verify_outgoing: true,
            compression: true,
        }
    }
}

/// The file; names as Go's.
// DEVIATION: MetalLB takes a number or switch that is missing for 0 or false, which would switch
// gossip or encryption off; here it has the LAN profile's value.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    #[serde(rename = "TCPTimeout")]
    tcp_timeout: String,
    indirect_checks: Option<usize>,
    retransmit_mult: Option<u32>,
    suspicion_mult: Option<u32>,
    suspicion_max_timeout_mult: Option<u32>,
    push_pull_interval: String,
    probe_timeout: String,
    probe_interval: String,
    disable_tcp_pings: Option<bool>,
    awareness_max_multiplier: Option<u32>,
    gossip_nodes: Option<usize>,
    gossip_interval: String,
    gossip_to_the_dead_time: String,
    gossip_verify_incoming: Option<bool>,
    gossip_verify_outgoing: Option<bool>,
    enable_compression: Option<bool>,
    #[serde(rename = "UDPBufferSize")]
    udp_buffer_size: Option<usize>,
    /// Of Go's queue: checked, and without meaning here.
    queue_check_interval: String,
}

impl Tuning {
    /// The profile for nodes far apart.
    pub(crate) fn wan() -> Self {
        Self {
            parameters: Parameters::WAN,
            ..Self::default()
        }
    }

    /// Reads `path`, or takes the LAN profile.
    ///
    /// # Errors
    /// The file can't be read, a duration is missing or wrong (the message names it), or the
    /// values can't work.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let context = || format!("--gossip-config {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        Self::of(&text).with_context(context)
    }

    fn of(text: &str) -> anyhow::Result<Self> {
        let file: File = serde_json::from_str(text)?;
        let lan = Parameters::LAN;
        let parameters = Parameters {
            stream_timeout: duration("TCPTimeout", &file.tcp_timeout)?,
            indirect_checks: file.indirect_checks.unwrap_or(lan.indirect_checks),
            retransmit_mult: file.retransmit_mult.unwrap_or(lan.retransmit_mult),
            suspicion_mult: file.suspicion_mult.unwrap_or(lan.suspicion_mult),
            suspicion_max_timeout_mult: file
                .suspicion_max_timeout_mult
                .unwrap_or(lan.suspicion_max_timeout_mult),
            push_pull_interval: duration("PushPullInterval", &file.push_pull_interval)?,
            probe_timeout: duration("ProbeTimeout", &file.probe_timeout)?,
            probe_interval: duration("ProbeInterval", &file.probe_interval)?,
            stream_pings: file.disable_tcp_pings.map_or(lan.stream_pings, |off| !off),
            awareness_max: file.awareness_max_multiplier.unwrap_or(lan.awareness_max),
            gossip_nodes: file.gossip_nodes.unwrap_or(lan.gossip_nodes),
            gossip_interval: duration("GossipInterval", &file.gossip_interval)?,
            gossip_to_the_dead: duration("GossipToTheDeadTime", &file.gossip_to_the_dead_time)?,
            packet_size: file.udp_buffer_size.unwrap_or(lan.packet_size),
            ..lan
        };
        duration("QueueCheckInterval", &file.queue_check_interval)?;
        ensure!(
            PACKET.contains(&parameters.packet_size),
            "UDPBufferSize {}: must be {} to {}",
            parameters.packet_size,
            PACKET.start(),
            PACKET.end()
        );
        ensure!(
            !parameters.stream_timeout.is_zero(),
            "TCPTimeout: must not be zero"
        );
        Ok(Self {
            parameters,
            verify_incoming: file.gossip_verify_incoming.unwrap_or(true),
            verify_outgoing: file.gossip_verify_outgoing.unwrap_or(true),
            compression: file.enable_compression.unwrap_or(true),
        })
    }
}

fn duration(name: &str, text: &str) -> anyhow::Result<Duration> {
    let duration: GoDuration = text.parse().with_context(|| name.to_owned())?;
    duration
        .to_std()
        .with_context(|| format!("{name}: {text} is negative"))
}

#[cfg(test)]
mod tests;
