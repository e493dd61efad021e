//! Who is answered, how, and who isn't.

use super::*;

const VIP: &str = "192.168.1.240";
const VIP6: &str = "2001:db8::240";

fn world() -> World {
    World::settled(table([(ip(VIP), entry()), (ip(VIP6), entry())]))
}

#[test]
fn questions_are_answered_to_the_asker() {
    let mut world = world();
    let rows = [
        (question(CLIENT, ip(VIP)), Said::Reply(ip(VIP), CLIENT)),
        (probe(CLIENT, ip(VIP)), Said::Reply(ip(VIP), CLIENT)),
        (
            question(CLIENT, ip(VIP6)),
            Said::Solicited(ip(VIP6), CLIENT, true),
        ),
        (probe(CLIENT, ip(VIP6)), Said::Unsolicited(ip(VIP6))),
    ];
    for (frame, want) in rows {
        assert_eq!(world.hear(1, &frame), [want]);
    }
    let counters = world.counters(ip(VIP));
    assert_eq!(
        (counters.requests_received, counters.responses_sent),
        (2, 2)
    );
    assert_eq!(counters.gratuitous_sent, 10);
    let answered = Answered {
        at: world.now,
        mac: CLIENT,
        link: 1,
    };
    assert_eq!(counters.last_answered, Some(answered));
    assert_eq!(world.counters(ip(VIP6)).gratuitous_sent, 5);
    assert!(world.l2.drops().is_empty());
}

#[test]
fn reachability_checks_to_us_are_answered_with_and_without_the_option() {
    let mut world = world();
    for source_mac in [Some(CLIENT), None] {
        let target = v6(ip(VIP6));
        let check = Solicitation {
            source: "fe80::99".parse().unwrap(),
            destination: target,
            target,
            source_mac,
        };
        let want = [Said::Solicited(ip(VIP6), CLIENT, true)];
        assert_eq!(world.hear(1, &check.frame(CLIENT, OWN)), want);
    }
    let unicast = arp::Packet::question(CLIENT, Ipv4Addr::new(192, 168, 1, 99), v4(ip(VIP)));
    assert_eq!(
        world.hear(1, &unicast.frame(OWN)),
        [Said::Reply(ip(VIP), CLIENT)]
    );
}

#[test]
fn each_frame_not_answered_has_its_reason() {
    let mut world = world();
    world.table(table([
        (ip(VIP), entry()),
        (ip(VIP6), entry()),
        (
            ip("192.168.1.241"),
            Entry {
                interfaces: Interfaces::Named(BTreeSet::from(["eth2".into()])),
                ..entry()
            },
        ),
    ]));
    let other = arp::Packet::question(CLIENT, Ipv4Addr::UNSPECIFIED, v4(ip(VIP))).frame(OWN2);
    let group = arp::Packet::question(CLIENT, Ipv4Addr::UNSPECIFIED, v4(ip(VIP)))
        .frame(Mac([1, 0, 0x5e, 0, 0, 1]));
    let forged = {
        let mut frame = question(OWN, ip(VIP));
        frame[6..12].copy_from_slice(&CLIENT.0);
        frame
    };
    let check_of_other = {
        let mut frame = question(CLIENT, ip(VIP6));
        frame[..6].copy_from_slice(&OWN2.0);
        frame
    };
    let announcement = arp::Packet::gratuitous(Operation::Request, CLIENT, v4(ip("192.168.1.9")));
    let mut cut = question(CLIENT, ip(VIP));
    cut.truncate(41);
    let mut routed = question(CLIENT, ip(VIP6));
    routed[14 + 7] = 64;
    let rows = [
        (
            1,
            vec![0; 13],
            Drop::Ethernet(ethernet::DecodeError::Truncated),
        ),
        (
            1,
            vec![0; 14],
            Drop::Ethernet(ethernet::DecodeError::OtherProtocol),
        ),
        (1, cut, Drop::Arp(arp::DecodeError::Truncated)),
        (1, routed, Drop::Ndp(ndp::DecodeError::HopLimit)),
        (9, question(CLIENT, ip(VIP)), Drop::UnusableLink),
        (1, question(OWN, ip(VIP)), Drop::OwnFrame),
        (1, forged, Drop::OwnFrame),
        (1, other, Drop::OtherDestination),
        (1, group, Drop::OtherDestination),
        (1, check_of_other, Drop::OtherDestination),
        (1, claim(CLIENT, ip("192.168.1.9")), Drop::NoQuestion),
        (1, claim(CLIENT, ip("2001:db8::9")), Drop::NoQuestion),
        (1, announcement.frame(Mac::BROADCAST), Drop::NoQuestion),
        (1, question(CLIENT, ip("192.168.1.250")), Drop::NotOwned),
        (1, question(CLIENT, ip("2001:db8::250")), Drop::NotOwned),
        (
            1,
            question(CLIENT, ip("192.168.1.241")),
            Drop::OtherInterface,
        ),
    ];
    for (link, frame, want) in rows {
        let before = world.dropped(want);
        assert_eq!(world.hear(link, &frame), [], "{want}");
        assert_eq!(world.dropped(want), before + 1, "{want}");
    }
}

/// Frames whose Ethernet source is another's but that come from one of our MACs, and the reverse.
#[test]
fn this_nodes_frames_are_not_answered_whatever_they_claim() {
    let mut world = world();
    let forged = {
        let mut frame = question(CLIENT, ip(VIP));
        frame[6..12].copy_from_slice(&OWN.0);
        frame
    };
    assert_eq!(world.hear(1, &forged), []);
    assert_eq!(world.dropped(Drop::OwnFrame), 1);
}

#[test]
fn a_link_without_the_family_answers_nothing_of_it() {
    let mut world = World::new(&[Link {
        speaks: Speaks::Arp,
        ..link(1)
    }]);
    world.table(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
    let sent = world.sent();
    assert_eq!(
        sent,
        [(1, Said::Request(ip(VIP))), (1, Said::Announce(ip(VIP)))]
    );
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP6))), []);
    assert_eq!(world.dropped(Drop::UnusableLink), 1);
    assert!(world.groups.is_empty());
}

#[test]
fn what_leaves_the_table_falls_silent_at_once() {
    let mut world = world();
    world.table(table([]));
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.state(ip(VIP)), None);
    assert_eq!(world.l2.poll_timeout(), None);
}
