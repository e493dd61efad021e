//! How an address is announced, when several advertisements or Services have a say.

use super::Announcement;
use crate::config::{ConflictPolicy, Filter, L2Advertisement, Refresh};
use std::collections::BTreeSet;

/// How an address is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Where.
    pub(crate) interfaces: Filter<String>,
    /// What to do about a stranger.
    pub(crate) conflict: ConflictPolicy,
    /// How often to say so again.
    pub(crate) refresh: Refresh,
}

impl From<&L2Advertisement> for Terms {
    fn from(ad: &L2Advertisement) -> Self {
        Self {
            interfaces: ad.interfaces.clone(),
            conflict: ad.conflict,
            refresh: ad.refresh,
        }
    }
}

impl From<&Announcement> for Terms {
    fn from(announcement: &Announcement) -> Self {
        Self {
            interfaces: announcement.interfaces.clone(),
            conflict: announcement.conflict,
            refresh: announcement.refresh,
        }
    }
}

impl Terms {
    /// The terms of nobody: no interface, nothing asked for.
    pub(crate) fn none() -> Self {
        Self {
            interfaces: Filter::Only(BTreeSet::new()),
            conflict: ConflictPolicy::Report,
            refresh: Refresh::Never,
        }
    }

    /// Both together: interfaces add up, the strictest policy and the shortest period win.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            interfaces: match (self.interfaces, other.interfaces) {
                (Filter::Only(mut a), Filter::Only(b)) => {
                    a.extend(b);
                    Filter::Only(a)
                }
                (Filter::Any, _) | (_, Filter::Any) => Filter::Any,
            },
            conflict: stricter(self.conflict, other.conflict),
            refresh: match (self.refresh, other.refresh) {
                (Refresh::Every(a), Refresh::Every(b)) => Refresh::Every(a.min(b)),
                (every @ Refresh::Every(_), Refresh::Never)
                | (Refresh::Never, every @ Refresh::Every(_)) => every,
                (Refresh::Never, Refresh::Never) => Refresh::Never,
            },
        }
    }
}

/// Falling silent is stricter than fighting, and fighting than telling: whoever asked for silence
/// fears a second answer more than none.
fn stricter(a: ConflictPolicy, b: ConflictPolicy) -> ConflictPolicy {
    match (a, b) {
        (ConflictPolicy::Withhold, _) | (_, ConflictPolicy::Withhold) => ConflictPolicy::Withhold,
        (ConflictPolicy::Defend, _) | (_, ConflictPolicy::Defend) => ConflictPolicy::Defend,
        (ConflictPolicy::Report, ConflictPolicy::Report) => ConflictPolicy::Report,
    }
}
