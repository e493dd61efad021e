//! What packets and streams are wrapped in: from the outside a label, encryption, a checksum
//! (packets only), compression, and compounds of messages.
//!
//! ```text
//! packet  | 244 | length | label |  ( version | nonce | ciphertext | tag )
//!         of  | 12 | crc32 |  of  | 9 | {Algo, Buf} |  of  | 7 | count | length… | message… |
//! stream  | 244 | length | label |  | 10 | length (4) | ( version | nonce | ciphertext | tag ) |
//! ```

use super::code;
use super::compress::{compress, decompress};
use super::keyring::{Keyring, NONCE_LEN, OVERHEAD};
use super::malformed::Malformed;
use super::message::{Message, append, take};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Compounds and compressed messages inside one another.
const DEPTH: usize = 4;
/// Most bytes a packet is decompressed to.
const PACKET_MAX: usize = 256 << 10;
/// What is shorter doesn't get any smaller.
const COMPRESS_MIN: usize = 64;
/// Messages in one compound; its count is one byte.
const COMPOUND_MAX: usize = 255;

/// A cluster's name in front of every packet and stream; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(Vec<u8>);

/// Longer than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label has at most 255 bytes, not {0}")]
pub struct LabelTooLong(usize);

impl Label {
    /// A label of at most 255 bytes.
    ///
    /// # Errors
    /// If it is longer.
    pub fn new(text: &str) -> Result<Self, LabelTooLong> {
        if text.len() > usize::from(u8::MAX) {
            return Err(LabelTooLong(text.len()));
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What it adds to a packet or stream.
    pub(super) fn header(&self) -> Vec<u8> {
        match u8::try_from(self.0.len()) {
            Ok(length @ 1..) => [&[code::HAS_LABEL, length], self.0.as_slice()].concat(),
            _ => Vec::new(),
        }
    }

    /// What is behind the label header, if the label is this one.
    pub(super) fn strip<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let (label, rest) = match bytes {
            [code::HAS_LABEL, 0, ..] => return Err(Malformed::LabelHeader),
            [code::HAS_LABEL, length, rest @ ..] => rest
                .split_at_checked(usize::from(*length))
                .ok_or(Malformed::LabelHeader)?,
            [code::HAS_LABEL] => return Err(Malformed::LabelHeader),
            rest => (&[][..], rest),
        };
        if label == self.0 {
            Ok(rest)
        } else {
            Err(Malformed::Label)
        }
    }
}

/// Whether, and with what, messages are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// They aren't.
    Off,
    /// They are.
    On {
        /// The keys.
        keyring: Keyring,
        /// Whether what isn't encrypted is refused (`GossipVerifyIncoming`).
        incoming: bool,
        /// Whether what is sent is encrypted (`GossipVerifyOutgoing`).
        outgoing: bool,
    },
}

impl Security {
    /// Encrypted both ways.
    #[must_use]
    pub fn with(keyring: Keyring) -> Self {
        Self::On {
            keyring,
            incoming: true,
            outgoing: true,
        }
    }

    fn outgoing(&self) -> Option<&Keyring> {
        match self {
            Self::On {
                keyring,
                outgoing: true,
                ..
            } => Some(keyring),
            Self::On { .. } | Self::Off => None,
        }
    }
}

/// How this cluster wraps its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The cluster's label.
    pub label: Label,
    /// Its keys.
    pub security: Security,
    /// Whether what is sent is compressed where that helps; what comes may always be.
    pub compression: bool,
}

/// What was in a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Its messages, in order.
    pub messages: Vec<Message>,
    /// Why further ones can't be used.
    pub malformed: Vec<Malformed>,
}

#[derive(Serialize, Deserialize)]
struct Compressed {
    #[serde(rename = "Algo", default)]
    algorithm: u8,
    #[serde(rename = "Buf", default)]
    bytes: Option<ByteBuf>,
}

impl Envelope {
    /// Bytes a packet has around its messages, those of a compound not counted.
    #[must_use]
    pub fn overhead(&self) -> usize {
        let encryption = self.security.outgoing().map_or(0, |_| OVERHEAD);
        self.label.header().len() + encryption
    }

    /// The packet of these messages, already encoded; `checksum` only for members that know it.
    #[must_use]
    pub fn seal(&self, messages: &[Vec<u8>], checksum: bool, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut bytes = match messages {
            [message] => message.clone(),
            several => compound(several),
        };
        if self.compression {
            bytes = smaller(bytes);
        }
        if checksum {
            let mut checked = vec![code::HAS_CRC];
            checked.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            checked.extend_from_slice(&bytes);
            bytes = checked;
        }
        let mut out = self.label.header();
        let sealed = self
            .security
            .outgoing()
            .map(|keyring| keyring.seal(nonce, &bytes, self.label.bytes()));
        match sealed {
            None => out.extend_from_slice(&bytes),
            // Nothing goes out in the clear that was to be encrypted.
            Some(None) => out.clear(),
            Some(Some(sealed)) => out.extend_from_slice(&sealed),
        }
        out
    }

