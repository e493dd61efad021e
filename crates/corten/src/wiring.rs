//! The only place where the parts are joined: two threads, and the channels between them.
//!
//! *facts* (this task) reads manifests, decides, and answers questions; *wire* (its own thread and
//! runtime) answers the LAN. Tables and observations cross as latest-wins channels. Whichever part
//! ends first, ends the process with its error.

mod answers;
mod bgp;
mod held;
mod kubernetes;
mod membership;
mod rest;
mod told;

pub(crate) use kubernetes::{controller, speaker};

use crate::ask::{PATIENCE, ask_within};
use crate::cli::{Listen, RunArgs};
use crate::core::{Core, CoreOptions, Duty, Outcome};
use crate::questions::{Question, Questions};
use crate::source::{Batch, Source};
use crate::speaker::bgp as bgp_driver;
use crate::speaker::exclusions::Exclusions;
use crate::speaker::gossip;
use crate::speaker::l2::{self, Observed};
use crate::speaker::lease::{Right, SharedLease};
use crate::speaker::until;
use anyhow::Context as _;
use bgp::Bgp;
use corten_cluster::directory::{Directory, Options, Role};
use corten_engine::facts::Origin;
use corten_engine::names::NodeName;
use corten_engine::speaker::Input;
use corten_host::notify::{Notifier, Watchdog};
use corten_node::orders::{Issuer, Orders};
use corten_node::standing::Seen;
use corten_node::words;
use futures_util::future::Either;
use held::Held;
use membership::Link;
use rest::Rest;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use told::Told;

/// How long the status files may lag behind.
const STATUS_DELAY: Duration = Duration::from_millis(200);
/// When status files that couldn't be written are tried again.
const STATUS_RETRY: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps a part from starting or going on.
pub(crate) async fn run(args: RunArgs, exclusions: Exclusions) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let directory = Directory::open(Options {
        manifests: args.manifests.clone(),
        state: args.state.clone(),
        node: NodeName(args.node.clone()),
        role: if args.allocate {
            Role::Allocator
        } else {
            Role::Follower
        },
    })?;
    let (questions, mut asked) = Questions::new();
    let socket = args
        .socket
        .clone()
        .unwrap_or_else(|| args.state.join("corten.sock"));
    let control = crate::control::serve(&socket, questions.clone()).context("--socket")?;
    let metrics = match args.metrics {
        Listen::Off => Either::Left(std::future::pending()),
        Listen::On(address) => {
            Either::Right(crate::control::serve_metrics(address, questions).context("--metrics")?)
        }
    };
    let (answered, answered_rx) = watch::channel(l2::Answered::default());
    let prepared = membership::prepare(&args.node, &args.membership, answered_rx)?;
    let (link, driver, look) = prepared;
    let (speaking, peers, stay) = Bgp::on(bgp_driver::Beside::Nobody);
    let core = Core::new(CoreOptions {
        origin: Origin::Directory,
        duty: if args.allocate {
            Duty::Both
        } else {
            Duty::Announce
        },
        node: NodeName(args.node.clone()),
        lb_class: args.lb_class.clone(),
        ignore_exclude_lb: args.ignore_exclude_lb,
        membership: link.first(),
        bgp: speaking.driver(),
    });
    // Last of all that can fail: once it runs, it has to be stopped in order.
    let config = l2::Config {
        exclusions,
        gratuitous_rate: args.gratuitous_rate,
        assign: args.assign,
        seed: seed(),
    };
    let (wire, wire_ended) = Wire::start(config, answered, driver, Some((peers, stay)))?;
    tracing::info!(node = args.node, manifests = %args.manifests.display(), "started");
    let source = Source::Directory(Box::new(directory));
    let mut facts = FactsSide::new(core, source, &wire.line, args.assign, link, speaking);
    let result = tokio::select! {
        result = facts.run(&mut signals, wire.line.observed.clone(), &mut asked) => result,
        never = control => match never {},
        never = metrics => match never {},
        () = look => Ok(()),
        ended = wire_ended => ended.context("the wire thread vanished")?,
    };
    // Answering ends last.
    wire.stop(result)
}

/// The signals listened to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn leave(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}

/// The facts side's end of what lies between it and the wire.
struct Line {
    orders: watch::Sender<Orders>,
    observed: watch::Receiver<Observed>,
    queries: mpsc::Sender<l2::Query>,
}

impl Line {
    /// One with nobody at the other end, who would observe nothing; the sender keeps it open.
    fn unused() -> (Self, watch::Sender<Observed>) {
        let (orders, _) = watch::channel(Orders::default());
        let (sender, observed) = watch::channel(Observed::default());
        let (queries, _) = mpsc::channel(1);
        let line = Self {
            orders,
            observed,
            queries,
        };
        (line, sender)
    }
}

