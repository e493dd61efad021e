//! BGPPeers (`spec/metallb.md` §1.4, §2.4 "Peers").

use super::backend::{duplicate, share_node};
use super::bfd::BfdProfile;
use super::compile::{Rejections, Surroundings};
use super::l2::annotation_fault;
use super::resources::{Id, SecretContent, Secrets};
use super::selector::{self, Selectors};
use crate::facts::Node;
use crate::ip::parse_address;
use crate::names::NodeName;
use crate::rejection::{Fault, Kind};
use corten_api::annotation::PeerWire;
use corten_api::bgp::{BGPPeer, BGPPeerSpec};
use corten_api::duration;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A compiled BGPPeer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name.
    pub name: String,
    /// AS number of the local end; never 0.
    pub my_asn: u32,
    /// AS number of the peer.
    pub peer_asn: PeerAsn,
    /// AS number shown to the peer instead of `my_asn`.
    pub local_asn: Option<u32>,
    /// Where the peer is.
    pub remote: Remote,
    /// Local address of the session; absent means the kernel's choice.
    pub source: Option<IpAddr>,
    /// TCP port of the peer.
    pub port: u16,
    /// Hold and keepalive time.
    pub timers: Timers,
    /// Time between connection attempts; absent means the session's own schedule.
    pub connect_time: Option<Duration>,
    /// BGP identifier; absent means one derived from the session.
    pub router_id: Option<Ipv4Addr>,
    /// Nodes that have this peer.
    pub nodes: Selectors,
    /// TCP-MD5 password.
    pub password: Password,
    /// Name of the Secret the password is in; absent if it is written in the peer, or none is.
    pub secret: Option<String>,
    /// Failure detection.
    pub bfd: Bfd,
    /// Graceful restart.
    pub graceful_restart: bool,
    /// Whether the peer is more than one hop away.
    pub multihop: bool,
    /// VRF of the session; absent means the default one.
    pub vrf: Option<String>,
    /// `disableMP`, without effect here.
    pub disable_mp: bool,
    /// Both address families over one session.
    pub dual_stack: bool,
    /// What its annotations ask for.
    pub wire: PeerWire,
}

/// AS number of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAsn {
    /// This one; never 0.
    Number(u32),
    /// Learnt; must be ours.
    Internal,
    /// Learnt; must not be ours.
    External,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// At this address.
    Address(IpAddr),
    /// On the other end of this interface (unnumbered).
    Interface(String),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => write!(f, "{ip}"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// Hold and keepalive time of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    /// The session's own.
    Default,
    /// These; both 0 means no keepalives.
    Set {
        /// 0 or at least 3 s, whole seconds.
        hold: Duration,
        /// At most `hold`.
        keepalive: Duration,
    },
}

/// TCP-MD5 password of a peer.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// No password.
    None,
    /// This one.
    Text(String),
    /// One in a Secret, and Secrets aren't listed yet: the session has to wait.
    Awaited {
        /// Name of the Secret.
        secret: String,
    },
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Awaited { secret } => f.debug_struct("Awaited").field("secret", secret).finish(),
        }
    }
}

/// Failure detection of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bfd {
    /// None.
    Off,
    /// As this profile says.
    On {
        /// Name of the profile.
        name: String,
        /// Its content.
        profile: BfdProfile,
    },
}

