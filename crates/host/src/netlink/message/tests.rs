use super::{Request, attributes, messages};

#[test]
fn what_is_written_is_read() {
    let mut request = Request::default();
    request.message(16, 5, 7, &[1, 2, 3], |request| {
        request.attribute(1, b"lo\0");
        request.attribute(2, &[9, 9, 9, 9]);
    });
    request.message(17, 0, 8, &[4, 0, 0, 0], |_| {});

    let read: Vec<_> = messages(request.as_bytes()).collect();
    assert_eq!(
        read.iter()
            .map(|m| (m.kind, m.flags, m.sequence))
            .collect::<Vec<_>>(),
        [(16, 5, 7), (17, 0, 8)]
    );
    assert_eq!(read[0].payload[..4], [1, 2, 3, 0]);
    assert_eq!(
        attributes(&read[0].payload[4..]).collect::<Vec<_>>(),
        [(1, &b"lo\0"[..]), (2, &[9, 9, 9, 9][..])]
    );
    assert_eq!(read[1].payload, [4, 0, 0, 0]);
}

#[test]
fn truncation_at_every_length_is_harmless() {
    let mut request = Request::default();
    request.message(16, 5, 7, &[1, 2, 3, 4], |request| {
        request.attribute(1, b"eth0\0");
    });
    let whole = request.as_bytes();
    for length in 0..whole.len() {
        assert_eq!(messages(&whole[..length]).count(), 0, "length {length}");
    }
    let payload = &whole[20..];
    for length in 0..9 {
        assert_eq!(attributes(&payload[..length]).count(), 0, "length {length}");
    }
}

#[test]
fn a_length_below_the_header_ends_the_reading() {
    for length in 0..16_u32 {
        let mut bytes = [0_u8; 32];
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(messages(&bytes).count(), 0, "length {length}");
    }
    for length in 0..4_u16 {
        let mut bytes = [0_u8; 8];
        bytes[..2].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(attributes(&bytes).count(), 0, "length {length}");
    }
}

#[test]
fn nesting() {
    let mut request = Request::default();
    request.message(1, 0, 0, &[], |request| {
        request.nested(5, |inner| {
            inner.number(6, 7);
            inner.nested(8, |_| {});
        });
        request.attribute(9, &[]);
    });
    let message = messages(request.as_bytes()).next().unwrap();
    let outer: Vec<_> = attributes(message.payload).collect();
    assert_eq!(
        outer.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [5, 9]
    );
    let inner: Vec<_> = attributes(outer[0].1).collect();
    assert_eq!(inner, [(6, &[0, 0, 0, 7][..]), (8, &[][..])]);
}
