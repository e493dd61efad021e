use super::*;
use proptest::prelude::*;

#[test]
fn files_are_cut_at_document_markers() {
    let check = |text: &str, want: &[(&str, u64)]| {
        let got: Vec<_> = documents(text)
            .into_iter()
            .map(|d| (d.text, d.line))
            .collect();
        assert_eq!(got, want, "{text:?}");
    };
    check("", &[]);
    check("# nothing\n---\n\n--- # still nothing\n", &[]);
    check("a: 1\n", &[("a: 1\n", 1)]);
    check("a: 1\n---\nb: 2\n", &[("a: 1\n", 1), ("---\nb: 2\n", 2)]);
    check(
        "---\na: 1\n---\nb: 2\n",
        &[("---\na: 1\n", 1), ("---\nb: 2\n", 3)],
    );
    check("# c\n---\na: 1\n", &[("# c\n---\na: 1\n", 1)]);
    check("%YAML 1.2\n---\na: 1\n", &[("%YAML 1.2\n---\na: 1\n", 1)]);
    check("a: 1\n...\nb: 2\n", &[("a: 1\n", 1), ("b: 2\n", 3)]);
    check(
        "--- {a: 1}\n--- {b: 2}",
        &[("--- {a: 1}\n", 1), ("--- {b: 2}", 2)],
    );
    check(
        "a: |\n  ---\n  x\n----\n",
        &[("a: |\n  ---\n  x\n----\n", 1)],
    );
    check(
        "a: 1\r\n---\r\nb: 2\r\n",
        &[("a: 1\r\n", 1), ("---\r\nb: 2\r\n", 2)],
    );
}

#[test]
fn only_the_last_document_can_be_torn() {
    let torn: Vec<_> = documents("a: 1\n---\nb: 2")
        .iter()
        .map(|d| d.torn)
        .collect();
    assert_eq!(torn, [false, true]);
    assert!(!documents("a: 1\n")[0].torn);
}

#[test]
fn nodes_know_their_lines() {
    let node = parse("---\na: 1\nb:\n  - x\n  - {c: yes please}\nd: [~, 1.5, true]\n").unwrap();
    assert_eq!(node.get("a").unwrap().line, 2);
    assert_eq!(node.get("a").unwrap().value, Value::Int(1));
    let Value::Seq(items) = &node.get("b").unwrap().value else {
        panic!("not a sequence");
    };
    assert_eq!((items[0].line, items[1].line), (4, 5));
    assert_eq!(items[1].text("c"), Some("yes please"));
    let Value::Seq(items) = &node.get("d").unwrap().value else {
        panic!("not a sequence");
    };
    assert_eq!(items[0].value, Value::Null);
    assert_eq!(items[1].value, Value::Float(1.5));
    assert_eq!(items[2].value, Value::Bool(true));
}

#[test]
fn json_with_tabs_is_yaml() {
    let node = parse("{\n\t\"a\": \"x\\/y\",\n\t\"b\": [1,\n\t\t2]\n}\n").unwrap();
    assert_eq!(node.text("a"), Some("x/y"));
}

#[test]
fn syntax_errors_name_the_line() {
    let check = |text: &str, line: u64, cause: &str| {
        let error = parse(text).unwrap_err();
        assert_eq!(error.line, line, "{error:?}");
        assert!(error.cause.contains(cause), "{error:?}");
        assert!(!error.cause.contains(" line "), "{error:?}");
    };
    check("a: 1\nb: [1, 2\n", 2, "unclosed");
    check("a: 1\nb: 2\na: 3\n", 3, "duplicate");
    check("a: *nowhere\n", 1, "");
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let p = i - 1;
        laughs += &format!("a{i}: &a{i} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n");
    }
    assert!(parse(&laughs).is_err());
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&"- ".repeat(100_000)).is_err());
    assert!(parse(&"{a: ".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn nothing_panics(text in "[ -~\n\t---&*|>%@é]{0,200}") {
        for document in documents(&text) {
            let _ = parse(document.text);
        }
    }
}
