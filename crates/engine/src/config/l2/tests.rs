use super::*;
use crate::event::manifest::{apply, check_problems, custom, facts};
use crate::facts::Facts;
use std::time::Duration;

#[test]
fn what_an_l2_advertisement_is_rejected_for() {
    let selector = "[{matchLabels: {a: b}}, {matchLabels: {a: b}}]";
    let invalid = "[{matchExpressions: [{key: a, operator: Gt}]}]";
    let duplicate = "duplicate definition of label selector \"a=b\"";
    let operator =
        "\"Gt\" is not a valid label selector operator (In, NotIn, Exists, DoesNotExist)";
    let mut rows = vec![
        (String::new(), Vec::new()),
        (
            "ipAddressPools: [x, w, x]".to_owned(),
            vec!["spec.ipAddressPools[2]: duplicate definition of pool \"x\"".to_owned()],
        ),
        // Preferences may be written twice, but must be valid.
        (
            "preferredNodeSelectors: [{weight: 1, preference: {}}, {weight: 1, preference: {}}]"
                .to_owned(),
            Vec::new(),
        ),
        (
            "preferredNodeSelectors: [{weight: 0, preference: {matchExpressions: [{key: a, \
             operator: Gt}]}}, {weight: 101, preference: {}}]"
                .to_owned(),
            vec![
                format!(
                    "spec.preferredNodeSelectors[0].preference.matchExpressions[0].operator: {operator}"
                ),
                "spec.preferredNodeSelectors[0].weight: weight 0 is not between 1 and 100"
                    .to_owned(),
                "spec.preferredNodeSelectors[1].weight: weight 101 is not between 1 and 100"
                    .to_owned(),
            ],
        ),
    ];
    for field in [
        "ipAddressPoolSelectors",
        "nodeSelectors",
        "serviceSelectors",
    ] {
        rows.push((
            format!("{field}: {selector}"),
            vec![format!("spec.{field}[1]: {duplicate}")],
        ));
        rows.push((
            format!("{field}: {invalid}"),
            vec![format!(
                "spec.{field}[0].matchExpressions[0].operator: {operator}"
            )],
        ));
    }
    for (spec, expected) in rows {
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        let text = custom("L2Advertisement", "a", &spec);
        check_problems(&text, "L2Advertisement m/a", &expected);
    }
}

fn annotated(annotation: &str) -> String {
    let text = custom("L2Advertisement", "a", "");
    text.replace(
        "namespace: m",
        &format!("namespace: m, annotations: {{{annotation}}}"),
    )
}

#[test]
fn our_annotations() {
    let rows = [
        ("", ConflictPolicy::Report, Refresh::Never),
        (
            "corten.io/address-conflict: withhold",
            ConflictPolicy::Withhold,
            Refresh::Never,
        ),
        (
            "corten.io/address-conflict: defend",
            ConflictPolicy::Defend,
            Refresh::Never,
        ),
        (
            "corten.io/gratuitous-refresh: 1m30s",
            ConflictPolicy::Report,
            Refresh::Every(Duration::from_secs(90)),
        ),
    ];
    for (annotation, conflict, refresh) in rows {
        let facts = facts(&annotated(annotation));
        let advertisement = &facts.config.l2["a"];
        assert_eq!(advertisement.conflict, conflict, "{annotation}");
        assert_eq!(advertisement.refresh, refresh, "{annotation}");
    }
    let rows = [
        (
            "corten.io/address-conflict: Defend",
            "metadata.annotations[corten.io/address-conflict]: \"Defend\" is none of report, \
             withhold and defend",
        ),
        (
            "corten.io/gratuitous-refresh: 10ms",
            "metadata.annotations[corten.io/gratuitous-refresh]: \"10ms\" is shorter than 1s",
        ),
        (
            "corten.io/gratuitous-refresh: '60'",
            "metadata.annotations[corten.io/gratuitous-refresh]: duration \"60\": missing unit (ns, \
             us, ms, s, m or h)",
        ),
    ];
    for (annotation, expected) in rows {
        check_problems(&annotated(annotation), "L2Advertisement m/a", &[expected]);
    }
}

fn pools_of(facts: &Facts) -> Filter<PoolName> {
    facts.config.l2["a"].pools.clone()
}

fn only(names: &[&str]) -> Filter<PoolName> {
    Filter::Only(names.iter().map(|name| PoolName::from(*name)).collect())
}

#[test]
fn which_pools_it_is_for() {
    let pools = "kind: IPAddressPool\nmetadata: {name: red, labels: {c: r}}\nspec: {addresses: \
                 [10.0.0.0/24]}\n---\nkind: IPAddressPool\nmetadata: {name: broken, labels: {c: \
                 r}}\nspec: {addresses: [10.0.0.0]}\n---\nkind: IPAddressPool\nmetadata: {name: \
                 blue}\nspec: {addresses: [10.0.1.0/24]}";
    let rows = [
        ("", Filter::Any),
        (
            "ipAddressPools: [blue, unknown]",
            only(&["blue", "unknown"]),
        ),
        (
            "ipAddressPoolSelectors: [{matchLabels: {c: r}}]",
            only(&["broken", "red"]),
        ),
        (
            "ipAddressPools: [blue], ipAddressPoolSelectors: [{matchLabels: {c: r}}]",
            only(&["blue", "broken", "red"]),
        ),
        ("ipAddressPoolSelectors: [{matchLabels: {c: z}}]", only(&[])),
    ];
    for (spec, expected) in rows {
        let advertisement = custom("L2Advertisement", "a", spec);
        let facts = facts(&format!("{pools}\n---\n{advertisement}"));
        assert_eq!(pools_of(&facts), expected, "{spec}");
    }
}

#[test]
fn a_rejected_advertisement_keeps_its_last_good_version() {
    let mut facts = facts(&custom("L2Advertisement", "a", "ipAddressPools: [x]"));
    let changes = facts.handle(apply(&custom(
        "L2Advertisement",
        "a",
        "ipAddressPools: [w, w]",
    )));
    assert!(!changes.config && changes.rejections);
    assert_eq!(pools_of(&facts), only(&["x"]));
    let changes = facts.handle(apply(&custom(
        "L2Advertisement",
        "a",
        "ipAddressPools: [w]",
    )));
    assert!(changes.config && changes.rejections && !changes.pools);
    assert_eq!(pools_of(&facts), only(&["w"]));
}

/// Two advertisements that say the same are both there: `explain` names both.
#[test]
fn no_interface_means_any() {
    let one = custom("L2Advertisement", "a", "");
    let two = custom("L2Advertisement", "b", "interfaces: [eth0, eth0]");
    let facts = facts(&format!("{one}\n---\n{two}"));
    assert_eq!(facts.config.l2["a"].interfaces, Filter::Any);
    assert_eq!(
        facts.config.l2["b"].interfaces,
        Filter::Only(["eth0".to_owned()].into())
    );
}