/// The wire thread, from outside.
struct Wire {
    line: Line,
    /// Dropped to end it.
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Wire {
    /// Starts the thread; the receiver says how it ended.
    fn start(
        config: l2::Config,
        answered: watch::Sender<l2::Answered>,
        driver: membership::Driver,
        peers: Option<(bgp_driver::Ports, oneshot::Sender<()>)>,
    ) -> anyhow::Result<(Self, oneshot::Receiver<anyhow::Result<()>>)> {
        let (orders, orders_rx) = watch::channel(Orders::default());
        let (observed_tx, observed) = watch::channel(Observed::default());
        let (queries, queries_rx) = mpsc::channel(8);
        let (stop, stop_rx) = oneshot::channel();
        let (ended_tx, ended) = oneshot::channel();
        let ports = l2::Ports {
            orders: orders_rx,
            observed: observed_tx,
            answered,
            queries: queries_rx,
            stop: stop_rx,
        };
        let seed = config.seed;
        let (peers, stop) = match peers {
            None => (Either::Left(std::future::pending()), stop),
            Some((peers, stay)) => (Either::Right(speak(seed, peers, stop)), stay),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || {
                let result = runtime.block_on(async {
                    let (right, members) = match driver {
                        None => (Right::Unconditional, Either::Left(std::future::pending())),
                        Some((gossip, ends)) => {
                            let limit = gossip.gossip.parameters.shortest_death();
                            let lease = SharedLease::new(limit);
                            let right = Right::Leased(lease.clone());
                            (right, Either::Right(gossip::drive(gossip, ends, lease)))
                        }
                    };
                    tokio::select! {
                        result = l2::drive(config, ports, right) => result,
                        result = members => result.context("--gossip-bind"),
                        result = peers => result,
                    }
                });
                // Nobody listens any more only when the process is leaving.
                let _left = ended_tx.send(result);
            })?;
        Ok((
            Self {
                line: Line {
                    orders,
                    observed,
                    queries,
                },
                stop,
                thread,
            },
            ended,
        ))
    }

    /// Ends the thread and gives the process's result.
    fn stop(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        drop(self.stop);
        if self.thread.join().is_err() {
            return result.and(Err(anyhow::anyhow!("the wire thread panicked")));
        }
        result
    }
}

/// Speaks BGP to its end, then lets answering end: peers are told first.
async fn speak(
    seed: u64,
    peers: bgp_driver::Ports,
    answering: oneshot::Sender<()>,
) -> anyhow::Result<()> {
    bgp_driver::drive(seed, peers).await?;
    drop(answering);
    std::future::pending().await
}

/// A seed that differs between starts; only jitter depends on it.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// The facts side: the loop around [`Core`].
pub(crate) struct FactsSide {
    pub(crate) core: Core,
    source: Source,
    orders: watch::Sender<Orders>,
    issuer: Issuer,
    wire_queries: mpsc::Sender<l2::Query>,
    started: Instant,
    /// Whether won addresses are put on `lo`.
    assign: bool,
    status: Status,
    /// Why the status files couldn't be written the last time.
    status_fault: Option<String>,
    told: Told,
    link: Link,
    bgp: Bgp,
    held: Held,
}

/// Whether the status files say what is known.
enum Status {
    Written,
    /// Something was decided; the files follow at the deadline, so that a storm writes them once.
    Due(tokio::time::Instant),
}

impl FactsSide {
    fn new(core: Core, source: Source, line: &Line, assign: bool, link: Link, bgp: Bgp) -> Self {
        Self {
            core,
            source,
            orders: line.orders.clone(),
            issuer: Issuer::default(),
            wire_queries: line.queries.clone(),
            started: Instant::now(),
            assign,
            status: Status::Written,
            status_fault: None,
            told: Told::default(),
            link,
            bgp,
            held: Held::default(),
        }
    }

    async fn run(
        &mut self,
        signals: &mut Signals,
        mut observed: watch::Receiver<Observed>,
        asked: &mut mpsc::Receiver<Question>,
    ) -> anyhow::Result<()> {
        let notifier = Notifier::from_environment()?;
        let mut alive = AliveTimer::new(notifier.watchdog());
        let mut rest = Rest::new();
        let mut said_ready = false;
        loop {
            let status_due = self.status.due();
            tokio::select! {
                batch = self.source.next() => self.take(batch),
                changed = observed.changed() => {
                    changed.context("the wire thread ended")?;
                    let now = observed.borrow_and_update().clone();
                    self.observe(now);
                }
                Some(question) = asked.recv() => self.answer(question, &observed).await,
                _ = signals.reload.recv() => {
                    notifier.reloading();
                    if self.source.reload() {
                        tracing::info!("SIGHUP: reading everything again");
                    }
                    notifier.ready();
                }
                seen = self.link.changed() => {
                    let seen = seen?;
                    self.membership(&seen);
                    if let Seen::Left(_) = seen {
                        return Ok(());
                    }
                }
                signal = Signals::leave(&mut signals.terminate, &mut signals.interrupt) => {
                    notifier.stopping();
                    if !self.link.leave() {
                        tracing::info!(signal, "leaving: answering ends, addresses are unowned until others are told");
                        return Ok(());
                    }
                    tracing::info!(signal, "leaving: others are told, answering ends with theirs");
                }
                () = status_due => self.write_status(),
                () = until(self.held.next()) => {
                    let outcome = self.core.tell(Input::Released(self.held.take_due(Instant::now())));
                    self.carry_out(outcome);
                }
                () = rest.turn() => {}
                () = alive.tick() => {
                    if self.is_alive().await {
                        notifier.alive();
                    }
                }
            }
            if !said_ready && self.core.is_ready() {
                said_ready = true;
                notifier.ready();
                tracing::info!("ready");
            }
        }
    }

