use super::{LONGEST, SHORTEST, is_lost, pause};
use kube::core::Status;
use kube::runtime::watcher::Error;

#[test]
fn pauses_grow_to_a_limit_and_differ() {
    assert!(pause(1) <= SHORTEST && pause(1) >= SHORTEST / 2);
    assert!(pause(4) >= SHORTEST * 4);
    for failures in [8, 17, 100, u32::MAX] {
        let pause = pause(failures);
        assert!(
            pause <= LONGEST && pause >= LONGEST / 2,
            "{failures}: {pause:?}"
        );
    }
    let many: std::collections::BTreeSet<_> = (0..16).map(|_| pause(10)).collect();
    assert!(many.len() > 1, "processes would come back all at once");
}

#[test]
fn a_forgotten_place_asks_for_a_list() {
    let status = |code| Box::new(Status::failure("gone", "").with_code(code));
    assert!(is_lost(&Error::WatchError(status(410))));
    assert!(is_lost(&Error::WatchStartFailed(kube::Error::Api(status(
        410
    )))));
    assert!(!is_lost(&Error::WatchStartFailed(kube::Error::Api(
        status(403)
    ))));
    assert!(!is_lost(&Error::WatchError(status(500))));
}
