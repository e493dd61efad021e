use super::*;
use crate::event::Event;
use crate::event::manifest::{apply, check_problems, custom, facts, listed, problems};
use crate::facts::{Facts, Origin};
use crate::rejection::ObjectRef;

/// Every rule a pool must obey by itself: the spec and what is wrong with it.
#[test]
fn what_a_pool_is_rejected_for() {
    let rows: &[(&str, &[&str])] = &[
        (
            "addresses: [10.0.0.0/24, 10.0.1.9-10.0.1.77, 'fd00::/64']",
            &[],
        ),
        (
            "addresses: []",
            &["spec.addresses: a pool needs at least one CIDR or range"],
        ),
        (
            "addresses: [10.0.0.0/24, 10.0.1.0/33, 10.0.0.7]",
            &[
                "spec.addresses[1]: invalid CIDR \"10.0.1.0/33\": the prefix length must be a \
                 number from 0 to 32",
                "spec.addresses[2]: invalid CIDR \"10.0.0.7\": expected address/length or start-end",
            ],
        ),
        (
            "addresses: [' 10.0.0.0/24']",
            &[
                "spec.addresses[0]: invalid CIDR \" 10.0.0.0/24\": \" 10.0.0.0\" is not an IP address",
            ],
        ),
        (
            "addresses: [10.0.0.9-10.0.0.1]",
            &[
                "spec.addresses[0]: invalid IP range \"10.0.0.9-10.0.0.1\": the start is after the end",
            ],
        ),
        (
            "addresses: ['10.0.0.9-fd00::1']",
            &[
                "spec.addresses[0]: invalid IP range \"10.0.0.9-fd00::1\": the ends are of different \
               address families",
            ],
        ),
        (
            "addresses: [10.0.0.0/24, 10.0.0.200-10.0.1.3]",
            &[
                "spec.addresses[1]: CIDR 10.0.0.200/29 of pool \"a\" overlaps with already defined \
               CIDR 10.0.0.0/24 of pool \"a\"",
            ],
        ),
        (
            "addresses: [10.0.0.0/24], serviceAllocation: {namespaces: [x, w, x]}",
            &["spec.serviceAllocation.namespaces[2]: duplicate definition of namespace \"x\""],
        ),
    ];
    for (spec, expected) in rows {
        check_problems(
            &custom("IPAddressPool", "a", spec),
            "IPAddressPool m/a",
            expected,
        );
    }
}

/// The same for the selectors of those it is for.
#[test]
fn selectors_a_pool_is_rejected_for() {
    let rows: &[(&str, &[&str])] = &[
        (
            "addresses: [10.0.0.0/24], serviceAllocation: {namespaceSelectors: [{matchLabels: {a: \
             b}}, {matchLabels: {a: b}}]}",
            &[
                "spec.serviceAllocation.namespaceSelectors[1]: duplicate definition of label \
               selector \"a=b\"",
            ],
        ),
        (
            "addresses: [10.0.0.0/24], serviceAllocation: {namespaceSelectors: \
             [{matchExpressions: [{key: a, operator: Exists, values: [x]}]}]}",
            &[
                "spec.serviceAllocation.namespaceSelectors[0].matchExpressions[0].values: operator \
               Exists takes no values",
            ],
        ),
        (
            "addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchLabels: {a: \
             b}}, {matchLabels: {a: b}}]}",
            &[
                "spec.serviceAllocation.serviceSelectors[1]: duplicate definition of label selector \
               \"a=b\"",
            ],
        ),
        (
            "addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchLabels: {'a b': \
             c}}]}",
            &[
                "spec.serviceAllocation.serviceSelectors[0].matchLabels: \"a b\" is not a valid \
               label key",
            ],
        ),
    ];
    for (spec, expected) in rows {
        check_problems(
            &custom("IPAddressPool", "a", spec),
            "IPAddressPool m/a",
            expected,
        );
    }
}

