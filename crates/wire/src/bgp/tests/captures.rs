//! Messages as FRR 8.4.4 and BIRD 2.0.12 have sent them.

use super::*;
use std::net::Ipv4Addr;

fn captured(text: &str, context: &UpdateContext) -> Received {
    let whole = format!("ffffffffffffffffffffffffffffffff{text}");
    let bytes = hex(&whole);
    let received = read(&bytes, context).unwrap();
    // What was read is written as it came, if the sender has our order and flags.
    if let Received::RouteRefresh(refresh) = received {
        let again = Message::RouteRefresh(refresh).encode(true, MAX_LEN);
        assert_eq!(again, Ok(bytes));
    }
    received
}

fn open(text: &str) -> Open {
    match captured(text, &EXTERNAL) {
        Received::Open(open) => open,
        other @ (Received::Update(_)
        | Received::Notification(_)
        | Received::Keepalive
        | Received::RouteRefresh(_)) => panic!("{other:?}"),
    }
}

fn update(text: &str) -> Update {
    match captured(text, &EXTERNAL) {
        Received::Update(decoded) => {
            assert_eq!(decoded.faults, []);
            decoded.update
        }
        other @ (Received::Open(_)
        | Received::Notification(_)
        | Received::Keepalive
        | Received::RouteRefresh(_)) => panic!("{other:?}"),
    }
}

#[test]
fn opens() {
    // One parameter a capability; the old code for route refresh, add-path and its own name too.
    let frr = open(
        "007e 01 04fc0100b40a090002 61 02060104000100010206010400020001020280000202020002024600
         020641040000fc01020206000203090100020a4508000101010002010102064904027231000 20c400ac078
         00010100000201000210470e0001018000000000020180000000",
    );
    assert_eq!((frr.asn(), frr.hold_time), (64513, 180));
    assert_eq!(frr.families(), Some(Families::Both));
    assert_eq!(frr.roles().collect::<Vec<_>>(), [Role::Provider]);
    let restart = frr.graceful_restart().unwrap();
    assert!(restart.restarted && restart.notification);
    assert_eq!(restart.time.as_secs(), 120);
    assert_eq!(restart.families.len(), 2);
    assert!(frr.has(&Capability::EnhancedRouteRefresh) && frr.has(&Capability::ExtendedMessage));
    let unknown = frr.capabilities.iter().filter_map(|capability| {
        if let Capability::Other { code, .. } = capability {
            Some(*code)
        } else {
            None
        }
    });
    assert_eq!(unknown.collect::<Vec<_>>(), [128, 69, 73, 71]);
    let bird = open(
        "0045 01 04fc0100f00a090002 28 0226 010400010001 010400020001 0200 0600
         400a007800010100 00020100 41040000fc01 4600 4700",
    );
    assert_eq!((bird.asn(), bird.hold_time), (64513, 240));
    assert_eq!(bird.identifier, Ipv4Addr::new(10, 9, 0, 2));
    assert!(!bird.graceful_restart().unwrap().restarted);
}

#[test]
fn updates() {
    let frr = update(
        "003e 02 0000 0023 40010100 5002000602010000fc01 40030 40a090002 80040400000000
         c023040000fc01 18cb0071",
    );
    assert_eq!(frr.announced, [prefix("203.0.113.0/24")]);
    assert_eq!(frr.attributes.as_path, Some(AsPath::sequence([64513])));
    assert_eq!(frr.attributes.next_hop, Some(Ipv4Addr::new(10, 9, 0, 2)));
    assert_eq!(frr.attributes.med, Some(0));
    assert_eq!(frr.attributes.only_to_customer, Some(64513));
    let bird = update("002f 02 0000 0014 40010100 40020602010000fc01 4003040a090002 18cb0071");
    assert_eq!(bird.announced, [prefix("203.0.113.0/24")]);
    let gone = update("001c 02 0005 20c0a8012b 0000");
    assert_eq!(gone.withdrawn, [prefix("192.168.1.43/32")]);
    let gone = update("002f 02 0000 0018 900f00140002018020010db800000000000000000000012b");
    let gone: Vec<_> = gone.unreachable().collect();
    assert_eq!(gone, [prefix("2001:db8::12b/128")]);
}

#[test]
fn markers_and_refreshes() {
    assert_eq!(
        update("0017 02 0000 0000").is_end_of_rib(),
        Some(Family::Ipv4)
    );
    let ipv6 = update("001d 02 0000 0006 800f03000201");
    assert_eq!(ipv6.is_end_of_rib(), Some(Family::Ipv6));
    for (text, family) in [
        ("0017 05 00010001", Family::Ipv4),
        ("0017 05 00020001", Family::Ipv6),
    ] {
        let expected = RouteRefresh {
            family: family.into(),
            subtype: RefreshKind::Request,
        };
        assert_eq!(captured(text, &EXTERNAL), Received::RouteRefresh(expected));
    }
}
