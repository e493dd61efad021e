//! A world with Corten on every node: what most scenarios start from.

use crate::corten::{Corten, Status};
use crate::frame::Mac;
use crate::manifests::{self, Manifests, Stack};
use crate::sniff::{HandOver, Sniffer};
use crate::wait::wait_until;
use crate::world::{Node, Owners, Plan, World};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long answers are collected; on an idle link they take microseconds.
pub const WINDOW: Duration = Duration::from_millis(300);
/// How long an old owner may go on answering after it hears the new one.
pub const HAND_OVER: Duration = Duration::from_secs(1);
/// When to give up.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// File of the node manifests.
pub const NODES: &str = "nodes.yaml";
/// What a drain adds to a Node's metadata.
const EXCLUDE: &str = "  labels: {node.kubernetes.io/exclude-from-external-load-balancers: \"\"}\n";

/// World, manifests and one instance a node, the first of them the allocator.
#[derive(Debug)]
pub struct Site {
    /// The world.
    pub world: World,
    /// The directory all instances share.
    pub manifests: Manifests,
    /// The instances, in the nodes' order.
    pub instances: Vec<Corten>,
}

impl Site {
    /// Builds the world and fills the directory with the nodes' manifests; nothing runs yet.
    ///
    /// # Errors
    /// As those of [`World::build`].
    pub fn new(plan: &Plan) -> Result<Self> {
        let site = Self::empty(plan)?;
        let nodes: String = site.world.nodes.iter().map(manifests::node).collect();
        site.manifests.write(NODES, &nodes)?;
        Ok(site)
    }

    /// Builds the world and fills the directory with the examples; nothing runs yet.
    ///
    /// # Errors
    /// As those of [`World::build`].
    pub fn with_examples(plan: &Plan) -> Result<Self> {
        let site = Self::empty(plan)?;
        site.manifests.take(&manifests::examples())?;
        Ok(site)
    }

    fn empty(plan: &Plan) -> Result<Self> {
        Ok(Self {
            world: World::build(plan)?,
            manifests: Manifests::new()?,
            instances: Vec::new(),
        })
    }

    /// One with a pool of both families, an advertisement of everything, and `count` Services
    /// of changing families named `default/web1` …, announced.
    ///
    /// # Errors
    /// If they don't get announced.
    pub fn with_services(count: usize) -> Result<Self> {
        let mut site = Self::new(&Plan::default())?;
        site.manifests.write("config.yaml", &basics())?;
        let stacks = [Stack::V4, Stack::V6, Stack::Dual];
        for (i, stack) in (1..=count).zip(stacks.into_iter().cycle()) {
            site.write_service(&format!("web{i}"), stack, &[])?;
        }
        site.start(&[])?;
        site.wait_announced()?;
        Ok(site)
    }

    /// Writes a Service with an endpoint on every node into a file of its own.
    ///
    /// # Errors
    /// If the directory can't be written.
    pub fn write_service(
        &self,
        name: &str,
        stack: Stack,
        annotations: &[(&str, &str)],
    ) -> Result<()> {
        let nodes: Vec<&str> = self.world.nodes.iter().map(|n| n.name.as_str()).collect();
        let text = manifests::service(name, stack, annotations, &nodes);
        self.manifests.write(&format!("{name}.yaml"), &text)
    }

    /// Starts an instance on every node, all with these further flags, and waits until each is
    /// ready.
    ///
    /// # Errors
    /// With its log, if one isn't.
    pub fn start(&mut self, options: &[&str]) -> Result<()> {
        self.start_each(|_| options.iter().map(ToString::to_string).collect())
    }

    /// The same, with further flags of each node's own.
    ///
    /// # Errors
    /// With its log, if one isn't ready.
    pub fn start_each(&mut self, options: impl Fn(&Node) -> Vec<String>) -> Result<()> {
        for (node, i) in self.world.nodes.iter().zip(0..) {
            let mut all = options(node);
            if i == 0 {
                all.push("--allocate".to_owned());
            }
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let instance = Corten::start(node, self.manifests.path(), &all)?;
            self.instances.push(instance);
        }
        for instance in &mut self.instances {
            instance.wait_ready()?;
        }
        Ok(())
    }

    /// Starts an instance on every node as a member that joins all others.
    ///
    /// # Errors
    /// With its log, if one isn't ready.
    pub fn start_members(&mut self) -> Result<()> {
        let all = member_addresses(&self.world);
        self.start_each(|node| member_flags(node, &all))
    }

    /// The allocator.
    ///
    /// # Errors
    /// Before [`Site::start`].
    pub fn allocator(&mut self) -> Result<&mut Corten> {
        self.instances.first_mut().context("nothing was started")
    }

    /// The instance on a node.
    ///
    /// # Errors
    /// If there is none.
    pub fn instance(&mut self, node: &str) -> Result<&mut Corten> {
        self.instances
            .iter_mut()
            .find(|i| i.node == node)
            .with_context(|| format!("no instance on {node}"))
    }

