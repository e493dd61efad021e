//! `corten bgp`.

use super::{ConnectArgs, OutputArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Show BGP sessions, what they announce, and their last messages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    corten bgp peers                      every session: state, timers, capabilities, BFD, last error\n  \
    corten bgp routes tor1                what the peer tor1 is told, and what not and why\n  \
    corten bgp messages --pcap bgp.pcap   the last messages as a capture for a protocol analyser")]
pub(crate) struct BgpArgs {
    #[command(subcommand)]
    pub(crate) command: BgpCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BgpCommand {
    /// Show the sessions: state, timers, capabilities, BFD, last error.
    Peers(PeersArgs),
    /// Show what each peer is told, and what not and why.
    Routes(RoutesArgs),
    /// Show the last messages from and to each peer.
    Messages(MessagesArgs),
}

/// Show the sessions: state, timers, capabilities, BFD, last error.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    pub(crate) of: OfArgs,
}

/// Show what each peer is told, and what not and why.
#[derive(Debug, Args)]
pub(crate) struct RoutesArgs {
    #[command(flatten)]
    pub(crate) of: OfArgs,
}

/// Show the last messages from and to each peer.
#[derive(Debug, Args)]
pub(crate) struct MessagesArgs {
    /// Write them to this file as a packet capture instead; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) of: OfArgs,
}

/// Which peers, asked of whom, shown how.
#[derive(Debug, Args)]
pub(crate) struct OfArgs {
    /// Name of a BGPPeer; all of this node unless given.
    #[arg(value_name = "PEER")]
    pub(crate) peer: Option<String>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