    /// The messages of a packet.
    ///
    /// # Errors
    /// If the packet as a whole can't be used.
    pub fn open(&self, packet: &[u8]) -> Result<Opened, Malformed> {
        let rest = self.label.strip(packet)?;
        let plain;
        let bytes = match &self.security {
            Security::Off => rest,
            Security::On {
                keyring, incoming, ..
            } => match keyring.open(rest, self.label.bytes()) {
                Ok(text) => {
                    plain = text;
                    &plain
                }
                Err(_) if !incoming => rest,
                Err(malformed) => return Err(malformed),
            },
        };
        let mut opened = Opened::default();
        unwrap(check(bytes)?, &mut opened, DEPTH);
        Ok(opened)
    }
}

/// What is behind the checksum, if there is one and it is right.
fn check(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let [code::HAS_CRC, rest @ ..] = bytes else {
        return Ok(bytes);
    };
    let (&sum, rest) = rest.split_first_chunk().ok_or(Malformed::Truncated)?;
    if crc32fast::hash(rest) == u32::from_be_bytes(sum) {
        Ok(rest)
    } else {
        Err(Malformed::Checksum)
    }
}

fn unwrap(bytes: &[u8], into: &mut Opened, depth: usize) {
    let (kind, body) = match bytes {
        [kind, body @ ..] => (*kind, body),
        [] => return into.malformed.push(Malformed::Truncated),
    };
    let wrapped = matches!(kind, code::COMPOUND | code::COMPRESS);
    if wrapped && depth == 0 {
        return into.malformed.push(Malformed::Nested);
    }
    match kind {
        code::COMPOUND => parts(body, into, depth.saturating_sub(1)),
        code::COMPRESS => match inflate(body, &mut 0, PACKET_MAX) {
            Ok(text) => unwrap(&text, into, depth.saturating_sub(1)),
            Err(malformed) => into.malformed.push(malformed),
        },
        _ => match Message::decode(bytes) {
            Ok(message) => into.messages.push(message),
            Err(malformed) => into.malformed.push(malformed),
        },
    }
}

/// The messages of a compound; those that are there in full are taken.
fn parts(body: &[u8], into: &mut Opened, depth: usize) {
    let split = |(count, rest): (&u8, _)| <[u8]>::split_at_checked(rest, usize::from(*count) * 2);
    let Some((lengths, mut rest)) = body.split_first().and_then(split) else {
        return into.malformed.push(Malformed::Truncated);
    };
    let (lengths, _) = lengths.as_chunks();
    for length in lengths {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((part, after)) = rest.split_at_checked(length) else {
            return into.malformed.push(Malformed::Truncated);
        };
        rest = after;
        unwrap(part, into, depth);
    }
}

/// One packet of several messages.
fn compound(messages: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::try_from(messages.len()).unwrap_or(u8::MAX);
    let messages = || messages.iter().take(COMPOUND_MAX);
    let mut out = vec![code::COMPOUND, count];
    for message in messages() {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
    }
    for message in messages() {
        out.extend_from_slice(message.get(..usize::from(u16::MAX)).unwrap_or(message));
    }
    out
}

/// The message, compressed if that makes it smaller.
fn smaller(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < COMPRESS_MIN {
        return bytes;
    }
    match deflate(&bytes) {
        Some(compressed) if compressed.len() < bytes.len() => compressed,
        _ => bytes,
    }
}

/// The message, compressed.
pub(super) fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let body = Compressed {
        algorithm: code::ALGORITHM_LZW,
        bytes: Some(ByteBuf::from(compress(bytes)?)),
    };
    let mut out = vec![code::COMPRESS];
    append(&mut out, &body);
    Some(out)
}

/// What the body of a compressed message stands for, at most `limit` bytes.
pub(super) fn inflate(body: &[u8], at: &mut usize, limit: usize) -> Result<Vec<u8>, Malformed> {
    let compressed: Compressed = take(body, at)?;
    if compressed.algorithm != code::ALGORITHM_LZW {
        return Err(Malformed::Compression);
    }
    decompress(&compressed.bytes.unwrap_or_default(), limit)
}

#[cfg(test)]
pub(super) mod tests;
