//! The hand-over: who gave an address away answers until the successor is heard.

use super::*;

const VIP: &str = "192.168.1.240";
const VIP6: &str = "2001:db8::240";
const NODE_B: &str = "192.168.1.2";

fn yielded(addresses: &[&str]) -> Table {
    Table {
        yielded: addresses.iter().map(|a| ip(a)).collect(),
        ..table([])
    }
}

fn world() -> World {
    let mut world = World::settled(table([(ip(VIP), entry()), (ip(VIP6), entry())]));
    world.table(yielded(&[VIP, VIP6]));
    assert_eq!(world.sent(), []);
    world
}

#[test]
fn a_yielded_address_is_answered_for_a_second() {
    let mut world = world();
    world.run(Duration::from_millis(999));
    assert_eq!(
        world.hear(1, &question(CLIENT, ip(VIP))),
        [Said::Reply(ip(VIP), CLIENT)]
    );
    // Without Override: what the successor says goes before.
    let want = [Said::Solicited(ip(VIP6), CLIENT, false)];
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP6))), want);
    assert_eq!(world.run(Duration::from_millis(1)), []);
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.state(ip(VIP)), None);
    assert_eq!(world.notices, []);
}

#[test]
fn the_successor_ends_it() {
    let announcement =
        arp::Packet::gratuitous(Operation::Request, FELLOW, v4(ip(VIP))).frame(Mac::BROADCAST);
    let rows = [
        (VIP, announcement),
        (VIP, claim(FELLOW, ip(VIP))),
        (VIP6, claim(FELLOW, ip(VIP6))),
    ];
    for (vip, frame) in rows {
        let mut world = world();
        assert_eq!(world.hear(1, &frame), []);
        assert_eq!(world.hear(1, &question(CLIENT, ip(vip))), [], "{vip}");
        let interface = "eth1".into();
        let want = [Notice::Successor {
            ip: ip(vip),
            mac: FELLOW,
            interface,
        }];
        assert_eq!(world.notices, want);
        assert_eq!(world.state(ip(vip)), None);
    }
}

#[test]
fn our_own_other_link_is_no_successor() {
    let mut world = World::new(&[link(1), link(2)]);
    world.table(table([(ip(VIP), entry())]));
    world.run(Duration::from_secs(10));
    world.table(yielded(&[VIP]));
    assert_eq!(world.hear(1, &claim(OWN2, ip(VIP))), []);
    assert_eq!(
        world.hear(1, &question(CLIENT, ip(VIP))),
        [Said::Reply(ip(VIP), CLIENT)]
    );
    // A successor heard on one LAN leaves the other to us.
    assert_eq!(world.hear(1, &claim(FELLOW, ip(VIP))), []);
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.dropped(Drop::Silent), 1);
    assert_eq!(
        world.hear(2, &question(CLIENT, ip(VIP))),
        [Said::Reply(ip(VIP), CLIENT)]
    );
}

#[test]
fn an_address_that_comes_back_is_announced_again() {
    let mut world = world();
    world.hear(1, &claim(FELLOW, ip("192.168.1.7")));
    world.table(table([(ip(VIP), entry())]));
    let want = [(1, Said::Request(ip(VIP))), (1, Said::Announce(ip(VIP)))];
    assert_eq!(world.sent(), want);
    world.run(Duration::from_secs(2));
    assert_eq!(world.state(ip(VIP)), Some(State::Active));
    assert_eq!(world.state(ip(VIP6)), None);
}

#[test]
fn a_later_table_without_it_ends_it_at_once() {
    let mut world = world();
    world.table(yielded(&[VIP6]));
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.state(ip(VIP6)), Some(State::Yielding));
}

#[test]
fn what_was_never_answered_is_not_yielded() {
    let mut world = World::new(&[link(1)]);
    world.table(table([(
        ip(VIP),
        Entry {
            probe: true,
            ..entry()
        },
    )]));
    world.table(yielded(&[VIP]));
    assert_eq!(world.state(ip(VIP)), None);
    let mut world = World::new(&[link(1)]);
    world.table(yielded(&[VIP]));
    assert_eq!(world.state(ip(VIP)), None);
}

/// Node b's manifest is read a moment earlier there than here: it announces before we yield.
#[test]
fn a_successor_heard_before_the_table_counts() {
    let rows = [
        (FELLOW, Duration::from_millis(200), false),
        (FELLOW, Duration::from_millis(999), false),
        (FELLOW, Duration::from_millis(1000), true),
        (STRANGER, Duration::from_millis(200), true),
    ];
    for (mac, early, answered) in rows {
        let mut world = World::new(&[link(1)]);
        let fellows: BTreeMap<_, _> = [("b".into(), vec![ip(NODE_B)])].into();
        let owned = Table {
            fellows: fellows.clone(),
            ..table([(ip(VIP), entry())])
        };
        world.table(owned);
        world.hear(1, &claim(FELLOW, ip(NODE_B)));
        world.run(Duration::from_secs(10));
        world.hear(1, &claim(mac, ip(VIP)));
        world.run(early);
        world.table(Table {
            fellows,
            ..yielded(&[VIP])
        });
        let said = world.hear(1, &question(CLIENT, ip(VIP)));
        assert_eq!(!said.is_empty(), answered, "{mac} {early:?} before");
    }
}

#[test]
fn a_successor_heard_early_on_one_link_is_awaited_on_the_other() {
    let mut world = World::new(&[link(1), link(2)]);
    let fellows: BTreeMap<_, _> = [("b".into(), vec![ip(NODE_B)])].into();
    world.table(Table {
        fellows: fellows.clone(),
        ..table([(ip(VIP), entry())])
    });
    world.hear(1, &claim(FELLOW, ip(NODE_B)));
    world.run(Duration::from_secs(10));
    world.hear(1, &claim(FELLOW, ip(VIP)));
    world.table(Table {
        fellows,
        ..yielded(&[VIP])
    });
    assert_eq!(world.hear(1, &question(CLIENT, ip(VIP))), []);
    assert_eq!(world.hear(2, &question(CLIENT, ip(VIP))).len(), 1);
    world.run(Duration::from_secs(1));
    assert_eq!(world.hear(2, &question(CLIENT, ip(VIP))), []);
}
