use super::{Mirror, Packed, Shown, Statement, Wanted, differences, said};
use corten_api::status::{InterfaceInfo, ServiceBGPStatusStatus, ServiceL2StatusStatus};
use corten_engine::names::ServiceKey;
use kube::runtime::watcher::Event;
use std::collections::BTreeMap;

fn name(service: &ServiceKey, node: &str) -> String {
    super::name::<ServiceL2StatusStatus>(service, node)
}

fn bgp_status(node: &str, service: &str) -> ServiceBGPStatusStatus {
    ServiceBGPStatusStatus {
        node: Some(node.to_owned()),
        service_name: Some(service.to_owned()),
        service_namespace: Some("default".to_owned()),
        peers: Vec::new(),
    }
}

fn status(node: &str, service: &str) -> ServiceL2StatusStatus {
    ServiceL2StatusStatus {
        node: Some(node.to_owned()),
        service_name: Some(service.to_owned()),
        service_namespace: Some("default".to_owned()),
        interfaces: Vec::new(),
    }
}

/// What node `a` does about objects, each `name node service`, if it announces `services`.
fn check(shown: &[(&str, &str, &str)], services: &[&str], expected: &[(&str, &str)]) {
    check_of(status, shown, services, expected);
}

/// The same for any kind.
fn check_of<S: Statement>(
    status: fn(&str, &str) -> S,
    shown: &[(&str, &str, &str)],
    services: &[&str],
    expected: &[(&str, &str)],
) {
    let mut mirror = Mirror::default();
    for (name, node, service) in shown {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "labels": {{"metallb.io/node": "{node}",
                "metallb.io/service-name": "{service}", "metallb.io/service-namespace": "default"}}}},
                "status": {{"node": "{node}", "serviceName": "{service}", "serviceNamespace": "default"}}}}"#
        );
        let object = serde_json::from_str(&text).unwrap();
        mirror.hear(Ok(Event::InitApply(object)), |o| Shown::read::<S>(o, "a"));
    }
    mirror.hear(Ok(Event::InitDone), |o| Shown::read::<S>(o, "a"));
    let wanted = services.iter().map(|s| {
        let key = ServiceKey::new("default", s);
        (key, status("a", s))
    });
    let wanted = said(wanted.collect(), "a");
    let found: BTreeMap<_, _> = differences(S::ANNOUNCERS, &wanted, &mirror)
        .into_iter()
        .map(|(name, wanted)| match wanted {
            Wanted::Announced(_) => (name, "announced"),
            Wanted::Removed => (name, "removed"),
        })
        .collect();
    let expected = expected
        .iter()
        .map(|(n, w)| ((*n).to_owned(), *w))
        .collect();
    assert_eq!(found, expected, "{shown:?} {services:?}");
}

#[test]
fn what_stands_is_left_alone() {
    let web = name(&ServiceKey::new("default", "web"), "a");
    check(&[(&web, "a", "web")], &["web"], &[]);
    check(&[("l2-x", "b", "other")], &["web"], &[(&web, "announced")]);
}

#[test]
fn the_announcing_node_removes_what_others_left() {
    let web = name(&ServiceKey::new("default", "web"), "a");
    let shown = [
        (web.as_str(), "a", "web"),
        ("l2-abcde", "b", "web"),
        ("l2-fghij", "a", "web"),
    ];
    check(
        &shown,
        &["web"],
        &[("l2-abcde", "removed"), ("l2-fghij", "removed")],
    );
}

#[test]
fn every_node_that_speaks_bgp_has_its_own() {
    let web = super::name::<ServiceBGPStatusStatus>(&ServiceKey::new("default", "web"), "a");
    assert!(web.starts_with("bgp-") && web.len() == 20, "{web}");
    let shown = [
        (web.as_str(), "a", "web"),
        ("bgp-abcde", "b", "web"),
        ("bgp-fghij", "a", "web"),
    ];
    check_of(bgp_status, &shown, &["web"], &[("bgp-fghij", "removed")]);
    let both = [(web.as_str(), "removed"), ("bgp-fghij", "removed")];
    check_of(bgp_status, &shown, &[], &both);
}

#[test]
fn a_node_removes_its_own_when_it_falls_silent() {
    let web = name(&ServiceKey::new("default", "web"), "a");
    check(
        &[(&web, "a", "web"), ("l2-b", "b", "web")],
        &[],
        &[(&web, "removed")],
    );
}

#[test]
fn names_differ_between_nodes_and_services() {
    let (web, api) = (
        ServiceKey::new("default", "web"),
        ServiceKey::new("default", "api"),
    );
    let names = [name(&web, "a"), name(&web, "b"), name(&api, "a")];
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), 3);
    assert!(
        names[0].starts_with("l2-") && names[0].len() == 19,
        "{}",
        names[0]
    );
}

#[test]
fn a_packed_status_reads_back_and_another_is_told_from_it() {
    let one = ServiceL2StatusStatus {
        interfaces: vec![InterfaceInfo {
            name: Some("eth0".to_owned()),
        }],
        ..status("a", "web")
    };
    let packed = Packed::of(&one);
    let read: ServiceL2StatusStatus = serde_json::from_str(&packed.text).unwrap();
    assert_eq!(read, one);
    assert_eq!(packed, Packed::of(&read));
    assert_ne!(packed.digest, Packed::of(&status("a", "web")).digest);
}
