//! NOTIFICATION (RFC 4271 §4.5): codes, the text an operator left (RFC 9003), a hard reset's
//! content (RFC 8538), and all of it in words.

mod words;

use super::iana::{
    CEASE_ADMINISTRATIVE_RESET, CEASE_ADMINISTRATIVE_SHUTDOWN, CEASE_HARD_RESET, ERROR_CEASE,
};
use std::fmt;

/// A NOTIFICATION.
///
/// ```text
/// | error code (1) | error subcode (1) | data |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Data.
    pub data: Vec<u8>,
}

/// Octets of a shutdown communication (RFC 9003 §2).
pub const MAX_COMMUNICATION: usize = 255;

impl Notification {
    /// One without data.
    pub fn new(code: u8, subcode: u8) -> Self {
        Self::with_data(code, subcode, Vec::new())
    }

    /// One with data.
    pub fn with_data(code: u8, subcode: u8, data: impl Into<Vec<u8>>) -> Self {
        Self {
            code,
            subcode,
            data: data.into(),
        }
    }

    /// A Cease.
    pub fn cease(subcode: u8) -> Self {
        Self::new(ERROR_CEASE, subcode)
    }

    /// A Cease with a text for the operator of the peer (RFC 9003 §2), which only an
    /// administrative shutdown or reset carries. A text longer than 255 octets is cut between
    /// characters.
    pub fn cease_saying(subcode: u8, text: &str) -> Self {
        let mut end = text.len().min(MAX_COMMUNICATION);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        if !carries_text(ERROR_CEASE, subcode) || text.is_empty() {
            return Self::cease(subcode);
        }
        let mut data = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
        data.extend_from_slice(text.as_bytes());
        Self::with_data(ERROR_CEASE, subcode, data)
    }

    /// What an operator of the sender wrote, if anything; `None` also for what is no valid text,
    /// which RFC 9003 §4 wants only logged.
    pub fn communication(&self) -> Option<&str> {
        if !carries_text(self.code, self.subcode) {
            return None;
        }
        let (&length, rest) = self.data.split_first()?;
        let text = rest.get(..usize::from(length))?;
        let text = std::str::from_utf8(text).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// The same as a hard reset: routes are not to be kept although both ends negotiated that
    /// NOTIFICATIONs leave them (RFC 8538 §3).
    #[must_use]
    pub fn hard_reset(self) -> Self {
        let mut data = vec![self.code, self.subcode];
        data.extend(self.data);
        Self::with_data(ERROR_CEASE, CEASE_HARD_RESET, data)
    }

    /// Whether it is a hard reset.
    pub fn is_hard_reset(&self) -> bool {
        (self.code, self.subcode) == (ERROR_CEASE, CEASE_HARD_RESET)
    }

    /// What a hard reset carries.
    pub fn encapsulated(&self) -> Option<Self> {
        let [code, subcode, ref data @ ..] = *self.data.as_slice() else {
            return None;
        };
        self.is_hard_reset()
            .then(|| Self::with_data(code, subcode, data.to_owned()))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.code, self.subcode]);
        out.extend_from_slice(&self.data);
    }

    /// Reads a body; `None` if it is shorter than its codes.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let [code, subcode, ref data @ ..] = *body else {
            return None;
        };
        Some(Self::with_data(code, subcode, data.to_owned()))
    }
}

fn carries_text(code: u8, subcode: u8) -> bool {
    code == ERROR_CEASE
        && [CEASE_ADMINISTRATIVE_SHUTDOWN, CEASE_ADMINISTRATIVE_RESET].contains(&subcode)
}

impl fmt::Display for Notification {
    /// Such as `Cease/Administrative Shutdown: "maintenance until six"`. Control characters of a
    /// peer's text are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(words::code(self.code))?;
        match words::subcode(self.code, self.subcode) {
            Some("") => {}
            Some(words) => write!(f, "/{words}")?,
            None => write!(f, "/subcode {}", self.subcode)?,
        }
        if words::code(self.code) == words::UNKNOWN {
            write!(f, " {}", self.code)?;
        }
        if let Some(inner) = self.encapsulated().filter(|inner| !inner.is_hard_reset()) {
            return write!(f, ": {inner}");
        }
        if let Some(text) = self.communication() {
            return write!(f, ": {text:?}");
        }
        if self.data.is_empty() || carries_text(self.code, self.subcode) {
            return Ok(());
        }
        f.write_str(", data ")?;
        for byte in self.data.iter().take(16) {
            write!(f, "{byte:02x}")?;
        }
        if self.data.len() > 16 {
            f.write_str("…")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
