//! Messages and the stream they come in (RFC 4271 §4.1, RFC 8654).

use super::iana::{
    ERROR_MESSAGE_HEADER, ERROR_OPEN, ERROR_ROUTE_REFRESH, ERROR_UPDATE, HEADER_BAD_LENGTH,
    HEADER_BAD_TYPE, HEADER_NOT_SYNCHRONIZED, MESSAGE_KEEPALIVE, MESSAGE_NOTIFICATION,
    MESSAGE_OPEN, MESSAGE_ROUTE_REFRESH, MESSAGE_UPDATE, REFRESH_INVALID_LENGTH,
};
use super::notification::Notification;
use super::open::{Open, OpenError};
use super::refresh::RouteRefresh;
use super::update::{Decoded, Update, UpdateContext, UpdateError};
use std::fmt;

/// Octets of a header.
pub const HEADER_LEN: usize = 19;
/// Octets of the longest message.
pub const MAX_LEN: usize = 4096;
/// Octets of the longest message where extended messages were negotiated (RFC 8654 §3).
pub const MAX_EXTENDED_LEN: usize = 65535;

/// A message to send.
///
/// ```text
/// | marker: all ones (16) | length with the header (2) | type (1) | body |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// OPEN.
    Open(Open),
    /// UPDATE.
    Update(Box<Update>),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    RouteRefresh(RouteRefresh),
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// OPEN.
    Open(Open),
    /// UPDATE, with what was wrong.
    Update(Box<Decoded>),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    RouteRefresh(RouteRefresh),
}

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageType {
    /// OPEN.
    Open,
    /// UPDATE.
    Update,
    /// NOTIFICATION.
    Notification,
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    RouteRefresh,
}

impl MessageType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Update,
        Self::Notification,
        Self::Keepalive,
        Self::RouteRefresh,
    ];

    /// The code sent.
    pub fn code(self) -> u8 {
        match self {
            Self::Open => MESSAGE_OPEN,
            Self::Update => MESSAGE_UPDATE,
            Self::Notification => MESSAGE_NOTIFICATION,
            Self::Keepalive => MESSAGE_KEEPALIVE,
            Self::RouteRefresh => MESSAGE_ROUTE_REFRESH,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// Lengths it may have (RFC 4271 §6.1, RFC 2918; OPEN and KEEPALIVE are never extended,
    /// RFC 8654 §4).
    fn lengths(self, limit: usize) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Open => 29..=MAX_LEN,
            Self::Update => 23..=limit,
            Self::Notification => 21..=limit,
            Self::Keepalive => HEADER_LEN..=HEADER_LEN,
            Self::RouteRefresh => HEADER_LEN..=limit,
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "OPEN",
            Self::Update => "UPDATE",
            Self::Notification => "NOTIFICATION",
            Self::Keepalive => "KEEPALIVE",
            Self::RouteRefresh => "ROUTE-REFRESH",
        })
    }
}

/// A fault in a header (RFC 4271 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The marker isn't all ones.
    #[error("the marker is not all ones: this is not BGP, or the stream is out of step")]
    NotSynchronized,
    /// A length that the type or the session doesn't allow.
    #[error("a message of {0} octets is not allowed here")]
    Length(u16),
    /// A type that isn't known.
    #[error("message type {0} is not known")]
    Type(u8),
}

/// A message that can't be read; each says which NOTIFICATION it causes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Of the header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Of an OPEN.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Of an UPDATE.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// Of a ROUTE-REFRESH (RFC 7313 §5), with the whole message.
    #[error("a ROUTE-REFRESH has the wrong length")]
    RouteRefresh(Vec<u8>),
}

impl DecodeError {
    /// The NOTIFICATION to send.
    pub fn notification(&self) -> Notification {
        match self {
            Self::Header(HeaderError::NotSynchronized) => {
                Notification::new(ERROR_MESSAGE_HEADER, HEADER_NOT_SYNCHRONIZED)
            }
            Self::Header(HeaderError::Length(length)) => Notification::with_data(
                ERROR_MESSAGE_HEADER,
                HEADER_BAD_LENGTH,
                length.to_be_bytes(),
            ),
            Self::Header(HeaderError::Type(code)) => {
                Notification::with_data(ERROR_MESSAGE_HEADER, HEADER_BAD_TYPE, [*code])
            }
            Self::Open(error) => {
                let (subcode, data) = error.report();
                Notification::with_data(ERROR_OPEN, subcode, data)
            }
            Self::Update(error) => {
                let (subcode, data) = error.report();
                Notification::with_data(ERROR_UPDATE, subcode, data)
            }
            Self::RouteRefresh(message) => Notification::with_data(
                ERROR_ROUTE_REFRESH,
                REFRESH_INVALID_LENGTH,
                message.as_slice(),
            ),
        }
    }
}

