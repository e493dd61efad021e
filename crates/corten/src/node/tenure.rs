//! Which addresses this node has: those it has answered for undisturbed for a moment. What it
//! claims doesn't end with a mistake, so what it took by mistake isn't claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long an address is answered before it is claimed: longer than others take to object, and
/// shorter than a process takes to be started again.
const UNDISTURBED: Duration = Duration::from_millis(250);

/// The addresses answered.
#[derive(Debug, Default)]
pub struct Tenure {
    held: BTreeSet<IpAddr>,
    /// Those answered for less, and when that will have been long enough.
    young: BTreeMap<IpAddr, Instant>,
    changed: bool,
}

impl Tenure {
    /// These are answered from now on, and no others.
    pub fn answers(&mut self, answered: &BTreeSet<IpAddr>, now: Instant) {
        let held = self.held.len();
        self.held.retain(|ip| answered.contains(ip));
        self.changed |= self.held.len() != held;
        self.young.retain(|ip, _| answered.contains(ip));
        for ip in answered.difference(&self.held) {
            self.young.entry(*ip).or_insert(now + UNDISTURBED);
        }
    }

    /// When [`Self::due`] is to be called next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.young.values().min().copied()
    }

    /// The addresses held, if they are others than last time.
    pub fn due(&mut self, now: Instant) -> Option<BTreeSet<IpAddr>> {
        let held = self.held.len();
        let old = self.young.extract_if(.., |_, at| *at <= now);
        self.held.extend(old.map(|(ip, _)| ip));
        let changed = std::mem::take(&mut self.changed) || self.held.len() != held;
        changed.then(|| self.held.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_undisturbed_is_held() {
        let ip = |i: u8| IpAddr::from([192, 0, 2, i]);
        let mut now = Instant::now();
        let mut tenure = Tenure::default();
        tenure.answers(&[ip(1), ip(2)].into(), now);
        assert_eq!(tenure.due(now), None);
        now += UNDISTURBED / 2;
        // One of them was a mistake.
        tenure.answers(&[ip(1), ip(3)].into(), now);
        now += UNDISTURBED / 2;
        assert_eq!(tenure.next(), Some(now));
        assert_eq!(tenure.due(now), Some([ip(1)].into()));
        assert_eq!(tenure.due(now), None);
        now += UNDISTURBED / 2;
        assert_eq!(tenure.due(now), Some([ip(1), ip(3)].into()));
        assert_eq!(tenure.next(), None);
        // What isn't answered any more is given up at once.
        tenure.answers(&[ip(3)].into(), now);
        assert_eq!(tenure.due(now), Some([ip(3)].into()));
    }
}
