//! `corten bgp`.

mod text;

use crate::cli::bgp::{BgpArgs, BgpCommand, MessagesArgs, OfArgs};
use crate::report::{BgpMessage, BgpPeer, BgpRoutes};
use crate::{control, output};
use anyhow::Context as _;
use corten_wire::bgp::{Direction, Recorded, to_pcap};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Asks the running instance and prints what it says.
pub(crate) fn run(args: &BgpArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        BgpCommand::Peers(args) => {
            let peers: Vec<BgpPeer> = ask("peers", &args.of, |peer: &BgpPeer| &peer.peer)?;
            output::emit(&peers, args.of.output.output, |p, style| {
                text::peers(p, style)
            })?;
        }
        BgpCommand::Routes(args) => {
            let routes: Vec<BgpRoutes> = ask("routes", &args.of, |of: &BgpRoutes| &of.peer)?;
            output::emit(&routes, args.of.output.output, |r, style| {
                text::routes(r, style)
            })?;
        }
        BgpCommand::Messages(args) => messages(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is of every peer, or of the one asked for.
fn ask<T: DeserializeOwned>(
    what: &str,
    args: &OfArgs,
    peer: impl Fn(&T) -> &String,
) -> anyhow::Result<Vec<T>> {
    let socket = &args.connect.socket;
    let mut all: Vec<T> = control::get(socket, &format!("/v1/bgp/{what}"))?;
    if let Some(name) = &args.peer {
        let peers: Vec<BgpPeer> = control::get(socket, "/v1/bgp/peers")?;
        let known = peers.iter().any(|peer| peer.peer == *name);
        anyhow::ensure!(known, "there is no BGPPeer {name} of this node");
        all.retain(|one| peer(one) == name);
    }
    Ok(all)
}

fn messages(args: &MessagesArgs) -> anyhow::Result<()> {
    let messages: Vec<BgpMessage> = ask("messages", &args.of, |of: &BgpMessage| &of.peer)?;
    let Some(file) = &args.pcap else {
        return output::emit(&messages, args.of.output.output, |m, _| text::messages(m));
    };
    let capture = capture(&messages)?;
    if file == Path::new("-") {
        return Ok(output::print(&capture)?);
    }
    std::fs::write(file, capture).with_context(|| file.display().to_string())
}

/// The messages as a packet capture.
fn capture(messages: &[BgpMessage]) -> anyhow::Result<Vec<u8>> {
    // Any moment will do for the first of them: only the time since then counts.
    let origin = Instant::now();
    let first = messages.iter().map(|message| message.time).min();
    let first = first.unwrap_or_default();
    let recorded = messages.iter().map(|message| {
        let since = Duration::try_from(message.time.duration_since(first))?;
        Ok(Recorded {
            at: origin + since,
            direction: match message.sent {
                true => Direction::Sent,
                false => Direction::Received,
            },
            local: message.local,
            peer: message.remote,
            bytes: octets(&message.octets).context("the answer has octets that are none")?,
            length: message.length,
        })
    });
    let recorded = recorded.collect::<anyhow::Result<Vec<_>>>()?;
    let epoch = Duration::try_from(first.as_duration())?;
    Ok(to_pcap(&recorded, |at| {
        epoch + at.saturating_duration_since(origin)
    }))
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let pair = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(pair).collect())?
}

#[cfg(test)]
mod tests;
