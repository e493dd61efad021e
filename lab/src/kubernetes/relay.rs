//! Passes connections from one namespace on to a server in another.

use crate::netns::Netns;
use anyhow::{Context, Result};
use nix::sys::socket::{self, shutdown};
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Listens on loopback of one namespace for a server on loopback of another. Dropping it cuts
/// every connection.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts listening on `port` of `here` for the same port of `there`.
    ///
    /// # Errors
    /// If the port is taken.
    pub(super) fn start(here: &Netns, there: &Netns, port: u16) -> Result<Self> {
        let local = (Ipv4Addr::LOCALHOST, port);
        let listener = here.run(|| TcpListener::bind(local).context("listening"))?;
        let accepting = listener.try_clone()?;
        let streams = Arc::new(Mutex::new(Vec::new()));
        let (open, there) = (Arc::clone(&streams), there.clone());
        let thread = thread::spawn(move || {
            while let Ok((near, _)) = accepting.accept() {
                // Nobody there: the caller sees its connection end, as behind any broken path.
                let far = there.run(|| Ok(TcpStream::connect(local)?));
                if let Ok(far) = far {
                    let _ended = connect(near, far, &open);
                }
            }
        });
        Ok(Self {
            listener,
            streams,
            thread: Some(thread),
        })
    }
}

fn connect(near: TcpStream, far: TcpStream, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend([near.try_clone()?, far.try_clone()?]);
    }
    let (near_too, far_too) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || copy(near, far));
    thread::spawn(move || copy(far_too, near_too));
    Ok(())
}

/// Copies until one side ends, and ends the other.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ended = io::copy(&mut from, &mut to);
    let _gone = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Wakes accept(), which then fails.
        let _ = shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}
