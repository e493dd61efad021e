use super::*;
use crate::gossip::tests::zero;

fn suspicion(wanted: usize) -> (Suspicion, Instant) {
    let now = zero();
    let (shortest, longest) = (Duration::from_secs(2), Duration::from_secs(30));
    (
        Suspicion::new("me".into(), wanted, shortest, longest, now),
        now,
    )
}

#[test]
fn each_confirmation_shortens_it_less() {
    let (mut s, start) = suspicion(3);
    let rows = [
        ("me", false, 30_000),
        ("a", true, 16_000),
        ("a", false, 16_000),
        ("b", true, 7_810),
        ("c", true, 2_000),
        ("d", false, 2_000),
    ];
    for (by, news, millis) in rows {
        assert_eq!(s.confirm(by), news, "{by}");
        let got = s.deadline() - start;
        assert_eq!(got.as_millis(), millis, "{by}");
    }
}

#[test]
fn without_others_to_confirm_it_is_the_shortest() {
    let (mut s, start) = suspicion(0);
    assert!(!s.confirm("a"));
    assert_eq!(s.deadline() - start, Duration::from_secs(2));
}
