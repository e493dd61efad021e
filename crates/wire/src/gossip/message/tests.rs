use super::*;
use proptest::prelude::*;

pub(in crate::gossip) fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn source() -> Option<Source> {
    Some(Source {
        address: "10.1.0.11:7946".parse().unwrap(),
        node: "node-a".into(),
    })
}

fn alive(address: &str, meta: &[u8]) -> Message {
    Message::Alive(Alive {
        incarnation: 1,
        node: "node-a".into(),
        address: address.parse().unwrap(),
        meta: meta.to_vec(),
        versions: Some(Versions::OURS),
    })
}

/// Bodies as Go's codec wrote them, old raw family and nil included, and what they say.
fn from_go() -> Vec<(u8, &'static str, Message)> {
    vec![
        (
            code::PING,
            "85a44e6f6465a66e6f64652d62a55365714e6f07aa536f7572636541646472a40a01000baa536f75\
             7263654e6f6465a66e6f64652d61aa536f75726365506f7274cd1f0a",
            Message::Ping(Ping {
                sequence: 7,
                node: "node-b".into(),
                source: source(),
            }),
        ),
        (
            code::PING,
            "82a44e6f6465a66e6f64652d62a55365714e6fcd012c",
            Message::Ping(Ping {
                sequence: 300,
                node: "node-b".into(),
                source: None,
            }),
        ),
        (
            code::INDIRECT_PING,
            "88a44e61636bc3a44e6f6465a66e6f64652d62a4506f7274cd1f0aa55365714e6f07aa536f757263\
             6541646472a40a01000baa536f757263654e6f6465a66e6f64652d61aa536f75726365506f7274cd\
             1f0aa6546172676574a40a01000c",
            Message::IndirectPing(IndirectPing {
                sequence: 7,
                target: "10.1.0.12:7946".parse().unwrap(),
                node: "node-b".into(),
                nack: true,
                source: source(),
            }),
        ),
        (
            code::ACK,
            "82a75061796c6f6164c0a55365714e6f07",
            Message::Ack(Ack {
                sequence: 7,
                payload: vec![],
            }),
        ),
        (
            code::ACK,
            "82a75061796c6f6164a3706179a55365714e6f07",
            Message::Ack(Ack {
                sequence: 7,
                payload: b"pay".to_vec(),
            }),
        ),
        (code::NACK, "81a55365714e6f07", Message::Nack(7)),
        (
            code::SUSPECT,
            "83a446726f6da66e6f64652d61ab496e6361726e6174696f6ece00011170a44e6f6465a66e6f6465\
             2d62",
            Message::Suspect(Accusation {
                incarnation: 70000,
                node: "node-b".into(),
                from: "node-a".into(),
            }),
        ),
        (
            code::ALIVE,
            "86a441646472a40a01000bab496e6361726e6174696f6e01a44d657461c0a44e6f6465a66e6f6465\
             2d61a4506f7274cd1f0aa356736ea6010502000000",
            alive("10.1.0.11:7946", b""),
        ),
        (
            code::ALIVE,
            "86a441646472b0fd000001000000000000000000000011ab496e6361726e6174696f6e01a44d6574\
             61da002809090909090909090909090909090909090909090909090909090909090909090909090909\
             090909a44e6f6465a66e6f64652d61a4506f7274cd1f0aa356736ea6010502000000",
            alive("[fd00:1::11]:7946", &[9; 40]),
        ),
        (
            code::ERROR,
            "81a54572726f72a3626164",
            Message::Error("bad".into()),
        ),
    ]
}

