//! The controller on a real API server: addresses, annotation and events.

use crate::objects::{NAMESPACE, custom, pod, service};
use crate::setup::{self, DEADLINE, addresses, wait, wait_addresses};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "a_service_gets_an_address_and_keeps_it",
        a_service_gets_an_address_and_keeps_it,
    ),
    ("an_address_costs_one_request", an_address_costs_one_request),
    (
        "a_second_controller_waits_for_the_first",
        a_second_controller_waits_for_the_first,
    ),
];

const POOL: &str = "metallb.io/ip-allocated-from-pool";

fn pool(addresses: &str) -> String {
    custom(
        "IPAddressPool",
        "pool",
        &format!("addresses: [{addresses}]"),
    )
}

fn version(object: &Value) -> &Value {
    &object["metadata"]["resourceVersion"]
}

/// Many Services that wait, some with what `kubectl apply` keeps: each is written once and none is
/// asked for, and nothing of it is lost.
fn an_address_costs_one_request() -> Result<()> {
    const COUNT: usize = 60;
    const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let annotation = format!("{APPLIED}: \"{{}}\"");
    let all: String = (0..COUNT)
        .map(|i| {
            service(
                &format!("web{i}"),
                if i % 2 == 0 { &annotation } else { "" },
                "",
            )
        })
        .collect();
    client.apply(&all)?;
    let mut controller = setup::controller(&cluster)?;
    client.apply(&pool("192.0.2.0/24"))?;
    let services = wait(&mut controller, "an address for every Service", || {
        let all = client.list(Kind::Service, "default")?;
        let assigned = all.iter().filter(|s| addresses(s).len() == 1);
        Ok((assigned.count() == COUNT).then_some(all))
    })?;
    let of_ours = |s: &&Value| s["spec"]["type"] == "LoadBalancer";
    for service in services.iter().filter(of_ours) {
        let (annotations, spec) = (&service["metadata"]["annotations"], &service["spec"]);
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let kept = !name.ends_with(['0', '2', '4', '6', '8']) || annotations[APPLIED] == "{}";
        ensure!(kept && annotations[POOL] == "pool", "{service}");
        ensure!(spec["ports"][0]["port"] == 80, "{service}");
    }
    let count = |resource: &str, verb: &str| -> Result<usize> {
        let requests = cluster.requests(NAMESPACE, "controller")?;
        let asked = requests.iter().filter(|r| r.resource == resource);
        Ok(asked.filter(|r| r.verb == verb).count())
    };
    // The server writes down a request after what came of it can be seen.
    wait(&mut controller, "every write on record", || {
        Ok((count("services/status", "update")? >= COUNT).then_some(()))
    })?;
    let found = (
        count("services/status", "update")?,
        count("services", "get")?,
    );
    ensure!(
        found == (COUNT, 0),
        "{found:?} writes and reads of {COUNT} Services"
    );
    Ok(())
}

fn a_service_gets_an_address_and_keeps_it() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let mut controller = setup::controller(&cluster)?;
    let closed = "addresses: [192.0.2.0/30], autoAssign: false";
    client.apply(&custom("IPAddressPool", "pool", closed))?;
    client.apply(&service("web", "", ""))?;
    let failed = wait(&mut controller, "a failure's event", || {
        let events = client.list(Kind::Event, "default")?;
        Ok(events
            .into_iter()
            .find(|e| e["reason"] == "AllocationFailed"))
    })?;
    let web = client
        .get(Kind::Service, "default", "web")?
        .context("web")?;
    ensure!(
        failed["involvedObject"]["uid"] == web["metadata"]["uid"],
        "{failed}"
    );
    ensure!(
        failed["source"]["component"] == "metallb-controller",
        "{failed}"
    );
    ensure!(failed["type"] == "Warning", "{failed}");

    client.apply(&pool("192.0.2.0/30"))?;
    let web = wait_addresses(client, &mut controller, "web", &["192.0.2.0"])?;
    ensure!(web["metadata"]["annotations"][POOL] == "pool", "{web}");
    wait(&mut controller, "the event of the assignment", || {
        let events = client.list(Kind::Event, "default")?;
        let said = |e: &Value| e["message"] == r#"Assigned IP ["192.0.2.0"]"#;
        Ok(events.iter().any(said).then_some(()))
    })?;
    // Another Service, so that the first one has been looked at in between.
    client.apply(&service("late", "", ", ipFamilyPolicy: PreferDualStack"))?;
    wait_addresses(client, &mut controller, "late", &["192.0.2.1"])?;
    client.patch(
        Kind::Service,
        "default",
        "web",
        json!({"metadata": {"labels": {"a": "b"}}}),
    )?;
    client.delete(Kind::Service, "default", "late")?;
    client.apply(&service("later", "", ""))?;
    wait_addresses(client, &mut controller, "later", &["192.0.2.1"])?;
    let labelled = client
        .get(Kind::Service, "default", "web")?
        .context("web")?;
    ensure!(
        labelled["metadata"]["labels"]["a"] == "b",
        "labels of others stay"
    );

    // A restart writes nothing.
    let before = client.list(Kind::Service, "default")?;
    controller.kill()?;
    let mut controller = setup::controller(&cluster)?;
    client.apply(&service("last", "", ""))?;
    wait_addresses(client, &mut controller, "last", &["192.0.2.2"])?;
    for old in &before {
        let name = old["metadata"]["name"].as_str().unwrap_or_default();
        let new = client
            .get(Kind::Service, "default", name)?
            .context("gone")?;
        ensure!(addresses(old) == addresses(&new), "{name} moved");
        ensure!(version(old) == version(&new), "{name} was written");
    }

    client.delete(Kind::IPAddressPool, NAMESPACE, "pool")?;
    let web = wait_addresses(client, &mut controller, "web", &[])?;
    ensure!(web["metadata"]["annotations"].get(POOL).is_none(), "{web}");
    Ok(())
}

fn a_second_controller_waits_for_the_first() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    // Nothing runs these pods; what counts is what the API says of them.
    for name in ["a-first", "b-second"] {
        client.apply(&pod(name, "controller"))?;
        let running = json!({"status": {"phase": "Running"}});
        client.patch_status(Kind::Pod, NAMESPACE, name, running)?;
    }
    client.apply(&pool("192.0.2.0/30"))?;
    client.apply(&service("web", "", ""))?;
    let flags = ["--pod-name=b-second"];
    let mut second = setup::start(&cluster, cluster.netns(), "controller", &flags)?;
    wait_until("a controller that waits", DEADLINE, || {
        let says = |line: &String| line.contains("another controller runs: pod a-first");
        Ok(second.log().iter().any(says).then_some(()))
    })?;
    let web = client
        .get(Kind::Service, "default", "web")?
        .context("web")?;
    ensure!(addresses(&web).is_empty(), "{web}");
    client.delete(Kind::Pod, NAMESPACE, "a-first")?;
    wait_addresses(client, &mut second, "web", &["192.0.2.0"]).map(drop)
}
