//! Tables over sessions: what changes, what is refused, and slow readers.

use super::*;
use crate::bgp::{Advertised, RefreshKind, RouteRefresh, Withheld};

#[test]
fn changes_never_touch_the_session() {
    let mut net = Net::external().up();
    for round in 0..1_000 {
        net.peers[A].handle_routes(many(1 + round % 7, round), net.now);
        net.pass(Duration::from_millis(50));
    }
    net.expect_up();
    for peer in &net.peers {
        assert_eq!((peer.counters().established, peer.counters().lost), (1, 0));
    }
    assert_eq!(heard(&net.said[A]).len(), 1 + 999 % 7);
    // RFC 4271 §4.4: who sends UPDATEs all the time needs no KEEPALIVE but the first.
    assert_eq!(net.peers[A].counters().sent.keepalive, 1);
}

#[test]
fn a_change_of_one_route_is_one_message() {
    let mut net = Net::external();
    let all = many(10_000, 1);
    net.peers[A].handle_routes(Arc::clone(&all), net.now);
    net.start();
    let before = net.peers[A].counters().sent.update;
    let mut fewer = Routes::clone(&all);
    fewer.pop_first();
    net.peers[A].handle_routes(Arc::new(fewer), net.now);
    net.settle();
    assert_eq!(net.peers[A].counters().sent.update - before, 1);
    assert_eq!(net.peers[B].counters().updates.withdrawn, 1);
}

#[test]
fn a_slow_reader_gets_a_bounded_queue_and_then_the_latest() {
    let mut net = Net::external();
    let send_buffer = 16 * 1024;
    // Without extended messages, to have many small ones.
    net.peers[A] = Peer::new(
        PeerOptions {
            send_buffer,
            ..options(64512, [10, 0, 0, 1])
        },
        1,
    );
    let mut net = net.up();
    net.deaf = [false, true];
    let mut most = 0;
    for round in 0..12 {
        net.peers[A].handle_routes(many(15_000, round), net.now);
        net.settle();
        most = most.max(net.on_the_way(A));
    }
    assert!(most > 0 && most <= send_buffer.max(65_535), "{most}");
    assert!(net.peers[A].pending() > 0);
    assert_eq!(
        net.peers[A].advertised(prefix("10.0.58.151/32")),
        Advertised::Pending
    );
    net.deaf = [false, false];
    net.settle();
    assert_eq!(net.peers[A].pending(), 0);
    let heard = heard(&net.said[A]);
    assert_eq!(heard.len(), 15_000);
    assert!(heard.values().all(|a| a.communities == [Community(11)]));
    // Rounds in between were skipped.
    assert!(net.peers[B].counters().updates.announced < 45_000);
    net.expect_up();
}

/// RFC 9687.
#[test]
fn a_peer_that_takes_nothing_any_more_is_given_up() {
    let mut net = Net::external().up();
    // What B sends arrives, what A sends stays on the way; B's hold timer is off the field.
    net.deaf = [false, true];
    let mut silent = net.now;
    let keepalive = encode(&Message::Keepalive);
    for _ in 0..47 {
        silent += Duration::from_secs(10);
        let id = net.peers[A].main.connection.as_ref().unwrap().id;
        net.peers[A].handle_bytes(id, &keepalive, silent);
        while net.peers[A].poll_timeout().is_some_and(|due| due <= silent) {
            net.peers[A].handle_timeout(silent);
        }
        assert_eq!(
            net.peers[A].state(),
            State::Established,
            "{:?}",
            silent - net.now
        );
    }
    silent += Duration::from_secs(10);
    net.peers[A].handle_timeout(silent);
    let why = "sent Send Hold Timer Expired (the peer takes nothing in any more)";
    assert_eq!(net.last_error(A), why);
}

#[test]
fn a_refresh_is_answered() {
    let mut net = Net::external();
    net.peers[A].handle_routes(many(3, 1), net.now);
    net.start();
    net.said[A].clear();
    let ask = |afi, subtype| {
        let family = crate::bgp::AfiSafi { afi, safi: 1 };
        encode(&Message::RouteRefresh(RouteRefresh { family, subtype }))
    };
    for (afi, subtype) in [
        (1, RefreshKind::Begin),
        (1, RefreshKind::End),
        (1, RefreshKind::Other(9)),
        (25, RefreshKind::Request),
    ] {
        net.inject(A, &ask(afi, subtype));
    }
    assert_eq!(net.said[A], [], "nothing was asked");
    net.inject(A, &ask(1, RefreshKind::Request));
    let kinds: Vec<_> = net.said[A]
        .iter()
        .map(|said| match said {
            Received::RouteRefresh(refresh) => format!("{:?}", refresh.subtype),
            Received::Update(decoded) => decoded.update.reachable().count().to_string(),
            Received::Open(_) | Received::Notification(_) | Received::Keepalive => "?".into(),
        })
        .collect();
    assert_eq!(kinds, ["Begin", "3", "End"]);
}

#[test]
fn what_is_withheld_has_its_reason() {
    let mut net = Net::external();
    let ours = prefix("2001:db8::1/128");
    assert_eq!(net.peers[A].advertised(ours), Advertised::No);
    net.peers[A].handle_routes(table(&["192.0.2.1/32", "2001:db8::1/128"]), net.now);
    assert_eq!(net.peers[A].advertised(ours), Advertised::Pending);
    net.start();
    // An IPv4 session without an IPv6 address at this end.
    let why = Withheld::NextHop(Family::Ipv6);
    assert_eq!(net.peers[A].advertised(ours), Advertised::Withheld(why));
    assert_eq!(why.to_string(), "there is no next hop for IPv6 unicast");
    assert_eq!(
        net.peers[A].advertised(prefix("192.0.2.1/32")),
        Advertised::Sent
    );
    assert_eq!(net.peers[A].announced(), 1);
}

#[test]
fn another_next_hop_is_said_as_it_is() {
    let mut net = Net::external().up();
    let path = Path {
        next_hop: NextHop::Address("10.0.0.99".parse().unwrap()),
        ..Path::default()
    };
    let routes = [(prefix("192.0.2.1/32"), Arc::new(path))];
    net.peers[A].handle_routes(Arc::new(routes.into()), net.now);
    net.settle();
    let attributes = &heard(&net.said[A])[&prefix("192.0.2.1/32")];
    assert_eq!(attributes.next_hop, Some("10.0.0.99".parse().unwrap()));
}

#[test]
fn peers_share_one_table() {
    let table = many(10_000, 1);
    let mut nets: Vec<_> = (0..8).map(|_| Net::external()).collect();
    for net in &mut nets {
        net.peers[A].handle_routes(Arc::clone(&table), net.now);
        net.start();
        assert_eq!(net.peers[A].announced(), 10_000);
    }
    // The table itself, what is wanted, what is desired and what was sent: references only.
    assert_eq!(Arc::strong_count(&table), 1 + 8 * 3);
}

#[test]
fn the_ring_has_the_last_messages_of_the_peer() {
    let mut net = Net::external().up();
    net.seconds(86_400);
    let kinds: Vec<_> = net.peers[A]
        .messages()
        .map(|message| message.bytes[18])
        .collect();
    assert_eq!(kinds.len(), 64);
    // A day of KEEPALIVEs hasn't pushed out how the session came up.
    let others = kinds
        .iter()
        .filter(|&&kind| kind != MessageType::Keepalive.code())
        .count();
    assert_eq!(others, 2 + 4);
    let at: Vec<_> = net.peers[A].messages().map(|message| message.at).collect();
    assert!(at.is_sorted());
}
