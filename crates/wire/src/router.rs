//! Router advertisements (RFC 4861 §4.2, §6), as far as two routers on a link without addresses of
//! its own find each other by them. Ours say that we are no way to anywhere: lifetime 0, no prefix.
//!
//! The kernel puts the checksum into what is sent, and takes nothing with a wrong one.

use std::net::Ipv6Addr;
use std::time::Duration;

/// ICMPv6 types (IANA "ICMPv6 Parameters").
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Length of an advertisement without options.
const LENGTH: usize = 16;
/// Length of a solicitation without options.
const SOLICITATION_LENGTH: usize = 8;

/// What a router on the link said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// That it is there.
    Advertisement,
    /// That it wants to hear who is there.
    Solicitation,
}

/// Reads an ICMPv6 message that arrived with `hop_limit` from `from`. Anything that isn't one of
/// the two, whole and from the link itself, is nothing (§6.1.1, §6.1.2, MUST).
#[must_use]
pub fn read(message: &[u8], from: Ipv6Addr, hop_limit: u8) -> Option<Heard> {
    let (kind, code) = (*message.first()?, *message.get(1)?);
    if hop_limit != 255 || code != 0 || !from.is_unicast_link_local() {
        return None;
    }
    let (heard, options) = match kind {
        ADVERTISEMENT => (Heard::Advertisement, message.get(LENGTH..)?),
        SOLICITATION => (Heard::Solicitation, message.get(SOLICITATION_LENGTH..)?),
        _ => return None,
    };
    are_whole(options).then_some(heard)
}

/// Whether options fill their room, none of them empty.
fn are_whole(mut options: &[u8]) -> bool {
    while let Some(&length) = options.get(1) {
        let length = usize::from(length) * 8;
        match options.get(length..) {
            Some(rest) if length > 0 => options = rest,
            Some(_) | None => return false,
        }
    }
    options.is_empty()
}

/// What we say: that we are there, and no default router.
#[must_use]
pub fn advertisement() -> [u8; LENGTH] {
    let mut message = [0; LENGTH];
    message[0] = ADVERTISEMENT;
    message
}

/// When to advertise.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    said: u8,
}

/// Advertisements that come one soon after the other, so that both ends know each other at once.
const FIRST: u8 = 3;
/// Between those (§6.2.6 "MIN_DELAY_BETWEEN_RAS").
const SOON: Duration = Duration::from_secs(3);
/// Between later ones, as FRR has it.
const LATER: Duration = Duration::from_secs(10);

impl Schedule {
    /// One was sent; how long until the next (§6.2.4: at random, so that routers don't fall into
    /// step). `random` is any number.
    pub fn sent(&mut self, random: u64) -> Duration {
        self.said = self.said.saturating_add(1);
        let longest = if self.said <= FIRST { SOON } else { LATER };
        let spare = u32::try_from(random % 251).unwrap_or_default();
        longest * (1000 - spare) / 1000
    }
}

#[cfg(test)]
mod tests;
