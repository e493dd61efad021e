use super::*;
use crate::event::manifest::{apply, check_problems, custom, facts, listed};
use crate::event::{Event, Object};
use crate::facts::{Facts, Origin};
use crate::rejection::ObjectRef;

/// A good peer but for `spec`.
fn peer(spec: &str) -> String {
    let mut fields = vec![spec];
    for field in ["myASN: 64512", "peerASN: 64513", "peerAddress: 10.0.0.1"] {
        let name = field.split(':').next().unwrap_or_default();
        if !spec.contains(&format!("{name}:")) {
            fields.push(field);
        }
    }
    fields.retain(|field| !field.is_empty());
    custom("BGPPeer", "p", &fields.join(", "))
}

/// What is set on a good peer, and what is wrong then.
const REJECTED: &[(&str, &[&str])] = &[
    ("", &[]),
    ("myASN: 0", &["spec.myASN: 0 is not a valid AS number"]),
    (
        "localASN: 0",
        &["spec.localASN: 0 is not a valid AS number"],
    ),
    (
        "peerASN: 0",
        &["spec.peerASN: one of peerASN and dynamicASN is needed"],
    ),
    (
        "dynamicASN: external",
        &["spec.dynamicASN: peerASN and dynamicASN are mutually exclusive"],
    ),
    ("peerASN: 0, dynamicASN: internal", &[]),
    (
        "peerASN: 0, dynamicASN: both",
        &["spec.dynamicASN: \"both\" is neither internal nor external"],
    ),
    (
        "myASN: 1, peerASN: 1, ebgpMultiHop: true",
        &["spec.ebgpMultiHop: ebgpMultiHop needs a peer of another AS than myASN"],
    ),
    (
        "peerAddress: ''",
        &["spec.peerAddress: one of peerAddress and interface is needed"],
    ),
    (
        "interface: eth0",
        &["spec.interface: peerAddress and interface are mutually exclusive"],
    ),
    ("peerAddress: '', interface: eth0", &[]),
    (
        "peerAddress: 10.0.0",
        &["spec.peerAddress: invalid BGPPeer address \"10.0.0\""],
    ),
    (
        "routerID: '1.2.3'",
        &["spec.routerID: invalid router ID \"1.2.3\""],
    ),
    (
        "routerID: 'fd00::1'",
        &["spec.routerID: invalid router ID \"fd00::1\""],
    ),
    (
        "sourceAddress: x",
        &["spec.sourceAddress: invalid source address \"x\""],
    ),
    (
        "peerPort: 16385",
        &["spec.peerPort: 16385 is not between 1 and 16384"],
    ),
    (
        "holdTime: 2s",
        &["spec.holdTime: invalid hold time 2s: must be 0 or at least 3s"],
    ),
    (
        "holdTime: 2900ms",
        &["spec.holdTime: invalid hold time 2s: must be 0 or at least 3s"],
    ),
    ("holdTime: 0s", &[]),
    (
        "holdTime: 65536s",
        &["spec.holdTime: invalid hold time 65536s: BGP has room for 65535s"],
    ),
    (
        "holdTime: 9s, keepaliveTime: 10s",
        &["spec.keepaliveTime: keepalive time 10s is longer than hold time 9s"],
    ),
    (
        "holdTime: soon",
        &["spec.holdTime: duration \"soon\": expected a number followed by a unit, such as 10s"],
    ),
    (
        "keepaliveTime: -3s",
        &["spec.keepaliveTime: duration \"-3s\": must not be negative"],
    ),
    (
        "connectTime: 0s",
        &["spec.connectTime: connect time should be between 1 seconds to 65535"],
    ),
    (
        "connectTime: 65536s",
        &["spec.connectTime: connect time should be between 1 seconds to 65535"],
    ),
    (
        "connectTime: 1500ms",
        &["spec.connectTime: connect time should be a whole number of seconds"],
    ),
    (
        "password: x, passwordSecret: {name: s}",
        &["spec.passwordSecret: password and passwordSecret are mutually exclusive"],
    ),
    ("password: x, passwordSecret: {namespace: s}", &[]),
    (
        "passwordSecret: {name: s}",
        &[
            "spec.passwordSecret: parsing peer p secret ref not found for peer config \
               \"m\"/\"p\"\nfailed to parse peer p password secret",
        ],
    ),
    (
        "bfdProfile: b",
        &["spec.bfdProfile: peer p referencing non existing bfd profile b"],
    ),
    (
        "nodeSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]",
        &["spec.nodeSelectors[1]: duplicate definition of label selector \"a=b\""],
    ),
    (
        "nodeSelectors: [{matchExpressions: [{key: a, operator: In}]}]",
        &[
            "spec.nodeSelectors[0].matchExpressions[0].values: operator In needs at least one \
               value",
        ],
    ),
];

