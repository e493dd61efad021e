//! The msgpack bodies, with Go's names.

use super::{
    Accusation, Ack, Alive, IndirectPing, META_MAX, NAME_MAX, Ping, Source, Versions,
    address_bytes, address_of, name,
};
use crate::gossip::malformed::Malformed;
use rmp_serde::decode::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::io::{Cursor, ErrorKind};

/// Bodies nest no deeper than their fields; what else may be in them is skipped.
const DEPTH: usize = 16;

/// Reads one value at `at` and moves `at` behind it.
///
/// # Errors
/// [`Malformed::Truncated`] if more bytes might make it a value, [`Malformed::Body`] if none do.
pub(in crate::gossip) fn take<T: DeserializeOwned>(
    bytes: &[u8],
    at: &mut usize,
) -> Result<T, Malformed> {
    let rest = bytes.get(*at..).ok_or(Malformed::Truncated)?;
    let mut reader = rmp_serde::Deserializer::new(Cursor::new(rest));
    reader.set_max_depth(DEPTH);
    let value = T::deserialize(&mut reader).map_err(|error| cause(&error))?;
    let read = usize::try_from(reader.position()).map_err(|_| Malformed::Size)?;
    *at = at.saturating_add(read);
    Ok(value)
}

/// Whether more bytes might have helped.
fn cause(error: &Error) -> Malformed {
    if let Error::InvalidMarkerRead(io) | Error::InvalidDataRead(io) = error
        && io.kind() == ErrorKind::UnexpectedEof
    {
        return Malformed::Truncated;
    }
    Malformed::Body
}

/// The type and the body as a map with names.
pub(in crate::gossip) fn encode<T: Serialize>(kind: u8, body: &T) -> Vec<u8> {
    let mut out = vec![kind];
    append(&mut out, body);
    out
}

/// Appends a value as a map with names.
pub(in crate::gossip) fn append<T: Serialize>(out: &mut Vec<u8>, body: &T) {
    // Writing numbers, texts and bytes to memory can't fail.
    let _written = rmp_serde::encode::write_named(out, body);
}

