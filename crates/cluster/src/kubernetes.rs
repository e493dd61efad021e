//! The Kubernetes API as the source of facts, and where decisions are written.
//!
//! [`Kubernetes::next`] gives what changed as the engine's events, the same ones that
//! [`crate::directory`] gives, and carries on with what is being written meanwhile. A kind that
//! can't be listed or watched now, and an API server that is gone, change no fact: an object
//! leaves only when the server says so, or when a whole list came without it.

pub mod access;
mod assign;
pub mod frr;
mod jobs;
pub mod key;
mod kinds;
pub mod leader;
pub mod members;
pub mod preflight;
mod record;
pub mod standby;
mod status;
mod view;
mod watch;
pub mod webhook;
mod wire;

pub use status::{Component, Findings};

use crate::directory::status::Report;
use assign::{Assign, Unassigned};
use corten_engine::advertise::bgp::frr::Spec;
use corten_engine::event::{Assignment, Event, EventRecord};
use corten_engine::names::ServiceKey;
use corten_engine::rejection::Kind;
use frr::Configurations;
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::{Request, Response};
use jobs::Jobs;
pub use kube::Client;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::runtime::watcher;
use record::Recorder;
use sha2::{Digest as _, Sha256};
use status::Publisher;
use std::time::Duration;
use thiserror::Error;
use tower::util::MapRequestLayer;
use tower::{BoxError, Service};
use view::{Health, News, View};
use watch::Said;

/// Most things taken from the watches before they are handed on together.
const BATCH: usize = 2_000;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// How the API is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Corten's own namespace: where metallb.io objects are.
    pub namespace: String,
    /// The kinds watched; of any other, nothing is ever said.
    pub kinds: Vec<Kind>,
    /// Which component this is.
    pub component: Component,
    /// This pod, whose the status objects are; empty if there is none.
    pub pod: String,
    /// What frr-k8s is to this node, if anything; only a speaker has a node.
    pub frr: Option<frr::Options>,
}

/// Kinds the controller reads (`spec/metallb.md` §2.3).
pub const CONTROLLER_KINDS: [Kind; 4] = [
    Kind::Service,
    Kind::Namespace,
    Kind::IPAddressPool,
    Kind::Community,
];

/// Kinds the speaker reads (`spec/metallb.md` §2.3).
pub const SPEAKER_KINDS: [Kind; 11] = [
    Kind::Service,
    Kind::EndpointSlice,
    Kind::Node,
    Kind::Namespace,
    Kind::IPAddressPool,
    Kind::L2Advertisement,
    Kind::BGPAdvertisement,
    Kind::BGPPeer,
    Kind::BFDProfile,
    Kind::Community,
    Kind::Secret,
];

/// Why the API can't be used at all.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is neither a kubeconfig nor a ServiceAccount of a pod.
    #[error("how to reach the API server isn't known: {0}")]
    Unknown(#[from] kube::config::InferConfigError),
    /// What there is can't be used.
    #[error("how to reach the API server can't be used: {0}")]
    Unusable(#[from] kube::Error),
}

/// A client by `$KUBECONFIG`, or else by the pod's ServiceAccount. Nothing is asked yet. Needs a
/// running tokio runtime.
///
/// # Errors
/// If neither is there or can be used.
pub async fn connect() -> Result<Client, ConnectError> {
    Ok(builder().await?.build())
}

/// What every client of ours begins with.
async fn builder() -> Result<
    ClientBuilder<
        impl Service<
            Request<Body>,
            Response = Response<Box<DynBody>>,
            Error = BoxError,
            Future: Send + 'static,
        > + Send
        + 'static,
    >,
    ConnectError,
> {
    let config = kube::Config::infer().await?;
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&MapRequestLayer::new(watch::newest)))
}

/// Why a request came to nothing.
#[derive(Debug, Error)]
enum CallError {
    #[error("{}", chain(.0))]
    Kube(#[from] kube::Error),
    #[error("no answer within {REQUEST:?}")]
    Late,
}

impl CallError {
    fn code(&self) -> Option<u16> {
        match self {
            Self::Kube(kube::Error::Api(status)) => Some(status.code),
            Self::Kube(_) | Self::Late => None,
        }
    }

    /// Whether the object was changed by somebody else meanwhile.
    fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// Whether no other request would have fared better: nobody there, or no time for any (429,
    /// 503). An answer that doesn't come in time may be one object's: a webhook is asked for it.
    fn is_of_server(&self) -> bool {
        match self {
            Self::Kube(kube::Error::Api(status)) => matches!(status.code, 429 | 503),
            Self::Kube(error) => {
                matches!(error, kube::Error::HyperError(_) | kube::Error::Service(_))
            }
            Self::Late => false,
        }
    }

    /// Whether the same request can't ever succeed.
    fn is_final(&self) -> bool {
        matches!(self.code(), Some(400 | 404 | 405 | 413 | 422))
    }
}

async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(CallError::Late),
    }
}

/// What is gone needs no write.
fn gone_is_done<T>(done: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop),
    }
}

