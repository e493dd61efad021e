//! AS_PATH and AS4_PATH (RFC 4271 §4.3, RFC 6793).

use super::bytes::Reader;
use super::iana::{AS_TRANS, SEGMENT_AS_SEQUENCE, SEGMENT_AS_SET};

/// A path: segments, nearest first.
///
/// ```text
/// | segment type (1) | count (1) | AS numbers (2 or 4 each) | and so on
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AsPath(pub Vec<Segment>);

/// A segment; never empty on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// AS_SEQUENCE, nearest first.
    Sequence(Vec<u32>),
    /// AS_SET.
    Set(Vec<u32>),
}

impl Segment {
    fn parts(&self) -> (u8, &[u32]) {
        match self {
            Self::Sequence(ases) => (SEGMENT_AS_SEQUENCE, ases),
            Self::Set(ases) => (SEGMENT_AS_SET, ases),
        }
    }
}

impl AsPath {
    /// One sequence; an empty one is the empty path.
    pub fn sequence(ases: impl Into<Vec<u32>>) -> Self {
        let ases = ases.into();
        if ases.is_empty() {
            return Self::default();
        }
        Self(vec![Segment::Sequence(ases)])
    }

    /// Every AS number, in order.
    pub fn ases(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|segment| segment.parts().1).copied()
    }

    /// Whether an AS number needs four octets.
    pub fn needs_four_octets(&self) -> bool {
        self.ases().any(|asn| u16::try_from(asn).is_err())
    }

    /// Writes it; two octets say AS_TRANS for what needs four (RFC 6793 §4.2.2), and segments of
    /// more than 255 are split.
    pub(super) fn encode(&self, four_octets: bool, out: &mut Vec<u8>) {
        for segment in &self.0 {
            let (kind, ases) = segment.parts();
            for chunk in ases.chunks(255) {
                out.extend_from_slice(&[kind, u8::try_from(chunk.len()).unwrap_or(u8::MAX)]);
                for &asn in chunk {
                    if four_octets {
                        out.extend_from_slice(&asn.to_be_bytes());
                    } else {
                        let asn = u16::try_from(asn).unwrap_or(AS_TRANS);
                        out.extend_from_slice(&asn.to_be_bytes());
                    }
                }
            }
        }
    }

    /// Reads it; `None` if it is malformed: an unknown segment type (RFC 7606 §7.2; those of
    /// confederations are, outside of one, RFC 5065 §5.3), an empty or cut segment, or AS 0
    /// (RFC 7607).
    pub(super) fn decode(value: &[u8], four_octets: bool) -> Option<Self> {
        let mut from = Reader::new(value);
        let mut segments = Vec::new();
        while let Some(kind) = from.u8() {
            let count = from.u8().filter(|&count| count > 0)?;
            let mut ases = Vec::with_capacity(count.into());
            for _ in 0..count {
                let asn = if four_octets {
                    from.u32()?
                } else {
                    from.u16()?.into()
                };
                ases.push(asn);
            }
            if ases.contains(&0) {
                return None;
            }
            segments.push(match kind {
                SEGMENT_AS_SEQUENCE => Segment::Sequence(ases),
                SEGMENT_AS_SET => Segment::Set(ases),
                _ => return None,
            });
        }
        Some(Self(segments))
    }
}
