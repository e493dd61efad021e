//! Corten on a real API server: etcd and kube-apiserver in a namespace of their own. Needs
//! privileges or user namespaces, iproute2 and the servers `lab/setup.sh cluster` builds.

mod assigning;
mod installing;
mod objects;
mod setup;

use corten_lab::trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    trial::main(&[installing::TRIALS, assigning::TRIALS].concat())
}
