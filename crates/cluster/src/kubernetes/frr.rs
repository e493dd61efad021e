//! FRRConfigurations of frr-k8s: this node's own, `metallb-<node>`, and what the others have FRR
//! hold (`spec/metallb.md` §6.6).
//!
//! The speaker of a node is the only one that writes its object. What is written is compared with
//! what the watch shows, so nothing is written that stands, and whatever somebody edits comes back.

use super::gone_is_done;
use super::jobs::{Jobs, Write};
use super::kinds::api_resource;
use super::status::Mirror;
use super::view::{Health, cause};
use super::watch::is_unknown;
use super::watch::{self, Said};
use super::wire::Wire;
use corten_api::LabelSelector;
use corten_engine::advertise::bgp::frr;
use corten_engine::config::frr::{Frr, Holding};
use corten_engine::config::peer::Remote;
use corten_engine::config::selector;
use corten_engine::event::Event;
use corten_engine::names::NodeName;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two comparisons; frr-k8s itself waits for 3 s.
const PASS: Duration = Duration::from_millis(500);

/// How frr-k8s is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its namespace: it reads no FRRConfiguration elsewhere.
    pub namespace: String,
    /// What for.
    pub part: Part,
}

/// What frr-k8s is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It holds the sessions, as [`super::Kubernetes::configure_frr`] says.
    Speaks,
    /// It gives the sessions up, but for those that FRRConfigurations of others ask for.
    Yields,
}

fn resource() -> ApiResource {
    let plural = "frrconfigurations";
    api_resource("FRRConfiguration", "frrk8s.metallb.io", "v1beta1", plural)
}

/// What the object is to be: its whole `spec`.
#[derive(Clone)]
struct Wanted {
    api: Api<DynamicObject>,
    spec: Value,
    /// Whether it is made if it isn't there.
    make: bool,
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.make == other.make
    }
}

impl Write for Wanted {
    type Subject = String;

    const WHAT: &'static str = "The FRRConfiguration is";

    async fn write(self, _: Client, name: String) -> Result<(), kube::Error> {
        // The whole spec in one request, whoever wrote what is there.
        let patch = json!([{"op": "add", "path": "/spec", "value": self.spec}]);
        let patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
        let how = PatchParams::default();
        let patched = self.api.patch(&name, &how, &Patch::<()>::Json(patch)).await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 404 && self.make => {
                let object =
                    DynamicObject::new(&name, &resource()).data(json!({"spec": self.spec}));
                let made = self.api.create(&PostParams::default(), &object).await;
                made.map(drop)
            }
            patched => gone_is_done(patched),
        }
    }
}

/// The FRRConfigurations, as shown and as wanted.
pub(super) struct Configurations {
    part: Part,
    own: String,
    api: Api<DynamicObject>,
    watch: BoxStream<'static, Said>,
    mirror: Mirror<Value>,
    health: Health,
    jobs: Jobs<Wanted>,
    /// What this node's own is to say; `None` before anything was decided.
    wanted: Option<frr::Spec>,
    /// When to compare next; absent if nothing changed since it was done last.
    due: Option<Instant>,
    rested: Instant,
}

impl Configurations {
    pub(super) fn new(client: &Client, node: &NodeName, options: &Options) -> Self {
        let (namespace, part) = (&options.namespace, options.part);
        let own = frr::name(node);
        let watched = Api::namespaced_with(client.clone(), namespace, &resource());
        let selector = match part {
            Part::Speaks => watch::Selector::Name(own.clone()),
            Part::Yields => watch::Selector::All,
        };
        Self {
            part,
            own,
            api: Api::namespaced_with(client.clone(), namespace, &resource()),
            watch: watch::follow(watched, selector),
            mirror: Mirror::default(),
            health: Health::Good,
            jobs: Jobs::new(client.clone(), 1),
            wanted: None,
            due: None,
            rested: Instant::now(),
        }
    }

