//! The codec as a whole: round trips, truncation, mutations, and an independent encoder.

use super::*;

pub(super) mod arbitrary;
mod captures;
mod codec;
mod oracle;

/// The virtual clock's start; the only look at a clock.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor"
)]
pub(super) fn start() -> std::time::Instant {
    std::time::Instant::now()
}

pub(super) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// What both of two four-octet speakers of different ASes have agreed on.
pub(super) const EXTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: true,
    extended_next_hop: false,
};

/// Octets from hexadecimal digits, with spaces ignored.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let octets = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(pair, 16).unwrap()
    });
    octets.collect()
}

/// A whole message with this type and body.
pub(super) fn message(code: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = vec![0xff; 16];
    let length = u16::try_from(body.len() + HEADER_LEN).unwrap();
    whole.extend_from_slice(&length.to_be_bytes());
    whole.push(code);
    whole.extend_from_slice(body);
    whole
}

/// The first message of a stream.
pub(super) fn first(bytes: &[u8], limit: usize) -> Result<Option<Frame>, HeaderError> {
    let mut framer = Framer::default();
    if limit > MAX_LEN {
        framer.extend_limit();
    }
    framer.push(bytes);
    framer.next_frame()
}

/// Reads one whole message.
pub(super) fn read(bytes: &[u8], context: &UpdateContext) -> Result<Received, DecodeError> {
    first(bytes, MAX_EXTENDED_LEN)?
        .expect("a whole message")
        .decode(context)
}

/// Seeded changes to octets.
#[derive(Clone, Debug)]
pub(super) struct Mutator(pub(super) u64);

impl Mutator {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    pub(super) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.below(256) as u8),
            2 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            _ => {
                let value = [0, 1, 0xff, self.below(256) as u8][self.below(4)];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
        }
    }
}
