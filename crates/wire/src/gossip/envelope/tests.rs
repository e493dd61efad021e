use super::*;
use crate::gossip::keyring::Key;
use crate::gossip::message::tests::message;
use proptest::prelude::*;

const NONCE: [u8; NONCE_LEN] = [3; NONCE_LEN];

pub(in crate::gossip) fn key(byte: u8) -> Key {
    Key::new(&[byte; 32]).unwrap()
}

pub(in crate::gossip) fn envelope(label: &str, keyed: bool, compression: bool) -> Envelope {
    let security = if keyed {
        Security::with(Keyring::new(key(1)))
    } else {
        Security::Off
    };
    Envelope {
        label: Label::new(label).unwrap(),
        security,
        compression,
    }
}

fn kinds() -> Vec<Envelope> {
    let mut all = Vec::new();
    for label in ["", "blue"] {
        for keyed in [false, true] {
            for compression in [false, true] {
                all.push(envelope(label, keyed, compression));
            }
        }
    }
    all
}

fn nack(sequence: u32) -> Message {
    Message::Nack(sequence)
}

fn open(envelope: &Envelope, packet: &[u8]) -> Result<Vec<Message>, Malformed> {
    let opened = envelope.open(packet)?;
    match opened.malformed.first() {
        Some(&malformed) => Err(malformed),
        None => Ok(opened.messages),
    }
}

#[test]
fn a_packet_is_byte_for_byte_this() {
    let one = [nack(7).encode()];
    let plain = envelope("", false, false).seal(&one, false, NONCE);
    assert_eq!(plain, [&[11, 0x81, 0xa5], &b"SeqNo"[..], &[7]].concat());
    let labelled = envelope("blue", false, false).seal(&one, true, NONCE);
    let sum = crc32fast::hash(&plain).to_be_bytes();
    let want = [&[244, 4], &b"blue"[..], &[12], &sum, &plain].concat();
    assert_eq!(labelled, want);
    let two = envelope("", false, false).seal(&[one[0].clone(), vec![8, 9]], false, NONCE);
    assert_eq!(two, [&[7, 2, 0, 9, 0, 2], &plain[..], &[8, 9]].concat());
}

#[test]
fn packets_read_back_and_every_truncation_is_an_error() {
    let messages: Vec<Message> = (0..9).map(nack).collect();
    let encoded: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
    for envelope in kinds() {
        for checksum in [false, true] {
            let packet = envelope.seal(&encoded, checksum, NONCE);
            assert_eq!(open(&envelope, &packet), Ok(messages.clone()));
            for length in 0..packet.len() {
                let opened = envelope.open(&packet[..length]);
                let whole = opened.is_ok_and(|o| o.malformed.is_empty());
                assert!(!whole, "{envelope:?} cut at {length}");
            }
        }
    }
}

#[test]
fn the_overhead_is_what_sealing_adds() {
    for envelope in kinds() {
        let bytes = vec![8, 1, 2, 3];
        let packet = envelope.seal(std::slice::from_ref(&bytes), false, NONCE);
        assert_eq!(packet.len(), bytes.len() + envelope.overhead());
    }
}

#[test]
fn what_isnt_this_clusters_is_refused_with_its_reason() {
    let one = [nack(7).encode()];
    let sealed = |e: &Envelope| e.seal(&one, false, NONCE);
    let plain = envelope("", false, false);
    let blue = envelope("blue", false, false);
    let keyed = envelope("", true, false);
    let both = envelope("blue", true, false);
    let mut stranger = keyed.clone();
    stranger.security = Security::with(Keyring::new(key(2)));
    // The label is authenticated: it can't be put on a packet of another cluster.
    let moved = [&Label::new("blue").unwrap().header(), &sealed(&keyed)[..]].concat();
    let rows = [
        (&plain, sealed(&blue), Malformed::Label),
        (&blue, sealed(&plain), Malformed::Label),
        (&blue, vec![244], Malformed::LabelHeader),
        (&blue, vec![244, 0, 1], Malformed::LabelHeader),
        (&blue, vec![244, 5, b'b'], Malformed::LabelHeader),
        (&keyed, sealed(&stranger), Malformed::Key),
        (&keyed, sealed(&plain), Malformed::EncryptionVersion),
        (&both, moved, Malformed::Key),
        (&keyed, vec![], Malformed::Truncated),
        (&plain, vec![], Malformed::Truncated),
        (&plain, vec![12, 0, 0], Malformed::Truncated),
        (&plain, vec![12, 0, 0, 0, 1, 11, 0x80], Malformed::Checksum),
        (&plain, vec![6, 0x80], Malformed::Type),
        (&plain, vec![10, 0, 0, 0, 1], Malformed::Type),
    ];
    for (i, (envelope, packet, want)) in rows.into_iter().enumerate() {
        assert_eq!(open(envelope, &packet), Err(want), "row {i}");
    }
}

