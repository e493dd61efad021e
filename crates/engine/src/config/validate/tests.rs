use super::*;
use crate::event::manifest::{custom, objects};

fn said(texts: &[(&str, String)], backends: &[Backend]) -> Vec<String> {
    let placed = texts.iter().flat_map(|(place, text)| {
        objects(text)
            .into_iter()
            .map(|object| (object, (*place).to_owned()))
    });
    let unread = Rejection {
        subject: Subject::Unidentified,
        field: String::new(),
        cause: "not YAML".to_owned(),
        place: "b.yaml:9".to_owned(),
    };
    let problems = validate_all(placed.collect(), vec![unread], backends);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_at_once_with_its_place() {
    let service = |name: &str, annotation: &str, spec: &str| {
        format!(
            "kind: Service\nmetadata: {{name: {name}, namespace: shop, annotations: \
             {{{annotation}}}}}\nspec: {{type: LoadBalancer, {spec}}}"
        )
    };
    let texts = [
        (
            "b.yaml:1",
            custom("IPAddressPool", "a", "addresses: [10.0.0.0, 10.0.1.0/24]"),
        ),
        (
            "a.yaml:17",
            service(
                "both",
                "metallb.io/loadBalancerIPs: 10.0.0.1",
                "loadBalancerIP: 10.0.0.1",
            ),
        ),
        ("a.yaml:3", service("headless", "", "clusterIP: None")),
        (
            "a.yaml:5",
            service("two", "", "clusterIPs: [10.0.0.1, 10.0.0.2]"),
        ),
        (
            "c.yaml:1",
            custom(
                "BGPPeer",
                "p",
                "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, vrf: red",
            ),
        ),
    ];
    let mut expected = vec![
        "a.yaml:3: Service shop/headless: spec.clusterIPs: None: a headless Service gets no address",
        "a.yaml:5: Service shop/two: spec.clusterIPs: not one address, nor one of each family",
        "a.yaml:17: Service shop/both: both annotation metallb.io/loadBalancerIPs and \
         svc.Spec.LoadBalancerIP ask for addresses: use one of them",
        "b.yaml:1: IPAddressPool m/a: spec.addresses[0]: invalid CIDR \"10.0.0.0\": expected \
         address/length or start-end",
        "b.yaml:9: not YAML",
    ];
    assert_eq!(said(&texts, &[]), expected);
    expected.push("c.yaml:1: BGPPeer m/p: spec.vrf: peer 10.0.0.1 has vrf set on native bgp mode");
    assert_eq!(said(&texts, &Backend::ALL), expected);
}

#[test]
fn a_health_check_is_read() {
    let text = "kind: Service\nmetadata: {name: web, namespace: shop, annotations: \
                {corten.io/health: '{tcp: {prt: 80}}'}}";
    let found = said(&[("a.yaml:1", text.to_owned())], &[]);
    let start = "a.yaml:1: Service shop/web: metadata.annotations[corten.io/health]: ";
    assert!(found[0].starts_with(start), "{found:?}");
}
