use super::*;

#[test]
fn a_second_holder_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = Lock::acquire(&path, "n1").unwrap();
    let error = Lock::acquire(&path, "n2").unwrap_err().to_string();
    let pid = std::process::id();
    assert!(
        error.contains(&format!("node n1, process {pid}")),
        "{error}"
    );
    drop(first);
    let second = Lock::acquire(&path, "n2").unwrap();
    let error = Lock::acquire(&path, "n1").unwrap_err().to_string();
    assert!(error.contains("node n2"), "{error}");
    assert!(second.is_in_place());
}

#[test]
fn a_lock_on_a_replaced_file_is_not_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let lock = Lock::acquire(&path, "n1").unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(!lock.is_in_place());
    std::fs::write(&path, "").unwrap();
    assert!(!lock.is_in_place());
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent").join("lock");
    let error = Lock::acquire(&path, "n1").unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
}