#[test]
fn a_cluster_changes_to_encryption_with_both_kinds_of_packet() {
    let one = [nack(7).encode()];
    let plain = envelope("", false, false);
    let strict = envelope("", true, false);
    let with = |incoming, outgoing| Envelope {
        security: Security::On {
            keyring: Keyring::new(key(1)),
            incoming,
            outgoing,
        },
        ..plain.clone()
    };
    let listening = with(false, false);
    let speaking = with(false, true);
    let pass = |a: &Envelope, b: &Envelope| open(b, &a.seal(&one, false, NONCE)).is_ok();
    for (a, b, want) in [
        (&plain, &listening, true),
        (&listening, &plain, true),
        (&speaking, &listening, true),
        (&speaking, &strict, true),
        (&strict, &speaking, true),
        (&listening, &strict, false),
        (&plain, &strict, false),
        (&speaking, &plain, false),
    ] {
        assert_eq!(pass(a, b), want, "{a:?} to {b:?}");
    }
}

#[test]
fn what_is_nested_without_end_is_left() {
    let plain = envelope("", false, false);
    let mut bytes = nack(7).encode();
    for depth in 0..10 {
        let want = if depth <= DEPTH {
            Ok(vec![nack(7)])
        } else {
            Err(Malformed::Nested)
        };
        assert_eq!(open(&plain, &bytes), want, "{depth}");
        bytes = compound(&[bytes]);
    }
    let mut bytes = nack(7).encode();
    for _ in 0..=DEPTH {
        bytes = deflate(&bytes).unwrap();
    }
    assert_eq!(open(&plain, &bytes), Err(Malformed::Nested));
}

#[test]
fn a_part_that_cant_be_used_leaves_the_others() {
    let plain = envelope("", false, false);
    let packet = plain.seal(
        &[nack(1).encode(), vec![99], vec![], nack(2).encode()],
        false,
        NONCE,
    );
    let opened = plain.open(&packet).unwrap();
    assert_eq!(opened.messages, [nack(1), nack(2)]);
    assert_eq!(opened.malformed, [Malformed::Type, Malformed::Truncated]);
    // Cut in the last part, as where a path carries less than was sent.
    let opened = plain.open(&packet[..packet.len() - 1]).unwrap();
    assert_eq!(opened.messages, [nack(1)]);
}

#[test]
fn a_packet_that_grows_beyond_reason_is_left() {
    let plain = envelope("", false, false);
    let bomb = deflate(&vec![8; PACKET_MAX + 1]).unwrap();
    assert!(bomb.len() < 1400);
    assert_eq!(open(&plain, &bomb), Err(Malformed::Size));
    let unknown = {
        let mut out = vec![code::COMPRESS];
        append(
            &mut out,
            &Compressed {
                algorithm: 1,
                bytes: None,
            },
        );
        out
    };
    assert_eq!(open(&plain, &unknown), Err(Malformed::Compression));
}

#[test]
fn labels_have_a_limit() {
    assert_eq!(Label::new(&"x".repeat(256)), Err(LabelTooLong(256)));
    let longest = envelope(&"x".repeat(255), true, true);
    let packet = longest.seal(&[nack(7).encode()], true, NONCE);
    assert_eq!(open(&longest, &packet), Ok(vec![nack(7)]));
}

proptest! {
    #[test]
    fn packets_of_any_messages_read_back(
        messages in prop::collection::vec(message(), 1..6),
        kind in 0usize..8,
        checksum in any::<bool>(),
        nonce in any::<[u8; NONCE_LEN]>(),
    ) {
        let envelope = &kinds()[kind];
        let encoded: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
        let packet = envelope.seal(&encoded, checksum, nonce);
        prop_assert_eq!(open(envelope, &packet), Ok(messages));
    }

    #[test]
    fn arbitrary_packets_never_panic(
        kind in 0usize..8,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = kinds()[kind].open(&bytes);
    }

    #[test]
    fn changed_packets_never_panic(
        messages in prop::collection::vec(message(), 1..4),
        compression in any::<bool>(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let envelope = envelope("", false, compression);
        let encoded: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
        let mut packet = envelope.seal(&encoded, false, NONCE);
        let at = at.index(packet.len());
        packet[at] = to;
        let _ = envelope.open(&packet);
    }
}
