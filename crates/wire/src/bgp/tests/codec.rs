//! Round trips, truncation at every length, and hundreds of thousands of mutated messages.

use super::arbitrary;
use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// An internal session with everything negotiated, so that nothing is refused for its peer.
const INTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: false,
    extended_next_hop: true,
};

fn received(message: Message) -> Received {
    match message {
        Message::Open(open) => Received::Open(open),
        Message::Update(update) => Received::Update(Box::new(Decoded {
            update: *update,
            faults: Vec::new(),
        })),
        Message::Notification(notification) => Received::Notification(notification),
        Message::Keepalive => Received::Keepalive,
        Message::RouteRefresh(refresh) => Received::RouteRefresh(refresh),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in arbitrary::message()) {
        let bytes = message.encode(true, MAX_EXTENDED_LEN).unwrap();
        prop_assert_eq!(read(&bytes, &INTERNAL), Ok(received(message)));
    }

    /// A stream cut anywhere has no message, and no error: more may come.
    #[test]
    fn a_cut_stream_is_waited_for(message in arbitrary::message()) {
        let bytes = message.encode(true, MAX_EXTENDED_LEN).unwrap();
        for length in 0..bytes.len() {
            let cut = first(&bytes[..length], MAX_EXTENDED_LEN);
            prop_assert_eq!(cut, Ok(None), "{} of {}", length, bytes.len());
        }
    }

    /// A body cut anywhere, under a header that says so, is read as something or refused, and
    /// read again as the same.
    #[test]
    fn a_cut_body_is_decided(message in arbitrary::message()) {
        let bytes = message.encode(true, MAX_EXTENDED_LEN).unwrap();
        for length in HEADER_LEN..bytes.len() {
            let cut = super::message(bytes[18], &bytes[HEADER_LEN..length]);
            decide(&cut);
        }
    }

    #[test]
    fn messages_come_out_however_the_stream_is_cut(
        messages in proptest::collection::vec(arbitrary::message(), 1..5),
        chunk in 1..700_usize,
    ) {
        let all: Vec<_> = messages
            .iter()
            .map(|message| message.encode(true, MAX_EXTENDED_LEN).unwrap())
            .collect();
        let mut framer = Framer::default();
        framer.extend_limit();
        let mut out = Vec::new();
        for part in all.concat().chunks(chunk) {
            framer.push(part);
            while let Some(frame) = framer.next_frame().unwrap() {
                out.push(frame.bytes().to_owned());
            }
        }
        prop_assert_eq!(out, all);
    }

    #[test]
    fn two_octet_paths_say_as_trans(path in arbitrary::attributes()) {
        let update = Update {
            attributes: path,
            announced: vec![prefix("192.0.2.0/24")],
            ..Update::default()
        };
        let bytes = Message::Update(Box::new(update.clone())).encode(false, MAX_LEN).unwrap();
        let context = UpdateContext { four_octet_as: false, ..INTERNAL };
        let Ok(Received::Update(decoded)) = read(&bytes, &context) else {
            panic!("not read");
        };
        let trans = |asn: u32| if asn > 65535 { 23456 } else { asn };
        let sent = update.attributes.as_path.unwrap();
        let got = decoded.update.attributes.as_path.unwrap();
        prop_assert_eq!(got.ases().collect::<Vec<_>>(), sent.ases().map(trans).collect::<Vec<_>>());
    }
}

/// Reads what may be anything: it must end, and an error must have its NOTIFICATION.
fn decide(bytes: &[u8]) -> bool {
    let contexts = [true, false].map(|yes| UpdateContext {
        four_octet_as: yes,
        external: !yes,
        extended_next_hop: yes,
    });
    let mut read = false;
    for context in contexts {
        let frame = match first(bytes, MAX_EXTENDED_LEN) {
            Ok(None) => continue,
            Ok(Some(frame)) => frame,
            Err(error) => {
                assert_eq!(DecodeError::from(error).notification().code, 1);
                continue;
            }
        };
        match frame.decode(&context) {
            Ok(Received::Update(decoded)) => {
                // Treat-as-withdraw leaves nothing reachable.
                assert!(!decoded.is_withdrawn() || decoded.update.reachable().count() == 0);
                // What was read can be written and read again, without faults this time.
                let again = Message::Update(Box::new(decoded.update.clone()));
                let again = again.encode(context.four_octet_as, MAX_EXTENDED_LEN);
                if let Ok(again) = again {
                    let again = super::read(&again, &context);
                    let same = Decoded {
                        update: decoded.update,
                        faults: Vec::new(),
                    };
                    assert_eq!(again, Ok(Received::Update(Box::new(same))));
                }
                read = true;
            }
            Ok(_) => read = true,
            Err(error) => {
                assert!((1..=7).contains(&error.notification().code));
                assert!(!error.to_string().is_empty());
            }
        }
    }
    read
}

/// 200,000 messages with octets changed, inserted, removed or cut, from a fixed seed.
#[test]
fn mutated_messages_are_decided() {
    let mut runner = TestRunner::deterministic();
    let strategy = arbitrary::message();
    let mut rng = Mutator(1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let message = strategy.new_tree(&mut runner).unwrap().current();
        let Ok(bytes) = message.encode(true, MAX_EXTENDED_LEN) else {
            continue;
        };
        for _ in 0..100 {
            let mut mutant = bytes.clone();
            for _ in 0..=rng.below(3) {
                rng.mutate(&mut mutant);
            }
            // Half of them keep a sound header, so that the bodies are read, too.
            if rng.below(2) == 0 && mutant.len() > HEADER_LEN {
                mutant = super::message(bytes[18], &mutant[HEADER_LEN..]);
            }
            if decide(&mutant) {
                read += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(read > 10_000 && refused > 10_000, "{read} and {refused}");
}
