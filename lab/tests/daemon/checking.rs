//! Health checks of servers and commands that do everything wrong.

use crate::small;
use anyhow::{Context, Result, ensure};
use corten_lab::corten::Status;
use corten_lab::manifests::Stack;
use corten_lab::netns::Netns;
use corten_lab::site::DEADLINE;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::libc::linger;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[(
    "checking::hostile_servers_hold_up_nobody",
    hostile_servers_hold_up_nobody,
)];

/// How often everything is tried, and how long: what is healthy has time enough even where hardly
/// any processor is left beside so many that do their worst.
fn times(healthy: bool) -> String {
    let timeout = if healthy { "2s" } else { "250ms" };
    format!("interval: 100ms, timeout: {timeout}, rise: 1, fall: 3")
}

/// More than are tried at once, and how long each of them waits for an answer.
const HANGING: usize = 40;
const HANGING_TIMES: &str = "interval: 100ms, timeout: 6s";
/// From one try of the good server to the next, at most: what a busy machine may take, and less
/// than one waits who has to wait for those that hang.
const GAP: Duration = Duration::from_secs(5);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

type Answer = fn(&mut TcpStream) -> std::io::Result<()>;

/// Each with whether its head is one to be content with.
const HOSTILE: &[(&str, bool, Answer)] = &[
    ("silent", false, |s| {
        s.read_to_end(&mut Vec::new()).map(drop)
    }),
    ("slow", false, |s| {
        s.write_all(OK)?;
        loop {
            s.write_all(b"x")?;
            thread::sleep(Duration::from_secs(1));
        }
    }),
    ("endless-body", true, |s| {
        // One that answers before it was asked is as likely to be refused as to be heard.
        asked(s)?;
        s.write_all(OK)?;
        endless(s, b"\r\n", &[b'x'; 65536])
    }),
    ("endless-head", false, |s| endless(s, OK, b"x: y\r\n")),
    ("endless-line", false, |s| endless(s, OK, &[b'x'; 65536])),
    ("endless-continue", false, |s| {
        endless(s, b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    }),
    ("garbage", false, |s| {
        let bytes: Vec<u8> = (0..=255).rev().cycle().take(4096).collect();
        s.write_all(&bytes)
    }),
    ("reset", false, |s| {
        // Closing then sends RST at once (socket(7)).
        let now = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        Ok(setsockopt(&*s, sockopt::Linger, &now)?)
    }),
];

/// Commands, with whether they succeed; the mark is a time to sleep that outlives any trial.
const COMMANDS: &[(&str, bool, &str)] = &[
    ("forks", false, "for i in 1 2 3; do sleep MARK & done; wait"),
    ("floods", false, "sleep MARK & exec yes MARK"),
    ("leaves", true, "sleep MARK & exit 0"),
    ("deaf", false, "trap \"\" TERM HUP INT; sleep MARK"),
];

/// Waits for the beginning of a request; an end without one is an error.
fn asked(stream: &mut TcpStream) -> std::io::Result<()> {
    match stream.read(&mut [0; 1024])? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn endless(stream: &mut TcpStream, first: &[u8], then: &[u8]) -> std::io::Result<()> {
    stream.write_all(first)?;
    loop {
        stream.write_all(then)?;
    }
}

/// A server of any behaviour; ends when dropped.
struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    fn start(
        ns: &Netns,
        answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
    ) -> Result<Self> {
        let listener = ns.run(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
        let port = listener.local_addr()?.port();
        let accepting = listener.try_clone()?;
        thread::spawn(move || {
            while let Ok((mut stream, _)) = accepting.accept() {
                let answer = answer.clone();
                thread::spawn(move || drop(answer(&mut stream)));
            }
        });
        Ok(Self { listener, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes accept(), which then fails.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
    }
}

/// What only the command lines of this run have.
fn mark() -> String {
    format!("600.{}", std::process::id())
}

/// Processes of the commands checked.
fn left_over() -> Result<usize> {
    let mark = mark();
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        // One that has just ended has none.
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        count += usize::from(String::from_utf8_lossy(&line).contains(&mark));
    }
    Ok(count)
}

/// When the good server was tried.
type Tries = Arc<Mutex<Vec<Instant>>>;

fn tries(tries: &Tries) -> Vec<Instant> {
    tries.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Everything checked, by the name of its Service.
struct Checked {
    checks: Vec<(String, String)>,
    wanted: Vec<(String, bool)>,
    tries: Tries,
    _servers: Vec<Server>,
}

impl Checked {
    fn start(ns: &Netns) -> Result<Self> {
        let tries = Tries::default();
        let noted = Arc::clone(&tries);
        let good = Server::start(ns, move |stream| {
            let now = Instant::now();
            noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(now);
            asked(stream)?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        })?;
        let kind = |kind: &str, port: u16, healthy: bool| {
            format!("{{{kind}: {{port: {port}}}, {}}}", times(healthy))
        };
        let mut all = Self {
            checks: Vec::new(),
            wanted: Vec::new(),
            tries,
            _servers: Vec::new(),
        };
        all.add("good", kind("http", good.port, true), true);
        for (name, healthy, answer) in HOSTILE {
            let server = Server::start(ns, *answer)?;
            all.add(name, kind("http", server.port, *healthy), *healthy);
            if *name == "silent" {
                all.add("mute", kind("tcp", server.port, true), true);
                let hanging = format!("{{http: {{port: {}}}, {HANGING_TIMES}}}", server.port);
                for i in 0..HANGING {
                    all.add(&format!("hanging{i}"), hanging.clone(), false);
                }
            }
            all._servers.push(server);
        }
        let gone = Server::start(ns, |_| Ok(()))?;
        let port = gone.port;
        drop(gone);
        all.add("refusing", kind("tcp", port, false), false);
        for (name, healthy, script) in COMMANDS {
            let script = script.replace("MARK", &mark());
            let times = times(*healthy);
            let check = format!("{{exec: {{command: [sh, -c, '{script}']}}, {times}}}");
            all.add(name, check, *healthy);
        }
        all._servers.push(good);
        Ok(all)
    }

    fn add(&mut self, name: &str, check: String, healthy: bool) {
        self.checks.push((name.to_owned(), check));
        self.wanted.push((name.to_owned(), healthy));
    }

    /// Whether exactly what is healthy is announced.
    fn judged(&self, status: &Status) -> bool {
        self.wanted.iter().all(|(name, want)| {
            let service = format!("default/{name}");
            let mut services = status.services.iter();
            services.any(|s| s.service == service && s.announced == *want)
        })
    }
}

fn hostile_servers_hold_up_nobody() -> Result<()> {
    let mut site = small()?;
    let checked = Checked::start(&site.world.node(0)?.ns)?;
    site.start(&[])?;
    let id = site.allocator()?.process().id();
    let descriptors =
        move || -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{id}/fd"))?.count()) };
    let before = descriptors()?;
    let rss = site.allocator()?.process().resident_kib()?;
    for (name, check) in &checked.checks {
        site.write_service(name, Stack::V4, &[("corten.io/health", check)])?;
    }
    site.allocator()?
        .wait_status("every verdict", |s| checked.judged(&s).then_some(()))?;
    // Twenty tries, all of them on time.
    let tries = wait_until("tries of the good server", DEADLINE, || {
        let tries = tries(&checked.tries);
        Ok((tries.len() >= 20).then_some(tries))
    })?;
    let gaps = tries.iter().zip(tries.iter().skip(1));
    let longest = gaps.map(|(a, b)| *b - *a).max().context("no tries")?;
    ensure!(longest < GAP, "{longest:?} without a try");
    let status = site.allocator()?.status()?;
    ensure!(checked.judged(&status), "{status:?}");
    // Nothing of it is left when nobody is checked any more.
    for (name, _) in &checked.checks {
        site.manifests.remove(&format!("{name}.yaml"))?;
    }
    let mut last = (0, 0);
    wait_until("no process and no descriptor", DEADLINE, || {
        last = (left_over()?, descriptors()?);
        Ok((last.0 == 0 && last.1 <= before).then_some(()))
    })
    .with_context(|| format!("{last:?} processes and descriptors, {before} before"))?;
    let after = site.allocator()?.process().resident_kib()?;
    ensure!(after < rss + (16 << 10), "{rss} KiB became {after}");
    Ok(())
}
