//! Messages on streams: one each way, without a length unless encrypted, so that only reading
//! shows where it ends.

use super::code;
use super::envelope::{Envelope, Security, deflate, inflate};
use super::keyring::{NONCE_LEN, OVERHEAD};
use super::malformed::Malformed;
use super::message::{Message, take};
use super::push_pull::{self, PushPull};
use serde::Deserialize;

/// Most bytes taken from a stream. Go takes 20 MiB; a thousand members with all the meta data
/// they may have come to less than one.
// DEVIATION: Go's limit is 20 MiB a stream; a small process that anybody may connect to has less.
pub const STREAM_MAX: usize = 8 << 20;

/// Which way a message goes: only the side that opened the stream puts the label in front, though
/// the label is authenticated both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the side that opened the stream.
    Request,
    /// From the other one.
    Answer,
}

/// What comes on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// A state.
    PushPull(PushPull),
    /// A probe, an answer, an error or the application's.
    Message(Message),
}

#[derive(Deserialize)]
struct UserHeader {
    #[serde(rename = "UserMsgLen", default)]
    length: usize,
}

impl Envelope {
    /// The bytes of a message (encoded, its type first) on a stream.
    #[must_use]
    pub fn seal_stream(
        &self,
        direction: Direction,
        message: Vec<u8>,
        nonce: [u8; NONCE_LEN],
    ) -> Vec<u8> {
        let mut bytes = message;
        if self.compression
            && let Some(compressed) = deflate(&bytes)
        {
            bytes = compressed;
        }
        let mut out = match direction {
            Direction::Request => self.label.header(),
            Direction::Answer => Vec::new(),
        };
        let keyring = match &self.security {
            Security::On {
                keyring,
                outgoing: true,
                ..
            } => keyring,
            Security::On { .. } | Security::Off => {
                out.extend_from_slice(&bytes);
                return out;
            }
        };
        let Ok(length) = u32::try_from(bytes.len() + OVERHEAD) else {
            return Vec::new();
        };
        let header = [&[code::ENCRYPT], &length.to_be_bytes()[..]].concat();
        let beside = [&header, self.label.bytes()].concat();
        let Some(sealed) = keyring.seal(nonce, &bytes, &beside) else {
            return Vec::new();
        };
        out.extend_from_slice(&header);
        out.extend_from_slice(&sealed);
        out
    }
}

/// Reads the one message of a stream's direction, in whatever pieces it comes.
#[derive(Debug)]
pub struct StreamReader {
    direction: Direction,
    bytes: Vec<u8>,
    push_pull: push_pull::Reader,
}

impl StreamReader {
    /// Nothing read yet.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            bytes: Vec::new(),
            push_pull: push_pull::Reader::default(),
        }
    }

    /// Takes what came; `None` while the message isn't complete.
    ///
    /// # Errors
    /// As soon as it is clear that it won't be a message for this cluster.
    pub fn read(
        &mut self,
        bytes: &[u8],
        envelope: &Envelope,
    ) -> Result<Option<StreamMessage>, Malformed> {
        if self.bytes.len() + bytes.len() > STREAM_MAX {
            return Err(Malformed::Size);
        }
        self.bytes.extend_from_slice(bytes);
        let stripped = match self.direction {
            Direction::Request => envelope.label.strip(&self.bytes),
            Direction::Answer => Ok(&self.bytes[..]),
        };
        let rest = match stripped {
            Ok(rest) => rest,
            // The header may be on its way; one of length 0 is none.
            Err(Malformed::LabelHeader) if !matches!(self.bytes[..], [_, 0, ..]) => {
                return Ok(None);
            }
            Err(Malformed::Label) if self.bytes.is_empty() => return Ok(None),
            Err(malformed) => return Err(malformed),
        };
        let Some((&kind, body)) = rest.split_first() else {
            return Ok(None);
        };
        let (keyring, strict) = match &envelope.security {
            Security::Off => (None, false),
            Security::On {
                keyring, incoming, ..
            } => (Some(keyring), *incoming),
        };
        if kind != code::ENCRYPT {
            if strict {
                return Err(Malformed::Plaintext);
            }
            return pending(unwrap(kind, body, &mut self.push_pull));
        }
        let keyring = keyring.ok_or(Malformed::Ciphertext)?;
        let Some((&length, sealed)) = body.split_first_chunk() else {
            return Ok(None);
        };
        let wanted = usize::try_from(u32::from_be_bytes(length)).map_err(|_| Malformed::Size)?;
        if wanted > STREAM_MAX {
            return Err(Malformed::Size);
        }
        let Some(sealed) = sealed.get(..wanted) else {
            return Ok(None);
        };
        let beside = [&[code::ENCRYPT], &length[..], envelope.label.bytes()].concat();
        let text = keyring.open(sealed, &beside)?;
        let (&kind, body) = text.split_first().ok_or(Malformed::Truncated)?;
        unwrap(kind, body, &mut push_pull::Reader::default())?
            .ok_or(Malformed::Truncated)
            .map(Some)
    }
}

fn pending<T>(read: Result<Option<T>, Malformed>) -> Result<Option<T>, Malformed> {
    match read {
        Err(Malformed::Truncated) => Ok(None),
        other => other,
    }
}

/// A message whose type and body are known, perhaps not all of it.
fn unwrap(
    kind: u8,
    body: &[u8],
    push_pull: &mut push_pull::Reader,
) -> Result<Option<StreamMessage>, Malformed> {
    if kind != code::COMPRESS {
        return plain(kind, body, push_pull);
    }
    let text = inflate(body, &mut 0, STREAM_MAX)?;
    // What is decompressed is all there is: waiting for more would be in vain.
    let ended = |m| {
        if m == Malformed::Truncated {
            Malformed::Body
        } else {
            m
        }
    };
    let (&kind, body) = text.split_first().ok_or(Malformed::Body)?;
    if kind == code::COMPRESS {
        return Err(Malformed::Nested);
    }
    plain(kind, body, &mut push_pull::Reader::default())
        .map_err(ended)?
        .ok_or(Malformed::Body)
        .map(Some)
}

fn plain(
    kind: u8,
    body: &[u8],
    push_pull: &mut push_pull::Reader,
) -> Result<Option<StreamMessage>, Malformed> {
    match kind {
        code::PUSH_PULL => Ok(push_pull
            .read(body, STREAM_MAX)?
            .map(StreamMessage::PushPull)),
        code::USER => {
            let mut at = 0;
            let header: UserHeader = take(body, &mut at)?;
            if header.length > STREAM_MAX {
                return Err(Malformed::Size);
            }
            let bytes = body.get(at..).unwrap_or_default();
            let bytes = bytes.get(..header.length).ok_or(Malformed::Truncated)?;
            Ok(Some(StreamMessage::Message(Message::User(bytes.to_vec()))))
        }
        code::PING | code::ACK | code::ERROR => {
            let whole = [&[kind], body].concat();
            Message::decode(&whole).map(|m| Some(StreamMessage::Message(m)))
        }
        _ => Err(Malformed::Type),
    }
}

#[cfg(test)]
mod tests;
