use super::*;

fn read(text: &str) -> Result<Secret, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn the_password_is_all_that_is_kept() {
    let cases = [
        ("{}", None),
        ("{data: {tls.key: AAAA}}", None),
        ("{data: {password: c2VjcmV0}}", Some("secret")),
        ("{stringData: {password: open}}", Some("open")),
        (
            "{data: {password: c2VjcmV0}, stringData: {password: open}}",
            Some("open"),
        ),
        ("{data: {password: \"\"}}", Some("")),
        ("{data: {password: null}}", None),
    ];
    for (text, password) in cases {
        let secret = read(text).unwrap();
        assert_eq!(secret.password(), password, "{text}");
        let json = serde_json::to_string(&secret).unwrap();
        assert!(
            !json.contains("AAAA") && !json.contains("\"secret\""),
            "{json}"
        );
        let again: Secret = serde_json::from_str(&json).unwrap();
        assert_eq!(again, secret);
        let debug = format!("{secret:?}");
        assert!(
            !debug.contains("secret\"") && !debug.contains("open"),
            "{debug}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_without_the_value() {
    for (text, cause) in [
        ("{data: {password: '?q9x?'}}", "base64"),
        ("{data: {password: /w==}}", "UTF-8"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(cause), "{error}");
    }
    let error = serde_json::from_str::<Secret>(r#"{"data": {"password": "?q9x?"}}"#).unwrap_err();
    assert!(!error.to_string().contains("q9x"), "{error}");
}