#[test]
fn names_must_be_there_and_unique() {
    let text = custom("IPAddressPool", "", "addresses: [10.0.0.0/24]");
    check_problems(&text, "IPAddressPool m/", &["metadata.name: missing name"]);
    let one = custom("IPAddressPool", "a", "addresses: [10.0.0.0/24]");
    let text = format!(
        "{one}\n---\n{}",
        one.replace("namespace: m", "namespace: z")
    );
    let cause =
        "metadata.name: duplicate definition of IPAddressPool \"a\", also in namespace \"m\"";
    check_problems(&text, "IPAddressPool z/a", &[cause]);
}

#[test]
fn whom_a_pool_is_for() {
    let only = |names: &[&str]| Filter::Only(names.iter().map(ToString::to_string).collect());
    let rows = [
        ("{}", 0, Filter::Any),
        ("{priority: 7}", 7, Filter::Any),
        ("{namespaces: [x, w]}", 0, only(&["w", "x"])),
        (
            "{namespaceSelectors: [{matchLabels: {team: a}}]}",
            0,
            only(&["blue", "green"]),
        ),
        (
            "{namespaces: [x], namespaceSelectors: [{matchLabels: {team: a}}]}",
            0,
            only(&["blue", "green", "x"]),
        ),
        (
            "{namespaceSelectors: [{matchLabels: {team: z}}]}",
            0,
            only(&[]),
        ),
    ];
    let namespaces = "kind: Namespace\nmetadata: {name: blue, labels: {team: a}}\n---\nkind: \
                      Namespace\nmetadata: {name: green, labels: {team: a}}\n---\nkind: \
                      Namespace\nmetadata: {name: red, labels: {team: b}}";
    for (allocation, priority, namespaces_expected) in rows {
        let spec = format!("addresses: [10.0.0.0/24], serviceAllocation: {allocation}");
        let pool = custom("IPAddressPool", "a", &spec);
        let facts = facts(&format!("{namespaces}\n---\n{pool}"));
        let expected = PoolScope::Pinned(Pinning {
            priority,
            namespaces: namespaces_expected,
            services: Selectors::Everything,
        });
        let scope = &facts.config.pools[&PoolName::from("a")].scope;
        assert_eq!(*scope, expected, "{allocation}");
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let facts = facts(&custom("IPAddressPool", "a", "addresses: [10.0.0.77/24]"));
    let pool = &facts.config.pools[&PoolName::from("a")];
    assert!(pool.auto_assign && !pool.avoid_buggy_ips);
    assert_eq!(pool.scope, PoolScope::Everyone);
    assert_eq!(pool.entries[0].cidrs, ["10.0.0.0/24".parse().unwrap()]);
    assert_eq!(pool.entries[0].text, "10.0.0.77/24");
}

/// Pools as `name: addresses`, separated by `; `; a name alone deletes.
fn edit(facts: &mut Facts, pools: &str) {
    let events = pools.split("; ").map(|pool| match pool.split_once(": ") {
        Some((name, addresses)) => {
            let spec = format!("addresses: [{addresses}]");
            apply(&custom("IPAddressPool", name, &spec)).remove(0)
        }
        None => Event::Delete(ObjectRef::new(Kind::IPAddressPool, "m", pool)),
    });
    facts.handle(events);
}

fn in_use(facts: &Facts) -> String {
    let pool = |pool: &Pool| {
        let texts: Vec<_> = pool.entries.iter().map(|e| e.text.as_str()).collect();
        format!("{}: {}", pool.name, texts.join(", "))
    };
    let pools: Vec<_> = facts.config.pools.values().map(pool).collect();
    pools.join("; ")
}

/// An edit, what is in use after it, and who is rejected.
type Step = (&'static str, &'static str, &'static [&'static str]);

