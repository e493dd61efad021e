//! Events on Services, as `kubectl describe` shows them (`spec/metallb.md` §3.6).
//!
//! Core/v1 Events, since that is what MetalLB's roles allow to write. The same event again is
//! counted on the first one. Events are news, not facts: what the server doesn't take is tried a
//! few times and then dropped, and a Service that says too much is cut short.

use super::status::Component;
use super::watch::pause;
use super::{CallError, Mark, call, hyphenated, mark};
use corten_engine::event::{EventRecord, Severity};
use corten_engine::names::ServiceKey;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Most events that wait to be written; the oldest are dropped.
const QUEUE: usize = 20_000;
/// Most writes at once: allocations go first.
const PARALLEL: usize = 4;
/// How often an event is tried.
const TRIES: u32 = 5;
/// How long the same event again counts on the first.
const TOGETHER: Duration = Duration::from_secs(600);
/// Most events remembered for that.
const REMEMBERED: usize = 4096;
/// Events a Service may say at once; more come at one every [`REFILL`].
const BURST: u32 = 25;
/// When a Service may say one more.
const REFILL: Duration = Duration::from_secs(300);

/// Who says the events.
struct Reporter {
    /// What tools look for.
    component: &'static str,
    /// The node; empty for the controller.
    host: String,
}

impl Reporter {
    fn of(component: &Component) -> Self {
        let (component, host) = match component {
            Component::Controller => ("metallb-controller", String::new()),
            Component::Speaker(node) => ("metallb-speaker", node.to_string()),
        };
        Self { component, host }
    }
}

/// Events on their way.
pub(super) struct Recorder {
    client: Client,
    reporter: Reporter,
    queue: VecDeque<(EventRecord, Uid)>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// By what is said of which Service; one that was made anew is another.
    seen: BTreeMap<Mark, Seen>,
    budgets: BTreeMap<ServiceKey, Budget>,
    pause: Option<Instant>,
    failures: u32,
    numbered: u64,
}

/// A Service's uid, without its hyphens.
type Uid = u128;

/// An event there is on the server.
#[derive(Clone)]
struct Seen {
    name: Box<str>,
    count: i32,
    last: Instant,
}

/// What a Service may still say.
struct Budget {
    left: u32,
    since: Instant,
}

struct Done {
    record: EventRecord,
    uid: Uid,
    result: Result<Seen, CallError>,
}

impl Recorder {
    pub(super) fn new(client: Client, component: &Component) -> Self {
        Self {
            client,
            reporter: Reporter::of(component),
            queue: VecDeque::new(),
            running: FuturesUnordered::new(),
            seen: BTreeMap::new(),
            budgets: BTreeMap::new(),
            pause: None,
            failures: 0,
            numbered: 0,
        }
    }

    /// Has an event written about the Service with this uid.
    pub(super) fn emit(&mut self, record: EventRecord, uid: Uid) {
        if !self.may_say(&record.service) {
            tracing::debug!(service = %record.service, "too many events, one is left out");
            return;
        }
        if self.queue.len() == QUEUE {
            self.queue.pop_front();
        }
        self.queue.push_back((record, uid));
    }

