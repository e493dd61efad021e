//! What is heard and what isn't, at every length.

use super::{Heard, LATER, SOON, Schedule, advertisement, read};
use proptest::prelude::*;
use std::net::Ipv6Addr;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

#[test]
fn ours_says_that_we_are_no_way_out() {
    let ours = advertisement();
    assert_eq!(read(&ours, ROUTER, 255), Some(Heard::Advertisement));
    // Type and code; then nothing: no hop limit, no flag, no lifetime, no timer.
    assert_eq!(ours[0], 134);
    assert!(ours[1..].iter().all(|octet| *octet == 0));
}

#[test]
fn what_is_taken() {
    let with = |kind: u8, length: usize, options: &[u8]| {
        let mut message = vec![0; length];
        message[0] = kind;
        message.extend_from_slice(options);
        message
    };
    // FRR's: with its link-layer address.
    let mac = [1, 1, 2, 0, 0, 0, 0, 1];
    let whole = with(134, 16, &mac);
    assert_eq!(read(&whole, ROUTER, 255), Some(Heard::Advertisement));
    for length in 0..whole.len() {
        let part = &whole[..length];
        let want = (length == 16).then_some(Heard::Advertisement);
        assert_eq!(read(part, ROUTER, 255), want, "{length}");
    }
    let asked = with(133, 8, &mac);
    assert_eq!(read(&asked, ROUTER, 255), Some(Heard::Solicitation));
    // From elsewhere, with another code, an empty option, half an option, another type.
    assert_eq!(read(&whole, ROUTER, 254), None);
    assert_eq!(read(&whole, "2001:db8::1".parse().unwrap(), 255), None);
    let mut coded = whole.clone();
    coded[1] = 1;
    for message in [
        coded,
        with(134, 16, &[1, 0, 0, 0, 0, 0, 0, 0]),
        with(134, 16, &[1, 2, 0, 0, 0, 0, 0, 0]),
        with(134, 16, &[1]),
        with(135, 24, &[]),
    ] {
        assert_eq!(read(&message, ROUTER, 255), None, "{message:?}");
    }
}

#[test]
fn soon_at_first_and_seldom_later() {
    let mut schedule = Schedule::default();
    for round in 0..6 {
        let (longest, shortest) = (schedule.clone().sent(0), schedule.sent(250));
        let want = if round < 3 { SOON } else { LATER };
        assert_eq!(longest, want);
        assert_eq!(shortest, want * 3 / 4);
    }
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic(message: Vec<u8>, hop_limit: u8) {
        let _heard = read(&message, ROUTER, hop_limit);
    }
}
