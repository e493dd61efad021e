//! Every value an advertisement's annotations can have.

use super::*;

fn with(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn absent_means_metallb() {
    let none = BTreeMap::new();
    assert_eq!(ConflictPolicy::of(&none), Ok(ConflictPolicy::Report));
    assert_eq!(Refresh::of(&none), Ok(Refresh::Never));
    assert_eq!(Ownership::of(&none), Ok(Ownership::Default));
}

#[test]
fn ownership() {
    for (value, want) in [
        ("metallb", Ownership::Metallb),
        ("sticky", Ownership::Sticky),
    ] {
        let annotations = with("corten.io/ownership", value);
        assert_eq!(Ownership::of(&annotations), Ok(want), "{value}");
    }
    for value in ["", "Sticky", "stikcy", "default"] {
        let annotations = with("corten.io/ownership", value);
        assert_eq!(
            Ownership::of(&annotations).unwrap_err().to_string(),
            format!("annotation corten.io/ownership: {value:?} is neither metallb nor sticky"),
        );
    }
}

#[test]
fn policies() {
    for (value, policy) in [
        ("report", ConflictPolicy::Report),
        ("withhold", ConflictPolicy::Withhold),
        ("defend", ConflictPolicy::Defend),
    ] {
        let annotations = with("corten.io/address-conflict", value);
        assert_eq!(ConflictPolicy::of(&annotations), Ok(policy), "{value}");
    }
    for value in ["", "Report", "withold", " defend"] {
        let annotations = with("corten.io/address-conflict", value);
        assert_eq!(
            ConflictPolicy::of(&annotations).unwrap_err().to_string(),
            format!(
                "annotation corten.io/address-conflict: {value:?} is none of report, withhold \
                 and defend"
            ),
        );
    }
}

#[test]
fn refresh_periods() {
    for (value, period) in [("60s", 60), ("1m30s", 90), ("1s", 1)] {
        let annotations = with("corten.io/gratuitous-refresh", value);
        let every = Refresh::Every(Duration::from_secs(period));
        assert_eq!(Refresh::of(&annotations), Ok(every), "{value}");
    }
    for (value, cause) in [
        ("60", "missing unit"),
        ("", "empty duration"),
        ("999ms", "shorter than 1s"),
        ("0", "shorter than 1s"),
        ("-5s", "must not be negative"),
        ("never", "expected a number"),
    ] {
        let annotations = with("corten.io/gratuitous-refresh", value);
        let error = Refresh::of(&annotations).unwrap_err().to_string();
        assert!(
            error.starts_with("annotation corten.io/gratuitous-refresh: ") && error.contains(cause),
            "{value:?}: {error}"
        );
    }
}

#[test]
fn hold_downs() {
    for (value, want) in [
        ("30s", HoldDown::For(Duration::from_secs(30))),
        ("250ms", HoldDown::For(Duration::from_millis(250))),
        ("0", HoldDown::Off),
    ] {
        let annotations = with("corten.io/bgp-hold-down", value);
        assert_eq!(HoldDown::of(&annotations), Ok(want), "{value}");
    }
    assert_eq!(HoldDown::of(&BTreeMap::new()), Ok(HoldDown::Off));
    for (value, cause) in [("30", "missing unit"), ("-5s", "must not be negative")] {
        let annotations = with("corten.io/bgp-hold-down", value);
        let error = HoldDown::of(&annotations).unwrap_err().to_string();
        let name = "annotation corten.io/bgp-hold-down: ";
        assert!(error.starts_with(name) && error.contains(cause), "{error}");
    }
}