    /// Addresses by Service, as the allocator knows them.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub fn allocations(&self) -> Result<BTreeMap<String, Vec<IpAddr>>> {
        let status = self.instances.first().context("nothing was started")?;
        Ok(addresses(&status.status()?))
    }

    /// Every address, in order.
    ///
    /// # Errors
    /// If the allocator doesn't answer.
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        let all: BTreeSet<IpAddr> = self.allocations()?.into_values().flatten().collect();
        Ok(all.into_iter().collect())
    }

    /// Asks on a LAN once for every address of `addresses`; each must have exactly one owner, a
    /// node, which may take its time to answer.
    ///
    /// # Errors
    /// With the first address that hasn't.
    pub fn owners(&self, lan: usize, addresses: &[IpAddr]) -> Result<BTreeMap<IpAddr, &Node>> {
        let client = self.world.client(lan)?;
        let owners = client.ask_all(addresses, DEADLINE, WINDOW)?;
        addresses
            .iter()
            .map(|ip| Ok((*ip, self.world.owner(&owners, *ip)?)))
            .collect()
    }

    /// Waits until every Service has an address and each address an owner on every LAN.
    ///
    /// # Errors
    /// With the instances' logs, if that doesn't happen.
    pub fn wait_announced(&mut self) -> Result<()> {
        let addresses: Vec<IpAddr> =
            self.allocator()?
                .wait_status("an address for every Service", |s| {
                    let all = addresses(&s);
                    let done = !all.is_empty() && all.values().all(|a| !a.is_empty());
                    done.then(|| all.into_values().flatten().collect())
                })?;
        for lan in 0..self.world.lans.len() {
            self.wait_owners(lan, &addresses, |owners| {
                owners.values().all(|macs| !macs.is_empty())
            })?;
        }
        Ok(())
    }

    /// Waits until the answers on a LAN are as wanted.
    ///
    /// # Errors
    /// With the instances' logs, if that doesn't happen.
    pub fn wait_owners(
        &self,
        lan: usize,
        addresses: &[IpAddr],
        wanted: impl Fn(&Owners) -> bool,
    ) -> Result<Owners> {
        let client = self.world.client(lan)?;
        let window = Duration::from_millis(100);
        let mut last = Owners::new();
        wait_until("the wanted answers on the LAN", DEADLINE, || {
            last = client.ask(addresses, window)?;
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("last answers: {last:?}\n{}", self.story()))
    }

    /// Puts the exclude label on a node's manifest.
    ///
    /// # Errors
    /// If there is no such manifest.
    pub fn drain(&self, node: &str) -> Result<()> {
        let name = format!("  name: {node}\n");
        self.manifests
            .edit(NODES, &name, &format!("{name}{EXCLUDE}"))
    }

    /// Takes the label off again.
    ///
    /// # Errors
    /// If it isn't there.
    pub fn undrain(&self, node: &str) -> Result<()> {
        let name = format!("  name: {node}\n");
        self.manifests
            .edit(NODES, &format!("{name}{EXCLUDE}"), &name)
    }

    /// Waits until nothing was announced on a LAN for `quiet`.
    ///
    /// # Errors
    /// If that takes more than two minutes.
    pub fn wait_quiet(&self, lan: usize, quiet: Duration) -> Result<()> {
        let sniffer = self.world.lan(lan)?.sniff()?;
        let start = Instant::now();
        wait_until("silence on the LAN", Duration::from_secs(120), || {
            let last = sniffer.heard().last().map_or(start, |h| h.at);
            Ok((last.elapsed() >= quiet).then_some(()))
        })
    }

    /// Records every LAN.
    ///
    /// # Errors
    /// If there is no raw socket to be had.
    pub fn sniff(&self) -> Result<Vec<Sniffer>> {
        self.world
            .lans
            .iter()
            .map(crate::world::Lan::sniff)
            .collect()
    }

    /// What all instances logged.
    #[must_use]
    pub fn story(&self) -> String {
        self.instances.iter().map(Corten::story).collect()
    }
}

/// Where members gossip, of every node.
#[must_use]
pub fn member_addresses(world: &World) -> Vec<IpAddr> {
    let nics = world.nodes.iter().filter_map(|n| n.nics.first());
    nics.map(|nic| nic.ipv4.into()).collect()
}

/// Flags of a member that joins all others.
#[must_use]
pub fn member_flags(node: &Node, all: &[IpAddr]) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(nic) = node.nics.first() {
        flags.extend(["--gossip-bind".to_owned(), nic.ipv4.to_string()]);
    }
    for other in all {
        flags.extend(["--join".to_owned(), other.to_string()]);
    }
    flags
}

/// Checks that recordings show no hand-over but from `from`, and at most one an address and LAN.
///
/// # Errors
/// With the first that is otherwise.
pub fn only_from(sniffers: &[Sniffer], ours: &[IpAddr], from: &[Mac]) -> Result<Vec<HandOver>> {
    let mut all = Vec::new();
    for sniffer in sniffers {
        let mut seen = BTreeSet::new();
        for h in sniffer.hand_overs(|ip| ours.contains(&ip), HAND_OVER) {
            ensure!(
                from.contains(&h.from),
                "{} changed hands without cause: {h:?}",
                h.ip
            );
            ensure!(seen.insert(h.ip), "{} changed hands twice: {h:?}", h.ip);
            all.push(h);
        }
    }
    Ok(all)
}

/// Addresses by Service in a status.
#[must_use]
pub fn addresses(status: &Status) -> BTreeMap<String, Vec<IpAddr>> {
    status
        .services
        .iter()
        .map(|s| (s.service.clone(), s.addresses.clone()))
        .collect()
}

/// A pool of both families within the default plan's prefixes, and its advertisement.
#[must_use]
pub fn basics() -> String {
    manifests::namespace("default")
        + &manifests::pool("both", &["192.0.2.0/24", "2001:db8:1::/64"])
        + &manifests::advertisement("everything", &[], &[])
}