/// Compiles every BGPPeer.
pub(super) fn compile(
    objects: &BTreeMap<Id, BGPPeer>,
    profiles: &BTreeMap<String, BfdProfile>,
    secrets: &Secrets,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, Peer> {
    let mut accepted = BTreeMap::new();
    for (id, object) in rejections.unique(Kind::BGPPeer, objects) {
        let annotations = object.metadata.annotations.as_ref();
        match judge(id, &object.spec, annotations, profiles, secrets) {
            Ok(peer) => {
                accepted.insert(id.name.clone(), peer);
            }
            Err(faults) => {
                rejections.add(Kind::BGPPeer, id, faults);
                if let Some(last_good) = around.previous.bgp.peers.get(&id.name) {
                    accepted.insert(id.name.clone(), last_good.clone());
                }
            }
        }
    }
    // Before that nobody knows who shares a node.
    if around.listed.contains(&Kind::Node) {
        without_twins(accepted, objects, around, rejections)
    } else {
        accepted
    }
}

/// Whether a router would see two sessions between the same ends.
// DEVIATION: in FRR modes MetalLB refuses equal addresses whatever else differs, in native mode nothing.
fn are_twins(one: &Peer, two: &Peer) -> bool {
    let ends = |peer: &Peer| {
        (
            peer.remote.clone(),
            peer.port,
            peer.source,
            peer.vrf.clone(),
        )
    };
    ends(one) == ends(two)
}

/// Whether there is a node that has both, or will be if there is any.
fn meet(one: &Peer, two: &Peer, nodes: &BTreeMap<NodeName, Node>) -> bool {
    if nodes.is_empty() {
        one.nodes == two.nodes
    } else {
        share_node(one, two, nodes)
    }
}

/// Of twins that share a node one is left: who was there first, or else the first by name.
fn without_twins(
    peers: BTreeMap<String, Peer>,
    objects: &BTreeMap<Id, BGPPeer>,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, Peer> {
    let previous = &around.previous.bgp.peers;
    let mut order: Vec<Peer> = peers.into_values().collect();
    order.sort_by_key(|peer| {
        let before = previous.get(&peer.name);
        !before.is_some_and(|before| are_twins(before, peer))
    });
    let mut kept: BTreeMap<String, Peer> = BTreeMap::new();
    for peer in order {
        let meets = |peer: &Peer| {
            let mut others = kept.values();
            others.any(|other| are_twins(peer, other) && meet(peer, other, around.nodes))
        };
        if !meets(&peer) {
            kept.insert(peer.name.clone(), peer);
            continue;
        }
        if let Some(id) = objects.keys().find(|id| id.name == peer.name) {
            rejections.add(Kind::BGPPeer, id, [duplicate(&peer)]);
        }
        if let Some(before) = previous.get(&peer.name).filter(|before| !meets(before)) {
            kept.insert(before.name.clone(), before.clone());
        }
    }
    kept
}

fn judge(
    id: &Id,
    spec: &BGPPeerSpec,
    annotations: Option<&BTreeMap<String, String>>,
    profiles: &BTreeMap<String, BfdProfile>,
    secrets: &Secrets,
) -> Result<Peer, Vec<Fault>> {
    let mut faults = Faults(Vec::new());
    if spec.my_asn == 0 {
        faults.add("spec.myASN", "0 is not a valid AS number");
    }
    if spec.local_asn == Some(0) {
        faults.add("spec.localASN", "0 is not a valid AS number");
    }
    let peer_asn = faults.keep(peer_asn(spec));
    let remote = faults.keep(remote(spec));
    let source = faults.keep(source(spec));
    let port = faults.keep(port(spec.peer_port));
    let timers = faults.keep(timers(spec));
    let connect_time = faults.keep(connect_time(spec.connect_time.as_deref()));
    let router_id = faults.keep(router_id(spec));
    let password = faults.keep(password(id, spec, secrets));
    let bfd = faults.keep(bfd(id, spec, profiles));
    let nodes = selector::compile_list("spec.nodeSelectors", &spec.node_selectors);
    let nodes = nodes.map_err(|more| faults.0.extend(more)).ok();
    let wire = annotations.map(PeerWire::of).transpose();
    let wire = wire.map_err(|more| faults.0.extend(more.iter().map(annotation_fault)));
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    let peer = || {
        Some(Peer {
            name: id.name.clone(),
            my_asn: spec.my_asn,
            peer_asn: peer_asn?,
            local_asn: spec.local_asn,
            remote: remote?,
            source: source?,
            port: port?,
            timers: timers?,
            connect_time: connect_time?,
            router_id: router_id?,
            nodes: nodes?,
            password: password?,
            secret: secret(spec).map(str::to_owned),
            bfd: bfd?,
            graceful_restart: spec.enable_graceful_restart.unwrap_or(false),
            multihop: spec.ebgp_multi_hop.unwrap_or(false),
            vrf: spec.vrf.clone().filter(|vrf| !vrf.is_empty()),
            disable_mp: spec.disable_mp.unwrap_or(false),
            dual_stack: spec.dual_stack_address_family.unwrap_or(false),
            wire: wire.ok()?.unwrap_or_default(),
        })
    };
    peer().ok_or(faults.0)
}

/// The faults so far.
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &str, cause: &str) {
        self.0.push(Fault::new(field, cause));
    }

    fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.0.push(fault)).ok()
    }
}