/// A message longer than the session allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has more octets than the session allows")]
pub struct TooLong;

/// Appends a header, and the body that `write` adds behind it.
///
/// # Errors
/// When it is longer than `limit`; nothing is appended then.
pub(super) fn frame(
    out: &mut Vec<u8>,
    kind: MessageType,
    limit: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(&[0xff; 16]);
    out.extend_from_slice(&[0, 0, kind.code()]);
    let written = write(out);
    let length = out.len() - start;
    let field = out.get_mut(start + 16..start + 18);
    match (written, u16::try_from(length), field) {
        (Some(()), Ok(octets), Some(field)) if length <= limit => {
            field.copy_from_slice(&octets.to_be_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(TooLong)
        }
    }
}

impl Message {
    /// The type.
    pub fn kind(&self) -> MessageType {
        match self {
            Self::Open(_) => MessageType::Open,
            Self::Update(_) => MessageType::Update,
            Self::Notification(_) => MessageType::Notification,
            Self::Keepalive => MessageType::Keepalive,
            Self::RouteRefresh(_) => MessageType::RouteRefresh,
        }
    }

    /// The whole message.
    ///
    /// # Errors
    /// When it has more than `limit` octets.
    pub fn encode(&self, four_octet_as: bool, limit: usize) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        frame(&mut out, self.kind(), limit, |out| {
            match self {
                Self::Open(open) => open.encode(out),
                Self::Update(update) => return update.encode(four_octet_as, out),
                Self::Notification(notification) => notification.encode(out),
                Self::Keepalive => {}
                Self::RouteRefresh(refresh) => refresh.encode(out),
            }
            Some(())
        })?;
        Ok(out)
    }
}

/// A whole message with a sound header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    kind: MessageType,
    bytes: Vec<u8>,
}

impl Frame {
    /// The type of a whole message.
    pub(super) fn kind_of(bytes: &[u8]) -> Option<MessageType> {
        bytes.get(18).and_then(|&code| MessageType::from_code(code))
    }

    /// The type.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// Every octet, with the header.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the body.
    ///
    /// # Errors
    /// With what the protocol wants done about it.
    pub fn decode(&self, context: &UpdateContext) -> Result<Received, DecodeError> {
        let body = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        Ok(match self.kind {
            MessageType::Open => Received::Open(Open::decode(body)?),
            MessageType::Update => Received::Update(Box::new(Update::decode(body, context)?)),
            MessageType::Notification => match Notification::decode(body) {
                Some(notification) => Received::Notification(notification),
                None => return Err(HeaderError::Length(self.length()).into()),
            },
            MessageType::Keepalive => Received::Keepalive,
            MessageType::RouteRefresh => match RouteRefresh::decode(body) {
                Some(refresh) => Received::RouteRefresh(refresh),
                None => return Err(DecodeError::RouteRefresh(self.bytes.clone())),
            },
        })
    }

    fn length(&self) -> u16 {
        u16::try_from(self.bytes.len()).unwrap_or(u16::MAX)
    }
}

/// Finds the messages in a stream. It holds at most one message and what was pushed last.
#[derive(Clone, Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Octets of the buffer that were given out already.
    start: usize,
    limit: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            limit: MAX_LEN,
        }
    }
}

impl Framer {
    /// Extended messages were negotiated: what comes may be longer.
    pub fn extend_limit(&mut self) {
        self.limit = MAX_EXTENDED_LEN;
    }

    /// Takes in what came. Every message in it has to be taken before the next call, so that
    /// the buffer stays small.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more comes.
    ///
    /// # Errors
    /// When the header is wrong, which is told before the body is there. The stream can't be
    /// read any further then: the same error comes again.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, HeaderError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let (marker, _) = rest.split_at(rest.len().min(16));
        if marker.iter().any(|&byte| byte != 0xff) {
            return Err(HeaderError::NotSynchronized);
        }
        let Some(&[high, low, code]) = rest.get(16..).and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        let length = u16::from_be_bytes([high, low]);
        let whole = usize::from(length);
        // RFC 4271 §6.1 checks the length against the bounds of any message before the type.
        if !(HEADER_LEN..=self.limit).contains(&whole) {
            return Err(HeaderError::Length(length));
        }
        let kind = MessageType::from_code(code).ok_or(HeaderError::Type(code))?;
        if !kind.lengths(self.limit).contains(&whole) {
            return Err(HeaderError::Length(length));
        }
        let Some(bytes) = rest.get(..whole) else {
            return Ok(None);
        };
        let bytes = bytes.to_owned();
        self.start += whole;
        Ok(Some(Frame { kind, bytes }))
    }
}

#[cfg(test)]
mod tests;
