//! The thread's loop: sockets and timers around [`wire::Session`].

mod echoes;

use super::{Echo, News, Ports, Seen, Settings, Wanted, Way};
use crate::speaker::until;
use corten_host::echo::{EchoSocket, Hardware};
use corten_host::tcp::CS6;
use corten_host::udp::{Received, Receiver, SendOptions, Sender, UdpError};
use corten_wire::bfd as wire;
use futures_util::future::select_all;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between attempts to open sockets that couldn't be.
const LOOK: Duration = Duration::from_secs(1);
/// How long a session that isn't wanted any more says so (RFC 5880 §6.8.16: "for at least a
/// Detection Time").
const FAREWELL: Duration = Duration::from_secs(3);
/// Octets read of a packet; it has 24, or a few more with authentication.
const SNAP: usize = 128;
/// Most packets read of a socket before timers get their turn.
const BURST: usize = 1024;

/// Where packets arrive.
type Door = (SocketAddr, Option<String>);

/// One session with its socket.
struct Running {
    session: wire::Session,
    sender: Sender,
}

/// One way that is watched.
struct Watch {
    settings: Settings,
    running: Option<Running>,
    /// Why it can't be had, or why its packets aren't sent.
    error: Option<String>,
    /// Why its echo packets aren't.
    mute: Option<String>,
    /// Where the peer's frames come from, and so echo packets go to.
    hardware: Option<Hardware>,
    ups: u64,
    downs: u64,
    notices: u64,
}

struct Driver {
    watches: BTreeMap<Way, Watch>,
    /// Sessions that aren't wanted any more, and until when they say so.
    leaving: Vec<(Way, Running, Instant)>,
    doors: BTreeMap<Door, Receiver>,
    /// The interfaces echo packets go over, by index.
    echoes: BTreeMap<u32, EchoSocket>,
    /// When to try again what failed.
    look: Option<Instant>,
    news: mpsc::UnboundedSender<(Way, News)>,
    /// Names of sessions count up from somewhere.
    discriminator: u32,
    seed: u64,
}

/// Runs until `ports.stop`.
pub(super) async fn drive(seed: u64, mut ports: Ports) {
    let mut driver = Driver::new(seed, ports.news);
    loop {
        let deadline = driver.next();
        tokio::select! {
            biased;
            _ = &mut ports.stop => break,
            arrived = next(&driver.doors) => driver.received(&arrived.0, arrived.1),
            (link, heard) = echoes::next(&driver.echoes) => driver.heard(link, heard),
            () = until(deadline) => {}
            Ok(()) = ports.wanted.changed() => {
                let wanted = ports.wanted.borrow_and_update().clone();
                driver.apply(&wanted, Instant::now());
            }
            Some(reply) = ports.queries.recv() => {
                // Whoever asked may have gone; that's theirs.
                let _gone = reply.send(driver.report());
            }
        }
        driver.due();
    }
    driver.leave();
}

type Packet = ([u8; SNAP], Received);

/// Waits for a packet at any door.
async fn next(doors: &BTreeMap<Door, Receiver>) -> (Door, Result<Packet, UdpError>) {
    let waiting = doors.iter().map(|(door, receiver)| {
        Box::pin(async move {
            let mut buf = [0; SNAP];
            let received = receiver.recv(&mut buf).await;
            (door.clone(), received.map(|received| (buf, received)))
        })
    });
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    select_all(waiting).await.0
}

impl Driver {
    fn new(seed: u64, news: mpsc::UnboundedSender<(Way, News)>) -> Self {
        let [.., a, b, c, d] = seed.to_le_bytes();
        Self {
            watches: BTreeMap::new(),
            leaving: Vec::new(),
            doors: BTreeMap::new(),
            echoes: BTreeMap::new(),
            look: None,
            news,
            discriminator: u32::from_le_bytes([a, b, c, d]),
            seed,
        }
    }

    fn next(&self) -> Option<Instant> {
        let watched = self.watches.values().filter_map(|w| w.running.as_ref());
        let left = self.leaving.iter().map(|(_, running, _)| running);
        let sessions = watched.chain(left).map(|r| r.session.poll_timeout());
        let farewells = self.leaving.iter().map(|(_, _, until)| Some(*until));
        let own = sessions.chain(farewells).chain([self.look]);
        own.flatten().min()
    }

