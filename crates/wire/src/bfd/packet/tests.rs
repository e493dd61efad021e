//! Both ways, at every length, and whatever else comes.

use super::{AuthType, DecodeError, LENGTH, Packet};
use crate::bfd::{Diagnostic, State};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;

fn packet() -> Packet {
    Packet {
        diagnostic: Diagnostic::NEIGHBOR_DOWN,
        state: State::Up,
        poll: true,
        final_: false,
        control_plane_independent: true,
        demand: true,
        detect_multiplier: 3,
        my_discriminator: NonZeroU32::new(0x0102_0304).unwrap(),
        your_discriminator: 0x0506_0708,
        desired_min_tx: Duration::from_millis(300),
        required_min_rx: Duration::from_micros(50_001),
        required_min_echo_rx: Duration::ZERO,
    }
}

/// By the diagram of RFC 5880 §4.1.
const BYTES: [u8; LENGTH] = [
    0x23, 0xea, 3, 24, 1, 2, 3, 4, 5, 6, 7, 8, 0, 4, 0x93, 0xe0, 0, 0, 0xc3, 0x51, 0, 0, 0, 0,
];

#[test]
fn both_ways() {
    assert_eq!(packet().encode(), BYTES);
    assert_eq!(Packet::decode(&BYTES), Ok(packet()));
    let padded = [&BYTES[..], &[9; 7]].concat();
    assert_eq!(Packet::decode(&padded), Ok(packet()));
}

#[test]
fn an_interval_too_long_is_the_longest() {
    let mut packet = packet();
    packet.desired_min_tx = Duration::from_secs(1 << 40);
    assert_eq!(packet.encode()[12..16], [0xff; 4]);
}

#[test]
fn truncated_at_every_length() {
    for length in 0..LENGTH {
        let cut = Packet::decode(&BYTES[..length]);
        assert_eq!(cut, Err(DecodeError::Truncated), "{length}");
    }
    // With authentication, at every length up to what the field says.
    let mut long = [&BYTES[..], &[2; 24]].concat();
    (long[1], long[3], long[25]) = (0xc4, 48, 24);
    for length in LENGTH..48 {
        let cut = Packet::decode(&long[..length]);
        assert_eq!(cut, Err(DecodeError::Truncated), "{length}");
    }
    let whole = Packet::decode(&long);
    assert_eq!(whole, Err(DecodeError::Authenticated(AuthType(2))));
}

#[test]
fn what_is_discarded() {
    type Change = fn(&mut Vec<u8>);
    let rows: &[(&str, Change, DecodeError)] = &[
        ("version 0", |b| b[0] = 0x03, DecodeError::Version(0)),
        ("version 2", |b| b[0] = 0x43, DecodeError::Version(2)),
        ("length 23", |b| b[3] = 23, DecodeError::Length(23)),
        (
            "no room for authentication",
            |b| b[1] |= 4,
            DecodeError::Length(24),
        ),
        ("longer than it is", |b| b[3] = 25, DecodeError::Truncated),
        ("multiplier 0", |b| b[2] = 0, DecodeError::DetectMultiplier),
        ("multipoint", |b| b[1] |= 1, DecodeError::Multipoint),
        (
            "no discriminator",
            |b| b[4..8].fill(0),
            DecodeError::MyDiscriminator,
        ),
        (
            "up without knowing ours",
            |b| b[8..12].fill(0),
            DecodeError::YourDiscriminator(State::Up),
        ),
        (
            "init without knowing ours",
            |b| {
                b[1] = 0x80;
                b[8..12].fill(0);
            },
            DecodeError::YourDiscriminator(State::Init),
        ),
    ];
    for (name, change, error) in rows {
        let mut bytes = BYTES.to_vec();
        change(&mut bytes);
        assert_eq!(Packet::decode(&bytes), Err(*error), "{name}");
    }
    for state in [0_u8, 0x40] {
        let mut bytes = BYTES;
        bytes[1] = state;
        bytes[8..12].fill(0);
        assert_eq!(Packet::decode(&bytes).unwrap().addressee(), None, "{state}");
    }
}

#[test]
fn authentication_is_read_and_refused() {
    let rows = [
        (1, 4, true),
        (1, 19, true),
        (1, 3, false),
        (1, 20, false),
        (2, 24, true),
        (3, 24, true),
        (3, 25, false),
        (4, 28, true),
        (5, 28, true),
        (5, 24, false),
        (9, 2, true),
    ];
    for (kind, length, fits) in rows {
        let mut bytes = BYTES.to_vec();
        bytes[1] |= 4;
        bytes[3] = 24 + length;
        bytes.extend([kind, length]);
        bytes.resize(24 + usize::from(length), 0);
        let wanted = if fits {
            DecodeError::Authenticated(AuthType(kind))
        } else {
            DecodeError::AuthLength(length)
        };
        assert_eq!(Packet::decode(&bytes), Err(wanted), "{kind} {length}");
        // A section that isn't as long as the packet leaves for it.
        bytes[25] = length.wrapping_add(1);
        let other = Packet::decode(&bytes);
        assert_eq!(other, Err(DecodeError::AuthLength(length + 1)), "{kind}");
    }
    let text = DecodeError::Authenticated(AuthType(3)).to_string();
    assert!(text.contains("meticulous keyed MD5"), "{text}");
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = Packet::decode(&bytes) {
            prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
    }

    #[test]
    fn nearly_right_is_read_or_refused(at in 0..LENGTH, byte in any::<u8>()) {
        let mut bytes = BYTES;
        bytes[at] = byte;
        if let Ok(packet) = Packet::decode(&bytes) {
            prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
    }
}
