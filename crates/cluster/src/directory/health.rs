//! Health checks: the readiness of this node's endpoints, and what other nodes say of theirs.
//!
//! A Service with the annotation `corten.io/health` is checked on every node by that node. An
//! endpoint is not ready until its check succeeded `rise` times in a row. Each node publishes what
//! it found as a small file beside the manifests; where hosts don't share the directory, a node
//! that published nothing is as its manifest says.

mod probe;
mod published;
mod streak;

use super::overlay::Readiness;
use super::view::View;
use corten_api::health::HealthCheck;
use corten_api::names;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use probe::Fault;
use published::Published;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use streak::Streak;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Most checks of a kind that run at once, the steady ones and the doubtful ones; others wait.
const MAX_RUNNING: usize = 32;

/// The health checks of this node.
pub(crate) struct Health {
    node: NodeName,
    services: BTreeMap<ServiceKey, Checked>,
    tries: FuturesUnordered<LocalBoxFuture<'static, Tried>>,
    /// The turns of what succeeded when last tried.
    steady: Rc<Semaphore>,
    /// The turns of everything else: however many hang, they only wait for each other.
    doubtful: Rc<Semaphore>,
    generation: u64,
    published: Published,
}

/// A Service with the annotation.
struct Checked {
    text: String,
    /// The last good check; none if there never was one, and then the endpoint isn't ready.
    check: Option<Rc<HealthCheck>>,
    error: Option<String>,
    /// Whether it was said that it can't be tried.
    untried: bool,
    streak: Streak,
    /// Tells a try of this check from one of a check before it.
    generation: u64,
}

struct Tried {
    service: ServiceKey,
    generation: u64,
    started: Instant,
    result: Result<(), Fault>,
}

impl Checked {
    /// Counts what came of a try; whether readiness changed.
    fn judge(
        &mut self,
        service: &ServiceKey,
        check: &HealthCheck,
        result: &Result<(), Fault>,
    ) -> bool {
        if let Err(cause @ Fault::NotTried(_)) = result {
            if !std::mem::replace(&mut self.untried, true) {
                tracing::warn!(%service, %cause, "a health check; its last result stays");
            }
            return false;
        }
        self.untried = false;
        let changed = self.streak.count(result.is_ok(), check.rise, check.fall);
        match (result, changed) {
            (Ok(()), true) => tracing::info!(%service, "healthy"),
            (Err(cause), true) => tracing::warn!(%service, %cause, "not healthy any more"),
            (Err(cause), false) => tracing::debug!(%service, %cause, "a health check failed"),
            (Ok(()), false) => {}
        }
        changed
    }
}

impl Health {
    pub(crate) fn new(manifests: &Path, node: &NodeName) -> Self {
        Self {
            node: node.clone(),
            services: BTreeMap::new(),
            tries: FuturesUnordered::new(),
            steady: Rc::new(Semaphore::new(MAX_RUNNING)),
            doubtful: Rc::new(Semaphore::new(MAX_RUNNING)),
            generation: 0,
            published: Published::new(manifests, node),
        }
    }

    /// Checks the Services that are to be checked now.
    pub(crate) fn follow(&mut self, view: &View) {
        let mut wanted: BTreeMap<ServiceKey, &str> = BTreeMap::new();
        for kept in view.objects() {
            if let (Some(text), Some(service)) = (kept.health(), kept.service()) {
                wanted.insert(service, text);
            }
        }
        self.services
            .retain(|service, _| wanted.contains_key(service));
        for (service, text) in wanted {
            let known = self.services.get(&service).is_some_and(|c| c.text == text);
            if !known {
                self.change(&service, text);
            }
        }
        if !self.services.is_empty() {
            self.published.read();
        }
        self.publish();
    }

    fn change(&mut self, service: &ServiceKey, text: &str) {
        let checked = self
            .services
            .entry(service.clone())
            .or_insert_with(|| Checked {
                text: String::new(),
                check: None,
                error: None,
                untried: false,
                streak: Streak::default(),
                generation: 0,
            });
        text.clone_into(&mut checked.text);
        match HealthCheck::parse(text) {
            Ok(check) => {
                let check = Rc::new(check);
                self.generation += 1;
                checked.generation = self.generation;
                checked.error = None;
                checked.check = Some(Rc::clone(&check));
                let (service, generation) = (service.clone(), self.generation);
                let turns = Rc::clone(&self.doubtful);
                self.plan(service, generation, check, Instant::now(), turns);
            }
            // The check before it goes on.
            Err(error) => checked.error = Some(error.to_string()),
        }
    }

    fn plan(
        &self,
        service: ServiceKey,
        generation: u64,
        check: Rc<HealthCheck>,
        at: Instant,
        turns: Rc<Semaphore>,
    ) {
        self.tries.push(Box::pin(async move {
            tokio::time::sleep_until(at).await;
            // Never closed, so there is always a turn.
            let _turn = turns.acquire().await;
            let started = Instant::now();
            let result = probe::probe(&check).await;
            Tried {
                service,
                generation,
                started,
                result,
            }
        }));
    }

    /// Waits until the readiness of a Service on this node changed.
    pub(crate) async fn changed(&mut self) {
        loop {
            let Some(tried) = self.tries.next().await else {
                return std::future::pending().await;
            };
            let mut changed = self.count(tried);
            // All there is by now is published, and decided on, at once.
            while let Some(Some(tried)) = self.tries.next().now_or_never() {
                changed |= self.count(tried);
            }
            if changed {
                self.publish();
                return;
            }
        }
    }

    /// Counts a try and plans the next; whether readiness changed.
    fn count(&mut self, tried: Tried) -> bool {
        let Tried {
            service,
            generation,
            started,
            result,
        } = tried;
        let Some(checked) = self.services.get_mut(&service) else {
            return false;
        };
        let Some(check) = checked.check.clone() else {
            return false;
        };
        if checked.generation != generation {
            return false;
        }
        let changed = checked.judge(&service, &check, &result);
        let next = started + check.interval;
        let turns = match result {
            Ok(()) => Rc::clone(&self.steady),
            Err(_) => Rc::clone(&self.doubtful),
        };
        self.plan(service, generation, check, next, turns);
        changed
    }

    fn publish(&mut self) {
        let ready = self.services.iter();
        let ready = ready.map(|(service, c)| (service.clone(), c.streak.is_ready()));
        self.published.write(&ready.collect());
    }

    /// Readiness by Service with a check.
    pub(crate) fn readiness(&self) -> BTreeMap<ServiceKey, Readiness> {
        let of = |(service, checked): (&ServiceKey, &Checked)| {
            let mut readiness = self.published.of(service);
            readiness.insert(self.node.clone(), checked.streak.is_ready());
            (service.clone(), readiness)
        };
        self.services.iter().map(of).collect()
    }

    /// Annotations that can't be used.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = Rejection> {
        self.services.iter().filter_map(|(service, checked)| {
            let (namespace, name) = (service.namespace(), service.name());
            let object = ObjectRef::new(Kind::Service, namespace, name);
            Some(Rejection {
                subject: Subject::Object(object),
                field: format!("metadata.annotations[{}]", names::HEALTH),
                cause: checked.error.clone()?,
                place: String::new(),
            })
        })
    }
}

#[cfg(test)]
mod tests;
