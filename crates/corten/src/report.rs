//! What `corten status` shows: a snapshot of the running instance, as data.

pub(crate) mod build;
mod text;

use corten_engine::explain::Explanation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// This node.
    pub(crate) node: String,
    /// Version of the running binary.
    pub(crate) version: String,
    /// Seconds since start.
    pub(crate) uptime_seconds: u64,
    /// Whether everything was listed once and decided on.
    pub(crate) ready: bool,
    /// Whether this instance is the allocator of its directory.
    pub(crate) allocator: bool,
    /// Whether won addresses are put on `lo`.
    pub(crate) assign: bool,
    /// Membership, in words.
    pub(crate) membership: String,
    /// LoadBalancer Services, by name.
    pub(crate) services: Vec<Service>,
    /// Pools.
    pub(crate) pools: Vec<Pool>,
    /// Interfaces.
    pub(crate) interfaces: Vec<Interface>,
    /// Strangers answering for our addresses.
    pub(crate) conflicts: Vec<Conflict>,
    /// Frames not answered, by reason.
    pub(crate) dropped_frames: BTreeMap<String, u64>,
    /// Frames lost because the kernel's receive buffer was full.
    pub(crate) lost_frames: u64,
    /// Objects not accepted.
    pub(crate) rejections: Vec<String>,
    /// What was read but not used.
    pub(crate) warnings: Vec<String>,
    /// BGP peers of this node, by name.
    pub(crate) bgp_peers: Vec<BgpPeer>,
    /// Members and gossip, where membership is on.
    pub(crate) gossip: Option<Gossip>,
    /// The newest events, oldest first.
    pub(crate) events: Vec<Event>,
}

/// One Service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    /// Namespace and name.
    pub(crate) service: String,
    /// Addresses, in ingress order.
    pub(crate) addresses: Vec<String>,
    /// Pool of the addresses.
    pub(crate) pool: Option<String>,
    /// Whether this node announces it.
    pub(crate) announced: bool,
    /// The node that won, if one did.
    pub(crate) winner: Option<String>,
    /// Machine-readable reason why this node doesn't announce.
    pub(crate) reason: Option<String>,
    /// The same in words.
    pub(crate) message: String,
    /// BGP peers of this node that are to hear of it.
    pub(crate) bgp_peers: Vec<String>,
    /// Frames, for announced addresses.
    pub(crate) frames: Vec<Frames>,
}

/// Frames of one address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Frames {
    /// The address.
    pub(crate) ip: String,
    /// Requests heard.
    pub(crate) requests: u64,
    /// Answers sent.
    pub(crate) responses: u64,
    /// Gratuitous frames sent.
    pub(crate) gratuitous: u64,
    /// The last answer: who asked, where, and how many seconds ago.
    pub(crate) last_answer: Option<LastAnswer>,
}

/// The last answer given for an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastAnswer {
    /// MAC of who asked.
    pub(crate) mac: String,
    /// Interface it was asked on.
    pub(crate) interface: String,
    /// Seconds since.
    pub(crate) seconds_ago: f64,
}

/// One pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pool {
    /// Name.
    pub(crate) name: String,
    /// Addresses as written.
    pub(crate) addresses: Vec<String>,
    /// Addresses in use and usable, by family; known to the allocator only.
    pub(crate) usage: Option<Usage>,
}

/// Counters of a pool.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// IPv4 addresses in use.
    pub(crate) assigned_ipv4: i64,
    /// IPv4 addresses free.
    pub(crate) available_ipv4: i64,
    /// IPv6 addresses in use.
    pub(crate) assigned_ipv6: i64,
    /// IPv6 addresses free.
    pub(crate) available_ipv6: i64,
}

/// One interface of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Interface {
    /// Name.
    pub(crate) name: String,
    /// Link-layer address.
    pub(crate) mac: String,
    /// Why ARP can't be spoken on it; absent if it can.
    pub(crate) no_arp: Option<String>,
    /// Why NDP can't be spoken on it; absent if it can.
    pub(crate) no_ndp: Option<String>,
}

/// A stranger answering for one of our addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conflict {
    /// The address.
    pub(crate) ip: String,
    /// The stranger's MAC.
    pub(crate) mac: String,
    /// Where it was heard.
    pub(crate) interface: String,
    /// Whether it answers for any address (proxy ARP).
    pub(crate) proxy_arp: bool,
}

