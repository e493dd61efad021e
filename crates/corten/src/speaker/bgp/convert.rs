//! From the engine's BGP table to the wire's words: the one place where the two meet.

use crate::speaker::bfd;
use corten_api::annotation::{PeerRole, Role};
use corten_engine::advertise::bgp as decision;
use corten_engine::advertise::bgp::{BgpTable, Hops, Kind, RouterId};
use corten_engine::config::community::Community;
use corten_engine::config::peer::{Bfd, Password, PeerAsn, Remote};
use corten_host::tcp;
use corten_wire::bfd as path;
use corten_wire::bgp as wire;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a peer with graceful restart keeps our routes without us, as FRR has it.
const RESTART_TIME: Duration = Duration::from_secs(120);

/// How long routes are marked before they are withdrawn, unless the peer says otherwise.
const FAREWELL: Duration = Duration::from_secs(5);

/// Every peer of this node, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) peers: BTreeMap<Arc<str>, Peer>,
    /// Whether the node leaves load balancing.
    pub(crate) leaving: bool,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) plan: Plan,
    /// What it shall have; peers that are told the same share it.
    pub(crate) routes: Arc<wire::Routes>,
}

/// Whether there is to be a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// There is.
    Speak(Box<Session>),
    /// There is none for now; why, in words.
    Wait(String),
}

/// A session to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// How the connection is made; without [`Self::interface`], also where to.
    pub(crate) target: tcp::Options,
    /// The interface whose other end is the peer, if it has no address.
    pub(crate) interface: Option<String>,
    /// The BGP identifier.
    pub(crate) identifier: Identifier,
    /// Everything else; the identifier in it means nothing.
    pub(crate) options: wire::PeerOptions,
    /// Port on which the peer is waited for; absent means that it is dialled.
    pub(crate) listen: Option<u16>,
    /// How the way to the peer is watched.
    pub(crate) watch: Watch,
    /// How long routes are marked before they go when the node leaves.
    pub(crate) farewell: Duration,
}

/// How the way to a peer is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It isn't.
    Off,
    /// By BFD.
    Bfd {
        settings: bfd::Settings,
        reach: Reach,
        /// The interval of echo packets, where they can be had.
        echo: Option<Duration>,
    },
}

/// Which of the two kinds of BFD session it is, as FRR chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// For one hop (RFC 5881).
    One,
    /// For several (RFC 5883).
    Several,
    /// For one if the peer is on a network of this node, else for several.
    AsItLies,
}

/// A BGP identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identifier {
    /// This one.
    Is(Ipv4Addr),
    /// That of the local address; this one if there is no IPv4 address there.
    Local { fallback: Ipv4Addr },
}

/// The engine's table in the wire's words.
pub(crate) fn table(table: &BgpTable) -> Table {
    let mut shared = Vec::new();
    let peers = table.peers.iter().map(|(name, peer)| {
        let known = shared
            .iter()
            .find(|(from, _)| Arc::ptr_eq(from, &peer.routes));
        let routes = known.map(|(_, routes)| Arc::clone(routes));
        let routes = routes.unwrap_or_else(|| {
            let made = Arc::new(self::routes(&peer.routes));
            shared.push((Arc::clone(&peer.routes), Arc::clone(&made)));
            made
        });
        let plan = plan(&peer.session);
        (Arc::from(name.as_str()), Peer { plan, routes })
    });
    Table {
        peers: peers.collect(),
        leaving: table.leaving,
    }
}

fn routes(routes: &BTreeMap<ipnet::IpNet, decision::Route>) -> wire::Routes {
    let mut paths: Vec<(&decision::Attributes, Arc<wire::Path>)> = Vec::new();
    let mut path = |attributes| {
        let known = paths.iter().find(|(of, _)| *of == attributes);
        let known = known.map(|(_, path)| Arc::clone(path));
        known.unwrap_or_else(|| {
            let made = Arc::new(path(attributes));
            paths.push((attributes, Arc::clone(&made)));
            made
        })
    };
    let prefixes = routes.iter().filter_map(|(prefix, route)| {
        let prefix = wire::Prefix::new(prefix.addr(), prefix.prefix_len())?;
        Some((prefix, path(&route.attributes)))
    });
    prefixes.collect()
}

fn path(attributes: &decision::Attributes) -> wire::Path {
    let mut path = wire::Path {
        // 0 means that none was asked for.
        local_pref: (attributes.local_pref != 0).then_some(attributes.local_pref),
        ..wire::Path::default()
    };
    for community in &attributes.communities {
        match *community {
            Community::Standard(a, b) => {
                path.communities.insert(wire::Community::new(a, b));
            }
            Community::Large(global, local1, local2) => {
                path.large_communities.insert(wire::LargeCommunity {
                    global,
                    local1,
                    local2,
                });
            }
        }
    }
    path
}

