//! ConfigurationState: whether this component can use its configuration (§1.10).

use super::Place;
use super::mirror::Mirror;
use crate::directory::decode::decode;
use crate::kubernetes::jobs::{Jobs, Write};
use crate::kubernetes::kinds;
use crate::kubernetes::watch::{self, Said};
use crate::kubernetes::wire::Wire;
use corten_api::names::{COMPONENT_TYPE, GROUP, NODE_NAME};
use corten_api::status::{ConfigurationState, ConfigurationStateStatus};
use corten_engine::names::NodeName;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Which component this is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The controller.
    Controller,
    /// The speaker of this node.
    Speaker(NodeName),
}

impl Component {
    /// Name of its object.
    fn object(&self) -> String {
        match self {
            Self::Controller => "controller".to_owned(),
            Self::Speaker(node) => format!("speaker-{node}"),
        }
    }

    /// Exactly the labels the object has.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let type_ = match self {
            Self::Controller => "controller",
            Self::Speaker(node) => {
                labels.insert(NODE_NAME.to_owned(), node.to_string());
                "speaker"
            }
        };
        labels.insert(COMPONENT_TYPE.to_owned(), type_.to_owned());
        labels
    }

    /// Type of its condition.
    fn condition(&self) -> &'static str {
        match self {
            Self::Controller => "poolReconcilerValid",
            Self::Speaker(_) => "configReconcilerValid",
        }
    }

    /// Who writes its status, as `managedFields` says.
    fn manager(&self) -> &'static str {
        match self {
            Self::Controller => "poolReconciler",
            Self::Speaker(_) => "configReconciler",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object())
    }
}

/// What a component found about its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Findings {
    /// It hasn't been read in full yet; nothing is said.
    Unread,
    /// All of it is in use.
    Valid,
    /// These are the causes for which a part isn't.
    Invalid(Vec<String>),
    /// A part of it can't be read now, and why.
    Unknown(String),
}

/// What is said of it.
#[derive(Clone)]
pub(super) struct Statement {
    place: Arc<Place>,
    result: &'static str,
    reason: &'static str,
    summary: String,
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        let all = |s: &Self| (s.result, s.reason, s.summary.clone());
        all(self) == all(other)
    }
}

impl Statement {
    fn of(place: &Arc<Place>, findings: &Findings) -> Option<Self> {
        let (result, reason, summary) = match findings {
            Findings::Unread => return None,
            Findings::Valid => ("Valid", "Reconciled", String::new()),
            Findings::Invalid(causes) => {
                let causes: Vec<_> = causes
                    .iter()
                    .map(|cause| format!("configuration error: {cause}"))
                    .collect();
                ("Invalid", "ConfigurationError", causes.join("\n"))
            }
            // DEVIATION: MetalLB reports Reconciled when its objects can't be listed.
            Findings::Unknown(cause) => ("Unknown", "UnknownError", cause.clone()),
        };
        Some(Self {
            place: Arc::clone(place),
            result,
            reason,
            summary,
        })
    }

    fn condition_status(&self) -> &'static str {
        if self.reason == "Reconciled" {
            "True"
        } else {
            "False"
        }
    }

    /// Whether a status says this already.
    fn is_said(&self, component: &Component, status: &ConfigurationStateStatus) -> bool {
        let [condition] = status.conditions.as_slice() else {
            return false;
        };
        status.result.as_deref() == Some(self.result)
            && status.error_summary.as_deref().unwrap_or_default() == self.summary
            && condition.type_ == component.condition()
            && condition.status == self.condition_status()
            && condition.reason == self.reason
            && condition.message == self.summary
    }
}

impl Write for Statement {
    type Subject = Component;

    const WHAT: &'static str = "ConfigurationState is";

    async fn write(self, client: Client, component: Component) -> Result<(), kube::Error> {
        let api: Api<ConfigurationState> = Api::namespaced(client.clone(), &self.place.namespace);
        let name = component.object();
        match api.get_opt(&name).await? {
            Some(object)
                if object
                    .status
                    .as_ref()
                    .is_some_and(|s| self.is_said(&component, s)) =>
            {
                return Ok(());
            }
            Some(_) => {}
            None => {
                let object = ConfigurationState {
                    metadata: ObjectMeta {
                        name: Some(name.clone()),
                        labels: Some(component.labels()),
                        owner_references: Some(self.place.owners(&client).await?),
                        ..ObjectMeta::default()
                    },
                    ..ConfigurationState::default()
                };
                api.create(&PostParams::default(), &object).await?;
            }
        }
        let status = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ConfigurationState",
            "metadata": {"name": name},
            "status": {
                "result": self.result,
                "errorSummary": self.summary,
                "conditions": [{
                    "type": component.condition(),
                    "status": self.condition_status(),
                    "reason": self.reason,
                    "message": self.summary,
                    "lastTransitionTime": jiff::Timestamp::now(),
                }],
            },
        });
        let how = PatchParams::apply(component.manager()).force();
        let done = api.patch_status(&name, &how, &Patch::Apply(&status)).await;
        done.map(drop)
    }
}

/// This component's object, wanted and shown.
pub(super) struct Configuration {
    place: Arc<Place>,
    component: Component,
    watch: BoxStream<'static, Said>,
    jobs: Jobs<Statement>,
    wanted: Findings,
    mirror: Mirror<Option<ConfigurationStateStatus>>,
}

impl Configuration {
    pub(super) fn new(client: &Client, place: &Arc<Place>, component: Component) -> Self {
        let resource = kinds::api_resource(
            "ConfigurationState",
            GROUP,
            "v1beta1",
            "configurationstates",
        );
        let api = Api::namespaced_with(client.clone(), &place.namespace, &resource);
        let name = watch::Selector::Name(component.object());
        Self {
            place: Arc::clone(place),
            component,
            watch: watch::follow(api, name),
            jobs: Jobs::new(client.clone(), 1),
            wanted: Findings::Unread,
            mirror: Mirror::default(),
        }
    }

    pub(super) fn want(&mut self, findings: Findings) {
        self.wanted = findings;
    }

    pub(super) fn compare(&mut self) {
        if !self.mirror.is_listed() {
            return;
        }
        let Some(statement) = Statement::of(&self.place, &self.wanted) else {
            return;
        };
        let shown = self.mirror.get(&self.component.object());
        let shown = shown.and_then(Option::as_ref);
        if shown.is_none_or(|status| !statement.is_said(&self.component, status)) {
            self.jobs.put(self.component.clone(), statement);
        }
    }

    /// Goes on watching and writing; whether what is shown changed.
    pub(super) async fn progress(&mut self) -> bool {
        tokio::select! {
            Some(said) = self.watch.next() => self.mirror.hear(said, read),
            () = self.jobs.progress() => false,
        }
    }
}

fn read(object: &Wire) -> Option<ConfigurationStateStatus> {
    let (read, _unused) = decode::<ConfigurationState>(&object.tree);
    read.ok()?.status
}
