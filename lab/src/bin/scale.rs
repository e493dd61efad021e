//! `make bench`, third part: thousands of Services on a real API server.
//!
//! The Services wait when the controller starts. Time runs from its start until a watch has shown
//! every one of them with an address. Numbers on the command line replace 2,000, 5,000 and 10,000.

use anyhow::{Context, Result, ensure};
use corten_lab::bench;
use corten_lab::kubernetes::components::{self, NAMESPACE, addresses};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::teller::Teller;
use corten_lab::wait::wait_until;
use corten_lab::world::{Plan, World};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Numbers of Services unless the command line names others.
const COUNTS: [usize; 3] = [2000, 5000, 10_000];
/// Goals: Services, seconds, resident KiB of the controller and of the speaker.
const GOALS: [(usize, f32, u64, u64); 2] = [
    (2000, 3.0, 16 << 10, 12 << 10),
    (5000, 8.0, 20 << 10, 16 << 10),
];
/// When to give up on a step.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long a process may take to let go of what a start needed.
const SETTLE: Duration = Duration::from_secs(15);
/// Services created and deleted, and how many of them at a time.
const CYCLES: (usize, usize) = (1000, 100);

fn main() -> ExitCode {
    bench::main(run)
}

fn run() -> Result<bool> {
    let mut tell = Teller::new();
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .map(|text| text.parse().with_context(|| format!("a number: {text:?}")))
        .collect::<Result<_>>()?;
    let counts = if asked.is_empty() {
        &COUNTS[..]
    } else {
        &asked
    };
    tell.step("Services on a real API server");
    let mut rows = vec![cells(&[
        "SERVICES",
        "ADDRESSES AFTER",
        "WRITES",
        "CONTROLLER KiB",
        "CPU",
        "RESTART WRITES",
        "SPEAKER KiB",
        "CPU",
    ])];
    let mut met = true;
    for count in counts {
        let figures = measure(*count)?;
        for (_, seconds, controller, speaker) in GOALS.iter().filter(|goal| goal.0 == *count) {
            met &= figures.took.as_secs_f32() <= *seconds
                && figures.controller.0 <= *controller
                && figures.speaker.0 <= *speaker;
        }
        rows.push(vec![
            count.to_string(),
            format!("{:.2} s", figures.took.as_secs_f32()),
            figures.writes.to_string(),
            figures.controller.0.to_string(),
            format!("{:.1} s", figures.controller.1),
            figures.again.to_string(),
            figures.speaker.0.to_string(),
            format!("{:.1} s", figures.speaker.1),
        ]);
    }
    tell.table(&rows);
    for (count, seconds, controller, speaker) in GOALS {
        tell.say(format!(
            "goals at {count}: {seconds} s, {controller} KiB, {speaker} KiB"
        ));
    }
    churn(&mut tell)?;
    Ok(met)
}

/// What one number of Services cost. Processes: resident KiB and seconds of processor time.
struct Figures {
    took: Duration,
    writes: usize,
    again: usize,
    controller: (u64, f64),
    speaker: (u64, f64),
}

/// A cluster with a pool and a node, and that node.
fn site() -> Result<(Kubernetes, World)> {
    let world = World::build(&Plan {
        nodes: 1,
        lans: vec!["red".to_owned()],
        prefixes: vec!["198.18.0.0/15".to_owned()],
    })?;
    let cluster = Kubernetes::start()?;
    components::install(cluster.client())?;
    cluster.client().apply(&format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: node1}}\n---\n\
         apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n\
         metadata: {{name: pool, namespace: {NAMESPACE}}}\n\
         spec: {{addresses: [198.18.0.0/15]}}\n---\n\
         apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\n\
         metadata: {{name: everything, namespace: {NAMESPACE}}}\n"
    ))?;
    Ok((cluster, world))
}

/// Services with one ready endpoint each.
fn services(names: impl Iterator<Item = String>) -> String {
    names
        .map(|name| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
                 spec: {{type: LoadBalancer, allocateLoadBalancerNodePorts: false, \
                 ports: [{{port: 80}}], selector: {{app: {name}}}}}\n---\n\
                 apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: {name}-1, namespace: default, \
                 labels: {{kubernetes.io/service-name: {name}}}}}\n\
                 addressType: IPv4\nports: [{{name: \"\", port: 80}}]\nendpoints:\n  \
                 - {{addresses: [10.244.0.1], conditions: {{ready: true}}, nodeName: node1}}\n---\n"
            )
        })
        .collect()
}

