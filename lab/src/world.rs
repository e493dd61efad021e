//! A small data centre: LANs, nodes, clients, a gateway and the place where pods live.
//!
//! ```text
//!   client ── LAN red ──┬── eth0 node1 cni0 ──┐
//!                       ├── eth0 node2 cni0 ──┤
//!   client ── LAN blue ─┼── eth1 node1        ├── pods (HTTP on every service address)
//!                       ├── eth1 node2        │
//!                       └── gateway ──────────┘
//! ```
//!
//! What kube-proxy does is stood in for by routing: each node routes the service prefixes to the
//! `pods` namespace, which holds them all as local (`ip route add local …`), and answers go back
//! through the gateway. So a connection survives a change of the node it enters by, and only ARP
//! and NDP decide which node that is. No kernel answers ARP or NDP for a service address.

mod client;
mod lan;

pub use client::{Client, Owners};
pub use lan::{Lan, Nic};

use crate::frame::Mac;
use crate::http::{Names, Server};
use crate::netns::Netns;
use crate::wait::wait_until;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What a [`World`] is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of nodes, named `node1` …
    pub nodes: u8,
    /// Names of the LANs; a node's `eth0` is on the first, `eth1` on the second.
    pub lans: Vec<String>,
    /// Service prefixes, both families.
    pub prefixes: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 3,
            lans: vec!["red".to_owned(), "blue".to_owned()],
            prefixes: vec![
                "192.0.2.0/24".to_owned(),
                "198.51.100.0/24".to_owned(),
                "2001:db8:1::/64".to_owned(),
            ],
        }
    }
}

/// A machine that may run Corten.
#[derive(Debug)]
pub struct Node {
    /// `node1` …
    pub name: String,
    /// Its namespace.
    pub ns: Netns,
    /// Its NICs, `eth0` first.
    pub nics: Vec<Nic>,
}

/// The whole of it. Dropping it removes everything.
#[derive(Debug)]
pub struct World {
    /// LANs in the plan's order.
    pub lans: Vec<Lan>,
    /// Nodes in order of their numbers.
    pub nodes: Vec<Node>,
    /// One client a LAN, in the LANs' order.
    pub clients: Vec<Client>,
    /// What the server behind each address calls itself.
    pub names: Names,
    pods: Netns,
    prefixes: Vec<String>,
    pods_nic: Nic,
    fabric: Lan,
    gateway: Netns,
    _server: Server,
}

/// Number of the LAN between nodes and pods.
const FABRIC: u8 = 99;
/// Host number of the pods on it.
const PODS: u8 = 2;
/// Host number of the gateway on every LAN.
const GATEWAY: u8 = 1;

impl World {
    /// Builds it and waits until every link carries frames.
    ///
    /// # Errors
    /// Where the kernel or `ip` refuses.
    pub fn build(plan: &Plan) -> Result<Self> {
        let lans = plan
            .lans
            .iter()
            .zip(1..)
            .map(|(name, number)| Lan::new(name, number))
            .collect::<Result<Vec<_>>>()?;
        let fabric = Lan::new("fabric", FABRIC)?;
        let (pods, pods_nic) = build_pods(&fabric, &plan.prefixes)?;
        let (gateway, nic) = build_gateway(&fabric, &lans)?;
        introduce(&pods, "eth0", &nic)?;
        route_back(&pods, &lans)?;
        let names = Names::default();
        let server = Server::start(&pods, 80, &names)?;
        let mut world = Self {
            lans,
            nodes: Vec::new(),
            clients: Vec::new(),
            names,
            pods,
            prefixes: plan.prefixes.clone(),
            pods_nic,
            fabric,
            gateway,
            _server: server,
        };
        for number in 1..=plan.nodes {
            world.add_node(number)?;
        }
        for lan in 0..world.lans.len() {
            world.add_client(lan, 101)?;
        }
        world.settle()?;
        Ok(world)
    }

