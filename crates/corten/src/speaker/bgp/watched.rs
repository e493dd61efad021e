//! BFD beside the sessions: which ways are watched, and what their death means (RFC 5882).

use super::convert::{Plan, Reach, Watch};
use super::{Driver, local};
use crate::speaker::bfd::{Bfd, Echo, News, Wanted, Way};
use corten_host::echo::forwards;
use corten_host::tcp::source_of;
use corten_wire::bgp as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Waits for what becomes of a way, if any is watched.
pub(super) async fn next(bfd: &mut Option<Bfd>) -> anyhow::Result<(Way, News)> {
    match bfd {
        Some(bfd) => bfd.next().await,
        None => pending().await,
    }
}

impl Driver {
    /// Has the ways to all peers that ask for it watched, and no others.
    ///
    /// # Errors
    /// BFD can't be started.
    pub(super) fn watch(&mut self) -> anyhow::Result<()> {
        let (Some(table), None) = (&self.table, self.leaving) else {
            return Ok(());
        };
        let (mut ways, mut wanted) = (BTreeMap::new(), Wanted::new());
        for (name, peer) in &table.peers {
            let Plan::Speak(session) = &peer.plan else {
                continue;
            };
            let Watch::Bfd {
                mut settings,
                reach,
                echo,
            } = session.watch
            else {
                continue;
            };
            if let Some(way) = self.way(name, reach) {
                settings.echo = echo.map_or(Echo::Off, |interval| self.echo(&way, interval));
                // Peers of one way share its session; the first by name says how.
                wanted.entry(way.clone()).or_insert(settings);
                ways.insert(Arc::clone(name), way);
            }
        }
        if self.bfd.is_none() && !wanted.is_empty() {
            self.bfd = Some(Bfd::start(self.seed)?);
        }
        if let Some(bfd) = &self.bfd {
            bfd.watch(wanted);
        }
        self.ways = ways;
        Ok(())
    }

    /// The way to a peer; none if there is no session to be, or no route.
    fn way(&self, name: &Arc<str>, reach: Reach) -> Option<Way> {
        let target = self.targets.get(name)?;
        let links = self.links.as_deref()?;
        let remote = target.remote;
        let way = |local| Way {
            local,
            remote,
            device: target.device.clone(),
            multihop: match reach {
                Reach::One => false,
                Reach::Several => true,
                Reach::AsItLies => !local::is_near(links, remote.ip()),
            },
        };
        let (_, peer) = self.machine.peers().find(|(other, _)| *other == name)?;
        let established = peer.session().map(|s| s.endpoints.local.ip());
        let local = established.or_else(|| source_of(target).ok());
        // A route that is lost doesn't mean that nobody wants to know.
        local.map(way).or_else(|| {
            let old = self.ways.get(name);
            old.filter(|old| old.remote == remote).cloned()
        })
    }

    /// How a way is watched by echo packets: not at all over IPv6 and several hops (`spec/metallb.md`
    /// §6.9).
    fn echo(&self, way: &Way, interval: Duration) -> Echo {
        let links = self.links.as_deref().unwrap_or_default();
        match local::link_of(links, way.local) {
            Some(link) if way.local.is_ipv4() && !way.multihop => Echo::On {
                interval,
                link: link.index,
                returned: forwards(&link.name),
            },
            Some(_) | None => Echo::Off,
        }
    }

    /// Ends the watching of peers that are to keep our routes over a restart, before their
    /// sessions end: silence by our wish is no dead way (RFC 5882 §3.2, §4.3).
    pub(super) async fn unwatch_restarting(&self) {
        let Some(bfd) = &self.bfd else {
            return;
        };
        let keep = |peer: &wire::Peer| matches!(peer.options().restart, wire::Restart::Keep { .. });
        let stays = self.machine.peers().filter(|(_, peer)| !keep(peer));
        let stays: BTreeSet<_> = stays.filter_map(|(name, _)| self.ways.get(name)).collect();
        bfd.narrow(|way| stays.contains(way));
        // It answers once that is done.
        bfd.report().await;
    }

    /// Draws the consequence for every session that goes this way.
    pub(super) fn watched(&mut self, way: &Way, news: &News) {
        let now = Instant::now();
        let along = self.ways.iter().filter(|(_, other)| *other == way);
        let along: Vec<_> = along.map(|(name, _)| Arc::clone(name)).collect();
        for name in along {
            let peer = &name;
            match news {
                News::Up => tracing::info!(%peer, "BFD session is up"),
                News::Unwatched => tracing::info!(%peer, "BFD session ended by an administrator"),
                News::Dead(why) => {
                    tracing::warn!(%peer, why, "BFD session is down");
                    if let Some(peer) = self.machine.peer_mut(&name) {
                        peer.handle_bfd_down(now);
                    }
                }
            }
        }
    }
}
