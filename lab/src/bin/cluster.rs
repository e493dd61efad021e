//! `corten-cluster`: starts the full cluster and a shell in it; when the shell ends, so does all.

use anyhow::{Context, Result};
use corten_lab::full::Cluster;
use corten_lab::kubernetes::binary;
use corten_lab::stage;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<()> {
    stage::enter()?;
    let runtime = std::env::current_exe()?.with_file_name("corten-runc");
    let cluster = Cluster::start(&runtime)?;
    for node in cluster.nodes() {
        node.install_corten()?;
    }
    let kubeconfig = cluster.kubernetes.administrator()?;
    let programs = PathBuf::from(binary("kubectl")?);
    let programs = programs.parent().context("no directory")?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/bash".to_owned());
    cluster.control().run(|| {
        // Nobody waits for a shell whose cluster is gone.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "HUP", "--", &shell]);
        command.args(std::env::args().skip(1));
        command.env("KUBECONFIG", kubeconfig).env("PATH", path);
        command.status().with_context(|| shell.clone())
    })?;
    Ok(())
}