    /// Has this node's own say this from now on.
    pub(super) fn want(&mut self, spec: frr::Spec) {
        if self.wanted.as_ref() != Some(&spec) {
            self.wanted = Some(spec);
            self.ask();
        }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    fn ask(&mut self) {
        self.due = self.due.or(Some(self.rested));
    }

    /// Goes on watching and writing; ends with what there is to say of what FRR holds, or with
    /// nothing if [`Self::health`] changed. Nothing is lost if the future is dropped.
    pub(super) async fn progress(&mut self) -> Option<Event> {
        loop {
            let due = self.due;
            let due = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(said) = self.watch.next() => {
                    let healthy = self.health.clone();
                    let event = self.hear(said);
                    if event.is_some() || healthy != self.health {
                        return event;
                    }
                }
                () = self.jobs.progress() => {}
                () = due => self.compare(),
            }
        }
    }

    fn hear(&mut self, said: Said) -> Option<Event> {
        let absent = said.as_ref().is_err_and(is_unknown);
        match &said {
            // Without the kind there is no frr-k8s that would hold anything.
            Err(_) if absent && self.part == Part::Yields => {
                self.health = Health::Good;
                return Some(Event::Frr(Frr::Holds(Vec::new())));
            }
            Err(error) => self.health = Health::Bad(cause(error)),
            Ok(watcher::Event::Init) => {}
            Ok(_) => self.health = Health::Good,
        }
        let spec = |object: &Wire| object.json()["spec"].take();
        if !self.mirror.hear(said, spec) {
            return None;
        }
        self.ask();
        match self.part {
            Part::Speaks => None,
            Part::Yields => {
                let shown = self.mirror.iter();
                let holdings = shown.map(|(name, spec)| holding(name, spec));
                Some(Event::Frr(Frr::Holds(holdings.collect())))
            }
        }
    }

    fn compare(&mut self) {
        (self.due, self.rested) = (None, Instant::now() + PASS);
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.mirror.is_listed()) else {
            return;
        };
        let spec = serde_json::to_value(wanted).unwrap_or_default();
        let stands = match self.mirror.get(&self.own) {
            Some(shown) => is_said(&spec, shown),
            // Nothing to say needs no object.
            None => wanted.is_idle(),
        };
        if !stands {
            let wanted = Wanted {
                api: self.api.clone(),
                spec,
                make: !wanted.is_idle(),
            };
            self.jobs.put(self.own.clone(), wanted);
        }
    }
}

/// Whether `shown` says what `wanted` does: what the API server fills in, and what is as good as
/// absent, makes no difference.
fn is_said(wanted: &Value, shown: &Value) -> bool {
    plain(wanted) == plain(shown)
}

/// A value without what is as good as absent; `None` if nothing is left.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => (!text.is_empty()).then(|| value.clone()),
        Value::Bool(true) | Value::Number(_) => Some(value.clone()),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|i| plain(i).unwrap_or_default()).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(fields) => {
            let default = |key: &str, value: &Value| key == "mode" && value == "filtered";
            let fields = fields.iter().filter(|(key, value)| !default(key, value));
            let fields = fields.filter_map(|(key, value)| Some((key.clone(), plain(value)?)));
            let fields: serde_json::Map<_, _> = fields.collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
    }
}

/// What an FRRConfiguration has FRR hold. One whose selector can't be read may be for any node.
fn holding(name: &str, spec: &Value) -> Holding {
    let nodes = serde_json::from_value::<LabelSelector>(spec["nodeSelector"].clone());
    let nodes = nodes
        .ok()
        .and_then(|s| selector::compile("nodeSelector", &s).ok());
    let routers = spec["bgp"]["routers"].as_array().into_iter().flatten();
    let neighbors = routers.flat_map(|router| {
        let vrf = router["vrf"].as_str().filter(|vrf| !vrf.is_empty());
        let neighbors = router["neighbors"].as_array().into_iter().flatten();
        neighbors.filter_map(move |neighbor| {
            let address = neighbor["address"].as_str().and_then(|ip| ip.parse().ok());
            let interface = neighbor["interface"].as_str().filter(|i| !i.is_empty());
            let interface = || Some(Remote::Interface(interface?.to_owned()));
            let remote = address.map(Remote::Address).or_else(interface)?;
            Some((remote, vrf.map(str::to_owned)))
        })
    });
    Holding {
        name: name.to_owned(),
        nodes: nodes.unwrap_or_default(),
        neighbors: neighbors.collect(),
    }
}

#[cfg(test)]
mod tests;
