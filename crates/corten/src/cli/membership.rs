//! Flags of membership.

use clap::{Args, ValueEnum};
use corten_api::duration::GoDuration;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Port of gossip unless another is given (`spec/metallb.md` §5.6).
const PORT: u16 = 7946;

/// Who is alive. Off unless an address is given.
#[derive(Debug, Args)]
pub(crate) struct MembershipArgs {
    /// Address, of this host, on which membership is gossiped (UDP and TCP, port 7946 unless
    /// given). Without it membership is off: every Node counts as alive.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_BIND",
        value_name = "ADDR[:PORT]",
        value_parser = bind
    )]
    pub(crate) gossip_bind: Option<SocketAddr>,
    /// Another member, or a DNS name of several; to be given as often as needed.
    #[arg(
        long,
        env = "CORTEN_JOIN",
        value_name = "HOST[:PORT]",
        value_delimiter = ',',
        requires = "gossip_bind"
    )]
    pub(crate) join: Vec<Host>,
    /// File with the secret that encrypts gossip; without it anybody can take part. A new secret
    /// in it is taken up while running.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_SECRET",
        value_name = "FILE",
        requires = "gossip_bind"
    )]
    pub(crate) gossip_secret: Option<PathBuf>,
    /// How long after a new secret was read it encrypts, and after twice as long the old one is
    /// forgotten: time for all hosts to read it.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_SECRET_GRACE",
        value_name = "DURATION",
        default_value = "2m",
        value_parser = duration
    )]
    pub(crate) gossip_secret_grace: Duration,
    /// Name of the cluster in front of every packet, so that neighbours don't mix.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_LABEL",
        value_name = "TEXT",
        default_value = "",
        requires = "gossip_bind"
    )]
    pub(crate) gossip_label: String,
    #[command(flatten)]
    pub(crate) corten: CortenMemberArgs,
    /// File of timers and limits, in the form of MetalLB's memberlist config.json.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_CONFIG",
        value_name = "FILE",
        requires = "gossip_bind"
    )]
    pub(crate) gossip_config: Option<PathBuf>,
}

/// What members of Corten have beside what memberlist has.
#[derive(Debug, Args)]
pub(crate) struct CortenMemberArgs {
    /// How fast members of Corten notice that one of them is gone: `fast` (0.2 to 0.5 s),
    /// `conservative` (1 to 3 s), or `off` (some seconds, as among MetalLB's).
    #[arg(
        long,
        env = "CORTEN_GOSSIP_DETECTOR",
        value_name = "PROFILE",
        default_value = "fast"
    )]
    pub(crate) gossip_detector: Detector,
    /// Who has an address when several nodes might: `metallb`, whom the hash says, or `sticky`,
    /// whoever has it already. Sticky holds once all members want it and have claimed what they
    /// have for 30 s; the annotation corten.io/ownership of an L2Advertisement goes before.
    #[arg(
        long,
        env = "CORTEN_OWNERSHIP",
        value_name = "POLICY",
        default_value = "metallb"
    )]
    pub(crate) ownership: Ownership,
}

/// How fast a member's end is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Detector {
    /// 50 ms × 4.
    Fast,
    /// 200 ms × 5.
    Conservative,
    /// No heartbeats.
    Off,
}

/// Who has an address when several nodes might.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ownership {
    /// Whom the hash says.
    Metallb,
    /// Whoever has it already.
    Sticky,
}

/// Where another member may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Name or address.
    pub(crate) name: String,
    /// Port.
    pub(crate) port: u16,
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither HOST, HOST:PORT, nor [ADDR]:PORT");
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                name: address.ip().to_string(),
                port: address.port(),
            });
        }
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self {
                name: ip.to_string(),
                port: PORT,
            });
        }
        let (name, port) = match text.split_once(':') {
            None => (text, PORT),
            Some((name, port)) => (name, port.parse().map_err(|_| wrong())?),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(known) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            port,
        })
    }
}

fn bind(text: &str) -> Result<SocketAddr, String> {
    let host: Host = text.parse()?;
    let ip: IpAddr = host
        .name
        .parse()
        .map_err(|_| format!("{text:?} is no address: others are told exactly this one"))?;
    if ip.is_unspecified() || ip.is_multicast() || host.port == 0 {
        return Err(format!(
            "others can't reach {text:?}: give one address of this host"
        ));
    }
    Ok(SocketAddr::new(ip, host.port))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse().map_err(|e| format!("{e}"))?;
    duration
        .to_std()
        .ok_or_else(|| format!("{text} is negative"))
}

#[cfg(test)]
mod tests;
