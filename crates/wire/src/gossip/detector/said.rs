//! What the detector says, as messages of the application's.
//!
//! ```text
//! | 0xC0 | 0x72 | version 1 | kind |
//! beat     | session (4) | to (4) | number (4) | heard (4) |
//! ask      | number (4) | incarnation (4) | name … |
//! verdict  | number (4) | alive (1) |
//! ```

use crate::gossip::message::NAME_MAX;

const MAGIC: [u8; 3] = [0xc0, 0x72, 1];
const BEAT: u8 = 1;
const ASK: u8 = 2;
const VERDICT: u8 = 3;

/// In front of the meta data of members that are Corten's, before the bits of what they can do.
const META: &[u8] = b"corten\x01";
const DETECTOR: u8 = 1;

/// What a member can do, as its meta data says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gossip) struct Features {
    pub(in crate::gossip) detector: bool,
}

impl Features {
    pub(in crate::gossip) fn of(meta: &[u8]) -> Self {
        let bits = meta.strip_prefix(META).and_then(<[u8]>::first);
        Self {
            detector: bits.is_some_and(|bits| bits & DETECTOR != 0),
        }
    }

    /// In front of other meta data.
    pub(in crate::gossip) fn encode(self) -> Vec<u8> {
        let bits = if self.detector { DETECTOR } else { 0 };
        [META, &[bits]].concat()
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
