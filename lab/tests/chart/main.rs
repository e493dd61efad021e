//! The Helm chart: what it renders, and that the real helm installs it on a real API server in
//! MetalLB's place and takes it away again. Needs what `lab/setup.sh cluster` builds, and
//! privileges or user namespaces.

mod alerting;
mod documenting;
mod helm;
mod imaging;
mod installing;
mod kustomizing;
mod naming;
mod permitting;
mod preflighting;
mod running;
mod swapping;
mod values;

use corten_lab::trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    trial::main_at_once(
        &[
            values::TRIALS,
            naming::TRIALS,
            permitting::TRIALS,
            running::TRIALS,
            installing::TRIALS,
            swapping::TRIALS,
            alerting::TRIALS,
            kustomizing::TRIALS,
            preflighting::TRIALS,
            imaging::TRIALS,
            documenting::TRIALS,
        ]
        .concat(),
        2,
    )
}
