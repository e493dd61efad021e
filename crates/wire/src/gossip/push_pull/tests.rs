use super::*;
use crate::gossip::message::Versions;
use crate::gossip::message::tests::{alive_strategy, hex};
use proptest::prelude::*;

fn read(body: &[u8]) -> Result<Option<PushPull>, Malformed> {
    Reader::default().read(body, 1 << 16)
}

fn example() -> PushPull {
    PushPull {
        join: true,
        members: vec![(
            MemberState::Dead,
            Alive {
                incarnation: 1,
                node: "node-a".into(),
                address: "10.1.0.11:7946".parse().unwrap(),
                meta: vec![],
                versions: Some(Versions::OURS),
            },
        )],
        user: b"hi".to_vec(),
        malformed: vec![],
    }
}

/// What Go writes for the same.
fn from_go() -> Vec<u8> {
    let header = "83a44a6f696ec3a54e6f64657301ac5573657253746174654c656e02";
    let node = "87a441646472a40a01000bab496e6361726e6174696f6e01a44d657461c0a44e616d65a66e6f6465\
                2d61a4506f7274cd1f0aa5537461746502a356736ea6010502000000";
    [hex(header), hex(node), b"hi".to_vec()].concat()
}

#[test]
fn what_go_wrote_is_read_and_reads_back() {
    assert_eq!(read(&from_go()), Ok(Some(example())));
    assert_eq!(read(&example().encode()[1..]), Ok(Some(example())));
}

#[test]
fn whatever_the_pieces_it_reads_the_same() {
    for body in [from_go(), example().encode()[1..].to_vec()] {
        let mut reader = Reader::default();
        for length in 0..body.len() {
            assert_eq!(
                reader.read(&body[..length], 1 << 16),
                Ok(None),
                "cut at {length}"
            );
        }
        assert_eq!(reader.read(&body, 1 << 16), Ok(Some(example())));
    }
}

#[test]
fn headers_that_promise_too_much_are_refused() {
    let rows = [
        (MEMBERS_MAX, 0, Ok(None)),
        (MEMBERS_MAX + 1, 0, Err(Malformed::Size)),
        (1, 1 << 16, Ok(None)),
        (0, (1 << 16) + 1, Err(Malformed::Size)),
    ];
    for (members, user_len, want) in rows {
        let mut body = Vec::new();
        let header = Header {
            members,
            user_len,
            join: false,
        };
        append(&mut body, &header);
        assert_eq!(read(&body), want, "{members} {user_len}");
    }
}

#[test]
fn one_member_that_cant_be_used_leaves_the_others() {
    let mut state = example();
    let other = Alive {
        node: "node-b".into(),
        ..state.members[0].1.clone()
    };
    state.members.insert(0, (MemberState::Alive, other));
    let mut bytes = state.encode();
    // "node-b" is alive: its state becomes one that doesn't exist.
    let at = bytes.windows(6).position(|w| w == b"\xa5State").unwrap() + 6;
    bytes[at] = 4;
    let mut want = example();
    want.malformed = vec![Malformed::State];
    assert_eq!(read(&bytes[1..]), Ok(Some(want)));
}

pub(in crate::gossip) fn push_pull() -> impl Strategy<Value = PushPull> {
    let state = (0u8..4).prop_map(|code| MemberState::of_code(code).unwrap());
    (
        any::<bool>(),
        prop::collection::vec((state, alive_strategy()), 0..9),
        prop::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(join, members, user)| PushPull {
            join,
            members,
            user,
            malformed: vec![],
        })
}

proptest! {
    #[test]
    fn states_read_back(state in push_pull()) {
        prop_assert_eq!(read(&state.encode()[1..]), Ok(Some(state)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }
}
