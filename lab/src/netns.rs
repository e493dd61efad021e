//! A network namespace nobody but this process knows of.

use crate::process::{self, Process};
use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::thread;

/// A network namespace, held by its file descriptor: gone when the last handle and the last
/// process in it are.
#[derive(Clone, Debug)]
pub struct Netns {
    name: String,
    fd: Arc<OwnedFd>,
}

impl Netns {
    /// A new namespace with `lo` up, IPv6 addresses usable at once and no reverse path filter.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(name: &str) -> Result<Self> {
        let fd = in_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
            Ok(OwnedFd::from(File::open("/proc/thread-self/ns/net")?))
        })
        .with_context(|| format!("network namespace {name}"))?;
        let ns = Self {
            name: name.to_owned(),
            fd: Arc::new(fd),
        };
        // Addresses of the lab are unique by construction; waiting for duplicate address
        // detection would cost a second a link.
        for conf in ["all", "default"] {
            ns.sysctl(&format!("ipv6/conf/{conf}/accept_dad"), "0")?;
            ns.sysctl(&format!("ipv6/conf/{conf}/dad_transmits"), "0")?;
            ns.sysctl(&format!("ipv4/conf/{conf}/rp_filter"), "0")?;
        }
        ns.ip(&["link set lo up"])?;
        Ok(ns)
    }

    /// The name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path other processes can name the namespace by, as long as this one lives.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }

    /// Runs `work` on a thread in the namespace; sockets it opens stay there.
    ///
    /// # Errors
    /// Those of `work`, and if the namespace can't be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_thread(|| {
            self.enter()?;
            work()
        })
        .with_context(|| format!("in {}", self.name))
    }

    /// Moves the calling thread into the namespace.
    pub(crate) fn enter(&self) -> Result<()> {
        setns(self.fd.as_fd(), CloneFlags::CLONE_NEWNET).context("setns")
    }

    /// Starts a process in the namespace; it dies with this one, however this one ends.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn spawn(&self, label: &str, program: &str, args: &[String]) -> Result<Process> {
        process::spawn(self, label, program, args)
    }

    /// Runs a program to its end and gives its standard output.
    ///
    /// # Errors
    /// If it can't be run or fails, with what it said.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        self.run(|| {
            let out = Command::new(program)
                .args(args)
                .output()
                .with_context(|| format!("running {program}"))?;
            ensure!(
                out.status.success(),
                "{program} {}: {}",
                args.join(" "),
                String::from_utf8_lossy(&out.stderr).trim()
            );
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        })
    }

    /// Runs lines of `ip -batch`.
    ///
    /// # Errors
    /// With the line that failed.
    pub fn ip(&self, lines: &[impl AsRef<str> + Sync]) -> Result<()> {
        let text = lines
            .iter()
            .map(|l| format!("{}\n", l.as_ref()))
            .collect::<String>();
        self.run(|| process::feed("ip", &["-batch", "-"], &text))
    }

    /// Runs a script of `nft -f`.
    ///
    /// # Errors
    /// With what nft said.
    pub fn nft(&self, script: &str) -> Result<()> {
        self.run(|| process::feed("nft", &["-f", "-"], script))
    }

    /// Writes a setting below `/proc/sys/net`, path with slashes.
    ///
    /// # Errors
    /// If there is no such setting or the value is refused.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        self.run(|| {
            fs::write(format!("/proc/sys/net/{path}"), value)
                .with_context(|| format!("sysctl net/{path}={value}"))
        })
    }

    /// Sets a link up or down: what pulling the cable does to the other end, and what
    /// `ip link set down` does to this one.
    ///
    /// # Errors
    /// If there is no such link.
    pub fn set_link(&self, interface: &str, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        self.ip(&[format!("link set dev {interface} {state}")])
    }

    /// Drops this percentage of the frames an interface receives and sends; 0 ends it.
    ///
    /// # Errors
    /// If the kernel has no nftables `netdev` hooks.
    pub fn set_loss(&self, interface: &str, percent: u8) -> Result<()> {
        let table = format!("netdev loss_{interface}");
        let mut script = format!("table {table} {{}}\ndelete table {table}\n");
        if let Some(highest) = percent.checked_sub(1) {
            let hook = |hook: &str| {
                format!(
                    "chain {hook} {{ type filter hook {hook} device \"{interface}\" priority 0; \
                     numgen random mod 100 <= {highest} drop; }}\n"
                )
            };
            script.push_str(&format!(
                "table {table} {{\n{}{}}}\n",
                hook("ingress"),
                hook("egress")
            ));
        }
        self.nft(&script)
    }
}

/// Runs `work` on a thread of its own and waits for it.
fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|s| match s.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
