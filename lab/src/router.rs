//! Debian's routers, each in a network namespace, and the cable to one.

use crate::netns::Netns;
use crate::process::Process;
use crate::stage;
use crate::wait::wait_until;
use anyhow::Result;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When a router that doesn't start is given up.
const DEADLINE: Duration = Duration::from_secs(60);

/// Two ends of a cable, `near` with the addresses 192.0.2.1 and 2001:db8::1 and `far` with those
/// that end in 2; the interfaces are named as the ends.
///
/// # Errors
/// Where the kernel or `ip` refuses.
pub fn cable() -> Result<(Netns, Netns)> {
    let (near, far) = (Netns::new("near")?, Netns::new("far")?);
    let path = far.path();
    near.ip(&[format!(
        "link add near type veth peer name far netns {path}"
    )])?;
    for (ns, name, host) in [(&near, "near", 1), (&far, "far", 2)] {
        ns.ip(&[
            format!("address add 192.0.2.{host}/24 dev {name}"),
            format!("address add 2001:db8::{host}/64 dev {name} nodad"),
            format!("link set {name} up"),
        ])?;
    }
    Ok((near, far))
}

/// A directory of the scenario's own, open to the users routers change to.
///
/// # Errors
/// Before [`stage::enter`], or if it can't be made.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let dir = stage::scratch()?.join(name);
    fs::create_dir_all(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
    Ok(dir)
}

/// A daemon of FRR with its files in `dir`, in a PID namespace that ends with it: it changes its
/// user, and loses the death signal by that.
///
/// # Errors
/// If it can't be started.
pub fn frr(ns: &Netns, dir: &Path, name: &str, config: &str) -> Result<Process> {
    let dir = dir.display().to_string();
    let (file, pid) = (format!("{dir}/{name}.conf"), format!("{dir}/{name}.pid"));
    fs::write(&file, config)?;
    let (program, api) = (format!("/usr/lib/frr/{name}"), format!("{dir}/zserv.api"));
    let mut args = vec!["--fork", "--pid", "--kill-child", "--", "sh", "-c"];
    args.extend([r#""$@" & wait $!"#, "sh", &program, "-f", &file, "-i", &pid]);
    args.extend(["-z", &api, "--vty_socket", &dir, "-P", "0"]);
    args.extend(["--log", "stdout"]);
    let control = format!("{dir}/bfdd.sock");
    if name == "bfdd" {
        args.extend(["--bfdctl", &control]);
    }
    let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    ns.spawn(name, "unshare", &args)
}

/// FRR's zebra, which its other daemons need; it listens.
///
/// # Errors
/// If it doesn't start.
pub fn zebra(ns: &Netns, dir: &Path) -> Result<Process> {
    let process = frr(ns, dir, "zebra", "")?;
    let socket = dir.join("zserv.api");
    wait_until("zebra", DEADLINE, || Ok(socket.exists().then_some(())))?;
    Ok(process)
}

/// BIRD.
#[derive(Debug)]
pub struct Bird {
    ns: Netns,
    control: String,
    /// The process.
    pub process: Process,
}

impl Bird {
    /// Starts it; it listens. `name` is that of its directory.
    ///
    /// # Errors
    /// If it doesn't start.
    pub fn start(ns: &Netns, name: &str, config: &str) -> Result<Self> {
        let dir = scratch(name)?;
        let (file, control) = (dir.join("bird.conf"), dir.join("bird.ctl"));
        fs::write(&file, config)?;
        let (file, socket) = (file.display().to_string(), control.display().to_string());
        let args = ["-f", "-c", &file, "-s", &socket].map(str::to_owned);
        let process = ns.spawn("bird", "bird", &args)?;
        wait_until("BIRD", DEADLINE, || Ok(control.exists().then_some(())))?;
        Ok(Self {
            ns: ns.clone(),
            control: socket,
            process,
        })
    }

    /// What it answers to a command.
    ///
    /// # Errors
    /// If it refuses; showing what isn't there is refused, too.
    pub fn says(&self, command: &[&str]) -> Result<String> {
        let args = [&["-s", self.control.as_str()], command].concat();
        self.ns.output("birdc", &args)
    }
}
