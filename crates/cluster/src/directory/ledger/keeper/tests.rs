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
