//! Processes in a namespace that can't outlive the lab.
//!
//! Each is started through `setpriv --pdeathsig KILL`. That signal comes when the *thread* that
//! forked ends, so one thread that lives as long as the process starts them all.

use crate::netns::Netns;
use crate::wait::wait_until;
use anyhow::{Context, Result, ensure};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Lines of output kept of a process; older ones are dropped.
const KEPT: usize = 4000;

/// Ticks of a second in `/proc`: `USER_HZ`, the same on every machine Linux runs on today.
const TICKS: f64 = 100.0;

/// How long the last lines of a process that ended may take to be read.
const LAST_LINES: Duration = Duration::from_secs(10);

/// The lab may have ended before the death signal was set, then nobody would send it.
const UNLESS_ORPHANED: &str = r#"test "$PPID" = "$0" && exec "$@""#;

type Job = Box<dyn FnOnce() + Send>;
static NURSERY: OnceLock<Sender<Job>> = OnceLock::new();

/// A running process and the last lines it wrote.
#[derive(Debug)]
pub struct Process {
    label: String,
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The label it was started with.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process has been waited for already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("{signal} to {}", self.label))
    }

    /// How it ended; `None` while it runs. From then on the log is complete.
    ///
    /// # Errors
    /// If it can't be waited for, or leaves somebody who keeps its output open.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            let what = format!("the last lines of {}", self.label);
            wait_until(&what, LAST_LINES, || {
                let done = self.readers.iter().all(JoinHandle::is_finished);
                Ok(done.then_some(()))
            })?;
        }
        Ok(status)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it still runs after `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("end of {}", self.label);
        wait_until(&what, deadline, || self.ended())
    }

    /// Stops one of its threads, and no other, until what this gives is dropped; by the thread that
    /// asked for it.
    ///
    /// # Errors
    /// If there is no thread of that name, or the kernel doesn't let it be traced.
    pub fn stop_thread(&self, name: &str) -> Result<StoppedThread> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        for task in tasks {
            let task = task?;
            let comm = std::fs::read_to_string(task.path().join("comm"))?;
            if comm.trim() == name {
                let id = task.file_name().to_string_lossy().parse()?;
                return StoppedThread::stop(Pid::from_raw(id));
            }
        }
        anyhow::bail!("{} has no thread {name}", self.label)
    }

    /// Resident memory in KiB (`Rss` of `/proc/PID/smaps_rollup`: file-backed pages count too).
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path)?;
        let rss = text.lines().find_map(|l| l.strip_prefix("Rss:"));
        let kib = rss.and_then(|r| r.trim().strip_suffix(" kB"));
        Ok(kib.context("no Rss")?.parse()?)
    }

    /// Seconds of processor time it has taken, its ended threads included.
    ///
    /// # Errors
    /// If it has ended.
    pub fn processor_seconds(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // proc_pid_stat(5): fields 14 and 15, the second one being a name in brackets.
        let rest = text.rsplit(')').next().context("no name")?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u32 = fields.filter_map(|f| f.parse::<u32>().ok()).sum();
        Ok(f64::from(ticks) / TICKS)
    }

    /// Kills it and waits until the kernel has cleaned up.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// The last lines it wrote to standard output and error.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Best effort: it dies with the lab in any case.
        let _ = self.kill();
    }
}

/// A thread that does nothing; dropping this lets it go on.
#[derive(Debug)]
pub struct StoppedThread(Pid);

impl StoppedThread {
    fn stop(id: Pid) -> Result<Self> {
        ptrace::seize(id, ptrace::Options::empty()).context("tracing a thread")?;
        let stopped = Self(id);
        ptrace::interrupt(id).context("stopping a thread")?;
        waitpid(id, Some(WaitPidFlag::__WALL)).context("waiting for a thread to stop")?;
        Ok(stopped)
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // It goes on in any case when the tracing thread ends.
        let _ = ptrace::detach(self.0, None);
    }
}

/// Whether a process runs; one that ended but was not waited for yet doesn't.
#[must_use]
pub fn runs(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|s| s.starts_with(" Z")))
}

pub(crate) fn spawn(ns: &Netns, label: &str, program: &str, args: &[String]) -> Result<Process> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(["sh", "-c", UNLESS_ORPHANED])
        .arg(std::process::id().to_string())
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (tx, rx) = channel();
    let ns = ns.clone();
    let job: Job = Box::new(move || {
        let child = ns
            .enter()
            .and_then(|()| command.spawn().context("starting setpriv"));
        let _ = tx.send(child);
    });
    nursery().send(job).ok().context("the starter is gone")?;
    let mut child = rx
        .recv()
        .context("the starter is gone")?
        .with_context(|| format!("starting {program}"))?;
    let log = Arc::new(Mutex::new(VecDeque::new()));
    let out = child.stdout.take().map(|out| collect(out, &log));
    let err = child.stderr.take().map(|err| collect(err, &log));
    Ok(Process {
        label: label.to_owned(),
        child,
        log,
        readers: out.into_iter().chain(err).collect(),
    })
}

fn nursery() -> &'static Sender<Job> {
    NURSERY.get_or_init(|| {
        let (tx, rx) = channel::<Job>();
        thread::spawn(move || rx.iter().for_each(|job| job()));
        tx
    })
}

fn collect(from: impl Read + Send + 'static, log: &Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(line);
        }
    })
}

/// Runs a program with `text` on its standard input, in the calling thread's namespace.
pub(crate) fn feed(program: &str, args: &[&str], text: &str) -> Result<()> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {program} (is it installed?)"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // A program that gave up early closes its end; its own words say why.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let out = child.wait_with_output()?;
    ensure!(
        out.status.success(),
        "{program}: {}\n{text}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(())
}
