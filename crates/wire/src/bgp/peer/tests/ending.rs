//! How sessions end, and what is said about it.

use super::*;
use crate::bgp::MessageCounters;

fn down(why: &str) -> impl Fn(&Notice) -> bool {
    move |notice| matches!(notice, Notice::SessionDown(reason) if reason.to_string() == why)
}

#[test]
fn silence_ends_a_session_after_the_hold_time() {
    let mut net = Net::external().up();
    net.deaf = [true, true];
    net.seconds(59);
    net.expect_up();
    net.seconds(31);
    let why = "sent Hold Timer Expired (nothing was heard in time)";
    assert_eq!(net.last_error(A), why);
    assert!(net.notices[A].iter().any(down(why)));
    net.deaf = [false, false];
    net.seconds(31);
    net.expect_up();
    assert_eq!(net.peers[A].counters().lost, 1);
}

#[test]
fn garbage_is_answered_and_closed() {
    let mut net = Net::external().up();
    net.inject(A, b"SSH-2.0-OpenSSH_9.2\r\n");
    let words = "the marker is not all ones: this is not BGP, or the stream is out of step";
    let why = format!("sent Message Header Error/Connection Not Synchronized ({words})");
    assert_eq!(net.last_error(A), why);
    let told = "received Message Header Error/Connection Not Synchronized";
    assert_eq!(net.last_error(B), told);
    // A first failure is no reason to wait.
    net.seconds(1);
    net.expect_up();
}

#[test]
fn a_broken_update_resets_or_withdraws_as_rfc_7606_says() {
    let mut net = Net::external().up();
    let announce = |attributes: &[u8]| {
        let mut body = vec![0, 0, 0, u8::try_from(attributes.len()).unwrap()];
        body.extend_from_slice(attributes);
        body.extend_from_slice(&[24, 192, 0, 2]);
        crate::bgp::tests::message(2, &body)
    };
    let sound = [
        0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1, 0x40, 3, 4, 10, 0, 0, 2,
    ];
    net.inject(A, &announce(&sound));
    assert_eq!(net.peers[A].received().to_string(), "1");
    // ORIGIN 9: treat-as-withdraw.
    let mut broken = sound;
    broken[3] = 9;
    net.inject(A, &announce(&broken));
    assert_eq!(net.peers[A].received().to_string(), "0");
    assert_eq!(net.peers[A].counters().updates.treated_as_withdraw, 1);
    net.expect_up();
    // A prefix of 33 bits: the session can't go on.
    net.inject(
        A,
        &crate::bgp::tests::message(2, &[0, 0, 0, 0, 33, 1, 2, 3, 4, 5]),
    );
    let why = "sent UPDATE Message Error/Invalid Network Field (a prefix is malformed)";
    assert_eq!(net.last_error(A), why);
}

#[test]
fn messages_out_of_turn_are_fsm_errors() {
    let check = |state: State, bytes: &[u8], words: &str| {
        let mut net = Net::external();
        if state == State::Established {
            net = net.up();
        } else {
            net.peers[B].handle_start(net.now);
            let id = net.peers[B].handle_accepted(net.ends[B], net.now).unwrap();
            if state == State::OpenConfirm {
                let open = net.peers[A].options().open(false, false);
                net.peers[B].handle_bytes(id, &encode(&Message::Open(open)), net.now);
            }
        }
        assert_eq!(net.peers[B].state(), state);
        let id = net.peers[B].main.connection.as_ref().unwrap().id;
        net.peers[B].handle_bytes(id, bytes, net.now);
        assert_eq!(
            net.last_error(B),
            format!("sent Finite State Machine Error/{words}")
        );
    };
    let unexpected = |state: &str| format!("Receive Unexpected Message in {state} State");
    let keepalive = encode(&Message::Keepalive);
    let update = crate::bgp::tests::message(2, &[0, 0, 0, 0]);
    let refresh = crate::bgp::tests::message(5, &[0, 1, 0, 1]);
    let open = encode(&Message::Open(
        options(64512, [10, 0, 0, 1]).open(false, false),
    ));
    let early = format!("{} (KEEPALIVE came before OPEN)", unexpected("OpenSent"));
    check(State::OpenSent, &keepalive, &early);
    let early = format!(
        "{} (UPDATE came before the session was up)",
        unexpected("OpenSent")
    );
    check(State::OpenSent, &update, &early);
    let early = format!(
        "{} (ROUTE-REFRESH came before the session was up)",
        unexpected("OpenConfirm")
    );
    check(State::OpenConfirm, &refresh, &early);
    let again = format!("{} (a second OPEN came)", unexpected("OpenConfirm"));
    check(State::OpenConfirm, &open, &again);
    let again = format!("{} (a second OPEN came)", unexpected("Established"));
    check(State::Established, &open, &again);
}

