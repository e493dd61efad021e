use super::*;

fn member(name: &str) -> Topic {
    Topic::Member(name.into())
}

#[test]
fn a_rumour_is_told_so_often_and_no_more() {
    let mut b = Broadcasts::default();
    b.push(member("a"), vec![1; 10]);
    for _ in 0..3 {
        assert_eq!(b.take(100, 3), [vec![1; 10]]);
    }
    assert!(b.is_empty());
    assert!(b.take(100, 3).is_empty());
}

#[test]
fn a_newer_rumour_of_a_member_replaces_the_older() {
    let mut b = Broadcasts::default();
    b.push(member("a"), vec![1]);
    b.push(member("b"), vec![2]);
    b.take(100, 9);
    b.push(member("a"), vec![3]);
    // The newer starts anew and so comes first.
    assert_eq!(b.take(100, 9), [vec![3], vec![2]]);
}

#[test]
fn claims_wait_for_what_is_said_of_members() {
    let mut b = Broadcasts::default();
    for i in 0..10 {
        b.push(Topic::Claims(i), vec![9; 50]);
    }
    b.push(member("a"), vec![1; 5]);
    assert_eq!(b.take(60, 9), [vec![1; 5], vec![9; 50]]);
    assert_eq!(b.take(52, 9), [vec![1; 5]]);
}

#[test]
fn least_told_first_then_the_longest_that_fits_then_the_newest() {
    let mut b = Broadcasts::default();
    b.push(member("short"), vec![1; 5]);
    b.push(member("long"), vec![2; 20]);
    b.push(member("newer"), vec![3; 5]);
    assert_eq!(b.take(22, 9), [vec![2; 20]]);
    // The long one was told once more than the others.
    assert_eq!(b.take(14, 9), [vec![3; 5], vec![1; 5]]);
    // One that doesn't fit makes way for those that do.
    assert_eq!(b.take(7, 9), [vec![3; 5]]);
    assert_eq!(b.take(2, 9), Vec::<Vec<u8>>::new());
    assert!(b.has(&member("long")) && !b.has(&Topic::Leaving));
}
