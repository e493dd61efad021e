use crate::event::manifest::{apply, check_problems, custom, facts, problems};
use crate::facts::Facts;

fn advertisement(spec: &str) -> String {
    custom("BGPAdvertisement", "a", spec)
}

#[test]
fn what_a_bgp_advertisement_is_rejected_for() {
    let exclusive = "serviceSelectors and aggregationLength are mutually exclusive: an aggregate \
                     would announce other Services too";
    let v4 = format!("spec.aggregationLength: {exclusive}");
    let v6 = format!("spec.aggregationLengthV6: {exclusive}");
    let (v4, v6) = (v4.as_str(), v6.as_str());
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        (
            "aggregationLength: 33",
            &["spec.aggregationLength: invalid aggregation length 33: must be 1 to 32"],
        ),
        (
            "aggregationLength: 0",
            &["spec.aggregationLength: invalid aggregation length 0: must be 1 to 32"],
        ),
        (
            "aggregationLengthV6: 129",
            &["spec.aggregationLengthV6: invalid aggregation length 129: must be 0 to 128"],
        ),
        ("aggregationLengthV6: 0", &[]),
        ("serviceSelectors: [{}], aggregationLength: 32", &[]),
        (
            "serviceSelectors: [{}], aggregationLength: 24, aggregationLengthV6: 64",
            &[v4, v6],
        ),
        (
            "ipAddressPools: [x, x]",
            &["spec.ipAddressPools[1]: duplicate definition of pool \"x\""],
        ),
        (
            "communities: ['1:2', '1:2']",
            &["spec.communities[1]: duplicate definition of community \"1:2\""],
        ),
        (
            "peers: [x, x]",
            &["spec.peers[1]: duplicate definition of peer \"x\""],
        ),
        (
            "communities: [gold]",
            &[
                "spec.communities[0]: invalid community format: gold\ninvalid community \"gold\" in \
               BGP advertisement",
            ],
        ),
        (
            "communities: ['1:99999']",
            &[
                "spec.communities[0]: invalid community format: 1:99999: \"99999\" is not a number \
               from 0 to 65535\ninvalid community \"1:99999\" in BGP advertisement",
            ],
        ),
    ];
    for (spec, expected) in rows {
        check_problems(&advertisement(spec), "BGPAdvertisement m/a", expected);
    }
}

/// Each list of selectors refuses one that is written twice, and one that selects nothing valid.
#[test]
fn selectors_a_bgp_advertisement_is_rejected_for() {
    for field in [
        "ipAddressPoolSelectors",
        "nodeSelectors",
        "serviceSelectors",
    ] {
        let rows = [
            (
                "[{matchLabels: {a: b}}, {matchLabels: {a: b}}]",
                "[1]: duplicate definition of label selector \"a=b\"",
            ),
            (
                "[{}, {}]",
                "[1]: duplicate definition of label selector \"\"",
            ),
            (
                "[{matchExpressions: [{key: a, operator: In}]}]",
                "[0].matchExpressions[0].values: operator In needs at least one value",
            ),
            (
                "[{}, {matchLabels: {'a b': c}}]",
                "[1].matchLabels: \"a b\" is not a valid label key",
            ),
        ];
        for (list, cause) in rows {
            let text = advertisement(&format!("{field}: {list}"));
            let cause = format!("spec.{field}{cause}");
            check_problems(&text, "BGPAdvertisement m/a", &[&cause]);
        }
    }
}

#[test]
fn an_aggregate_must_not_reach_beyond_its_pool() {
    let message = |field: &str, length: u8, prefix: u8, addresses: &str| {
        format!(
            "spec.{field}: invalid aggregation length {length}: prefix {prefix} in this pool is \
             more specific than the aggregation length for addresses {addresses} (pool \"x\")"
        )
    };
    let rows = [
        ("10.0.0.0/24", "aggregationLength: 24", vec![]),
        (
            "10.0.0.0/28",
            "aggregationLength: 26",
            vec![message("aggregationLength", 26, 28, "10.0.0.0/28")],
        ),
        // The widest part of a range is what counts.
        ("10.0.0.1-10.0.0.32", "aggregationLength: 28", vec![]),
        (
            "10.0.0.1-10.0.0.32",
            "aggregationLength: 27",
            vec![message("aggregationLength", 27, 28, "10.0.0.1-10.0.0.32")],
        ),
        (
            "'fd00::/80'",
            "aggregationLengthV6: 64",
            vec![message("aggregationLengthV6", 64, 80, "fd00::/80")],
        ),
        (
            "10.0.0.0/28",
            "aggregationLength: 26, ipAddressPools: [other]",
            vec![],
        ),
    ];
    for (addresses, spec, expected) in rows {
        let pool = custom("IPAddressPool", "x", &format!("addresses: [{addresses}]"));
        let text = format!("{pool}\n---\n{}", advertisement(spec));
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_problems(&text, "BGPAdvertisement m/a", &expected);
    }
}

