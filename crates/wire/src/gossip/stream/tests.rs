use super::*;
use crate::gossip::envelope::tests::{envelope, key};
use crate::gossip::keyring::Keyring;
use crate::gossip::message::{Ack, Ping};
use crate::gossip::push_pull::tests::push_pull;
use proptest::prelude::*;

const NONCE: [u8; NONCE_LEN] = [5; NONCE_LEN];

fn read(envelope: &Envelope, bytes: &[u8]) -> Result<Option<StreamMessage>, Malformed> {
    StreamReader::new(Direction::Request).read(bytes, envelope)
}

/// In pieces of `size` bytes; the message must not be there before the last.
fn read_in_pieces(
    envelope: &Envelope,
    direction: Direction,
    bytes: &[u8],
    size: usize,
) -> StreamMessage {
    let mut reader = StreamReader::new(direction);
    let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
    for (i, piece) in pieces.iter().enumerate() {
        match reader.read(piece, envelope).unwrap() {
            Some(message) => {
                assert_eq!(i, pieces.len() - 1);
                return message;
            }
            None => assert!(i < pieces.len() - 1),
        }
    }
    panic!("incomplete");
}

fn messages() -> Vec<(Vec<u8>, StreamMessage)> {
    let ping = Message::Ping(Ping {
        sequence: 300,
        node: "node-b".into(),
        source: None,
    });
    let ack = Message::Ack(Ack {
        sequence: 300,
        payload: vec![],
    });
    let error = Message::Error("no".into());
    let user = [&[8, 0x81, 0xaa], &b"UserMsgLen"[..], &[3, 1, 2, 3]].concat();
    let state = PushPull {
        user: vec![1; 300],
        ..PushPull::default()
    };
    let own = |m: Message| (m.encode(), StreamMessage::Message(m));
    vec![
        own(ping),
        own(ack),
        own(error),
        (user, StreamMessage::Message(Message::User(vec![1, 2, 3]))),
        (state.encode(), StreamMessage::PushPull(state)),
    ]
}

#[test]
fn every_message_reads_back_in_any_pieces() {
    for label in ["", "blue"] {
        for keyed in [false, true] {
            for compression in [false, true] {
                let envelope = envelope(label, keyed, compression);
                for (bytes, want) in messages() {
                    for direction in [Direction::Request, Direction::Answer] {
                        let sealed = envelope.seal_stream(direction, bytes.clone(), NONCE);
                        for size in [1, 2, 7, sealed.len()] {
                            let read = read_in_pieces(&envelope, direction, &sealed, size);
                            assert_eq!(read, want);
                        }
                        let labelled = label == "blue" && direction == Direction::Request;
                        assert_eq!(sealed[0] == code::HAS_LABEL, labelled);
                    }
                }
            }
        }
    }
}

#[test]
fn what_isnt_this_clusters_is_refused_with_its_reason() {
    let one = || messages().remove(0).0;
    let plain = envelope("", false, false);
    let blue = envelope("blue", false, false);
    let keyed = envelope("", true, false);
    let mut stranger = keyed.clone();
    stranger.security = Security::with(Keyring::new(key(2)));
    let sealed = |e: &Envelope| e.seal_stream(Direction::Request, one(), NONCE);
    let mut longer = sealed(&keyed);
    // The length is authenticated, too.
    longer[4] += 1;
    longer.push(0);
    let large = |e: u8| [&[e], &u32::MAX.to_be_bytes()[..]].concat();
    let rows = [
        (&plain, sealed(&blue), Malformed::Label),
        (&blue, sealed(&plain), Malformed::Label),
        (&blue, vec![244, 0], Malformed::LabelHeader),
        (&keyed, sealed(&plain), Malformed::Plaintext),
        (&plain, sealed(&keyed), Malformed::Ciphertext),
        (&keyed, sealed(&stranger), Malformed::Key),
        (&keyed, longer, Malformed::Key),
        (&keyed, large(code::ENCRYPT), Malformed::Size),
        (&plain, vec![code::ALIVE, 0x80], Malformed::Type),
        (&plain, vec![code::COMPOUND, 0], Malformed::Type),
        (&plain, vec![code::HAS_CRC, 0], Malformed::Type),
    ];
    for (i, (envelope, bytes, want)) in rows.into_iter().enumerate() {
        assert_eq!(read(envelope, &bytes), Err(want), "row {i}");
    }
}

#[test]
fn what_never_ends_is_left() {
    let plain = envelope("", false, false);
    let mut reader = StreamReader::new(Direction::Answer);
    let header = PushPull {
        user: vec![0; STREAM_MAX],
        ..PushPull::default()
    };
    let bytes = header.encode();
    assert_eq!(reader.read(&bytes[..100], &plain), Ok(None));
    assert_eq!(reader.read(&bytes[100..], &plain), Err(Malformed::Size));
    // A message that is cut before it was encrypted or compressed doesn't get longer.
    for (keyed, compression, want) in [
        (true, false, Malformed::Truncated),
        (false, true, Malformed::Body),
        (true, true, Malformed::Body),
    ] {
        let envelope = envelope("", keyed, compression);
        let cut = messages().remove(4).0[..50].to_vec();
        let sealed = envelope.seal_stream(Direction::Request, cut, NONCE);
        assert_eq!(read(&envelope, &sealed), Err(want), "{keyed} {compression}");
    }
}

proptest! {
    #[test]
    fn states_read_back(
        state in push_pull(),
        keyed in any::<bool>(),
        compression in any::<bool>(),
        size in 1usize..2000,
    ) {
        let envelope = envelope("blue", keyed, compression);
        let direction = Direction::Request;
        let sealed = envelope.seal_stream(direction, state.encode(), NONCE);
        prop_assert_eq!(
            read_in_pieces(&envelope, direction, &sealed, size),
            StreamMessage::PushPull(state)
        );
    }

    #[test]
    fn arbitrary_streams_never_panic(
        keyed in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = read(&envelope("", keyed, false), &bytes);
    }
}
