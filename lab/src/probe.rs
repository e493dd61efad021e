//! Requests that never stop: what a user would notice of a hand-over.

use crate::http;
use crate::netns::Netns;
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When a request counts as lost.
const TIMEOUT: Duration = Duration::from_secs(5);
/// When one counts as slow: TCP sends its first segment again after a second (RFC 6298 §2), so
/// a frame was lost even though the request wasn't.
const SLOW: Duration = Duration::from_millis(900);

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests made.
    pub sent: usize,
    /// Those that failed, with the cause.
    pub lost: Vec<String>,
    /// Those answered, but so late that a frame must have been lost on the way: whom they asked,
    /// when after the first, and how long they took.
    pub slow: Vec<String>,
    /// The longest any took.
    pub slowest: Duration,
}

/// A client that asks each target in turn, each time on a connection of its own.
#[derive(Debug)]
pub struct Prober {
    stop: Sender<()>,
    thread: JoinHandle<Result<Tally>>,
}

impl Prober {
    /// Starts asking, one request every `interval`.
    #[must_use]
    pub fn start(ns: &Netns, targets: Vec<SocketAddr>, interval: Duration) -> Self {
        Self::prepared(ns, targets, interval, || Ok(()))
    }

    /// The same of a machine that has just come: before each request it forgets what it learnt of
    /// every neighbour, so that somebody has to answer for the address there and then.
    #[must_use]
    pub fn start_forgetful(ns: &Netns, targets: Vec<SocketAddr>, interval: Duration) -> Self {
        let own = ns.clone();
        let forget = move || own.ip(&["neigh flush all"]);
        Self::prepared(ns, targets, interval, forget)
    }

    fn prepared(
        ns: &Netns,
        targets: Vec<SocketAddr>,
        interval: Duration,
        prepare: impl Fn() -> Result<()> + Send + 'static,
    ) -> Self {
        let (stop, stopped) = channel();
        let ns = ns.clone();
        let thread = std::thread::spawn(move || {
            ns.enter()?;
            let mut tally = Tally::default();
            let start = Instant::now();
            for target in targets.iter().cycle() {
                prepare()?;
                tally.ask(*target, start);
                match stopped.recv_timeout(interval) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            Ok(tally)
        });
        Self { stop, thread }
    }

    /// Ends it after the request under way.
    ///
    /// # Errors
    /// If its namespace could not be entered.
    pub fn stop(self) -> Result<Tally> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(tally) => tally,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Tally {
    fn ask(&mut self, target: SocketAddr, first: Instant) {
        let start = Instant::now();
        let answer = http::get(target, TIMEOUT);
        let took = start.elapsed();
        self.sent += 1;
        self.slowest = self.slowest.max(took);
        match answer {
            Ok(_) if took >= SLOW => {
                let after = start - first;
                self.slow
                    .push(format!("{target}, {took:?}, after {after:?}"));
            }
            Ok(_) => {}
            Err(e) => self.lost.push(format!("{e:#}")),
        }
    }

    /// Adds another client's figures.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.lost.extend(other.lost);
        self.slow.extend(other.slow);
        self.slowest = self.slowest.max(other.slowest);
    }
}
