use super::*;
use proptest::prelude::*;

const NONCE: [u8; NONCE_LEN] = [7; NONCE_LEN];

fn key(byte: u8) -> Key {
    Key::new(&[byte; 32]).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn metallbs_key_is_the_text_and_the_hash_of_nothing() {
    let ring = Keyring::of_secret(b"AAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let want = "41".repeat(22) + "e3b0c44298fc1c149afb";
    assert_eq!(hex(&ring.primary.bytes), want);
    let all: Vec<String> = ring.keys().map(|k| hex(&k.bytes)).collect();
    assert_eq!(all, [want, hex(&Sha256::digest("AAAAAAAAAAAAAAAAAAAAAA"))]);
    // A long secret is cut, not hashed.
    let long = Keyring::of_secret(&[0x42; 40]).unwrap();
    assert_eq!(hex(&long.primary.bytes), "42".repeat(32));
}

#[test]
fn keys_that_are_none_are_refused() {
    assert_eq!(Keyring::of_secret(b""), Err(KeyError::EmptySecret));
    for length in [0, 1, 15, 17, 31, 33, 64] {
        assert_eq!(
            Key::new(&vec![1; length]).unwrap_err(),
            KeyError::Length(length)
        );
    }
}

#[test]
fn each_length_of_key_opens_what_it_sealed() {
    for length in [16, 24, 32] {
        let ring = Keyring::new(Key::new(&vec![9; length]).unwrap());
        let sealed = ring.seal(NONCE, b"text", b"label").unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        assert_eq!(ring.open(&sealed, b"label").unwrap(), b"text");
        assert_eq!(ring.open(&sealed, b""), Err(Malformed::Key));
    }
}

#[test]
fn a_padded_message_of_version_0_opens_and_wrong_padding_is_refused() {
    let ring = Keyring::new(key(1));
    let sealed = |text: &[u8]| {
        let payload = Payload {
            msg: text,
            aad: b"",
        };
        let mut out = vec![ENCRYPTION_PADDED];
        out.extend_from_slice(&NONCE);
        out.extend(ring.primary.encrypt(NONCE, payload).unwrap());
        out
    };
    let mut padded = b"text".to_vec();
    padded.resize(16, 12);
    assert_eq!(ring.open(&sealed(&padded), b"").unwrap(), b"text");
    assert_eq!(ring.open(&sealed(&[16; 16]), b"").unwrap(), b"");
    for last in [0, 13, 17, 255] {
        padded[15] = last;
        assert_eq!(
            ring.open(&sealed(&padded), b""),
            Err(Malformed::Padding),
            "{last}"
        );
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error() {
    let ring = Keyring::new(key(1));
    let sealed = ring.seal(NONCE, b"some text", b"").unwrap();
    for length in 0..sealed.len() {
        let error = ring.open(&sealed[..length], b"").unwrap_err();
        let want = if length < OVERHEAD {
            Malformed::Truncated
        } else {
            Malformed::Key
        };
        assert_eq!(error, want, "{length}");
    }
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(ring.open(&flipped, b"").is_err(), "{bit}");
    }
    let mut version = sealed;
    version[0] = 2;
    assert_eq!(ring.open(&version, b""), Err(Malformed::EncryptionVersion));
}

#[test]
fn a_key_is_exchanged_without_a_gap() {
    let mut ours = Keyring::new(key(1));
    let mut theirs = Keyring::new(key(1));
    let pass = |from: &Keyring, to: &Keyring| {
        let sealed = from.seal(NONCE, b"text", b"").unwrap();
        to.open(&sealed, b"").is_ok()
    };
    let both = |a: &Keyring, b: &Keyring| pass(a, b) && pass(b, a);
    ours.install(key(2));
    assert!(both(&ours, &theirs));
    theirs.install(key(2));
    ours.promote(key(2));
    assert!(both(&ours, &theirs));
    theirs.promote(key(2));
    theirs.remove(&key(1));
    assert!(both(&ours, &theirs));
    ours.remove(&key(1));
    assert!(both(&ours, &theirs));
    assert_eq!(ours, theirs);
    // The key in use can't be lost.
    ours.remove(&key(2));
    assert_eq!(ours.primary(), &key(2));
    assert!(!both(&ours, &Keyring::new(key(1))));
}

#[test]
fn a_key_is_never_printed() {
    assert_eq!(format!("{:?}", key(0x41)), "Key(256 bits)");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(Keyring::new(key(1)).open(&bytes, b"").is_err());
    }
}
