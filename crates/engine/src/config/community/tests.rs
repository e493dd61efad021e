use super::*;
use crate::event::manifest::{apply, check_problems, custom, facts, problems};

#[test]
fn readable_communities_in_order() {
    let rows = [
        ("0:0", Community::Standard(0, 0)),
        ("0:9", Community::Standard(0, 9)),
        ("large:9:0:0", Community::Large(9, 0, 0)),
        ("large:9:0:1", Community::Large(9, 0, 1)),
        ("1:0", Community::Standard(1, 0)),
        ("65535:65535", Community::Standard(65535, 65535)),
        (
            "large:4294967295:4294967295:4294967295",
            Community::Large(u32::MAX, u32::MAX, u32::MAX),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(text.parse(), Ok(expected), "{text}");
        assert_eq!(expected.to_string(), text);
    }
    assert!(rows.is_sorted_by_key(|(_, community)| *community));
}

#[test]
fn what_a_community_is_rejected_for() {
    let rows: &[(&str, &[&str])] = &[
        (
            "{name: a, value: '1:2'}, {name: b, value: 'large:1:2:3'}",
            &[],
        ),
        (
            "{name: a, value: '1'}",
            &["spec.communities[0].value: invalid community format: 1"],
        ),
        (
            "{name: a}",
            &["spec.communities[0].value: invalid community format: "],
        ),
        (
            "{name: a, value: '1:2:3'}",
            &["spec.communities[0].value: invalid community format: 1:2:3"],
        ),
        (
            "{name: a, value: 'small:1:2:3'}",
            &[
                "spec.communities[0].value: invalid community format: small:1:2:3: four parts, \
               expected large:a:b:c",
            ],
        ),
        (
            "{name: a, value: '65536:1'}",
            &[
                "spec.communities[0].value: invalid community format: 65536:1: \"65536\" is not a \
               number from 0 to 65535",
            ],
        ),
        (
            "{name: a, value: 'large:1:2:+3'}",
            &[
                "spec.communities[0].value: invalid community format: large:1:2:+3: \"+3\" is not a \
               number from 0 to 4294967295",
            ],
        ),
        (
            "{value: '1:2'}",
            &["spec.communities[0].name: missing name"],
        ),
        (
            "{name: a, value: '1:2'}, {name: a, value: '1:3'}",
            &["spec.communities[1].name: duplicate definition of community \"a\""],
        ),
    ];
    for (list, expected) in rows {
        let text = custom("Community", "c", &format!("communities: [{list}]"));
        check_problems(&text, "Community m/c", expected);
    }
}

#[test]
fn an_alias_stays_with_the_object_that_had_it() {
    let alias = |object: &str| {
        custom(
            "Community",
            object,
            "communities: [{name: x, value: '1:2'}]",
        )
    };
    let cause = "spec.communities: duplicate definition of community \"x\"";
    let both = format!("{}\n---\n{}", alias("b"), alias("a"));
    check_problems(&both, "Community m/b", &[cause]);

    let mut facts = facts(&alias("b"));
    facts.handle(apply(&alias("a")));
    assert_eq!(problems(&facts), [format!("Community m/a: {cause}")]);
    assert_eq!(
        facts.config.bgp.communities.keys().collect::<Vec<_>>(),
        ["b"]
    );

    facts.handle(apply(&custom(
        "Community",
        "b",
        "communities: [{name: z, value: '1'}]",
    )));
    assert_eq!(
        facts.config.bgp.communities.keys().collect::<Vec<_>>(),
        ["a"]
    );
}
