//! Legal changes: pools, Services and nodes edited while everything runs.

use super::site::Site;
use super::text::{l2, node, pool, port, service, slice};
use corten_engine::controller::AllocationState;

fn base(more: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("pool-1.yaml", pool("p1", &["10.0.0.0/30"])),
        ("l2.yaml", l2("all", "")),
        ("svc-a.yaml", service("a", "", &port(80))),
        ("svc-b.yaml", service("b", "", &port(80))),
    ];
    files.extend_from_slice(more);
    files
}

#[tokio::test(start_paused = true)]
async fn a_renamed_or_split_pool_moves_nobody() {
    let mut site = Site::new(&base(&[])).await;
    let before = site.ledger();
    site.edit("pool-1.yaml", &pool("other", &["10.0.0.0/30"]))
        .await;
    assert_eq!(site.ledger(), before, "renamed");
    let halves = [
        pool("x", &["10.0.0.0/32"]),
        pool("y", &["10.0.0.1-10.0.0.3"]),
    ]
    .join("---\n");
    site.edit("pool-1.yaml", &halves).await;
    assert_eq!(site.ledger(), before, "split");
    site.announced_once(&["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_shrunk_pool_moves_those_outside_only() {
    let mut site = Site::new(&base(&[])).await;
    assert_eq!(site.addresses("a"), "10.0.0.0");
    site.edit("pool-1.yaml", &pool("p1", &["10.0.0.1-10.0.0.3"]))
        .await;
    assert_eq!(site.addresses("a"), "10.0.0.2");
    assert_eq!(site.addresses("b"), "10.0.0.1");
    site.announced_once(&["a", "b"]);
    assert!(site.announcers("10.0.0.0".parse().unwrap()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_excluded_node_hands_over() {
    let mut site = Site::new(&base(&[])).await;
    let before = site.ledger();
    let exclude = "node.kubernetes.io/exclude-from-external-load-balancers: \"\"";
    for name in ["n1", "n2"] {
        site.edit(&format!("node-{name}.yaml"), &node(name, exclude))
            .await;
        site.announced_once(&["a", "b"]);
    }
    for ips in before.values() {
        assert_eq!(site.announcers(ips[0]), ["n3"]);
    }
    assert_eq!(site.ledger(), before);
}

#[tokio::test(start_paused = true)]
async fn a_node_out_of_service_hands_over() {
    let mut site = Site::new(&base(&[])).await;
    let before = site.ledger();
    let taint = "spec:\n  taints:\n  - {key: node.kubernetes.io/out-of-service, value: nodeshutdown, \
                 effect: NoExecute}\n";
    for name in ["n1", "n2"] {
        let tainted = format!("{}{taint}", node(name, ""));
        site.edit(&format!("node-{name}.yaml"), &tainted).await;
        site.announced_once(&["a", "b"]);
    }
    for ips in before.values() {
        assert_eq!(site.announcers(ips[0]), ["n3"]);
    }
    // Without the taint they are candidates again, and the hash decides as before.
    site.edit("node-n3.yaml", &format!("{}{taint}", node("n3", "")))
        .await;
    site.edit("node-n1.yaml", &node("n1", "")).await;
    for ips in before.values() {
        assert_eq!(site.announcers(ips[0]), ["n1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_preferred_second_family_comes_when_it_can() {
    let dual = "ipFamilyPolicy: PreferDualStack\n  ports: [{port: 80}]";
    let mut site = Site::new(&base(&[("svc-d.yaml", service("d", "", dual))])).await;
    assert_eq!(site.addresses("d"), "10.0.0.2");
    site.announced_once(&["d"]);
    site.edit("pool-1.yaml", &pool("p1", &["10.0.0.0/30", "fd00::/120"]))
        .await;
    assert_eq!(site.addresses("d"), "10.0.0.2 fd00::");
    site.announced_once(&["a", "b", "d"]);
    site.restart().await;
    assert_eq!(site.addresses("d"), "10.0.0.2 fd00::");
    site.announced_once(&["a", "b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn sharing_follows_the_keys() {
    let share = |name: &str, key: &str, port_: u16| {
        let annotations =
            format!("metallb.io/allow-shared-ip: {key}, metallb.io/loadBalancerIPs: 10.0.0.3");
        service(name, &annotations, &port(port_))
    };
    let mut site = Site::new(&base(&[
        ("svc-s.yaml", share("s", "k", 80)),
        ("svc-t.yaml", share("t", "k", 81)),
    ]))
    .await;
    assert_eq!(site.addresses("s"), "10.0.0.3");
    assert_eq!(site.addresses("t"), "10.0.0.3");
    site.announced_once(&["s", "t"]);
    site.edit("svc-t.yaml", &share("t", "other", 81)).await;
    assert_eq!(site.addresses("s"), "10.0.0.3");
    assert_eq!(site.addresses("t"), "");
    site.edit("svc-s.yaml", &share("s", "other", 80)).await;
    assert_eq!(site.addresses("t"), "10.0.0.3", "{:?}", site.state("t"));
    site.announced_once(&["s", "t"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_ask_for_an_address_one_gets_it() {
    let ask = |name: &str| service(name, "metallb.io/loadBalancerIPs: 10.0.0.3", &port(80));
    let mut site = Site::new(&base(&[("svc-s.yaml", ask("s")), ("svc-t.yaml", ask("t"))])).await;
    assert_eq!(
        (site.addresses("s").as_str(), site.addresses("t").as_str()),
        ("10.0.0.3", "")
    );
    site.delete("svc-s.yaml").await;
    assert_eq!(site.addresses("t"), "10.0.0.3");
    site.announced_once(&["t"]);
    assert!(matches!(
        site.state("t"),
        Some(AllocationState::Allocated { .. })
    ));
}

/// Two Services share one address, and one of them has another address before it: both addresses
/// have one announcer all the same.
#[tokio::test(start_paused = true)]
async fn services_that_share_an_address_have_one_announcer() {
    for last in 0..16 {
        let dual = format!(
            "metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: \"10.0.0.3,fd00::{last:x}\""
        );
        let six = format!(
            "metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: \"fd00::{last:x}\""
        );
        let site = Site::new(&base(&[
            ("pool-1.yaml", pool("p1", &["10.0.0.0/30", "fd00::/120"])),
            ("svc-s.yaml", service("s", &dual, &port(80))),
            ("svc-t.yaml", service("t", &six, &port(81))),
        ]))
        .await;
        assert_eq!(
            site.addresses("t"),
            format!("fd00::{last:x}").replace("::0", "::")
        );
        site.announced_once(&["s", "t"]);
    }
}

/// Two Local Services share an address, their endpoints on different nodes.
#[tokio::test(start_paused = true)]
async fn local_services_that_share_an_address_have_one_announcer() {
    let share = |name: &str, port: u16, node: &str| {
        let spec = format!(
            "externalTrafficPolicy: Local\n  selector: {{app: x}}\n  ports: [{{port: {port}}}]"
        );
        let annotations = "metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: 10.0.0.3";
        let text = service(name, annotations, &spec);
        let (text, _) = text.split_once("---\n").unwrap();
        format!("{text}---\n{}", slice(name, &[node]))
    };
    let site = Site::new(&base(&[
        ("svc-s.yaml", share("s", 80, "n1")),
        ("svc-t.yaml", share("t", 81, "n2")),
    ]))
    .await;
    assert_eq!(site.addresses("t"), "10.0.0.3");
    site.announced_once(&["s", "t"]);
}
