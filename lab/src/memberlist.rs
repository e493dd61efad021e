//! Members of the real gossip library, as MetalLB's speakers are (`lab/memberlist`).

use crate::netns::Netns;
use crate::process::Process;
use crate::wait::wait_until;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When to give up.
const DEADLINE: Duration = Duration::from_secs(60);

/// The version of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// v0.5.1, which MetalLB runs.
    MetalLB,
    /// The newest.
    Newest,
}

/// A running member.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    process: Process,
}

impl Member {
    /// Starts one at an address; `flags` are those of `lab/memberlist`.
    ///
    /// # Errors
    /// If it wasn't built, or ends.
    pub fn start(
        ns: &Netns,
        version: Version,
        name: &str,
        at: IpAddr,
        flags: &[&str],
    ) -> Result<Self> {
        let program = binary(version)?.display().to_string();
        let bind = at.to_string();
        let mut args = vec!["-name", name, "-bind", &bind];
        args.extend(flags);
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let process = ns.spawn(name, &program, &args)?;
        let mut member = Self {
            name: name.to_owned(),
            process,
        };
        member.wait("a start", |lines| lines.iter().any(|l| l == "ready"))?;
        Ok(member)
    }

    /// Whom it takes for members, itself included.
    #[must_use]
    pub fn present(&self) -> BTreeSet<String> {
        let mut present = BTreeSet::new();
        for line in self.process.log() {
            match line.split_once(' ') {
                Some(("join", name)) => drop(present.insert(name.to_owned())),
                Some(("leave", name)) => drop(present.remove(name)),
                Some(_) | None => {}
            }
        }
        present
    }

    /// What it said.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Waits until its members are these.
    ///
    /// # Errors
    /// With what it said, if that doesn't happen.
    pub fn wait_present(&mut self, wanted: &[&str]) -> Result<()> {
        let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
        let what = format!("{wanted:?} on {}", self.name);
        wait_until(&what, DEADLINE, || {
            Ok((self.present() == wanted).then_some(()))
        })
        .with_context(|| self.log().join("\n  "))
    }

    fn wait(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Result<()> {
        wait_until(what, DEADLINE, || {
            ensure!(self.process.ended()?.is_none(), "{} ended", self.name);
            Ok(wanted(&self.process.log()).then_some(()))
        })
        .with_context(|| self.log().join("\n  "))
    }

    /// Makes it leave and waits for its end.
    ///
    /// # Errors
    /// If it goes on running.
    pub fn leave(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.wait(DEADLINE)?;
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }
}

fn binary(version: Version) -> Result<PathBuf> {
    let name = match version {
        Version::MetalLB => "v0.5.1",
        Version::Newest => "newest",
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no parent")?;
    let path = root.join(".cache/memberlist").join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `lab/setup.sh memberlist` first",
        path.display()
    );
    Ok(path)
}
