use super::*;
use proptest::prelude::*;

/// "ping ping ping ping" as Go's compress/lzw (LSB, 8 bits) writes it.
const GO: &[u8] = &[
    0x00, 0xe1, 0xa4, 0x71, 0x73, 0x06, 0x84, 0x40, 0x82, 0x06, 0x07, 0x16, 0x3c, 0x78, 0x26, 0x20,
];

#[test]
fn what_go_compressed_reads_back() {
    assert_eq!(decompress(GO, 100).unwrap(), b"ping ping ping ping");
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let bomb = compress(&vec![0; 1 << 20]).unwrap();
    assert!(bomb.len() < 4096);
    assert_eq!(decompress(&bomb, 1 << 16), Err(Malformed::Size));
    assert_eq!(decompress(&bomb, 1 << 20).unwrap().len(), 1 << 20);
}

#[test]
fn every_truncation_is_an_error() {
    for length in 0..GO.len() {
        assert_eq!(
            decompress(&GO[..length], 100),
            Err(Malformed::Compression),
            "{length}"
        );
    }
}

proptest! {
    #[test]
    fn round_trips(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(decompress(&compress(&bytes).unwrap(), 2000).unwrap(), bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(out) = decompress(&bytes, 5000) {
            prop_assert!(out.len() <= 5000);
        }
    }
}
