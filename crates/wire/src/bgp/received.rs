//! What a peer announces: counted, bounded and dropped. No route of a peer is ever used, which is
//! the import policy RFC 8212 asks for.

use super::attribute::decode::Treatment;
use super::iana::{CEASE_MAXIMUM_PREFIXES, ERROR_CEASE};
use super::notification::Notification;
use super::options::MaximumPrefix;
use super::prefix::Prefix;
use super::update::Decoded;
use std::collections::BTreeSet;
use std::fmt;

/// Prefixes told apart where there is no limit.
pub const COUNTED: usize = 1024;

/// How many prefixes a peer announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// So many, and more that aren't told apart.
    AtLeast(usize),
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::AtLeast(count) => write!(f, "at least {count}"),
        }
    }
}

/// The prefixes of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    prefixes: BTreeSet<Prefix>,
    /// There were more than are told apart: the count is a lower bound from then on.
    overflowed: bool,
}

/// More prefixes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) limit: u32,
}

impl TooMany {
    /// RFC 4486 §4: the data, which would name one family, are optional; the limit is for both.
    pub(super) fn notification(self) -> Notification {
        Notification::new(ERROR_CEASE, CEASE_MAXIMUM_PREFIXES)
    }
}

/// What went wrong with UPDATEs and didn't end the session, and what they said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateCounters {
    /// Prefixes announced, again and again counted.
    pub announced: u64,
    /// Prefixes withdrawn, treated as withdrawn among them.
    pub withdrawn: u64,
    /// UPDATEs whose prefixes were treated as withdrawn (RFC 7606).
    pub treated_as_withdraw: u64,
    /// Attributes discarded (RFC 7606).
    pub attributes_discarded: u64,
}

impl Heard {
    pub(super) fn count(&self) -> Count {
        if self.overflowed {
            Count::AtLeast(self.prefixes.len())
        } else {
            Count::Exactly(self.prefixes.len())
        }
    }

    /// Takes an UPDATE in.
    pub(super) fn update(
        &mut self,
        decoded: &Decoded,
        maximum: MaximumPrefix,
        counters: &mut UpdateCounters,
    ) -> Result<(), TooMany> {
        let discarded = decoded.faults.iter();
        let discarded = discarded.filter(|fault| fault.treatment == Treatment::Discard);
        counters.attributes_discarded += u64::try_from(discarded.count()).unwrap_or(u64::MAX);
        counters.treated_as_withdraw += u64::from(decoded.is_withdrawn());
        for prefix in decoded.update.unreachable() {
            counters.withdrawn += 1;
            self.prefixes.remove(&prefix);
        }
        for prefix in decoded.update.reachable() {
            counters.announced += 1;
            self.announce(prefix, maximum)?;
        }
        Ok(())
    }

    fn announce(&mut self, prefix: Prefix, maximum: MaximumPrefix) -> Result<(), TooMany> {
        let (kept, limit) = match maximum {
            MaximumPrefix::Count => (COUNTED, None),
            MaximumPrefix::Limit { prefixes, .. } => (
                usize::try_from(prefixes).unwrap_or(usize::MAX),
                Some(prefixes),
            ),
        };
        if self.prefixes.contains(&prefix) {
            return Ok(());
        }
        if self.prefixes.len() < kept {
            self.prefixes.insert(prefix);
            return Ok(());
        }
        self.overflowed = true;
        limit.map_or(Ok(()), |limit| Err(TooMany { limit }))
    }
}
