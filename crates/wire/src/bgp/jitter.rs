//! Seeded jitter (SplitMix64), so that nodes don't do the same at the same moment.

use std::time::Duration;

/// A generator; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between three quarters of `time` and all of it (RFC 4271 §10).
    pub(super) fn of(&mut self, time: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let permille = 750 + u32::try_from(z % 251).unwrap_or_default();
        time / 1000 * permille
    }
}
