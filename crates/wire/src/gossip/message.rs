//! Messages: one byte of type, then a msgpack map with Go's field names
//! (`spec/metallb.md` §5.6).
//!
//! Go writes `[]byte` in msgpack's old raw family, the one of strings, and an empty one as nil; it
//! reads the newer binary family as well, which is what is written here.

mod body;

pub(super) use body::{NodeState, append, take};

use super::code;
use super::malformed::Malformed;
use body::{AckBody, AliveBody, ErrorBody, IndirectBody, NackBody, PingBody, SuspectBody};
use std::net::{IpAddr, SocketAddr};

/// Longest name of a member, in bytes.
pub const NAME_MAX: usize = 512;
/// Most meta data of a member, in bytes.
pub const META_MAX: usize = 512;

/// Versions a member speaks: of the protocol, and of what the application says with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Lowest protocol version.
    pub protocol_min: u8,
    /// Highest protocol version.
    pub protocol_max: u8,
    /// Protocol version in use.
    pub protocol: u8,
    /// Lowest version of the application's.
    pub delegate_min: u8,
    /// Highest version of the application's.
    pub delegate_max: u8,
    /// The application's version in use.
    pub delegate: u8,
}

impl Versions {
    /// What Corten says of itself, and MetalLB of its members.
    pub const OURS: Self = Self {
        protocol_min: code::PROTOCOL_MIN,
        protocol_max: code::PROTOCOL_MAX,
        protocol: code::PROTOCOL_CURRENT,
        delegate_min: 0,
        delegate_max: 0,
        delegate: 0,
    };

    /// As on the wire.
    #[must_use]
    pub fn bytes(self) -> [u8; 6] {
        [
            self.protocol_min,
            self.protocol_max,
            self.protocol,
            self.delegate_min,
            self.delegate_max,
            self.delegate,
        ]
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let &[
            protocol_min,
            protocol_max,
            protocol,
            delegate_min,
            delegate_max,
            delegate,
        ] = bytes.first_chunk()?;
        Some(Self {
            protocol_min,
            protocol_max,
            protocol,
            delegate_min,
            delegate_max,
            delegate,
        })
    }
}

/// Where an answer is wanted, if not where the packet came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Address and port.
    pub address: SocketAddr,
    /// Name of the member there.
    pub node: String,
}

/// "Are you there?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Repeated in the answer.
    pub sequence: u32,
    /// Who is meant; empty for whoever is there.
    pub node: String,
    /// Where to answer.
    pub source: Option<Source>,
}

/// "Ask him for me."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectPing {
    /// Repeated in the answer.
    pub sequence: u32,
    /// Where the member to ask is.
    pub target: SocketAddr,
    /// His name.
    pub node: String,
    /// Whether silence is to be reported.
    pub nack: bool,
    /// Where to answer.
    pub source: Option<Source>,
}

/// "I am here."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The probe's.
    pub sequence: u32,
    /// The application's.
    pub payload: Vec<u8>,
}

/// What a member is said to be, as one `Alive` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Raised by the member itself only.
    pub incarnation: u32,
    /// Name.
    pub node: String,
    /// Address and port; port 0 stands for the cluster's.
    pub address: SocketAddr,
    /// The application's.
    pub meta: Vec<u8>,
    /// Versions, if told.
    pub versions: Option<Versions>,
}

/// A member is suspected, or dead, or left if `from` is the member itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    /// The incarnation it is about.
    pub incarnation: u32,
    /// The member.
    pub node: String,
    /// Who says so.
    pub from: String,
}

/// A message of its own, in a packet or on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// See [`Ping`].
    Ping(Ping),
    /// See [`IndirectPing`].
    IndirectPing(IndirectPing),
    /// See [`Ack`].
    Ack(Ack),
    /// The member asked for wasn't heard; the sequence number of the request.
    Nack(u32),
    /// See [`Accusation`].
    Suspect(Accusation),
    /// See [`Alive`].
    Alive(Alive),
    /// See [`Accusation`].
    Dead(Accusation),
    /// The application's.
    User(Vec<u8>),
    /// What went wrong on a stream, in words.
    Error(String),
}

impl Message {
    /// As on the wire, its type first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ping(m) => body::encode(code::PING, &PingBody::from(m)),
            Self::IndirectPing(m) => body::encode(code::INDIRECT_PING, &IndirectBody::from(m)),
            Self::Ack(m) => body::encode(code::ACK, &AckBody::from(m)),
            Self::Nack(sequence) => body::encode(
                code::NACK,
                &NackBody {
                    sequence: *sequence,
                },
            ),
            Self::Suspect(m) => body::encode(code::SUSPECT, &SuspectBody::from(m)),
            Self::Alive(m) => body::encode(code::ALIVE, &AliveBody::from(m)),
            Self::Dead(m) => body::encode(code::DEAD, &SuspectBody::from(m)),
            Self::User(bytes) => [&[code::USER], bytes.as_slice()].concat(),
            Self::Error(text) => body::encode(
                code::ERROR,
                &ErrorBody {
                    error: text.clone(),
                },
            ),
        }
    }

    /// Reads a message, its type first; bytes behind the body don't matter.
    ///
    /// # Errors
    /// For compound, compressed and other wrappings, and for everything malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (&kind, body) = bytes.split_first().ok_or(Malformed::Truncated)?;
        let mut at = 0;
        match kind {
            code::PING => take::<PingBody>(body, &mut at)?.into_ping().map(Self::Ping),
            code::INDIRECT_PING => take::<IndirectBody>(body, &mut at)?
                .into_ping()
                .map(Self::IndirectPing),
            code::ACK => Ok(Self::Ack(take::<AckBody>(body, &mut at)?.into())),
            code::NACK => Ok(Self::Nack(take::<NackBody>(body, &mut at)?.sequence)),
            code::SUSPECT => take::<SuspectBody>(body, &mut at)?
                .into_accusation()
                .map(Self::Suspect),
            code::ALIVE => take::<AliveBody>(body, &mut at)?
                .into_alive()
                .map(Self::Alive),
            code::DEAD => take::<SuspectBody>(body, &mut at)?
                .into_accusation()
                .map(Self::Dead),
            code::USER => Ok(Self::User(body.to_vec())),
            code::ERROR => Ok(Self::Error(take::<ErrorBody>(body, &mut at)?.error)),
            _ => Err(Malformed::Type),
        }
    }
}

/// An address as Go writes it: 4 bytes for IPv4, 16 for IPv6.
pub(super) fn address_bytes(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The address in 4 or 16 bytes; IPv4 in IPv6 is IPv4.
pub(super) fn address_of(bytes: &[u8], port: u16) -> Result<SocketAddr, Malformed> {
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        IpAddr::from(v4)
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        IpAddr::from(v6).to_canonical()
    } else {
        return Err(Malformed::Address);
    };
    Ok(SocketAddr::new(ip, port))
}

/// A name that isn't empty.
pub(super) fn name(text: String) -> Result<String, Malformed> {
    if text.is_empty() || text.len() > NAME_MAX {
        return Err(Malformed::Name);
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests;
