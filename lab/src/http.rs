//! The servers behind the addresses and the clients in front of them: HTTP/1.1, just enough.

use crate::netns::Netns;
use anyhow::{Context, Result, ensure};
use nix::sys::socket::{Shutdown, shutdown};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Names the server answers with, by the address it was asked at.
pub type Names = Arc<Mutex<BTreeMap<IpAddr, String>>>;

/// An HTTP server on every address of a namespace, both families.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `port`; the answer is the address asked and its name.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(ns: &Netns, port: u16, names: &Names) -> Result<Self> {
        let listener =
            ns.run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).context("listening"))?;
        let accepting = listener.try_clone()?;
        let names = Arc::clone(names);
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                let names = Arc::clone(&names);
                // A client that goes away ends its connection, nothing else.
                thread::spawn(move || drop(serve(&stream, &names)));
            }
        });
        Ok(Self {
            listener,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes accept(), which then fails.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, names: &Names) -> Result<()> {
    let ip = stream.local_addr()?.ip().to_canonical();
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let name = {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            names.get(&ip).cloned().unwrap_or_default()
        };
        let body = format!("{ip} {name}\n");
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&mut &*stream).write_all(text.as_bytes())?;
    }
}

/// A connection that can ask more than once.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects from the calling thread's namespace; every later step has the same time.
    ///
    /// # Errors
    /// If nobody answers within `timeout`.
    pub fn open(to: SocketAddr, timeout: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, timeout)
            .with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            reader: BufReader::new(stream),
            host: to.to_string(),
        })
    }

    /// `GET` of a path, giving the body.
    ///
    /// # Errors
    /// If there is no answer, or another one than 200.
    pub fn get(&mut self, path: &str) -> Result<String> {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.reader
            .get_mut()
            .write_all(ask.as_bytes())
            .with_context(|| format!("asking {}", self.host))?;
        let mut length = 0;
        let mut status = String::new();
        self.reader
            .read_line(&mut status)
            .with_context(|| format!("reading from {}", self.host))?;
        ensure!(
            status.starts_with("HTTP/1.1 200 "),
            "{}: answered {status:?}",
            self.host
        );
        loop {
            let mut line = String::new();
            ensure!(
                self.reader.read_line(&mut line)? > 0,
                "{}: cut off",
                self.host
            );
            if line == "\r\n" {
                break;
            }
            let field = line.split_once(':');
            if let Some((name, value)) = field
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }
}

/// One request on a connection of its own, from the calling thread's namespace.
///
/// # Errors
/// As those of [`Connection`].
pub fn get(to: SocketAddr, timeout: Duration) -> Result<String> {
    page(to, "/", timeout)
}

/// The same for any path.
///
/// # Errors
/// As those of [`Connection`].
pub fn page(to: SocketAddr, path: &str, timeout: Duration) -> Result<String> {
    Connection::open(to, timeout)?.get(path)
}
