use super::*;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn files_are_written_when_they_differ() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = StatusFiles::new(dir.path());
    let path = |name: &str| dir.path().join(STATUS).join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let file = |name: &str| std::fs::metadata(path(name)).unwrap().ino();
    let web = ServiceKey::new("shop", "web");
    let assignment = Assignment {
        ingress: vec!["10.0.0.1".parse().unwrap()],
        pool: Some("a".into()),
    };
    let services: BTreeMap<_, _> = [(web.clone(), assignment)].into();
    let mut report = Report::default();
    files.write(&services, &report).unwrap();
    assert_eq!(
        read("services.yaml"),
        "\"shop/web\": {\"addresses\":[\"10.0.0.1\"],\"pool\":\"a\"}\n"
    );
    assert_eq!(read("layer2.yaml"), "{}\n");
    let (services_file, pools_file) = (file("services.yaml"), file("pools.yaml"));
    let status = IPAddressPoolStatus {
        assigned_ipv4: 1,
        available_ipv4: 2,
        ..IPAddressPoolStatus::default()
    };
    report.pools.insert("a".into(), status);
    let status = ServiceL2StatusStatus {
        node: Some("n1".to_owned()),
        ..ServiceL2StatusStatus::default()
    };
    report.layer2.insert(web.clone(), status);
    let status = ServiceBGPStatusStatus {
        peers: vec!["router".to_owned()],
        ..ServiceBGPStatusStatus::default()
    };
    report.bgp = Some([(web, status)].into());
    files.write(&services, &report).unwrap();
    assert_eq!(file("services.yaml"), services_file);
    assert_ne!(file("pools.yaml"), pools_file);
    assert_eq!(
        read("pools.yaml"),
        "\"a\": {\"assignedIPv4\":1,\"assignedIPv6\":0,\"availableIPv4\":2,\"availableIPv6\":0}\n"
    );
    assert_eq!(read("layer2.yaml"), "\"shop/web\": {\"node\":\"n1\"}\n");
    let bgp = "\"shop/web\": {\"peers\":[\"router\"]}\n";
    assert_eq!(read("bgp.yaml"), bgp);
    // Undecided is not nothing.
    report.bgp = None;
    files.write(&services, &report).unwrap();
    assert_eq!(read("bgp.yaml"), bgp);
    report.bgp = Some(BTreeMap::new());
    files.write(&services, &report).unwrap();
    assert_eq!(read("bgp.yaml"), "{}\n");
}

#[test]
fn a_failed_write_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = StatusFiles::new(dir.path());
    let blocked = dir.path().join(STATUS);
    std::fs::write(&blocked, "").unwrap();
    let report = Report::default();
    assert!(files.write(&BTreeMap::new(), &report).is_err());
    std::fs::remove_file(&blocked).unwrap();
    files.write(&BTreeMap::new(), &report).unwrap();
    assert!(blocked.join("pools.yaml").exists());
}