#[test]
fn what_a_peer_is_rejected_for() {
    for (spec, expected) in REJECTED {
        check_problems(&peer(spec), "BGPPeer m/p", expected);
    }
}

#[test]
fn one_timer_says_the_other() {
    let set = |hold, keepalive| Timers::Set {
        hold: Duration::from_millis(hold),
        keepalive: Duration::from_millis(keepalive),
    };
    let rows = [
        ("", Timers::Default),
        ("holdTime: 90s", set(90_000, 30_000)),
        ("keepaliveTime: 10s", set(30_000, 10_000)),
        ("holdTime: 10s, keepaliveTime: 1s", set(10_000, 1_000)),
        ("holdTime: 4500ms", set(4_000, 1_500)),
        ("holdTime: 0s", set(0, 0)),
    ];
    for (spec, expected) in rows {
        assert_eq!(
            facts(&peer(spec)).config.bgp.peers["p"].timers,
            expected,
            "{spec}"
        );
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let facts = facts(&peer("peerPort: 0"));
    let expected = Peer {
        name: "p".to_owned(),
        my_asn: 64512,
        peer_asn: PeerAsn::Number(64513),
        local_asn: None,
        remote: Remote::Address(Ipv4Addr::new(10, 0, 0, 1).into()),
        source: None,
        port: 179,
        timers: Timers::Default,
        connect_time: None,
        router_id: None,
        nodes: Selectors::Everything,
        password: Password::None,
        secret: None,
        bfd: Bfd::Off,
        graceful_restart: false,
        multihop: false,
        vrf: None,
        disable_mp: false,
        dual_stack: false,
        wire: PeerWire::default(),
    };
    assert_eq!(facts.config.bgp.peers["p"], expected);
}

/// What a Secret has in it, and what comes of that.
#[test]
fn passwords_in_secrets() {
    let id = |namespace: &str| Id {
        name: "s".to_owned(),
        namespace: namespace.to_owned(),
    };
    let listed = |content| Secrets::Listed([(id("m"), content)].into());
    let written = || SecretContent::Password("x".to_owned());
    let missing = "parsing peer p secret ref not found for peer config \"m\"/\"p\"";
    let end = "\nfailed to parse peer p password secret";
    let awaited = Password::Awaited {
        secret: "s".to_owned(),
    };
    let rows = [
        (Secrets::default(), Ok(awaited)),
        (
            Secrets::Listing([(id("m"), written())].into()),
            Ok(Password::Text("x".to_owned())),
        ),
        (
            Secrets::Listed([(id("elsewhere"), written())].into()),
            Err(format!("{missing}{end}")),
        ),
        (
            Secrets::Listed(BTreeMap::new()),
            Err(format!("{missing}{end}")),
        ),
        (
            listed(SecretContent::Password("x".to_owned())),
            Ok(Password::Text("x".to_owned())),
        ),
        (
            listed(SecretContent::OtherType),
            Err(format!(
                "parsing peer p secret type mismatch on \"m\"/\"s\", type \
                 \"kubernetes.io/basic-auth\" is expected {end}"
            )),
        ),
        (
            listed(SecretContent::NoPassword),
            Err(format!(
                "parsing peer p secret \"m\"/\"s\" has no key \"password\"{end}"
            )),
        ),
    ];
    let Some(Event::Apply(Object::BGPPeer(object))) =
        apply(&peer("passwordSecret: {name: s, namespace: elsewhere}")).pop()
    else {
        panic!("no peer");
    };
    assert_eq!(secret(&object.spec), Some("s"));
    let id = Id::from(ObjectRef::new(Kind::BGPPeer, "m", "p"));
    for (secrets, expected) in rows {
        let password = password(&id, &object.spec, &secrets).map_err(|fault| fault.cause);
        assert_eq!(password, expected);
        assert!(
            !format!("{secrets:?} {password:?}").contains("\"x\""),
            "a password is shown"
        );
    }
}

#[test]
fn secrets_are_awaited_until_listed() {
    let mut facts = Facts::new(Origin::Kubernetes);
    facts.handle(apply(&peer("passwordSecret: {name: s}")));
    assert!(facts.problems().is_empty());
    facts.handle(listed());
    assert_eq!(facts.problems().len(), 1);
    assert!(facts.config.bgp.peers.is_empty(), "never was good");
}

#[test]
fn a_peer_whose_profile_went_keeps_it() {
    let text = format!(
        "{}\n---\n{}",
        custom("BFDProfile", "b", ""),
        peer("bfdProfile: b")
    );
    let mut facts = facts(&text);
    let before = facts.config.bgp.peers.clone();
    assert!(matches!(before["p"].bfd, Bfd::On { .. }));
    facts.handle(vec![Event::Delete(ObjectRef::new(
        Kind::BFDProfile,
        "m",
        "b",
    ))]);
    assert_eq!(facts.config.bgp.peers, before);
    let [problem] = facts.problems() else {
        panic!("{:?}", facts.problems());
    };
    assert_eq!(
        problem.cause,
        "peer p referencing non existing bfd profile b"
    );
}

#[test]
fn annotations_say_what_has_no_field() {
    let annotated = |value: &str| {
        let text = peer("").replace(
            "namespace: m",
            &format!("namespace: m, annotations: {{corten.io/bgp-ttl-security: {value:?}}}"),
        );
        facts(&text)
    };
    let read = annotated("3");
    assert_eq!(read.config.bgp.peers["p"].wire.ttl_security, Some(3));
    let refused = annotated("far");
    assert!(refused.config.bgp.peers.is_empty());
    let problem = refused.problems()[0].to_string();
    let field = "metadata.annotations[corten.io/bgp-ttl-security]";
    assert!(
        problem.contains(field) && problem.contains("\"far\""),
        "{problem}"
    );
}

/// A node with the label `n`.
fn node(name: &str, n: &str) -> String {
    format!("kind: Node\nmetadata: {{name: {name}, labels: {{n: {n}}}}}")
}

/// A peer of that name with the same address as every other.
fn twin(name: &str, more: &str) -> String {
    let base = "myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1";
    custom("BGPPeer", name, &format!("{base}{more}"))
}

#[test]
fn twins_on_one_node_are_refused() {
    let a = ", nodeSelectors: [{matchLabels: {n: a}}]";
    let b = ", nodeSelectors: [{matchLabels: {n: b}}]";
    // What the second one says beyond the first, whether there are nodes, and whether it is refused.
    let rows = [
        ("", "", true, true),
        ("", "", false, true),
        ("", ", peerPort: 1790", true, false),
        ("", ", sourceAddress: 10.0.0.9", true, false),
        ("", ", vrf: red", true, false),
        (a, a, true, true),
        (a, b, true, false),
        (a, b, false, false),
        (a, "", true, true),
    ];
    let said = "spec.peerAddress: peer 10.0.0.1 already exists, FRR mode doesn't support duplicate \
                BGPPeers selecting the same node";
    for (first, second, nodes, refused) in rows {
        let mut all = vec![twin("p", first), twin("q", second)];
        if nodes {
            all.extend([node("one", "a"), node("two", "b")]);
        }
        let expected: &[&str] = if refused { &[said] } else { &[] };
        check_problems(&all.join("\n---\n"), "BGPPeer m/q", expected);
    }
}

#[test]
fn of_twins_the_one_that_was_first_stays() {
    let a = ", nodeSelectors: [{matchLabels: {n: a}}]";
    let b = ", nodeSelectors: [{matchLabels: {n: b}}]";
    let all = [
        twin("p", a),
        twin("q", b),
        node("one", "a"),
        node("two", "b"),
    ];
    let mut facts = facts(&all.join("\n---\n"));
    let names = |facts: &Facts| facts.config.bgp.peers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&facts), ["p", "q"]);
    // Both were there: the first by name stays while they meet, and both are back after.
    facts.handle(apply(
        "kind: Node\nmetadata: {name: one, labels: {n: a}}\n---\n\
         kind: Node\nmetadata: {name: two, labels: {n: a}}",
    ));
    facts.handle(apply(&twin("q", a)));
    assert_eq!(names(&facts), ["p", "q"], "q as it was, which meets nobody");
    assert_eq!(facts.problems().len(), 1);
    // A newcomer doesn't displace anybody by its name.
    facts.handle(apply(&twin("n", "")));
    assert_eq!(names(&facts), ["p", "q"]);
    assert_eq!(facts.problems().len(), 2);
    facts.handle(apply(&node("two", "b")));
    facts.handle(apply(&twin("q", b)));
    facts.handle(vec![Event::Delete(ObjectRef::new(Kind::BGPPeer, "m", "n"))]);
    assert_eq!(facts.problems().len(), 0);
}

