//! "IP Assignment" and "LoadBalancer class": which Service gets which address.

use crate::objects::{NAMESPACE, custom, service};
use crate::setup::{self, DEADLINE, addresses, wait};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::process::Process;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};

pub(crate) const TRIALS: &[Trial] = &[
    ("a_freed_address_is_given_on", a_freed_address_is_given_on),
    ("pools_are_for_whom_they_say", pools_are_for_whom_they_say),
];

const POOL: &str = "metallb.io/ip-allocated-from-pool";

/// A cluster and its controller.
pub(crate) struct Assigning {
    cluster: Kubernetes,
    controller: Process,
}

impl Assigning {
    pub(crate) fn start() -> Result<Self> {
        let cluster = setup::cluster()?;
        let controller = setup::controller(&cluster)?;
        Ok(Self {
            cluster,
            controller,
        })
    }

    pub(crate) fn client(&self) -> &Client {
        self.cluster.client()
    }

    /// Makes or changes a pool; `spec` is the inside of a flow mapping.
    pub(crate) fn pool(&self, name: &str, spec: &str) -> Result<()> {
        self.client().apply(&custom("IPAddressPool", name, spec))
    }

    pub(crate) fn delete_pool(&self, name: &str) -> Result<()> {
        self.client().delete(Kind::IPAddressPool, NAMESPACE, name)
    }

    /// Makes or changes a Service, `namespace/name`; `more` goes into its spec.
    pub(crate) fn service(&self, key: &str, metadata: &str, more: &str) -> Result<()> {
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        let text = service(name, "", more);
        let from = "namespace: default, annotations: {}";
        let to = format!("namespace: {namespace}{metadata}");
        self.client().apply(&text.replace(from, &to))
    }

    pub(crate) fn patch(&self, key: &str, patch: Value) -> Result<()> {
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        self.client().patch(Kind::Service, namespace, name, patch)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        self.client().delete(Kind::Service, namespace, name)
    }

    fn get(&self, key: &str) -> Result<Value> {
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        let found = self.client().get(Kind::Service, namespace, name)?;
        found.with_context(|| format!("no Service {key}"))
    }

    /// Waits until a Service has just these addresses, and says they are of this pool; none means
    /// none.
    pub(crate) fn has(&mut self, key: &str, wanted: &[&str], pool: &str) -> Result<()> {
        let mut last = Value::Null;
        let client = self.cluster.client();
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        let found = wait(
            &mut self.controller,
            &format!("{wanted:?} for {key}"),
            || {
                last = client
                    .get(Kind::Service, namespace, name)?
                    .unwrap_or_default();
                let said = last["metadata"]["annotations"][POOL]
                    .as_str()
                    .unwrap_or_default();
                Ok((addresses(&last) == wanted && said == pool).then_some(()))
            },
        );
        found.with_context(|| last.to_string())
    }

    /// Waits until a Service was told that it can't have one, with a text that says `cause`.
    pub(crate) fn refused(&mut self, key: &str, cause: &str) -> Result<()> {
        let (namespace, name) = key.split_once('/').context("a namespace")?;
        let client = self.cluster.client();
        wait(&mut self.controller, &format!("a refusal of {key}"), || {
            let events = client.list(Kind::Event, namespace)?;
            let said = |e: &Value| {
                e["involvedObject"]["name"] == name
                    && e["reason"] == "AllocationFailed"
                    && e["message"].as_str().is_some_and(|m| m.contains(cause))
            };
            Ok(events.iter().any(said).then_some(()))
        })?;
        ensure!(
            addresses(&self.get(key)?).is_empty(),
            "{key} has an address"
        );
        Ok(())
    }

    /// Starts the controller anew and waits until it has decided about everything: a Service that
    /// comes then has its address.
    fn restart(&mut self, probe: &str) -> Result<()> {
        self.controller.kill()?;
        self.controller = setup::controller(&self.cluster)?;
        self.service(
            probe,
            ", annotations: {metallb.io/address-pool: probes}",
            "",
        )?;
        let client = self.cluster.client();
        let (namespace, name) = probe.split_once('/').context("a namespace")?;
        wait(&mut self.controller, "a controller at work", || {
            let found = client.get(Kind::Service, namespace, name)?;
            Ok(found.filter(|s| !addresses(s).is_empty()).map(drop))
        })
    }
}

