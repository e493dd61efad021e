use super::*;
use proptest::prelude::*;

/// Selectors of a YAML list.
fn list(text: &str) -> Vec<LabelSelector> {
    serde_saphyr::from_str(text).unwrap()
}

fn compiled(text: &str) -> Result<Selectors, Vec<String>> {
    let said = |fault: Fault| format!("{}: {}", fault.field, fault.cause);
    compile_list("s", &list(text)).map_err(|faults| faults.into_iter().map(said).collect())
}

#[test]
fn what_a_selector_is_refused_for() {
    let rows: &[(&str, &[&str])] = &[
        (
            "[{matchLabels: {a: b}}, {matchLabels: {a: b}}]",
            &["s[1]: duplicate definition of label selector \"a=b\""],
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: [x, y]}]}, {matchExpressions: \
             [{key: a, operator: In, values: [y, x]}]}]",
            &["s[1]: duplicate definition of label selector \"a In (x,y)\""],
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: [x, y]}, {key: a, operator: In, \
             values: [y, x]}]}]",
            &["s[0].matchExpressions[1]: duplicate definition of match expression \"a In (x,y)\""],
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: [x, x]}]}]",
            &["s[0].matchExpressions[0].values[1]: duplicate definition of value \"x\""],
        ),
        (
            "[{matchExpressions: [{key: a, operator: In}]}]",
            &["s[0].matchExpressions[0].values: operator In needs at least one value"],
        ),
        (
            "[{matchExpressions: [{key: a, operator: NotIn, values: []}]}]",
            &["s[0].matchExpressions[0].values: operator NotIn needs at least one value"],
        ),
        (
            "[{matchExpressions: [{key: a, operator: Exists, values: [x]}]}]",
            &["s[0].matchExpressions[0].values: operator Exists takes no values"],
        ),
        (
            "[{matchExpressions: [{key: a, operator: DoesNotExist, values: [x]}]}]",
            &["s[0].matchExpressions[0].values: operator DoesNotExist takes no values"],
        ),
        (
            "[{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}]",
            &[
                "s[0].matchExpressions[0].operator: \"Gt\" is not a valid label selector operator \
               (In, NotIn, Exists, DoesNotExist)",
            ],
        ),
        (
            "[{matchExpressions: [{key: '', operator: Exists}]}]",
            &["s[0].matchExpressions[0].key: \"\" is not a valid label key"],
        ),
        (
            "[{matchLabels: {Example.com/a: b}}]",
            &["s[0].matchLabels: \"Example.com/a\" is not a valid label key"],
        ),
        (
            "[{matchLabels: {a: -b}}]",
            &["s[0].matchLabels: \"-b\" is not a valid label value"],
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: ['x y']}]}]",
            &["s[0].matchExpressions[0].values[0]: \"x y\" is not a valid label value"],
        ),
    ];
    for (text, expected) in rows {
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(compiled(text), Err(expected), "{text}");
    }
}

#[test]
fn label_syntax() {
    let long = |n| "x".repeat(n);
    let keys = [
        ("a", true),
        ("kubernetes.io/hostname", true),
        ("a_b.c-d", true),
        ("9", true),
        ("", false),
        ("a/b/c", false),
        ("/a", false),
        ("a/", false),
        ("-a", false),
        ("a.", false),
        ("a..b/c", false),
        ("a-/c", false),
    ];
    for (key, good) in keys {
        assert_eq!(check_key("", key).is_none(), good, "{key:?}");
    }
    assert!(check_key("", &long(63)).is_none() && check_key("", &long(64)).is_some());
    let values = [
        ("", true),
        ("A.b_c-9", true),
        ("a b", false),
        ("é", false),
        ("a-", false),
    ];
    for (value, good) in values {
        assert_eq!(check_value("", value).is_none(), good, "{value:?}");
    }
    assert!(check_value("", &long(63)).is_none() && check_value("", &long(64)).is_some());
}

#[test]
fn what_a_selector_selects() {
    let rows = [
        ("[]", "{}", true),
        ("[{}]", "{a: b}", true),
        ("[{matchLabels: {a: b}}]", "{a: b, c: d}", true),
        ("[{matchLabels: {a: b, c: d}}]", "{a: b}", false),
        (
            "[{matchLabels: {a: b}}, {matchLabels: {c: d}}]",
            "{c: d}",
            true,
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: [x, y]}]}]",
            "{a: y}",
            true,
        ),
        (
            "[{matchExpressions: [{key: a, operator: In, values: [x]}]}]",
            "{}",
            false,
        ),
        (
            "[{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}]",
            "{}",
            true,
        ),
        (
            "[{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}]",
            "{a: x}",
            false,
        ),
        (
            "[{matchExpressions: [{key: a, operator: Exists}]}]",
            "{a: ''}",
            true,
        ),
        (
            "[{matchExpressions: [{key: a, operator: DoesNotExist}]}]",
            "{a: ''}",
            false,
        ),
        (
            "[{matchLabels: {a: b}, matchExpressions: [{key: a, operator: Exists}]}]",
            "{a: c}",
            false,
        ),
    ];
    for (text, labels, selected) in rows {
        let labels: std::collections::BTreeMap<String, String> =
            serde_saphyr::from_str(labels).unwrap();
        let labels = Labels::from(labels);
        let selectors = compiled(text).unwrap();
        assert_eq!(selectors.matches(&labels), selected, "{text} {labels:?}");
    }
}

/// MetalLB tells selectors apart that mean the same but are written differently.
#[test]
fn other_words_are_no_duplicate() {
    let text = "[{matchLabels: {a: b}}, {matchExpressions: [{key: a, operator: In, values: [b]}]}]";
    assert!(compiled(text).is_ok());
}

proptest! {
    #[test]
    fn any_selector_compiles_or_says_why(
        labels in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..3),
        key in ".{0,4}", operator in "In|NotIn|Exists|DoesNotExist|.{0,3}",
        values in prop::option::of(prop::collection::vec(".{0,3}", 0..3)),
    ) {
        let raw = LabelSelector {
            match_labels: Some(labels),
            match_expressions: Some(vec![LabelSelectorRequirement { key, operator, values }]),
        };
        match compile_list("s", &[raw]) {
            Ok(_) => {}
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
