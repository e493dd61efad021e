use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn raw() -> RawLink {
    RawLink {
        index: 2,
        name: "eth0".into(),
        mac: Some(MAC),
        up: true,
        broadcast: true,
        noarp: false,
        loopback: false,
        has_master: false,
        addresses: vec![
            ("192.168.1.1".parse().unwrap(), 24),
            ("2001:db8::1".parse().unwrap(), 64),
            ("fe80::1".parse().unwrap(), 64),
        ],
    }
}

fn check(change: impl FnOnce(&mut RawLink), want: Result<Speaks, Ineligible>) {
    let mut link = raw();
    change(&mut link);
    let got = eligibility(&link, |name| name.starts_with("veth")).map(|link| link.speaks);
    assert_eq!(got, want, "{link:?}");
}

#[test]
fn what_an_interface_is_used_for() {
    let link_local = "fe80::1".parse().unwrap();
    check(|_| {}, Ok(Speaks::Both(link_local)));
    check(|l| l.addresses.clear(), Ok(Speaks::Arp));
    check(|l| l.broadcast = false, Ok(Speaks::Ndp(link_local)));
    check(
        |l| {
            l.broadcast = false;
            l.addresses.truncate(2);
        },
        Err(Ineligible::NeitherFamily),
    );
    check(|l| l.name = "veth1".into(), Err(Ineligible::Excluded));
    check(|l| l.loopback = true, Err(Ineligible::Loopback));
    check(|l| l.up = false, Err(Ineligible::Down));
    check(|l| l.has_master = true, Err(Ineligible::HasMaster));
    check(|l| l.noarp = true, Err(Ineligible::NoArp));
    check(|l| l.mac = None, Err(Ineligible::NoMac));
    check(|l| l.mac = Some(Mac::ZERO), Err(Ineligible::NoMac));
}

#[test]
fn macs_of_unused_interfaces_are_known_too() {
    let down = RawLink {
        index: 3,
        up: false,
        mac: Some(Mac([2; 6])),
        ..raw()
    };
    let links = Links::of(&[raw(), down], |_| false);
    assert_eq!(links.usable.len(), 1);
    assert_eq!(links.macs, BTreeSet::from([MAC, Mac([2; 6])]));
}

#[test]
fn the_longest_prefix_gives_the_sender() {
    let mut link = eligibility(&raw(), |_| false).unwrap();
    link.addresses.push(("192.168.0.7".parse().unwrap(), 16));
    let rows = [
        ("192.168.1.9", "192.168.1.1"),
        ("192.168.1.129", "192.168.1.1"),
        ("192.168.2.9", "192.168.0.7"),
        ("10.0.0.1", "0.0.0.0"),
    ];
    for (ip, sender) in rows {
        let got = link.sender_for(ip.parse().unwrap());
        assert_eq!(got, sender.parse::<Ipv4Addr>().unwrap(), "{ip}");
    }
    assert_eq!(
        link.prefix_of("2001:db8::9".parse().unwrap()).unwrap().1,
        64
    );
    assert_eq!(link.prefix_of("2001:db8:1::9".parse().unwrap()), None);
    link.addresses.push(("0.0.0.0".parse().unwrap(), 0));
    assert!(link.prefix_of("8.8.8.8".parse().unwrap()).is_some());
}

#[test]
fn families_by_what_is_spoken() {
    let ll = "fe80::1".parse().unwrap();
    let rows = [
        (Speaks::Arp, true, false),
        (Speaks::Ndp(ll), false, true),
        (Speaks::Both(ll), true, true),
    ];
    for (speaks, v4, v6) in rows {
        let link = Link {
            speaks,
            ..eligibility(&raw(), |_| false).unwrap()
        };
        assert_eq!(link.speaks_for("192.0.2.1".parse().unwrap()), v4);
        assert_eq!(link.speaks_for("2001:db8::1".parse().unwrap()), v6);
        assert_eq!(link.link_local().is_some(), v6);
    }
}