#[test]
fn echo_mode_and_ipv6_dont_go_together() {
    let peer = "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: echo";
    let setting = [
        custom("BFDProfile", "echo", "echoMode: true"),
        custom("BGPPeer", "p", peer),
        custom("IPAddressPool", "four", "addresses: [10.0.0.0/24]"),
        custom("IPAddressPool", "six", "addresses: ['fd00::/64']"),
    ];
    let cause = "spec.peers: pool \"six\" has IPv6 addresses, but peer \"p\" uses a BFD profile \
                 with echo mode, which is IPv4 only";
    let rows: &[(&str, &[&str])] = &[
        ("", &[cause]),
        ("peers: [p]", &[cause]),
        ("peers: [q]", &[]),
        ("ipAddressPools: [four]", &[]),
    ];
    for (spec, expected) in rows {
        let text = format!("{}\n---\n{}", setting.join("\n---\n"), advertisement(spec));
        check_problems(&text, "BGPAdvertisement m/a", expected);
    }
}

const V4: &str = "10.0.0.0/24";
const V6: &str = "'fd00::/64'";
const DUAL: &str = "10.0.0.0/24, 'fd00::/64'";

/// A pool, two advertisements, and whether they conflict.
const LOCAL_PREFS: &[(&str, &str, &str, bool)] = &[
    (V4, "localPref: 1", "localPref: 2", true),
    (V4, "localPref: 1", "localPref: 1", false),
    (
        V4,
        "localPref: 1",
        "localPref: 2, aggregationLength: 24",
        false,
    ),
    (
        V4,
        "localPref: 1",
        "localPref: 2, aggregationLengthV6: 64",
        true,
    ),
    (
        V6,
        "localPref: 1",
        "localPref: 2, aggregationLength: 24",
        true,
    ),
    (
        V6,
        "localPref: 1",
        "localPref: 2, aggregationLengthV6: 64",
        false,
    ),
    (
        DUAL,
        "localPref: 1",
        "localPref: 2, aggregationLength: 24",
        true,
    ),
    (
        DUAL,
        "localPref: 1",
        "localPref: 2, aggregationLength: 24, aggregationLengthV6: 64",
        false,
    ),
    (
        V4,
        "localPref: 1, peers: [p]",
        "localPref: 2, peers: [q]",
        false,
    ),
    (
        V4,
        "localPref: 1, peers: [p, q]",
        "localPref: 2, peers: [q]",
        true,
    ),
    (V4, "localPref: 1, peers: [p]", "localPref: 2", true),
    (
        V4,
        "localPref: 1, ipAddressPools: [z]",
        "localPref: 2",
        false,
    ),
    (
        V4,
        "localPref: 1",
        "localPref: 2, serviceSelectors: [{}]",
        false,
    ),
    (
        V4,
        "localPref: 1, serviceSelectors: [{}]",
        "localPref: 2",
        false,
    ),
    (
        V4,
        "localPref: 1, nodeSelectors: [{matchLabels: {n: a}}]",
        "localPref: 2, nodeSelectors: [{matchLabels: {n: b}}]",
        false,
    ),
    (
        V4,
        "localPref: 1, nodeSelectors: [{matchLabels: {n: a}}]",
        "localPref: 2, nodeSelectors: [{matchLabels: {n: a}}, {matchLabels: {n: b}}]",
        true,
    ),
];

/// Two advertisements of one pool: `localPref: 1` and `localPref: 2`.
#[test]
fn local_prefs_that_conflict() {
    let nodes = "kind: Node\nmetadata: {name: one, labels: {n: a}}\n---\nkind: Node\nmetadata: \
                 {name: two, labels: {n: b}}";
    for (addresses, one, two, conflict) in LOCAL_PREFS {
        let pool = custom("IPAddressPool", "x", &format!("addresses: [{addresses}]"));
        let (one, two) = (custom("BGPAdvertisement", "b", one), advertisement(two));
        let text = [nodes, &pool, &one, &two].join("\n---\n");
        let cause = "spec.localPref: localPref 1 conflicts with localPref 2 of BGPAdvertisement \
                     \"a\" for the same prefixes of pool \"x\"";
        let expected: &[&str] = if *conflict { &[cause] } else { &[] };
        check_problems(&text, "BGPAdvertisement m/b", expected);
    }
}

#[test]
fn the_local_pref_that_was_there_first_stays() {
    let node = "kind: Node\nmetadata: {name: one}";
    let pool = custom("IPAddressPool", "x", "addresses: [10.0.0.0/24]");
    let first = custom("BGPAdvertisement", "b", "localPref: 1");
    let mut facts = facts(&[node, &pool, &first].join("\n---\n"));
    facts.handle(apply(&advertisement("localPref: 2")));
    assert_eq!(names(&facts), ["b"]);
    assert!(problems(&facts)[0].starts_with("BGPAdvertisement m/a: spec.localPref: "));
}

fn names(facts: &Facts) -> Vec<&str> {
    facts
        .config
        .bgp
        .advertisements
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn an_alias_that_went_leaves_the_last_good_version() {
    let alias = custom(
        "Community",
        "c",
        "communities: [{name: gold, value: '1:2'}]",
    );
    let text = format!(
        "{alias}\n---\n{}",
        advertisement("communities: [gold, 'large:1:2:3', '0:7']")
    );
    let mut facts = facts(&text);
    let before = facts.config.bgp.advertisements.clone();
    let communities: Vec<_> = before["a"]
        .communities
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        communities,
        ["large:1:2:3", "0:7", "1:2"].map(str::to_owned)
    );
    facts.handle(apply(&custom("Community", "c", "communities: []")));
    assert_eq!(facts.config.bgp.advertisements, before);
    assert_eq!(problems(&facts).len(), 1);
}
