//! The layouts against `linux/tcp.h`.

use super::{Algorithm, AoKey, KEY_MAX, Key, KeyError, Whom, ao, md5};

#[test]
fn a_key_has_a_length() {
    assert_eq!(Key::new(""), Err(KeyError { length: 0 }));
    assert_eq!(Key::new([7; 81]), Err(KeyError { length: 81 }));
    assert!(Key::new([7; KEY_MAX]).is_ok());
    let text = format!("{:?}", Key::new("secret").unwrap());
    assert_eq!(text, "Key(..)", "never shown");
}

#[test]
fn md5_of_an_ipv4_network_on_an_interface() {
    let whom = Whom {
        address: "192.0.2.0".parse().unwrap(),
        prefix: 24,
        interface: Some(7),
    };
    let bytes = md5(whom, Some(&Key::new("secret").unwrap()));
    assert_eq!(bytes[..2], 2_u16.to_ne_bytes(), "AF_INET");
    assert_eq!(bytes[2..8], [0, 0, 192, 0, 2, 0]);
    assert!(bytes[8..128].iter().all(|b| *b == 0));
    assert_eq!(bytes[128..130], [3, 24], "both flags, prefix length");
    assert_eq!(bytes[130..132], 6_u16.to_ne_bytes());
    assert_eq!(bytes[132..136], 7_u32.to_ne_bytes());
    assert_eq!(bytes[136..142], *b"secret");
    assert!(bytes[142..].iter().all(|b| *b == 0));
    let longest = md5(whom, Some(&Key::new([9; KEY_MAX]).unwrap()));
    assert!(longest[136..].iter().all(|b| *b == 9));
}

#[test]
fn md5_of_an_ipv6_peer_and_its_removal() {
    let whom = Whom::peer("2001:db8::1".parse().unwrap());
    let bytes = md5(whom, Some(&Key::new("k").unwrap()));
    assert_eq!(bytes[..2], 10_u16.to_ne_bytes(), "AF_INET6");
    assert_eq!(bytes[8..12], [0x20, 1, 0x0d, 0xb8]);
    assert_eq!(bytes[23], 1);
    assert_eq!(bytes[128..130], [1, 128], "the prefix only");
    let removal = md5(whom, None);
    assert_eq!(removal[130..132], [0, 0], "no key length removes");
}

#[test]
fn ao_of_a_peer() {
    let key = AoKey {
        key: Key::new([5; KEY_MAX]).unwrap(),
        algorithm: Algorithm::HmacSha1,
        send_id: 100,
        receive_id: 101,
    };
    let bytes = ao(Whom::peer("192.0.2.1".parse().unwrap()), &key);
    assert_eq!(bytes[128..139], *b"hmac(sha1)\0");
    assert_eq!(bytes[192..196], [0; 4], "any interface");
    if cfg!(target_endian = "little") {
        assert_eq!(bytes[196..200], [3, 0, 0, 0], "current and next");
    }
    assert_eq!(bytes[200..202], [0; 2]);
    assert_eq!(bytes[202..208], [32, 100, 101, 12, 0, 80]);
    assert!(bytes[208..].iter().all(|b| *b == 5));
    let aes = AoKey {
        algorithm: Algorithm::AesCmac,
        ..key
    };
    let bytes = ao(Whom::peer("192.0.2.1".parse().unwrap()), &aes);
    assert_eq!(bytes[128..141], *b"cmac(aes128)\0");
}
