use super::*;

/// What the keeper holds is made to differ behind its back, which only parsing brings to light.
#[test]
fn a_ledger_is_parsed_again_only_if_its_text_changed() {
    let (manifests, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = || Keeper::open(manifests.path(), state.path(), &"n1".into(), true).unwrap();
    let differ = |keeper: &mut Keeper| {
        Arc::make_mut(keeper.accepted.as_mut().unwrap())
            .allocator
            .push('x');
    };
    let mut keeper = open();
    keeper.look();
    for restarted in [false, true] {
        if restarted {
            drop(keeper);
            keeper = open();
        }
        differ(&mut keeper);
        keeper.look();
        assert_eq!(keeper.refusal(), None, "restarted: {restarted}");
    }
    let path = manifests.path().join(LEDGER);
    let mut text = std::fs::read(&path).unwrap();
    text.push(b'\n');
    std::fs::write(&path, text).unwrap();
    keeper.look();
    assert!(keeper.refusal().is_some(), "the text changed");
}

#[test]
fn a_ledger_that_looks_the_same_is_not_even_read() {
    let (manifests, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = NodeName::from("n1");
    let mut keeper = Keeper::open(manifests.path(), state.path(), &node, true).unwrap();
    keeper.look();
    assert!(keeper.path.exists() && keeper.refusal.is_none());
    std::fs::write(&keeper.path, "unreadable").unwrap();
    // As if it had been read like this long ago.
    keeper.judged = Stamp::read(&keeper.path).zip(Stamp::read(&keeper.copy));
    keeper.look();
    assert!(keeper.refusal.is_none());
    std::fs::write(&keeper.path, "unreadable, too").unwrap();
    keeper.look();
    assert!(keeper.refusal.is_some());
}

#[test]
fn a_copy_that_can_not_be_written_follows() {
    let (manifests, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = tempfile::tempdir().unwrap();
    let open = |at: &Path| Keeper::open(manifests.path(), at, &"n1".into(), true).unwrap();
    let mut first = open(other.path());
    first.look();
    let foreign = std::fs::read(&first.path).unwrap();
    drop(first);
    std::fs::remove_file(manifests.path().join(LEDGER)).unwrap();

    let mut keeper = open(state.path());
    let obstacle = atomic::temporary(&keeper.copy);
    std::fs::create_dir(&obstacle).unwrap();
    keeper.look();
    let used = keeper.accepted.clone();
    assert_eq!((keeper.refusal(), keeper.copy.exists()), (None, false));
    assert!(keeper.uncopied.is_some());
    // That there is no copy doesn't mean that it was deleted.
    let own = std::fs::read(&keeper.path).unwrap();
    std::fs::write(&keeper.path, &foreign).unwrap();
    keeper.look();
    assert!(keeper.refusal().is_some() && keeper.accepted == used);
    std::fs::write(&keeper.path, &own).unwrap();
    std::fs::remove_dir(&obstacle).unwrap();
    keeper.look();
    assert_eq!((keeper.refusal(), &keeper.uncopied), (None, &None));
    assert_eq!(std::fs::read(&keeper.copy).unwrap(), own);
    // From then on it does.
    std::fs::write(&keeper.path, &foreign).unwrap();
    std::fs::remove_file(&keeper.copy).unwrap();
    keeper.look();
    assert!(keeper.refusal().is_none() && keeper.accepted != used);
}
