//! Corten on a real API server: etcd and kube-apiserver in a namespace of their own. Needs
//! privileges or user namespaces, iproute2 and the servers `lab/setup.sh cluster` builds.

mod admitting;
mod announcing;
mod assigning;
mod checklist;
mod defining;
mod enduring;
mod frring;
mod installing;
mod leading;
mod malforming;
mod objects;
mod outliving;
mod permitting;
mod routing;
mod scraping;
mod setup;
mod stating;

use corten_lab::trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    trial::main_at_once(
        &[
            checklist::assignment::TRIALS,
            checklist::families::TRIALS,
            checklist::layer2::TRIALS,
            checklist::metrics::TRIALS,
            checklist::state::TRIALS,
            defining::TRIALS,
            outliving::TRIALS,
            leading::TRIALS,
            malforming::TRIALS,
            enduring::TRIALS,
            installing::TRIALS,
            assigning::TRIALS,
            announcing::TRIALS,
            stating::TRIALS,
            permitting::TRIALS,
            routing::TRIALS,
            scraping::TRIALS,
            frring::TRIALS,
            admitting::TRIALS,
        ]
        .concat(),
        4,
    )
}
