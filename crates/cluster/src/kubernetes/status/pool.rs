//! Counters in an IPAddressPool's status.

use super::{PARALLEL, Place};
use crate::kubernetes::jobs::{Jobs, Write};
use crate::kubernetes::{gone_is_done, kinds};
use corten_api::pool::IPAddressPoolStatus;
use corten_engine::names::PoolName;
use corten_engine::rejection::Kind;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counters to be written.
#[derive(Clone)]
pub(super) struct Counters {
    place: Arc<Place>,
    status: IPAddressPoolStatus,
}

impl PartialEq for Counters {
    fn eq(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

impl Write for Counters {
    type Subject = PoolName;

    const WHAT: &'static str = "counters of pools are";

    /// Writes the counters unless they stand; MetalLB's role lets `update` do it, not `patch`.
    async fn write(self, client: Client, pool: PoolName) -> Result<(), kube::Error> {
        let resource = kinds::resource(Kind::IPAddressPool);
        let api: Api<DynamicObject> =
            Api::namespaced_with(client, &self.place.namespace, &resource);
        let Some(mut object) = api.get_opt(pool.as_str()).await? else {
            return Ok(());
        };
        let status = json!(self.status);
        if object.data["status"] == status {
            return Ok(());
        }
        object.metadata.managed_fields = None;
        if let Value::Object(fields) = &mut object.data {
            fields.insert("status".to_owned(), status);
        }
        let how = PostParams::default();
        gone_is_done(api.replace_status(pool.as_str(), &how, &object).await)
    }
}

/// The pools' counters, wanted and shown.
pub(super) struct Pools {
    place: Arc<Place>,
    jobs: Jobs<Counters>,
    wanted: BTreeMap<PoolName, IPAddressPoolStatus>,
    shown: BTreeMap<PoolName, Option<IPAddressPoolStatus>>,
}

impl Pools {
    pub(super) fn new(client: &Client, place: &Arc<Place>) -> Self {
        Self {
            place: Arc::clone(place),
            jobs: Jobs::new(client.clone(), PARALLEL),
            wanted: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    pub(super) fn want(&mut self, wanted: BTreeMap<PoolName, IPAddressPoolStatus>) {
        self.wanted = wanted;
    }

    pub(super) fn see(&mut self, pool: PoolName, status: Option<IPAddressPoolStatus>) {
        self.shown.insert(pool, status);
    }

    pub(super) fn forget(&mut self, pool: &PoolName) {
        self.shown.remove(pool);
        self.jobs.forget(pool);
    }

    pub(super) fn compare(&mut self) {
        for (pool, wanted) in &self.wanted {
            let shown = self.shown.get(pool);
            if shown.is_some_and(|shown| shown.as_ref() != Some(wanted)) {
                let counters = Counters {
                    place: Arc::clone(&self.place),
                    status: wanted.clone(),
                };
                self.jobs.put(pool.clone(), counters);
            }
        }
    }

    pub(super) async fn progress(&mut self) {
        self.jobs.progress().await;
    }
}
