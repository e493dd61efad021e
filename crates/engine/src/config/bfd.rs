//! BFDProfiles (`spec/metallb.md` §1.6, §2.4 "BFD").

use super::compile::{Rejections, Surroundings};
use super::resources::Id;
use crate::rejection::{Fault, Kind};
use corten_api::bfd::{BFDProfile, BFDProfileSpec};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Timers and modes of BFD sessions; what isn't written has FRR's default, as with MetalLB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdProfile {
    /// Minimum interval between received packets; 300 ms unless written.
    pub receive_interval: Duration,
    /// Minimum interval between sent packets; 300 ms unless written.
    pub transmit_interval: Duration,
    /// Missed packets until down; 3 unless written.
    pub detect_multiplier: u8,
    /// Minimum interval between echo packets; 50 ms unless written.
    pub echo_interval: Duration,
    /// Whether echo mode is used.
    pub echo_mode: bool,
    /// Whether to wait for the peer's first packet.
    pub passive_mode: bool,
    /// Lowest TTL accepted on multihop sessions; 254 unless written.
    pub minimum_ttl: u8,
}

/// Compiles every BFDProfile.
pub(super) fn compile(
    objects: &BTreeMap<Id, BFDProfile>,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, BfdProfile> {
    let mut accepted = BTreeMap::new();
    for (id, object) in rejections.unique(Kind::BFDProfile, objects) {
        match judge(&object.spec) {
            Ok(profile) => {
                accepted.insert(id.name.clone(), profile);
            }
            Err(faults) => {
                rejections.add(Kind::BFDProfile, id, faults);
                if let Some(last_good) = around.previous.bgp.bfd.get(&id.name) {
                    accepted.insert(id.name.clone(), last_good.clone());
                }
            }
        }
    }
    accepted
}

const INTERVAL_MS: RangeInclusive<u32> = 10..=60_000;

fn judge(spec: &BFDProfileSpec) -> Result<BfdProfile, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut number = |field: &str, value: Option<u32>, range: RangeInclusive<u32>, default: u32| {
        let value = value.unwrap_or(default);
        if !range.contains(&value) {
            let (low, high) = range.into_inner();
            let cause = format!("{value} is not between {low} and {high}");
            faults.push(Fault::new(format!("spec.{field}"), cause));
        }
        value
    };
    let receive = number("receiveInterval", spec.receive_interval, INTERVAL_MS, 300);
    let transmit = number("transmitInterval", spec.transmit_interval, INTERVAL_MS, 300);
    let multiplier = number("detectMultiplier", spec.detect_multiplier, 2..=255, 3);
    let echo = number("echoInterval", spec.echo_interval, INTERVAL_MS, 50);
    let ttl = number("minimumTtl", spec.minimum_ttl, 1..=254, 254);
    let (Ok(detect_multiplier), Ok(minimum_ttl), true) = (
        u8::try_from(multiplier),
        u8::try_from(ttl),
        faults.is_empty(),
    ) else {
        return Err(faults);
    };
    Ok(BfdProfile {
        receive_interval: Duration::from_millis(receive.into()),
        transmit_interval: Duration::from_millis(transmit.into()),
        detect_multiplier,
        echo_interval: Duration::from_millis(echo.into()),
        echo_mode: spec.echo_mode.unwrap_or(false),
        passive_mode: spec.passive_mode.unwrap_or(false),
        minimum_ttl,
    })
}

#[cfg(test)]
mod tests;
