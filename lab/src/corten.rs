//! A running `corten run`, and the command line that asks it.

use crate::manifests::state_directory;
use crate::netns::Netns;
use crate::process::Process;
use crate::wait::wait_until;
use crate::world::Node;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;
use tempfile::TempDir;

/// When to give up on a process.
const DEADLINE: Duration = Duration::from_secs(60);

/// An instance on a node.
#[derive(Debug)]
pub struct Corten {
    /// The node's name.
    pub node: String,
    ns: Netns,
    manifests: PathBuf,
    state: TempDir,
    options: Vec<String>,
    process: Process,
}

/// What `corten status -o json` says, as far as the lab asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether everything was listed once and decided on.
    pub ready: bool,
    /// LoadBalancer Services.
    pub services: Vec<Service>,
    /// Strangers answering for our addresses.
    pub conflicts: Vec<Conflict>,
    /// Objects not accepted.
    pub rejections: Vec<String>,
    /// What was read but not used.
    pub warnings: Vec<String>,
    /// BGP peers of the node.
    pub bgp_peers: Vec<BgpPeer>,
    /// Members, where membership is on.
    #[serde(default)]
    pub gossip: Option<Gossip>,
}

/// A BGP peer of a [`Status`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpPeer {
    /// Name of the BGPPeer.
    pub peer: String,
    /// State of the session.
    pub state: String,
    /// What went wrong last, while the session isn't up.
    #[serde(default)]
    pub error: Option<String>,
    /// Seconds the session has been up.
    #[serde(default)]
    pub up_seconds: Option<u64>,
    /// The BFD session beside it.
    #[serde(default)]
    pub bfd: Option<Bfd>,
}

/// The BFD session beside a BGP session.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bfd {
    /// Our state.
    pub state: String,
    /// The peer's state, once it was heard.
    #[serde(default)]
    pub peer_state: Option<String>,
    /// Why it isn't up, or wasn't.
    #[serde(default)]
    pub diagnostic: Option<String>,
    /// Times it went down.
    pub downs: u64,
    /// Whether it is for several hops.
    pub multihop: bool,
    /// Whether echo packets are sent.
    pub echo: bool,
    /// Echo packets that came back.
    pub echoes_returned: u64,
    /// Packets that didn't count.
    pub packets_ignored: u64,
}

/// Gossip in a [`Status`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gossip {
    /// Whether whoever has an address keeps it.
    pub ownership: String,
    /// Members, those gone not long ago included.
    pub members: Vec<Member>,
    /// 0 is healthy.
    pub health: u32,
    /// Packets sent since the start.
    pub packets_sent: u64,
    /// Their bytes, headers not counted.
    pub bytes_sent: u64,
    /// Members accused by the fast detector, and those of them that were alive.
    pub accusations: u64,
    /// See `accusations`.
    pub acquittals: u64,
    /// What was left aside, by reason.
    pub dropped: std::collections::BTreeMap<String, u64>,
}

/// A member of a [`Gossip`].
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// Name.
    pub node: String,
    /// alive, suspect, dead or left.
    pub state: String,
}

impl Status {
    /// State of a member; `unknown` if there is no such member.
    #[must_use]
    pub fn member(&self, node: &str) -> &str {
        let members = self.gossip.iter().flat_map(|g| &g.members);
        let mut found = members.filter(|m| m.node == node);
        found.next().map_or("unknown", |m| m.state.as_str())
    }

    /// Names of the members that are alive, in order.
    #[must_use]
    pub fn alive(&self) -> Vec<&str> {
        let members = self.gossip.iter().flat_map(|g| &g.members);
        let alive = members.filter(|m| m.state == "alive");
        alive.map(|m| m.node.as_str()).collect()
    }
}

/// One Service of a [`Status`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Namespace and name.
    pub service: String,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Pool of the addresses.
    #[serde(default)]
    pub pool: Option<String>,
    /// Whether the node asked announces it.
    pub announced: bool,
    /// The node that won.
    #[serde(default)]
    pub winner: Option<String>,
    /// Why the node asked doesn't announce, in words.
    pub message: String,
}

/// A stranger of a [`Status`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The address.
    pub ip: IpAddr,
    /// The stranger.
    pub mac: String,
    /// Where it was heard.
    pub interface: String,
}

impl Corten {
    /// Starts one on a node with a state directory of its own; `options` are further flags.
    ///
    /// # Errors
    /// If there is no binary (see [`binary`]).
    pub fn start(node: &Node, manifests: &Path, options: &[&str]) -> Result<Self> {
        Self::start_on(node, manifests, state_directory(&node.name)?, options)
    }

