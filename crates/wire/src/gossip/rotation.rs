//! The exchange of keys while members run: a new key is learned everywhere before anybody
//! encrypts with it, and the old one forgotten after everybody does.

use super::Gossip;
use super::envelope::Security;
use super::keyring::Keyring;
use std::time::{Duration, Instant};

/// Where the exchange stands.
#[derive(Clone, Debug, Default)]
pub(super) enum Rotation {
    /// There is none.
    #[default]
    Settled,
    /// The new keys decrypt; the old one still encrypts.
    Learned {
        ring: Keyring,
        at: Instant,
        grace: Duration,
    },
    /// The new key encrypts; the old ones still decrypt.
    Used { ring: Keyring, at: Instant },
}

impl Rotation {
    pub(super) fn next(&self) -> Option<Instant> {
        match self {
            Self::Settled => None,
            Self::Learned { at, .. } | Self::Used { at, .. } => Some(*at),
        }
    }
}

impl Gossip {
    /// Exchanges the keys for `ring`: they decrypt at once, encrypt after `grace`, and the old
    /// ones are forgotten another `grace` later. Members that learn of the new key within one
    /// `grace` of each other never lose a packet. Without encryption nothing happens.
    pub fn rotate(&mut self, ring: Keyring, grace: Duration, now: Instant) {
        let Security::On { keyring, .. } = &mut self.options.envelope.security else {
            return;
        };
        if *keyring == ring && matches!(self.rotation, Rotation::Settled) {
            return;
        }
        for key in ring.keys() {
            keyring.install(key.clone());
        }
        self.rotation = Rotation::Learned {
            ring,
            at: now + grace,
            grace,
        };
    }

    pub(super) fn rotation_due(&mut self, now: Instant) {
        if self.rotation.next().is_none_or(|at| at > now) {
            return;
        }
        let Security::On { keyring, .. } = &mut self.options.envelope.security else {
            return;
        };
        self.rotation = match std::mem::take(&mut self.rotation) {
            Rotation::Settled => Rotation::Settled,
            Rotation::Learned { ring, grace, .. } => {
                keyring.promote(ring.primary().clone());
                let at = now + grace;
                Rotation::Used { ring, at }
            }
            Rotation::Used { ring, .. } => {
                *keyring = ring;
                Rotation::Settled
            }
        };
    }
}
