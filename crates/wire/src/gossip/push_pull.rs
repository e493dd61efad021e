//! Exchange of whole states on a stream: a header, every member known, and the application's
//! state (`spec/metallb.md` §5.6).

use super::code;
use super::malformed::Malformed;
use super::member::MemberState;
use super::message::{Alive, NodeState, append, take};
use serde::{Deserialize, Serialize};

/// Most members announced in a header.
const MEMBERS_MAX: usize = 1 << 20;

/// One side's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushPull {
    /// Whether the sender is new here.
    pub join: bool,
    /// What it knows of the members, itself included.
    pub members: Vec<(MemberState, Alive)>,
    /// The application's state.
    pub user: Vec<u8>,
    /// Members left out because what was said of them can't be used.
    pub malformed: Vec<Malformed>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Header {
    #[serde(rename = "Nodes", default)]
    members: usize,
    #[serde(rename = "UserStateLen", default)]
    user_len: usize,
    #[serde(rename = "Join", default)]
    join: bool,
}

impl PushPull {
    /// As on the wire, its type first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![code::PUSH_PULL];
        let header = Header {
            members: self.members.len(),
            user_len: self.user.len(),
            join: self.join,
        };
        append(&mut out, &header);
        for (state, alive) in &self.members {
            append(&mut out, &NodeState::new(alive, state.code()));
        }
        out.extend_from_slice(&self.user);
        out
    }
}

/// Reads a state that comes in pieces, without reading any member twice.
#[derive(Debug, Default)]
pub(super) struct Reader {
    at: usize,
    header: Option<Header>,
    state: PushPull,
    left: usize,
}

impl Reader {
    /// Goes on reading the body (without its type), which has grown since; `None` while there is
    /// more to come, at most `limit` bytes in all.
    pub(super) fn read(
        &mut self,
        body: &[u8],
        limit: usize,
    ) -> Result<Option<PushPull>, Malformed> {
        match self.advance(body, limit) {
            Ok(()) => Ok(Some(std::mem::take(&mut self.state))),
            Err(Malformed::Truncated) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn advance(&mut self, body: &[u8], limit: usize) -> Result<(), Malformed> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let header: Header = take(body, &mut self.at)?;
                if header.members > MEMBERS_MAX || header.user_len > limit {
                    return Err(Malformed::Size);
                }
                self.left = header.members;
                self.state.join = header.join;
                *self.header.insert(header)
            }
        };
        while self.left > 0 {
            let node: NodeState = take(body, &mut self.at)?;
            self.left -= 1;
            let state = MemberState::of_code(node.state).ok_or(Malformed::State);
            match state.and_then(|state| Ok((state, node.into_alive()?))) {
                Ok(member) => self.state.members.push(member),
                Err(malformed) => self.state.malformed.push(malformed),
            }
        }
        let user = body.get(self.at..).unwrap_or_default();
        let user = user.get(..header.user_len).ok_or(Malformed::Truncated)?;
        self.state.user = user.to_vec();
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
