//! Which addresses the LAN asked for lately: those are announced first after a gain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// Addresses remembered for each link.
const CAPACITY: usize = 4096;

/// A bounded memory of questions. When it is full its older half is forgotten, so that an
/// address asked for among the last 2,048 is always known and a question costs one look-up.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    asked: BTreeMap<IpAddr, Instant>,
}

impl Recent {
    /// `ip` was asked for.
    pub(super) fn asked(&mut self, ip: IpAddr, now: Instant) {
        if let Some(at) = self.asked.get_mut(&ip) {
            *at = now;
            return;
        }
        if self.asked.len() >= CAPACITY {
            let mut ages: Vec<(Instant, IpAddr)> =
                self.asked.iter().map(|(&ip, &at)| (at, ip)).collect();
            let (older, _, _) = ages.select_nth_unstable(CAPACITY / 2);
            for (_, ip) in older {
                self.asked.remove(ip);
            }
        }
        self.asked.insert(ip, now);
    }

    /// When `ip` was last asked for, if that is remembered.
    pub(super) fn last(&self, ip: IpAddr) -> Option<Instant> {
        self.asked.get(&ip).copied()
    }
}
