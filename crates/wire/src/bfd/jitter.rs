//! Seeded randomness (SplitMix64) for the time between packets.

use std::time::Duration;

/// A generator; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// Starts at a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws what an interval is shortened by: 0 to 25 %, and 10 % at least where one lost packet
    /// is the end of the session (RFC 5880 §6.8.7, MUST).
    pub(super) fn draw(&mut self, detect_multiplier: u8) -> Shortening {
        let most = if detect_multiplier == 1 { 900 } else { 1000 };
        Shortening {
            permille: 750 + (self.next() % (most - 750 + 1)) as u32,
        }
    }
}

/// What is left of an interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortening {
    permille: u32,
}

impl Shortening {
    pub(super) fn of(self, interval: Duration) -> Duration {
        interval * self.permille / 1000
    }
}

#[cfg(test)]
mod tests;
