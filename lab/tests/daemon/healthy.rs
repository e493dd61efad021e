//! `corten.io/health`: only hosts whose own server answers may have the address.

use crate::assigning::on_lo;
use anyhow::{Context, Result, ensure};
use corten_lab::frame::Mac;
use corten_lab::http::{Names, Server};
use corten_lab::site::{self, DEADLINE, HAND_OVER, Site};
use corten_lab::sniff::Sniffer;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::{Node, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[(
    "healthy::addresses_go_where_the_server_answers",
    addresses_go_where_the_server_answers,
)];

/// The Service as the guide has it: no EndpointSlice, its own server on every host.
const SERVICE: &str = r#"apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: default
  annotations:
    corten.io/health: '{http: {port: 80, path: /}, interval: 100ms, rise: 2, fall: 2}'
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  ports: [{port: 80}]
"#;

/// The site, what its LANs hear, and the servers that run now.
struct Checked {
    site: Site,
    addresses: Vec<IpAddr>,
    sniffers: Vec<Sniffer>,
    servers: BTreeMap<String, Server>,
}

impl Checked {
    /// With a server on every node, and an owner every node agrees on.
    fn new() -> Result<Self> {
        let mut site = Site::new(&Plan::default())?;
        let config = site::basics() + SERVICE;
        site.manifests.write("config.yaml", &config)?;
        let mut servers = BTreeMap::new();
        for node in &site.world.nodes {
            servers.insert(node.name.clone(), serve(node)?);
        }
        site.start(&["--assign"])?;
        for instance in &mut site.instances {
            let node = instance.node.clone();
            // Each node is checked by itself, and the others read of it.
            wait_until("every node's health", DEADLINE, || {
                let said = instance.explain_json("default/web")?;
                let nodes = said["nodes"].as_array().context("nodes")?;
                let ranked = nodes.iter().filter(|n| n["rank"].is_u64());
                Ok((ranked.count() == 3).then_some(()))
            })
            .with_context(|| format!("as {node} sees it\n{}", instance.story()))?;
        }
        site.wait_announced()?;
        let checked = Self {
            addresses: site.addresses()?,
            sniffers: site.sniff()?,
            site,
            servers,
        };
        ensure!(checked.addresses.len() == 2, "{:?}", checked.addresses);
        // Whoever was healthy first had the addresses until now, and hands them over.
        let status = checked.site.instances.first().context("none")?.status()?;
        let service = status.services.first().context("no Service")?;
        let winner = service.winner.as_deref().context("no winner")?;
        checked.wait_one_of(&BTreeSet::from([winner]))?;
        checked.sniffers.iter().for_each(Sniffer::forget);
        Ok(checked)
    }

    fn node(&self, name: &str) -> Result<&Node> {
        let mut nodes = self.site.world.nodes.iter();
        nodes.find(|n| n.name == name).context("no such node")
    }

    /// The node that has the first address.
    fn owner(&self) -> Result<String> {
        let first = *self.addresses.first().context("no address")?;
        Ok(self.site.owners(0, &[first])?[&first].name.clone())
    }

    /// Waits until one of these nodes, and no other, answers for each address on every LAN.
    fn wait_one_of(&self, names: &BTreeSet<&str>) -> Result<()> {
        let fits = |mac: &Mac| {
            let node = self.site.world.node_of(*mac);
            node.is_some_and(|n| names.contains(n.name.as_str()))
        };
        for lan in 0..self.site.world.lans.len() {
            self.site.wait_owners(lan, &self.addresses, |o| {
                o.values().all(|m| m.len() == 1 && m.iter().all(fits))
            })?;
        }
        Ok(())
    }

    /// Checks that since the last time addresses changed hands only from these nodes, each once,
    /// and that a page comes from the node that has the address, or from nobody.
    fn check(&self, from: &[&str]) -> Result<()> {
        let mut macs = Vec::new();
        for name in from {
            macs.extend(self.node(name)?.nics.iter().map(|n| n.mac));
        }
        for h in site::only_from(&self.sniffers, &self.addresses, &macs)? {
            ensure!(h.overlap <= HAND_OVER, "{h:?}");
        }
        for ip in &self.addresses {
            let owner = &self.site.owners(0, &[*ip])?[ip].name;
            let page = self.site.world.client(0)?.get(*ip, DEADLINE)?;
            ensure!(
                page == format!("{ip} {owner}\n"),
                "{owner} has it: {page:?}"
            );
        }
        self.sniffers.iter().for_each(Sniffer::forget);
        Ok(())
    }

    fn wait_silence(&self) -> Result<()> {
        for lan in 0..self.site.world.lans.len() {
            self.site
                .wait_owners(lan, &self.addresses, |o| o.values().all(BTreeSet::is_empty))?;
        }
        for node in &self.site.world.nodes {
            wait_until("an empty lo", DEADLINE, || {
                Ok(on_lo(&node.ns)?.is_empty().then_some(()))
            })?;
        }
        Ok(())
    }
}

/// A server that says whose it is, at whatever address it is asked.
fn serve(node: &Node) -> Result<Server> {
    let names = Names::default();
    let mut known = names.lock().map_err(|e| anyhow::anyhow!("{e}"))?;
    for ip in ["192.0.2.0", "2001:db8:1::"] {
        known.insert(crate::ip(ip)?, node.name.clone());
    }
    drop(known);
    Server::start(&node.ns, 80, &names)
}

fn addresses_go_where_the_server_answers() -> Result<()> {
    let mut checked = Checked::new()?;
    let all: BTreeSet<String> = checked.servers.keys().cloned().collect();
    let first = checked.owner()?;
    let others: BTreeSet<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|n| *n != first)
        .collect();

    // One owner has the addresses of both families.
    checked.servers.remove(&first);
    checked.wait_one_of(&others)?;
    checked.check(&[&first])?;
    let said = checked.site.instance(&first)?.explain("default/web")?;
    let verdict = format!("{first}: doesn't announce: ");
    let why = said.lines().find(|l| l.trim_start().starts_with(&verdict));
    ensure!(why.is_some_and(|l| l.contains("endpoint")), "{said}");

    checked.servers.clear();
    checked.wait_silence()?;
    checked.sniffers.iter().for_each(Sniffer::forget);

    // One comes back and has everything; then the others, and all is as it was.
    let alone = *others.first().context("another node")?;
    let server = serve(checked.node(alone)?)?;
    checked.servers.insert(alone.to_owned(), server);
    checked.wait_one_of(&BTreeSet::from([alone]))?;
    checked.check(&[])?;
    let server = serve(checked.node(&first)?)?;
    checked.servers.insert(first.clone(), server);
    let address = *checked.addresses.first().context("an address")?;
    checked.site.wait_owners(0, &[address], |o| {
        let back = |m: &Mac| {
            checked
                .site
                .world
                .node_of(*m)
                .is_some_and(|n| n.name == first)
        };
        o.values().all(|m| m.len() == 1 && m.iter().all(back))
    })?;
    checked.wait_one_of(&BTreeSet::from([alone, &first]))?;
    checked.check(&[alone])
}
