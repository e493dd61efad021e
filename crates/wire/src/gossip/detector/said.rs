//! What the detector says, as messages of the application's.
//!
//! ```text
//! | 0xC0 | 0x72 | version 1 | kind |
//! beat     | session (4) | to (4) | number (4) | heard (4) |
//! ask      | number (4) | incarnation (4) | name … |
//! verdict  | number (4) | alive (1) |
//! ```
//!
//! Kinds 4 and 5 are claims.

use crate::gossip::message::{META_MAX, NAME_MAX};

const MAGIC: [u8; 3] = [0xc0, 0x72, 1];
const BEAT: u8 = 1;
const ASK: u8 = 2;
const VERDICT: u8 = 3;

/// In front of the meta data of members that are Corten's, before the bits of what they can do.
const META: &[u8] = b"corten\x01";
const DETECTOR: u8 = 1;
const CLAIMS: u8 = 2;
const STICKY: u8 = 4;
const READY: u8 = 8;

/// What a member can do, as its meta data says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gossip) struct Features {
    pub(in crate::gossip) detector: bool,
    /// Its life, if it speaks claims: another one after each start.
    pub(in crate::gossip) life: Option<u64>,
    /// Whether it wants claims to count unless told otherwise.
    pub(in crate::gossip) sticky: bool,
    /// Whether it lets them count.
    pub(in crate::gossip) ready: bool,
}

impl Features {
    pub(in crate::gossip) fn of(meta: &[u8]) -> Self {
        let Some((bits, rest)) = meta.strip_prefix(META).and_then(<[u8]>::split_first) else {
            return Self::default();
        };
        let life = rest.first_chunk().filter(|_| bits & CLAIMS != 0);
        let life = life.map(|life| u64::from_be_bytes(*life));
        Self {
            detector: bits & DETECTOR != 0,
            life,
            sticky: life.is_some() && bits & STICKY != 0,
            ready: life.is_some() && bits & READY != 0,
        }
    }

    /// In front of other meta data.
    pub(in crate::gossip) fn encode(self) -> Vec<u8> {
        let bits = [
            (self.detector, DETECTOR),
            (self.life.is_some(), CLAIMS),
            (self.sticky, STICKY),
            (self.ready, READY),
        ];
        let bits = bits
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, bit)| bit)
            .sum();
        let mut out = [META, &[bits]].concat();
        out.extend(self.life.iter().flat_map(|life| life.to_be_bytes()));
        out
    }

    /// The meta data of a node with these features and other meta data; just that without any.
    pub(in crate::gossip) fn meta(self, other: &[u8]) -> Vec<u8> {
        let own = if self == Self::default() {
            Vec::new()
        } else {
            self.encode()
        };
        let mut meta = [&own, other].concat();
        meta.truncate(META_MAX);
        meta
    }
}

/// A heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gossip) struct Beat {
    /// The sender's life.
    pub(in crate::gossip) session: u32,
    /// The receiver's, as far as the sender knows; 0 if it doesn't.
    pub(in crate::gossip) to: u32,
    /// Rises.
    pub(in crate::gossip) number: u32,
    /// Heartbeats the sender heard from the receiver in a row.
    pub(in crate::gossip) heard: u32,
}

/// One of the detector's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gossip) enum Said {
    /// I am here.
    Beat(Beat),
    /// Do you hear this member?
    Ask {
        number: u32,
        incarnation: u32,
        node: String,
    },
    /// I do, or don't.
    Verdict { number: u32, alive: bool },
}

impl Said {
    pub(in crate::gossip) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        match self {
            Self::Beat(beat) => {
                out.push(BEAT);
                for field in [beat.session, beat.to, beat.number, beat.heard] {
                    out.extend_from_slice(&field.to_be_bytes());
                }
            }
            Self::Ask {
                number,
                incarnation,
                node,
            } => {
                out.push(ASK);
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&incarnation.to_be_bytes());
                out.extend_from_slice(node.as_bytes());
            }
            Self::Verdict { number, alive } => {
                out.push(VERDICT);
                out.extend_from_slice(&number.to_be_bytes());
                out.push(u8::from(*alive));
            }
        }
        out
    }

    /// `None` if it is somebody else's message.
    pub(in crate::gossip) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, mut rest) = bytes.strip_prefix(&MAGIC)?.split_first()?;
        let mut number = || {
            let (field, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u32::from_be_bytes(*field))
        };
        match kind {
            BEAT => Some(Self::Beat(Beat {
                session: number()?,
                to: number()?,
                number: number()?,
                heard: number()?,
            })),
            ASK => {
                let (number, incarnation) = (number()?, number()?);
                let node = std::str::from_utf8(rest).ok()?;
                let fits = !node.is_empty() && node.len() <= NAME_MAX;
                fits.then(|| Self::Ask {
                    number,
                    incarnation,
                    node: node.to_owned(),
                })
            }
            VERDICT => {
                let number = number()?;
                let alive = match rest {
                    [0] => false,
                    [1] => true,
                    _ => return None,
                };
                Some(Self::Verdict { number, alive })
            }
            _ => None,
        }
    }
}