/// Freed by another type, by deletion, by other conditions of sharing, by pools that go and come;
/// and kept over restarts.
fn a_freed_address_is_given_on() -> Result<()> {
    let mut site = Assigning::start()?;
    site.pool("pool", "addresses: [192.0.2.1/32]")?;
    site.service("default/a", "", "")?;
    site.has("default/a", &["192.0.2.1"], "pool")?;
    site.service("default/b", "", "")?;
    site.refused("default/b", "")?;
    let other = json!({"spec": {"type": "ClusterIP"}});
    site.patch("default/a", other)?;
    site.has("default/b", &["192.0.2.1"], "pool")?;
    site.has("default/a", &[], "")?;
    site.service("default/c", "", "")?;
    site.refused("default/c", "")?;
    site.delete("default/b")?;
    site.has("default/c", &["192.0.2.1"], "pool")?;

    conditions_of_sharing_change(&mut site)?;

    // Another class isn't ours, and a pool that has room is no reason.
    site.pool("more", "addresses: [192.0.2.8/31]")?;
    site.service("default/foreign", "", ", loadBalancerClass: foo")?;
    site.service("default/e", "", "")?;
    site.has("default/e", &["192.0.2.8"], "more")?;
    site.service("default/f", "", "")?;
    site.has("default/f", &["192.0.2.9"], "more")?;
    ensure!(addresses(&site.get("default/foreign")?).is_empty());

    // Four Services want two addresses; over five restarts those that have them keep them.
    site.pool("probes", "addresses: [198.51.100.0/24], autoAssign: false")?;
    for name in ["default/g", "default/h"] {
        site.service(name, "", "")?;
        site.refused(name, "")?;
    }
    let names = ["c", "e", "f", "g", "h"].map(|n| format!("default/{n}"));
    let seen = |site: &Assigning| -> Result<Vec<Value>> {
        let all = names.iter().map(|name| site.get(name));
        all.map(|s| Ok(json!([addresses(&s?)]))).collect()
    };
    let before = seen(&site)?;
    for round in 0..5 {
        site.restart(&format!("default/probe{round}"))?;
        ensure!(seen(&site)? == before, "round {round}: {:?}", seen(&site)?);
    }

    // A deleted pool's Services go to another one, if there is one.
    site.pool("late", "addresses: [203.0.113.0/31]")?;
    for name in ["default/g", "default/h"] {
        let client = site.cluster.client();
        let (_, bare) = name.split_once('/').context("a namespace")?;
        wait_until("an address", DEADLINE, || {
            let found = client.get(Kind::Service, "default", bare)?;
            Ok(found.filter(|s| addresses(s).len() == 1).map(drop))
        })?;
        site.delete(name)?;
    }
    site.delete_pool("pool")?;
    site.has("default/c", &["203.0.113.0"], "late")?;
    for pool in ["more", "late", "probes"] {
        site.delete_pool(pool)?;
    }
    for name in ["default/c", "default/e", "default/f"] {
        site.has(name, &[], "")?;
    }
    site.pool("again", "addresses: [203.0.113.8/32]")?;
    let client = site.cluster.client();
    wait_until("one of three", DEADLINE, || {
        let all = client.list(Kind::Service, "default")?;
        let given = all.iter().filter(|s| addresses(s) == ["203.0.113.8"]);
        Ok((given.count() == 1).then_some(()))
    })
}

/// `c` has an address that `d` may share or not.
fn conditions_of_sharing_change(site: &mut Assigning) -> Result<()> {
    let key = ", annotations: {metallb.io/allow-shared-ip: k}";
    let local = ", externalTrafficPolicy: Local";
    site.service("default/c", key, local)?;
    site.has("default/c", &["192.0.2.1"], "pool")?;
    let d = service("d", "metallb.io/allow-shared-ip: k", local).replace("port: 80", "port: 81");
    site.client().apply(&d)?;
    site.refused("default/d", "")?;
    site.patch(
        "default/d",
        json!({"spec": {"externalTrafficPolicy": "Cluster"}}),
    )?;
    site.patch(
        "default/c",
        json!({"spec": {"externalTrafficPolicy": "Cluster"}}),
    )?;
    site.has("default/d", &["192.0.2.1"], "pool")?;
    site.has("default/c", &["192.0.2.1"], "pool")?;
    site.delete("default/d")
}