    /// Watches these ways and no others.
    fn apply(&mut self, wanted: &Wanted, now: Instant) {
        let gone = |(way, watch): (&Way, &Watch)| match wanted.get(way) {
            None => true,
            // Only timers can be changed under way.
            Some(new) => {
                let kept = |s: &Settings| (s.role, s.minimum_ttl, s.echo);
                kept(new) != kept(&watch.settings)
            }
        };
        let gone: Vec<_> = self.watches.iter().filter(|(w, s)| gone((w, s))).collect();
        let gone: Vec<Way> = gone.into_iter().map(|(way, _)| way.clone()).collect();
        for way in gone {
            if let Some(mut running) = self.watches.remove(&way).and_then(|watch| watch.running) {
                running.session.disable(now);
                self.leaving.push((way, running, now + FAREWELL));
            }
        }
        for (way, settings) in wanted {
            let watch = self.watches.entry(way.clone()).or_insert(Watch {
                settings: *settings,
                running: None,
                error: None,
                mute: None,
                hardware: None,
                ups: 0,
                downs: 0,
                notices: 0,
            });
            watch.settings = *settings;
            if let Some(running) = &mut watch.running {
                running.session.set_timers(settings.timers, now);
            }
        }
        self.open(now);
    }

    /// Opens the sockets that are missing, and closes those nobody needs.
    fn open(&mut self, now: Instant) {
        self.look = None;
        let watched = self.watches.keys();
        let ways = watched.chain(self.leaving.iter().map(|(way, _, _)| way));
        let needed: BTreeSet<Door> = ways.map(door).collect();
        self.doors.retain(|door, _| needed.contains(door));
        let mut closed = BTreeMap::new();
        let missing = |door: &Door| !self.doors.contains_key(door);
        for door in needed.into_iter().filter(missing).collect::<Vec<_>>() {
            match Receiver::bind(door.0, door.1.as_deref()) {
                Ok(receiver) => drop(self.doors.insert(door, receiver)),
                Err(error) => drop(closed.insert(door, error.to_string())),
            }
        }
        self.open_echoes(now);
        for (way, watch) in &mut self.watches {
            let opened = match closed.get(&door(way)) {
                Some(error) => Err(error.clone()),
                None if watch.running.is_some() => continue,
                None => {
                    self.discriminator = self.discriminator.wrapping_add(1);
                    let name = NonZeroU32::new(self.discriminator).unwrap_or(NonZeroU32::MIN);
                    begin(way, watch.settings, name, self.seed, now)
                }
            };
            match opened {
                Ok(running) => (watch.running, watch.error) = (Some(running), None),
                Err(error) => {
                    self.look = Some(now + LOOK);
                    watch.complain(way, error);
                }
            }
        }
    }

    /// Takes a packet to the session it is for.
    fn received(&mut self, door: &Door, received: Result<Packet, UdpError>) {
        match received {
            Ok((buf, received)) => {
                let payload = buf.get(..received.length).unwrap_or_default();
                self.take(door, payload, &received, Instant::now());
            }
            Err(error) => {
                // Another socket may do better.
                tracing::warn!(%error, "BFD packets can't be received");
                self.doors.remove(door);
                self.look = Some(Instant::now() + LOOK);
            }
        }
    }

    fn take(&mut self, at: &Door, payload: &[u8], received: &Received, now: Instant) {
        let addressee = wire::Packet::decode(payload).ok();
        let addressee = addressee.and_then(|packet| packet.addressee());
        let from = |way: &Way| way.remote.ip() == received.from.ip() && door(way) == *at;
        let named = |running: &Running| match addressee {
            Some(name) => running.session.discriminator() == name,
            // Without a name it is the session with whoever sent it (RFC 5880 §6.3).
            None => true,
        };
        let watched = self.watches.iter_mut();
        let watched = watched.filter_map(|(way, watch)| Some((way, watch.running.as_mut()?)));
        let left = self
            .leaving
            .iter_mut()
            .map(|(way, running, _)| (&*way, running));
        let mut all = watched.chain(left);
        if let Some((way, running)) = all.find(|(way, running)| from(way) && named(running)) {
            let taken = running.session.handle_packet(payload, received.ttl, now);
            if let Err(why) = taken {
                tracing::debug!(from = %way.remote.ip(), %why, "BFD packet ignored");
            }
        }
    }

    /// Packets that wait go before timers: a late reader is no dead peer.
    fn hear_waiting(&mut self) {
        let mut heard: Vec<(Door, Packet)> = Vec::new();
        for (door, receiver) in &self.doors {
            for _ in 0..BURST {
                let mut buf = [0; SNAP];
                // An error is met again where it is waited for.
                let Ok(Some(received)) = receiver.try_recv(&mut buf) else {
                    break;
                };
                heard.push((door.clone(), (buf, received)));
            }
        }
        for (door, packet) in heard {
            self.received(&door, Ok(packet));
        }
        self.hear_waiting_echoes();
    }

    /// Does what is due, and what the sessions ask for.
    fn due(&mut self) {
        if self.next().is_some_and(|at| at <= Instant::now()) {
            self.hear_waiting();
        }
        let now = Instant::now();
        for (way, watch) in &mut self.watches {
            let echoes = watch.link().and_then(|link| self.echoes.get(&link));
            for news in watch.due(way, echoes, now) {
                // Without a receiver this thread is about to end.
                let _gone = self.news.send((way.clone(), news));
            }
        }
        for (_, running, _) in &mut self.leaving {
            running.session.handle_timeout(now);
            running.say();
        }
        let before = self.leaving.len();
        self.leaving.retain(|(_, _, until)| *until > now);
        if self.leaving.len() < before || self.look.is_some_and(|at| at <= now) {
            self.open(now);
        }
    }

