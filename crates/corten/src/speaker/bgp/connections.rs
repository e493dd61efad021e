//! TCP connections of BGP peers: any number at once, each in a task that reads and writes by
//! itself, so that a peer that doesn't read, or doesn't answer at all, keeps nobody waiting.

use corten_host::tcp::{self, Options};
use corten_wire::bgp::ConnectionId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Read at a time.
const CHUNK: usize = 16 << 10;
/// Events waiting to be taken; a connection with more isn't read meanwhile.
const EVENTS: usize = 64;
/// How long a connection that was closed here goes on, for what was to be sent to arrive.
pub(super) const LINGER: Duration = Duration::from_millis(800);

/// What came of a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// It is made.
    Connected { local: SocketAddr, peer: SocketAddr },
    /// It couldn't be made; why, in words.
    Failed(String),
    /// Octets came.
    Data(Vec<u8>),
    /// So many octets were written.
    Sent(usize),
    /// It is gone; how, in words.
    Closed(String),
}

type Events = mpsc::Sender<(ConnectionId, Event)>;
/// What is to be written. The machine bounds it: it hands out no more than its send buffer.
type Commands = mpsc::UnboundedReceiver<Vec<u8>>;

/// One connection from outside.
struct Handle {
    peer: Arc<str>,
    commands: mpsc::UnboundedSender<Vec<u8>>,
    /// Dropped with the handle: the task has [`LINGER`] left from then on.
    _open: oneshot::Sender<()>,
}

/// All connections.
pub(super) struct Connections {
    tasks: JoinSet<()>,
    handles: BTreeMap<ConnectionId, Handle>,
    events: mpsc::Receiver<(ConnectionId, Event)>,
    events_tx: Events,
}

impl Default for Connections {
    fn default() -> Self {
        let (events_tx, events) = mpsc::channel(EVENTS);
        Self {
            tasks: JoinSet::new(),
            handles: BTreeMap::new(),
            events,
            events_tx,
        }
    }
}

impl Connections {
    /// Makes a connection; an event says what comes of it.
    pub(super) fn open(&mut self, id: ConnectionId, peer: Arc<str>, target: Options) {
        self.keep(id, peer, |commands, events| async move {
            run(id, &target, commands, &events).await;
        });
    }

    /// Goes on with a connection a peer made.
    pub(super) fn adopt(&mut self, id: ConnectionId, peer: Arc<str>, stream: TcpStream) {
        self.keep(id, peer, |commands, events| async move {
            serve(id, stream, commands, &events).await;
        });
    }

    fn keep<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        id: ConnectionId,
        peer: Arc<str>,
        work: impl FnOnce(Commands, Events) -> F,
    ) {
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (open, closing) = oneshot::channel();
        let handle = Handle {
            peer,
            commands,
            _open: open,
        };
        self.handles.insert(id, handle);
        let work = work(commands_rx, self.events_tx.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = overdue(closing) => {}
            }
        });
    }

    /// Writes behind what was to be written before; nothing if the connection has ended.
    pub(super) fn write(&self, id: ConnectionId, bytes: Vec<u8>) {
        if let Some(handle) = self.handles.get(&id) {
            // An ended connection says so by its event.
            let _ended = handle.commands.send(bytes);
        }
    }

    /// Closes a connection once all is written; no event of it comes any more.
    pub(super) fn close(&mut self, id: ConnectionId) {
        self.handles.remove(&id);
    }

    /// Whether no connection is left, closing ones included.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for what comes of any connection, and whose it is; `None` when one came to its end.
    pub(super) async fn next(&mut self) -> Option<(Arc<str>, ConnectionId, Event)> {
        loop {
            tokio::select! {
                biased;
                Some((id, event)) = self.events.recv() => {
                    let Some(handle) = self.handles.get(&id) else { continue };
                    let peer = Arc::clone(&handle.peer);
                    if matches!(event, Event::Failed(_) | Event::Closed(_)) {
                        self.handles.remove(&id);
                    }
                    return Some((peer, id, event));
                }
                Some(_ended) = self.tasks.join_next() => return None,
            }
        }
    }
}

/// Ends a while after the connection was closed.
async fn overdue(closing: oneshot::Receiver<()>) {
    let _closed = closing.await;
    tokio::time::sleep(LINGER).await;
}

async fn tell(events: &Events, id: ConnectionId, event: Event) {
    // Without a receiver there is nobody left to be told.
    let _gone = events.send((id, event)).await;
}

async fn run(id: ConnectionId, target: &Options, mut commands: Commands, events: &Events) {
    let connected = tokio::select! {
        connected = tcp::connect(target) => connected.map_err(|e| e.to_string()),
        // Nothing is written before it is made: it was given up.
        _ = commands.recv() => return,
    };
    let made = connected.and_then(|stream| {
        let ends = stream
            .local_addr()
            .and_then(|l| Ok((l, stream.peer_addr()?)));
        Ok((ends.map_err(|e| e.to_string())?, stream))
    });
    match made {
        Ok(((local, peer), stream)) => {
            tell(events, id, Event::Connected { local, peer }).await;
            serve(id, stream, commands, events).await;
        }
        Err(why) => tell(events, id, Event::Failed(why)).await,
    }
}

async fn serve(id: ConnectionId, stream: TcpStream, commands: Commands, events: &Events) {
    let (from, to) = stream.into_split();
    let mut reading = std::pin::pin!(read(id, from, events));
    let why = tokio::select! {
        why = &mut reading => why,
        written = write(id, to, commands, events) => match written {
            // Closing with octets unread would reset the connection, and take a NOTIFICATION that
            // is under way with it: the peer's end is waited for.
            Ok(_to) => reading.await,
            Err(why) => why,
        },
    };
    tell(events, id, Event::Closed(why)).await;
}

/// Reads to the end; says how it ended.
async fn read(id: ConnectionId, mut from: OwnedReadHalf, events: &Events) -> String {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return "the peer closed the connection".to_owned(),
            Ok(length) => {
                let data = buffer.get(..length).unwrap_or_default().to_vec();
                tell(events, id, Event::Data(data)).await;
            }
            Err(error) => return format!("the connection was lost: {error}"),
        }
    }
}

/// Writes until the connection is closed here; gives the half that says so to the peer by then.
async fn write(
    id: ConnectionId,
    mut to: OwnedWriteHalf,
    mut commands: Commands,
    events: &Events,
) -> Result<OwnedWriteHalf, String> {
    let lost = |error: std::io::Error| format!("the connection was lost: {error}");
    while let Some(bytes) = commands.recv().await {
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            let written = to.write(left).await.map_err(lost)?;
            left = left.get(written..).unwrap_or_default();
            tell(events, id, Event::Sent(written)).await;
        }
    }
    to.shutdown().await.map_err(lost)?;
    Ok(to)
}