#[test]
fn a_shutdown_says_why_and_stays() {
    let mut net = Net::external().up();
    net.peers[A].handle_stop(&Stop::Shutdown("new switch until noon".into()), net.now);
    net.settle();
    // Both support RFC 8538: a shutdown must not leave routes behind.
    let told =
        "received Cease/Hard Reset: Cease/Administrative Shutdown: \"new switch until noon\"";
    assert_eq!(net.last_error(B), told);
    net.seconds(86_400);
    assert_eq!(
        (net.peers[A].state(), net.peers[A].poll_timeout()),
        (State::Idle, None)
    );
    net.peers[A].handle_start(net.now);
    net.settle();
    net.expect_up();
}

#[test]
fn without_rfc_8538_a_shutdown_is_a_plain_cease() {
    let restart = Restart::Off;
    let a = PeerOptions {
        restart,
        ..options(64512, [10, 0, 0, 1])
    };
    let b = PeerOptions {
        dial: Dial::Passive,
        ..options(64513, [10, 0, 0, 2])
    };
    let mut net = Net::new(a, b).up();
    net.peers[A].handle_stop(&Stop::Deconfigured, net.now);
    net.settle();
    assert_eq!(net.last_error(B), "received Cease/Peer De-configured");
}

#[test]
fn bfd_and_resets_end_a_session_that_starts_again() {
    let mut net = Net::external().up();
    net.seconds(60);
    net.peers[A].handle_bfd_down(net.now);
    net.settle();
    assert_eq!(net.last_error(B), "received Cease/BFD Down");
    assert_eq!(net.last_error(A), "sent Cease/BFD Down (BFD is down)");
    // The session was stable: another attempt is made at once.
    net.pass(Duration::ZERO);
    net.expect_up();
    net.seconds(60);
    net.peers[A].handle_reset("by hand", net.now);
    net.settle();
    assert_eq!(
        net.last_error(B),
        "received Cease/Administrative Reset: \"by hand\""
    );
    net.pass(Duration::ZERO);
    net.expect_up();
}

#[test]
fn too_many_prefixes_end_the_session_for_a_while() {
    let maximum_prefix = MaximumPrefix::Limit {
        prefixes: 3,
        rest: Duration::from_secs(300),
    };
    let a = PeerOptions {
        maximum_prefix,
        ..options(64512, [10, 0, 0, 1])
    };
    let b = PeerOptions {
        dial: Dial::Passive,
        ..options(64513, [10, 0, 0, 2])
    };
    let mut net = Net::new(a, b).up();
    net.peers[B].handle_routes(many(3, 1), net.now);
    net.settle();
    // The same three with another path, and one more in exchange for one of them.
    net.peers[B].handle_routes(many(3, 2), net.now);
    net.settle();
    net.expect_up();
    net.peers[B].handle_routes(many(4, 2), net.now);
    net.settle();
    let why = "sent Cease/Maximum Number of Prefixes Reached (more than 3 prefixes)";
    assert_eq!(net.last_error(A), why);
    net.peers[B].handle_routes(many(2, 2), net.now);
    net.seconds(299);
    assert_eq!(net.peers[A].counters().established, 1);
    net.seconds(2);
    net.expect_up();
}

