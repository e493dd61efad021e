//! Seeded randomness (SplitMix64): for jitter and for picking addresses, not for secrets.

/// A generator; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// Starts at a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `period` give or take a tenth.
    pub(super) fn jitter(&mut self, period: std::time::Duration) -> std::time::Duration {
        let permille = 900 + (self.next() % 201) as u32;
        period / 1000 * permille
    }
}
