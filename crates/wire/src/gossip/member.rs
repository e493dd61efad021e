//! What a member can be.

/// State of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It answers, or was never found not to.
    Alive,
    /// Somebody didn't get an answer.
    Suspect,
    /// It failed.
    Dead,
    /// It said that it leaves.
    Left,
}

impl MemberState {
    /// As on the wire.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Alive => 0,
            Self::Suspect => 1,
            Self::Dead => 2,
            Self::Left => 3,
        }
    }

    /// The state of that code.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Alive, Self::Suspect, Self::Dead, Self::Left]
            .get(usize::from(code))
            .copied()
    }

    /// Whether it counts as a member: alive or suspected.
    #[must_use]
    pub fn is_present(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}
