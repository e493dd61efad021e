use super::*;

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

#[test]
fn the_last_word_counts() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut held = Held::default();
    assert_eq!(held.next(), None);
    held.add(
        vec![
            (key("a"), Duration::from_secs(10)),
            (key("b"), Duration::from_secs(20)),
        ],
        now,
    );
    assert_eq!(held.next(), Some(at(10)));
    held.add(vec![(key("a"), Duration::from_secs(10))], at(5));
    assert_eq!(held.next(), Some(at(15)));
    assert_eq!(held.take_due(at(14)), [].into());
    assert_eq!(held.take_due(at(15)), [key("a")].into());
    assert_eq!(held.next(), Some(at(20)));
    held.add(vec![(key("b"), Duration::MAX)], at(16));
    assert_eq!(held.next(), None);
}