#[test]
fn what_go_wrote_is_read_and_reads_back() {
    for (kind, body, want) in from_go() {
        let bytes = [vec![kind], hex(body)].concat();
        assert_eq!(Message::decode(&bytes), Ok(want.clone()), "{body}");
        assert_eq!(Message::decode(&want.encode()), Ok(want));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (kind, body, want) in from_go() {
        for whole in [[vec![kind], hex(body)].concat(), want.encode()] {
            for length in 0..whole.len() {
                assert_eq!(
                    Message::decode(&whole[..length]),
                    Err(Malformed::Truncated),
                    "{want:?} cut at {length}"
                );
            }
        }
    }
}

#[test]
fn unknown_fields_are_skipped_and_missing_ones_empty() {
    // {"SeqNo": 7, "Further": {"deep": [1, 2]}}
    let body = hex("82a55365714e6f07a74675727468657281a464656570920102");
    let want = Message::Nack(7);
    assert_eq!(
        Message::decode(&[vec![code::NACK], body].concat()),
        Ok(want)
    );
    // An empty map.
    assert_eq!(Message::decode(&[code::NACK, 0x80]), Ok(Message::Nack(0)));
    // The same as an array, which Go reads as well: [7, nil].
    assert_eq!(
        Message::decode(&[code::ACK, 0x92, 7, 0xc0]),
        Ok(Message::Ack(Ack {
            sequence: 7,
            payload: vec![]
        }))
    );
}

#[test]
fn each_wrong_field_has_its_reason() {
    let alive = |node: &str, address: &[u8], meta: usize| {
        let mut bytes = vec![code::ALIVE, 0x83];
        let mut text = |s: &[u8]| {
            bytes.extend([0xda, (s.len() >> 8) as u8, s.len() as u8]);
            bytes.extend(s);
        };
        text(b"Node");
        text(node.as_bytes());
        text(b"Addr");
        text(address);
        text(b"Meta");
        text(&vec![1; meta]);
        Message::decode(&bytes).map(drop)
    };
    let rows = [
        (alive("a", &[1, 2, 3, 4], 512), Ok(())),
        (alive(&"a".repeat(512), &[0; 16], 0), Ok(())),
        (alive("", &[1, 2, 3, 4], 0), Err(Malformed::Name)),
        (
            alive(&"a".repeat(513), &[1, 2, 3, 4], 0),
            Err(Malformed::Name),
        ),
        (alive("a", &[1, 2, 3], 0), Err(Malformed::Address)),
        (alive("a", &[], 0), Err(Malformed::Address)),
        (alive("a", &[0; 17], 0), Err(Malformed::Address)),
        (alive("a", &[0; 4], 513), Err(Malformed::Meta)),
        (
            Message::decode(&[code::NACK, 0xc0]).map(drop),
            Err(Malformed::Body),
        ),
        // A negative sequence number; one beyond 32 bits.
        (
            Message::decode(&hex("0b81a55365714e6fff")).map(drop),
            Err(Malformed::Body),
        ),
        (
            Message::decode(&hex("0b81a55365714e6fcf0000000100000000")).map(drop),
            Err(Malformed::Body),
        ),
        (Message::decode(&[14, 0x80]).map(drop), Err(Malformed::Type)),
        (
            Message::decode(&[code::COMPOUND, 0]).map(drop),
            Err(Malformed::Type),
        ),
        (Message::decode(&[]).map(drop), Err(Malformed::Truncated)),
    ];
    for (i, (got, want)) in rows.into_iter().enumerate() {
        assert_eq!(got, want, "row {i}");
    }
}

#[test]
fn ipv4_in_ipv6_is_ipv4() {
    let mapped = hex("00000000000000000000ffff0a01000b");
    let address = address_of(&mapped, 7946).unwrap();
    assert_eq!(address, "10.1.0.11:7946".parse().unwrap());
    assert_eq!(
        address_bytes("::ffff:10.1.0.11".parse().unwrap()),
        [10, 1, 0, 11]
    );
}

prop_compose! {
    fn socket()(v6 in any::<bool>(), ip in any::<[u8; 16]>(), port in 1..=u16::MAX) -> SocketAddr {
        let [a, b, c, d, ..] = ip;
        let ip = if v6 { IpAddr::from(ip).to_canonical() } else { IpAddr::from([a, b, c, d]) };
        SocketAddr::new(ip, port)
    }
}

pub(in crate::gossip) fn alive_strategy() -> impl Strategy<Value = Alive> {
    (
        any::<u32>(),
        "[a-z0-9.-]{1,300}",
        socket(),
        prop::collection::vec(any::<u8>(), 0..=512),
        any::<Option<[u8; 6]>>(),
    )
        .prop_map(|(incarnation, node, address, meta, versions)| Alive {
            incarnation,
            node,
            address,
            meta,
            versions: versions.and_then(|v| Versions::of(&v)),
        })
}

pub(in crate::gossip) fn message() -> impl Strategy<Value = Message> {
    let source = || {
        prop::option::of(
            (socket(), "[a-z]{0,9}").prop_map(|(address, node)| Source { address, node }),
        )
    };
    let accusation =
        (any::<u32>(), "\\PC{1,20}", "\\PC{1,20}").prop_map(|(incarnation, node, from)| {
            Accusation {
                incarnation,
                node,
                from,
            }
        });
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (any::<u32>(), "[a-z]{0,40}", source()).prop_map(|(sequence, node, source)| {
            Message::Ping(Ping {
                sequence,
                node,
                source,
            })
        }),
        (
            any::<u32>(),
            "[a-z]{1,40}",
            socket(),
            any::<bool>(),
            source()
        )
            .prop_map(
                |(sequence, node, target, nack, source)| Message::IndirectPing(IndirectPing {
                    sequence,
                    target,
                    node,
                    nack,
                    source
                })
            ),
        (any::<u32>(), bytes())
            .prop_map(|(sequence, payload)| Message::Ack(Ack { sequence, payload })),
        any::<u32>().prop_map(Message::Nack),
        accusation.clone().prop_map(Message::Suspect),
        accusation.prop_map(Message::Dead),
        alive_strategy().prop_map(Message::Alive),
        bytes().prop_map(Message::User),
        "\\PC{0,40}".prop_map(Message::Error),
    ]
}

proptest! {
    #[test]
    fn messages_read_back(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        kind in 0u8..16,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Message::decode(&[vec![kind], bytes].concat());
    }

    #[test]
    fn changed_messages_never_panic(message in message(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = message.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Message::decode(&bytes);
    }
}
