//! What Go reads and writes, row by row.

use super::*;
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const S: i64 = 1_000 * MS;
const M: i64 = 60 * S;
const H: i64 = 60 * M;

#[test]
fn reads_what_go_reads() {
    for (text, nanos) in [
        ("0", 0),
        ("-0", 0),
        ("+0", 0),
        ("0s", 0),
        ("5s", 5 * S),
        ("+5s", 5 * S),
        ("-5s", -5 * S),
        ("1478s", 1478 * S),
        ("5.0s", 5 * S),
        ("5.6s", 5 * S + 600 * MS),
        ("5.s", 5 * S),
        (".5s", 500 * MS),
        ("-.5s", -500 * MS),
        ("1.004s", S + 4 * MS),
        ("1.0040s", S + 4 * MS),
        ("100.00100s", 100 * S + MS),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13 * MS),
        ("15m", 15 * M),
        ("16h", 16 * H),
        ("3h30m", 3 * H + 30 * M),
        ("1h15m30.918s", H + 15 * M + 30 * S + 918 * MS),
        ("-1.5h", -(H + 30 * M)),
        ("10.5s4m", 4 * M + 10 * S + 500 * MS),
        ("-2m3.4s", -(2 * M + 3 * S + 400 * MS)),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * M),
        ("0.100000000000000000000h", 6 * M),
        ("0.9999999999s", S - 1),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
    ] {
        assert_eq!(parse(text), Ok(GoDuration(nanos)), "{text}");
    }
}

#[test]
fn refuses_what_go_refuses() {
    for (text, message) in [
        ("", "empty duration"),
        ("-", "expected a number"),
        ("+", "expected a number"),
        ("s", "expected a number"),
        (".", "expected a number"),
        ("-.", "expected a number"),
        (".s", "expected a number"),
        ("+.s", "expected a number"),
        (" 3s", "expected a number"),
        ("--5s", "expected a number"),
        ("3", "missing unit"),
        ("1h30", "missing unit"),
        ("1.5", "missing unit"),
        ("3d", "unknown unit \"d\""),
        ("3S", "unknown unit \"S\""),
        ("3s ", "unknown unit \"s \""),
        ("1h 5m", "unknown unit \"h \""),
        ("1e3s", "unknown unit \"e\""),
        ("9223372036854775808ns", "too long"),
        ("-9223372036854775809ns", "too long"),
        ("3000000h", "too long"),
        ("99999999999999999999s", "too long"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn writes_what_go_writes() {
    for (nanos, text) in [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (90 * S, "1m30s"),
        (4 * M + 5 * S, "4m5s"),
        (4 * M + 5_001 * MS, "4m5.001s"),
        (2 * H, "2h0m0s"),
        (5 * H + 6 * M + 7_001 * MS, "5h6m7.001s"),
        (8 * M + 1, "8m0.000000001s"),
        (-30 * S, "-30s"),
        (i64::MAX, "2562047h47m16.854775807s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ] {
        assert_eq!(GoDuration(nanos).to_string(), text);
    }
}

#[test]
fn a_length_is_never_negative() {
    assert_eq!(parse_length("1500ms"), Ok(Duration::from_millis(1500)));
    assert_eq!(
        parse_length("-1s"),
        Err(DurationError::Negative("-1s".to_owned()))
    );
}

proptest! {
    #[test]
    fn text_and_value_agree(nanos in any::<i64>()) {
        let duration = GoDuration(nanos);
        prop_assert_eq!(parse(&duration.to_string()), Ok(duration));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+0-9.a-zµ ]{0,24}") {
        let _ = parse(&text);
    }
}
