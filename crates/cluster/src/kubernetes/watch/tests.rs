use super::{LONGEST, SHORTEST, Selector, follow, is_lost, newest, pause};
use crate::kubernetes::wire::Wire;
use futures_util::StreamExt as _;
use hyper::{Request, Response};
use kube::api::{Api, ApiResource, GroupVersionKind};
use kube::client::{Body, ClientBuilder};
use kube::core::Status;
use kube::runtime::watcher::{Error, Event};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tower::util::MapRequestLayer;

#[test]
fn pauses_grow_to_a_limit_and_differ() {
    assert!(pause(1) <= SHORTEST && pause(1) >= SHORTEST / 2);
    assert!(pause(4) >= SHORTEST * 4);
    for failures in [8, 17, 100, u32::MAX] {
        let pause = pause(failures);
        assert!(
            pause <= LONGEST && pause >= LONGEST / 2,
            "{failures}: {pause:?}"
        );
    }
    let many: std::collections::BTreeSet<_> = (0..16).map(|_| pause(10)).collect();
    assert!(many.len() > 1, "processes would come back all at once");
}

#[test]
fn a_forgotten_place_asks_for_a_list() {
    let status = |code| Box::new(Status::failure("gone", "").with_code(code));
    assert!(is_lost(&Error::WatchError(status(410))));
    assert!(is_lost(&Error::WatchStartFailed(kube::Error::Api(status(
        410
    )))));
    assert!(!is_lost(&Error::WatchStartFailed(kube::Error::Api(
        status(403)
    ))));
    assert!(!is_lost(&Error::WatchError(status(500))));
}

/// A server of Namespaces; what it was asked.
#[derive(Default)]
struct Server {
    /// Code it refuses streaming lists with.
    refuses: Option<u16>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    fn answer(&self, target: &str) -> (u16, Vec<Value>) {
        self.asked.lock().unwrap().push(target.to_owned());
        let object = |name: &str, version: &str| {
            json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "resourceVersion": version}})
        };
        let streamed = target.contains("sendInitialEvents=true");
        match (self.refuses, streamed, target.contains("watch=true")) {
            (Some(code), true, _) => {
                let said = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                    "code": code, "status": "Failure", "message": "no", "reason": "Invalid"});
                (code, vec![said])
            }
            (_, true, _) => {
                let end = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                    "resourceVersion": "7",
                    "annotations": {"k8s.io/initial-events-end": "true"}}});
                let events = vec![
                    json!({"type": "ADDED", "object": object("a", "3")}),
                    json!({"type": "BOOKMARK", "object": end}),
                    json!({"type": "ADDED", "object": object("b", "8")}),
                ];
                (200, events)
            }
            (_, false, true) => {
                let event = json!({"type": "ADDED", "object": object("b", "8")});
                (200, vec![event])
            }
            (_, false, false) => {
                let list = json!({"kind": "NamespaceList", "apiVersion": "v1",
                    "metadata": {"resourceVersion": "7"}, "items": [object("a", "3")]});
                (200, vec![list])
            }
        }
    }
}

/// What is heard until the second object, and what the server was asked for it.
async fn heard(refuses: Option<u16>) -> (Vec<String>, Vec<String>) {
    let server = Arc::new(Server {
        refuses,
        ..Server::default()
    });
    let answering = Arc::clone(&server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (code, lines) = answering.answer(&request.uri().to_string());
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        let body = Body::from(lines.concat().into_bytes());
        let response = Response::builder().status(code).body(body).unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let client = ClientBuilder::new(service, "default")
        .with_layer(&MapRequestLayer::new(newest::<Body>))
        .build();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    let api: Api<Wire> = Api::all_with(client, &resource);
    let mut said = Vec::new();
    let mut stream = follow(api, Selector::All);
    while said.last().is_none_or(|last| last != "apply b") {
        said.push(match stream.next().await.unwrap().unwrap() {
            Event::Init => "init".to_owned(),
            Event::InitApply(object) => format!("there {}", object.name()),
            Event::InitDone => "done".to_owned(),
            Event::Apply(object) => format!("apply {}", object.name()),
            Event::Delete(object) => format!("delete {}", object.name()),
        });
    }
    let asked = server.asked.lock().unwrap().clone();
    (said, asked)
}

const WHOLE: [&str; 4] = ["init", "there a", "done", "apply b"];

#[tokio::test]
async fn a_list_is_streamed_and_new() {
    let (said, asked) = heard(None).await;
    assert_eq!(said, WHOLE);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(!asked[0].contains("resourceVersion=0"), "{asked:?}");
    assert!(asked[0].contains("resourceVersionMatch=NotOlderThan"));
    assert!(asked[0].starts_with("/api/v1/namespaces?"), "{asked:?}");
}

#[tokio::test]
async fn a_server_that_streams_nothing_is_asked_for_pages() {
    for code in [400, 422] {
        let (said, asked) = heard(Some(code)).await;
        // Nobody is told of the first answer.
        assert_eq!(said, WHOLE);
        let pages = asked.get(1).unwrap();
        assert!(pages.contains("limit=50") && !pages.contains("watch=true"));
        assert!(asked[2].contains("resourceVersion=7"), "{asked:?}");
    }
}

#[test]
fn other_requests_stay_as_they_are() {
    for target in [
        "/api/v1/pods?watch=true&resourceVersion=0",
        "/api/v1/pods?resourceVersion=0&sendInitialEvents=truest",
        "/api/v1/pods",
        "https://[::1]:6443/healthz?",
    ] {
        let request = Request::get(target).body(()).unwrap();
        assert_eq!(newest(request).uri(), target);
    }
    let streamed = "https://host/a?resourceVersion=0&sendInitialEvents=true";
    let request = Request::get(streamed).body(()).unwrap();
    assert_eq!(
        newest(request).uri(),
        "https://host/a?sendInitialEvents=true"
    );
}
