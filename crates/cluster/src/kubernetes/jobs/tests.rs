use super::*;
use kube::client::Body;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// What the server does, and what it was asked when.
#[derive(Default)]
struct Server {
    /// What it says to all.
    all: Option<u16>,
    /// What it says to one subject.
    one: Option<(u32, u16)>,
    asked: Vec<(Instant, u32)>,
}

type Shared = Arc<Mutex<Server>>;

#[derive(Clone)]
struct Order(Shared);

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Write for Order {
    type Subject = u32;
    const WHAT: &'static str = "orders";

    async fn write(self, _: kube::Client, subject: u32) -> Result<(), kube::Error> {
        // An answer takes time, so that some are on their way at once.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut server = self.0.lock().unwrap();
        server.asked.push((Instant::now(), subject));
        let own = server.one.filter(|(of, _)| *of == subject);
        match server.all.or(own.map(|(_, code)| code)) {
            Some(0) => Err(kube::Error::Service("connection refused".into())),
            Some(code) => {
                let status = kube::core::Status::failure("no", "No").with_code(code);
                Err(kube::Error::Api(Box::new(status)))
            }
            None => Ok(()),
        }
    }
}

fn jobs(count: u32) -> (Shared, Jobs<Order>) {
    let nobody = tower::service_fn(|_: hyper::Request<Body>| async {
        Ok::<_, Infallible>(hyper::Response::new(Body::empty()))
    });
    let mut jobs = Jobs::new(kube::Client::new(nobody, "default"), 8);
    let server = Shared::default();
    for subject in 0..count {
        jobs.put(subject, Order(server.clone()));
    }
    (server, jobs)
}

/// Lets the time pass.
async fn pass(jobs: &mut Jobs<Order>, time: Duration) {
    let work = async {
        loop {
            jobs.progress().await;
        }
    };
    let _ended = tokio::time::timeout(time, work).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_is_asked_once_a_pause() {
    for code in [0, 429, 503] {
        let (server, mut jobs) = jobs(500);
        server.lock().unwrap().all = Some(code);
        pass(&mut jobs, Duration::from_secs(300)).await;
        let asked = std::mem::take(&mut server.lock().unwrap().asked);
        // Eight before it is known; then pauses that double to twenty seconds, or half of them.
        assert!((20..=50).contains(&asked.len()), "{code}: {}", asked.len());
        let subjects: BTreeSet<u32> = asked.iter().map(|(_, subject)| *subject).collect();
        assert_eq!(subjects.len(), asked.len(), "each time another");

        server.lock().unwrap().all = None;
        pass(&mut jobs, Duration::from_secs(60)).await;
        assert!(jobs.jobs.is_empty(), "all is written when it is back");
        let asked = &server.lock().unwrap().asked;
        assert_eq!(asked.len(), 500);
        let (first, last) = (asked[0].0, asked[400].0);
        assert!(last - first < Duration::from_secs(1), "as fast as ever");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_delays_that_one() {
    // Of the server's own codes too: one answer of it to another subject shows that it is well.
    for code in [403, 409, 500, 503] {
        let (server, mut jobs) = jobs(500);
        server.lock().unwrap().one = Some((0, code));
        pass(&mut jobs, Duration::from_secs(2)).await;
        assert_eq!(jobs.jobs.len(), 1, "{code}");
        server.lock().unwrap().one = None;
        pass(&mut jobs, Duration::from_secs(60)).await;
        assert!(jobs.jobs.is_empty(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_ordered_in_an_outage_is_written_after_it() {
    let (server, mut jobs) = jobs(1);
    server.lock().unwrap().all = Some(0);
    pass(&mut jobs, Duration::from_secs(10)).await;
    jobs.put(1, Order(server.clone()));
    jobs.put(2, Order(server.clone()));
    jobs.forget(&2);
    server.lock().unwrap().all = None;
    server.lock().unwrap().asked.clear();
    pass(&mut jobs, Duration::from_secs(60)).await;
    assert!(jobs.jobs.is_empty());
    let asked = server.lock().unwrap().asked.clone();
    let mut asked: Vec<u32> = asked.into_iter().map(|(_, subject)| subject).collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 1]);
}