#[derive(Serialize, Deserialize)]
pub(super) struct PingBody {
    #[serde(rename = "SeqNo", default)]
    sequence: u32,
    #[serde(rename = "Node", default)]
    node: String,
    #[serde(
        rename = "SourceAddr",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    source_addr: Option<ByteBuf>,
    #[serde(rename = "SourcePort", default, skip_serializing_if = "is_zero")]
    source_port: u16,
    #[serde(
        rename = "SourceNode",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    source_node: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct IndirectBody {
    #[serde(rename = "SeqNo", default)]
    sequence: u32,
    #[serde(rename = "Target", default)]
    target: Option<ByteBuf>,
    #[serde(rename = "Port", default)]
    port: u16,
    #[serde(rename = "Node", default)]
    node: String,
    #[serde(rename = "Nack", default)]
    nack: bool,
    #[serde(
        rename = "SourceAddr",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    source_addr: Option<ByteBuf>,
    #[serde(rename = "SourcePort", default, skip_serializing_if = "is_zero")]
    source_port: u16,
    #[serde(
        rename = "SourceNode",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    source_node: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AckBody {
    #[serde(rename = "SeqNo", default)]
    sequence: u32,
    #[serde(rename = "Payload", default)]
    payload: Option<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NackBody {
    #[serde(rename = "SeqNo", default)]
    pub(super) sequence: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(rename = "Error", default)]
    pub(super) error: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SuspectBody {
    #[serde(rename = "Incarnation", default)]
    incarnation: u32,
    #[serde(rename = "Node", default)]
    node: String,
    #[serde(rename = "From", default)]
    from: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AliveBody {
    #[serde(rename = "Incarnation", default)]
    incarnation: u32,
    #[serde(rename = "Node", default)]
    node: String,
    #[serde(rename = "Addr", default)]
    address: Option<ByteBuf>,
    #[serde(rename = "Port", default)]
    port: u16,
    #[serde(rename = "Meta", default)]
    meta: Option<ByteBuf>,
    #[serde(rename = "Vsn", default)]
    versions: Option<ByteBuf>,
}

/// A member in a push/pull exchange.
#[derive(Serialize, Deserialize)]
pub(in crate::gossip) struct NodeState {
    #[serde(rename = "Name", default)]
    node: String,
    #[serde(rename = "Addr", default)]
    address: Option<ByteBuf>,
    #[serde(rename = "Port", default)]
    port: u16,
    #[serde(rename = "Meta", default)]
    meta: Option<ByteBuf>,
    #[serde(rename = "Incarnation", default)]
    incarnation: u32,
    #[serde(rename = "State", default)]
    pub(in crate::gossip) state: u8,
    #[serde(rename = "Vsn", default)]
    versions: Option<ByteBuf>,
}

// The attribute hands out references.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

fn meta_of(meta: Option<ByteBuf>) -> Result<Vec<u8>, Malformed> {
    let meta = meta.unwrap_or_default().into_vec();
    if meta.len() > META_MAX {
        return Err(Malformed::Meta);
    }
    Ok(meta)
}

fn bytes_of(bytes: &[u8]) -> Option<ByteBuf> {
    (!bytes.is_empty()).then(|| ByteBuf::from(bytes))
}

/// Go takes a source only if it has both address and port.
fn source_of(
    address: Option<ByteBuf>,
    port: u16,
    node: String,
) -> Result<Option<Source>, Malformed> {
    let address = address.unwrap_or_default();
    if address.is_empty() || port == 0 {
        return Ok(None);
    }
    if node.len() > NAME_MAX {
        return Err(Malformed::Name);
    }
    let address = address_of(&address, port)?;
    Ok(Some(Source { address, node }))
}

fn source_fields(source: Option<&Source>) -> (Option<ByteBuf>, u16, String) {
    match source {
        Some(s) => (
            bytes_of(&address_bytes(s.address.ip())),
            s.address.port(),
            s.node.clone(),
        ),
        None => (None, 0, String::new()),
    }
}

impl From<&Ping> for PingBody {
    fn from(ping: &Ping) -> Self {
        let (source_addr, source_port, source_node) = source_fields(ping.source.as_ref());
        Self {
            sequence: ping.sequence,
            node: ping.node.clone(),
            source_addr,
            source_port,
            source_node,
        }
    }
}

impl PingBody {
    pub(super) fn into_ping(self) -> Result<Ping, Malformed> {
        if self.node.len() > NAME_MAX {
            return Err(Malformed::Name);
        }
        Ok(Ping {
            sequence: self.sequence,
            node: self.node,
            source: source_of(self.source_addr, self.source_port, self.source_node)?,
        })
    }
}

impl From<&IndirectPing> for IndirectBody {
    fn from(ping: &IndirectPing) -> Self {
        let (source_addr, source_port, source_node) = source_fields(ping.source.as_ref());
        Self {
            sequence: ping.sequence,
            target: bytes_of(&address_bytes(ping.target.ip())),
            port: ping.target.port(),
            node: ping.node.clone(),
            nack: ping.nack,
            source_addr,
            source_port,
            source_node,
        }
    }
}

impl IndirectBody {
    pub(super) fn into_ping(self) -> Result<IndirectPing, Malformed> {
        Ok(IndirectPing {
            sequence: self.sequence,
            target: address_of(&self.target.unwrap_or_default(), self.port)?,
            node: name(self.node)?,
            nack: self.nack,
            source: source_of(self.source_addr, self.source_port, self.source_node)?,
        })
    }
}

impl From<&Ack> for AckBody {
    fn from(ack: &Ack) -> Self {
        Self {
            sequence: ack.sequence,
            payload: bytes_of(&ack.payload),
        }
    }
}

impl From<AckBody> for Ack {
    fn from(body: AckBody) -> Self {
        Self {
            sequence: body.sequence,
            payload: body.payload.unwrap_or_default().into_vec(),
        }
    }
}

impl From<&Accusation> for SuspectBody {
    fn from(accusation: &Accusation) -> Self {
        Self {
            incarnation: accusation.incarnation,
            node: accusation.node.clone(),
            from: accusation.from.clone(),
        }
    }
}

impl SuspectBody {
    pub(super) fn into_accusation(self) -> Result<Accusation, Malformed> {
        Ok(Accusation {
            incarnation: self.incarnation,
            node: name(self.node)?,
            from: name(self.from)?,
        })
    }
}

impl From<&Alive> for AliveBody {
    fn from(alive: &Alive) -> Self {
        Self {
            incarnation: alive.incarnation,
            node: alive.node.clone(),
            address: bytes_of(&address_bytes(alive.address.ip())),
            port: alive.address.port(),
            meta: bytes_of(&alive.meta),
            versions: alive.versions.and_then(|v| bytes_of(&v.bytes())),
        }
    }
}

impl AliveBody {
    pub(super) fn into_alive(self) -> Result<Alive, Malformed> {
        Ok(Alive {
            incarnation: self.incarnation,
            node: name(self.node)?,
            address: address_of(&self.address.unwrap_or_default(), self.port)?,
            meta: meta_of(self.meta)?,
            versions: Versions::of(&self.versions.unwrap_or_default()),
        })
    }
}

impl NodeState {
    /// A member in that state.
    pub(in crate::gossip) fn new(alive: &Alive, state: u8) -> Self {
        let AliveBody {
            incarnation,
            node,
            address,
            port,
            meta,
            versions,
        } = AliveBody::from(alive);
        Self {
            node,
            address,
            port,
            meta,
            incarnation,
            state,
            versions,
        }
    }

    /// What it says of the member.
    pub(in crate::gossip) fn into_alive(self) -> Result<Alive, Malformed> {
        AliveBody {
            incarnation: self.incarnation,
            node: self.node,
            address: self.address,
            port: self.port,
            meta: self.meta,
            versions: self.versions,
        }
        .into_alive()
    }
}
