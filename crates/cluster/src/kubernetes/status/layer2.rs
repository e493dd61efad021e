//! ServiceL2Status: one object for each Service, of the node that announces it.
//!
//! The name follows from Service and node, so the same announcement is never said twice, and what
//! goes on being announced is never removed and made again. The node that announces a Service
//! removes what others left behind; node and Service are immutable in an object (§1.8).

use super::configuration::Component;
use super::mirror::Mirror;
use super::{PARALLEL, Place};
use crate::directory::decode::decode;
use crate::kubernetes::jobs::{Jobs, Write};
use crate::kubernetes::watch::{self, Said};
use crate::kubernetes::wire::Wire;
use crate::kubernetes::{gone_is_done, kinds};
use corten_api::names::{GROUP, STATUS_NODE, STATUS_SERVICE_NAME, STATUS_SERVICE_NAMESPACE};
use corten_api::status::{ServiceL2Status, ServiceL2StatusStatus};
use corten_engine::names::ServiceKey;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, pending};
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What is to become of an object.
#[derive(Clone)]
pub(super) struct Outcome {
    place: Arc<Place>,
    wanted: Wanted,
}

#[derive(Clone, PartialEq)]
enum Wanted {
    Announced(ServiceL2StatusStatus),
    Removed,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted
    }
}

impl Write for Outcome {
    type Subject = String;

    const WHAT: &'static str = "ServiceL2Statuses are";

    async fn write(self, client: Client, name: String) -> Result<(), kube::Error> {
        let api: Api<ServiceL2Status> = Api::namespaced(client.clone(), &self.place.namespace);
        let status = match self.wanted {
            Wanted::Removed => {
                return gone_is_done(api.delete(&name, &DeleteParams::default()).await);
            }
            Wanted::Announced(status) => status,
        };
        let mut object = match api.get_opt(&name).await? {
            Some(object) => object,
            None => {
                let mut object = ServiceL2Status {
                    metadata: metadata(&name, &status),
                    ..ServiceL2Status::default()
                };
                object.metadata.owner_references = Some(self.place.owners(&client).await?);
                api.create(&PostParams::default(), &object).await?
            }
        };
        if object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        object.status = Some(status);
        let how = PostParams::default();
        api.replace_status(&name, &how, &object).await.map(drop)
    }
}

fn metadata(name: &str, status: &ServiceL2StatusStatus) -> ObjectMeta {
    let labels = [
        (STATUS_NODE, &status.node),
        (STATUS_SERVICE_NAME, &status.service_name),
        (STATUS_SERVICE_NAMESPACE, &status.service_namespace),
    ];
    let labels = labels.into_iter().filter_map(|(label, value)| {
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
fn name(service: &ServiceKey, node: &str) -> String {
    let digest = Sha256::digest(format!("{service}#{node}"));
    let mut name = "l2-".to_owned();
    for byte in digest.iter().take(8) {
        // Writing to a String can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// An object as it is shown: whose it says to be, and its status.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    node: String,
    service: Option<ServiceKey>,
    status: Option<ServiceL2StatusStatus>,
}

impl Shown {
    fn read(object: &Wire) -> Self {
        let (read, _unused) = decode::<ServiceL2Status>(&object.tree);
        let Ok(read) = read else {
            return Self::default();
        };
        let labels = read.metadata.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned();
        let namespace = label(STATUS_SERVICE_NAMESPACE);
        let service = namespace
            .zip(label(STATUS_SERVICE_NAME))
            .map(|(namespace, name)| ServiceKey::new(&namespace, &name));
        Self {
            node: label(STATUS_NODE).unwrap_or_default(),
            service,
            status: read.status,
        }
    }
}

/// This node's announcements, wanted and shown.
pub(super) struct Layer2 {
    place: Arc<Place>,
    node: String,
    watch: BoxStream<'static, Said>,
    jobs: Jobs<Outcome>,
    wanted: BTreeMap<String, (ServiceKey, ServiceL2StatusStatus)>,
    mirror: Mirror<Shown>,
}

impl Layer2 {
    /// Only a speaker has any.
    pub(super) fn new(client: &Client, place: &Arc<Place>, component: &Component) -> Self {
        let (node, watch) = match component {
            Component::Controller => (String::new(), pending().boxed()),
            Component::Speaker(node) => {
                let resource =
                    kinds::api_resource("ServiceL2Status", GROUP, "v1beta1", "servicel2statuses");
                let api = Api::namespaced_with(client.clone(), &place.namespace, &resource);
                (node.to_string(), watch::follow(api, watch::Selector::All))
            }
        };
        Self {
            place: Arc::clone(place),
            node,
            watch,
            jobs: Jobs::new(client.clone(), PARALLEL),
            wanted: BTreeMap::new(),
            mirror: Mirror::default(),
        }
    }

    pub(super) fn want(&mut self, wanted: BTreeMap<ServiceKey, ServiceL2StatusStatus>) {
        let named = wanted.into_iter().map(|(service, status)| {
            let name = name(&service, &self.node);
            (name, (service, status))
        });
        self.wanted = named.collect();
    }

    pub(super) fn compare(&mut self) {
        // Before that, what others left behind isn't known.
        if !self.mirror.is_listed() {
            return;
        }
        for (name, wanted) in differences(&self.node, &self.wanted, &self.mirror) {
            let outcome = Outcome {
                place: Arc::clone(&self.place),
                wanted,
            };
            self.jobs.put(name, outcome);
        }
    }

    /// Goes on watching and writing; whether what is shown changed.
    pub(super) async fn progress(&mut self) -> bool {
        tokio::select! {
            Some(said) = self.watch.next() => self.mirror.hear(said, Shown::read),
            () = self.jobs.progress() => false,
        }
    }
}

fn differences(
    node: &str,
    wanted: &BTreeMap<String, (ServiceKey, ServiceL2StatusStatus)>,
    mirror: &Mirror<Shown>,
) -> Vec<(String, Wanted)> {
    let mut found = Vec::new();
    for (name, (_, status)) in wanted {
        if mirror.get(name).and_then(|shown| shown.status.as_ref()) != Some(status) {
            found.push((name.clone(), Wanted::Announced(status.clone())));
        }
    }
    let announced: std::collections::BTreeSet<_> = wanted.values().map(|(key, _)| key).collect();
    for (name, shown) in mirror
        .iter()
        .filter(|(name, _)| !wanted.contains_key(*name))
    {
        let ours = shown.node == node;
        let superseded = shown
            .service
            .as_ref()
            .is_some_and(|s| announced.contains(s));
        if ours || superseded {
            found.push((name.clone(), Wanted::Removed));
        }
    }
    found
}

#[cfg(test)]
mod tests;