    fn leave(&mut self) {
        let now = Instant::now();
        let watches = std::mem::take(&mut self.watches).into_values();
        for mut running in watches.filter_map(|watch| watch.running) {
            running.session.disable(now);
            running.say();
        }
    }

    fn report(&self) -> BTreeMap<Way, Seen> {
        let seen = self.watches.iter().map(|(way, watch)| {
            let seen = Seen {
                session: watch.running.as_ref().map(|r| r.session.state()),
                error: watch.error.clone().or_else(|| watch.mute.clone()),
                ups: watch.ups,
                downs: watch.downs,
                notices: watch.notices,
            };
            (way.clone(), seen)
        });
        seen.collect()
    }
}

impl Running {
    /// Sends what there is to send; whether it arrives is nobody's concern any more.
    fn say(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let wire::Output::Send(packet) = output {
                let _lost = self.sender.send(&packet);
            }
        }
    }
}

impl Watch {
    /// Does what is due, and what the session asks for; what it means to others.
    fn due(&mut self, way: &Way, echoes: Option<&EchoSocket>, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        let Some(mut running) = self.running.take() else {
            return news;
        };
        running.session.handle_timeout(now);
        while let Some(output) = running.session.poll_output() {
            match output {
                wire::Output::Send(packet) => match running.sender.send(&packet) {
                    Ok(()) => self.error = None,
                    Err(error) => self.complain(way, error.to_string()),
                },
                wire::Output::SendEcho(payload) => {
                    self.echo(way, echoes, &mut running.session, &payload, now);
                }
                wire::Output::Changed(change) => news.extend(self.note(&change)),
            }
        }
        self.running = Some(running);
        news
    }

    /// Says an error that wasn't said last.
    fn complain(&mut self, way: &Way, error: String) {
        complain(way, &mut self.error, error);
    }

    /// Counts a change, and says what it means to those who use the way.
    fn note(&mut self, change: &wire::Change) -> Option<News> {
        use wire::State::{AdminDown, Up};
        let news = match (change.from, change.to) {
            (_, Up) => {
                self.ups += 1;
                News::Up
            }
            (Up, _) => {
                self.downs += 1;
                // RFC 5882 §3.2: what an administrator wishes is no failure of the way.
                if change.to == AdminDown || change.peer == AdminDown {
                    News::Unwatched
                } else {
                    News::Dead(change.diagnostic.to_string())
                }
            }
            _ => return None,
        };
        self.notices += 1;
        Some(news)
    }
}

/// Says an error that wasn't said last.
fn complain(way: &Way, last: &mut Option<String>, error: String) {
    if last.as_ref() != Some(&error) {
        tracing::warn!(peer = %way.remote.ip(), error, "BFD");
        *last = Some(error);
    }
}

/// Where the packets of a way arrive.
fn door(way: &Way) -> Door {
    let port = match way.multihop {
        false => wire::iana::PORT_CONTROL,
        true => wire::iana::PORT_MULTIHOP,
    };
    let local = match (way.local, way.remote) {
        (IpAddr::V6(ip), SocketAddr::V6(remote)) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, port, 0, remote.scope_id()).into()
        }
        (ip, _) => SocketAddr::new(ip, port),
    };
    (local, way.device.clone())
}

fn begin(
    way: &Way,
    settings: Settings,
    discriminator: NonZeroU32,
    seed: u64,
    now: Instant,
) -> Result<Running, String> {
    let mut remote = way.remote;
    remote.set_port(door(way).0.port());
    let seed = seed.wrapping_add(discriminator.get().into());
    let sender = Sender::open(&SendOptions {
        remote,
        source: Some(way.local),
        device: way.device.clone(),
        // RFC 5881 §5, MUST; what several hops leave of it is what the peer's minimum is about.
        ttl: 255,
        dscp: CS6,
        seed: u16::try_from(seed & 0xffff).unwrap_or_default(),
    });
    let session = wire::Session::new(
        wire::Options {
            discriminator,
            timers: settings.timers,
            role: settings.role,
            path: match way.multihop {
                false => wire::Path::SingleHop,
                true => wire::Path::MultiHop {
                    minimum_ttl: settings.minimum_ttl,
                },
            },
            echo: match settings.echo {
                Echo::Off => wire::Echo::Off,
                Echo::On {
                    interval, returned, ..
                } => wire::Echo::On { interval, returned },
            },
            control_plane_independent: false,
            seed,
        },
        now,
    );
    let sender = sender.map_err(|error| error.to_string())?;
    Ok(Running { session, sender })
}

#[cfg(test)]
mod tests;
