//! The full cluster: three nodes with containerd, kubelet and kube-proxy (nftables, dual stack),
//! which run pods, and a user's machine beside them.
//!
//! ```text
//!   control plane ──┐
//!   client ─────────┼── LAN ──┬── node1 ── pods
//!   (router) ───────┘         ├── node2 ── pods
//!                             └── node3 ── pods
//! ```
//!
//! A node is a process in namespaces of its own (`lab/cluster/full/node.sh`) with a root in memory,
//! so all of it is gone when the lab ends, however that ends. What would stay, empty control
//! groups, [`Cluster`] removes when it is dropped and the next one otherwise. Any number can run at
//! once.

mod group;
mod node;

pub use node::Node;

use crate::frame::Mac;
use crate::kubernetes::{Kubernetes, binary};
use crate::netns::Netns;
use crate::process::Process;
use crate::wait::wait_until;
use crate::world::{Client, Lan, Nic};
use anyhow::{Context, Result, bail, ensure};
use group::Groups;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the start of something may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Number of the LAN: 10.50.0.0/24 and fd00:50::/64.
const LAN: u8 = 50;
/// Host numbers on it.
const CONTROL: u8 = 1;
const CLIENT: u8 = 101;
const NEWCOMER: u8 = 102;
const ROUTER: u8 = 99;
/// Number of the LAN behind the router.
const BEYOND: u8 = 51;
/// Nodes.
const NODES: u8 = 3;

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The API server.
    pub kubernetes: Kubernetes,
    /// Where everything is connected.
    pub lan: Lan,
    /// A machine that is no node.
    pub client: Client,
    /// Another.
    pub newcomer: Client,
    /// Nodes in order of their numbers. One that is without power is none.
    nodes: Vec<Option<Node>>,
    runtime: PathBuf,
    control: Netns,
    _managers: [Process; 2],
    // Dropped last, when nobody is in them.
    groups: Groups,
}

/// Directory of what `lab/setup.sh full` makes, below the one of [`binary`].
fn made(name: &str) -> Result<PathBuf> {
    let at = PathBuf::from(binary("kubelet")?).with_file_name(name);
    ensure!(
        at.is_dir(),
        "there is no {}: run lab/setup.sh full",
        at.display()
    );
    Ok(at)
}

/// Where the description of a node is in the repository.
fn description(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cluster/full")
        .join(file)
}

impl Cluster {
    /// Starts it and waits until every node is ready. `runtime` is the program `corten-runc`.
    ///
    /// # Errors
    /// Without root, if something isn't built (`lab/setup.sh full`), or with what a part of it
    /// logged.
    pub fn start(runtime: &Path) -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root() && !in_user_namespace()?,
            "the full cluster needs root: its nodes are containers that run containers"
        );
        let groups = Groups::create()?;
        let lan = Lan::new("full", LAN)?;
        let control = Netns::new("control")?;
        let nic = lan.attach(&control, "eth0", CONTROL)?;
        let machine = |name: &str, host: u8| {
            let ns = Netns::new(name)?;
            let nic = lan.attach(&ns, "eth0", host)?;
            anyhow::Ok(Client::new(ns, nic))
        };
        let (client, newcomer) = (machine("client", CLIENT)?, machine("newcomer", NEWCOMER)?);
        let kubernetes = Kubernetes::start_in(control.clone(), nic.ipv4.into())?;
        let managers = managers(&kubernetes)?;
        let mut cluster = Self {
            kubernetes,
            lan,
            client,
            newcomer,
            nodes: Vec::new(),
            runtime: runtime.to_owned(),
            control,
            _managers: managers,
            groups,
        };
        for number in 1..=NODES {
            cluster.nodes.push(None);
            cluster.power_on(number)?;
        }
        for number in 1..=NODES {
            cluster.wait_ready(number)?;
        }
        Ok(cluster)
    }

    /// The node of this number, from 1.
    ///
    /// # Errors
    /// If there is none, or it has no power.
    pub fn node(&self, number: u8) -> Result<&Node> {
        let found = self.nodes.get(usize::from(number).wrapping_sub(1));
        found
            .and_then(Option::as_ref)
            .with_context(|| format!("no node {number}"))
    }

    /// Nodes with power.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// The node an interface belongs to.
    #[must_use]
    pub fn node_of(&self, mac: Mac) -> Option<&Node> {
        self.nodes().find(|node| node.nic.mac == mac)
    }

    /// Takes a node's power away: in one moment it answers nothing any more.
    ///
    /// # Errors
    /// If it has none.
    pub fn power_off(&mut self, number: u8) -> Result<()> {
        let nic = self.node(number)?.nic.clone();
        self.lan.set_cable(&nic, false)?;
        let slot = self.nodes.get_mut(usize::from(number).wrapping_sub(1));
        drop(slot.and_then(Option::take));
        self.lan.remove(&nic)
    }

    /// Gives a node its power; it starts with nothing but its images.
    ///
    /// # Errors
    /// If it has power, or a part of it can't be started.
    pub fn power_on(&mut self, number: u8) -> Result<()> {
        let slot = self.nodes.get_mut(usize::from(number).wrapping_sub(1));
        let slot = slot.with_context(|| format!("no node {number}"))?;
        ensure!(slot.is_none(), "node {number} has power");
        let name = format!("node{number}");
        let ns = Netns::new(&name)?;
        ns.sysctl("ipv4/ip_forward", "1")?;
        ns.sysctl("ipv6/conf/all/forwarding", "1")?;
        let nic = self.lan.attach(&ns, "eth0", 10 + number)?;
        let gateway = Ipv4Addr::new(10, LAN, 0, CONTROL);
        let mut routes = vec![
            format!("route add default via {gateway}"),
            format!("route add ::/0 via fd00:{LAN}::{CONTROL}"),
        ];
        for other in (1..=NODES).filter(|other| *other != number) {
            routes.extend(routes_to_pods(other));
        }
        ns.ip(&routes)?;
        self.control.ip(&routes_to_pods(number))?;
        let kubeconfig = std::fs::read_to_string(self.kubernetes.administrator()?)?;
        let group = self.groups.of(&name);
        let how = node::Start {
            ns,
            nic,
            number,
            group: &group,
            runtime: &self.runtime,
            kubeconfig: &kubeconfig,
        };
        *slot = Some(Node::start(how)?);
        Ok(())
    }

    /// Waits until a node with power is ready to run pods.
    ///
    /// # Errors
    /// With what it logged, if it doesn't get there.
    pub fn wait_ready(&mut self, number: u8) -> Result<()> {
        let slot = self.nodes.get_mut(usize::from(number).wrapping_sub(1));
        let node = slot.and_then(Option::as_mut).context("no such node")?;
        let args = [
            "get",
            "node",
            &node.name,
            "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}",
        ];
        wait_until(&format!("{} ready", node.name), DEADLINE, || {
            if let Some(status) = node.process.ended()? {
                bail!("{} ended: {status}", node.name);
            }
            let ready = self.kubernetes.kubectl(&args);
            Ok(ready.ok().filter(|r| r == "True").map(drop))
        })
        .with_context(|| node.process.log().join("\n  "))
    }

    /// Who answers on the LAN for an address: the node, if exactly one does.
    ///
    /// # Errors
    /// If several do, or one that is no node.
    pub fn owner(&self, ip: IpAddr) -> Result<Option<&Node>> {
        let owners = self.client.ask(&[ip], Duration::from_millis(300))?;
        let macs = owners.get(&ip).cloned().unwrap_or_default();
        ensure!(macs.len() < 2, "{ip} is answered for by {macs:?}");
        let Some(mac) = macs.first() else {
            return Ok(None);
        };
        let node = self.node_of(*mac);
        Ok(Some(node.with_context(|| format!("{mac} is no node's"))?))
    }

    /// The control plane's namespace.
    #[must_use]
    pub fn control(&self) -> &Netns {
        &self.control
    }
}