/// Namespaces, their labels, labels of Services, priorities.
fn pools_are_for_whom_they_say() -> Result<()> {
    let mut site = Assigning::start()?;
    for (name, labels) in [("blue", "{env: blue}"), ("red", "{env: red, tier: one}")] {
        let text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n"
        );
        site.client().apply(&text)?;
    }
    // With priority, and one that is for everybody last.
    site.pool("plain", "addresses: [192.0.2.0/32]")?;
    site.pool(
        "twenty",
        &of("192.0.2.20/32", "priority: 20, namespaces: [blue]"),
    )?;
    site.pool(
        "ten",
        &of("192.0.2.10/32", "priority: 10, namespaces: [blue]"),
    )?;
    for (name, ip, pool) in [
        ("blue/a", "192.0.2.10", "ten"),
        ("blue/b", "192.0.2.20", "twenty"),
        ("blue/c", "192.0.2.0", "plain"),
    ] {
        site.service(name, "", "")?;
        site.has(name, &[ip], pool)?;
    }
    site.service("red/a", "", "")?;
    site.refused("red/a", "")?;

    // Only priorities, none meaning the last; before what is for everybody.
    site.pool("zero", &of("192.0.2.30/32", "priority: 0"))?;
    site.has("red/a", &["192.0.2.30"], "zero")?;
    site.pool("five", &of("192.0.2.35/32", "priority: 5"))?;
    site.pool("six", &of("192.0.2.36/32", "priority: 6"))?;
    for (name, ip, pool) in [
        ("red/b", "192.0.2.35", "five"),
        ("blue/d", "192.0.2.36", "six"),
    ] {
        site.service(name, "", "")?;
        site.has(name, &[ip], pool)?;
    }

    pools_go_by_labels(&mut site)?;
    pools_go_by_name(&mut site)
}

/// The pool's spec: addresses, and whom they are for.
fn of(addresses: &str, allocation: &str) -> String {
    format!("addresses: [{addresses}], serviceAllocation: {{{allocation}}}")
}

/// Labels of namespaces, of Services, and both at once.
fn pools_go_by_labels(site: &mut Assigning) -> Result<()> {
    site.pool(
        "labelled",
        &of(
            "192.0.2.40/32",
            "namespaceSelectors: [{matchLabels: {tier: one}}]",
        ),
    )?;
    site.service("blue/e", "", "")?;
    site.refused("blue/e", "")?;
    site.service("red/c", "", "")?;
    site.has("red/c", &["192.0.2.40"], "labelled")?;
    site.pool(
        "both",
        &of(
            "192.0.2.50/32",
            "namespaces: [red], serviceSelectors: [{matchLabels: {app: one}}]",
        ),
    )?;
    site.service("blue/f", ", labels: {app: one}", "")?;
    site.refused("blue/f", "")?;
    site.service("red/d", ", labels: {app: two}", "")?;
    site.refused("red/d", "")?;
    site.service("red/e", ", labels: {app: one}", "")?;
    site.has("red/e", &["192.0.2.50"], "both")?;
    site.pool(
        "services",
        &of(
            "192.0.2.60/32",
            "serviceSelectors: [{matchLabels: {app: one}}]",
        ),
    )?;
    site.has("blue/f", &["192.0.2.60"], "services")?;
    // A namespace that gets the label gets the pool, and another Service keeps what it has.
    site.pool(
        "late",
        &of(
            "192.0.2.70/32",
            "namespaceSelectors: [{matchLabels: {tier: two}}]",
        ),
    )?;
    site.client().patch(
        Kind::Namespace,
        "",
        "blue",
        json!({"metadata": {"labels": {"tier": "two"}}}),
    )?;
    site.has("blue/e", &["192.0.2.70"], "late")?;
    site.has("red/c", &["192.0.2.40"], "labelled")
}

/// Given out by itself or not.
fn pools_go_by_name(site: &mut Assigning) -> Result<()> {
    site.delete("red/d")?;
    for (auto, ip, v6) in [
        (true, "198.51.100.1", "2001:db8::1"),
        (false, "198.51.100.2", "2001:db8::2"),
    ] {
        let pool = format!("auto-{auto}");
        let spec = format!("addresses: [{ip}/32, \"{v6}/128\"], autoAssign: {auto}");
        site.pool(&pool, &spec)?;
        let asks = format!(", annotations: {{metallb.io/address-pool: {pool}}}");
        for (name, family, ip) in [("v4", "IPv4", ip), ("v6", "IPv6", v6)] {
            let key = format!("red/{name}-{auto}");
            site.service(&key, &asks, &format!(", ipFamilies: [{family}]"))?;
            site.has(&key, &[ip], &pool)?;
        }
    }
    Ok(())
}
