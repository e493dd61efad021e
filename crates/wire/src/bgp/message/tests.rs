//! Headers: what is refused, and the NOTIFICATION it causes.

use crate::bgp::tests::{EXTERNAL, first, hex, message, read};
use crate::bgp::*;

#[test]
fn headers_are_checked_before_the_body_is_there() {
    let check = |bytes: &[u8], limit, expected: Result<(), HeaderError>, words: &str| {
        let got = first(bytes, limit).map(|_| ());
        assert_eq!(got, expected, "{bytes:02x?}");
        if let Err(error) = expected {
            assert_eq!(DecodeError::from(error).notification().to_string(), words);
        }
    };
    let head = |length: u16, code: u8| {
        let mut bytes = vec![0xff; 16];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(code);
        bytes
    };
    let length = |length| Err(HeaderError::Length(length));
    let bad = "Message Header Error/Bad Message Length, data ";
    check(&head(29, 1), MAX_LEN, Ok(()), "");
    check(&head(28, 1), MAX_LEN, length(28), &format!("{bad}001c"));
    check(&head(4096, 1), MAX_EXTENDED_LEN, Ok(()), "");
    // RFC 8654 §4: OPEN and KEEPALIVE stay as short as ever.
    check(
        &head(4097, 1),
        MAX_EXTENDED_LEN,
        length(4097),
        &format!("{bad}1001"),
    );
    check(&head(22, 2), MAX_LEN, length(22), &format!("{bad}0016"));
    check(&head(23, 2), MAX_LEN, Ok(()), "");
    check(&head(4096, 2), MAX_LEN, Ok(()), "");
    check(&head(4097, 2), MAX_LEN, length(4097), &format!("{bad}1001"));
    check(&head(65535, 2), MAX_EXTENDED_LEN, Ok(()), "");
    check(&head(20, 3), MAX_LEN, length(20), &format!("{bad}0014"));
    check(&head(21, 3), MAX_LEN, Ok(()), "");
    check(&head(19, 4), MAX_LEN, Ok(()), "");
    check(&head(20, 4), MAX_LEN, length(20), &format!("{bad}0014"));
    check(&head(18, 4), MAX_LEN, length(18), &format!("{bad}0012"));
    check(&head(0, 9), MAX_LEN, length(0), &format!("{bad}0000"));
    let kind = "Message Header Error/Bad Message Type, data ";
    check(
        &head(19, 0),
        MAX_LEN,
        Err(HeaderError::Type(0)),
        &format!("{kind}00"),
    );
    check(
        &head(19, 6),
        MAX_LEN,
        Err(HeaderError::Type(6)),
        &format!("{kind}06"),
    );
    let marker = "Message Header Error/Connection Not Synchronized";
    let unsynchronized = Err(HeaderError::NotSynchronized);
    check(b"GET / HTTP/1.1", MAX_LEN, unsynchronized, marker);
    let mut late = head(19, 4);
    late[15] = 0xfe;
    check(&late, MAX_LEN, unsynchronized, marker);
    check(&[], MAX_LEN, Ok(()), "");
}

#[test]
fn an_error_in_the_stream_stays() {
    let mut framer = Framer::default();
    framer.push(&message(4, &[]));
    framer.push(b"no BGP");
    assert_eq!(
        framer.next_frame().unwrap().unwrap().kind(),
        MessageType::Keepalive
    );
    for _ in 0..2 {
        assert_eq!(framer.next_frame(), Err(HeaderError::NotSynchronized));
        framer.push(&message(4, &[]));
    }
}

#[test]
fn a_message_longer_than_the_session_allows_is_not_written() {
    let notification =
        |octets| Message::Notification(Notification::with_data(6, 8, vec![0; octets]));
    assert_eq!(
        notification(4075).encode(true, MAX_LEN).unwrap().len(),
        4096
    );
    assert_eq!(notification(4076).encode(true, MAX_LEN), Err(TooLong));
    assert_eq!(
        notification(65514)
            .encode(true, MAX_EXTENDED_LEN)
            .unwrap()
            .len(),
        65535
    );
    assert_eq!(
        notification(65515).encode(true, MAX_EXTENDED_LEN),
        Err(TooLong)
    );
    let many = Update {
        withdrawn: vec!["192.0.2.1/32".parse().unwrap(); 14_000],
        ..Update::default()
    };
    let many = Message::Update(Box::new(many));
    assert_eq!(many.encode(true, MAX_EXTENDED_LEN), Err(TooLong));
}

#[test]
fn route_refresh_has_its_length() {
    let check = |body: &str, expected: Option<RefreshKind>| {
        let whole = message(5, &hex(body));
        match (read(&whole, &EXTERNAL), expected) {
            (Ok(Received::RouteRefresh(refresh)), Some(subtype)) => {
                assert_eq!(refresh.subtype, subtype);
                assert_eq!(refresh.family.family(), Some(Family::Ipv6));
            }
            (Err(error), None) => {
                let notification = error.notification();
                assert_eq!((notification.code, notification.subcode), (7, 1));
                // RFC 7313 §5: the data is the whole message.
                assert_eq!(notification.data, whole);
            }
            (got, _) => panic!("{body}: {got:?}"),
        }
    };
    check("0002 00 01", Some(RefreshKind::Request));
    check("0002 01 01", Some(RefreshKind::Begin));
    check("0002 02 01", Some(RefreshKind::End));
    check("0002 07 01", Some(RefreshKind::Other(7)));
    // Outbound filters behind a request (RFC 5291).
    check("0002 00 01 01 40 0000", Some(RefreshKind::Request));
    check("0002 01 01 01", None);
    check("0002 02 01 01", None);
    check("0002 00", None);
    check("", None);
}
