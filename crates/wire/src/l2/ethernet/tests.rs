use super::*;
use proptest::prelude::*;

const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);

fn header(ethertype: u16) -> Vec<u8> {
    let mut out = Vec::new();
    emit(&mut out, A, B, ethertype);
    out
}

#[test]
fn a_header_reads_back() {
    let rows: [(u16, Result<Payload<'_>, DecodeError>); 5] = [
        (0x0806, Ok(Payload::Arp(&[1, 2]))),
        (0x86dd, Ok(Payload::Ipv6(&[1, 2]))),
        (0x0800, Err(DecodeError::OtherProtocol)),
        (0x8100, Err(DecodeError::OtherProtocol)),
        (0x05dc, Err(DecodeError::OtherProtocol)),
    ];
    for (ethertype, payload) in rows {
        let mut bytes = header(ethertype);
        bytes.extend([1, 2]);
        let want = payload.map(|payload| Frame {
            destination: A,
            source: B,
            payload,
        });
        assert_eq!(Frame::parse(&bytes), want, "{ethertype:#06x}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = header(0x0806);
    for length in 0..bytes.len() {
        assert_eq!(
            Frame::parse(&bytes[..length]),
            Err(DecodeError::Truncated),
            "{length}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Frame::parse(&bytes);
    }
}
