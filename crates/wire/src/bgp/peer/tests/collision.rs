//! Two connections at once (RFC 4271 §6.8).

use super::*;

/// Both dial and both listen, at the same moment.
fn meeting(a: PeerOptions, b: PeerOptions) -> Net {
    let mut net = Net::new(a, b);
    net.listens = [true, true];
    for peer in [A, B] {
        net.peers[peer].handle_start(net.now);
    }
    net.settle();
    net
}

#[test]
fn the_connection_of_the_higher_identifier_stays() {
    let check = |a: PeerOptions, b: PeerOptions, initiator: usize| {
        let mut net = meeting(a, b);
        net.expect_up();
        assert_eq!(net.links.len(), 1);
        let ours = net.peers[initiator].main.connection.as_ref().unwrap();
        assert_eq!(ours.initiator, Initiator::Us);
        assert!(net.peers.iter().all(|peer| peer.rival.is_none()));
        assert!([A, B].iter().all(|&peer| {
            net.notifications(peer)
                .iter()
                .all(|n| n == "Cease/Connection Collision Resolution")
        }));
        // No failure: nobody has to wait or to wonder.
        assert!(
            net.peers
                .iter()
                .all(|peer| peer.counters().established == 1)
        );
        net.seconds(600);
        assert!(
            net.peers
                .iter()
                .all(|peer| peer.counters().established == 1)
        );
    };
    check(
        options(64512, [10, 0, 0, 1]),
        options(64513, [10, 0, 0, 2]),
        B,
    );
    check(
        options(64512, [10, 0, 0, 2]),
        options(64513, [10, 0, 0, 1]),
        A,
    );
    check(
        options(64512, [9, 0, 0, 1]),
        options(64513, [10, 0, 0, 0]),
        B,
    );
    // Equal identifiers of two ASes: the higher AS number (RFC 6286 §2.3).
    check(
        options(64512, [10, 0, 0, 1]),
        options(64513, [10, 0, 0, 1]),
        B,
    );
    check(
        options(64514, [10, 0, 0, 1]),
        options(64513, [10, 0, 0, 1]),
        A,
    );
}

#[test]
fn a_session_that_is_up_stays() {
    let restart = Restart::Off;
    let a = PeerOptions {
        restart,
        ..options(64512, [10, 0, 0, 1])
    };
    let b = PeerOptions {
        restart,
        dial: Dial::Passive,
        ..options(64513, [10, 0, 0, 2])
    };
    let mut net = Net::new(a, b).up();
    let id = net.peers[B].handle_accepted(net.ends[B], net.now).unwrap();
    while net.peers[B].poll_output().is_some() {}
    let open = net.peers[A].options().open(false, false);
    net.peers[B].handle_bytes(id, &encode(&Message::Open(open)), net.now);
    let outputs: Vec<_> = std::iter::from_fn(|| net.peers[B].poll_output()).collect();
    let notification = encode(&Message::Notification(Notification::cease(7)));
    let expected = [
        Output::Send {
            connection: id,
            bytes: notification,
        },
        Output::Close { connection: id },
    ];
    assert_eq!(outputs, expected);
    net.expect_up();
}

/// RFC 4724 §4.2.
#[test]
fn a_peer_that_restarted_unseen_is_taken_back() {
    let mut net = Net::external().up();
    let old = net.peers[A].options().clone();
    // The process is killed; the network says nothing about it.
    net.links.clear();
    net.peers[A] = Peer::new(old, 3);
    net.peers[A].handle_routes(table(&["192.0.2.1/32"]), net.now);
    net.peers[A].handle_start(net.now);
    net.notices[B].clear();
    net.settle();
    net.expect_up();
    let down = Notice::SessionDown(Why::Lost(
        "the peer has restarted and connected again".into(),
    ));
    assert_eq!(net.notices[B][0], down);
    assert_eq!(
        net.notifications(B),
        Vec::<String>::new(),
        "the old one is closed silently"
    );
    assert_eq!(net.peers[B].counters().established, 2);
    assert_eq!(net.peers[B].received().to_string(), "1");
}

#[test]
fn of_two_connections_the_peer_made_the_newer_stays() {
    let mut net = Net::external();
    net.peers[B].handle_start(net.now);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(net.peers[B].handle_accepted(net.ends[B], net.now).unwrap());
    }
    let open = encode(&Message::Open(net.peers[A].options().open(false, false)));
    // The first is heard first, but the peer goes on with the last.
    net.peers[B].handle_bytes(ids[0], &open, net.now);
    net.peers[B].handle_bytes(ids[2], &open, net.now);
    net.peers[B].handle_bytes(ids[2], &encode(&Message::Keepalive), net.now);
    assert_eq!(net.peers[B].state(), State::Established);
    assert_eq!(net.peers[B].main.connection.as_ref().unwrap().id, ids[2]);
    let closed: Vec<_> = std::iter::from_fn(|| net.peers[B].poll_output())
        .filter_map(|output| match output {
            Output::Close { connection } => Some(connection),
            Output::Connect { .. } | Output::Send { .. } | Output::Notice(_) => None,
        })
        .collect();
    assert_eq!(closed, [ids[1], ids[0]]);
}

#[test]
fn a_second_connection_takes_over_when_the_first_fails() {
    let mut net = Net::new(options(64512, [10, 0, 0, 1]), options(64513, [10, 0, 0, 2]));
    net.peers[B].handle_start(net.now);
    let Some(Output::Connect { connection: own }) = net.peers[B].poll_output() else {
        panic!("doesn't dial");
    };
    let theirs = net.peers[B].handle_accepted(net.ends[B], net.now).unwrap();
    net.peers[B].handle_connect_failed(own, "no route to host", net.now);
    let open = encode(&Message::Open(net.peers[A].options().open(false, false)));
    net.peers[B].handle_bytes(theirs, &open, net.now);
    net.peers[B].handle_bytes(theirs, &encode(&Message::Keepalive), net.now);
    assert_eq!(net.peers[B].state(), State::Established);
    assert!(net.peers[B].rival.is_none());
    // And when it ends, the peer goes on dialling.
    net.peers[B].handle_closed(theirs, "gone", net.now);
    while net.peers[B].poll_output().is_some() {}
    let due = net.peers[B].poll_timeout().expect("another attempt");
    net.peers[B].handle_timeout(due);
    assert!(matches!(
        net.peers[B].poll_output(),
        Some(Output::Connect { .. })
    ));
}

/// A peer that couldn't be reached is taken when it comes; one that misbehaved has to wait.
#[test]
fn a_connection_ends_the_wait_for_the_peer() {
    let mut net = Net::new(options(64512, [10, 0, 0, 1]), options(64513, [10, 0, 0, 2]));
    net.listens = [false, false];
    net.peers[A].handle_start(net.now);
    net.seconds(8);
    assert_eq!(net.peers[A].state(), State::Idle);
    net.listens = [true, false];
    net.peers[B].handle_start(net.now);
    net.settle();
    net.expect_up();
    assert_eq!(net.peers[A].counters().accepted, 1);
    net.inject(A, b"garbage, and lots of it");
    assert_eq!(net.peers[A].state(), State::Idle);
    let ends = net.ends[A];
    assert_eq!(net.peers[A].handle_accepted(ends, net.now), Err(Refused));
}
