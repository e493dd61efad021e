use super::*;
use crate::directory::tests::pool;

fn changes(told: &[&str], writing: &[&str]) -> Look {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Look {
        scope: Scope::Changes,
        told: names(told),
        writing: names(writing),
    }
}

fn names(files: &Files) -> Vec<&str> {
    let objects = files.files.values().flat_map(|f| &f.objects);
    objects.map(|o| o.identity.name()).collect()
}

#[test]
fn a_file_is_read_when_told_or_seen_the_same_twice_but_not_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("a.yaml"), text).unwrap();
    let mut files = Files::new(dir.path(), false);
    files.look(&Look::everything());
    write(&pool("one"));
    for _ in 0..3 {
        assert!(!files.look(&changes(&[], &["a.yaml"])).changed);
    }
    assert!(files.look(&changes(&["a.yaml"], &[])).changed);
    assert_eq!(names(&files), ["one"]);
    write(&pool("other"));
    assert!(!files.look(&changes(&[], &[])).changed);
    assert_eq!(names(&files), ["one"]);
    assert!(files.look(&changes(&[], &[])).changed);
    assert_eq!(names(&files), ["other"]);
    // Changing still, so it doesn't look the same twice.
    write(&pool("third-one"));
    assert!(!files.look(&changes(&[], &[])).changed);
    write(&pool("fourth-one-of-all"));
    assert!(!files.look(&changes(&[], &[])).changed);
    assert!(files.look(&changes(&[], &[])).changed);
    assert_eq!(names(&files), ["fourth-one-of-all"]);
}

#[test]
fn a_change_within_the_same_time_and_size_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    std::fs::write(&path, pool("one")).unwrap();
    let mut files = Files::new(dir.path(), false);
    files.look(&Look::everything());
    let file = files.files.get_mut("a.yaml").unwrap();
    assert!(file.fresh);
    // As if the file system's clock had stood still.
    std::fs::write(&path, pool("two")).unwrap();
    file.stamp = Stamp::read(&path);
    assert!(files.look(&changes(&[], &[])).changed);
    assert_eq!(names(&files), ["two"]);
}

#[test]
fn what_the_system_refuses_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    // A regular file that is there, and whose reading fails (EIO).
    std::os::unix::fs::symlink("/proc/self/mem", dir.path().join("refused.yaml")).unwrap();
    std::fs::write(dir.path().join("broken.yaml"), b"\xff").unwrap();
    let files = Files::new(dir.path(), false);
    let old = Stamp {
        file: (0, 0),
        size: 0,
        modified: (0, 0),
        changed: (0, 0),
    };
    for (name, again) in [("refused.yaml", true), ("broken.yaml", false)] {
        let file = files.read(name, Some(old));
        assert_eq!(file.rejections.len(), 1, "{name}");
        assert_eq!(file.fresh, again, "{name}: {:?}", file.rejections);
    }
}