    fn may_say(&mut self, service: &ServiceKey) -> bool {
        let now = Instant::now();
        if self.budgets.len() > REMEMBERED {
            self.budgets.retain(|_, b| now < b.since + REFILL);
        }
        let budget = self.budgets.entry(service.clone()).or_insert(Budget {
            left: BURST,
            since: now,
        });
        let earned = now.duration_since(budget.since).as_secs() / REFILL.as_secs();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(BURST);
            budget.left = budget.left.saturating_add(earned).min(BURST);
            budget.since = now;
        }
        let may = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        may
    }

    /// Goes on writing; ends after each write, and never if there is nothing to write. Nothing is
    /// lost if the future is dropped.
    pub(super) async fn progress(&mut self) {
        let now = Instant::now();
        let paused = self.pause.filter(|at| *at > now);
        while paused.is_none()
            && self.running.len() < PARALLEL
            && let Some((record, uid)) = self.queue.pop_front()
        {
            self.begin(record, uid, now);
        }
        if self.queue.is_empty() {
            // The room a first list took isn't needed again.
            self.queue = VecDeque::new();
        }
        let waiting = async {
            match paused {
                Some(at) if !self.queue.is_empty() => tokio::time::sleep_until(at).await,
                Some(_) | None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.running.next() => self.end(done),
            () = waiting => {}
        }
    }

    fn begin(&mut self, record: EventRecord, uid: Uid, now: Instant) {
        let key = key(&record, uid);
        let seen = self.seen.get(&key).filter(|s| now < s.last + TOGETHER);
        let (client, seen) = (self.client.clone(), seen.cloned());
        self.numbered += 1;
        let event = self.event(&record, uid);
        self.running.push(Box::pin(async move {
            let result = call(write(&client, event, seen)).await;
            Done {
                record,
                uid,
                result,
            }
        }));
    }

    fn event(&self, record: &EventRecord, uid: Uid) -> Event {
        let now = Timestamp::now();
        let (namespace, name) = (record.service.namespace(), record.service.name());
        let number = now.as_nanosecond().unsigned_abs() ^ u128::from(self.numbered);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{number:x}")),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Service".to_owned()),
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                uid: Some(hyphenated(uid)),
                ..ObjectReference::default()
            },
            type_: Some(
                match record.severity {
                    Severity::Normal => "Normal",
                    Severity::Warning => "Warning",
                }
                .to_owned(),
            ),
            reason: Some(record.reason.to_owned()),
            message: Some(record.message.clone()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource {
                component: Some(self.reporter.component.to_owned()),
                host: Some(self.reporter.host.clone()).filter(|h| !h.is_empty()),
            }),
            reporting_component: Some(self.reporter.component.to_owned()),
            reporting_instance: Some(self.reporter.host.clone()),
            ..Event::default()
        }
    }

    fn end(&mut self, done: Done) {
        match done.result {
            Ok(seen) => {
                self.failures = 0;
                if self.seen.len() >= REMEMBERED {
                    let now = Instant::now();
                    self.seen.retain(|_, s| now < s.last + TOGETHER);
                    if self.seen.len() >= REMEMBERED {
                        self.seen.clear();
                    }
                }
                self.seen.insert(key(&done.record, done.uid), seen);
            }
            // The Service or its namespace is gone, or the event can't be.
            Err(error) if error.is_final() => {
                tracing::debug!(service = %done.record.service, %error, "an event isn't taken");
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.pause = Some(Instant::now() + pause(self.failures));
                if self.failures <= TRIES {
                    tracing::debug!(%error, "an event isn't written yet");
                    self.queue.push_front((done.record, done.uid));
                } else {
                    tracing::warn!(service = %done.record.service, %error, "an event is lost");
                }
            }
        }
    }
}

fn key(record: &EventRecord, uid: Uid) -> Mark {
    mark(&format!("{uid:x} {} {}", record.reason, record.message))
}

async fn write(client: &Client, event: Event, seen: Option<Seen>) -> Result<Seen, kube::Error> {
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    if let Some(seen) = seen {
        let count = seen.count.saturating_add(1);
        let again = json!({ "count": count, "lastTimestamp": event.last_timestamp });
        let how = PatchParams::default();
        match api.patch(&seen.name, &how, &Patch::Merge(again)).await {
            Ok(_) => {
                return Ok(Seen {
                    name: seen.name,
                    count,
                    last: Instant::now(),
                });
            }
            // The server has dropped it since.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let made = api.create(&PostParams::default(), &event).await?;
    Ok(Seen {
        name: made.metadata.name.unwrap_or_default().into(),
        count: 1,
        last: Instant::now(),
    })
}
