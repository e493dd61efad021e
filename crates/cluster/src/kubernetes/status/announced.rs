//! ServiceL2Status and ServiceBGPStatus: what this node announces of each Service.
//!
//! The name of an object follows from Service and node, so the same is never said twice, and what
//! goes on being announced is never removed and made again. Node and Service are immutable in an
//! object (§1.8, §1.9): one that moves is another object.

use super::configuration::Component;
use super::mirror::Mirror;
use super::{PARALLEL, Place};
use crate::directory::decode::decode;
use crate::kubernetes::jobs::{Jobs, Write};
use crate::kubernetes::watch;
use crate::kubernetes::wire::Wire;
use crate::kubernetes::{Mark, gone_is_done, mark};
use corten_api::names::{STATUS_NODE, STATUS_SERVICE_NAME, STATUS_SERVICE_NAMESPACE};
use corten_api::status::{
    ServiceBGPStatus, ServiceBGPStatusStatus, ServiceL2Status, ServiceL2StatusStatus,
};
use corten_engine::names::ServiceKey;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, pending};
use k8s_openapi::NamespaceResourceScope;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, ObjectMeta, PostParams, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::Arc;

/// How many nodes may announce a Service at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcers {
    /// One: it removes what others left behind (§5.5).
    One,
    /// Any number, each with an object of its own (§6.8).
    Any,
}

/// What one kind of status says of a Service.
pub(super) trait Statement:
    Serialize + DeserializeOwned + PartialEq + Send + 'static
{
    /// The kind.
    type Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Default
        + Send
        + Sync
        + 'static;

    /// What the names begin with.
    const PREFIX: &'static str;
    /// What the writes are, for the log.
    const WHAT: &'static str;
    /// Who announces.
    const ANNOUNCERS: Announcers;

    /// Node, Service and its namespace.
    fn labels(&self) -> [&Option<String>; 3];

    /// The status in an object.
    fn of(object: &mut Self::Object) -> &mut Option<Self>;
}

impl Statement for ServiceL2StatusStatus {
    type Object = ServiceL2Status;

    const PREFIX: &'static str = "l2-";
    const WHAT: &'static str = "ServiceL2Statuses are";
    const ANNOUNCERS: Announcers = Announcers::One;

    fn labels(&self) -> [&Option<String>; 3] {
        [&self.node, &self.service_name, &self.service_namespace]
    }

    fn of(object: &mut ServiceL2Status) -> &mut Option<Self> {
        &mut object.status
    }
}

impl Statement for ServiceBGPStatusStatus {
    type Object = ServiceBGPStatus;

    const PREFIX: &'static str = "bgp-";
    const WHAT: &'static str = "ServiceBGPStatuses are";
    const ANNOUNCERS: Announcers = Announcers::Any;

    fn labels(&self) -> [&Option<String>; 3] {
        [&self.node, &self.service_name, &self.service_namespace]
    }

    fn of(object: &mut ServiceBGPStatus) -> &mut Option<Self> {
        &mut object.status
    }
}

/// A status in as little room as it takes: there may be thousands, and each is known twice.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packed {
    digest: Mark,
    /// JSON.
    text: Arc<str>,
}

impl Packed {
    fn of<S: Serialize>(status: &S) -> Self {
        // Texts and lists of texts can always be written.
        let text = serde_json::to_string(status).unwrap_or_default();
        Self {
            digest: mark(&text),
            text: text.into(),
        }
    }
}

/// What is to become of an object.
struct Outcome<S> {
    place: Arc<Place>,
    wanted: Wanted,
    kind: PhantomData<fn() -> S>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Announced(Packed),
    Removed,
}

impl<S> Clone for Outcome<S> {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            wanted: self.wanted.clone(),
            kind: PhantomData,
        }
    }
}

impl<S> PartialEq for Outcome<S> {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted
    }
}

impl<S: Statement> Write for Outcome<S> {
    type Subject = String;

    const WHAT: &'static str = S::WHAT;

    async fn write(self, client: Client, name: String) -> Result<(), kube::Error> {
        let api: Api<S::Object> = Api::namespaced(client.clone(), &self.place.namespace);
        let status: S = match self.wanted {
            Wanted::Removed => {
                return gone_is_done(api.delete(&name, &DeleteParams::default()).await);
            }
            Wanted::Announced(packed) => {
                serde_json::from_str(&packed.text).map_err(kube::Error::SerdeError)?
            }
        };
        let mut object = match api.get_opt(&name).await? {
            Some(object) => object,
            None => {
                let mut object = S::Object::default();
                *object.meta_mut() = metadata(&name, &status);
                object.meta_mut().owner_references = Some(self.place.owners(&client).await?);
                api.create(&PostParams::default(), &object).await?
            }
        };
        let shown = S::of(&mut object);
        if shown.as_ref() == Some(&status) {
            return Ok(());
        }
        *shown = Some(status);
        let how = PostParams::default();
        api.replace_status(&name, &how, &object).await.map(drop)
    }
}

