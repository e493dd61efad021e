//! Writes allocations: a Service's status and its annotation in one request, through
//! `services/status` (`spec/metallb.md` §3.2, §12 #3).
//!
//! The newest assignment of a Service is written until it stands; the one before is forgotten.
//! Many Services are written at a time, each by one request at a time.

use super::watch::pause;
use super::{CallError, call, kinds};
use corten_api::names::IP_ALLOCATED_FROM_POOL;
use corten_engine::event::Assignment;
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Most writes at once.
const PARALLEL: usize = 32;
/// How often to say that writes fail.
const COMPLAINT: Duration = Duration::from_secs(10);

/// Allocations on their way.
pub(super) struct Assigner {
    client: Client,
    jobs: BTreeMap<ServiceKey, Job>,
    /// Jobs that can begin.
    queue: VecDeque<ServiceKey>,
    /// Jobs that wait until they are tried again.
    delayed: BTreeSet<(Instant, ServiceKey)>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    complained: Option<Instant>,
}

struct Job {
    assignment: Assignment,
    failures: u32,
    running: bool,
}

/// A write that ended.
struct Done {
    service: ServiceKey,
    assignment: Assignment,
    result: Result<(), CallError>,
}

impl Assigner {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            jobs: BTreeMap::new(),
            queue: VecDeque::new(),
            delayed: BTreeSet::new(),
            running: FuturesUnordered::new(),
            complained: None,
        }
    }

    /// Has an assignment written, instead of any earlier one of the Service.
    pub(super) fn assign(&mut self, service: ServiceKey, assignment: Assignment) {
        if let Some(job) = self.jobs.get_mut(&service) {
            // Where the job is now, it will be begun again or is about to be begun.
            job.assignment = assignment;
            return;
        }
        let job = Job {
            assignment,
            failures: 0,
            running: false,
        };
        self.jobs.insert(service.clone(), job);
        self.queue.push_back(service);
    }

    /// A Service is gone: nothing of it is written any more.
    pub(super) fn forget(&mut self, service: &ServiceKey) {
        self.jobs.remove(service);
    }

    /// Goes on writing; ends after each write, and never if there is nothing to write. Nothing is
    /// lost if the future is dropped.
    pub(super) async fn progress(&mut self) {
        let now = Instant::now();
        while let Some((at, service)) = self.delayed.pop_first() {
            if at > now {
                self.delayed.insert((at, service));
                break;
            }
            self.queue.push_back(service);
        }
        while self.running.len() < PARALLEL
            && let Some(service) = self.queue.pop_front()
        {
            self.begin(service);
        }
        let due = self.delayed.first().map(|(at, _)| *at);
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.running.next() => self.end(done),
            () = due => {}
        }
    }

    fn begin(&mut self, service: ServiceKey) {
        let Some(job) = self.jobs.get_mut(&service) else {
            return;
        };
        if std::mem::replace(&mut job.running, true) {
            return;
        }
        let (client, assignment) = (self.client.clone(), job.assignment.clone());
        self.running.push(Box::pin(async move {
            let result = call(write(&client, &service, &assignment)).await;
            Done {
                service,
                assignment,
                result,
            }
        }));
    }

    fn end(&mut self, done: Done) {
        let Done {
            service,
            assignment,
            result,
        } = done;
        let Some(job) = self.jobs.get_mut(&service) else {
            return;
        };
        job.running = false;
        match result {
            Ok(()) if job.assignment == assignment => {
                self.jobs.remove(&service);
            }
            Ok(()) => self.queue.push_back(service),
            // Somebody changed the Service meanwhile; it is read anew.
            Err(error) if error.is_conflict() && job.failures == 0 => {
                job.failures = 1;
                self.queue.push_back(service);
            }
            Err(error) => {
                job.failures = job.failures.saturating_add(1);
                let again = Instant::now() + pause(job.failures);
                self.delayed.insert((again, service.clone()));
                self.complain(&service, &error);
            }
        }
    }

    fn complain(&mut self, service: &ServiceKey, error: &CallError) {
        let now = Instant::now();
        if self.complained.is_none_or(|at| now >= at + COMPLAINT) {
            self.complained = Some(now);
            let waiting = self.jobs.len();
            tracing::warn!(%service, waiting, %error, "an allocation isn't written yet");
        }
    }
}

/// Writes an assignment, unless it stands already or the Service is gone.
async fn write(
    client: &Client,
    service: &ServiceKey,
    assignment: &Assignment,
) -> Result<(), kube::Error> {
    let resource = kinds::resource(Kind::Service);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), service.namespace(), &resource);
    let Some(mut object) = api.get_opt(service.name()).await? else {
        return Ok(());
    };
    if !put(&mut object, assignment) {
        return Ok(());
    }
    match api
        .replace_status(service.name(), &PostParams::default(), &object)
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop),
    }
}

/// Puts an assignment into a Service; whether that changes anything.
fn put(object: &mut DynamicObject, assignment: &Assignment) -> bool {
    // What the server says of who wrote which field, it keeps without being told.
    object.metadata.managed_fields = None;
    let annotations = object.metadata.annotations.get_or_insert_default();
    let pool = assignment.pool.as_ref().map(|pool| pool.to_string());
    let same_pool = annotations.get(IP_ALLOCATED_FROM_POOL) == pool.as_ref();
    match pool {
        Some(pool) => annotations.insert(IP_ALLOCATED_FROM_POOL.to_owned(), pool),
        None => annotations.remove(IP_ALLOCATED_FROM_POOL),
    };
    let wanted: Vec<String> = assignment.ingress.iter().map(ToString::to_string).collect();
    let shown = &object.data["status"]["loadBalancer"]["ingress"];
    // The server adds a field to each entry (`ipMode`), so entries as a whole are never the same.
    if same_pool && is_shown(shown, &wanted) {
        return false;
    }
    let Value::Object(data) = &mut object.data else {
        return false;
    };
    let status = data.entry("status").or_insert_with(|| json!({}));
    let ingress: Vec<Value> = wanted.iter().map(|ip| json!({ "ip": ip })).collect();
    let balancer = if ingress.is_empty() {
        json!({})
    } else {
        json!({ "ingress": ingress })
    };
    if let Value::Object(fields) = status {
        fields.insert("loadBalancer".to_owned(), balancer);
    } else {
        *status = json!({ "loadBalancer": balancer });
    }
    true
}

/// Whether a status' ingress has just these addresses and nothing of anybody else.
fn is_shown(ingress: &Value, wanted: &[String]) -> bool {
    let entries = ingress.as_array().map_or(&[][..], Vec::as_slice);
    let ours = |(entry, ip): (&Value, &String)| {
        entry["ip"].as_str() == Some(ip) && entry.get("hostname").is_none()
    };
    entries.len() == wanted.len() && entries.iter().zip(wanted).all(ours)
}

#[cfg(test)]
mod tests;
