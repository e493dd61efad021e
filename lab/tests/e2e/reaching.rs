//! A client that is no node reaches pods.

use crate::scene::{DEADLINE, NAMESPACE, addresses, addresses_of, on, pods, wait_reached_all};
use anyhow::{Context, Result, ensure};
use corten_lab::full::{Beyond, Cluster, Node};
use corten_lab::kubernetes::Kind;
use corten_lab::router::Bird;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    ("clients_reach_pods_by_layer_2", || on(layer2)),
    ("clients_reach_pods_by_bgp", || on(bgp)),
];

/// Label of a node that is to get no traffic.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Addresses no LAN has, and who is told of them.
const ROUTED: &str = include_str!("routed.yaml");

/// Address, MAC, node, kube-proxy, pod: in both families, to pods on every node.
fn layer2(cluster: &mut Cluster) -> Result<()> {
    let client = cluster.kubernetes.client();
    let all = addresses(client)?;
    let web = pods(client, "default", ("app", "web"))?
        .into_keys()
        .collect();
    let count = all.values().map(Vec::len).sum::<usize>();
    ensure!(count == 7, "{all:?}");
    let asked = IpAddr::from([10, 50, 0, 220]);
    ensure!(
        all.get("fixed").is_some_and(|ips| *ips == [asked]),
        "{all:?}"
    );
    for ip in all.values().flatten() {
        wait_until(&format!("one owner of {ip}"), DEADLINE, || {
            Ok(cluster.owner(*ip)?.map(drop))
        })?;
        wait_reached_all(&cluster.client, *ip, &web)?;
    }
    Ok(())
}

/// BIRD on the router: a neighbour of every node in both families, with every way it learns.
fn bird(cluster: &Cluster, beyond: &Beyond) -> Result<Bird> {
    let mut text = format!("router id {};\nprotocol device {{}}\n", beyond.nic.ipv4);
    for (family, own) in [
        ("ipv4", IpAddr::from(beyond.nic.ipv4)),
        ("ipv6", beyond.nic.ipv6.into()),
    ] {
        text.push_str(&format!(
            "protocol kernel kernel_{family} {{ merge paths yes; {family} {{ export all; }}; }}\n"
        ));
        for node in cluster.nodes() {
            let other = match own {
                IpAddr::V4(_) => IpAddr::from(node.nic.ipv4),
                IpAddr::V6(_) => node.nic.ipv6.into(),
            };
            text.push_str(&format!(
                "protocol bgp {}_{family} {{ local {own} as 64513; neighbor {other} as 64512; \
                 passive; {family} {{ import all; export none; }}; }}\n",
                node.name
            ));
        }
    }
    Bird::start(&beyond.router, "e2e-bird", &text)
}

/// Nodes the router's kernel sends to for an address.
fn ways(cluster: &Cluster, beyond: &Beyond, ip: IpAddr) -> Result<BTreeSet<String>> {
    let (family, length) = if ip.is_ipv4() {
        ("-4", 32)
    } else {
        ("-6", 128)
    };
    let prefix = format!("{ip}/{length}");
    let text = beyond
        .router
        .output("ip", &[family, "route", "show", &prefix])?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let via = |node: &Node| {
        let own = [node.nic.ipv4.to_string(), node.nic.ipv6.to_string()];
        words
            .windows(2)
            .any(|w| w[0] == "via" && own.contains(&w[1].to_owned()))
    };
    let nodes = cluster.nodes().filter(|n| via(n));
    Ok(nodes.map(|n| n.name.clone()).collect())
}

fn wait_ways(cluster: &Cluster, beyond: &Beyond, ip: IpAddr, wanted: &[&str]) -> Result<()> {
    let wanted = wanted.iter().map(|n| (*n).to_owned()).collect();
    let mut last = BTreeSet::new();
    wait_until(&format!("ways to {ip}"), DEADLINE, || {
        last = ways(cluster, beyond, ip)?;
        Ok((last == wanted).then_some(()))
    })
    .with_context(|| format!("{last:?}, not {wanted:?}"))
}

/// Router, node, kube-proxy, pod; a node that is excluded isn't sent to, and no request is lost.
fn bgp(cluster: &mut Cluster) -> Result<()> {
    const ALL: &[&str] = &["node1", "node2", "node3"];
    let kubernetes = &cluster.kubernetes;
    let beyond = cluster.beyond()?;
    let _bird = bird(cluster, &beyond)?;
    let peers: String = [IpAddr::from(beyond.nic.ipv4), beyond.nic.ipv6.into()]
        .iter()
        .map(|ip| {
            let family = if ip.is_ipv4() { 4 } else { 6 };
            format!(
                "apiVersion: metallb.io/v1beta2\nkind: BGPPeer\n\
                 metadata: {{name: router-{family}, namespace: {NAMESPACE}}}\n\
                 spec: {{myASN: 64512, peerASN: 64513, peerAddress: \"{ip}\"}}\n---\n"
            )
        })
        .collect();
    let client = kubernetes.client();
    client.apply(&peers)?;
    client.apply(ROUTED)?;
    let given = addresses_of(client, "routed")?;
    let web = pods(client, "default", ("app", "web"))?
        .into_keys()
        .collect();
    for ip in &given {
        wait_ways(cluster, &beyond, *ip, ALL)?;
        wait_reached_all(&beyond.client, *ip, &web)?;
        let owner = cluster.owner(*ip)?;
        ensure!(owner.is_none(), "{owner:?} answers for {ip} on the LAN");
    }
    let prober = beyond.client.probe(&given, Duration::from_millis(20));
    let labelled = || {
        kubernetes.kubectl(&["label", "node", "node2", &format!("{EXCLUDED}=")])?;
        for ip in &given {
            wait_ways(cluster, &beyond, *ip, &["node1", "node3"])?;
        }
        kubernetes.kubectl(&["label", "node", "node2", &format!("{EXCLUDED}-")])?;
        for ip in &given {
            wait_ways(cluster, &beyond, *ip, ALL)?;
        }
        Ok(())
    };
    let done: Result<()> = labelled();
    let tally = prober.stop()?;
    done?;
    println!(
        "    exclusion of a node: {} requests, {} lost",
        tally.sent,
        tally.lost.len()
    );
    ensure!(tally.lost.is_empty(), "{tally:?}");
    client.delete(Kind::Service, "default", "routed")?;
    for ip in &given {
        wait_ways(cluster, &beyond, *ip, &[])?;
    }
    for name in ["router-4", "router-6"] {
        client.delete(Kind::BGPPeer, NAMESPACE, name)?;
    }
    Ok(())
}