fn measure(count: usize) -> Result<Figures> {
    let (cluster, world) = site()?;
    let client = cluster.client();
    client.create_all(&services((0..count).map(|i| format!("web{i}"))))?;
    let start = Instant::now();
    let mut controller = components::start(&cluster, cluster.netns(), "controller", &[])?;
    wait_served(client, count)?;
    let took = start.elapsed();
    let before = held(client)?;
    ensure!(before.len() == count, "{} addresses", before.len());
    let writes = status_writes(&cluster)?;
    std::thread::sleep(SETTLE);
    let spent = (controller.resident_kib()?, controller.processor_seconds()?);

    controller.kill()?;
    let _controller = components::start(&cluster, cluster.netns(), "controller", &[])?;
    client.create_all(&services(["late".to_owned()].into_iter()))?;
    wait_served(client, count + 1)?;
    let again = status_writes(&cluster)? - writes - 1;
    let mut after = held(client)?;
    after.retain(|address, _| before.contains_key(address));
    ensure!(after == before, "a restart moved addresses");

    let node = world.node(0)?;
    let _relay = cluster.relay_to(&node.ns)?;
    let flags = ["--node-name=node1", "--port=0"];
    let speaker = components::start(&cluster, &node.ns, "speaker", &flags)?;
    wait_until("a status of every Service", DEADLINE, || {
        let found = client.list(Kind::ServiceL2Status, NAMESPACE)?.len();
        std::thread::sleep(Duration::from_millis(500));
        Ok((found > count).then_some(()))
    })
    .with_context(|| speaker.log().join("\n  "))?;
    std::thread::sleep(SETTLE);
    Ok(Figures {
        took,
        writes,
        again,
        controller: spent,
        speaker: (speaker.resident_kib()?, speaker.processor_seconds()?),
    })
}

/// Creates and deletes Services, and tells what the controller and the speaker hold afterwards.
fn churn(tell: &mut Teller) -> Result<()> {
    let (total, round) = CYCLES;
    tell.step(&format!(
        "{total} Services created and deleted, {round} at a time"
    ));
    let (cluster, world) = site()?;
    let client = cluster.client();
    let controller = components::start(&cluster, cluster.netns(), "controller", &[])?;
    let node = world.node(0)?;
    let _relay = cluster.relay_to(&node.ns)?;
    let flags = ["--node-name=node1", "--port=0"];
    let speaker = components::start(&cluster, &node.ns, "speaker", &flags)?;
    let mut rows = vec![cells(&["AFTER", "CONTROLLER KiB", "SPEAKER KiB"])];
    for done in (0..=total).step_by(round) {
        if done > 0 {
            let names: Vec<String> = (0..round).map(|i| format!("web{i}")).collect();
            client.create_all(&services(names.iter().cloned()))?;
            wait_served(client, round)?;
            for name in &names {
                client.delete(Kind::Service, "default", name)?;
                client.delete(Kind::EndpointSlice, "default", &format!("{name}-1"))?;
            }
            wait_until("no status left", DEADLINE, || {
                let left = client.list(Kind::ServiceL2Status, NAMESPACE)?;
                std::thread::sleep(Duration::from_millis(100));
                Ok(left.is_empty().then_some(()))
            })?;
        }
        if [0, round, total / 2, total].contains(&done) {
            std::thread::sleep(SETTLE);
            rows.push(vec![
                done.to_string(),
                controller.resident_kib()?.to_string(),
                speaker.resident_kib()?.to_string(),
            ]);
        }
    }
    tell.table(&rows);
    Ok(())
}

fn wait_served(client: &Client, count: usize) -> Result<()> {
    let mut served = BTreeSet::new();
    client.watch_until(Kind::Service, "default", DEADLINE, move |service| {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        if !addresses(service).is_empty() {
            served.insert(name.to_owned());
        }
        served.len() >= count
    })
}

/// Every address and the Service that has it.
fn held(client: &Client) -> Result<BTreeMap<String, String>> {
    let mut held = BTreeMap::new();
    for service in client.list(Kind::Service, "default")? {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        for address in addresses(&service) {
            held.insert(address, name.to_owned());
        }
    }
    Ok(held)
}

fn status_writes(cluster: &Kubernetes) -> Result<usize> {
    let requests = cluster.requests(NAMESPACE, "controller")?;
    let writes = requests
        .iter()
        .filter(|r| r.resource.starts_with("services"));
    Ok(writes
        .filter(|r| !["get", "list", "watch"].contains(&r.verb.as_str()))
        .count())
}

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
