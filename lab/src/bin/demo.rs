//! `make demo`: three nodes, two LANs and a dozen Services, on this machine and gone afterwards.
//!
//! Every step states what it expects, and the demo fails if that doesn't hold. Ctrl-C ends it at
//! any point: everything it made lives in namespaces that end with it.

use anyhow::{Context, Result, ensure};
use corten_lab::frame::Mac;
use corten_lab::manifests::{Stack, examples};
use corten_lab::probe::Tally;
use corten_lab::site::{self, Site, WINDOW};
use corten_lab::sniff::Sniffer;
use corten_lab::stage;
use corten_lab::teller::Teller;
use corten_lab::wait::wait_until;
use corten_lab::world::{Owners, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The Service that asks for an address no pool has, and that address.
const REFUSED: (&str, &str) = ("office/printer", "203.0.113.9");
/// The Service whose address a stranger uses, and that address.
const LEGACY: (&str, &str) = ("default/legacy", "192.0.2.58");
/// The node that alone has endpoints of a Local Service: draining it would take that one down.
const LOCAL: &str = "node2";
/// What the pool `internal` is announced as: on the second LAN only.
const INTERNAL: &str = "198.51.100.";
const DEADLINE: Duration = Duration::from_secs(20);

const PICTURE: &str = "\
client ── LAN red  ─┬─ eth0 ┐
                    │       ├ node1  node2  node3 ── pods, a real HTTP server
client ── LAN blue ─┴─ eth1 ┘   (corten run on each)";

fn main() -> ExitCode {
    match stage::enter().and_then(|()| Demo::new()?.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("\nthe demo failed: {e:#}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    tell: Teller,
    site: Site,
    sniffers: Vec<Sniffer>,
    drained: Vec<Mac>,
    requests: Tally,
}

impl Demo {
    fn new() -> Result<Self> {
        let mut tell = Teller::new();
        println!("Corten: LoadBalancer Services on bare metal, here without Kubernetes.");
        tell.step("Three nodes on two LANs, in network namespaces of this machine");
        let start = Instant::now();
        let mut plan = Plan::default();
        plan.prefixes.push("203.0.113.0/28".to_owned());
        let site = Site::with_examples(&plan)?;
        for line in PICTURE.lines() {
            tell.say(line);
        }
        tell.good(format!("built in {} ms", start.elapsed().as_millis()));
        tell.pause(Duration::from_secs(4));
        Ok(Self {
            tell,
            sniffers: site.sniff()?,
            site,
            drained: Vec::new(),
            requests: Tally::default(),
        })
    }

    fn run(mut self) -> Result<()> {
        self.all_start()?;
        self.everyone_is_reached()?;
        self.one_is_refused()?;
        self.a_stranger_has_an_address()?;
        self.a_node_is_drained()?;
        self.a_pool_is_edited()?;
        self.the_end()
    }

    fn all_start(&mut self) -> Result<()> {
        self.tell
            .step("`corten run` on each node, all on one directory of YAML manifests");
        let mut files: Vec<String> = std::fs::read_dir(examples())?
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        files.sort();
        self.tell
            .say(format!("examples/standalone/: {}", files.join(" ")));
        let start = Instant::now();
        self.site.start(&[])?;
        let addresses = self.wait_allocated(&BTreeSet::from([REFUSED.0]))?;
        for lan in 0..self.site.world.lans.len() {
            let here = on_lan(lan, &addresses);
            self.site
                .wait_owners(lan, &here, |o| o.values().all(|macs| !macs.is_empty()))?;
        }
        self.tell.good(format!(
            "{} addresses given and answered for, {} ms after the first process began",
            addresses.len(),
            start.elapsed().as_millis()
        ));
        self.tell.pause(Duration::from_secs(3));
        Ok(())
    }

    /// A client on each LAN fetches a page from each address; the ARP and NDP answers show by
    /// which node.
    fn everyone_is_reached(&mut self) -> Result<()> {
        self.tell
            .step("A client on each LAN: curl every address. Who answers?");
        let names = self.names()?;
        let addresses: Vec<IpAddr> = names.keys().copied().collect();
        for (ip, name) in &names {
            self.site.world.name(*ip, name);
        }
        let owners = self.owners(&addresses)?;
        let mut rows = vec![row([
            "ADDRESS",
            "THE SERVER SAYS",
            "ON LAN red",
            "ON LAN blue",
        ])];
        for ip in &addresses {
            let mut said = String::new();
            let mut seen = Vec::new();
            for (lan, owners) in owners.iter().enumerate() {
                let Some(body) = self.fetch(lan, owners, *ip)? else {
                    seen.push("nobody".to_owned());
                    continue;
                };
                said = body;
                let node = self.site.world.owner(owners, *ip)?;
                let macs = owners.get(ip).into_iter().flatten();
                let mac = macs.map(ToString::to_string).collect::<String>();
                seen.push(format!("{mac} {}", node.name));
            }
            rows.push([vec![ip.to_string(), said], seen].concat());
        }
        self.tell.table(&rows);
        self.tell
            .good("one node answers for each address, by ARP and by NDP");
        self.tell
            .good("pool internal is announced on eth1 only: LAN red can't reach it");
        self.tell.pause(Duration::from_secs(9));
        Ok(())
    }

    /// The page at an address, or `None` if nobody on the LAN answers for it and nobody should.
    fn fetch(&self, lan: usize, owners: &Owners, ip: IpAddr) -> Result<Option<String>> {
        let client = self.site.world.client(lan)?;
        if on_lan(lan, &[ip]).is_empty() {
            let macs = owners.get(&ip).map_or(0, BTreeSet::len);
            ensure!(
                macs == 0,
                "{ip} is answered for on a LAN it isn't announced on"
            );
            return Ok(None);
        }
        let body = client.get(ip, DEADLINE)?;
        let owner = self.site.world.owner(owners, ip)?;
        let used = client.neighbour(ip)?.context("no neighbour entry")?;
        let by = self.site.world.node_of(used).map(|n| n.name.as_str());
        ensure!(
            by == Some(&owner.name),
            "{ip}: asked {}, went by {by:?}",
            owner.name
        );
        let said = body.strip_prefix(&format!("{ip} ")).map(str::trim);
        Ok(Some(
            said.context("the page of another address")?.to_owned(),
        ))
    }

    fn one_is_refused(&mut self) -> Result<()> {
        self.tell
            .step("One Service asks for an address no pool has. It is refused, and told why");
        let text = self.explain(REFUSED.0)?;
        self.tell
            .command(&format!("corten explain {}", REFUSED.0), &text);
        ensure!(text.contains(REFUSED.1), "the reason names the address");
        self.tell.pause(Duration::from_secs(7));
        Ok(())
    }

    fn a_stranger_has_an_address(&mut self) -> Result<()> {
        self.tell
            .step("A printer someone set up years ago already uses a Service's address");
        let (service, ip): (_, IpAddr) = (LEGACY.0, LEGACY.1.parse()?);
        let (stranger, nic) = self.site.world.stranger(0, 201, &[LEGACY.1])?;
        self.tell
            .say(format!("{} on LAN red answers for {ip}", nic.mac));
        let annotations = [("metallb.io/loadBalancerIPs", LEGACY.1)];
        self.site.write_service("legacy", Stack::V4, &annotations)?;
        let wanted = nic.mac.to_string();
        let by = wait_until("a report of the conflict", DEADLINE, || {
            Ok(self.site.instances.iter().find_map(|i| {
                let conflicts = i.status().ok()?.conflicts;
                let found = conflicts.iter().any(|c| c.ip == ip && c.mac == wanted);
                found.then(|| i.node.clone())
            }))
        })
        .with_context(|| self.site.story())?;
        let text = self.site.instance(&by)?.explain(service)?;
        self.tell
            .command(&format!("corten explain {service}    # on {by}"), &text);
        ensure!(text.contains(&wanted), "explain names the stranger's MAC");
        self.tell
            .good("reported with MAC and interface; everyone else's traffic goes on");
        self.site.world.lan(0)?.remove(&nic)?;
        drop(stranger);
        self.site.manifests.remove("legacy.yaml")?;
        self.site
            .allocator()?
            .wait_status("its Service gone", |s| {
                let gone = s.services.iter().all(|s| s.service != service);
                gone.then_some(())
            })?;
        self.tell
            .say("(the stranger is unplugged, the Service deleted)");
        self.tell.pause(Duration::from_secs(7));
        Ok(())
    }

    fn a_node_is_drained(&mut self) -> Result<()> {
        let names = self.names()?;
        let addresses: Vec<IpAddr> = names.keys().copied().collect();
        let node = self.busiest(&addresses)?;
        self.tell
            .step(&format!("{node} is drained while clients keep asking"));
        let world = &self.site.world;
        let nics = world.nodes.iter().filter(|n| n.name == node);
        self.drained = nics.flat_map(|n| n.nics.iter().map(|n| n.mac)).collect();
        let probers: Vec<_> = world
            .clients
            .iter()
            .zip(0..)
            .map(|(c, lan)| c.probe(&on_lan(lan, &addresses), Duration::from_millis(2)))
            .collect();
        self.tell.say(format!(
            "label {node}: node.kubernetes.io/exclude-from-external-load-balancers"
        ));
        let start = Instant::now();
        self.site.drain(&node)?;
        for lan in 0..self.site.world.lans.len() {
            let here = on_lan(lan, &addresses);
            self.site.wait_owners(lan, &here, |owners| {
                owners
                    .values()
                    .all(|macs| macs.len() == 1 && macs.iter().all(|m| !self.drained.contains(m)))
            })?;
        }
        let took = start.elapsed().as_millis();
        for prober in probers {
            self.requests.add(prober.stop()?);
        }
        let Tally {
            sent,
            lost,
            slow,
            slowest,
        } = &self.requests;
        ensure!(
            lost.is_empty() && slow.is_empty(),
            "{} of {sent} requests lost, slow: {slow:?}, lost: {lost:?}\n{}",
            lost.len(),
            self.site.story()
        );
        self.tell.good(format!(
            "every address moved to another node and {node} fell silent, all within {took} ms"
        ));
        self.tell.good(format!(
            "{sent} requests, each on its own connection: 0 lost, the slowest took {} ms",
            slowest.as_millis()
        ));
        self.tell.pause(Duration::from_secs(6));
        Ok(())
    }

    fn a_pool_is_edited(&mut self) -> Result<()> {
        self.tell
            .step("The pool is widened: the refused Service gets its address");
        let ip: IpAddr = REFUSED.1.parse()?;
        let entry = "    - 192.0.2.10-192.0.2.59\n";
        self.tell.say("pools.yaml: + 203.0.113.0/28");
        let start = Instant::now();
        self.site.manifests.edit(
            "pools.yaml",
            entry,
            &format!("{entry}    - 203.0.113.0/28\n"),
        )?;
        let client = self.site.world.client(0)?;
        let socket = client.socket()?;
        wait_until("an answer for the new address", DEADLINE, || {
            client.time_answer(&socket, ip, Duration::from_millis(1))
        })
        .with_context(|| self.site.story())?;
        let took = start.elapsed().as_millis();
        self.site.world.name(ip, REFUSED.0);
        let body = client.get(ip, DEADLINE)?;
        self.tell
            .command(&format!("curl http://{ip}/"), body.trim_end());
        self.tell.good(format!(
            "given, announced and answered for, {took} ms after the file was saved"
        ));
        self.tell.pause(Duration::from_secs(4));
        Ok(())
    }

    fn the_end(mut self) -> Result<()> {
        self.tell.step("What there is now");
        let status = self.site.allocator()?.status()?;
        let mut rows = vec![row(["SERVICE", "POOL", "ADDRESSES", "ANNOUNCED BY"])];
        for s in &status.services {
            let addresses: Vec<String> = s.addresses.iter().map(ToString::to_string).collect();
            rows.push(vec![
                s.service.clone(),
                s.pool.clone().unwrap_or_default(),
                addresses.join(", "),
                s.winner.clone().unwrap_or_default(),
            ]);
        }
        self.tell.table(&rows);
        let addresses: Vec<IpAddr> = self.names()?.into_keys().collect();
        let moves = site::only_from(&self.sniffers, &addresses, &self.drained)?;
        let overlap = moves.iter().map(|h| h.overlap).max().unwrap_or_default();
        self.tell.good(format!(
            "{} hand-overs seen on the wire, all by the drain; old and new owner overlapped {} ms \
             at most; otherwise never two MACs for one address",
            moves.len(),
            overlap.as_millis()
        ));
        for instance in &mut self.site.instances {
            let status = instance.stop()?;
            ensure!(
                status.success(),
                "{}: {status}\n{}",
                instance.node,
                instance.story()
            );
        }
        self.tell
            .good("all three left on SIGTERM with exit code 0; nothing is left behind");
        Ok(())
    }

    /// Waits until every Service but `without` has an address; gives them all.
    fn wait_allocated(&mut self, without: &BTreeSet<&str>) -> Result<Vec<IpAddr>> {
        self.site
            .allocator()?
            .wait_status("an address for every Service", |s| {
                let all = site::addresses(&s);
                let complete = !all.is_empty()
                    && all
                        .iter()
                        .all(|(name, a)| without.contains(name.as_str()) == a.is_empty());
                complete.then(|| all.into_values().flatten().collect())
            })
    }

    /// The Services of each address.
    fn names(&self) -> Result<BTreeMap<IpAddr, String>> {
        let mut names: BTreeMap<IpAddr, String> = BTreeMap::new();
        for (service, addresses) in self.site.allocations()? {
            for ip in addresses {
                let name = names.entry(ip).or_default();
                if !name.is_empty() {
                    name.push_str(" + ");
                }
                name.push_str(&service);
            }
        }
        Ok(names)
    }

    /// Who answers on each LAN.
    fn owners(&self, addresses: &[IpAddr]) -> Result<Vec<Owners>> {
        let clients = self.site.world.clients.iter();
        clients.map(|c| c.ask(addresses, WINDOW)).collect()
    }

    /// The node with most addresses, among those whose drain takes no Service down.
    fn busiest(&self, addresses: &[IpAddr]) -> Result<String> {
        let lan = self.site.world.lans.len().saturating_sub(1);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for node in self.site.owners(lan, addresses)?.into_values() {
            *counts.entry(&node.name).or_default() += 1;
        }
        counts.remove(LOCAL);
        let busiest = counts.into_iter().max_by_key(|(_, n)| *n);
        Ok(busiest.context("nobody owns anything")?.0.to_owned())
    }

    fn explain(&mut self, service: &str) -> Result<String> {
        let allocator = self.site.allocator()?;
        let text = allocator.explain(service);
        text.with_context(|| allocator.story())
    }
}

/// The addresses announced on a LAN.
fn on_lan(lan: usize, addresses: &[IpAddr]) -> Vec<IpAddr> {
    let all = addresses.iter();
    all.filter(|ip| lan > 0 || !ip.to_string().starts_with(INTERNAL))
        .copied()
        .collect()
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}
