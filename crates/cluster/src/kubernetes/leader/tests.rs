use super::*;
use http_body_util::BodyExt as _;
use hyper::Method;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tower::{Layer as _, ServiceExt as _};

/// An API server with one Lease in it.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    version: Mutex<u64>,
}

/// The way from one controller to it.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    Open,
    /// Nothing comes through, neither way.
    Silent,
    /// What is sent arrives, and no answer comes.
    Deaf,
}

impl Server {
    fn holder(&self) -> Value {
        let lease = self.lease.lock().unwrap();
        lease
            .as_ref()
            .map_or(Value::Null, |l| l["spec"]["holderIdentity"].clone())
    }

    async fn answer(&self, request: hyper::Request<Body>) -> hyper::Response<Body> {
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (code, said) = self.judge(&method, serde_json::from_slice(&body).unwrap_or_default());
        let body = Body::from(said.to_string().into_bytes());
        hyper::Response::builder().status(code).body(body).unwrap()
    }

    fn judge(&self, method: &Method, mut given: Value) -> (u16, Value) {
        let mut lease = self.lease.lock().unwrap();
        let failed = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            let said = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code,
                "status": "Failure", "message": "refused", "reason": reason});
            (code, said)
        };
        let version = lease
            .as_ref()
            .map(|l| l["metadata"]["resourceVersion"].clone());
        match (method, version) {
            (&Method::GET, None) => return failed(404),
            (&Method::GET, Some(_)) => return (200, lease.clone().unwrap()),
            (&Method::POST, Some(_)) => return failed(409),
            (&Method::PUT, Some(now)) if given["metadata"]["resourceVersion"] != now => {
                return failed(409);
            }
            _ => {}
        }
        let mut version = self.version.lock().unwrap();
        *version += 1;
        given["metadata"]["resourceVersion"] = version.to_string().into();
        *lease = Some(given.clone());
        (200, given)
    }
}

struct Way(Arc<Mutex<Path>>);

impl Way {
    fn set(&self, path: Path) {
        *self.0.lock().unwrap() = path;
    }
}

fn leader(server: &Arc<Server>, identity: &str) -> (Leader, Way) {
    let way = Arc::new(Mutex::new(Path::Open));
    let (server, path) = (Arc::clone(server), Arc::clone(&way));
    let service = tower::service_fn(move |request| {
        let (server, path) = (Arc::clone(&server), *path.lock().unwrap());
        async move {
            if path != Path::Silent {
                let answer = server.answer(request).await;
                if path == Path::Open {
                    return Ok::<_, std::io::Error>(answer);
                }
            }
            std::future::pending().await
        }
    });
    let client = Client::new(service, "default");
    let leader = Leader::new(&client, "default", identity.to_owned(), DURATION);
    (leader, Way(way))
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_second_waits_until_the_first_has_been_silent_for_as_long_as_a_lease_lasts() {
    let server = Arc::new(Server::default());
    let (mut first, _way) = leader(&server, "first");
    let (mut second, _way) = leader(&server, "second");
    first.acquire().await;
    tokio::select! {
        () = first.hold() => panic!("lost"),
        () = second.acquire() => panic!("two hold it"),
        () = pass(300) => {}
    }
    assert_eq!(server.holder(), "first");
    // As if killed: nobody renews.
    let start = Instant::now();
    second.acquire().await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(12), "{waited:?}");
    assert!(waited <= Duration::from_secs(18), "{waited:?}");
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
}

#[tokio::test(start_paused = true)]
async fn clocks_of_others_do_not_count() {
    for time in ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        let server = Arc::new(Server::default());
        let spec = json!({"holderIdentity": "other", "leaseDurationSeconds": 15,
            "renewTime": time, "acquireTime": time});
        let given = json!({"metadata": {"name": NAME}, "spec": spec});
        server.judge(&Method::POST, given);
        let (mut ours, _way) = leader(&server, "ours");
        let start = Instant::now();
        ours.acquire().await;
        let waited = start.elapsed().as_secs();
        assert!((15..=18).contains(&waited), "{time}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_cut_off_stops_before_another_begins() {
    for path in [Path::Silent, Path::Deaf] {
        let server = Arc::new(Server::default());
        let (mut first, way) = leader(&server, "first");
        let (mut second, _way) = leader(&server, "second");
        first.acquire().await;
        let right = first.right.clone();
        let holding = async {
            first.hold().await;
            Instant::now()
        };
        let taking = async {
            pass(30).await;
            way.set(path);
            second.acquire().await;
            // Judged at the moment the other begins.
            (Instant::now(), right.until())
        };
        let (lost, (taken, right)) = tokio::join!(holding, taking);
        assert_eq!(right, None);
        assert!(lost + Duration::from_secs(2) < taken);
        assert_eq!(server.holder(), "second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_at_once() {
    let server = Arc::new(Server::default());
    let (mut first, _way) = leader(&server, "first");
    let (mut second, _way) = leader(&server, "second");
    first.acquire().await;
    let right = first.right.clone();
    let start = Instant::now();
    tokio::join!(second.acquire(), first.release());
    assert!(
        start.elapsed() <= Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(right.until(), None);
    // Who has lost it doesn't give back what is another's.
    let (stranger, _way) = leader(&server, "first");
    stranger.release().await;
    assert_eq!(server.holder(), "second");
}

#[tokio::test(start_paused = true)]
async fn the_same_process_takes_up_its_lease_again() {
    let server = Arc::new(Server::default());
    let (mut before, _way) = leader(&server, "pod");
    before.acquire().await;
    let (mut after, _way) = leader(&server, "pod");
    let start = Instant::now();
    after.acquire().await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn of_two_who_try_at_once_one_holds_it() {
    let server = Arc::new(Server::default());
    let (mut first, _way) = leader(&server, "first");
    let (mut second, _way) = leader(&server, "second");
    let (one, other) = tokio::join!(first.attempt(), second.attempt());
    let outcomes = [one.unwrap(), other.unwrap()];
    let held = outcomes.iter().filter(|o| **o == Outcome::Held);
    assert_eq!(held.count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&Outcome::Raced), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_pass_only_while_the_right_stands() {
    let right = Right::default();
    let answering = || {
        let slow = tower::service_fn(|_: hyper::Request<Body>| async {
            pass(2).await;
            Ok::<_, std::io::Error>(hyper::Response::new(Body::empty()))
        });
        Guard(right.clone()).layer(slow)
    };
    let ask = async |method: Method| {
        let request = hyper::Request::builder().method(method).body(Body::empty());
        let answered = answering().oneshot(request.unwrap()).await;
        answered.map(drop).map_err(|error| error.to_string())
    };
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for method in changes.clone() {
        let refused = ask(method).await.unwrap_err();
        assert!(refused.contains("isn't held"), "{refused}");
    }
    assert_eq!(ask(Method::GET).await, Ok(()));
    let now = Instant::now();
    let second = Duration::from_secs(1);
    right.extend(now + second * 10, now + second * 13);
    for method in changes {
        assert_eq!(ask(method).await, Ok(()));
    }
    pass(1).await;
    // Begun in time, and no answer before others may begin.
    right.extend(Instant::now() + second, Instant::now() + second);
    let late = ask(Method::PUT).await.unwrap_err();
    assert!(late.contains("given up"), "{late}");
    let over = ask(Method::PUT).await.unwrap_err();
    assert!(over.contains("isn't held"), "{over}");
    right.extend(Instant::now() + second, Instant::now() + second);
    right.lose();
    assert!(ask(Method::PUT).await.is_err());
}
