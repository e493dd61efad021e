//! [`SolicitedNodeGroups`]: what the kernel has joined.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use corten_host::groups::{GroupError, SolicitedNodeGroups};
use corten_host::netlink::LinkMonitor;

use crate::netns::{Netns, cable};

/// Ours: `2001:db8::70:0000` and a number, which shares no group with the interfaces' addresses.
fn target(number: u32) -> Ipv6Addr {
    let base = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x70, 0));
    Ipv6Addr::from(base + u128::from(number))
}

/// The solicited-node groups of our targets that the kernel has joined on the interface.
fn joined(netns: &Netns, interface: &str) -> BTreeSet<String> {
    let text = netns.enter(|| std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap());
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| {
            fields[1] == interface && fields[2].starts_with("ff0200000000000000000001ff70")
        })
        .map(|fields| fields[2].to_owned())
        .collect()
}

#[test]
fn join_share_and_leave() {
    let (near, _far) = cable();
    let index = near.index("near");
    let before = joined(&near, "near");
    let ours = |count: usize| assert_eq!(joined(&near, "near").len(), before.len() + count);
    near.enter(|| {
        let mut groups = SolicitedNodeGroups::new();
        groups.join(index, target(7)).unwrap();
        assert!(joined(&near, "near").contains("ff0200000000000000000001ff700007"));
        assert!(
            near.ip("maddress show dev near")
                .contains("33:33:ff:70:00:07")
        );
        // The same last 24 bits: the same group.
        groups.join(index, target(0x0100_0007)).unwrap();
        assert_eq!((groups.len(), groups.sockets()), (1, 1));
        groups.join(index, target(8)).unwrap();
        ours(2);
        groups.leave(index, target(7));
        ours(2);
        groups.leave(index, target(0x0100_0007));
        ours(1);
        groups.leave(index, target(9));
        groups.leave(index, target(8));
        ours(0);
        assert!(groups.is_empty());
        assert_eq!(groups.sockets(), 0);
    });
}

#[test]
fn ten_thousand_groups_on_one_interface() {
    let (near, _far) = cable();
    let index = near.index("near");
    let before = joined(&near, "near").len();
    near.enter(|| {
        let mut groups = SolicitedNodeGroups::new();
        for number in 0..10_000 {
            groups.join(index, target(number)).unwrap();
        }
        assert_eq!(joined(&near, "near").len(), before + 10_000);
        for number in 0..10_000 {
            groups.leave(index, target(number));
        }
        assert_eq!(joined(&near, "near").len(), before);
        assert_eq!(groups.sockets(), 0);
    });
}

#[test]
fn a_full_socket_is_followed_by_another() {
    let (near, _far) = cable();
    let index = near.index("near");
    // A namespace has a limit of its own since Linux 6.8.
    let limit = "/proc/sys/net/core/optmem_max";
    near.enter(|| {
        std::fs::write(limit, "4096").unwrap();
        let mut groups = SolicitedNodeGroups::new();
        for number in 0..500 {
            groups.join(index, target(number)).unwrap();
        }
        assert!(groups.sockets() > 1, "{}", groups.sockets());
        assert_eq!(joined(&near, "near").len(), 500);
        // Room that becomes free is used again.
        let sockets = groups.sockets();
        for number in 0..100 {
            groups.leave(index, target(number));
            groups.join(index, target(1000 + number)).unwrap();
        }
        assert_eq!(groups.sockets(), sockets);
        for number in (100..500).chain(1000..1100) {
            groups.leave(index, target(number));
        }
        assert_eq!(groups.sockets(), 0);
    });
}

#[test]
fn dropping_leaves_everything() {
    let (near, _far) = cable();
    let index = near.index("near");
    let before = joined(&near, "near");
    near.enter(|| {
        let mut groups = SolicitedNodeGroups::new();
        groups.join(index, target(1)).unwrap();
        assert_ne!(joined(&near, "near"), before);
        drop(groups);
        assert_eq!(joined(&near, "near"), before);
    });
}

#[test]
fn an_interface_that_comes_back_under_its_number_is_joined_again() {
    let netns = Netns::new();
    let make = || {
        netns.ip("link add name nic index 40 type bridge");
        netns.ip("link set nic up");
    };
    make();
    netns.enter(|| {
        let mut groups = SolicitedNodeGroups::new();
        groups.join(40, target(0x1111)).unwrap();
        groups.join(40, target(0x2222)).unwrap();
        groups.join(1, target(0x3333)).unwrap();
        netns.ip("link del nic");
        assert!(matches!(
            groups.join(40, target(0x4444)),
            Err(GroupError::NoInterface { interface: 40, .. })
        ));
        make();
        assert!(!joined(&netns, "nic").contains("ff0200000000000000000001ff701111"));
        groups.rejoin(40).unwrap();
        for group in [
            "ff0200000000000000000001ff701111",
            "ff0200000000000000000001ff702222",
        ] {
            assert!(joined(&netns, "nic").contains(group), "{group}");
        }
        netns.ip("link del nic");
        assert!(matches!(
            groups.rejoin(40),
            Err(GroupError::NoInterface { .. })
        ));
        assert_eq!(groups.len(), 1);
        groups.forget(1);
        assert_eq!((groups.len(), groups.sockets()), (0, 0));
    });
}

#[test]
fn memberships_survive_down_and_up() {
    let (near, _far) = cable();
    let index = near.index("near");
    near.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        let mut until_usable = async |wanted: bool| {
            while monitor
                .next()
                .await
                .unwrap()
                .iter()
                .any(|link| link.index == index && link.has_usable_link_local() != wanted)
            {
            }
        };
        until_usable(true).await;
        let mut groups = SolicitedNodeGroups::new();
        groups.join(index, target(7)).unwrap();
        near.ip("link set near down");
        until_usable(false).await;
        near.ip("link set near up");
        until_usable(true).await;
        let filter = near.ip("maddress show dev near");
        assert!(filter.contains("33:33:ff:70:00:07"), "{filter}");
    });
}
