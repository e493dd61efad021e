use super::*;

#[test]
fn a_crash_at_any_step_leaves_a_whole_version() {
    let steps = [
        (Step::Created, "old"),
        (Step::Written, "old"),
        (Step::Synced, "old"),
        (Step::Renamed, "new"),
        (Step::Finished, "new"),
    ];
    for (crash, left) in steps {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"old").unwrap();
        let result = write_with(&path, b"new", &mut |step| {
            if step == crash {
                return Err(io::Error::other("crash"));
            }
            Ok(())
        });
        assert!(result.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), left, "{crash:?}");
        // The next write takes the abandoned file over.
        write(&path, b"newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_crash_at_any_byte_leaves_the_old_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write(&path, b"old").unwrap();
    for cut in 0..=3 {
        fs::write(temporary(&path), &b"new"[..cut]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
    write(&path, b"n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "n");
}