#[test]
fn prefixes_without_a_limit_are_counted_up_to_a_bound() {
    let mut net = Net::external().up();
    net.peers[B].handle_routes(many(1024, 1), net.now);
    net.settle();
    assert_eq!(net.peers[A].received().to_string(), "1024");
    net.peers[B].handle_routes(many(20_000, 1), net.now);
    net.settle();
    assert_eq!(net.peers[A].received().to_string(), "at least 1024");
    assert_eq!(net.peers[A].counters().updates.announced, 20_000);
    net.expect_up();
}

fn keeping(restarted: bool) -> PeerOptions {
    let time = Duration::from_secs(120);
    PeerOptions {
        restart: Restart::Keep { time, restarted },
        ..options(64512, [10, 0, 0, 1])
    }
}

#[test]
fn a_restart_is_silent_and_ends_with_the_end_of_rib() {
    let mut net = Net::external();
    net.peers[A] = Peer::new(keeping(false), 1);
    let routes = table(&["192.0.2.1/32"]);
    net.peers[A].handle_routes(Arc::clone(&routes), net.now);
    net.start();
    assert!(net.peers[A].session().unwrap().negotiated.kept);
    net.peers[A].handle_stop(&Stop::Restart, net.now);
    net.settle();
    assert_eq!(net.notifications(A), Vec::<String>::new());
    assert_eq!(net.last_error(B), "the peer closed the connection");
    // The process is back, but doesn't know its table yet.
    net.said[A].clear();
    net.peers[A] = Peer::new(keeping(true), 2);
    net.peers[A].handle_start(net.now);
    net.seconds(1);
    net.expect_up();
    let restart = |net: &Net| {
        let session = net.peers[B].session().unwrap();
        session.negotiated.restart.clone().unwrap()
    };
    let said = restart(&net);
    assert!(said.restarted && said.families.len() == 2);
    assert!(said.families.iter().all(|family| family.forwarding));
    assert_eq!(net.peers[A].counters().sent.update, 0);
    // Now it does: routes first, then the markers.
    net.peers[A].handle_routes(routes, net.now);
    net.settle();
    let kinds: Vec<_> = net.said[A]
        .iter()
        .filter_map(|said| {
            let Received::Update(decoded) = said else {
                return None;
            };
            Some(decoded.update.is_end_of_rib())
        })
        .collect();
    assert_eq!(kinds, [None, Some(Family::Ipv4), Some(Family::Ipv6)]);
    // The next session is no restart any more, but traffic went on all the time.
    net.seconds(60);
    net.peers[B].handle_reset("", net.now);
    net.seconds(1);
    net.expect_up();
    let said = restart(&net);
    assert!(!said.restarted && said.families.iter().all(|family| family.forwarding));
}

#[test]
fn a_restart_the_peer_does_not_bridge_is_announced() {
    let b = PeerOptions {
        dial: Dial::Passive,
        restart: Restart::Off,
        ..options(64513, [10, 0, 0, 2])
    };
    let mut net = Net::new(keeping(false), b).up();
    net.peers[A].handle_stop(&Stop::Restart, net.now);
    net.settle();
    assert_eq!(
        net.last_error(B),
        "received Cease/Administrative Reset: \"restarting\""
    );
}

