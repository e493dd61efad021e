//! Two speakers back to back on a virtual clock, and one against whatever a peer may do.

use super::*;
use crate::bgp::tests::{prefix, start};
use crate::bgp::{
    Community, ConnectionId, Families, Framer, MaximumPrefix, Message, MessageType, NextHop, Path,
    PeerAsn, Prefix, Received, Restart, UpdateContext,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

mod anything;
mod collision;
mod ending;
mod routes;
mod starting;

const A: usize = 0;
const B: usize = 1;

/// A TCP connection between the two.
#[derive(Debug)]
struct Link {
    ids: [Option<ConnectionId>; 2],
    /// What is on its way to each.
    to: [Vec<u8>; 2],
    /// Whether the end was closed by its owner.
    closed: [bool; 2],
}

/// Two peers and the network between them.
struct Net {
    pub(super) now: Instant,
    pub(super) peers: [Peer; 2],
    links: Vec<Link>,
    /// Who takes connections.
    pub(super) listens: [bool; 2],
    /// Nothing arrives there, and what is sent there isn't taken either.
    pub(super) deaf: [bool; 2],
    pub(super) notices: [Vec<Notice>; 2],
    /// Every message sent by each, decoded.
    pub(super) said: [Vec<Received>; 2],
    framers: BTreeMap<(usize, ConnectionId), Framer>,
    dials: Vec<(usize, ConnectionId)>,
    pub(super) ends: [Endpoints; 2],
}

fn ends(local: &str, peer: &str) -> Endpoints {
    let address = |text: &str, port| SocketAddr::new(text.parse().unwrap(), port);
    Endpoints {
        local: address(local, 40_000),
        peer: address(peer, 179),
        ipv4: None,
        ipv6: None,
        link_local: None,
    }
}

fn options(asn: u32, identifier: [u8; 4]) -> PeerOptions {
    PeerOptions {
        asn,
        identifier: identifier.into(),
        ..PeerOptions::default()
    }
}

fn internal(asn: u32, identifier: [u8; 4]) -> PeerOptions {
    PeerOptions {
        peer_asn: PeerAsn::Internal,
        ..options(asn, identifier)
    }
}

impl Net {
    /// A dials, B only listens.
    pub(super) fn new(a: PeerOptions, b: PeerOptions) -> Self {
        Self {
            now: start(),
            peers: [Peer::new(a, 1), Peer::new(b, 2)],
            links: Vec::new(),
            listens: [false, true],
            deaf: [false; 2],
            notices: [Vec::new(), Vec::new()],
            said: [Vec::new(), Vec::new()],
            framers: BTreeMap::new(),
            dials: Vec::new(),
            ends: [ends("10.0.0.1", "10.0.0.2"), ends("10.0.0.2", "10.0.0.1")],
        }
    }

    /// AS 64512 dials AS 64513.
    pub(super) fn external() -> Self {
        let b = PeerOptions {
            dial: Dial::Passive,
            ..options(64513, [10, 0, 0, 2])
        };
        Self::new(options(64512, [10, 0, 0, 1]), b)
    }

    pub(super) fn start(&mut self) {
        for peer in [B, A] {
            self.peers[peer].handle_start(self.now);
        }
        self.settle();
    }

    /// Empty tables for both, and a session.
    pub(super) fn up(mut self) -> Self {
        for peer in &mut self.peers {
            peer.handle_routes(Arc::default(), self.now);
        }
        self.start();
        self.expect_up();
        self
    }

    pub(super) fn expect_up(&self) {
        let states = [A, B].map(|peer| self.peers[peer].state());
        let errors = [A, B].map(|peer| self.peers[peer].last_error());
        assert_eq!(states, [State::Established; 2], "{errors:?}");
    }

    /// Until nothing more happens at this moment.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            let busy = self.outputs() | self.connect() | self.deliver();
            if !busy {
                return;
            }
        }
        panic!("never settles");
    }

    fn outputs(&mut self) -> bool {
        let mut busy = false;
        for peer in [A, B] {
            while let Some(output) = self.peers[peer].poll_output() {
                busy = true;
                match output {
                    Output::Connect { connection } => self.dials.push((peer, connection)),
                    Output::Send { connection, bytes } => self.send(peer, connection, &bytes),
                    Output::Close { connection } => self.close(peer, connection),
                    Output::Notice(notice) => self.notices[peer].push(notice),
                }
            }
        }
        busy
    }

    fn link(&mut self, peer: usize, id: ConnectionId) -> Option<&mut Link> {
        self.links
            .iter_mut()
            .find(|link| link.ids[peer] == Some(id))
    }

    fn send(&mut self, peer: usize, id: ConnectionId, bytes: &[u8]) {
        let framer = self.framers.entry((peer, id)).or_insert_with(|| {
            let mut framer = Framer::default();
            framer.extend_limit();
            framer
        });
        framer.push(bytes);
        let context = UpdateContext {
            four_octet_as: true,
            external: false,
            extended_next_hop: true,
        };
        while let Some(frame) = framer.next_frame().unwrap() {
            self.said[peer].push(frame.decode(&context).unwrap());
        }
        let link = self
            .link(peer, id)
            .expect("only on a connection that was made");
        assert!(!link.closed[peer]);
        link.to[1 - peer].extend_from_slice(bytes);
    }

    fn close(&mut self, peer: usize, id: ConnectionId) {
        self.dials.retain(|dial| *dial != (peer, id));
        if let Some(link) = self.link(peer, id) {
            link.closed[peer] = true;
        }
    }

    fn connect(&mut self) -> bool {
        let dials = std::mem::take(&mut self.dials);
        let busy = !dials.is_empty();
        for (peer, id) in dials {
            let other = 1 - peer;
            let now = self.now;
            if self.deaf[other] {
                self.dials.push((peer, id));
                return false;
            }
            let ends = self.ends[other];
            let taken = if self.listens[other] {
                self.peers[other].handle_accepted(ends, now).ok()
            } else {
                None
            };
            let Some(theirs) = taken else {
                self.peers[peer].handle_connect_failed(id, "connection refused", now);
                continue;
            };
            let mut ids = [None, None];
            ids[peer] = Some(id);
            ids[other] = Some(theirs);
            self.links.push(Link {
                ids,
                to: [Vec::new(), Vec::new()],
                closed: [false; 2],
            });
            self.peers[peer].handle_connected(id, self.ends[peer], now);
        }
        busy
    }

    fn deliver(&mut self) -> bool {
        let mut busy = false;
        for index in 0..self.links.len() {
            for peer in [A, B] {
                busy |= self.deliver_to(index, peer);
            }
        }
        self.links.retain(|link| link.ids != [None, None]);
        busy
    }

    fn deliver_to(&mut self, index: usize, peer: usize) -> bool {
        let other = 1 - peer;
        if self.deaf[peer] {
            return false;
        }
        let link = &mut self.links[index];
        let (ids, closed) = (link.ids, link.closed);
        let bytes = std::mem::take(&mut link.to[peer]);
        let now = self.now;
        if !bytes.is_empty() {
            if let Some(id) = ids[other] {
                self.peers[other].handle_sent(id, bytes.len(), now);
            }
            if let Some(id) = ids[peer]
                && !closed[peer]
            {
                // In pieces, as a stream may come.
                for piece in bytes.chunks(1000) {
                    self.peers[peer].handle_bytes(id, piece, now);
                }
            }
            return true;
        }
        if closed[other]
            && let Some(id) = ids[peer]
        {
            self.links[index].ids[peer] = None;
            self.links[index].ids[other] = None;
            if !closed[peer] {
                self.peers[peer].handle_closed(id, "the peer closed the connection", now);
            }
            return true;
        }
        false
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            self.settle();
            let next = self.peers.iter().filter_map(Peer::poll_timeout).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            for peer in &mut self.peers {
                peer.handle_timeout(self.now);
            }
        }
        panic!("time stands still");
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Octets that A handed out and the network didn't take.
    pub(super) fn on_the_way(&self, peer: usize) -> usize {
        self.links.iter().map(|link| link.to[1 - peer].len()).sum()
    }

    /// Gives the peer a message as if the other had sent it.
    pub(super) fn inject(&mut self, peer: usize, bytes: &[u8]) {
        let id = self.links.iter().find_map(|link| link.ids[peer]).unwrap();
        self.peers[peer].handle_bytes(id, bytes, self.now);
        self.settle();
    }

    pub(super) fn last_error(&self, peer: usize) -> &str {
        &self.peers[peer].last_error().expect("an error").words
    }

    /// NOTIFICATIONs the peer sent.
    pub(super) fn notifications(&self, peer: usize) -> Vec<String> {
        let said = self.said[peer].iter().filter_map(|said| {
            if let Received::Notification(notification) = said {
                Some(notification.to_string())
            } else {
                None
            }
        });
        said.collect()
    }
}

fn table(prefixes: &[&str]) -> Arc<Routes> {
    let path = Arc::new(Path::default());
    Arc::new(
        prefixes
            .iter()
            .map(|text| (prefix(text), Arc::clone(&path)))
            .collect(),
    )
}

/// So many host routes of one path, which this community tells from others.
fn many(count: u32, community: u32) -> Arc<Routes> {
    let path = Arc::new(Path {
        communities: [Community(community)].into(),
        ..Path::default()
    });
    let host = |n: u32| Prefix::new(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into(), 32);
    Arc::new(
        (0..count)
            .filter_map(host)
            .map(|prefix| (prefix, Arc::clone(&path)))
            .collect(),
    )
}

fn encode(message: &Message) -> Vec<u8> {
    message.encode(true, 4096).unwrap()
}

/// What a peer hears about each prefix.
fn heard(said: &[Received]) -> BTreeMap<Prefix, crate::bgp::Attributes> {
    let mut routes = BTreeMap::new();
    for one in said {
        if let Received::Update(decoded) = one {
            for prefix in decoded.update.unreachable() {
                routes.remove(&prefix);
            }
            for prefix in decoded.update.reachable() {
                routes.insert(prefix, decoded.update.attributes.clone());
            }
        }
    }
    routes
}
