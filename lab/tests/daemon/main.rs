//! `corten run` on real links: one kernel, several hosts, nothing simulated.

mod asking;
mod assigning;
mod changing;
mod checking;
mod conflicting;
mod crashing;
mod demonstrating;
mod draining;
mod exhausting;
mod filling;
mod flooding;
mod gossiping;
mod healthy;
mod ledgers;
mod measuring;
mod misusing;
mod mixing;
mod owning;
mod starting;
mod supervising;
mod telling;

use anyhow::{Context, Result};
use corten_lab::site::{self, Site};
use corten_lab::trial::{self, Trial};
use corten_lab::world::Plan;
use std::net::IpAddr;
use std::process::ExitCode;

const TRIALS: &[&[Trial]] = &[
    owning::TRIALS,
    draining::TRIALS,
    gossiping::TRIALS,
    changing::TRIALS,
    healthy::TRIALS,
    conflicting::TRIALS,
    ledgers::TRIALS,
    mixing::TRIALS,
    assigning::TRIALS,
    starting::TRIALS,
    supervising::TRIALS,
    measuring::TRIALS,
    asking::TRIALS,
    telling::TRIALS,
    demonstrating::TRIALS,
    crashing::TRIALS,
    filling::TRIALS,
    exhausting::TRIALS,
    checking::TRIALS,
    flooding::TRIALS,
    misusing::TRIALS,
];

fn main() -> ExitCode {
    trial::main(&TRIALS.concat())
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| text.to_owned())
}

/// One host on one LAN with a pool of both families; nothing runs yet.
fn small() -> Result<Site> {
    let plan = Plan {
        nodes: 1,
        lans: vec!["red".to_owned()],
        ..Plan::default()
    };
    let site = Site::new(&plan)?;
    site.manifests.write("config.yaml", &site::basics())?;
    Ok(site)
}
