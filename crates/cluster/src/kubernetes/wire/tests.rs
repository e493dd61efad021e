use super::Wire;
use proptest::prelude::*;

fn read(text: &str) -> Wire {
    serde_json::from_str(text).unwrap()
}

#[test]
fn names_are_taken_and_unused_parts_left_out() {
    let text = r#"{"metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7",
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "x": [null, true, -1, 1.5,
            18446744073709551615]}}"#;
    let wire = read(text);
    assert_eq!(
        (wire.namespace(), wire.name(), wire.uid()),
        ("default", "web", "u")
    );
    let metadata = wire.tree.get("metadata").unwrap();
    assert!(metadata.get("managedFields").is_none());
    let annotations = metadata.get("annotations").unwrap();
    assert_eq!(annotations.text("a"), Some("b"));
    assert!(
        annotations
            .get("kubectl.kubernetes.io/last-applied-configuration")
            .is_none()
    );
    let mut whole: serde_json::Value = serde_json::from_str(text).unwrap();
    whole["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    assert_eq!(wire.json(), whole, "nothing else is lost");
}

/// Whatever an object holds, a list with it in it can be read.
#[test]
fn odd_objects_are_read() {
    for text in [
        "{}",
        "null",
        "[]",
        "7",
        r#"{"metadata": 3}"#,
        r#"{"metadata": {"name": []}}"#,
    ] {
        assert_eq!(read(text).name(), "", "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert!(serde_json::from_str::<Wire>(&deep).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(text in ".{0,200}") {
        drop(serde_json::from_str::<Wire>(&text));
    }
}
