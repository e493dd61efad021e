//! The sockets of gossip: datagrams and streams on one port, and names of hosts.
//!
//! [`Endpoint`] takes and sends datagrams and takes connections. [`Streams`] reads and writes any
//! number of connections at once and says what comes of each; a slow or silent peer keeps nobody
//! else waiting. Dropping either closes everything of it.

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes of datagrams the kernel may keep for us, before it applies its own limit.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Connections waiting to be taken.
const BACKLOG: i32 = 128;
/// Read from a stream at a time.
const CHUNK: usize = 16 << 10;
/// Events of streams waiting to be taken; a stream with more waits.
const EVENTS: usize = 64;

/// Why the sockets can't be had.
#[derive(Debug, thiserror::Error)]
#[error("gossip on {address}: {operation}: {source}")]
pub struct EndpointError {
    address: SocketAddr,
    operation: &'static str,
    source: io::Error,
}

impl EndpointError {
    /// Whether another socket has the address and port, which may pass.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// Datagrams and connections on one address and port.
#[derive(Debug)]
pub struct Endpoint {
    datagrams: UdpSocket,
    listener: TcpListener,
}

impl Endpoint {
    /// Longest datagram there is.
    pub const DATAGRAM_MAX: usize = 65_535;

    /// Binds both sockets. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// What the kernel refused: the address isn't here, or the port is taken.
    pub fn bind(address: SocketAddr) -> Result<Self, EndpointError> {
        let failed = |operation| {
            move |source| EndpointError {
                address,
                operation,
                source,
            }
        };
        let datagrams = open(address, Type::DGRAM, Protocol::UDP).map_err(failed("UDP"))?;
        // The kernel may give less; more is only for bursts.
        let _less = datagrams.set_recv_buffer_size(RECEIVE_BUFFER);
        let datagrams = UdpSocket::from_std(datagrams.into()).map_err(failed("UDP"))?;
        let listener = open(address, Type::STREAM, Protocol::TCP).map_err(failed("TCP"))?;
        listener.listen(BACKLOG).map_err(failed("TCP"))?;
        let listener = TcpListener::from_std(listener.into()).map_err(failed("TCP"))?;
        Ok(Self {
            datagrams,
            listener,
        })
    }

    /// Waits for a datagram: its length and where it came from.
    ///
    /// # Errors
    /// What the kernel says of an earlier datagram; the socket goes on working.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.datagrams.recv_from(buffer).await
    }

    /// Takes a datagram if there is one.
    pub fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.datagrams.try_recv_from(buffer).ok()
    }

    /// Sends a datagram, or doesn't: it may get lost on its way as well. False if the kernel
    /// refused.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) -> bool {
        // Past the runtime: it learns only with the first wait that the socket takes anything.
        let socket = SockRef::from(&self.datagrams);
        socket.send_to(bytes, &SockAddr::from(to)).is_ok()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// A lack of descriptors or memory; the socket goes on working.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // Connections of an earlier life must not keep the port.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// The addresses of a host name, or an address.
///
/// # Errors
/// What the resolver says.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// Bytes.
    Data(Vec<u8>),
    /// It couldn't be opened, or has ended.
    Closed,
}

/// Any number of streams, each under a name of the caller's.
#[derive(Debug)]
pub struct Streams<K> {
    tasks: JoinSet<()>,
    commands: BTreeMap<K, mpsc::UnboundedSender<Vec<u8>>>,
    events: mpsc::Receiver<(K, StreamEvent)>,
    events_tx: mpsc::Sender<(K, StreamEvent)>,
}

impl<K: Ord + Copy + Send + 'static> Default for Streams<K> {
    fn default() -> Self {
        let (events_tx, events) = mpsc::channel(EVENTS);
        Self {
            tasks: JoinSet::new(),
            commands: BTreeMap::new(),
            events,
            events_tx,
        }
    }
}

impl<K: Ord + Copy + Send + 'static> Streams<K> {
    /// Connects; what is written meanwhile is sent once that is done.
    pub fn open(&mut self, key: K, to: SocketAddr) {
        let (events, commands) = self.add(key);
        self.tasks.spawn(async move {
            match TcpStream::connect(to).await {
                Ok(stream) => serve(key, stream, commands, events).await,
                Err(_) => tell(&events, key, StreamEvent::Closed).await,
            }
        });
    }

    /// Takes a connection over.
    pub fn accept(&mut self, key: K, stream: TcpStream) {
        let (events, commands) = self.add(key);
        self.tasks.spawn(serve(key, stream, commands, events));
    }

    fn add(
        &mut self,
        key: K,
    ) -> (
        mpsc::Sender<(K, StreamEvent)>,
        mpsc::UnboundedReceiver<Vec<u8>>,
    ) {
        let (commands, commands_rx) = mpsc::unbounded_channel();
        self.commands.insert(key, commands);
        (self.events_tx.clone(), commands_rx)
    }

    /// Writes, in order; nothing if the stream has ended.
    pub fn write(&mut self, key: K, bytes: Vec<u8>) {
        if let Some(commands) = self.commands.get(&key) {
            // An ended stream says so by its event.
            let _ended = commands.send(bytes);
        }
    }

    /// Closes a stream once all is written; no event of it comes any more.
    pub fn close(&mut self, key: K) {
        self.commands.remove(&key);
    }

    /// Waits for what comes of any stream.
    pub async fn next(&mut self) -> (K, StreamEvent) {
        loop {
            tokio::select! {
                Some((key, event)) = self.events.recv() => {
                    if self.commands.contains_key(&key) {
                        if event == StreamEvent::Closed {
                            self.commands.remove(&key);
                        }
                        return (key, event);
                    }
                }
                // Collects what tasks that ended left.
                Some(_ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
            }
        }
    }
}

async fn tell<K>(events: &mpsc::Sender<(K, StreamEvent)>, key: K, event: StreamEvent) {
    // Without a receiver there is nobody left to be told.
    let _gone = events.send((key, event)).await;
}

/// Reads and writes one stream until either side is done with it.
async fn serve<K: Copy>(
    key: K,
    mut stream: TcpStream,
    mut commands: mpsc::UnboundedReceiver<Vec<u8>>,
    events: mpsc::Sender<(K, StreamEvent)>,
) {
    let (mut from, mut to) = stream.split();
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(length @ 1..) => {
                    let data = buffer.get(..length).unwrap_or_default().to_vec();
                    tell(&events, key, StreamEvent::Data(data)).await;
                }
                Ok(0) | Err(_) => break tell(&events, key, StreamEvent::Closed).await,
            },
            command = commands.recv() => match command {
                Some(bytes) => {
                    if to.write_all(&bytes).await.is_err() {
                        break tell(&events, key, StreamEvent::Closed).await;
                    }
                }
                // Closed by this side.
                None => break,
            },
        }
    }
}

#[cfg(test)]
mod tests;
