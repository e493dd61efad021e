//! What a peer shall have: the desired table, set as a whole.

use super::community::{Community, ExtendedCommunity, LargeCommunity};
use super::prefix::Prefix;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A desired table. Peers and prefixes that want the same share it, and share paths.
pub type Routes = BTreeMap<Prefix, Arc<Path>>;

/// What is said about a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Where the traffic goes.
    pub next_hop: NextHop,
    /// LOCAL_PREF, within an AS only; absent means [`DEFAULT_LOCAL_PREF`].
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// COMMUNITY.
    pub communities: BTreeSet<Community>,
    /// EXTENDED COMMUNITIES.
    pub extended_communities: BTreeSet<ExtendedCommunity>,
    /// LARGE_COMMUNITY.
    pub large_communities: BTreeSet<LargeCommunity>,
    /// How often the own AS number is in the path beyond the once it has to be there.
    pub prepend: u8,
}

/// Where traffic goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextHop {
    /// This end of the session.
    #[default]
    Own,
    /// This address.
    Address(IpAddr),
}

/// LOCAL_PREF of a path that has none of its own, as other implementations have it.
pub const DEFAULT_LOCAL_PREF: u32 = 100;

impl Path {
    /// The same, on its way out: GRACEFUL_SHUTDOWN (RFC 8326 §4) and, for those who don't know
    /// it, the lowest LOCAL_PREF.
    fn leaving(&self) -> Self {
        let mut path = self.clone();
        path.communities.insert(Community::GRACEFUL_SHUTDOWN);
        path.local_pref = Some(0);
        path
    }
}

/// The same table, on its way out.
pub(super) fn leaving(routes: &Routes) -> Routes {
    let mut paths: BTreeMap<&Arc<Path>, Arc<Path>> = BTreeMap::new();
    let mut leave = |path| {
        let known = paths.entry(path);
        Arc::clone(known.or_insert_with(|| Arc::new(path.leaving())))
    };
    routes
        .iter()
        .map(|(&prefix, path)| (prefix, leave(path)))
        .collect()
}

/// Every prefix whose path isn't the same in both.
pub(super) fn changed(old: &Routes, new: &Routes) -> Vec<Prefix> {
    let mut changed = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let (prefix, in_old, in_new) = match (old.peek(), new.peek()) {
            (None, None) => return changed,
            (Some((a, _)), None) => (**a, true, false),
            (None, Some((b, _))) => (**b, false, true),
            (Some((a, _)), Some((b, _))) => (**a.min(b), a <= b, b <= a),
        };
        let was = if in_old { old.next() } else { None };
        let is = if in_new { new.next() } else { None };
        let same = match (was, is) {
            (Some((_, was)), Some((_, is))) => Arc::ptr_eq(was, is) || was == is,
            _ => false,
        };
        if !same {
            changed.push(prefix);
        }
    }
}
