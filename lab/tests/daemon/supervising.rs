//! What a service manager hears of `corten run`, and what it tells it by signals.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::{Corten, Status, binary, run_arguments};
use corten_lab::manifests::{Manifests, Stack, service, state_directory};
use corten_lab::process::Process;
use corten_lab::site::{self, DEADLINE, Site, WINDOW, member_addresses, member_flags};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::{Node, Plan};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "supervising::systemd_hears_every_state",
        systemd_hears_every_state,
    ),
    ("supervising::answering_ends_last", answering_ends_last),
    (
        "supervising::sighup_reads_what_nothing_tells_of",
        sighup_reads_what_nothing_tells_of,
    ),
];

/// The watchdog's period: silence for as long would have the manager end the process.
const WATCHDOG: Duration = Duration::from_secs(1);

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Manager {
    fn new() -> Result<Self> {
        let dir = state_directory("manager")?;
        let socket = UnixDatagram::bind(dir.path().join("notify"))?;
        Ok(Self { socket, dir })
    }

    /// What comes next; `None` if nothing does within `patience`.
    fn hear(&self, patience: Duration) -> Result<Option<String>> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(n) => {
                let text = buffer.get(..n).unwrap_or_default();
                Ok(Some(String::from_utf8_lossy(text).into_owned()))
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for `wanted`, and gives what else but the watchdog was heard before.
    fn wait(&self, wanted: &str, process: &Process) -> Result<Vec<String>> {
        let mut before = Vec::new();
        wait_until(wanted, DEADLINE, || {
            let Some(heard) = self.hear(Duration::from_millis(50))? else {
                return Ok(None);
            };
            if heard.lines().any(|line| line == wanted) {
                return Ok(Some(()));
            }
            if heard != "WATCHDOG=1" {
                before.push(heard);
            }
            Ok(None)
        })
        .with_context(|| format!("heard {before:?}; it logged {:?}", process.log()))?;
        Ok(before)
    }
}

/// `corten run --allocate`, as the manager would start it.
fn supervised(site: &Site, node: &Node, manager: &Manager, options: &[String]) -> Result<Managed> {
    let state = state_directory(&node.name)?;
    let mut args = vec![
        format!(
            "NOTIFY_SOCKET={}",
            manager.dir.path().join("notify").display()
        ),
        format!("WATCHDOG_USEC={}", WATCHDOG.as_micros()),
        binary()?.display().to_string(),
    ];
    args.extend(run_arguments(
        &node.name,
        site.manifests.path(),
        state.path(),
    ));
    args.push("--allocate".to_owned());
    args.extend_from_slice(options);
    let process = node.ns.spawn("corten", "env", &args)?;
    Ok(Managed {
        process,
        _state: state,
    })
}

/// A process and the directory it keeps its state in.
struct Managed {
    process: Process,
    _state: TempDir,
}

/// Whether every thread of a process is stopped: the state letter in `stat` (proc(5)).
fn stopped(process: &Process) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{}/task", process.id()))? {
        let text = fs::read_to_string(task?.path().join("stat"))?;
        if !text.rsplit(") ").next().is_some_and(|s| s.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn systemd_hears_every_state() -> Result<()> {
    let site = Site::new(&Plan {
        nodes: 1,
        ..Plan::default()
    })?;
    let node = site.world.node(0)?;
    let manager = Manager::new()?;
    let mut managed = supervised(&site, node, &manager, &[])?;
    let process = &mut managed.process;

    manager.wait("READY=1", process)?;
    manager.wait("WATCHDOG=1", process)?;

    // A process that hangs doesn't feed the watchdog.
    process.signal(Signal::SIGSTOP)?;
    wait_until("a stopped process", DEADLINE, || {
        Ok(stopped(process)?.then_some(()))
    })?;
    while manager.hear(Duration::from_millis(1))?.is_some() {}
    let heard = manager.hear(WATCHDOG)?;
    ensure!(heard.is_none(), "a stopped process said {heard:?}");
    process.signal(Signal::SIGCONT)?;
    manager.wait("WATCHDOG=1", process)?;

    // systemd takes READY=1 for the end of the reload; the time tells it which one.
    process.signal(Signal::SIGHUP)?;
    let heard = manager.wait("READY=1", process)?;
    let reload: Vec<_> = heard.iter().flat_map(|h| h.lines()).collect();
    let [first, second] = reload[..] else {
        anyhow::bail!("two lines tell of a reload: {reload:?}");
    };
    ensure!(first == "RELOADING=1", "{reload:?}");
    let micros = second.strip_prefix("MONOTONIC_USEC=");
    ensure!(
        micros.is_some_and(|n| n.parse::<u64>().is_ok()),
        "{reload:?}"
    );

    process.signal(Signal::SIGTERM)?;
    manager.wait("STOPPING=1", process)?;
    let status = process.wait(DEADLINE)?;
    ensure!(status.code() == Some(0), "{status}: {:?}", process.log());
    Ok(())
}

/// Rumours are sent this often, so that who leaves takes all the time it may.
const LASTING: &str = r#"{"TCPTimeout": "10s", "PushPullInterval": "30s", "ProbeInterval": "1s",
    "ProbeTimeout": "500ms", "GossipInterval": "200ms", "GossipToTheDeadTime": "30s",
    "QueueCheckInterval": "30s", "RetransmitMult": 100}"#;

/// While the others are still being told, an address is answered for unless its successor speaks,
/// which this one never does.
fn answering_ends_last() -> Result<()> {
    let site = Site::new(&Plan {
        nodes: 2,
        ..Plan::default()
    })?;
    site.manifests.write("config.yaml", &site::basics())?;
    for i in 0..8 {
        site.write_service(&format!("web{i}"), Stack::V4, &[])?;
    }
    let manager = Manager::new()?;
    let tuning = manager.dir.path().join("gossip.json");
    fs::write(&tuning, LASTING)?;
    let (node, other) = (site.world.node(0)?, site.world.node(1)?);
    let all = member_addresses(&site.world);
    let flags = |node: &Node| {
        let mut flags = member_flags(node, &all);
        flags.extend(["--gossip-config".to_owned(), tuning.display().to_string()]);
        flags.extend(["--gossip-detector".to_owned(), "off".to_owned()]);
        flags
    };
    let mut managed = supervised(&site, node, &manager, &flags(node))?;
    let process = &mut managed.process;
    let flags = flags(other);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut fellow = Corten::start(other, site.manifests.path(), &flags)?;
    let address = fellow.wait_status("an address of the other member's", |s| {
        let both = s.alive() == ["node1", "node2"];
        let mut theirs = s
            .services
            .iter()
            .filter(|s| s.winner.as_deref() == Some("node1"));
        let first = theirs.next().filter(|_| both && s.services.len() == 8)?;
        first.addresses.first().copied()
    })?;
    let client = site.world.client(0)?;
    let socket = client.socket()?;
    let ask = || client.time_answer(&socket, address, Duration::from_millis(20));
    wait_until("an answer", DEADLINE, ask)?;

    fellow.process().signal(Signal::SIGSTOP)?;
    process.signal(Signal::SIGTERM)?;
    manager.wait("STOPPING=1", process)?;
    let mut answers = 0;
    let status = wait_until("the end", DEADLINE, || {
        answers += usize::from(ask()?.is_some());
        process.ended()
    })?;
    ensure!(status.success(), "{status}: {:?}", process.log());
    ensure!(answers > 0, "no answer while leaving: {:?}", process.log());
    // Asked anew: late answers to earlier questions may still wait in the other socket.
    let after = client.ask(&[address], WINDOW)?;
    ensure!(
        after.values().all(BTreeSet::is_empty),
        "an answer after the end: {after:?}"
    );
    Ok(())
}

/// A file written through a hard link elsewhere sends no event, and one whose times go on
/// changing never looks the same twice, which is what polling waits for: SIGHUP reads it.
fn sighup_reads_what_nothing_tells_of() -> Result<()> {
    let mut site = Site::with_services(1)?;
    let elsewhere = Manifests::new()?;
    let text = |name: &str| service(name, Stack::V4, &[], &["node1", "node2", "node3"]);
    elsewhere.write("more.yaml", &text("earlier"))?;
    let link = elsewhere.path().join("more.yaml");
    fs::hard_link(&link, site.manifests.path().join("more.yaml"))?;
    let known = |status: Status, name: &str| {
        let found = status.services.iter().any(|s| s.service == name);
        found.then_some(())
    };
    // Read, so that no event of the link's own is still to come.
    site.allocator()?
        .wait_status("the Service in the file", |s| known(s, "default/earlier"))?;

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let restless = scope.spawn(|| -> Result<()> {
            let file = File::options().append(true).open(&link)?;
            while !done.load(Ordering::Relaxed) {
                file.set_modified(SystemTime::now())?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        let text = text("later");
        let read = fs::write(&link, text).map_err(Into::into).and_then(|()| {
            let allocator = site.allocator()?;
            allocator.process().signal(Signal::SIGHUP)?;
            allocator.wait_status("the new Service", |s| known(s, "default/later"))
        });
        done.store(true, Ordering::Relaxed);
        let restless = restless.join();
        ensure!(matches!(restless, Ok(Ok(()))), "{restless:?}");
        read
    })
}