/// Edits of pools, one after the other.
const EDITS: &[(&str, &[Step])] = &[
    (
        "nobody had them: the first by name",
        &[("b: 10.0.0.0/24; a: 10.0.0.0/25", "a: 10.0.0.0/25", &["b"])],
    ),
    (
        "the first by name comes too late",
        &[
            ("b: 10.0.0.0/24", "b: 10.0.0.0/24", &[]),
            ("a: 10.0.0.0/25", "b: 10.0.0.0/24", &["a"]),
            ("b", "a: 10.0.0.0/25", &[]),
        ],
    ),
    (
        "a pool that grows into another keeps its last good version",
        &[
            (
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &[],
            ),
            ("a: 10.0.0.0/23", "a: 10.0.0.0/24; b: 10.0.1.0/24", &["a"]),
            ("b: 10.0.2.0/24", "a: 10.0.0.0/23; b: 10.0.2.0/24", &[]),
        ],
    ),
    (
        "a pool that grows doesn't lose what it had to a newcomer",
        &[
            ("m: 10.0.0.0/24", "m: 10.0.0.0/24", &[]),
            (
                "m: 10.0.0.0/24, 10.0.1.0/24; a: 10.0.0.0/25",
                "m: 10.0.0.0/24, 10.0.1.0/24",
                &["a"],
            ),
        ],
    ),
    (
        "two pools swap",
        &[
            (
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &[],
            ),
            ("a: 10.0.1.0/24", "a: 10.0.0.0/24; b: 10.0.1.0/24", &["a"]),
            ("b: 10.0.0.0/24", "a: 10.0.1.0/24; b: 10.0.0.0/24", &[]),
        ],
    ),
    (
        "two pools grow into each other",
        &[
            (
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &[],
            ),
            (
                "a: 10.0.0.0/23; b: 10.0.0.0/23",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &["a", "b"],
            ),
        ],
    ),
    (
        "a pool that can't be read still has its addresses",
        &[
            ("b: 10.0.0.0/24", "b: 10.0.0.0/24", &[]),
            ("b: 10.0.0.0; a: 10.0.0.0/25", "b: 10.0.0.0/24", &["a", "b"]),
        ],
    ),
    (
        "who was there goes before a newcomer",
        &[
            ("b: 10.0.0.0/24", "b: 10.0.0.0/24", &[]),
            (
                "a: 10.0.0.0/24, 10.0.1.0/24; b: 10.0.1.0/24",
                "b: 10.0.1.0/24",
                &["a"],
            ),
        ],
    ),
    (
        "what a rejected pool goes on with is nobody else's",
        &[
            (
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &[],
            ),
            ("a: 10.0.1.0/24", "a: 10.0.0.0/24; b: 10.0.1.0/24", &["a"]),
            (
                "b: 10.0.0.0/24, 10.0.1.0/24",
                "a: 10.0.0.0/24; b: 10.0.1.0/24",
                &["a", "b"],
            ),
            (
                "a: 10.0.2.0/24",
                "a: 10.0.2.0/24; b: 10.0.0.0/24, 10.0.1.0/24",
                &[],
            ),
        ],
    ),
    (
        "a pool is renamed",
        &[
            ("b: 10.0.0.0/24", "b: 10.0.0.0/24", &[]),
            ("a: 10.0.0.0/24; b", "a: 10.0.0.0/24", &[]),
        ],
    ),
];

#[test]
fn addresses_stay_with_the_pool_that_had_them() {
    for (what, steps) in EDITS {
        let mut facts = Facts::new(Origin::Directory);
        facts.handle(listed());
        for (pools, expected, refused) in *steps {
            edit(&mut facts, pools);
            assert_eq!(in_use(&facts), *expected, "{what}: {pools}");
            let rejected = match &facts.config.coverage {
                Coverage::Complete => Vec::new(),
                Coverage::Incomplete { rejected } => {
                    rejected.keys().map(PoolName::as_str).collect()
                }
            };
            assert_eq!(rejected, *refused, "{what}: {pools}");
        }
    }
}

#[test]
fn an_overlap_names_both_pools() {
    let mut facts = facts(&custom("IPAddressPool", "a", "addresses: [10.0.0.0/24]"));
    edit(&mut facts, "b: 10.0.1.0/24, 10.0.0.3-10.0.0.4");
    let expected = "IPAddressPool m/b: spec.addresses[1]: CIDR 10.0.0.3/32 of pool \"b\" overlaps \
                    with already defined CIDR 10.0.0.0/24 of pool \"a\"";
    assert_eq!(problems(&facts), [expected]);
}
