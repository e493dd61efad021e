//! The BFD driver, from outside. It has a thread of its own, so that no load elsewhere in this
//! process makes it late or deaf; the thread is started with the first session that is wanted.

mod driver;

use crate::ask::ask_within;
use anyhow::Context as _;
use corten_wire::bfd as wire;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// What is watched. There is one session for it, however many BGP sessions go along it (RFC 5882
/// §4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// This end.
    pub(crate) local: IpAddr,
    /// The peer; the port means nothing.
    pub(crate) remote: SocketAddr,
    /// VRF device or interface; absent means by route.
    pub(crate) device: Option<String>,
    /// Whether there may be routers between (RFC 5883).
    pub(crate) multihop: bool,
}

/// How it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) timers: wire::Timers,
    pub(crate) role: wire::Role,
    /// The lowest TTL taken where there may be routers between.
    pub(crate) minimum_ttl: u8,
    pub(crate) echo: Echo,
}

/// The echo function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Off,
    /// Over IPv4 and one hop.
    On {
        interval: Duration,
        /// Index of the interface the peer is on.
        link: u32,
        /// Whether this host's forwarding returns the peer's.
        returned: bool,
    },
}

/// All ways to be watched.
pub(crate) type Wanted = BTreeMap<Way, Settings>;

/// What became of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Both ends hear each other.
    Up,
    /// It is dead; why, in words. An administrator's wish is no such thing (RFC 5882 §3.2).
    Dead(String),
    /// The peer's administrator ended the watching, which says nothing about the way.
    Unwatched,
}

/// What there is to see of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How it stands; absent while it can't be had.
    pub(crate) session: Option<wire::SessionState>,
    /// Why it can't be had, or why its packets aren't sent.
    pub(crate) error: Option<String>,
    /// Times it went up.
    pub(crate) ups: u64,
    /// Times it went down.
    pub(crate) downs: u64,
    /// Times BGP was told.
    pub(crate) notices: u64,
}

type Query = oneshot::Sender<BTreeMap<Way, Seen>>;

/// How the thread is reached.
struct Ports {
    wanted: watch::Receiver<Arc<Wanted>>,
    news: mpsc::UnboundedSender<(Way, News)>,
    queries: mpsc::Receiver<Query>,
    stop: oneshot::Receiver<()>,
}

/// The thread, from outside.
pub(crate) struct Bfd {
    wanted: watch::Sender<Arc<Wanted>>,
    news: mpsc::UnboundedReceiver<(Way, News)>,
    queries: mpsc::Sender<Query>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Bfd {
    /// Starts it, without sessions.
    ///
    /// # Errors
    /// The system has no thread left, or no descriptor.
    pub(crate) fn start(seed: u64) -> anyhow::Result<Self> {
        let (wanted, wanted_rx) = watch::channel(Arc::default());
        let (news_tx, news) = mpsc::unbounded_channel();
        let (queries, queries_rx) = mpsc::channel(8);
        let (stop, stop_rx) = oneshot::channel();
        let ports = Ports {
            wanted: wanted_rx,
            news: news_tx,
            queries: queries_rx,
            stop: stop_rx,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("BFD")?;
        let thread = std::thread::Builder::new()
            .name("bfd".to_owned())
            .spawn(move || runtime.block_on(driver::drive(seed, ports)))
            .context("BFD")?;
        Ok(Self {
            wanted,
            news,
            queries,
            stop,
            thread,
        })
    }

    /// These are all the ways to be watched; peers of those that aren't among them any more are
    /// told that it is by our wish.
    pub(crate) fn watch(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|old| {
            let new = **old != wanted;
            if new {
                *old = Arc::new(wanted);
            }
            new
        });
    }

    /// Of the ways that are watched, only these are any longer.
    pub(crate) fn narrow(&self, stays: impl Fn(&Way) -> bool) {
        let mut wanted = Wanted::clone(&self.wanted.borrow());
        wanted.retain(|way, _| stays(way));
        self.watch(wanted);
    }

    /// Waits for what becomes of a way.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) async fn next(&mut self) -> anyhow::Result<(Way, News)> {
        self.news.recv().await.context("the BFD thread panicked")
    }

    /// What there is to see; nothing if the thread doesn't answer.
    pub(crate) async fn report(&self) -> BTreeMap<Way, Seen> {
        let answer = ask_within(Duration::from_secs(1), &self.queries, |reply| reply).await;
        answer.unwrap_or_default()
    }

    /// Ends every session by our wish, which the peers are told, and the thread.
    pub(crate) fn leave(self) {
        drop(self.stop);
        // A panic was said when it happened.
        let _ended = self.thread.join();
    }
}
