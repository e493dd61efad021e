use super::*;
use crate::event::manifest::{custom, facts, problems};

fn check_backend(text: &str, backend: Backend, expected: &[&str]) {
    let facts = facts(text);
    assert_eq!(problems(&facts), Vec::<String>::new(), "{text}");
    let said: Vec<_> = check(&facts, backend)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said, expected, "{backend}: {text}");
}

fn peer(name: &str, spec: &str) -> String {
    custom("BGPPeer", name, &format!("myASN: 64512, {spec}"))
}

/// Advertisements and communities, and what native refuses of them.
fn advertisements() -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    let pools = [
        custom("IPAddressPool", "four", "addresses: [10.0.0.0/24]"),
        custom("IPAddressPool", "six", "addresses: ['fd00::/64']"),
    ]
    .join("\n---\n");
    let specs = [
        ("ipAddressPools: [four]", vec![]),
        (
            "",
            vec!["BGPAdvertisement m/a: spec.ipAddressPools: pool \"six\" has IPv6 addresses, which \
                  are not supported on native bgp mode".to_owned()],
        ),
        (
            "ipAddressPools: [four], communities: ['1:2', 'large:1:2:3']",
            vec!["BGPAdvertisement m/a: spec.communities: large community large:1:2:3 is not \
                  supported on native bgp mode".to_owned()],
        ),
    ];
    for (spec, expected) in specs {
        let text = format!("{pools}\n---\n{}", custom("BGPAdvertisement", "a", spec));
        rows.push((text, expected));
    }
    rows.push((
        custom(
            "Community",
            "c",
            "communities: [{name: x, value: 'large:1:2:3'}]",
        ),
        vec![
            "Community m/c: spec.communities: large community large:1:2:3 is not supported on \
              native bgp mode"
                .to_owned(),
        ],
    ));
    rows
}

/// What native refuses, FRR takes.
#[test]
fn native_refuses() {
    let good = "peerASN: 1, peerAddress: 10.0.0.1";
    let fields = [
        ("keepaliveTime", "holdTime: 9s, keepaliveTime: 3s"),
        ("vrf", "vrf: red"),
        ("connectTime", "connectTime: 3s"),
        ("enableGracefulRestart", "enableGracefulRestart: true"),
        ("disableMP", "disableMP: true"),
        ("dualStackAddressFamily", "dualStackAddressFamily: true"),
        ("localASN", "localASN: 5"),
    ];
    let mut rows = vec![
        (peer("p", good), vec![]),
        (
            peer("p", &format!("{good}, holdTime: 0s, keepaliveTime: 0s")),
            vec![],
        ),
        (
            peer("p", &format!("{good}, holdTime: 9s, disableMP: false")),
            vec![],
        ),
        (
            peer("p", "dynamicASN: external, peerAddress: 10.0.0.1"),
            vec![
                "BGPPeer m/p: spec.dynamicASN: peer 10.0.0.1 has dynamicASN set on native bgp mode"
                    .to_owned(),
            ],
        ),
        (
            peer("p", "peerASN: 1, interface: eth0"),
            vec![
                "BGPPeer m/p: spec.interface: peer eth0 has interface set on native bgp mode"
                    .to_owned(),
            ],
        ),
        (
            [
                custom("BFDProfile", "b", ""),
                peer("p", &format!("{good}, bfdProfile: b")),
            ]
            .join("\n---\n"),
            vec![
                "BGPPeer m/p: spec.bfdProfile: peer 10.0.0.1 has bfdProfile set on native bgp mode"
                    .to_owned(),
                "BFDProfile m/b: BFD profiles are not supported on native bgp mode".to_owned(),
            ],
        ),
    ];
    for (field, spec) in fields {
        rows.push((
            peer("p", &format!("{good}, {spec}")),
            vec![format!(
                "BGPPeer m/p: spec.{field}: peer 10.0.0.1 has {field} set on native bgp mode"
            )],
        ));
    }
    rows.extend(advertisements());
    for (text, expected) in rows {
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_backend(&text, Backend::Native, &expected);
        check_backend(&text, Backend::Frr, &[]);
        check_backend(&text, Backend::FrrK8s, &[]);
    }
}

/// Pairs of peers `p` and `q`, with nodes `one` and `two`.
#[test]
fn frr_refuses_pairs_on_one_node() {
    let at = |name: &str, spec: &str| custom("BGPPeer", name, &format!("peerASN: 9, {spec}"));
    let one = "nodeSelectors: [{matchLabels: {n: a}}]";
    let two = "nodeSelectors: [{matchLabels: {n: b}}]";
    let exists =
        "already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node";
    let base = "myASN: 1, peerAddress: 10.0.0.1";
    let other = "myASN: 1, peerAddress: 10.0.0.2";
    let rows = [
        (base.to_owned(), other.to_owned(), vec![]),
        (
            base.to_owned(),
            format!("{base}, peerPort: 1790"),
            vec![format!("BGPPeer m/q: spec.peerAddress: peer 10.0.0.1 {exists}")],
        ),
        (format!("{base}, {one}"), format!("{base}, {two}"), vec![]),
        (base.to_owned(), format!("{base}, vrf: red"), vec![]),
        (
            format!("{base}, vrf: red"),
            format!("{base}, vrf: red, sourceAddress: 10.0.0.9"),
            vec![format!("BGPPeer m/q: spec.peerAddress: peer 10.0.0.1-red {exists}")],
        ),
        (
            "myASN: 1, interface: eth0".to_owned(),
            "myASN: 1, interface: eth0, peerPort: 1790".to_owned(),
            vec![format!("BGPPeer m/q: spec.interface: peer eth0 {exists}")],
        ),
        (
            format!("{base}, routerID: 1.1.1.1"),
            other.to_owned(),
            vec!["BGPPeer m/q: spec.routerID: peer 10.0.0.2 has router ID none, peer 10.0.0.1 on the \
                  same node has 1.1.1.1: FRR mode needs one".to_owned()],
        ),
        (
            base.to_owned(),
            "myASN: 2, peerAddress: 10.0.0.2".to_owned(),
            vec!["BGPPeer m/q: spec.myASN: peer 10.0.0.2 has myASN 2, peer 10.0.0.1 on the same node \
                  and VRF has 1: FRR mode needs one".to_owned()],
        ),
        (base.to_owned(), "myASN: 2, peerAddress: 10.0.0.2, vrf: red".to_owned(), vec![]),
    ];
    let nodes = "kind: Node\nmetadata: {name: one, labels: {n: a}}\n---\nkind: Node\nmetadata: \
                 {name: two, labels: {n: b}}";
    for (p, q, expected) in rows {
        let text = [nodes.to_owned(), at("p", &p), at("q", &q)].join("\n---\n");
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_backend(&text, Backend::Frr, &expected);
        check_backend(&text, Backend::FrrK8s, &expected);
    }
    // With no node known any two may meet.
    let text = [
        at("p", &format!("{base}, {one}")),
        at("q", &format!("{base}, {two}")),
    ]
    .join("\n---\n");
    let expected = format!("BGPPeer m/q: spec.peerAddress: peer 10.0.0.1 {exists}");
    check_backend(&text, Backend::Frr, &[&expected]);
}

#[test]
fn names_of_backends() {
    for backend in Backend::ALL {
        assert_eq!(backend.to_string().parse(), Ok(backend));
    }
    let error = "FRR".parse::<Backend>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown BGP backend \"FRR\" (native, frr or frr-k8s)"
    );
}