    fn add_node(&mut self, number: u8) -> Result<()> {
        let name = format!("node{number}");
        let ns = Netns::new(&name)?;
        forward(&ns)?;
        let host = 10 + number;
        let mut nics = Vec::new();
        for (lan, i) in self.lans.iter().zip(0..) {
            nics.push(lan.attach(&ns, &format!("eth{i}"), host)?);
        }
        let nic = self.fabric.attach(&ns, "cni0", host)?;
        introduce(&self.pods, "eth0", &nic)?;
        introduce(&ns, "cni0", &self.pods_nic)?;
        let routes: Vec<String> = self
            .prefixes
            .iter()
            .map(|p| format!("route add {p} via {}", self.fabric.address(v6(p), PODS)))
            .collect();
        ns.ip(&routes)?;
        self.nodes.push(Node { name, ns, nics });
        Ok(())
    }

    /// Adds a client to a LAN; it takes the service prefixes for on-link.
    ///
    /// # Errors
    /// If the LAN has that host number already.
    pub fn add_client(&mut self, at: usize, host: u8) -> Result<()> {
        let lan = self.lan(at)?;
        let ns = Netns::new(&format!("client-{}-{host}", lan.name))?;
        let nic = lan.attach(&ns, "eth0", host)?;
        let routes: Vec<String> = self
            .prefixes
            .iter()
            .map(|p| format!("route add {p} dev eth0"))
            .collect();
        ns.ip(&routes)?;
        introduce(&self.gateway, &format!("eth{at}"), &nic)?;
        self.clients.push(Client::new(ns, nic));
        Ok(())
    }

    /// A host on a LAN whose kernel has `addresses` (such as `192.0.2.7/32`) configured and
    /// answers for them: the stranger of a conflict. It lives as long as what is returned.
    ///
    /// # Errors
    /// If the LAN has that host number already.
    pub fn stranger(&self, lan: usize, host: u8, addresses: &[&str]) -> Result<(Netns, Nic)> {
        let lan = self.lan(lan)?;
        let ns = Netns::new(&format!("stranger-{}-{host}", lan.name))?;
        let nic = lan.attach(&ns, "eth0", host)?;
        let lines: Vec<String> = addresses
            .iter()
            .map(|a| format!("addr add {a} dev eth0{}", nodad(a)))
            .collect();
        ns.ip(&lines)?;
        Ok((ns, nic))
    }

    /// Plugs a node into a LAN by one more NIC.
    ///
    /// # Errors
    /// If there is no such node or LAN.
    pub fn add_nic(&mut self, node: usize, lan: usize, interface: &str, host: u8) -> Result<()> {
        let lan = self.lans.get(lan).context("no such LAN")?;
        let node = self.nodes.get_mut(node).context("no such node")?;
        let nic = lan.attach(&node.ns, interface, host)?;
        node.nics.push(nic);
        Ok(())
    }

    /// The LAN of this number, from 0.
    ///
    /// # Errors
    /// If there is none.
    pub fn lan(&self, lan: usize) -> Result<&Lan> {
        self.lans.get(lan).context("no such LAN")
    }

    /// The node of this number, from 0.
    ///
    /// # Errors
    /// If there is none.
    pub fn node(&self, node: usize) -> Result<&Node> {
        self.nodes.get(node).context("no such node")
    }

    /// The client on the LAN of this number, from 0.
    ///
    /// # Errors
    /// If there is none.
    pub fn client(&self, lan: usize) -> Result<&Client> {
        self.clients.get(lan).context("no such client")
    }

