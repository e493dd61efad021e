//! Peers without an address: routers on an interface find each other by router advertisements, which
//! are sent and taken on interfaces of such peers only (RFC 4861).

use corten_host::netlink::Link;
use corten_host::router::{RouterError, RouterSocket};
use corten_wire::router::{self, Heard, Schedule};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Advertisements without options have 16 octets, and more than this no router says.
const LONGEST: usize = 1500;
/// An answer to somebody new comes at once, but not sooner than this after the last advertisement.
const AT_ONCE: Duration = Duration::from_secs(1);
/// After so much silence of a router another one takes its place.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to wait after the interface refused.
const RETRY: Duration = Duration::from_secs(1);

/// A router heard on an interface.
type News = (String, Ipv6Addr);

/// The interfaces of such peers, and who is on them.
#[derive(Debug)]
pub(super) struct Unnumbered {
    interfaces: BTreeMap<String, Interface>,
    news: mpsc::Receiver<News>,
    news_tx: mpsc::Sender<News>,
}

#[derive(Debug)]
struct Interface {
    index: u32,
    router: Option<Router>,
    task: AbortHandle,
}

#[derive(Clone, Copy, Debug)]
struct Router {
    address: Ipv6Addr,
    heard: Instant,
}

impl Drop for Interface {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Unnumbered {
    fn default() -> Self {
        let (news_tx, news) = mpsc::channel(16);
        Self {
            interfaces: BTreeMap::new(),
            news,
            news_tx,
        }
    }
}

impl Unnumbered {
    /// Speaks and listens on just these interfaces, as far as they are there; one that came back
    /// as another begins anew.
    pub(super) fn watch(&mut self, names: &BTreeSet<&str>, links: &[Link]) {
        let there: BTreeMap<&str, u32> = links
            .iter()
            .filter(|link| link.up && names.contains(link.name.as_str()))
            .map(|link| (link.name.as_str(), link.index))
            .collect();
        let stays =
            |name: &String, known: &mut Interface| there.get(name.as_str()) == Some(&known.index);
        self.interfaces.retain(stays);
        for (name, index) in there {
            if !self.interfaces.contains_key(name) {
                let news = self.news_tx.clone();
                let task = tokio::spawn(speak(name.to_owned(), index, news)).abort_handle();
                let interface = Interface {
                    index,
                    router: None,
                    task,
                };
                self.interfaces.insert(name.to_owned(), interface);
            }
        }
    }

    /// Waits until another router is heard on an interface.
    pub(super) async fn next(&mut self) {
        // There is always a sender: our own.
        while let Some((name, address)) = self.news.recv().await {
            if self.hear(&name, address, Instant::now()) {
                return;
            }
        }
    }

    /// Whether that is another router than before.
    fn hear(&mut self, name: &str, address: Ipv6Addr, heard: Instant) -> bool {
        let Some(interface) = self.interfaces.get_mut(name) else {
            return false;
        };
        let new = Some(Router { address, heard });
        match interface.router {
            Some(old) if old.address == address => {
                interface.router = new;
                false
            }
            Some(old) if heard.saturating_duration_since(old.heard) < SILENCE => false,
            Some(_) | None => {
                interface.router = new;
                true
            }
        }
    }

    /// Who is at the other end of an interface: its address and the interface's index.
    ///
    /// # Errors
    /// Nobody, and why.
    pub(super) fn router(&self, name: &str) -> Result<(Ipv6Addr, u32), String> {
        let interface = self.interfaces.get(name);
        let interface =
            interface.ok_or_else(|| format!("there is no interface {name} that is up"))?;
        let router = interface
            .router
            .ok_or_else(|| format!("no router advertisement was heard on {name} yet"))?;
        Ok((router.address, interface.index))
    }
}

/// Advertises on an interface and says what is heard, until it is aborted.
async fn speak(name: String, index: u32, news: mpsc::Sender<News>) {
    let mut said = String::new();
    loop {
        // It ends with an error only; an interface without link-local address has it later.
        if let Err(error) = exchange(&name, index, &news).await {
            let error = error.to_string();
            if error != said {
                tracing::warn!(interface = name, error, "trying again");
                said = error;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn exchange(name: &str, index: u32, news: &mpsc::Sender<News>) -> Result<(), RouterError> {
    let socket = RouterSocket::open(name, index)?;
    let mut schedule = Schedule::default();
    let mut buffer = vec![0; LONGEST];
    let mut known = None;
    let mut last = Instant::now();
    let mut next = last;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {
                socket.send(&router::advertisement())?;
                last = Instant::now();
                next = last + schedule.sent(rand::rng().random());
            }
            received = socket.recv(&mut buffer) => {
                let received = received?;
                let message = buffer.get(..received.length).unwrap_or_default();
                let heard = router::read(message, received.from, received.hop_limit);
                let new = match heard {
                    None => continue,
                    Some(Heard::Solicitation) => true,
                    Some(Heard::Advertisement) => {
                        // Without a receiver there is nobody left to be told.
                        let _gone = news.send((name.to_owned(), received.from)).await;
                        known.replace(received.from) != Some(received.from)
                    }
                };
                if new {
                    next = next.min(last + AT_ONCE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
