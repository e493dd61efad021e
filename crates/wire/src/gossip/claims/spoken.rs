//! Claims as messages of the application's, and as a part of the application's state.
//!
//! ```text
//! claims | 0xC0 | 0x72 | version 1 | kind 4 | life (8) | name length (2) | name |
//!        then for each address | given up 0x80, family 4 or 6 (1) | epoch (8) | address |
//! state  | 0xC0 | 0x72 | version 1 | kind 5 | length (4) | length (4), claims … | the rest |
//! ```

use super::{Claim, Word};
use crate::gossip::message::NAME_MAX;
use std::net::IpAddr;

const CLAIMS: [u8; 4] = [0xc0, 0x72, 1, 4];
const STATE: [u8; 4] = [0xc0, 0x72, 1, 5];
const GIVEN_UP: u8 = 0x80;
/// Bytes of the longest entry.
const ENTRY_MAX: usize = 1 + 8 + 16;

/// Claims of one life of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gossip) struct Spoken {
    pub(in crate::gossip) node: String,
    pub(in crate::gossip) life: u64,
    pub(in crate::gossip) claims: Vec<Claim>,
}

/// As many of them as go into one message.
#[derive(Clone, Copy, Debug)]
pub(in crate::gossip) struct Batch<'a> {
    node: &'a str,
    life: u64,
    claims: &'a [Claim],
}

impl Spoken {
    /// Batches for messages of at most `room` bytes; a message has one claim at least.
    pub(in crate::gossip) fn batches(&self, room: usize) -> impl Iterator<Item = Batch<'_>> {
        let head = CLAIMS.len() + 8 + 2 + self.node.len();
        let each = (room.saturating_sub(head) / ENTRY_MAX).max(1);
        self.claims.chunks(each).map(|claims| Batch {
            node: &self.node,
            life: self.life,
            claims,
        })
    }

    /// `None` if it is somebody else's message, or none that makes sense.
    pub(in crate::gossip) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&CLAIMS)?;
        let life = u64::from_be_bytes(take(&mut rest)?);
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let name = split(&mut rest, length)?;
        let node = std::str::from_utf8(name).ok()?.to_owned();
        if node.is_empty() || node.len() > NAME_MAX {
            return None;
        }
        let mut claims = Vec::new();
        while !rest.is_empty() {
            claims.push(claim(&mut rest, life)?);
        }
        Some(Self { node, life, claims })
    }
}

impl Batch<'_> {
    pub(in crate::gossip) fn encode(&self) -> Vec<u8> {
        let mut out = CLAIMS.to_vec();
        out.extend_from_slice(&self.life.to_be_bytes());
        // Names are no longer than a member's may be.
        let length = u16::try_from(self.node.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.node.as_bytes());
        for Claim { ip, epoch, word } in self.claims {
            let flag = if word.given_up { GIVEN_UP } else { 0 };
            let family = if ip.is_ipv4() { 4 } else { 6 };
            out.push(flag | family);
            out.extend_from_slice(&epoch.to_be_bytes());
            match ip {
                IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
            }
        }
        out
    }
}

fn claim(rest: &mut &[u8], life: u64) -> Option<Claim> {
    let [head] = take(rest)?;
    let epoch = u64::from_be_bytes(take(rest)?);
    let ip = match head & !GIVEN_UP {
        4 => IpAddr::from(take::<4>(rest)?),
        6 => IpAddr::from(take::<16>(rest)?),
        _ => return None,
    };
    let given_up = head & GIVEN_UP != 0;
    let word = Word { life, given_up };
    Some(Claim { ip, epoch, word })
}

/// The claims with the application's state behind them.
pub(super) fn encode_state(all: &[Spoken], rest: &[u8]) -> Vec<u8> {
    let mut claims = Vec::new();
    for batch in all.iter().flat_map(|spoken| spoken.batches(usize::MAX)) {
        append(&mut claims, &batch.encode());
    }
    let mut out = STATE.to_vec();
    append(&mut out, &claims);
    out.extend_from_slice(rest);
    out
}

/// Whatever of the claims makes sense, and the application's state; `None` if it is all that.
pub(super) fn decode_state(bytes: &[u8]) -> Option<(Vec<Spoken>, &[u8])> {
    let mut rest = bytes.strip_prefix(&STATE)?;
    let mut claims = sized(&mut rest)?;
    let mut all = Vec::new();
    while let Some(batch) = sized(&mut claims) {
        all.extend(Spoken::decode(batch));
    }
    Some((all, rest))
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(rest)?);
    split(rest, usize::try_from(length).ok()?)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}
