//! Control groups of the nodes. The kernel keeps them when nobody is in them any more.

use super::description;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the hierarchies are.
const ROOT: &str = "/sys/fs/cgroup";

/// The groups below one name, in every hierarchy.
#[derive(Debug)]
pub(super) struct Groups {
    name: String,
    reaper: Child,
}

impl Groups {
    /// A name of this process's own. A process that outlives this one removes the groups in the
    /// end.
    pub(super) fn create() -> Result<Self> {
        ensure!(
            Path::new(ROOT).join("memory/cgroup.procs").exists(),
            "the full cluster needs control groups of version 1 below {ROOT}"
        );
        let first = format!("corten-lab-{}", std::process::id());
        let name = (1..)
            .map(|n| format!("{first}-{n}"))
            .find(|name| !Path::new(ROOT).join("memory").join(name).exists())
            .context("no name")?;
        fs::create_dir(Path::new(ROOT).join("memory").join(&name)).context(ROOT)?;
        let mut command = Command::new("setsid");
        command.arg(description("reap.sh")).arg(&name);
        let quiet = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let reaper = quiet.spawn().context("reap.sh")?;
        Ok(Self { name, reaper })
    }

    /// The path of a node's groups in every hierarchy.
    pub(super) fn of(&self, node: &str) -> String {
        format!("{}/{node}", self.name)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        // It says itself what it can't remove.
        let _ = self.reaper.wait();
    }
}
