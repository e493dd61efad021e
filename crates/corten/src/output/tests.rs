use super::*;

#[test]
fn nothing_a_terminal_acts_on_is_printed() {
    for (text, printed) in [
        ("web-1: spec.ports[0]", "web-1: spec.ports[0]"),
        ("Gr\u{fc}\u{df}e", "Gr\u{fc}\u{df}e"),
        ("a\u{1b}[31mb\nc\r", "a\\u{1b}[31mb\\nc\\r"),
        ("\u{9b}2J", "\\u{9b}2J"),
    ] {
        assert_eq!(printable(text), printed);
    }
}

#[test]
fn a_cause_already_said_is_left_out() {
    let inner = io::Error::other("no space");
    let error = anyhow::Error::new(inner)
        .context("writing x: no space")
        .context("--state");
    assert_eq!(chain(&error), "--state: writing x: no space");
}

#[test]
fn only_a_reader_of_our_output_may_go_away() {
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let reader = anyhow::Error::new(PrintError(broken())).context("status");
    assert!(is_reader_gone(&reader));
    let disk = PrintError(io::ErrorKind::StorageFull.into());
    assert!(!is_reader_gone(&anyhow::Error::new(disk)));
    // An instance that ends between being reached and being asked.
    let instance = anyhow::Error::new(broken()).context("the control socket");
    assert!(!is_reader_gone(&instance));
}
