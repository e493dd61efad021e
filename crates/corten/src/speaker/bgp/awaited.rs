//! Peers that connect to this node, where an annotation says so: who is waited for where.

use super::convert::Session;
use corten_host::tcp::{Auth, CS6, Key, ListenOptions, Listener, Options, Whom};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How long to wait after the kernel refused a connection, as it does without descriptors.
const RETRY: Duration = Duration::from_secs(1);

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Door {
    any: IpAddr,
    port: u16,
    device: Option<String>,
}

impl Door {
    /// Where the peer of a session is waited for, if it is.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let any = match session.target.remote.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Some(Self {
            any,
            port: session.listen?,
            device: session.target.device.clone(),
        })
    }
}

/// A connection that somebody made.
pub(super) struct Accepted {
    pub(super) door: Door,
    pub(super) from: SocketAddr,
    pub(super) stream: TcpStream,
    pub(super) listener: Arc<Listener>,
}

/// Everything listened on.
pub(super) struct Awaited {
    doors: BTreeMap<Door, Result<Open, String>>,
    accepted: mpsc::Receiver<Accepted>,
    accepted_tx: mpsc::Sender<Accepted>,
}

struct Open {
    listener: Arc<Listener>,
    keys: BTreeMap<IpAddr, Key>,
    task: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Awaited {
    fn default() -> Self {
        let (accepted_tx, accepted) = mpsc::channel(16);
        Self {
            doors: BTreeMap::new(),
            accepted,
            accepted_tx,
        }
    }
}

impl Awaited {
    /// Listens for these peers at these doors, and at no others; one that couldn't be opened is
    /// tried again.
    pub(super) fn watch(&mut self, wanted: &BTreeMap<Door, Vec<Options>>) {
        self.doors
            .retain(|door, open| open.is_ok() && wanted.contains_key(door));
        for (door, peers) in wanted {
            let events = &self.accepted_tx;
            let open = self.doors.entry(door.clone());
            let open = open.or_insert_with(|| listen(door, events.clone()));
            let failed = match open {
                Ok(open) => open.expect(peers).err(),
                Err(_) => None,
            };
            // Without its key a peer could be somebody else.
            if let Some(why) = failed {
                *open = Err(why);
            }
        }
    }

    /// Whether a door is open.
    ///
    /// # Errors
    /// Why it isn't.
    pub(super) fn is_open(&self, door: &Door) -> Result<(), String> {
        match self.doors.get(door) {
            Some(Ok(_)) => Ok(()),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("port {} isn't listened on yet", door.port)),
        }
    }

    /// Waits for a connection.
    pub(super) async fn next(&mut self) -> Accepted {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // There is always a sender: our own.
            None => std::future::pending().await,
        }
    }
}

fn listen(door: &Door, events: mpsc::Sender<Accepted>) -> Result<Open, String> {
    let options = ListenOptions {
        local: SocketAddr::new(door.any, door.port),
        device: door.device.clone(),
        dscp: CS6,
    };
    let listener = Arc::new(Listener::bind(&options).map_err(|error| error.to_string())?);
    let task = tokio::spawn(accept(Arc::clone(&listener), door.clone(), events));
    Ok(Open {
        listener,
        keys: BTreeMap::new(),
        task: task.abort_handle(),
    })
}

impl Open {
    /// Has just these peers' connections signed with just their keys.
    fn expect(&mut self, peers: &[Options]) -> Result<(), String> {
        let signed = peers.iter().filter_map(|peer| match &peer.auth {
            Auth::Md5(key) => Some((peer.remote.ip(), key.clone())),
            Auth::None | Auth::Ao(_) => None,
        });
        let keys: BTreeMap<_, _> = signed.collect();
        for gone in self.keys.keys().filter(|ip| !keys.contains_key(*ip)) {
            let taken = self.listener.set_md5(Whom::peer(*gone), None);
            taken.map_err(|error| error.to_string())?;
        }
        for (ip, key) in &keys {
            if self.keys.get(ip) != Some(key) {
                let set = self.listener.set_md5(Whom::peer(*ip), Some(key));
                set.map_err(|error| error.to_string())?;
            }
        }
        self.keys = keys;
        Ok(())
    }
}

/// Takes connections until it is aborted.
async fn accept(listener: Arc<Listener>, door: Door, events: mpsc::Sender<Accepted>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let accepted = Accepted {
                    door: door.clone(),
                    from,
                    stream,
                    listener: Arc::clone(&listener),
                };
                // Without a receiver there is nobody left to be told.
                let _gone = events.send(accepted).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a connection couldn't be taken");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
