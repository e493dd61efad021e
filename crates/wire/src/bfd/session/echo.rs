//! The echo function (RFC 5880 §6.4, §6.8.8, §6.8.9): packets of ours that the peer's forwarding
//! plane returns.

use super::Echo;
use crate::bfd::jitter::Jitter;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Octets of an echo packet's payload, which only its sender reads.
pub const LENGTH: usize = 8;

/// The echoes of a session.
#[derive(Debug)]
pub(super) struct Echoes {
    discriminator: NonZeroU32,
    configured: Echo,
    running: Option<Running>,
    /// Number of the next packet.
    next: u32,
    pub(super) sent: u64,
    pub(super) returned: u64,
}

#[derive(Debug)]
struct Running {
    /// Number of the first packet: older ones prove nothing.
    first: u32,
    interval: Duration,
    multiplier: u8,
    due: Instant,
    /// When too much was lost.
    lost: Instant,
}

impl Echoes {
    pub(super) fn new(discriminator: NonZeroU32, configured: Echo) -> Self {
        Self {
            discriminator,
            configured,
            running: None,
            next: 0,
            sent: 0,
            returned: 0,
        }
    }

    pub(super) fn running(&self) -> bool {
        self.running.is_some()
    }

    /// Sends while the session is `up` and the peer `returns` packets at some interval, never
    /// faster than that (RFC 5880 §6.8.9, MUST NOT).
    pub(super) fn set(&mut self, up: bool, returns: Duration, multiplier: u8, now: Instant) {
        let interval = match self.configured {
            Echo::On { interval, .. } if up && !returns.is_zero() => interval.max(returns),
            Echo::On { .. } | Echo::Off => {
                self.running = None;
                return;
            }
        };
        match &mut self.running {
            Some(running) if running.interval == interval => running.multiplier = multiplier,
            Some(_) | None => {
                self.running = Some(Running {
                    first: self.next,
                    interval,
                    multiplier,
                    due: now,
                    lost: now + interval * multiplier.into(),
                });
            }
        }
    }

    /// Whether too many didn't come back; it is said once.
    pub(super) fn lost(&mut self, now: Instant) -> bool {
        let lost = self.running.as_ref().is_some_and(|r| r.lost <= now);
        if lost {
            self.running = None;
        }
        lost
    }

    /// The packet that is due, if one is.
    pub(super) fn poll(&mut self, now: Instant, jitter: &mut Jitter) -> Option<[u8; LENGTH]> {
        let running = self.running.as_mut().filter(|r| r.due <= now)?;
        running.due = now + jitter.draw(running.multiplier).of(running.interval);
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.sent += 1;
        let mut payload = [0; LENGTH];
        let bytes = [self.discriminator.get(), number];
        let bytes = bytes.iter().flat_map(|word| word.to_be_bytes());
        for (to, from) in payload.iter_mut().zip(bytes) {
            *to = from;
        }
        Some(payload)
    }

    /// One came back.
    pub(super) fn returned(&mut self, payload: &[u8], now: Instant) {
        let Some(running) = &mut self.running else {
            return;
        };
        let ([discriminator, number], []) = payload.as_chunks::<4>() else {
            return;
        };
        let age = u32::from_be_bytes(*number).wrapping_sub(running.first);
        let sent = self.next.wrapping_sub(running.first);
        if u32::from_be_bytes(*discriminator) == self.discriminator.get() && age < sent {
            running.lost = now + running.interval * running.multiplier.into();
            self.returned += 1;
        }
    }

    /// One wasn't sent after all.
    pub(super) fn unsent(&mut self, now: Instant) {
        self.sent = self.sent.saturating_sub(1);
        if let Some(running) = &mut self.running {
            running.lost = now + running.interval * running.multiplier.into();
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|r| r.due.min(r.lost))
    }
}