    fn membership(&mut self, seen: &Seen) {
        let Some(view) = seen.view() else {
            return;
        };
        let ownership = words::ownership(view);
        let membership = words::membership(view);
        self.core.membership = Some(membership.clone());
        // Both at once: claims say nothing without those who make them.
        let mut outcome = self
            .core
            .tell_all([Input::Ownership(ownership), Input::Membership(membership)]);
        let (speaker, table) = (&self.core.speaker, outcome.table);
        outcome.table = self.issuer.decided(view.term, table, speaker);
        if outcome.table.is_none() {
            self.orders.send_if_modified(|orders| {
                let renewed = orders.term != view.term;
                orders.term = view.term;
                renewed
            });
        }
        self.carry_out(outcome);
    }

    fn take(&mut self, batch: Batch) {
        // Without events, only what is odd about the source changed.
        let outcome = if batch.is_empty() {
            Outcome::default()
        } else {
            self.core.source(batch)
        };
        self.told.update(self.rejections(), self.warnings());
        self.carry_out(outcome);
    }

    fn observe(&mut self, now: Observed) {
        if let Some(links) = now.links {
            let outcome = self.core.tell(Input::Links(links));
            self.carry_out(outcome);
        }
        let outcome = self.core.tell(Input::Conflicts(now.conflicts));
        self.carry_out(outcome);
    }

    /// Does what was decided, the network first, then the ledger; what the ledger says of it may
    /// lead to further decisions.
    fn carry_out(&mut self, mut outcome: Outcome) {
        if let Status::Written = self.status {
            self.status = Status::Due(tokio::time::Instant::now() + STATUS_DELAY);
        }
        loop {
            if let Some(table) = outcome.table {
                // Converted, and the one before dropped, where no answer waits for it.
                let node = self.core.speaker.node().as_str();
                self.orders.send_replace(self.issuer.orders(table, node));
            }
            if let Some(spec) = self.bgp.configuration(&self.core, outcome.bgp.is_some()) {
                self.source.configure_frr(spec);
            }
            if let Some(table) = outcome.bgp {
                self.bgp.tell(table);
            }
            self.held.add(outcome.held, Instant::now());
            self.source.emit(outcome.events);
            let events = self.source.record(outcome.assignments);
            if events.is_empty() {
                break;
            }
            outcome = self.core.source(events);
        }
        if self.core.has_allocated() {
            self.bgp.begin();
        }
    }

    fn write_status(&mut self) {
        let written = self.source.write_status(&self.core);
        let fault = written.err().map(|error| error.to_string());
        match &fault {
            Some(error) if self.status_fault != fault => {
                tracing::error!(error, "status files not written yet");
            }
            None if self.status_fault.is_some() => tracing::info!("status files are written again"),
            Some(_) | None => {}
        }
        self.status = match &fault {
            Some(_) => Status::Due(tokio::time::Instant::now() + STATUS_RETRY),
            None => Status::Written,
        };
        self.status_fault = fault;
    }

    /// The wire's counters; `None` if the wire thread doesn't answer.
    pub(crate) async fn snapshot(&self) -> Option<l2::Snapshot> {
        self.ask(l2::Query::Frames).await
    }

    /// Alive means both threads: whoever is asked here is, and the wire has to answer.
    async fn is_alive(&self) -> bool {
        !self.core.role.announces() || self.ask(l2::Query::Alive).await.is_some()
    }

    async fn ask<T>(&self, query: fn(oneshot::Sender<T>) -> l2::Query) -> Option<T> {
        ask_within(PATIENCE, &self.wire_queries, query).await
    }
}

impl Status {
    fn due(&self) -> impl Future<Output = ()> + use<> {
        match self {
            Self::Written => Either::Left(std::future::pending()),
            Self::Due(at) => Either::Right(tokio::time::sleep_until(*at)),
        }
    }
}

/// When the service manager is to hear that this process is alive.
struct AliveTimer(Option<tokio::time::Interval>);

impl AliveTimer {
    fn new(watchdog: Watchdog) -> Self {
        Self(match watchdog {
            Watchdog::Off => None,
            Watchdog::Every(limit) => Some(tokio::time::interval(limit / 3)),
        })
    }

    async fn tick(&mut self) {
        match &mut self.0 {
            None => std::future::pending().await,
            Some(interval) => drop(interval.tick().await),
        }
    }
}
