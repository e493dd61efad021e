//! Netlink messages as bytes: reading a datagram, writing a request (RFC 3549 §2.2).
//!
//! Numbers are in the host's byte order. A malformed message ends the reading of its datagram or
//! of its attributes; it never panics.

/// Length of a message's header in bytes.
const HEADER: usize = 16;
/// Length of an attribute's header in bytes.
const ATTRIBUTE_HEADER: usize = 4;
/// The part of an attribute's type that is its number, without "nested" and "byte order".
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// Says that an attribute's value is attributes.
const NESTED: u16 = 0x8000;

/// `length` rounded up to where the next message or attribute starts.
const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// The two bytes at `at`, if there.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let value = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*value))
}

/// The four bytes at `at`, if there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*value))
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What follows the header.
    pub(crate) payload: &'a [u8],
}

impl Message<'_> {
    /// The error number of an `NLMSG_ERROR` or `NLMSG_DONE` message; 0 is success.
    pub(crate) fn errno(&self) -> i32 {
        u32_at(self.payload, 0).map_or(0, |value| value.cast_signed().wrapping_neg())
    }
}

/// The messages of one datagram.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = Message {
            kind: u16_at(datagram, 4)?,
            flags: u16_at(datagram, 6)?,
            sequence: u32_at(datagram, 8)?,
            payload: datagram.get(HEADER..length)?,
        };
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`: number and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_TYPE;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A request being written; may hold several messages one after another.
#[derive(Debug, Default)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Adds a message of type `kind`: the family's fixed part `fixed`, and what `fill` adds.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        fixed: &[u8],
        fill: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(fixed);
        self.align();
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        if let Some(field) = self.bytes.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Adds an attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = (ATTRIBUTE_HEADER + value.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.align();
    }

    /// Adds an attribute that is a number in network byte order, as nf_tables wants it.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Adds an attribute that holds the attributes `fill` adds.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Fills up to the next boundary.
    fn align(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    /// The datagram to send.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
