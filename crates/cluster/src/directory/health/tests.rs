//! Health checks as the directory tells of them.

use crate::directory::Role;
use crate::directory::tests::{Host, service};
use tokio::net::TcpListener;

const NODES: &str = "{apiVersion: v1, kind: Node, metadata: {name: n1}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: n2}}\n";

fn checked(check: &str) -> String {
    let annotation = format!("metadata: {{annotations: {{corten.io/health: '{check}'}}, ");
    service("web").replace("metadata: {", &annotation)
}

fn tcp(port: u16) -> String {
    checked(&format!(
        "{{tcp: {{port: {port}}}, interval: 100ms, rise: 2, fall: 1}}"
    ))
}

#[tokio::test]
async fn readiness_follows_the_check_and_is_published() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut host = Host::new(&[("nodes.yaml", NODES), ("web.yaml", &tcp(port))]);
    host.start(Role::Follower);
    host.until("EndpointSlice web.corten-health n1=false n2=?")
        .await;
    host.until("EndpointSlice web.corten-health n1=true n2=?")
        .await;
    let published = std::fs::read_to_string(host.path("corten.health.n1.json")).unwrap();
    assert!(published.contains("\"default/web\": true"), "{published}");
    // Another node speaks for itself.
    host.write(
        "corten.health.n2.json",
        r#"{"node": "n2", "ready": {"default/web": false}}"#,
    );
    host.until("EndpointSlice web.corten-health n1=true n2=false")
        .await;
    drop(listener);
    host.until("EndpointSlice web.corten-health n1=false n2=false")
        .await;
    // Without the check nobody is asked.
    host.write("web.yaml", &service("web"));
    host.until("delete EndpointSlice default/web.corten-health")
        .await;
}

#[tokio::test]
async fn endpoints_of_manifests_take_the_readiness_of_their_node() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {kubernetes.io/service-name: web}}\nendpoints: [{nodeName: n1}, {nodeName: n3, conditions: {ready: true}}]\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut host = Host::new(&[("slice.yaml", slice), ("web.yaml", &tcp(port))]);
    host.start(Role::Follower);
    let events = host.until("readiness web n1=false").await;
    assert!(
        !events.iter().any(|e| e.contains("corten-health")),
        "{events:?}"
    );
    assert!(
        events.contains(&"apply EndpointSlice s n1=? n3=true".to_owned()),
        "{events:?}"
    );
    assert_eq!(host.next().await, ["readiness web n1=true"]);
    // Without the check, the slice says it all again.
    host.write("web.yaml", &service("web"));
    host.until("readiness web").await;
}

#[tokio::test]
async fn a_bad_check_is_rejected_and_the_one_before_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut host = Host::new(&[("nodes.yaml", NODES), ("web.yaml", &tcp(port))]);
    host.start(Role::Follower);
    host.until("n1=true").await;
    host.write("web.yaml", &checked("{tcp: {port: 0}}"));
    let events = host.until("rejections [Service").await;
    let wanted = "Service default/web: metadata.annotations[corten.io/health]: tcp.port";
    assert!(events.iter().any(|e| e.contains(wanted)), "{events:?}");
    drop(listener);
    host.until("n1=false").await;
}
