//! What Corten says of itself in the API: ServiceL2Status, ServiceBGPStatus, IPAddressPool status
//! and ConfigurationState (`spec/metallb.md` §1.8 to §1.10, §4.8, §5.5, §6.8).
//!
//! One place writes them all: it compares what should be there with what its watches show, at
//! most once every [`PASS`], and asks for the difference. So whatever somebody edits or removes
//! comes back, and nothing is written that stands.

mod announced;
mod configuration;
mod mirror;
mod pool;

pub use configuration::{Component, Findings};
pub(super) use mirror::Mirror;

use crate::directory::status::Report;
use announced::Announced;
use configuration::Configuration;
use corten_api::status::{ServiceBGPStatusStatus, ServiceL2StatusStatus};
use corten_engine::event::{Event, Object};
use corten_engine::names::PoolName;
use corten_engine::rejection::Kind;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::Api;
use pool::Pools;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Shortest time between two comparisons.
const PASS: Duration = Duration::from_millis(500);
/// Most writes of a kind at once: allocations go first.
const PARALLEL: usize = 4;

/// Where the objects are, and whose.
#[derive(Debug)]
struct Place {
    namespace: String,
    /// This pod; empty if there is none.
    pod: String,
    owner: OnceCell<OwnerReference>,
}

impl Place {
    /// A reference to the pod, so that the object goes with it; none without a pod.
    async fn owners(&self, client: &Client) -> Result<Vec<OwnerReference>, kube::Error> {
        if self.pod.is_empty() {
            return Ok(Vec::new());
        }
        let ask = async || {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
            let pod = pods.get(&self.pod).await?;
            Ok::<_, kube::Error>(OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                name: self.pod.clone(),
                uid: pod.metadata.uid.unwrap_or_default(),
                ..OwnerReference::default()
            })
        };
        Ok(vec![self.owner.get_or_try_init(ask).await?.clone()])
    }
}

/// Keeps the statuses as they should be.
pub(super) struct Publisher {
    layer2: Announced<ServiceL2StatusStatus>,
    bgp: Announced<ServiceBGPStatusStatus>,
    pools: Pools,
    configuration: Configuration,
    pass: Pass,
}

/// When the next comparison is.
enum Pass {
    /// When something changes, but not before.
    Resting(Instant),
    /// Something changed.
    Due(Instant),
}

impl Pass {
    fn ask(&mut self) {
        if let Self::Resting(until) = *self {
            *self = Self::Due(until);
        }
    }
}

impl Publisher {
    pub(super) fn new(client: &Client, namespace: &str, pod: &str, component: Component) -> Self {
        let place = Arc::new(Place {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            owner: OnceCell::new(),
        });
        Self {
            layer2: Announced::new(client, &place, &component),
            bgp: Announced::new(client, &place, &component),
            pools: Pools::new(client, &place),
            configuration: Configuration::new(client, &place, component),
            pass: Pass::Resting(Instant::now()),
        }
    }

    /// Has this said from now on; without a report, only the findings.
    pub(super) fn publish(&mut self, report: Option<Report>, findings: Findings) {
        if let Some(report) = report {
            self.layer2.want(report.layer2);
            if let Some(bgp) = report.bgp {
                self.bgp.want(bgp);
            }
            self.pools.want(report.pools);
        }
        self.configuration.want(findings);
        self.pass.ask();
    }

    /// Takes note of pools as they are shown.
    pub(super) fn see(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Apply(Object::IPAddressPool(pool)) => {
                    let name = pool.metadata.name.clone().unwrap_or_default();
                    self.pools.see(PoolName(name), pool.status.clone());
                    self.pass.ask();
                }
                Event::Delete(object) if object.kind == Kind::IPAddressPool => {
                    self.pools.forget(&PoolName(object.name.clone()));
                }
                Event::Apply(_)
                | Event::Allocated(..)
                | Event::Readiness(..)
                | Event::Delete(_)
                | Event::Rejections(_)
                | Event::Reserved(_)
                | Event::Frr(_)
                | Event::Listed(_) => {}
            }
        }
    }

    /// Goes on watching and writing; ends now and then, and never if there is nothing to do.
    /// Nothing is lost if the future is dropped.
    pub(super) async fn progress(&mut self) {
        let due = async {
            match self.pass {
                Pass::Due(at) => tokio::time::sleep_until(at).await,
                Pass::Resting(_) => std::future::pending().await,
            }
        };
        let changed = tokio::select! {
            changed = self.layer2.progress() => changed,
            changed = self.bgp.progress() => changed,
            () = self.pools.progress() => false,
            changed = self.configuration.progress() => changed,
            () = due => {
                self.layer2.compare();
                self.bgp.compare();
                self.pools.compare();
                self.configuration.compare();
                self.pass = Pass::Resting(Instant::now() + PASS);
                return;
            }
        };
        if changed {
            self.pass.ask();
        }
    }
}
