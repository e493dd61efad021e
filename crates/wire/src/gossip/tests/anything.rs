//! Whatever is heard: no panic, this node stays a member, and no more goes out than came in.

use super::*;
use crate::gossip::message::tests::message;
use crate::gossip::push_pull::tests::push_pull;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Message(Message),
    Bytes(Vec<u8>),
    State(PushPull),
    Stream(Vec<u8>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let about_us = (any::<u32>(), any::<bool>(), "[a-z]{1,3}").prop_map(|(n, dead, from)| {
        let accusation = Accusation {
            incarnation: n,
            node: name(0),
            from,
        };
        if dead {
            Message::Dead(accusation)
        } else {
            Message::Suspect(accusation)
        }
    });
    prop_oneof![
        4 => message().prop_map(Step::Message),
        2 => about_us.prop_map(Step::Message),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Bytes),
        2 => push_pull().prop_map(Step::State),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Stream),
        2 => (0u64..3000).prop_map(Step::Wait),
    ]
}

/// Everything the machine said.
fn play(steps: &[Step]) -> Vec<Output> {
    let mut now = zero();
    let start = now;
    let from = address(1);
    let mut gossip = Gossip::new(options(0), now);
    let mut said = Vec::new();
    for step in steps {
        let before = said.len();
        match step {
            Step::Message(message) => {
                let packet = plain().seal(&[message.encode()], false, [0; NONCE_LEN]);
                gossip.handle_packet(from, &packet, now);
            }
            Step::Bytes(bytes) => gossip.handle_packet(from, bytes, now),
            Step::State(state) => {
                if let Some(stream) = gossip.handle_accept(from, now) {
                    let bytes =
                        plain().seal_stream(Direction::Request, state.encode(), [0; NONCE_LEN]);
                    gossip.handle_stream(stream, &bytes, now);
                }
            }
            Step::Stream(bytes) => {
                if let Some(stream) = gossip.handle_accept(from, now) {
                    gossip.handle_stream(stream, bytes, now);
                    gossip.handle_closed(stream);
                }
            }
            Step::Wait(ms) => {
                now += Duration::from_millis(*ms);
                gossip.handle_timeout(now);
            }
        }
        said.extend(std::iter::from_fn(|| gossip.poll_output()));
        let packets = said[before..]
            .iter()
            .filter(|o| matches!(o, Output::Packet { .. }));
        if let Step::Message(_) = step {
            assert!(packets.count() <= 1, "{step:?}");
        }
        let own = gossip.members().find(|m| m.alive.node == name(0)).unwrap();
        assert_eq!(own.state, MemberState::Alive);
        assert_eq!(own.address(), address(0));
        assert_eq!(own.alive.incarnation, gossip.incarnation);
        assert!(now >= start);
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_heard_this_node_stays_what_it_is(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        play(&steps);
    }
}

#[test]
fn an_answer_goes_to_the_sender_or_to_a_member() {
    let now = zero();
    let victim: SocketAddr = "10.9.9.9:53".parse().unwrap();
    let source = |address, node: &str| {
        Some(Source {
            address,
            node: node.into(),
        })
    };
    let same_host: SocketAddr = "10.0.0.2:9".parse().unwrap();
    let rows = [
        (None, address(1)),
        (source(victim, "node-1"), address(1)),
        (source(same_host, "whoever"), same_host),
        (source(address(5), "node-5"), address(5)),
        (source(address(5), "node-6"), address(1)),
    ];
    for (source, want) in rows {
        let mut gossip = Gossip::new(options(0), now);
        gossip.hear(address(1), alive(5), now);
        let ping = Message::Ping(Ping {
            sequence: 1,
            node: name(0),
            source: source.clone(),
        });
        gossip.hear(address(1), ping, now);
        let outputs = std::iter::from_fn(|| gossip.poll_output());
        let mut to = Vec::new();
        for output in outputs {
            if let Output::Packet { to: at, .. } = output {
                to.push(at);
            }
        }
        assert_eq!(to, [want], "{source:?}");
    }
}

fn alive(i: usize) -> Message {
    Message::Alive(Alive {
        incarnation: 1,
        node: name(i),
        address: address(i),
        meta: vec![],
        versions: Some(Versions::OURS),
    })
}

#[test]
fn each_message_that_changes_nothing_is_counted_with_its_cause() {
    let accusation = |node: usize, incarnation| Accusation {
        incarnation,
        node: name(node),
        from: name(1),
    };
    let mut strange = Versions::OURS;
    (strange.protocol_min, strange.protocol_max) = (3, 5);
    let future = Message::Alive(Alive {
        incarnation: 9,
        node: name(8),
        address: address(8),
        meta: vec![],
        versions: Some(strange),
    });
    let indirect = Message::IndirectPing(IndirectPing {
        sequence: 1,
        target: "10.9.9.9:53".parse().unwrap(),
        node: name(5),
        nack: true,
        source: None,
    });
    let other = Message::Ping(Ping {
        sequence: 1,
        node: "other".into(),
        source: None,
    });
    let ack = Message::Ack(Ack {
        sequence: 1,
        payload: vec![],
    });
    let rows = [
        (other, Drop::NotForUs),
        (ack, Drop::Unasked),
        (Message::Nack(1), Drop::Unasked),
        (indirect, Drop::Stranger),
        (Message::Suspect(accusation(5, 0)), Drop::Stale),
        (Message::Dead(accusation(5, 0)), Drop::Stale),
        (Message::Suspect(accusation(9, 1)), Drop::Unknown),
        (Message::Dead(accusation(9, 1)), Drop::Unknown),
        (future, Drop::Versions),
        (Message::Error("no".into()), Drop::Unexpected),
    ];
    for (message, want) in rows {
        let now = zero();
        let mut gossip = Gossip::new(options(0), now);
        gossip.hear(address(1), alive(5), now);
        let before: Vec<_> = std::iter::from_fn(|| gossip.poll_output()).collect();
        assert_eq!(before.len(), 1);
        gossip.hear(address(1), message.clone(), now);
        assert_eq!(*gossip.drops(), BTreeMap::from([(want, 1)]), "{message:?}");
        assert_eq!(gossip.poll_output(), None, "{message:?}");
    }
}

#[test]
fn a_flood_of_members_and_streams_is_bounded() {
    let now = zero();
    let mut gossip = Gossip::new(options(0), now);
    for i in 0..11_000 {
        let mut message = alive(1);
        if let Message::Alive(alive) = &mut message {
            alive.node = name(i + 1);
        }
        gossip.hear(address(1), message, now);
    }
    assert_eq!(gossip.members().count(), 10_000);
    assert_eq!(gossip.drops()[&Drop::Full], 1001);
    let streams = (0..100).filter_map(|_| gossip.handle_accept(address(1), now));
    assert_eq!(streams.count(), 32);
    // They end by themselves.
    gossip.handle_timeout(now + secs(11));
    assert!(gossip.handle_accept(address(1), now).is_some());
}
