//! Timers and limits (`spec/metallb.md` §5.6).

use super::detector::Detection;
use std::time::Duration;

/// How members probe, suspect and gossip. A period of zero switches its activity off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Longest life of a stream (`TCPTimeout`).
    pub stream_timeout: Duration,
    /// Members asked to probe in our stead (`IndirectChecks`).
    pub indirect_checks: usize,
    /// Transmissions of a rumour, times ⌈log10(members + 1)⌉ (`RetransmitMult`).
    pub retransmit_mult: u32,
    /// Shortest suspicion, times the probe interval and log10 of the members (`SuspicionMult`).
    pub suspicion_mult: u32,
    /// Longest suspicion, times the shortest (`SuspicionMaxTimeoutMult`).
    pub suspicion_max_timeout_mult: u32,
    /// Between exchanges of whole states (`PushPullInterval`); longer with more than 32 members.
    pub push_pull_interval: Duration,
    /// Until others are asked to probe (`ProbeTimeout`).
    pub probe_timeout: Duration,
    /// Between probes, and until a probe has failed (`ProbeInterval`).
    pub probe_interval: Duration,
    /// Whether a member that isn't heard in packets is tried on a stream (`DisableTcpPings`
    /// turned round).
    pub stream_pings: bool,
    /// By how much timers are stretched at most while this node itself may be the slow one
    /// (`AwarenessMaxMultiplier`).
    pub awareness_max: u32,
    /// Members gossiped to at a time (`GossipNodes`).
    pub gossip_nodes: usize,
    /// Between rounds of gossip (`GossipInterval`).
    pub gossip_interval: Duration,
    /// How long the dead are gossiped to, so that they hear of it (`GossipToTheDeadTime`).
    pub gossip_to_the_dead: Duration,
    /// Most bytes of a packet sent (`UDPBufferSize`).
    pub packet_size: usize,
    /// After this long a dead member's name may come back with another address; zero for never.
    pub dead_reclaim: Duration,
    /// How members that know it watch each other besides.
    pub detection: Detection,
}

impl Parameters {
    /// The profile for one network, the default; as memberlist has it, without a detector.
    pub const LAN: Self = Self {
        stream_timeout: Duration::from_secs(10),
        indirect_checks: 3,
        retransmit_mult: 4,
        suspicion_mult: 4,
        suspicion_max_timeout_mult: 6,
        push_pull_interval: Duration::from_secs(30),
        probe_timeout: Duration::from_millis(500),
        probe_interval: Duration::from_secs(1),
        stream_pings: true,
        awareness_max: 8,
        gossip_nodes: 3,
        gossip_interval: Duration::from_millis(200),
        gossip_to_the_dead: Duration::from_secs(30),
        packet_size: 1400,
        dead_reclaim: Duration::ZERO,
        detection: Detection::Off,
    };

    /// The profile for networks far apart.
    pub const WAN: Self = Self {
        stream_timeout: Duration::from_secs(30),
        suspicion_mult: 6,
        push_pull_interval: Duration::from_secs(60),
        probe_timeout: Duration::from_secs(3),
        probe_interval: Duration::from_secs(5),
        gossip_nodes: 4,
        gossip_interval: Duration::from_millis(500),
        gossip_to_the_dead: Duration::from_secs(60),
        ..Self::LAN
    };

    /// The profile for members on one machine.
    pub const LOCAL: Self = Self {
        stream_timeout: Duration::from_secs(1),
        indirect_checks: 1,
        retransmit_mult: 2,
        suspicion_mult: 3,
        push_pull_interval: Duration::from_secs(15),
        probe_timeout: Duration::from_millis(200),
        probe_interval: Duration::from_secs(1),
        gossip_interval: Duration::from_millis(100),
        gossip_to_the_dead: Duration::from_secs(15),
        ..Self::LAN
    };

    /// Transmissions of a rumour among so many members.
    pub(super) fn retransmits(&self, members: usize) -> u32 {
        let mut digits = 0;
        let mut reach = 1;
        // ⌈log10(members + 1)⌉.
        while reach < members.saturating_add(1) {
            reach = reach.saturating_mul(10);
            digits += 1;
        }
        self.retransmit_mult.saturating_mul(digits)
    }

    /// Shortest suspicion among so many members.
    pub(super) fn suspicion_min(&self, members: usize) -> Duration {
        let scale = f64::from(u32::try_from(members).unwrap_or(u32::MAX)).max(1.0);
        let scale = scale.log10().max(1.0);
        self.probe_interval
            .mul_f64(scale)
            .saturating_mul(self.suspicion_mult)
    }

    /// The shortest time in which others can find this node dead although nothing was said
    /// against it before.
    #[must_use]
    pub fn shortest_death(&self) -> Duration {
        let suspicion = self.suspicion_min(1).max(Duration::from_secs(1));
        match self.detection {
            Detection::Off => suspicion,
            // The last heartbeat may have gone out one interval before the silence.
            Detection::On {
                interval,
                multiplier,
                confirm,
            } => suspicion.min(interval * multiplier.saturating_sub(1) + confirm),
        }
    }

    /// Between exchanges among so many members.
    pub(super) fn push_pull_period(&self, members: usize) -> Duration {
        const THRESHOLD: usize = 32;
        let mut scale = 1;
        let mut reach = THRESHOLD;
        // One more for each doubling begun beyond 32.
        while reach < members {
            reach = reach.saturating_mul(2);
            scale += 1;
        }
        self.push_pull_interval.saturating_mul(scale)
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self::LAN
    }
}

#[cfg(test)]
mod tests;