fn metadata<S: Statement>(name: &str, status: &S) -> ObjectMeta {
    let labels = [STATUS_NODE, STATUS_SERVICE_NAME, STATUS_SERVICE_NAMESPACE];
    let labels = labels.into_iter().zip(status.labels());
    let labels = labels.filter_map(|(label, value)| {
        let value = value.clone()?;
        Some((label.to_owned(), value))
    });
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.collect()),
        ..ObjectMeta::default()
    }
}

/// The name of the object for a Service and a node.
fn name<S: Statement>(service: &ServiceKey, node: &str) -> String {
    let digest = Sha256::digest(format!("{service}#{node}"));
    let mut name = S::PREFIX.to_owned();
    for byte in digest.iter().take(8) {
        // Writing to a String can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// An object as it is shown.
struct Shown {
    /// Whether it says to be this node's.
    ours: bool,
    service: Option<ServiceKey>,
    status: Option<Mark>,
}

impl Shown {
    fn read<S: Statement>(object: &Wire, node: &str) -> Self {
        let (read, _unused) = decode::<S::Object>(&object.tree);
        // One that can't be read is nobody's.
        let mut read = read.unwrap_or_default();
        let labels = read.meta_mut().labels.take().unwrap_or_default();
        let label = |name: &str| labels.get(name).map(String::as_str);
        let service = label(STATUS_SERVICE_NAMESPACE)
            .zip(label(STATUS_SERVICE_NAME))
            .map(|(namespace, name)| ServiceKey::new(namespace, name));
        Self {
            ours: label(STATUS_NODE) == Some(node),
            service,
            status: S::of(&mut read).take().map(|s| Packed::of(&s).digest),
        }
    }
}

/// What this node says of each Service, by object name.
type Said = BTreeMap<Box<str>, (ServiceKey, Packed)>;

/// This node's announcements, wanted and shown.
pub(super) struct Announced<S: Statement> {
    place: Arc<Place>,
    node: String,
    watch: BoxStream<'static, watch::Said>,
    jobs: Jobs<Outcome<S>>,
    /// What was reported since the last comparison.
    news: Option<BTreeMap<ServiceKey, S>>,
    /// `None` before anything was decided: what stands from before stays until then.
    wanted: Option<Said>,
    mirror: Mirror<Shown>,
}

impl<S: Statement> Announced<S> {
    /// Only a speaker has any.
    pub(super) fn new(client: &Client, place: &Arc<Place>, component: &Component) -> Self {
        let (node, watch) = match component {
            Component::Controller => (String::new(), pending().boxed()),
            Component::Speaker(node) => {
                let resource = ApiResource::erase::<S::Object>(&());
                let api = Api::namespaced_with(client.clone(), &place.namespace, &resource);
                (node.to_string(), watch::follow(api, watch::Selector::All))
            }
        };
        Self {
            place: Arc::clone(place),
            node,
            watch,
            jobs: Jobs::new(client.clone(), PARALLEL),
            news: None,
            wanted: None,
            mirror: Mirror::default(),
        }
    }

    pub(super) fn want(&mut self, wanted: BTreeMap<ServiceKey, S>) {
        self.news = Some(wanted);
    }

    pub(super) fn compare(&mut self) {
        if let Some(news) = self.news.take() {
            self.wanted = Some(said(news, &self.node));
        }
        // Before that, what others left behind isn't known.
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.mirror.is_listed()) else {
            return;
        };
        for (name, wanted) in differences(S::ANNOUNCERS, wanted, &self.mirror) {
            let outcome = Outcome {
                place: Arc::clone(&self.place),
                wanted,
                kind: PhantomData,
            };
            self.jobs.put(name, outcome);
        }
    }

    /// Goes on watching and writing; whether what is shown changed.
    pub(super) async fn progress(&mut self) -> bool {
        tokio::select! {
            Some(said) = self.watch.next() => {
                self.mirror.hear(said, |object| Shown::read::<S>(object, &self.node))
            }
            () = self.jobs.progress() => false,
        }
    }
}

fn said<S: Statement>(news: BTreeMap<ServiceKey, S>, node: &str) -> Said {
    let named = news.into_iter().map(|(service, status)| {
        let name = name::<S>(&service, node).into_boxed_str();
        (name, (service, Packed::of(&status)))
    });
    named.collect()
}

fn differences(
    announcers: Announcers,
    wanted: &Said,
    mirror: &Mirror<Shown>,
) -> Vec<(String, Wanted)> {
    let mut found = Vec::new();
    for (name, (_, status)) in wanted {
        if mirror.get(name).and_then(|shown| shown.status) != Some(status.digest) {
            found.push((name.to_string(), Wanted::Announced(status.clone())));
        }
    }
    let announced: BTreeSet<_> = wanted.values().map(|(key, _)| key).collect();
    for (name, shown) in mirror
        .iter()
        .filter(|(name, _)| !wanted.contains_key(*name))
    {
        let superseded = match announcers {
            Announcers::One => shown.service.as_ref(),
            Announcers::Any => None,
        };
        let superseded = superseded.is_some_and(|s| announced.contains(s));
        if shown.ours || superseded {
            found.push((name.to_string(), Wanted::Removed));
        }
    }
    found
}

#[cfg(test)]
mod tests;
