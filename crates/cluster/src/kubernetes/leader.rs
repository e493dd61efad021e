//! One controller of several: whoever holds a Lease.
//!
//! It is the recipe of client-go. A Lease that somebody holds is left alone until it was *seen* not
//! to change for as long as it lasts: no clock but one's own counts. Every change of it carries the
//! version it was read in, so that of two who try, one fails. Who holds it renews it, and stops well
//! before others may take it.
//!
//! What is written meanwhile goes through a client that lets no change out unless the right to it
//! stands ([`Right`]), and gives up on one before others may begin. No API server can be asked to
//! refuse what was on its way all the same; against that, changes of a Service carry the version it
//! was read in.

mod right;

pub use right::Right;

use super::watch::within;
use super::{CallError, ConnectError, call};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use right::Guard;
use std::time::Duration;
use tokio::time::Instant;

/// Name of the Lease.
const NAME: &str = "corten-controller";
/// How long a Lease lasts.
pub const DURATION: Duration = Duration::from_secs(15);

/// How a Lease is dealt with, all of it from how long it lasts: client-go's 15, 10 and 2 s, or in
/// the same proportion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timing {
    lease: Duration,
}

impl Timing {
    /// How long after the last renewal was asked for no change is begun any more.
    fn renewal(self) -> Duration {
        self.lease * 2 / 3
    }

    /// How long after it one that was begun is given up.
    fn given_up(self) -> Duration {
        self.lease * 13 / 15
    }

    /// How often to try.
    fn retry(self) -> Duration {
        self.lease * 2 / 15
    }
}

/// Takes the Lease and keeps it.
#[derive(Debug)]
pub struct Leader {
    api: Api<Lease>,
    identity: String,
    timing: Timing,
    right: Right,
    seen: Option<Seen>,
    /// Whom the log has named.
    named: Option<String>,
}

/// The Lease as it was first seen to be.
#[derive(Debug)]
struct Seen {
    spec: LeaseSpec,
    at: Instant,
}

/// What came of trying.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is held.
    Held,
    /// Somebody else holds it.
    Taken(String),
    /// Somebody else changed it at the same time.
    Raced,
}

