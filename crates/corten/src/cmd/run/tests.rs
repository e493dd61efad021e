use super::*;

#[test]
fn node_names() {
    for (name, good) in [
        ("node-a", true),
        ("a.b-c.example", true),
        ("", false),
        ("..", false),
        ("a/../b", false),
        ("Node", false),
        ("-a", false),
        ("a_b", false),
    ] {
        assert_eq!(is_node_name(name), good, "{name}");
    }
    assert!(!is_node_name(&"a".repeat(254)));
}
