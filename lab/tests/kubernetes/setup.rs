//! A cluster with Corten's definitions in it, and Corten's processes beside it.

use anyhow::{Context, Result};
pub(crate) use corten_lab::kubernetes::components::{
    addresses, definitions, deployed, start, start_as,
};
use corten_lab::kubernetes::{Client, Kind, Kubernetes, components};
use corten_lab::process::Process;
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::time::Duration;

/// When to give up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A cluster with the definitions and the namespace of the metallb.io objects.
pub(crate) fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start()?;
    components::install(cluster.client())?;
    Ok(cluster)
}

/// Starts a controller beside the API server.
pub(crate) fn controller(cluster: &Kubernetes) -> Result<Process> {
    start(cluster, cluster.netns(), "controller", &[])
}

/// Waits until what is asked of the cluster is as wanted.
pub(crate) fn wait<T>(
    process: &mut Process,
    what: &str,
    mut wanted: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    wait_until(what, DEADLINE, || {
        if let Some(status) = process.ended()? {
            anyhow::bail!("{} ended: {status}", process.label());
        }
        wanted()
    })
    .with_context(|| {
        format!(
            "{} logged:\n  {}",
            process.label(),
            process.log().join("\n  ")
        )
    })
}

/// Waits until a Service of namespace `default` has just these addresses.
pub(crate) fn wait_addresses(
    client: &Client,
    process: &mut Process,
    service: &str,
    wanted: &[&str],
) -> Result<Value> {
    let mut last = Vec::new();
    let found = wait(process, &format!("{wanted:?} for {service}"), || {
        let object = client.get(Kind::Service, "default", service)?;
        let object = object.with_context(|| format!("no Service {service}"))?;
        last = addresses(&object);
        Ok((last == wanted).then_some(object))
    });
    found.with_context(|| format!("{service} has {last:?}"))
}