#[test]
fn what_is_for_other_nodes_is_their_business() {
    let of = |host: &str| format!(", nodeSelectors: [{{matchLabels: {{n: {host}}}}}]");
    let nodes = [node("one", "a"), node("two", "b")].join("\n---\n");
    let both = "kind: Node\nmetadata: {name: one, labels: {n: a, m: c}}";
    let see = |name: &str, text: &str| {
        let mut facts = Facts::of_node(Origin::Kubernetes, name.into());
        let mut events = apply(&nodes);
        events.extend(apply(text));
        events.extend(listed());
        facts.handle(events);
        let problems = facts.problems().iter();
        let own = problems.filter(|p| facts.concerns(p)).count();
        (own, facts.config.bgp.peers.len())
    };
    // Twins on node one are no twins on node two.
    let right = ", nodeSelectors: [{matchLabels: {m: c}}]";
    let twins = [twin("p", &of("a")), twin("q", right), both.to_owned()].join("\n---\n");
    assert_eq!(see("one", &twins), (1, 1));
    assert_eq!(see("two", &twins), (0, 2));
    // What can't be used is told where it would be.
    let bad = twin("p", &format!("{}, routerID: x", of("a")));
    assert_eq!(see("one", &bad), (1, 0));
    assert_eq!(see("two", &bad), (0, 0));
    let advertisement = "communities: [nowhere], nodeSelectors: [{matchLabels: {n: b}}]";
    let bad = custom("BGPAdvertisement", "a", advertisement);
    assert_eq!(see("one", &bad).0, 0);
    assert_eq!(see("two", &bad).0, 1);
    // Anybody may be meant.
    let bad = custom(
        "BGPAdvertisement",
        "a",
        "nodeSelectors: [{matchExpressions: [{key: a, operator: X}]}]",
    );
    assert_eq!(see("one", &bad).0, 1);
    assert_eq!(
        see("elsewhere", &custom("IPAddressPool", "a", "addresses: [x]")).0,
        1
    );
}