/// Routes to a node's pods.
fn routes_to_pods(number: u8) -> Vec<String> {
    let host = 10 + number;
    vec![
        format!(
            "route replace {} via 10.{LAN}.0.{host}",
            node::pods4(number)
        ),
        format!(
            "route replace {} via fd00:{LAN}::{host}",
            node::pods6(number)
        ),
    ]
}

/// Whether root is only root of a user namespace.
fn in_user_namespace() -> Result<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map")?;
    Ok(map.split_whitespace().ne(["0", "0", "4294967295"]))
}

/// kube-controller-manager and kube-scheduler.
fn managers(kubernetes: &Kubernetes) -> Result<[Process; 2]> {
    let kubeconfig = kubernetes.administrator()?.display().to_string();
    let start = |name: &str, more: &[String]| {
        let mut args = vec![
            format!("--kubeconfig={kubeconfig}"),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
        ];
        args.extend_from_slice(more);
        kubernetes.netns().spawn(name, &binary(name)?, &args)
    };
    let [key, authority] = kubernetes.authority_files();
    let manager = start(
        "kube-controller-manager",
        &[
            format!("--service-account-private-key-file={key}"),
            format!("--root-ca-file={authority}"),
            // Those that stand for a cloud, where routes and balancers come from.
            "--controllers=*,-node-route-controller,-service-lb-controller,\
             -cloud-node-lifecycle-controller"
                .to_owned(),
            "--node-monitor-period=1s".to_owned(),
            "--node-monitor-grace-period=12s".to_owned(),
        ],
    )?;
    Ok([manager, start("kube-scheduler", &[])?])
}

/// A router on the cluster's LAN, and a machine on another LAN behind it, which knows no other way.
#[derive(Debug)]
pub struct Beyond {
    /// The router.
    pub router: Netns,
    /// Its NIC on the cluster's LAN.
    pub nic: Nic,
    /// The machine.
    pub client: Client,
    _lan: Lan,
}

impl Cluster {
    /// Adds a router and a machine behind it; nodes with power know the way back.
    ///
    /// # Errors
    /// If there is one already.
    pub fn beyond(&self) -> Result<Beyond> {
        let lan = Lan::new("beyond", BEYOND)?;
        let router = Netns::new("router")?;
        router.sysctl("ipv4/ip_forward", "1")?;
        router.sysctl("ipv6/conf/all/forwarding", "1")?;
        // Each connection by a way of its own.
        router.sysctl("ipv4/fib_multipath_hash_policy", "1")?;
        router.sysctl("ipv6/fib_multipath_hash_policy", "1")?;
        let nic = self.lan.attach(&router, "eth0", ROUTER)?;
        let inner = lan.attach(&router, "eth1", CONTROL)?;
        let ns = Netns::new("beyond")?;
        let client = Client::new(ns.clone(), lan.attach(&ns, "eth0", CLIENT)?);
        ns.ip(&[
            format!("route add default via {}", inner.ipv4),
            format!("route add ::/0 via {}", inner.ipv6),
        ])?;
        for node in self.nodes() {
            node.ns.ip(&[
                format!("route replace 10.{BEYOND}.0.0/24 via {}", nic.ipv4),
                format!("route replace fd00:{BEYOND}::/64 via {}", nic.ipv6),
            ])?;
        }
        Ok(Beyond {
            router,
            nic,
            client,
            _lan: lan,
        })
    }
}
