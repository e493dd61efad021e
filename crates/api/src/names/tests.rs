//! The prefixes' precedence, and that the documentation has every name.

use super::*;

fn map(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn the_current_prefix_wins_by_presence() {
    const NEW: &str = "metallb.io/address-pool";
    const OLD: &str = "metallb.universe.tf/address-pool";
    for (rows, expected) in [
        (vec![], None),
        (vec![(NEW, "a")], Some("a")),
        (vec![(OLD, "b")], Some("b")),
        (vec![(NEW, "a"), (OLD, "b")], Some("a")),
        (vec![(NEW, ""), (OLD, "b")], Some("")),
        (vec![("example.com/address-pool", "c")], None),
    ] {
        assert_eq!(annotation(&map(&rows), ADDRESS_POOL), expected, "{rows:?}");
    }
}

#[test]
fn deprecated_annotations_are_found_by_prefix() {
    let annotations = map(&[
        ("metallb.io/address-pool", ""),
        ("metallb.universe.tf/address-pool", ""),
        ("metallb.universe.tf/anything", ""),
        ("metallb.universe.td/other", ""),
    ]);
    assert_eq!(
        deprecated(&annotations).collect::<Vec<_>>(),
        [
            "metallb.universe.tf/address-pool",
            "metallb.universe.tf/anything"
        ]
    );
}

/// Every name a user can meet is a string constant of this module and a heading of the page;
/// reading the source instead of a second list means that a new constant can't be forgotten.
#[test]
fn the_page_has_every_name_and_no_other() {
    let source = include_str!("../names.rs");
    let page = include_str!("../../../../docs/reference/annotations.md");
    let constants: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert_eq!(constants.len(), source.matches("\npub const ").count());
    let mut expected: Vec<String> = Vec::new();
    for constant in constants {
        match constant {
            GROUP | PREFIX | DEPRECATED_PREFIX | OWN_PREFIX => {
                assert!(page.contains(&format!("`{constant}`")), "{constant}");
            }
            name if name.contains('/') => expected.push(name.to_owned()),
            name => {
                expected.push(format!("{PREFIX}{name}"));
                let old = format!("`{DEPRECATED_PREFIX}{name}`");
                assert!(page.contains(&old), "{old}");
            }
        }
    }
    let mut headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    expected.sort();
    headings.sort_unstable();
    assert_eq!(headings, expected);
}
