//! NOTIFICATIONs in words.

use super::*;
use crate::bgp::iana::CEASE_COLLISION;

fn check(code: u8, subcode: u8, data: &[u8], words: &str) {
    let notification = Notification::with_data(code, subcode, data);
    assert_eq!(notification.to_string(), words);
}

#[test]
fn every_notification_has_words() {
    check(
        1,
        1,
        &[],
        "Message Header Error/Connection Not Synchronized",
    );
    check(
        1,
        2,
        &[0, 18],
        "Message Header Error/Bad Message Length, data 0012",
    );
    check(1, 3, &[9], "Message Header Error/Bad Message Type, data 09");
    check(2, 0, &[], "OPEN Message Error");
    check(
        2,
        1,
        &[0, 4],
        "OPEN Message Error/Unsupported Version Number, data 0004",
    );
    check(2, 2, &[], "OPEN Message Error/Bad Peer AS");
    check(2, 6, &[], "OPEN Message Error/Unacceptable Hold Time");
    check(2, 9, &[], "OPEN Message Error/subcode 9");
    check(2, 11, &[], "OPEN Message Error/Role Mismatch");
    check(2, 12, &[], "OPEN Message Error/subcode 12");
    check(3, 11, &[], "UPDATE Message Error/Malformed AS_PATH");
    check(
        3,
        1,
        &[7; 17],
        "UPDATE Message Error/Malformed Attribute List, data 07070707070707070707070707070707…",
    );
    check(4, 0, &[], "Hold Timer Expired");
    check(
        5,
        3,
        &[],
        "Finite State Machine Error/Receive Unexpected Message in Established State",
    );
    check(6, 1, &[], "Cease/Maximum Number of Prefixes Reached");
    check(6, 10, &[], "Cease/BFD Down");
    check(6, 11, &[], "Cease/subcode 11");
    check(
        7,
        1,
        &[],
        "ROUTE-REFRESH Message Error/Invalid Message Length",
    );
    check(8, 0, &[], "Send Hold Timer Expired");
    check(0, 0, &[], "unknown error 0");
    check(99, 3, &[], "unknown error/subcode 3 99");
}

#[test]
fn texts_of_operators_are_shown() {
    // RFC 9003, and what a peer may get wrong about it.
    check(6, 2, b"\x04back", "Cease/Administrative Shutdown: \"back\"");
    check(
        6,
        4,
        b"\x03\xe2\x82\xac",
        "Cease/Administrative Reset: \"€\"",
    );
    check(6, 2, b"\x00", "Cease/Administrative Shutdown");
    check(6, 2, b"\x05back", "Cease/Administrative Shutdown");
    check(6, 2, b"\x02\xff\xfe", "Cease/Administrative Shutdown");
    check(
        6,
        2,
        b"\x03a\x1bb",
        "Cease/Administrative Shutdown: \"a\\u{1b}b\"",
    );
    check(
        6,
        3,
        b"\x04back",
        "Cease/Peer De-configured, data 046261636b",
    );
    // RFC 8538.
    check(
        6,
        9,
        b"\x06\x02\x04back",
        "Cease/Hard Reset: Cease/Administrative Shutdown: \"back\"",
    );
    check(6, 9, b"\x06", "Cease/Hard Reset, data 06");
    check(6, 9, b"\x06\x09\x06\x09", "Cease/Hard Reset, data 06090609");
}

#[test]
fn a_text_is_cut_between_characters() {
    let shutdown = CEASE_ADMINISTRATIVE_SHUTDOWN;
    let check = |text: &str, kept: Option<usize>| {
        let notification = Notification::cease_saying(shutdown, text);
        assert_eq!(notification.communication().map(str::len), kept, "{text}");
        let wire = kept.map_or(0, |kept| kept + 1);
        assert_eq!(notification.data.len(), wire);
    };
    check("", None);
    check("maintenance", Some(11));
    check(&"x".repeat(255), Some(255));
    check(&"x".repeat(256), Some(255));
    check(&"€".repeat(86), Some(255));
    check(&"é".repeat(128), Some(254));
    let other = Notification::cease_saying(CEASE_COLLISION, "text");
    assert_eq!(other, Notification::cease(CEASE_COLLISION));
}

#[test]
fn a_hard_reset_carries_what_it_is_for() {
    let inner = Notification::cease_saying(CEASE_ADMINISTRATIVE_SHUTDOWN, "bye");
    let outer = inner.clone().hard_reset();
    assert!(outer.is_hard_reset() && !inner.is_hard_reset());
    assert_eq!(outer.encapsulated(), Some(inner.clone()));
    assert_eq!(inner.encapsulated(), None);
}
