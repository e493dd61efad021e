//! Echo packets: their sockets, one for each interface they go over, and what comes in by them.

use super::super::{Echo, Way};
use super::{BURST, Driver, LOOK, Watch, complain};
use corten_host::echo::{self, EchoSocket, Hardware};
use corten_host::packet::PacketError;
use corten_wire::bfd as wire;
use corten_wire::bfd::echo::Heard;
use futures_util::future::select_all;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

/// A packet, its length, and where it came from.
pub(super) type Frame = ([u8; echo::SNAP], usize, Hardware);

/// Waits for a packet on any interface echo packets go over.
pub(super) async fn next(echoes: &BTreeMap<u32, EchoSocket>) -> (u32, Result<Frame, PacketError>) {
    let waiting = echoes.iter().map(|(link, socket)| {
        Box::pin(async move {
            let mut buf = [0; echo::SNAP];
            let received = socket.recv(&mut buf).await;
            (*link, received.map(|(length, from)| (buf, length, from)))
        })
    });
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    select_all(waiting).await.0
}

impl Driver {
    /// Opens the sockets that are missing, and closes those nobody needs.
    pub(super) fn open_echoes(&mut self, now: Instant) {
        let link = |watch: &Watch| watch.link();
        let needed: BTreeSet<u32> = self.watches.values().filter_map(link).collect();
        self.echoes.retain(|link, _| needed.contains(link));
        for link in needed {
            if self.echoes.contains_key(&link) {
                continue;
            }
            match EchoSocket::open(link) {
                Ok(socket) => drop(self.echoes.insert(link, socket)),
                Err(error) => {
                    self.look = Some(now + LOOK);
                    self.mute(link, &error);
                }
            }
        }
    }

    /// Says why echo packets can't be sent over an interface.
    fn mute(&mut self, link: u32, error: &PacketError) {
        let along = self.watches.iter_mut();
        for (way, watch) in along.filter(|(_, watch)| watch.link() == Some(link)) {
            complain(way, &mut watch.mute, format!("echo: {error}"));
        }
    }

    /// Takes what came in below IP: echo packets to their sessions, and of control packets where
    /// they came from.
    pub(super) fn heard(&mut self, link: u32, received: Result<Frame, PacketError>) {
        let (buf, length, hardware) = match received {
            Ok(frame) => frame,
            // It is told once, and frames flow again later.
            Err(error @ PacketError::Down { .. }) => return self.mute(link, &error),
            Err(error) => {
                self.echoes.remove(&link);
                self.look = Some(Instant::now() + LOOK);
                return self.mute(link, &error);
            }
        };
        let heard = wire::echo::decode(buf.get(..length).unwrap_or_default());
        let along = self.watches.iter_mut();
        let along = along.filter(|(_, watch)| watch.link() == Some(link));
        for (way, watch) in along {
            match heard {
                Some(Heard::Control { from }) if way.remote.ip() == from => {
                    watch.hardware = Some(hardware);
                }
                Some(Heard::Echo { to, payload }) if way.local == to => {
                    if let Some(running) = &mut watch.running {
                        // Another session's changes nothing.
                        running.session.handle_echo(payload, Instant::now());
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    /// Packets that wait go before timers.
    pub(super) fn hear_waiting_echoes(&mut self) {
        let mut frames: Vec<(u32, Frame)> = Vec::new();
        for (link, socket) in &self.echoes {
            for _ in 0..BURST {
                let mut buf = [0; echo::SNAP];
                let Ok(Some((length, from))) = socket.try_recv(&mut buf) else {
                    break;
                };
                frames.push((*link, (buf, length, from)));
            }
        }
        for (link, frame) in frames {
            self.heard(link, Ok(frame));
        }
    }
}

impl Watch {
    /// The interface echo packets go over.
    pub(super) fn link(&self) -> Option<u32> {
        match self.settings.echo {
            Echo::Off => None,
            Echo::On { link, .. } => Some(link),
        }
    }

    /// Sends an echo packet.
    pub(super) fn echo(
        &mut self,
        way: &Way,
        echoes: Option<&EchoSocket>,
        session: &mut wire::Session,
        payload: &[u8; wire::ECHO_LENGTH],
        now: Instant,
    ) {
        let sent = match (echoes, self.hardware, way.local) {
            (Some(socket), Some(to), IpAddr::V4(local)) => {
                socket.send(&wire::echo::encode(local, payload), to)
            }
            // Not open, which was said, or where to isn't known yet: the next control packet shows.
            _ => return session.handle_echo_unsent(now),
        };
        match sent {
            Ok(()) => self.mute = None,
            Err(error) => {
                session.handle_echo_unsent(now);
                complain(way, &mut self.mute, format!("echo: {error}"));
            }
        }
    }
}
