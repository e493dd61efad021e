use super::*;

fn message(sent: bool, time: &str, octets: &str) -> BgpMessage {
    BgpMessage {
        time: time.parse().unwrap(),
        peer: "tor".to_owned(),
        sent,
        local: "192.0.2.1:40000".parse().unwrap(),
        remote: "192.0.2.2:179".parse().unwrap(),
        length: octets.len() / 2,
        text: "sent KEEPALIVE".to_owned(),
        octets: octets.to_owned(),
    }
}

const KEEPALIVE: &str = "ffffffffffffffffffffffffffffffff001304";

#[test]
fn a_capture_has_the_times_and_octets() {
    let messages = [
        message(true, "2026-01-02T03:04:05.25Z", KEEPALIVE),
        message(false, "2026-01-02T03:04:06.5Z", KEEPALIVE),
    ];
    let capture = capture(&messages).unwrap();
    let (header, records) = capture.split_at(24);
    assert_eq!(header[..4], [0xa1, 0xb2, 0xc3, 0xd4]);
    let record = 16 + 20 + 20 + 19;
    assert_eq!(records.len(), 2 * record);
    let word = |at: usize| u32::from_be_bytes(records[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(4)), (1_767_323_045, 250_000));
    assert_eq!((word(record), word(record + 4)), (1_767_323_046, 500_000));
    // The sender of each: the source address of the IP header.
    assert_eq!(records[16 + 12..16 + 16], [192, 0, 2, 1]);
    assert_eq!(records[record + 16 + 12..record + 16 + 16], [192, 0, 2, 2]);
    assert_eq!(records[record - 19..record], octets(KEEPALIVE).unwrap());
}

#[test]
fn what_is_no_octet_is_refused() {
    for text in ["f", "fx", "+1", "0é"] {
        let error = capture(&[message(true, "2026-01-02T03:04:05Z", text)]);
        assert!(error.is_err(), "{text}");
    }
    assert_eq!(capture(&[]).unwrap().len(), 24);
}
