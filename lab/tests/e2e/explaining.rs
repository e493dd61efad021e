//! A Service whose traffic stays on its node, and who says so.

use crate::scene::{DEADLINE, NAMESPACE, addresses_of, on, page, pods};
use anyhow::{Context, Result, ensure};
use corten_lab::full::Cluster;
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use std::net::{IpAddr, SocketAddr};

pub(crate) const TRIALS: &[Trial] = &[("local_traffic_stays_on_its_node", || on(local))];

/// A pod that is where it is told to be, and a Service for nothing but it.
fn manifest(node: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\n\
         metadata: {{name: on-{node}, namespace: default, labels: {{app: solo}}}}\n\
         spec: {{nodeName: {node}, terminationGracePeriodSeconds: 1, containers: [{{name: solo, \
         image: \"agnhost:lab\", args: [netexec, --http-port=8080], \
         readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: solo, namespace: default}}\n\
         spec: {{type: LoadBalancer, ipFamilyPolicy: RequireDualStack, externalTrafficPolicy: Local, \
         selector: {{app: solo}}, ports: [{{port: 80, targetPort: 8080}}]}}\n"
    )
}

/// Waits until just this node answers for the address, and the client reaches its pod and is seen
/// as who it is.
fn wait_served(cluster: &Cluster, ip: IpAddr, node: &str) -> Result<()> {
    let mut last = String::new();
    let own: IpAddr = match ip {
        IpAddr::V4(_) => cluster.client.nic.ipv4.into(),
        IpAddr::V6(_) => cluster.client.nic.ipv6.into(),
    };
    wait_until(&format!("{ip} on {node}"), DEADLINE, || {
        let owner = cluster.owner(ip)?.map(|n| n.name.clone());
        let seen = page(&cluster.client, ip, "/clientip");
        last = format!("{owner:?}: {seen:?}");
        let from = seen.ok().and_then(|s| s.parse::<SocketAddr>().ok());
        let served = from.is_some_and(|from| from.ip().to_canonical() == own);
        Ok((served && owner.as_deref() == Some(node)).then_some(()))
    })
    .with_context(|| last)
}

fn local(cluster: &mut Cluster) -> Result<()> {
    let kubernetes = &cluster.kubernetes;
    let client = kubernetes.client();
    client.apply(&manifest("node2"))?;
    let given = addresses_of(client, "solo")?;
    for node in ["node2", "node3"] {
        client.apply(&manifest(node))?;
        for pod in pods(client, "default", ("app", "solo"))?.into_keys() {
            if pod != format!("on-{node}") {
                client.delete(Kind::Pod, "default", &pod)?;
            }
        }
        for ip in &given {
            wait_served(cluster, *ip, node)?;
        }
        // What users see of it.
        let described = |text: &str| {
            let said = kubernetes.kubectl(&["describe", "service", "solo"]);
            Ok(said.ok().filter(|s| s.contains(text)).map(drop))
        };
        wait_until("events", DEADLINE, || described("IPAllocated"))?;
        let announcing = format!("announcing from node \"{node}\"");
        wait_until("events", DEADLINE, || described(&announcing))?;
    }
    ensure!(addresses_of(client, "solo")? == given, "not {given:?}");
    for node in ["node1", "node3"] {
        let speakers = pods(
            client,
            NAMESPACE,
            ("app.kubernetes.io/component", "speaker"),
        )?;
        let mut each = speakers.iter();
        let speaker = each.find(|(_, pod)| pod["spec"]["nodeName"] == node);
        let (speaker, _) = speaker.with_context(|| format!("no speaker on {node}"))?;
        let explain = [
            "exec",
            "-n",
            NAMESPACE,
            speaker,
            "--",
            "/corten",
            "explain",
            "default/solo",
        ];
        let said = kubernetes.kubectl(&explain)?;
        let addresses = given.iter().all(|ip| said.contains(&ip.to_string()));
        let owner = said.contains("Owner:     node3\n");
        let why = said.contains("node1: doesn't announce: externalTrafficPolicy is Local");
        ensure!(addresses && owner && why, "{node}: {said}");
    }
    client.delete(Kind::Service, "default", "solo")?;
    client.delete(Kind::Pod, "default", "on-node3")
}
