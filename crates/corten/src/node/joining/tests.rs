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
    assert!(!j.is_settled(false, false));
    j.found(Found::All(set(&[1])), now);
    assert!(j.is_settled(false, false));
    // Not everything could be asked: that nobody was found says nothing.
    let (mut j, now) = joiner();
    j.found(Found::Some(set(&[1])), now);
    assert!(!j.is_settled(false, false));
    // An exchange.
    let (mut j, now) = joiner();
    j.found(Found::All(set(&[1, 2])), now);
    assert!(!j.is_settled(false, false));
    j.exchanged(at(2));
    assert!(j.is_settled(false, false));
    // Somebody else joined us.
    let (mut j, _) = joiner();
    assert!(j.is_settled(true, true));
    // That somebody is known, by hearsay, is no exchange.
    let (mut j, _) = joiner();
    assert!(!j.is_settled(false, true));
    // Ten seconds.
    let (mut j, now) = joiner();
    j.found(Found::All(set(&[2])), now);
    j.due(&set(&[1]), now + second * 9);
    assert!(!j.is_settled(false, false));
    j.due(&set(&[1]), now + second * 10);
    assert!(j.is_settled(false, false));
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
fn many_who_are_missing_take_turns() {
    let (mut j, mut now) = joiner();
    let all: Vec<u8> = (1..=8).collect();
    j.found(Found::All(set(&all)), now);
    let mut tried = Vec::new();
    for _ in 0..4 {
        tried.push(j.due(&set(&[1, 2]), now));
        now += CALM;
    }
    assert_eq!(
        tried,
        [
            set(&[3, 4, 5]),
            set(&[6, 7, 8]),
            set(&[3, 4, 5]),
            set(&[6, 7, 8])
        ]
    );
    let many: Vec<u8> = (1..=60).collect();
    j.found(Found::All(set(&many)), now);
    assert_eq!(j.due(&set(&[1]), now).len(), EAGER_TRIES);
}

#[test]
fn a_failure_is_said_once_until_it_works() {
    let (mut j, _) = joiner();
    assert!(j.failed(at(2)));
    assert!(!j.failed(at(2)));
    j.exchanged(at(2));
    assert!(j.failed(at(2)));
}

#[test]
fn who_was_away_waits_for_an_exchange_of_his_own() {
    let second = Duration::from_secs(1);
    let away = || {
        let (mut j, now) = joiner();
        j.found(Found::All(set(&[1, 2])), now);
        j.exchanged(at(2));
        assert!(j.is_settled(true, true));
        let now = now + second * 60;
        j.again(now);
        (j, now)
    };
    // What was exchanged before, and members known from before, prove nothing.
    let (mut j, now) = away();
    assert!(!j.is_settled(true, true));
    assert!(j.asks_again(now));
    j.due(&set(&[1, 2]), now);
    assert!(!j.asks_again(now));
    assert_eq!(j.next(), Some(now + EAGER));
    assert!(j.asks_again(now + EAGER));
    j.exchanged(at(2));
    assert!(j.is_settled(true, true));
    assert!(!j.asks_again(now + EAGER));
    // Nobody answers: ten seconds.
    let (mut j, now) = away();
    j.due(&set(&[1, 2]), now + second * 9);
    assert!(!j.is_settled(true, true));
    j.due(&set(&[1, 2]), now + second * 10);
    assert!(j.is_settled(true, true));
    // Nobody is there, and nobody is to be found.
    let (mut j, now) = away();
    j.found(Found::All(set(&[1])), now);
    assert!(!j.is_settled(true, true));
    assert!(j.is_settled(true, false));
}
