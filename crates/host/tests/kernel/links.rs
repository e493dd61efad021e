//! [`LinkMonitor`]: the first snapshot, events, and losing events.

use std::net::IpAddr;

use corten_host::netlink::{Link, LinkMonitor, Scope};

use crate::netns::{Netns, cable};

/// The link of that name.
fn named<'a>(links: &'a [Link], name: &str) -> Option<&'a Link> {
    links.iter().find(|link| link.name == name)
}

/// Follows until `wanted` is so.
async fn until(monitor: &mut LinkMonitor, wanted: impl Fn(&[Link]) -> bool) -> Vec<Link> {
    loop {
        let links = monitor.next().await.unwrap();
        if wanted(&links) {
            return links;
        }
    }
}

#[test]
fn the_first_snapshot_has_everything() {
    let (near, _far) = cable();
    near.ip("address add 192.0.2.1/24 dev near");
    near.ip("address add 2001:db8::1/64 dev near nodad");
    near.ip("link add name br0 type bridge");
    near.ip("link add name member type veth peer name member2");
    near.ip("link set member master br0");
    near.ip("link add name quiet type veth peer name quiet2");
    near.ip("link set quiet arp off");
    near.run(|| async {
        let links = LinkMonitor::new().unwrap().next().await.unwrap();
        assert!(links.is_sorted_by_key(|link| link.index));
        let lo = named(&links, "lo").unwrap();
        assert!(lo.loopback && lo.up && lo.carrier && !lo.broadcast && !lo.ethernet);
        let cable = named(&links, "near").unwrap();
        assert_eq!(cable.mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(cable.kind.as_deref(), Some("veth"));
        assert!(cable.ethernet && cable.up && cable.carrier && cable.broadcast);
        assert!(!cable.loopback && !cable.noarp && cable.has_usable_link_local());
        let global: Vec<_> = cable
            .addresses
            .iter()
            .filter(|address| address.scope == Scope::Global)
            .map(|address| (address.ip.to_string(), address.prefix_len, address.expires))
            .collect();
        assert_eq!(
            global,
            [
                ("192.0.2.1".to_owned(), 24, false),
                ("2001:db8::1".to_owned(), 64, false)
            ]
        );
        let bridge = named(&links, "br0").unwrap();
        assert_eq!(bridge.kind.as_deref(), Some("bridge"));
        assert!(!bridge.up && !bridge.carrier);
        assert_eq!(named(&links, "member").unwrap().master, Some(bridge.index));
        assert!(named(&links, "quiet").unwrap().noarp);
    });
}

#[test]
fn changes_are_followed() {
    let netns = Netns::new();
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        assert!(named(&monitor.next().await.unwrap(), "late").is_none());

        netns.ip("link add late type veth peer name other");
        let links = until(&mut monitor, |links| named(links, "late").is_some()).await;
        assert!(!named(&links, "late").unwrap().up);

        netns.ip("link set late up");
        until(&mut monitor, |links| {
            named(links, "late").is_some_and(|l| l.up && !l.carrier)
        })
        .await;
        netns.ip("link set other up");
        until(&mut monitor, |links| {
            named(links, "late").is_some_and(|l| l.carrier)
        })
        .await;

        netns.ip("link set late address 02:00:00:00:00:33");
        until(&mut monitor, |links| {
            named(links, "late").unwrap().mac == Some([2, 0, 0, 0, 0, 0x33])
        })
        .await;

        netns.ip("address add 192.0.2.9/32 dev late");
        let has = |links: &[Link]| {
            let ip: IpAddr = "192.0.2.9".parse().unwrap();
            named(links, "late").is_some_and(|l| l.addresses.iter().any(|a| a.ip == ip))
        };
        until(&mut monitor, has).await;
        netns.ip("address del 192.0.2.9/32 dev late");
        until(&mut monitor, |links| !has(links)).await;

        netns.ip("link set late down");
        until(&mut monitor, |links| {
            named(links, "late").is_some_and(|l| !l.up)
        })
        .await;
        netns.ip("link set late name early");
        until(&mut monitor, |links| named(links, "early").is_some()).await;
        netns.ip("link del early");
        until(&mut monitor, |links| named(links, "early").is_none()).await;
    });
}

#[test]
fn leaving_a_bridge_is_not_leaving_the_host() {
    let netns = Netns::new();
    netns.ip("link add name br0 type bridge");
    netns.ip("link add name member type veth peer name member2");
    netns.ip("link set member master br0");
    netns.ip("address add 192.0.2.3/32 dev member");
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        monitor.next().await.unwrap();
        netns.ip("link set member nomaster");
        // The marker comes after every event of the change.
        netns.ip("link add name marker type bridge");
        let links = until(&mut monitor, |links| named(links, "marker").is_some()).await;
        let member = named(&links, "member").unwrap();
        assert_eq!(member.master, None);
        // Had it been taken for gone, so would its address.
        assert_eq!(member.addresses.len(), 1);
    });
}

#[test]
fn a_tentative_link_local_address_is_not_usable_yet() {
    let netns = Netns::new();
    netns.ip("link add name nic type veth peer name jack");
    // Two seconds at least.
    netns.enter(|| std::fs::write("/proc/sys/net/ipv6/conf/nic/dad_transmits", "2").unwrap());
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        netns.ip("link set jack up");
        netns.ip("link set nic up");
        let up = |links: &[Link]| named(links, "nic").is_some_and(|nic| nic.carrier);
        until(&mut monitor, up).await;
        // The kernel sends no event for a tentative address, but lists it.
        let links = LinkMonitor::new().unwrap().next().await.unwrap();
        let nic = named(&links, "nic").unwrap();
        assert!(nic.addresses[0].tentative && !nic.addresses[0].is_usable());
        assert!(!nic.has_usable_link_local());
        let usable = |links: &[Link]| named(links, "nic").unwrap().has_usable_link_local();
        until(&mut monitor, usable).await;
    });
}

#[test]
fn many_changes_make_one_snapshot() {
    let netns = Netns::new();
    netns.ip("link add name nic type bridge");
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        monitor.next().await.unwrap();
        for last in 1..=50 {
            netns.ip(&format!("address add 10.0.0.{last}/32 dev nic"));
        }
        let links = monitor.next().await.unwrap();
        assert_eq!(named(&links, "nic").unwrap().addresses.len(), 50);
    });
}

#[test]
fn lost_events_lead_to_a_full_reading() {
    let netns = Netns::new();
    netns.ip("link add name nic type bridge");
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        monitor.next().await.unwrap();
        // More events than the smallest buffer holds, none read meanwhile.
        socket2::SockRef::from(&monitor)
            .set_recv_buffer_size(1)
            .unwrap();
        for last in 1..=50 {
            netns.ip(&format!("address add 10.0.0.{last}/32 dev nic"));
        }
        let links = monitor.next().await.unwrap();
        assert_eq!(named(&links, "nic").unwrap().addresses.len(), 50);
        netns.ip("link del nic");
        until(&mut monitor, |links| named(links, "nic").is_none()).await;
    });
}