/// Text that is there and not empty.
fn written(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn peer_asn(spec: &BGPPeerSpec) -> Result<PeerAsn, Fault> {
    let number = spec.peer_asn.filter(|asn| *asn != 0);
    let asn = match (number, written(spec.dynamic_asn.as_ref())) {
        (Some(_), Some(_)) => {
            let cause = "peerASN and dynamicASN are mutually exclusive";
            return Err(Fault::new("spec.dynamicASN", cause));
        }
        (None, None) => {
            return Err(Fault::new(
                "spec.peerASN",
                "one of peerASN and dynamicASN is needed",
            ));
        }
        (Some(asn), None) => PeerAsn::Number(asn),
        (None, Some("internal")) => PeerAsn::Internal,
        (None, Some("external")) => PeerAsn::External,
        (None, Some(other)) => {
            let cause = format!("{other:?} is neither internal nor external");
            return Err(Fault::new("spec.dynamicASN", cause));
        }
    };
    if asn == PeerAsn::Number(spec.my_asn) && spec.ebgp_multi_hop == Some(true) {
        let cause = "ebgpMultiHop needs a peer of another AS than myASN";
        return Err(Fault::new("spec.ebgpMultiHop", cause));
    }
    Ok(asn)
}

fn remote(spec: &BGPPeerSpec) -> Result<Remote, Fault> {
    let address = written(spec.peer_address.as_ref());
    match (address, written(spec.interface.as_ref())) {
        (Some(_), Some(_)) => {
            let cause = "peerAddress and interface are mutually exclusive";
            Err(Fault::new("spec.interface", cause))
        }
        (None, None) => {
            let cause = "one of peerAddress and interface is needed";
            Err(Fault::new("spec.peerAddress", cause))
        }
        (Some(text), None) => parse_address(text).map(Remote::Address).ok_or_else(|| {
            Fault::new(
                "spec.peerAddress",
                format!("invalid BGPPeer address {text:?}"),
            )
        }),
        (None, Some(name)) => Ok(Remote::Interface(name.to_owned())),
    }
}

fn source(spec: &BGPPeerSpec) -> Result<Option<IpAddr>, Fault> {
    let Some(text) = written(spec.source_address.as_ref()) else {
        return Ok(None);
    };
    let fault = || {
        Fault::new(
            "spec.sourceAddress",
            format!("invalid source address {text:?}"),
        )
    };
    parse_address(text).map(Some).ok_or_else(fault)
}

fn router_id(spec: &BGPPeerSpec) -> Result<Option<Ipv4Addr>, Fault> {
    let Some(text) = written(spec.router_id.as_ref()) else {
        return Ok(None);
    };
    // DEVIATION: a router ID that is an IPv6 address is refused; MetalLB only sends nonsense then.
    let fault = |_| Fault::new("spec.routerID", format!("invalid router ID {text:?}"));
    text.parse().map(Some).map_err(fault)
}

/// BGP's port.
const BGP: u16 = 179;

fn port(port: Option<u16>) -> Result<u16, Fault> {
    match port.unwrap_or(BGP) {
        // What v1beta1, which has no default, stores for a port not written.
        0 => Ok(BGP),
        port @ 1..=16384 => Ok(port),
        port => {
            let cause = format!("{port} is not between 1 and 16384");
            Err(Fault::new("spec.peerPort", cause))
        }
    }
}

fn length(field: &str, text: Option<&str>) -> Result<Option<Duration>, Fault> {
    text.map(duration::parse_length)
        .transpose()
        .map_err(|error| Fault::new(field, error))
}

/// One timer says the other: keepalive is a third of hold (RFC 4271 §10).
fn timers(spec: &BGPPeerSpec) -> Result<Timers, Fault> {
    let hold = length("spec.holdTime", spec.hold_time.as_deref())?;
    let keepalive = length("spec.keepaliveTime", spec.keepalive_time.as_deref())?;
    let (hold, keepalive) = match (hold, keepalive) {
        (None, None) => return Ok(Timers::Default),
        (Some(hold), None) => (hold, hold / 3),
        (None, Some(keepalive)) => (keepalive.saturating_mul(3), keepalive),
        (Some(hold), Some(keepalive)) => (hold, keepalive),
    };
    let hold = Duration::from_secs(hold.as_secs());
    if (1..3).contains(&hold.as_secs()) {
        let cause = format!("invalid hold time {hold:?}: must be 0 or at least 3s");
        return Err(Fault::new("spec.holdTime", cause));
    }
    // DEVIATION: a hold time BGP has no room for is refused; MetalLB lets the backend fail on it.
    if hold.as_secs() > u64::from(u16::MAX) {
        let cause = format!("invalid hold time {hold:?}: BGP has room for 65535s");
        return Err(Fault::new("spec.holdTime", cause));
    }
    if keepalive > hold {
        let cause = format!("keepalive time {keepalive:?} is longer than hold time {hold:?}");
        return Err(Fault::new("spec.keepaliveTime", cause));
    }
    Ok(Timers::Set { hold, keepalive })
}

fn connect_time(text: Option<&str>) -> Result<Option<Duration>, Fault> {
    let field = "spec.connectTime";
    let Some(time) = length(field, text)? else {
        return Ok(None);
    };
    if time.subsec_nanos() != 0 {
        return Err(Fault::new(
            field,
            "connect time should be a whole number of seconds",
        ));
    }
    if !(1..=65_535).contains(&time.as_secs()) {
        let cause = "connect time should be between 1 seconds to 65535";
        return Err(Fault::new(field, cause));
    }
    Ok(Some(time))
}

fn secret(spec: &BGPPeerSpec) -> Option<&str> {
    let reference = spec.password_secret.as_ref()?;
    written(reference.name.as_ref())
}

fn password(id: &Id, spec: &BGPPeerSpec, secrets: &Secrets) -> Result<Password, Fault> {
    let (secret, text) = match (secret(spec), written(spec.password.as_ref())) {
        (None, None) => return Ok(Password::None),
        (None, Some(text)) => return Ok(Password::Text(text.to_owned())),
        (Some(_), Some(_)) => {
            let cause = "password and passwordSecret are mutually exclusive";
            return Err(Fault::new("spec.passwordSecret", cause));
        }
        (Some(secret), None) => {
            // Looked up by name alone, among the peer's neighbours (§12 #27).
            let neighbour = Id {
                name: secret.to_owned(),
                namespace: id.namespace.clone(),
            };
            let content = match secrets {
                Secrets::Listing(secrets) | Secrets::Listed(secrets) => secrets.get(&neighbour),
            };
            match (content, secrets) {
                (None, Secrets::Listing(_)) => {
                    let secret = neighbour.name;
                    return Ok(Password::Awaited { secret });
                }
                (content, _) => (secret, content),
            }
        }
    };
    let Id { name, namespace } = id;
    let cause = match text {
        Some(SecretContent::Password(text)) => return Ok(Password::Text(text.clone())),
        None => {
            format!(
                "parsing peer {name} secret ref not found for peer config {namespace:?}/{name:?}"
            )
        }
        Some(SecretContent::OtherType) => format!(
            "parsing peer {name} secret type mismatch on {namespace:?}/{secret:?}, type \
             \"kubernetes.io/basic-auth\" is expected "
        ),
        Some(SecretContent::NoPassword) => {
            format!("parsing peer {name} secret {namespace:?}/{secret:?} has no key \"password\"")
        }
    };
    let cause = format!("{cause}\nfailed to parse peer {name} password secret");
    Err(Fault::new("spec.passwordSecret", cause))
}

fn bfd(id: &Id, spec: &BGPPeerSpec, profiles: &BTreeMap<String, BfdProfile>) -> Result<Bfd, Fault> {
    let Some(name) = written(spec.bfd_profile.as_ref()) else {
        return Ok(Bfd::Off);
    };
    let Some(profile) = profiles.get(name) else {
        let peer = &id.name;
        let cause = format!("peer {peer} referencing non existing bfd profile {name}");
        return Err(Fault::new("spec.bfdProfile", cause));
    };
    Ok(Bfd::On {
        name: name.to_owned(),
        profile: profile.clone(),
    })
}

#[cfg(test)]
mod tests;
