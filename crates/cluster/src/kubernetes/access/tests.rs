use super::*;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What an API server says and how often it was asked.
#[derive(Default)]
struct Server {
    mode: Mutex<Mode>,
    reviews: AtomicUsize,
    judgements: AtomicUsize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    #[default]
    Up,
    /// It answers that this account may not ask.
    Refusing,
    Gone,
    Silent,
}

impl Server {
    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn counts(&self) -> (usize, usize) {
        let read = |n: &AtomicUsize| n.load(Ordering::Relaxed);
        (read(&self.reviews), read(&self.judgements))
    }

    async fn answer(
        &self,
        request: hyper::Request<Body>,
    ) -> std::io::Result<hyper::Response<Body>> {
        let mode = *self.mode.lock().unwrap();
        let (code, said) = match mode {
            Mode::Gone => return Err(std::io::ErrorKind::ConnectionRefused.into()),
            Mode::Silent => std::future::pending().await,
            Mode::Refusing => (
                403,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "may not create tokenreviews", "reason": "Forbidden", "code": 403}),
            ),
            Mode::Up => {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                (
                    201,
                    self.review(&path, &serde_json::from_slice(&body).unwrap()),
                )
            }
        };
        let body = Body::from(said.to_string().into_bytes());
        Ok(hyper::Response::builder().status(code).body(body).unwrap())
    }

    /// Tokens are their users' names; `nobody` is none, `eve` may nothing.
    fn review(&self, path: &str, asked: &Value) -> Value {
        let mut said = asked.clone();
        if path.ends_with("tokenreviews") {
            self.reviews.fetch_add(1, Ordering::Relaxed);
            let token = &asked["spec"]["token"];
            said["status"] = if token.as_str().unwrap().starts_with("nobody") {
                json!({"authenticated": false})
            } else {
                json!({"authenticated": true, "user": {"username": token, "groups": ["g"]}})
            };
        } else {
            self.judgements.fetch_add(1, Ordering::Relaxed);
            let spec = &asked["spec"];
            let wanted = json!({"path": "/metrics", "verb": "get"});
            assert_eq!(spec["nonResourceAttributes"], wanted);
            assert_eq!(spec["groups"], json!(["g"]));
            said["status"] = json!({"allowed": spec["user"] != "eve"});
        }
        said
    }
}

fn access() -> (Arc<Server>, Access) {
    let server = Arc::new(Server::default());
    let answering = Arc::clone(&server);
    let service = tower::service_fn(move |request| {
        let server = Arc::clone(&answering);
        async move { server.answer(request).await }
    });
    (server, Access::new(Client::new(service, "default")))
}

async fn judge(access: &Access, token: &str) -> Verdict {
    let bearer = Bearer::parse(&format!("Bearer {token}"));
    access.judge(bearer.as_ref()).await
}

async fn after(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

const FORBIDDEN: &str = "eve";

fn forbidden() -> Verdict {
    let user = FORBIDDEN.to_owned();
    Err(Refusal::Forbidden { user })
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_is_remembered_for_a_while() {
    let (server, access) = access();
    assert_eq!(access.judge(None).await, Err(Refusal::Unauthenticated));
    assert_eq!(server.counts(), (0, 0));
    for _ in 0..3 {
        assert_eq!(judge(&access, "ann").await, Ok(()));
        assert_eq!(judge(&access, "eve").await, forbidden());
        assert_eq!(
            judge(&access, "nobody").await,
            Err(Refusal::Unauthenticated)
        );
    }
    assert_eq!(server.counts(), (3, 2));
    after(11).await;
    assert_eq!(
        judge(&access, "nobody").await,
        Err(Refusal::Unauthenticated)
    );
    assert_eq!(server.counts(), (4, 2));
    after(20).await;
    assert_eq!(judge(&access, "eve").await, forbidden());
    assert_eq!(server.counts(), (4, 3), "a refusal counts for 30 s");
    after(30).await;
    assert_eq!(judge(&access, "ann").await, Ok(()));
    assert_eq!(
        server.counts(),
        (5, 3),
        "a token for a minute, its right for five"
    );
    after(250).await;
    assert_eq!(judge(&access, "ann").await, Ok(()));
    assert_eq!(server.counts(), (6, 4));
}

#[tokio::test(start_paused = true)]
async fn without_the_server_readers_from_before_go_on() {
    let (server, access) = access();
    assert_eq!(judge(&access, "ann").await, Ok(()));
    assert_eq!(judge(&access, "eve").await, forbidden());
    for mode in [Mode::Gone, Mode::Silent] {
        server.set(mode);
        after(120).await;
        assert_eq!(judge(&access, "ann").await, Ok(()));
        for token in ["eve", "bob"] {
            let verdict = judge(&access, token).await;
            let unreached = matches!(verdict, Err(Refusal::Unknown { reached: false, .. }));
            assert!(unreached, "{token}: {verdict:?}");
        }
    }
    after(600).await;
    let verdict = judge(&access, "ann").await;
    assert!(
        matches!(verdict, Err(Refusal::Unknown { .. })),
        "{verdict:?}"
    );
    server.set(Mode::Up);
    assert_eq!(judge(&access, "ann").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_to_say_lets_nobody_in() {
    let (server, access) = access();
    assert_eq!(judge(&access, "ann").await, Ok(()));
    server.set(Mode::Refusing);
    after(61).await;
    let verdict = judge(&access, "ann").await;
    let Err(Refusal::Unknown { cause, reached }) = verdict else {
        panic!("{verdict:?}");
    };
    assert!(
        reached && cause.contains("may not create tokenreviews"),
        "{cause}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_tokens_makes_nobody_forgotten() {
    let (server, access) = access();
    assert_eq!(judge(&access, "ann").await, Ok(()));
    for i in 0..2 * REMEMBERED {
        let verdict = judge(&access, &format!("nobody{i}")).await;
        assert_eq!(verdict, Err(Refusal::Unauthenticated));
    }
    let before = server.counts();
    assert_eq!(judge(&access, "ann").await, Ok(()));
    assert_eq!(server.counts(), before);
    assert_eq!(access.memory().strangers.len(), REMEMBERED);
    for i in 0..2 * REMEMBERED {
        assert_eq!(judge(&access, &format!("user{i}")).await, Ok(()));
    }
    assert_eq!(access.memory().users.len(), REMEMBERED);
}
