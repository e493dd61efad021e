//! Good and bad values, row by row.

use super::*;

fn check(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        kind,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
    }
}

fn http(port: u16, path: &str, status: RangeInclusive<u16>) -> HealthCheck {
    check(HealthKind::Http {
        port,
        path: path.to_owned(),
        status,
    })
}

fn exec(command: &[&str]) -> HealthCheck {
    check(HealthKind::Exec {
        command: command.iter().map(|s| (*s).to_owned()).collect(),
    })
}

#[test]
fn good_values() {
    let tcp = check(HealthKind::Tcp { port: 5432 });
    for (text, expected) in [
        ("{tcp: {port: 5432}}", tcp.clone()),
        ("tcp: {port: 5432}", tcp.clone()),
        ("tcp:\n  port: 5432\n", tcp.clone()),
        (r#"{"tcp":{"port":5432}}"#, tcp.clone()),
        ("{http: {port: 80}}", http(80, "/", 200..=399)),
        (
            "{http: {port: 65535, path: '/a?b=c%20d'}}",
            http(65535, "/a?b=c%20d", 200..=399),
        ),
        ("{http: {port: 1, status: 204}}", http(1, "/", 204..=204)),
        (
            "{http: {port: 1, status: 200-299}}",
            http(1, "/", 200..=299),
        ),
        ("{http: {port: 1, status: '503'}}", http(1, "/", 503..=503)),
        ("{exec: {command: [/bin/true]}}", exec(&["/bin/true"])),
        (
            "{exec: {command: [sh, -c, 'test -e /run/ok', '1', '']}}",
            exec(&["sh", "-c", "test -e /run/ok", "1", ""]),
        ),
        (
            "{http: {port: 8080, path: /healthz}, interval: 1s, timeout: 1m, rise: 1, fall: 9}",
            HealthCheck {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(60),
                rise: 1,
                fall: 9,
                ..http(8080, "/healthz", 200..=399)
            },
        ),
        (
            "{tcp: {port: 5432}, interval: 100ms, timeout: 1ms}",
            HealthCheck {
                interval: Duration::from_millis(100),
                timeout: Duration::from_millis(1),
                ..tcp
            },
        ),
    ] {
        assert_eq!(HealthCheck::parse(text), Ok(expected), "{text}");
    }
}

/// What is refused, with the message.
const BAD: &[(&str, &str)] = &[
    ("", "value: expected a mapping, found nothing"),
    ("8080", "value: expected a mapping, found 8080"),
    ("tcp", "value: expected a mapping, found \"tcp\""),
    ("[tcp]", "value: expected a mapping, found a list"),
    ("{}", "value: one of tcp, http and exec must be given"),
    (
        "{interval: 1s}",
        "value: one of tcp, http and exec must be given",
    ),
    (
        "{tcp: {port: 1}, exec: {command: [a]}}",
        "value: only one of tcp, http and exec can be given, found tcp and exec",
    ),
    ("{tcp: 80}", "tcp: expected a mapping, found 80"),
    ("{tcp: }", "tcp: expected a mapping, found nothing"),
    ("{tcp: {}}", "tcp.port: missing"),
    (
        "{tcp: {port: 0}}",
        "tcp.port: expected a port from 1 to 65535, found 0",
    ),
    (
        "{tcp: {port: 65536}}",
        "tcp.port: expected a port from 1 to 65535, found 65536",
    ),
    (
        "{tcp: {port: -1}}",
        "tcp.port: expected a port from 1 to 65535, found -1",
    ),
    (
        "{tcp: {port: http}}",
        "tcp.port: expected a port from 1 to 65535, found \"http\"",
    ),
    (
        "{tcp: {port: 1, path: /}}",
        "tcp.path: unknown field (known: port)",
    ),
    (
        "{http: {port: 1, Path: /}}",
        "http.Path: unknown field (known: port, path, status)",
    ),
    ("{http: {path: /}}", "http.port: missing"),
    (
        "{http: {port: 1, path: healthz}}",
        "http.path: expected a path starting with / without spaces, found \"healthz\"",
    ),
    (
        "{http: {port: 1, path: \"/ HTTP/1.1\\r\\nX: y\"}}",
        "http.path: expected a path starting with / without spaces, found \
             \"/ HTTP/1.1\\r\\nX: y\"",
    ),
    (
        "{http: {port: 1, status: 99}}",
        "http.status: expected a status such as 204 or a range such as 200-299, found 99",
    ),
    (
        "{http: {port: 1, status: 299-200}}",
        "http.status: expected a status such as 204 or a range such as 200-299, found \
             \"299-200\"",
    ),
    (
        "{http: {port: 1, status: [200]}}",
        "http.status: expected a status such as 204 or a range such as 200-299, found a list",
    ),
    ("{exec: {}}", "exec.command: missing"),
    (
        "{exec: {command: /bin/true}}",
        "exec.command: expected a list of words, found \"/bin/true\"",
    ),
    (
        "{exec: {command: []}}",
        "exec.command: the program to run is empty",
    ),
    (
        "{exec: {command: ['']}}",
        "exec.command: the program to run is empty",
    ),
    (
        "{exec: {command: [nc, -z, 80]}}",
        "exec.command[2]: expected text (put it in quotes), found 80",
    ),
    (
        "{tcp: {port: 1}, interval: 99ms}",
        "interval: \"99ms\" is shorter than 100ms",
    ),
    (
        "{tcp: {port: 1}, interval: 5}",
        "interval: expected a duration with unit such as 2s, found 5",
    ),
    (
        "{tcp: {port: 1}, interval: '5'}",
        "interval: duration \"5\": missing unit (ns, us, ms, s, m or h)",
    ),
    (
        "{tcp: {port: 1}, timeout: 0s}",
        "timeout: \"0s\" is shorter than 1ms",
    ),
    (
        "{tcp: {port: 1}, timeout: -1s}",
        "timeout: duration \"-1s\": must not be negative",
    ),
    (
        "{tcp: {port: 1}, rise: 0}",
        "rise: expected a number from 1, found 0",
    ),
    (
        "{tcp: {port: 1}, fall: 1.5}",
        "fall: expected a number from 1, found 1.5",
    ),
    (
        "{tcp: {port: 1}, intervall: 1s}",
        "intervall: unknown field (known: tcp, http, exec, interval, timeout, rise, fall)",
    ),
];

#[test]
fn bad_values_name_field_and_cause() {
    for (text, message) in BAD {
        let error = HealthCheck::parse(text).unwrap_err();
        assert_eq!(error.to_string(), *message, "{text}");
    }
}

#[test]
fn broken_syntax_is_said_in_one_line() {
    for text in [
        "{tcp: {port: 1}",
        "{tcp: {port: 1}, tcp: {port: 2}}",
        "a: b: c",
        "\u{7}",
    ] {
        let error = HealthCheck::parse(text).unwrap_err();
        assert!(matches!(error, HealthError::Syntax(_)), "{text:?}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