    /// The node a MAC belongs to.
    #[must_use]
    pub fn node_of(&self, mac: Mac) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|n| n.nics.iter().any(|nic| nic.mac == mac))
    }

    /// The node that answered, if exactly one did.
    ///
    /// # Errors
    /// If none or several did, or one that is no node.
    pub fn owner(&self, owners: &Owners, ip: IpAddr) -> Result<&Node> {
        let macs = owners.get(&ip).cloned().unwrap_or_default();
        ensure!(
            macs.len() == 1,
            "{ip} is answered for by {macs:?}, not by one"
        );
        macs.iter()
            .find_map(|mac| self.node_of(*mac))
            .with_context(|| format!("{ip} is answered for by {macs:?}, which is no node"))
    }

    /// Sets the name the server behind an address answers with.
    pub fn name(&self, ip: IpAddr, name: &str) {
        self.names
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(ip, name.to_owned());
    }

    /// Waits until every NIC is up and has a usable link-local address.
    ///
    /// # Errors
    /// After ten seconds.
    pub fn settle(&self) -> Result<()> {
        let spaces = self.nodes.iter().map(|n| &n.ns);
        let spaces = spaces.chain(self.clients.iter().map(|c| &c.ns));
        for ns in spaces.chain([&self.pods]) {
            let what = format!("links of {}", ns.name());
            wait_until(&what, Duration::from_secs(10), || {
                Ok(ready(ns)?.then_some(()))
            })?;
        }
        Ok(())
    }
}

/// Tells `to` the MAC of another of the lab's own machines, reached by `interface`. They need not
/// find one another while Service addresses are measured: now and then the kernel's first
/// solicitation comes to nothing, and it asks again only after a second (RFC 4861 §7.2.2).
fn introduce(to: &Netns, interface: &str, nic: &Nic) -> Result<()> {
    let entry = |ip: IpAddr| {
        format!(
            "neigh replace {ip} lladdr {} dev {interface} nud permanent",
            nic.mac
        )
    };
    to.ip(&[entry(nic.ipv4.into()), entry(nic.ipv6.into())])
}

fn build_pods(fabric: &Lan, prefixes: &[String]) -> Result<(Netns, Nic)> {
    let ns = Netns::new("pods")?;
    // Service addresses are local here; on the fabric nobody may hear of that.
    ns.sysctl("ipv4/conf/all/arp_ignore", "1")?;
    let nic = fabric.attach(&ns, "eth0", PODS)?;
    let local: Vec<String> = prefixes
        .iter()
        .map(|p| format!("route add local {p} dev lo"))
        .collect();
    ns.ip(&local)?;
    Ok((ns, nic))
}

fn build_gateway(fabric: &Lan, lans: &[Lan]) -> Result<(Netns, Nic)> {
    let ns = Netns::new("gateway")?;
    forward(&ns)?;
    let nic = fabric.attach(&ns, "cni0", GATEWAY)?;
    for (lan, i) in lans.iter().zip(0..) {
        lan.attach(&ns, &format!("eth{i}"), GATEWAY)?;
    }
    Ok((ns, nic))
}

fn route_back(pods: &Netns, lans: &[Lan]) -> Result<()> {
    let lines: Vec<String> = [false, true]
        .into_iter()
        .flat_map(|v6| {
            let via = lan::address(FABRIC, v6, GATEWAY);
            lans.iter()
                .map(move |lan| format!("route add {} via {via}", lan.prefix(v6)))
        })
        .collect();
    pods.ip(&lines)
}

fn forward(ns: &Netns) -> Result<()> {
    ns.sysctl("ipv4/ip_forward", "1")?;
    ns.sysctl("ipv4/conf/all/send_redirects", "0")?;
    ns.sysctl("ipv4/conf/default/send_redirects", "0")?;
    ns.sysctl("ipv6/conf/all/forwarding", "1")
}

fn ready(ns: &Netns) -> Result<bool> {
    #[derive(Deserialize)]
    struct Link {
        ifname: String,
        operstate: String,
        #[serde(default)]
        addr_info: Vec<BTreeMap<String, serde_json::Value>>,
    }
    let text = ns.output("ip", &["-json", "addr"])?;
    let links: Vec<Link> = serde_json::from_str(&text)?;
    Ok(links.iter().filter(|l| l.ifname != "lo").all(|l| {
        l.operstate == "UP"
            && l.addr_info.iter().all(|a| !a.contains_key("tentative"))
            && l.addr_info
                .iter()
                .any(|a| a.get("scope").is_some_and(|s| s == "link"))
    }))
}

fn v6(address: &str) -> bool {
    address.contains(':')
}

/// `nodad` where the family has it.
fn nodad(address: &str) -> &'static str {
    if v6(address) { " nodad" } else { "" }
}