/// A BGP peer of this node, and the session with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpPeer {
    /// Name of the BGPPeer.
    pub(crate) peer: String,
    /// Address and port; absent while there is to be no session.
    pub(crate) address: Option<String>,
    /// VRF device; absent for the default one.
    pub(crate) vrf: Option<String>,
    /// State of the session as RFC 4271 §8.2.2 calls it; Waiting while there is to be none.
    pub(crate) state: String,
    /// Seconds the session has been up; absent while it isn't.
    pub(crate) up_seconds: Option<u64>,
    /// What went wrong last; absent while the session is up.
    pub(crate) error: Option<String>,
    /// How many seconds ago.
    pub(crate) error_seconds: Option<u64>,
    /// What the session agreed on; absent while it isn't up.
    pub(crate) session: Option<BgpSession>,
    /// Attempts that failed since the last session that was up.
    pub(crate) retries: u32,
    /// Prefixes the peer has of us.
    pub(crate) announced: usize,
    /// Prefixes still to be announced or withdrawn.
    pub(crate) pending: usize,
    /// Prefixes that can't be said in this session: no next hop, or the family isn't carried.
    pub(crate) withheld: usize,
    /// Prefixes the peer announces, all of which are dropped; in words where not all are counted.
    pub(crate) heard: String,
    /// Messages sent.
    pub(crate) sent: BgpMessages,
    /// Messages received.
    pub(crate) received: BgpMessages,
    /// How the way to the peer is watched; absent if it isn't.
    pub(crate) bfd: Option<Bfd>,
}

/// The BFD session beside a BGP session; peers at one address share it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bfd {
    /// This end.
    pub(crate) local: String,
    /// The peer.
    pub(crate) peer: String,
    /// Whether it is a session for several hops.
    pub(crate) multihop: bool,
    /// Our state as RFC 5880 §6.8.1 calls it; Waiting while there can't be a session.
    pub(crate) state: String,
    /// The peer's state; absent while it isn't heard.
    pub(crate) peer_state: Option<String>,
    /// Why the session isn't up, or wasn't.
    pub(crate) diagnostic: Option<String>,
    /// Interval we send at, before jitter; absent while nothing is sent by itself.
    pub(crate) transmit_milliseconds: Option<f64>,
    /// How long the peer may be silent; absent until it was heard.
    pub(crate) detection_milliseconds: Option<f64>,
    /// Why there can't be a session, or why its packets aren't sent.
    pub(crate) error: Option<String>,
    /// Control packets sent.
    pub(crate) packets_sent: u64,
    /// Control packets taken.
    pub(crate) packets_received: u64,
    /// Packets ignored.
    pub(crate) packets_ignored: u64,
    /// Whether echo packets watch the way, too.
    pub(crate) echo: bool,
    /// Echo packets sent.
    pub(crate) echoes_sent: u64,
    /// Echo packets that came back.
    pub(crate) echoes_returned: u64,
    /// Times it went up.
    pub(crate) ups: u64,
    /// Times it went down.
    pub(crate) downs: u64,
    /// Times the BGP session was told.
    pub(crate) notices: u64,
}

/// What an established session agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpSession {
    /// This end of the connection.
    pub(crate) local: String,
    /// The AS number shown to the peer.
    pub(crate) asn: u32,
    /// Our BGP identifier.
    pub(crate) identifier: String,
    /// The peer's AS number.
    pub(crate) peer_asn: u32,
    /// The peer's BGP identifier.
    pub(crate) peer_identifier: String,
    /// Seconds of silence until the session ends; 0 is never.
    pub(crate) hold_seconds: u64,
    /// Seconds between KEEPALIVEs; 0 is off.
    pub(crate) keepalive_seconds: u64,
    /// Families carried.
    pub(crate) families: Vec<String>,
    /// What the peer's OPEN says it can, in words.
    pub(crate) capabilities: Vec<String>,
    /// Whether the peer keeps our routes when the session is lost.
    pub(crate) kept: bool,
}

/// What a peer is told, and what not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpRoutes {
    /// Name of the BGPPeer.
    pub(crate) peer: String,
    /// By prefix.
    pub(crate) routes: Vec<BgpRoute>,
}

/// A prefix this node has to announce, and a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpRoute {
    /// The prefix.
    pub(crate) prefix: String,
    /// How it stands.
    pub(crate) standing: Standing,
    /// Why the peer isn't told, or not yet.
    pub(crate) why: Option<String>,
    /// Services it is announced for.
    pub(crate) services: Vec<String>,
    /// LOCAL_PREF within the AS; absent if none was asked for.
    pub(crate) local_pref: Option<u32>,
    /// Communities.
    pub(crate) communities: Vec<String>,
}

