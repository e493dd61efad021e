use super::*;

fn fault(said: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("corten.health.n2.json"), said).unwrap();
    let mut published = Published::new(directory.path(), &"n1".into());
    published.read();
    published.faults.get(&NodeName::from("n2")).cloned()
}

#[test]
fn what_is_wrong_with_a_file_is_remembered_so_that_it_is_said_once() {
    for (said, wanted) in [
        (r#"{"node": "n2", "ready": {"default/web": true}}"#, None),
        ("garbage", Some("is not understood: ")),
        (r#"{"node": "n3", "ready": {}}"#, Some("is that of node n3")),
    ] {
        let fault = fault(said);
        match wanted {
            None => assert_eq!(fault, None, "{said}"),
            Some(wanted) => assert!(fault.unwrap().starts_with(wanted), "{said}"),
        }
    }
}

#[test]
fn a_file_that_breaks_leaves_what_it_said_last() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("corten.health.n2.json");
    let mut published = Published::new(directory.path(), &"n1".into());
    let web = ServiceKey::new("default", "web");
    std::fs::write(&file, r#"{"node": "n2", "ready": {"default/web": true}}"#).unwrap();
    published.read();
    std::fs::write(&file, "{").unwrap();
    published.read();
    assert_eq!(published.of(&web), [("n2".into(), true)].into());
    assert_eq!(published.faults.len(), 1);
    std::fs::remove_file(&file).unwrap();
    published.read();
    assert_eq!(published.of(&web), Readiness::new());
    assert!(published.faults.is_empty());
}
