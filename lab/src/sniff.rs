//! Witness of a LAN: every claim to an address, by whom and when.
//!
//! It listens in the namespace of the LAN's bridge, so it hears unicast answers too.

use crate::frame::{self, Claim, How, Mac};
use crate::netns::Netns;
use crate::raw::RawSocket;
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How soon a stopped sniffer notices.
const STOP: Duration = Duration::from_millis(50);

/// A claim and when it was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When it came in.
    pub at: Instant,
    /// What was claimed.
    pub claim: Claim,
}

/// An address that went from one host to another.
#[derive(Clone, Copy, Debug)]
pub struct HandOver {
    /// The address.
    pub ip: IpAddr,
    /// Who had it.
    pub from: Mac,
    /// Who has it now.
    pub to: Mac,
    /// First claim of the new owner.
    pub at: Instant,
    /// How long after that the old one still claimed it.
    pub overlap: Duration,
}

/// A running recording.
#[derive(Debug)]
pub struct Sniffer {
    socket: Arc<RawSocket>,
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Listens to every interface of `ns`.
    ///
    /// # Errors
    /// If there is no raw socket to be had.
    pub fn start(ns: &Netns) -> Result<Self> {
        let socket = Arc::new(ns.run(RawSocket::everywhere)?);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (from, into, stopped) = (socket.clone(), Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(waiting) = from.await_frame(STOP) else {
                    return;
                };
                if waiting {
                    take(&from, &mut lock(&into));
                }
            }
        });
        Ok(Self {
            socket,
            heard,
            stop,
            thread: Some(thread),
        })
    }

    /// Everything that has come in so far, in order, whether or not the listener has got round to
    /// it. (A frame is heard again on the bridge it enters by its
    /// port, so each appears twice.)
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let mut heard = lock(&self.heard);
        take(&self.socket, &mut heard);
        heard.clone()
    }

    /// Forgets what has come in so far.
    pub fn forget(&self) {
        let mut heard = lock(&self.heard);
        take(&self.socket, &mut heard);
        heard.clear();
    }

    /// Hand-overs of the addresses `ours` picks, in order of time.
    #[must_use]
    pub fn hand_overs(&self, ours: impl Fn(IpAddr) -> bool, window: Duration) -> Vec<HandOver> {
        hand_overs(&self.heard(), ours, window)
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Hand-overs in a recording: a claim by a new MAC is one; the old owner may go on claiming for
/// `window`, after that its claim counts as a hand-over back.
fn hand_overs(heard: &[Heard], ours: impl Fn(IpAddr) -> bool, window: Duration) -> Vec<HandOver> {
    let mut owners: BTreeMap<IpAddr, Mac> = BTreeMap::new();
    let mut latest: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let mut found: Vec<HandOver> = Vec::new();
    for Heard { at, claim } in heard {
        if !ours(claim.ip) || claim.how == How::ArpRequest {
            continue;
        }
        let owner = *owners.entry(claim.ip).or_insert(claim.mac);
        if owner == claim.mac {
            continue;
        }
        let last = latest.get(&claim.ip).and_then(|i| found.get_mut(*i));
        if let Some(last) = last
            && last.from == claim.mac
            && at.duration_since(last.at) <= window
        {
            last.overlap = at.duration_since(last.at);
            continue;
        }
        owners.insert(claim.ip, claim.mac);
        latest.insert(claim.ip, found.len());
        found.push(HandOver {
            ip: claim.ip,
            from: owner,
            to: claim.mac,
            at: *at,
            overlap: Duration::ZERO,
        });
    }
    found
}

/// Takes note of every frame that waits.
fn take(socket: &RawSocket, heard: &mut Vec<Heard>) {
    let mut buffer = RawSocket::buffer();
    // A socket that fails has nothing more to tell.
    while let Ok(Some(received)) = socket.receive(&mut buffer, Duration::ZERO) {
        if let Some(claim) = frame::claim(received.frame) {
            let at = Instant::now();
            heard.push(Heard { at, claim });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