    /// As [`Self::start`], on a state directory that was prepared.
    ///
    /// # Errors
    /// If there is no binary (see [`binary`]).
    pub fn start_on(
        node: &Node,
        manifests: &Path,
        state: TempDir,
        options: &[&str],
    ) -> Result<Self> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let process = launch(&node.ns, &node.name, manifests, state.path(), &options)?;
        Ok(Self {
            node: node.name.clone(),
            ns: node.ns.clone(),
            manifests: manifests.to_owned(),
            state,
            options,
            process,
        })
    }

    /// Starts it again with the same state, after its end.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(
            &self.ns,
            &self.node,
            &self.manifests,
            self.state.path(),
            &self.options,
        )?;
        Ok(())
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// If it goes on running.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.wait(DEADLINE).with_context(|| self.story())
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// `corten status`.
    ///
    /// # Errors
    /// If the instance doesn't answer.
    pub fn status(&self) -> Result<Status> {
        let text = self.ask(&["status"], "json")?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// `corten explain`, as a person reads it.
    ///
    /// # Errors
    /// If the instance doesn't answer or knows no such Service.
    pub fn explain(&self, service: &str) -> Result<String> {
        self.ask(&["explain", service], "table")
    }

    /// `corten explain -o json`.
    ///
    /// # Errors
    /// If the instance doesn't answer or knows no such Service.
    pub fn explain_json(&self, service: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(
            &self.ask(&["explain", service], "json")?,
        )?)
    }

    /// `corten bgp` with these arguments, as text.
    ///
    /// # Errors
    /// If the instance doesn't answer, or there is no such peer.
    pub fn bgp(&self, arguments: &[&str]) -> Result<String> {
        self.ask(&[&["bgp"], arguments].concat(), "table")
    }

    /// `corten bgp -o json` with these arguments.
    ///
    /// # Errors
    /// If the instance doesn't answer, or there is no such peer.
    pub fn bgp_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.ask(&[&["bgp"], arguments].concat(), "json")?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// Waits until the status is as wanted.
    ///
    /// # Errors
    /// With the instance's log, if it isn't in time or the instance ended.
    pub fn wait_status<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(Status) -> Option<T>,
    ) -> Result<T> {
        wait_until(what, DEADLINE, || {
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("corten on {} ended: {status}", self.node);
            }
            // Right after its start the socket isn't there yet.
            Ok(self.status().ok().and_then(&mut wanted))
        })
        .with_context(|| self.story())
    }

    /// Waits until it has read and decided everything once.
    ///
    /// # Errors
    /// With the instance's log, if it doesn't get there.
    pub fn wait_ready(&mut self) -> Result<Status> {
        self.wait_status("readiness", |s| s.ready.then_some(s))
    }

    /// What it logged, for the message of a failure.
    #[must_use]
    pub fn story(&self) -> String {
        format!(
            "corten on {} logged:\n  {}\n",
            self.node,
            self.process.log().join("\n  ")
        )
    }

    fn ask(&self, command: &[&str], form: &str) -> Result<String> {
        let socket = self.state.path().join("corten.sock");
        let out = Command::new(binary()?)
            .args(command)
            .arg("--socket")
            .arg(socket)
            .args(["-o", form])
            .output()?;
        ensure!(
            out.status.success(),
            "corten {}: {}: {}{}",
            command.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stderr),
            String::from_utf8_lossy(&out.stdout)
        );
        Ok(String::from_utf8(out.stdout)?)
    }
}

fn launch(
    ns: &Netns,
    node: &str,
    manifests: &Path,
    state: &Path,
    options: &[String],
) -> Result<Process> {
    let mut args = run_arguments(node, manifests, state);
    args.extend(options.iter().cloned());
    let program = binary()?;
    ns.spawn(node, &program.display().to_string(), &args)
}

/// Arguments of `corten run`, without options.
#[must_use]
pub fn run_arguments(node: &str, manifests: &Path, state: &Path) -> Vec<String> {
    vec![
        "run".to_owned(),
        "--node".to_owned(),
        node.to_owned(),
        "--manifests".to_owned(),
        manifests.display().to_string(),
        "--state".to_owned(),
        state.display().to_string(),
    ]
}

/// Runs a command of the binary to its end, in the lab's own (empty) namespace.
///
/// # Errors
/// If there is no binary.
pub fn command(args: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()?).args(args).output()?)
}

/// The binary under test: `$CORTEN_BIN`, or the one built beside this program.
///
/// # Errors
/// If there is none, with how to build it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CORTEN_BIN") {
        return Ok(path.into());
    }
    let here = std::env::current_exe()?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("corten"))
        .find(|p| p.is_file())
        .with_context(|| {
            format!(
                "no corten beside {}: run `cargo build -p corten` first, or set CORTEN_BIN",
                here.display()
            )
        })
}
