//! The chart and the image on kubelets: three nodes that run pods, the real helm, and a client that
//! is no node. Needs root and what `lab/setup.sh full` and `make e2e` build.
//!
//! Trials share a cluster; after one that failed the next has a new one.

mod explaining;
mod failing;
mod reaching;
mod replacing;
mod rolling;
mod running;
mod scene;

use corten_lab::trial;
use std::process::ExitCode;

fn main() -> ExitCode {
    let code = trial::main(
        &[
            running::TRIALS,
            reaching::TRIALS,
            explaining::TRIALS,
            rolling::TRIALS,
            failing::TRIALS,
            replacing::TRIALS,
        ]
        .concat(),
    );
    scene::end();
    code
}