#[test]
fn leaving_marks_withdraws_and_says_goodbye() {
    let mut net = Net::external();
    net.peers[A] = Peer::new(keeping(false), 1);
    net.peers[A].handle_routes(many(3_000, 1), net.now);
    net.start();
    net.said[A].clear();
    net.peers[A].handle_leave("drained", Duration::from_secs(3), net.now);
    net.settle();
    let marked = heard(&net.said[A]);
    assert_eq!(marked.len(), 3_000);
    let shutdown = Community::GRACEFUL_SHUTDOWN;
    assert!(
        marked
            .values()
            .all(|a| a.communities == [Community(1), shutdown])
    );
    // What changes meanwhile is marked, too.
    net.peers[A].handle_routes(many(3_001, 1), net.now);
    net.seconds(2);
    assert_eq!(heard(&net.said[A]).len(), 3_001);
    assert!(
        heard(&net.said[A])
            .values()
            .all(|a| a.communities.contains(&shutdown))
    );
    net.expect_up();
    net.seconds(1);
    assert_eq!(heard(&net.said[A]).len(), 0, "everything was withdrawn");
    let told = "received Cease/Hard Reset: Cease/Administrative Shutdown: \"drained\"";
    assert_eq!(net.last_error(B), told);
    assert_eq!(net.notices[A].last(), Some(&Notice::Left));
    assert_eq!(net.peers[A].state(), State::Idle);
    // Back again, without the mark.
    net.said[A].clear();
    net.peers[A].handle_start(net.now);
    net.settle();
    let back = heard(&net.said[A]);
    assert_eq!(back.len(), 3_001);
    assert!(back.values().all(|a| !a.communities.contains(&shutdown)));
}

#[test]
fn leaving_ends_without_a_session_and_with_a_peer_that_takes_nothing() {
    let mut net = Net::external();
    net.peers[A].handle_start(net.now);
    net.peers[A].handle_leave("drained", Duration::from_secs(3), net.now);
    net.settle();
    assert_eq!(net.notices[A], [Notice::Left]);
    let mut net = Net::external();
    net.peers[A].handle_routes(many(30_000, 1), net.now);
    net.start();
    net.deaf = [false, true];
    net.peers[A].handle_leave("drained", Duration::from_secs(3), net.now);
    net.seconds(9);
    assert_eq!(net.notices[A].last(), Some(&Notice::Left));
}

#[test]
fn leaving_can_be_taken_back() {
    let mut net = Net::external();
    net.peers[A].handle_routes(many(3, 1), net.now);
    net.start();
    net.peers[A].handle_leave("drained", Duration::from_secs(3), net.now);
    net.settle();
    net.peers[A].handle_start(net.now);
    net.seconds(60);
    net.expect_up();
    let shutdown = Community::GRACEFUL_SHUTDOWN;
    assert!(
        heard(&net.said[A])
            .values()
            .all(|a| !a.communities.contains(&shutdown))
    );
    assert_eq!(net.peers[A].counters().lost, 0);
}

#[test]
fn calls_for_a_connection_that_is_gone_are_ignored() {
    let mut net = Net::external().up();
    let id = net.peers[A].main.connection.as_ref().unwrap().id;
    net.peers[A].handle_stop(&Stop::Deconfigured, net.now);
    net.settle();
    let before = *net.peers[A].counters();
    net.peers[A].handle_bytes(id, &encode(&Message::Keepalive), net.now);
    net.peers[A].handle_sent(id, 19, net.now);
    net.peers[A].handle_closed(id, "late", net.now);
    net.peers[A].handle_connected(id, net.ends[A], net.now);
    assert_eq!(net.peers[A].poll_output(), None);
    assert_eq!(*net.peers[A].counters(), before);
    assert_eq!(before.received.total(), {
        let MessageCounters {
            open,
            update,
            keepalive,
            ..
        } = before.received;
        open + update + keepalive
    });
}

#[test]
fn leaving_without_a_table_withdraws_nothing_and_ends_no_rib() {
    let mut net = Net::external();
    net.start();
    net.peers[A].handle_leave("drained", Duration::from_secs(3), net.now);
    net.seconds(3);
    assert_eq!(net.notices[A].last(), Some(&Notice::Left));
    net.peers[A].handle_start(net.now);
    net.settle();
    net.expect_up();
    assert_eq!(net.peers[A].counters().sent.update, 0);
}