fn plan(session: &decision::Session) -> Plan {
    if let Some(held) = &session.held {
        return Plan::Wait(decision::Reason::from(held.clone()).to_string());
    }
    match target(session) {
        Ok(target) => Plan::Speak(Box::new(Session {
            target,
            interface: match &session.remote {
                Remote::Address(_) => None,
                Remote::Interface(name) => Some(name.clone()),
            },
            identifier: match session.router_id {
                RouterId::Set(id) => Identifier::Is(id),
                RouterId::Derived { fallback } => Identifier::Local { fallback },
            },
            options: options(session),
            listen: session.wire.listen,
            watch: watch(session),
            farewell: session.wire.graceful_shutdown.unwrap_or(FAREWELL),
        })),
        Err(why) => Plan::Wait(why),
    }
}

fn target(session: &decision::Session) -> Result<tcp::Options, String> {
    let ip = match &session.remote {
        Remote::Address(ip) => *ip,
        // Found out on the interface.
        Remote::Interface(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let auth = match &session.password {
        Password::None => tcp::Auth::None,
        Password::Text(text) => match tcp::Key::new(text.as_bytes()) {
            Ok(key) => tcp::Auth::Md5(key),
            Err(error) => return Err(format!("password: {error}")),
        },
        Password::Awaited { secret } => {
            return Err(format!("waits for its password in Secret {secret}"));
        }
    };
    Ok(tcp::Options {
        source: session.source,
        device: session.vrf.clone(),
        hops: match (session.wire.ttl_security, session.hops) {
            (Some(hops), _) => tcp::Hops::within(hops),
            (None, Hops::One) => tcp::Hops::ONE,
            (None, Hops::Any) => tcp::Hops::ANY,
        },
        dscp: session.wire.dscp.unwrap_or(tcp::CS6),
        mss: session.wire.mss,
        user_timeout: session.wire.user_timeout,
        auth,
        ..tcp::Options::to(SocketAddr::new(ip, session.port))
    })
}

fn watch(session: &decision::Session) -> Watch {
    let Bfd::On { profile, .. } = &session.bfd else {
        return Watch::Off;
    };
    let settings = bfd::Settings {
        timers: path::Timers {
            desired_min_tx: profile.transmit_interval,
            required_min_rx: profile.receive_interval,
            detect_multiplier: profile.detect_multiplier,
        },
        role: if profile.passive_mode {
            path::Role::Passive
        } else {
            path::Role::Active
        },
        minimum_ttl: profile.minimum_ttl,
        // Where they go is found out with the way.
        echo: bfd::Echo::Off,
    };
    let echo = profile.echo_mode.then_some(profile.echo_interval);
    let reach = match (session.hops, session.kind) {
        (Hops::One, _) => Reach::One,
        (Hops::Any, Kind::External) => Reach::Several,
        (Hops::Any, Kind::Internal) => Reach::AsItLies,
    };
    Watch::Bfd {
        settings,
        reach,
        echo,
    }
}

fn options(session: &decision::Session) -> wire::PeerOptions {
    let default = wire::PeerOptions::default();
    wire::PeerOptions {
        asn: session.local_asn,
        peer_asn: match session.remote_asn {
            PeerAsn::Number(asn) => wire::PeerAsn::Number(asn),
            PeerAsn::Internal => wire::PeerAsn::Internal,
            PeerAsn::External => wire::PeerAsn::External,
        },
        families: match session.families {
            decision::Families::V4 => wire::Families::Ipv4,
            decision::Families::V6 => wire::Families::Ipv6,
            decision::Families::Both => wire::Families::Both,
        },
        hold_time: session.hold,
        keepalive: session.keepalive,
        connect_retry: session.connect_time.unwrap_or(default.connect_retry),
        restart: if session.graceful_restart {
            // A process doesn't know whether it is the first: a peer that kept nothing loses
            // nothing by being told.
            wire::Restart::Keep {
                time: RESTART_TIME,
                restarted: true,
            }
        } else {
            wire::Restart::Helper
        },
        role: role(session),
        dial: match session.wire.listen {
            Some(_) => wire::Dial::Passive,
            None => wire::Dial::Active,
        },
        ..default
    }
}

/// Roles are for external sessions (RFC 9234 §4.1).
fn role(session: &decision::Session) -> wire::RoleOption {
    let (Some(PeerRole { role, strict }), Kind::External) = (session.wire.role, session.kind)
    else {
        return wire::RoleOption::None;
    };
    let role = match role {
        Role::Provider => wire::Role::Provider,
        Role::RouteServer => wire::Role::RouteServer,
        Role::RouteServerClient => wire::Role::RouteServerClient,
        Role::Customer => wire::Role::Customer,
        Role::Peer => wire::Role::Peer,
    };
    match strict {
        true => wire::RoleOption::Strict(role),
        false => wire::RoleOption::Is(role),
    }
}

#[cfg(test)]
mod tests;
