//! The control packet (RFC 5880 §4.1).

use super::fsm::State;
use super::iana::{
    AUTH_KEYED_MD5, AUTH_KEYED_SHA1, AUTH_METICULOUS_MD5, AUTH_METICULOUS_SHA1,
    AUTH_SIMPLE_PASSWORD, Diagnostic,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;

/// Bytes of the authentication section that every type has: type and length.
const AUTH_HEADER: usize = 2;

/// The protocol's version.
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// A control packet.
///
/// ```text
/// | version 3 | diagnostic 5 | state 2 | P | F | C | A | D | M | detect multiplier 8 | length 8 |
/// | my discriminator 32 | your discriminator 32 |
/// | desired min TX 32 | required min RX 32 | required min echo RX 32 |   (microseconds)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session isn't up, or wasn't.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// P: the sender wants an answer with F.
    pub poll: bool,
    /// F: answers a poll.
    pub final_: bool,
    /// C: the sender's BFD survives its control plane.
    pub control_plane_independent: bool,
    /// D: the sender wants no periodic packets.
    pub demand: bool,
    /// Intervals without a packet after which the sender is to be taken for dead.
    pub detect_multiplier: u8,
    /// The sender's name for the session.
    pub my_discriminator: NonZeroU32,
    /// The receiver's name for it; 0 until the sender knows it.
    pub your_discriminator: u32,
    /// The shortest interval the sender wants to send at.
    pub desired_min_tx: Duration,
    /// The shortest interval the sender can receive at; 0 means it wants no periodic packets.
    pub required_min_rx: Duration,
    /// The shortest interval between echo packets the sender returns; 0 means it returns none.
    pub required_min_echo_rx: Duration,
}

/// Why a packet is to be discarded (RFC 5880 §6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its header, or than it says.
    #[error("the packet is truncated")]
    Truncated,
    /// Another version than 1.
    #[error("BFD version {0} isn't known")]
    Version(u8),
    /// Says that it is shorter than a packet can be.
    #[error("the length field says {0} bytes, too few")]
    Length(u8),
    /// Detect multiplier 0.
    #[error("the detect multiplier is 0")]
    DetectMultiplier,
    /// The multipoint bit.
    #[error("the multipoint bit is set")]
    Multipoint,
    /// My discriminator 0.
    #[error("the sender's discriminator is 0")]
    MyDiscriminator,
    /// Your discriminator 0 in a state that knows it.
    #[error("our discriminator is 0 though the sender's state is {0:?}")]
    YourDiscriminator(State),
    /// Authenticated, which no session here is.
    #[error("the packet carries authentication ({0}), which isn't in use")]
    Authenticated(AuthType),
    /// An authentication section that can't be.
    #[error("the authentication section has {0} bytes, which is wrong")]
    AuthLength(u8),
}

/// Type of an authentication section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthType(pub u8);

impl std::fmt::Display for AuthType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            AUTH_SIMPLE_PASSWORD => f.write_str("simple password"),
            AUTH_KEYED_MD5 => f.write_str("keyed MD5"),
            AUTH_METICULOUS_MD5 => f.write_str("meticulous keyed MD5"),
            AUTH_KEYED_SHA1 => f.write_str("keyed SHA1"),
            AUTH_METICULOUS_SHA1 => f.write_str("meticulous keyed SHA1"),
            other => write!(f, "type {other}"),
        }
    }
}

impl Packet {
    /// Reads a packet; bytes behind the length it says are ignored.
    ///
    /// # Errors
    /// Everything RFC 5880 §6.8.6 discards a packet for that doesn't depend on the session.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((head, rest)) = bytes.split_first_chunk::<LENGTH>() else {
            return Err(DecodeError::Truncated);
        };
        let [first, second, detect_multiplier, length, body @ ..] = *head;
        let version = first >> 5;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let authenticated = second & AUTHENTICATION != 0;
        let least = LENGTH + if authenticated { AUTH_HEADER } else { 0 };
        if usize::from(length) < least {
            return Err(DecodeError::Length(length));
        }
        if usize::from(length) > bytes.len() {
            return Err(DecodeError::Truncated);
        }
        if detect_multiplier == 0 {
            return Err(DecodeError::DetectMultiplier);
        }
        if second & MULTIPOINT != 0 {
            return Err(DecodeError::Multipoint);
        }
        let [mine, yours, tx, rx, echo] = words(body);
        let my_discriminator = NonZeroU32::new(mine).ok_or(DecodeError::MyDiscriminator)?;
        let state = State::from_bits(second >> 6);
        if yours == 0 && matches!(state, State::Init | State::Up) {
            return Err(DecodeError::YourDiscriminator(state));
        }
        if authenticated {
            return Err(authentication(rest, usize::from(length) - LENGTH));
        }
        let micros = |n: u32| Duration::from_micros(n.into());
        Ok(Self {
            diagnostic: Diagnostic(first & 0x1f),
            state,
            poll: second & POLL != 0,
            final_: second & FINAL != 0,
            control_plane_independent: second & CONTROL_PLANE_INDEPENDENT != 0,
            demand: second & DEMAND != 0,
            detect_multiplier,
            my_discriminator,
            your_discriminator: yours,
            desired_min_tx: micros(tx),
            required_min_rx: micros(rx),
            required_min_echo_rx: micros(echo),
        })
    }

    /// Writes the packet. Intervals are cut to whole microseconds, and to what 32 bits can say.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.poll, POLL)
            | flag(self.final_, FINAL)
            | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.demand, DEMAND);
        let micros = |d: Duration| u32::try_from(d.as_micros()).unwrap_or(u32::MAX);
        let words = [
            self.my_discriminator.get(),
            self.your_discriminator,
            micros(self.desired_min_tx),
            micros(self.required_min_rx),
            micros(self.required_min_echo_rx),
        ];
        let head = [
            VERSION << 5 | self.diagnostic.0 & 0x1f,
            self.state.bits() << 6 | flags,
            self.detect_multiplier,
            LENGTH as u8,
        ];
        let mut bytes = [0; LENGTH];
        let body = words.iter().flat_map(|word| word.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(head.into_iter().chain(body)) {
            *to = from;
        }
        bytes
    }

    /// The receiver's discriminator, by which the session is found; if there is none it is found
    /// by where the packet came from (RFC 5880 §6.8.6, RFC 5881 §3).
    #[must_use]
    pub fn addressee(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.your_discriminator)
    }
}

/// The five 32-bit fields behind the first word.
fn words(body: [u8; LENGTH - 4]) -> [u32; 5] {
    let mut words = [0; 5];
    let (fields, _) = body.as_chunks::<4>();
    for (word, bytes) in words.iter_mut().zip(fields) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// What is wrong with a packet that carries `length` bytes of authentication: it is in use nowhere
/// (RFC 5880 §6.8.6: "if the A bit is set and no authentication is in use, discard", MUST).
fn authentication(section: &[u8], length: usize) -> DecodeError {
    let [kind, said, ..] = *section else {
        return DecodeError::Truncated;
    };
    let fits = match kind {
        // Type, length, key id, 1 to 16 bytes of password.
        AUTH_SIMPLE_PASSWORD => (4..=19).contains(&said),
        AUTH_KEYED_MD5 | AUTH_METICULOUS_MD5 => said == 24,
        AUTH_KEYED_SHA1 | AUTH_METICULOUS_SHA1 => said == 28,
        _ => usize::from(said) >= AUTH_HEADER,
    };
    if fits && usize::from(said) == length {
        DecodeError::Authenticated(AuthType(kind))
    } else {
        DecodeError::AuthLength(said)
    }
}

#[cfg(test)]
mod tests;
