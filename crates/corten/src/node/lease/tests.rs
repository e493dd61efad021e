use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_gap_ends_it_until_the_term_was_decided_in() {
    let mut lease = Lease::new(ms(200), ms(1000));
    assert!(lease.check(ms(1200)));
    assert_eq!(lease.renew(ms(1200)), 0);
    assert!(lease.check(ms(1400)));
    // Whoever looks first notices, and only once.
    assert!(!lease.check(ms(1401)));
    assert!(!lease.check(ms(1402)));
    assert_eq!(lease.renew(ms(1402)), 1);
    // What was decided before the gap doesn't count.
    assert!(!lease.resume(0, ms(1403)));
    assert!(lease.resume(1, ms(1404)));
    assert!(lease.check(ms(1500)));
}

#[test]
fn renewing_after_a_gap_doesnt_hide_it() {
    let mut lease = Lease::new(ms(200), ms(0));
    assert_eq!(lease.renew(ms(5000)), 1);
    assert!(!lease.check(ms(5000)));
}

#[test]
fn a_gap_while_it_is_lost_is_a_gap_as_well() {
    let mut lease = Lease::new(ms(200), ms(0));
    assert_eq!(lease.renew(ms(1000)), 1);
    assert!(
        !lease.resume(1, ms(2000)),
        "what term 1 knows is a second old"
    );
    assert_eq!(lease.renew(ms(2000)), 2);
    assert!(lease.resume(2, ms(2001)));
}
