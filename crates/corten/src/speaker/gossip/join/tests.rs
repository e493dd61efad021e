use super::*;

fn at(i: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, i], 7946))
}

fn set(of: &[u8]) -> BTreeSet<SocketAddr> {
    of.iter().map(|i| at(*i)).collect()
}

fn joiner() -> (Joiner, Instant) {
    let now = Instant::now();
    (Joiner::new(at(1), now), now)
}

#[test]
fn it_settles_with_the_first_of_three_things() {
    let second = Duration::from_secs(1);
    // Nobody is to be found.
    let (mut j, now) = joiner();
    assert!(!j.is_settled(false));
    j.found(Found::All(set(&[1])), now);
    assert!(j.is_settled(false));
    // Not everything could be asked: that nobody was found says nothing.
    let (mut j, now) = joiner();
    j.found(Found::Some(set(&[1])), now);
    assert!(!j.is_settled(false));
    // An exchange.
    let (mut j, now) = joiner();
    j.found(Found::All(set(&[1, 2])), now);
    assert!(!j.is_settled(false));
    j.exchanged(at(2));
    assert!(j.is_settled(false));
    // Somebody else joined us.
    let (mut j, _) = joiner();
    assert!(j.is_settled(true));
    // Ten seconds.
    let (mut j, now) = joiner();
    j.found(Found::All(set(&[2])), now);
    j.due(&set(&[1]), now + second * 9);
    assert!(!j.is_settled(false));
    j.due(&set(&[1]), now + second * 10);
    assert!(j.is_settled(false));
}

#[test]
fn who_isnt_a_member_is_joined_eagerly_by_one_alone_and_calmly_else() {
    let (mut j, now) = joiner();
    assert_eq!(j.next(), Some(now + PATIENCE));
    j.found(Found::All(set(&[1, 2, 3])), now);
    assert_eq!(j.due(&set(&[1]), now), set(&[2, 3]));
    assert_eq!(j.due(&set(&[1]), now), set(&[]));
    assert_eq!(j.next(), Some(now + EAGER));
    let now = now + EAGER;
    assert_eq!(j.due(&set(&[1, 2]), now), set(&[3]));
    j.exchanged(at(2));
    assert_eq!(j.next(), Some(now + CALM));
    // Somebody new is joined at once.
    j.found(Found::All(set(&[1, 2, 3, 4])), now);
    assert_eq!(j.due(&set(&[1, 2]), now), set(&[3, 4]));
}

#[test]
fn a_failure_is_said_once_until_it_works() {
    let (mut j, _) = joiner();
    assert!(j.failed(at(2)));
    assert!(!j.failed(at(2)));
    j.exchanged(at(2));
    assert!(j.failed(at(2)));
}