/// An error and its causes in one line; a cause the error before it says already is left out.
fn chain(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// The Kubernetes API.
pub struct Kubernetes {
    watches: SelectAll<BoxStream<'static, (usize, Said)>>,
    views: Vec<View>,
    /// Whether allocations are ever written.
    assigns: bool,
    assigner: Jobs<Assign>,
    unassigned: Unassigned,
    recorder: Recorder,
    publisher: Publisher,
    frr: Option<Configurations>,
}

impl Kubernetes {
    /// Starts watching. Needs a running tokio runtime.
    #[must_use]
    pub fn open(client: &Client, options: Options) -> Self {
        let Options {
            namespace,
            kinds,
            component,
            pod,
            frr,
        } = options;
        let mut watches = SelectAll::new();
        for (index, kind) in kinds.iter().enumerate() {
            let api = kinds::api(client, *kind, &namespace);
            let stream = watch::follow(api, kinds::selector(*kind));
            watches.push(stream.map(move |said| (index, said)).boxed());
        }
        let frr = match (&component, frr) {
            (Component::Speaker(node), Some(options)) => {
                Some(Configurations::new(client, node, &options))
            }
            (Component::Speaker(_) | Component::Controller, _) => None,
        };
        Self {
            frr,
            watches,
            views: kinds.into_iter().map(View::new).collect(),
            assigns: component == Component::Controller,
            assigner: Jobs::new(client.clone(), assign::PARALLEL),
            unassigned: Unassigned::default(),
            recorder: Recorder::new(client.clone(), &component),
            publisher: Publisher::new(client, &namespace, &pod, component),
        }
    }

    /// Waits for changes and says them, and writes meanwhile. A batch is to be handed to the
    /// engine as a whole; one without events says that [`Self::warnings`] changed. Nothing is lost
    /// if the future is dropped.
    pub async fn next(&mut self) -> Vec<Event> {
        loop {
            tokio::select! {
                Some((index, said)) = self.watches.next() => {
                    let (events, news) = self.hear(index, said);
                    if !events.is_empty() || news.health {
                        return events;
                    }
                }
                () = self.assigner.progress() => {}
                () = self.recorder.progress() => {}
                () = self.publisher.progress() => {}
                event = configurations(&mut self.frr) => return event.into_iter().collect(),
            }
        }
    }

    /// Takes in what a watch said and whatever else was said by now.
    fn hear(&mut self, index: usize, said: Said) -> (Vec<Event>, News) {
        let mut events = Vec::new();
        let mut news = News::default();
        let mut next = Some((index, said));
        let mut taken = 0;
        while let Some((index, said)) = next.take() {
            if let Some(view) = self.views.get_mut(index) {
                if self.assigns
                    && view.kind() == Kind::Service
                    && let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) =
                        &said
                {
                    self.unassigned.see(object);
                }
                let heard = view.hear(said, &mut events);
                news.rejections |= heard.rejections;
                news.health |= heard.health;
            }
            taken += 1;
            if taken < BATCH {
                next = self.watches.next().now_or_never().flatten();
            }
        }
        self.publisher.see(&events);
        for event in &events {
            if let Event::Delete(object) = event
                && object.kind == Kind::Service
            {
                let service = ServiceKey::new(&object.namespace, &object.name);
                self.assigner.forget(&service);
                self.unassigned.forget(&service);
            }
        }
        if news.rejections {
            let all = self.views.iter().flat_map(View::rejections);
            events.push(Event::Rejections(all.cloned().collect()));
        }
        (events, news)
    }

    /// Has allocations written, each instead of any earlier one of its Service.
    pub fn assign(&mut self, assignments: Vec<(ServiceKey, Assignment)>) {
        for (service, assignment) in assignments {
            let assign = self.unassigned.assign(&service, assignment);
            self.assigner.put(service, assign);
        }
    }

    /// Has events written.
    pub fn emit(&mut self, records: Vec<EventRecord>) {
        for record in records {
            let services = self.views.iter().find(|v| v.kind() == Kind::Service);
            let (namespace, name) = (record.service.namespace(), record.service.name());
            // One that is gone has no uid to tell it by, and nobody to read it.
            if let Some(uid) = services.and_then(|v| v.uid(namespace, name)) {
                self.recorder.emit(record, uid);
            }
        }
    }

    /// Has the status objects say this from now on; without a report, since nothing is decided yet,
    /// what stands from before stays.
    pub fn publish(&mut self, report: Option<Report>, findings: Findings) {
        self.publisher.publish(report, findings);
    }

    /// Has FRR do this on this node from now on, where it is [`frr::Options`]' business.
    pub fn configure_frr(&mut self, spec: Spec) {
        if let Some(frr) = &mut self.frr {
            frr.want(spec);
        }
    }

    /// What can't be watched now, and why.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let views = self.views.iter();
        let views = views.map(|view| (view.kind().to_string(), view.health()));
        let frr = self.frr.iter();
        let frr = frr.map(|frr| ("FRRConfiguration".to_owned(), frr.health()));
        views.chain(frr).filter_map(|(kind, health)| match health {
            Health::Good => None,
            Health::Bad(cause) => Some(format!(
                "{kind} objects can't be watched now, what is known of them stays: {cause}"
            )),
        })
    }
}

/// What tells one text from another in little room: the first half of its SHA-256.
type Mark = [u8; 16];

fn mark(text: &str) -> Mark {
    let mut mark = Mark::default();
    for (to, from) in mark.iter_mut().zip(Sha256::digest(text)) {
        *to = from;
    }
    mark
}

/// Waits for what FRRConfigurations say, if anybody looks at them.
async fn configurations(frr: &mut Option<Configurations>) -> Option<Event> {
    match frr {
        Some(frr) => frr.progress().await,
        None => std::future::pending().await,
    }
}

/// A uid as the API server writes it.
fn hyphenated(uid: u128) -> String {
    let digits = format!("{uid:032x}");
    let mut text = String::with_capacity(36);
    for (i, digit) in digits.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}
