//! `corten run` on real links: one kernel, several hosts, nothing simulated.

mod assigning;
mod changing;
mod conflicting;
mod crashing;
mod draining;
mod gossiping;
mod ledgers;
mod mixing;
mod owning;
mod starting;

use anyhow::{Context, Result};
use corten_lab::trial::{self, Trial};
use std::net::IpAddr;
use std::process::ExitCode;

const TRIALS: &[&[Trial]] = &[
    owning::TRIALS,
    draining::TRIALS,
    gossiping::TRIALS,
    changing::TRIALS,
    conflicting::TRIALS,
    ledgers::TRIALS,
    mixing::TRIALS,
    assigning::TRIALS,
    starting::TRIALS,
    crashing::TRIALS,
];

fn main() -> ExitCode {
    trial::main(&TRIALS.concat())
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| text.to_owned())
}
