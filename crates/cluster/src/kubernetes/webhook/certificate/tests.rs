use super::{AHEAD, CERTIFICATE, Certificate, DAY};

const NOW: i64 = 1_800_000_000;
const NAME: &str = "metallb-webhook-service.metallb-system.svc";

#[test]
fn one_that_was_made_is_good_until_it_ends_soon() {
    let made = Certificate::make(NAME, NOW).unwrap();
    assert!(made.is_good(NAME, NOW));
    assert!(made.is_good(NAME, NOW + CERTIFICATE - AHEAD - DAY));
    assert!(
        !made.is_good(NAME, NOW + CERTIFICATE - AHEAD + DAY),
        "it is made anew in time"
    );
    assert!(!made.is_good("another.svc", NOW));
}

#[test]
fn a_secret_keeps_it() {
    let made = Certificate::make(NAME, NOW).unwrap();
    assert_eq!(Certificate::from_data(&made.to_data()), Some(made.clone()));
    let mut data = made.to_data();
    data.remove("tls.key");
    assert_eq!(Certificate::from_data(&data), None);
}

#[test]
fn parts_of_two_or_of_nothing_are_not_good() {
    let (a, b) = (
        Certificate::make(NAME, NOW).unwrap(),
        Certificate::make(NAME, NOW).unwrap(),
    );
    let mixed = Certificate {
        key: b.key,
        ..a.clone()
    };
    assert!(!mixed.is_good(NAME, NOW), "the key is another's");
    let torn = Certificate {
        certificate: a.certificate[..100].to_owned(),
        ..a
    };
    assert!(!torn.is_good(NAME, NOW));
}
