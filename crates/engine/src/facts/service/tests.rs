use super::*;
use proptest::prelude::*;

/// A Service from the inside of its `metadata` and `spec` flow mappings.
fn raw(metadata: &str, spec: &str) -> core::Service {
    let text = format!("metadata: {{name: web, namespace: shop, {metadata}}}\nspec: {{{spec}}}");
    serde_saphyr::from_str(&text).unwrap()
}

fn parsed(metadata: &str, spec: &str) -> Service {
    parse(&raw(metadata, spec), Origin::Directory).unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The current prefix wins by presence, even with an empty value.
#[test]
fn annotations_under_both_prefixes() {
    let rows = [
        ("", None),
        ("metallb.io/address-pool: a", Some("a")),
        ("metallb.universe.tf/address-pool: b", Some("b")),
        (
            "metallb.io/address-pool: a, metallb.universe.tf/address-pool: b",
            Some("a"),
        ),
        (
            "metallb.io/address-pool: '', metallb.universe.tf/address-pool: b",
            None,
        ),
    ];
    for (annotations, expected) in rows {
        let service = parsed(&format!("annotations: {{{annotations}}}"), "");
        let pool = service.requested_pool.as_ref().map(PoolName::as_str);
        assert_eq!(pool, expected, "{annotations}");
    }
    let key = |key: &str| Sharing::Key(key.to_owned());
    let rows = [
        ("", Sharing::Absent),
        ("metallb.io/allow-shared-ip: k", key("k")),
        ("metallb.universe.tf/allow-shared-ip: k", key("k")),
        ("metallb.io/allow-shared-ip: ''", key("")),
        (
            "metallb.io/allow-shared-ip: '', metallb.universe.tf/allow-shared-ip: k",
            key(""),
        ),
    ];
    for (annotations, expected) in rows {
        let service = parsed(&format!("annotations: {{{annotations}}}"), "");
        assert_eq!(service.sharing, expected, "{annotations}");
    }
}

#[test]
fn other_annotations() {
    let service = parsed(
        "annotations: {metallb.io/ip-allocated-from-pool: p, metallb.universe.tf/address-pool: a}",
        "",
    );
    assert_eq!(service.allocated_from, Some(PoolName::from("p")));
    assert_eq!(
        service.deprecated_annotations,
        ["metallb.universe.tf/address-pool"]
    );
    let service = parsed(
        "annotations: {metallb.universe.tf/ip-allocated-from-pool: p}",
        "",
    );
    assert_eq!(service.allocated_from, None);
}

#[test]
fn addresses_asked_for() {
    let asked = |texts: &[&str]| Requested::Addresses(ips(texts));
    let invalid = |text: &str| Requested::Invalid(text.to_owned());
    let new = "metallb.io/loadBalancerIPs";
    let old = "metallb.universe.tf/loadBalancerIPs";
    let count = "one address, or one of each family, can be asked for";
    let rows = [
        (String::new(), "", Requested::Any),
        (String::new(), "loadBalancerIP: ''", Requested::Any),
        (
            String::new(),
            "loadBalancerIP: 10.0.0.1",
            asked(&["10.0.0.1"]),
        ),
        (
            String::new(),
            "loadBalancerIP: ' 10.0.0.1'",
            invalid("invalid svc.Spec.LoadBalancerIP \" 10.0.0.1\""),
        ),
        (format!("{new}: 10.0.0.1"), "", asked(&["10.0.0.1"])),
        (format!("{old}: 10.0.0.1"), "", asked(&["10.0.0.1"])),
        (format!("{new}: '', {old}: 10.0.0.1"), "", Requested::Any),
        (
            format!("{new}: ' fd00::1 , 10.0.0.1 '"),
            "",
            asked(&["fd00::1", "10.0.0.1"]),
        ),
        (
            format!("{new}: '10.0.0.1,'"),
            "",
            invalid("invalid address \"\" in annotation metallb.io/loadBalancerIPs"),
        ),
        (
            format!("{old}: ten"),
            "",
            invalid("invalid address \"ten\" in annotation metallb.universe.tf/loadBalancerIPs"),
        ),
        (
            format!("{new}: '10.0.0.1,10.0.0.2'"),
            "",
            invalid(&format!(
                "annotation {new} asks for \"10.0.0.1,10.0.0.2\": {count}"
            )),
        ),
        (
            format!("{new}: '10.0.0.1,fd00::1,fd00::2'"),
            "",
            invalid(&format!(
                "annotation {new} asks for \"10.0.0.1,fd00::1,fd00::2\": {count}"
            )),
        ),
        (
            format!("{old}: 10.0.0.1"),
            "loadBalancerIP: 10.0.0.1",
            invalid(&format!(
                "both annotation {old} and svc.Spec.LoadBalancerIP ask for addresses: use one of them"
            )),
        ),
        (
            format!("{new}: ''"),
            "loadBalancerIP: 10.0.0.1",
            asked(&["10.0.0.1"]),
        ),
    ];
    for (annotations, spec, expected) in rows {
        let service = parsed(&format!("annotations: {{{annotations}}}"), spec);
        assert_eq!(service.requested, expected, "{annotations} {spec}");
    }
}

const V4: Families = Families::Single(Family::V4);
const V6: Families = Families::Single(Family::V6);

#[test]
fn families_of_cluster_addresses() {
    let rows = [
        ("", Families::Unassigned),
        ("clusterIP: ''", Families::Unassigned),
        ("clusterIPs: ['']", Families::Unassigned),
        ("clusterIP: None", Families::Headless),
        ("clusterIPs: [None], clusterIP: None", Families::Headless),
        ("clusterIP: 10.0.0.1", V4),
        ("clusterIP: 'fd00::1'", V6),
        ("clusterIPs: ['fd00::1'], clusterIP: 10.0.0.1", V6),
        ("clusterIPs: [10.0.0.1, 'fd00::1']", Families::Dual),
        ("clusterIPs: [10.0.0.1, 10.0.0.2]", Families::Invalid),
        (
            "clusterIPs: [10.0.0.1, 'fd00::1', 'fd00::2']",
            Families::Invalid,
        ),
        ("clusterIPs: [x]", Families::Invalid),
        ("clusterIPs: [None, 10.0.0.1]", Families::Invalid),
        // Only the cluster addresses count.
        (
            "ipFamilies: [IPv6], ipFamilyPolicy: RequireDualStack, clusterIP: 10.0.0.1",
            V4,
        ),
        ("ipFamilies: [IPv6]", Families::Unassigned),
    ];
    for (spec, expected) in rows {
        let service = parse(&raw("", spec), Origin::Kubernetes).unwrap();
        assert_eq!(service.families, expected, "{spec}");
    }
}

#[test]
fn families_without_an_api_server() {
    use FamilyPolicy::{PreferDualStack, RequireDualStack, SingleStack};
    let rows = [
        ("", V4, SingleStack, Family::V4),
        ("clusterIP: 'fd00::1'", V6, SingleStack, Family::V4),
        (
            "clusterIP: None",
            Families::Headless,
            SingleStack,
            Family::V4,
        ),
        ("ipFamilies: [IPv6]", V6, SingleStack, Family::V6),
        (
            "ipFamilies: [IPv6], ipFamilyPolicy: SingleStack",
            V6,
            SingleStack,
            Family::V6,
        ),
        (
            "ipFamilyPolicy: SingleStack, loadBalancerIP: 'fd00::1'",
            V4,
            SingleStack,
            Family::V4,
        ),
        ("loadBalancerIP: 'fd00::1'", V6, SingleStack, Family::V4),
        (
            "ipFamilies: [IPv6, IPv4]",
            Families::Dual,
            RequireDualStack,
            Family::V6,
        ),
        (
            "ipFamilyPolicy: PreferDualStack",
            Families::Dual,
            PreferDualStack,
            Family::V4,
        ),
        (
            "ipFamilies: [IPv6], ipFamilyPolicy: PreferDualStack",
            Families::Dual,
            PreferDualStack,
            Family::V6,
        ),
        (
            "ipFamilyPolicy: RequireDualStack",
            Families::Dual,
            RequireDualStack,
            Family::V4,
        ),
    ];
    for (spec, families, policy, primary) in rows {
        let service = parsed("", spec);
        let found = (
            service.families,
            service.family_policy,
            service.primary_family,
        );
        assert_eq!(found, (families, policy, primary), "{spec}");
    }
    let both = "annotations: {metallb.io/loadBalancerIPs: 'fd00::1,10.0.0.1'}";
    let service = parsed(both, "");
    assert_eq!(
        (service.families, service.family_policy),
        (Families::Dual, RequireDualStack)
    );
}

#[test]
fn what_a_service_is_rejected_for() {
    let rows: &[(&str, &[&str])] = &[
        (
            "ipFamilies: [IPv5]",
            &["spec.ipFamilies[0]: \"IPv5\" is not a family (IPv4 or IPv6)"],
        ),
        (
            "ipFamilies: [IPv4, IPv4]",
            &["spec.ipFamilies[1]: IPv4 is there twice"],
        ),
        (
            "ipFamilyPolicy: DualStack",
            &[
                "spec.ipFamilyPolicy: \"DualStack\" is not a policy (SingleStack, PreferDualStack or \
               RequireDualStack)",
            ],
        ),
        (
            "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack",
            &["spec.ipFamilyPolicy: SingleStack, but spec.ipFamilies has two families"],
        ),
        (
            "externalTrafficPolicy: local, ports: [{port: 0}, {port: 65536}, {port: 80, protocol: \
             HTTP}]",
            &[
                "spec.externalTrafficPolicy: \"local\" is not a policy (Cluster or Local)",
                "spec.ports[0].port: port 0 is not between 1 and 65535",
                "spec.ports[1].port: port 65536 is not between 1 and 65535",
                "spec.ports[2].protocol: \"HTTP\" is not a protocol (TCP, UDP or SCTP)",
            ],
        ),
    ];
    for (spec, expected) in rows {
        let faults = parse(&raw("", spec), Origin::Directory).unwrap_err();
        let said: Vec<_> = faults
            .iter()
            .map(|f| format!("{}: {}", f.field, f.cause))
            .collect();
        assert_eq!(said, *expected, "{spec}");
    }
}

#[test]
fn the_rest_of_a_service() {
    let service = parsed(
        "creationTimestamp: '2024-01-02T03:04:05Z', labels: {a: b}",
        "type: LoadBalancer, loadBalancerClass: x/y, externalTrafficPolicy: Local, selector: {app: \
         web}, ports: [{port: 80}, {port: 53, protocol: UDP}, {port: 9, protocol: SCTP}]",
    );
    assert!(service.is_load_balancer);
    assert_eq!(service.class, Class::Named("x/y".to_owned()));
    assert_eq!(service.traffic_policy, TrafficPolicy::Local);
    assert_eq!(service.created.as_deref(), Some("2024-01-02T03:04:05Z"));
    let ports: Vec<_> = service.ports.iter().map(|p| (p.protocol, p.port)).collect();
    assert_eq!(
        ports,
        [
            (Protocol::Tcp, 80),
            (Protocol::Udp, 53),
            (Protocol::Sctp, 9)
        ]
    );
    let service = parsed("", "type: ClusterIP");
    assert!(!service.is_load_balancer);
    assert_eq!(
        (service.class, service.traffic_policy),
        (Class::Default, TrafficPolicy::Cluster)
    );
}

#[test]
fn addresses_in_the_status() {
    let rows = [
        ("", Ingress::Empty),
        ("{hostname: lb.example.com}", Ingress::Empty),
        ("{ip: ''}", Ingress::Empty),
        (
            "{ip: 'fd00::1', ipMode: VIP}, {hostname: x}, {ip: 10.0.0.1}",
            Ingress::Addresses(ips(&["fd00::1", "10.0.0.1"])),
        ),
        (
            "{ip: 10.0.0.1}, {ip: ten}",
            Ingress::Unreadable("ten".to_owned()),
        ),
    ];
    for (entries, expected) in rows {
        let mut service = raw("", "");
        let text = format!("loadBalancer: {{ingress: [{entries}]}}");
        service.status = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(
            parse(&service, Origin::Directory).unwrap().ingress,
            expected,
            "{entries}"
        );
    }
}

proptest! {
    #[test]
    fn any_service_parses_or_says_why(
        families in prop::collection::vec("IPv4|IPv6|.{0,3}", 0..4),
        policy in prop::option::of("SingleStack|PreferDualStack|RequireDualStack|.{0,3}"),
        ips in prop::collection::vec("10\\.0\\.0\\.1|fd00::1|None|.{0,3}", 0..4),
        asked in "(10\\.0\\.0\\.1|fd00::1|,| |x){0,4}",
        port: i32, kubernetes: bool,
    ) {
        let mut service = raw("", "type: LoadBalancer");
        service.spec.ip_families = families;
        service.spec.ip_family_policy = policy;
        service.spec.cluster_ips = ips;
        service.spec.ports = vec![core::ServicePort { protocol: None, port }];
        service.metadata.annotations.insert("metallb.io/loadBalancerIPs".to_owned(), asked);
        let origin = if kubernetes { Origin::Kubernetes } else { Origin::Directory };
        if let Err(faults) = parse(&service, origin) {
            prop_assert!(!faults.is_empty());
        }
    }
}