/// How a prefix and a peer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Standing {
    /// The peer was told.
    Announced,
    /// It will be.
    Pending,
    /// It isn't.
    Withheld,
}

/// One of the last messages from or to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpMessage {
    /// When, RFC 3339.
    pub(crate) time: jiff::Timestamp,
    /// Name of the BGPPeer.
    pub(crate) peer: String,
    /// Whether we sent it, rather than the peer.
    pub(crate) sent: bool,
    /// Our end of the connection.
    pub(crate) local: std::net::SocketAddr,
    /// The peer's end.
    pub(crate) remote: std::net::SocketAddr,
    /// How many octets it had.
    pub(crate) length: usize,
    /// What it says.
    pub(crate) text: String,
    /// Its octets, in hexadecimal digits; the first 4,096 at most.
    pub(crate) octets: String,
}

/// BGP messages by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BgpMessages {
    /// OPENs.
    pub(crate) opens: u64,
    /// UPDATEs.
    pub(crate) updates: u64,
    /// NOTIFICATIONs.
    pub(crate) notifications: u64,
    /// KEEPALIVEs.
    pub(crate) keepalives: u64,
    /// ROUTE-REFRESHs.
    pub(crate) route_refreshes: u64,
    /// All of them.
    pub(crate) total: u64,
}

/// Gossip as this node sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gossip {
    /// Why gossip hasn't begun yet; absent once it has.
    pub(crate) waiting: Option<String>,
    /// Members by name, those gone not long ago included.
    pub(crate) members: Vec<Member>,
    /// Whether whoever has an address keeps it, where no advertisement says otherwise: `stateless`
    /// while claims can't count, else `metallb` or `sticky`.
    pub(crate) ownership: String,
    /// Addresses that a live member claims.
    pub(crate) claimed: usize,
    /// 0 is healthy; more means that this node doubts its own hearing.
    pub(crate) health: u32,
    /// Probes begun.
    pub(crate) probes: u64,
    /// Probes that nobody answered.
    pub(crate) probes_failed: u64,
    /// Members that came under suspicion, whoever suspected them.
    pub(crate) suspicions: u64,
    /// Suspicions of this node that it refuted.
    pub(crate) refuted: u64,
    /// States exchanged.
    pub(crate) exchanges: u64,
    /// Rumours yet to be told.
    pub(crate) broadcasts: usize,
    /// Packets sent since the start.
    pub(crate) packets_sent: u64,
    /// Their bytes.
    pub(crate) bytes_sent: u64,
    /// Packets received since the start.
    pub(crate) packets_received: u64,
    /// Their bytes.
    pub(crate) bytes_received: u64,
    /// Members that answered on a stream but not in packets.
    pub(crate) stream_only: u64,
    /// Neighbours that the fast detector accused.
    pub(crate) accusations: u64,
    /// Of these, those that were alive.
    pub(crate) acquittals: u64,
    /// What was left aside, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// A member as this node sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    /// Name.
    pub(crate) node: String,
    /// Address and port.
    pub(crate) address: String,
    /// alive, suspect, dead or left.
    pub(crate) state: String,
    /// Seconds since it is.
    pub(crate) seconds: u64,
    /// Its incarnation.
    pub(crate) incarnation: u32,
    /// The suspicion it is under; absent if it is under none.
    pub(crate) suspicion: Option<Suspicion>,
}

/// A suspicion that a member is under.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Suspicion {
    /// Who suspects it.
    pub(crate) by: Vec<String>,
    /// Seconds until it is dead, unless it speaks up.
    pub(crate) seconds_left: f64,
}

/// An event on a Service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// When, RFC 3339.
    pub(crate) time: String,
    /// Normal or Warning.
    pub(crate) severity: String,
    /// The Service.
    pub(crate) service: String,
    /// Machine-readable reason.
    pub(crate) reason: String,
    /// Text.
    pub(crate) message: String,
}

/// What `corten explain` shows: the decision, and what was heard and said since.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Explained {
    /// The decision.
    #[serde(flatten)]
    pub(crate) explanation: Explanation,
    /// Addresses that this node has and doesn't answer for, because gossip doesn't reach a fellow.
    pub(crate) deferred: Vec<Deferred>,
    /// Frames of its addresses on this node.
    pub(crate) frames: Vec<Frames>,
}

/// An address that the LAN decides about, since gossip doesn't reach a fellow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deferred {
    /// The address.
    pub(crate) ip: String,
    /// The node that answers for it; absent while the LAN is asked whether one does.
    pub(crate) to: Option<String>,
}