impl Leader {
    /// Nothing is asked yet. `identity` is this process's alone; `lease` is how long a Lease lasts.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, identity: String, lease: Duration) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            identity,
            timing: Timing { lease },
            right: Right::default(),
            seen: None,
            named: None,
        }
    }

    /// A client that lets changes out only while the Lease is held. Needs a running tokio runtime.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        let builder = super::builder().await?;
        Ok(builder.with_layer(&Guard(self.right.clone())).build())
    }

    /// Waits until the Lease is held.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(Outcome::Held) => {
                    tracing::info!(identity = self.identity, "the Lease is held: leading");
                    return;
                }
                Ok(Outcome::Taken(holder)) => {
                    if self.named.as_ref() != Some(&holder) {
                        tracing::info!(holder, "waiting for the Lease");
                        self.named = Some(holder);
                    }
                }
                Ok(Outcome::Raced) => {}
                Err(error) => tracing::warn!(%error, "the Lease can't be asked for"),
            }
            // Not all at once.
            tokio::time::sleep(within(self.timing.retry())).await;
        }
    }

    /// Renews the Lease; ends once it is lost, from when on nothing is written.
    pub async fn hold(&mut self) {
        while let Some(until) = self.right.until() {
            tokio::time::sleep(self.timing.retry()).await;
            match tokio::time::timeout_at(until, self.attempt()).await {
                Ok(Ok(Outcome::Held)) => {}
                Ok(Ok(Outcome::Taken(holder))) => {
                    tracing::error!(holder, "somebody else took the Lease");
                    break;
                }
                // Whoever changed it didn't take it, or that is seen next time.
                Ok(Ok(Outcome::Raced)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease isn't renewed yet"),
                Err(_) => tracing::warn!("no answer to the renewal of the Lease"),
            }
        }
        self.right.lose();
        tracing::error!("the Lease is lost: nothing more is written");
    }

    /// Gives the Lease back, so that another needn't wait; best effort.
    pub async fn release(mut self) {
        let held = self.right.until().is_some();
        self.right.lose();
        let Some(seen) = self.seen.take().filter(|_| held) else {
            return;
        };
        let spec = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(now()),
            ..seen.spec
        };
        let released = tokio::time::timeout(self.timing.retry(), self.put(spec)).await;
        match released {
            Ok(Ok(true)) => tracing::info!("the Lease is given back"),
            Ok(Ok(false)) => tracing::warn!("the Lease was changed, and isn't given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease isn't given back"),
            Err(_) => tracing::warn!("the Lease isn't given back in time"),
        }
    }

    /// Tries once to take or renew the Lease.
    async fn attempt(&mut self) -> Result<Outcome, CallError> {
        let found = self.call(self.api.get_opt(NAME)).await?;
        let Some(found) = found else {
            return self.create().await;
        };
        let spec = found.spec.unwrap_or_default();
        if self.seen.as_ref().is_none_or(|seen| seen.spec != spec) {
            self.seen = Some(Seen {
                spec: spec.clone(),
                at: Instant::now(),
            });
        }
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let ours = holder == self.identity;
        if !ours && !holder.is_empty() && !self.is_over() {
            return Ok(Outcome::Taken(holder));
        }
        let at = Instant::now();
        let time = now();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(self.timing.lease)),
            acquire_time: spec.acquire_time.filter(|_| ours).or(Some(time.clone())),
            renew_time: Some(time),
            lease_transitions: Some(transitions.saturating_add(i32::from(!ours))),
            ..spec
        };
        let version = found.metadata.resource_version;
        if !self.put_over(spec.clone(), version).await? {
            return Ok(Outcome::Raced);
        }
        self.took(spec, at);
        Ok(Outcome::Held)
    }

    async fn create(&mut self) -> Result<Outcome, CallError> {
        let at = Instant::now();
        let time = now();
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(self.timing.lease)),
            acquire_time: Some(time.clone()),
            renew_time: Some(time),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        let lease = named(spec.clone(), None);
        match self
            .call(self.api.create(&PostParams::default(), &lease))
            .await
        {
            Err(error) if error.is_conflict() => Ok(Outcome::Raced),
            made => {
                made?;
                self.took(spec, at);
                Ok(Outcome::Held)
            }
        }
    }

    /// Whether the Lease was seen not to change for as long as it lasts.
    fn is_over(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| {
            let lasts = seen.spec.lease_duration_seconds.unwrap_or_default();
            let lasts = u64::try_from(lasts).unwrap_or_default();
            Instant::now() >= seen.at + Duration::from_secs(lasts)
        })
    }

    /// It is ours, as asked for at that moment.
    fn took(&mut self, spec: LeaseSpec, at: Instant) {
        self.right
            .extend(at + self.timing.renewal(), at + self.timing.given_up());
        self.seen = Some(Seen {
            spec,
            at: Instant::now(),
        });
        self.named = None;
    }

    /// Writes over the Lease as it is now, if it is still ours; whether it was.
    async fn put(&self, spec: LeaseSpec) -> Result<bool, CallError> {
        let found = self.call(self.api.get_opt(NAME)).await?;
        let ours = |lease: &Lease| {
            let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_ref());
            holder == Some(&self.identity)
        };
        match found.filter(ours) {
            None => Ok(false),
            Some(lease) => self.put_over(spec, lease.metadata.resource_version).await,
        }
    }

    /// Writes over the Lease of that version; whether it was still that.
    async fn put_over(&self, spec: LeaseSpec, version: Option<String>) -> Result<bool, CallError> {
        let lease = named(spec, version);
        let how = PostParams::default();
        let written = self.api.replace(NAME, &how, &lease);
        match self.call(written).await {
            Err(error) if error.is_conflict() => Ok(false),
            written => written.map(|_| true),
        }
    }

    /// So much time that one answer that never comes doesn't cost the Lease.
    async fn call<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CallError> {
        let patience = self.timing.retry() * 2;
        let called = tokio::time::timeout(patience, call(request)).await;
        called.unwrap_or(Err(CallError::Late))
    }
}

fn named(spec: LeaseSpec, version: Option<String>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            resource_version: version,
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)
}

fn now() -> MicroTime {
    MicroTime(jiff::Timestamp::now())
}

#[cfg(test)]
mod tests;
