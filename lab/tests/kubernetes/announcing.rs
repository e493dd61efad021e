//! Controller and speakers together: what is on the LAN is what the API server says.

use crate::objects::{self, NAMESPACE, custom, endpoints, service};
use crate::setup::{self, DEADLINE, addresses, wait};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use corten_lab::kubernetes::{Client, Kind, Kubernetes, Relay};
use corten_lab::manifests::state_directory;
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::site::WINDOW;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::{Node, Plan, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use tempfile::TempDir;

pub(crate) const TRIALS: &[Trial] = &[
    ("every_address_has_one_owner", every_address_has_one_owner),
    (
        "a_killed_speaker_is_replaced_at_once",
        a_killed_speaker_is_replaced_at_once,
    ),
    (
        "announcements_outlive_the_api_server",
        announcements_outlive_the_api_server,
    ),
];

/// A world whose nodes are a cluster's.
pub(crate) struct Site {
    world: World,
    cluster: Kubernetes,
    controller: Process,
    speakers: Vec<Process>,
    _relays: Vec<Relay>,
    _key: TempDir,
}

/// Whether the speakers watch each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Off,
    On,
}

/// The name of a speaker's pod.
fn pod_on(node: &Node) -> String {
    format!("speaker-{}", node.name)
}

impl Site {
    /// One with Services `web1` … of one pool, announced from somewhere.
    pub(crate) fn with_services(count: usize, membership: Membership) -> Result<Self> {
        let world = World::build(&Plan::default())?;
        let cluster = setup::cluster()?;
        let client = cluster.client();
        for node in &world.nodes {
            client.apply(&objects::node(&node.name))?;
            let ips = node
                .nics
                .iter()
                .flat_map(|nic| [nic.ipv4.to_string(), nic.ipv6.to_string()]);
            let ips: Vec<Value> = ips
                .map(|ip| json!({"type": "InternalIP", "address": ip}))
                .collect();
            client.patch_status(
                Kind::Node,
                "",
                &node.name,
                json!({"status": {"addresses": ips}}),
            )?;
        }
        let pool = "addresses: [192.0.2.0/24, \"2001:db8:1::/64\"]";
        client.apply(&custom("IPAddressPool", "pool", pool))?;
        client.apply(&custom("L2Advertisement", "everything", ""))?;
        client.apply(&objects::pod("controller", "controller"))?;
        client.apply(&objects::deployment("controller"))?;
        let controller = controller(&cluster)?;
        let mut site = Self {
            world,
            cluster,
            controller,
            speakers: Vec::new(),
            _relays: Vec::new(),
            _key: state_directory("key")?,
        };
        let key = site.key()?;
        std::fs::write(site._key.path().join("secretkey"), key)?;
        for i in 1..=count {
            site.add(&format!("web{i}"), ", ipFamilyPolicy: PreferDualStack")?;
        }
        for node in &site.world.nodes {
            site._relays.push(site.cluster.relay_to(&node.ns)?);
            site.client()
                .apply(&objects::pod(&pod_on(node), "speaker"))?;
            site.speakers.push(site.speaker(node, membership)?);
        }
        Ok(site)
    }

    /// Ends all components and the API server, and starts them anew, the server with these flags
    /// more. None asks while it starts: it refuses what it hasn't read the roles of yet.
    pub(crate) fn restart(&mut self, flags: &[&str]) -> Result<()> {
        self.controller.kill()?;
        for speaker in &mut self.speakers {
            speaker.kill()?;
        }
        self.cluster.restart_server(flags)?;
        self.controller = controller(&self.cluster)?;
        for i in 0..self.speakers.len() {
            self.speakers[i] = self.speaker(&self.world.nodes[i], Membership::On)?;
        }
        Ok(())
    }

    /// Starts the speaker of a node.
    fn speaker(&self, node: &Node, membership: Membership) -> Result<Process> {
        let pod = pod_on(node);
        let mut flags = vec![
            format!("--node-name={}", node.name),
            format!("--pod-name={pod}"),
        ];
        if membership == Membership::On {
            flags.extend(self.member(node, &pod)?);
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        setup::start(&self.cluster, &node.ns, "speaker", &flags)
    }

    /// Kills a node's speaker and starts it again in the same pod, without membership; ends when
    /// it is ready.
    pub(crate) fn restart_speaker(&mut self, node: &str) -> Result<()> {
        let index = self.world.nodes.iter().position(|n| n.name == node);
        let index = index.context("no such node")?;
        self.speakers[index].kill()?;
        self.speakers[index] = self.speaker(&self.world.nodes[index], Membership::Off)?;
        let speaker = &mut self.speakers[index];
        wait_until("a ready speaker", DEADLINE, || {
            let ready = speaker.log().iter().any(|l| l.contains("\"ready\""));
            Ok(ready.then_some(()))
        })
        .with_context(|| speaker.log().join("\n  "))
    }

    /// The key the controller made for the speakers.
    fn key(&mut self) -> Result<Vec<u8>> {
        let client = self.cluster.client();
        let secret = wait(&mut self.controller, "the speakers' key", || {
            client.get(Kind::Secret, NAMESPACE, "memberlist")
        })?;
        let owner = &secret["metadata"]["ownerReferences"][0];
        ensure!(
            owner["kind"] == "Deployment" && owner["name"] == "controller",
            "{secret}"
        );
        let text = secret["data"]["secretkey"].as_str().context("no key")?;
        let key = STANDARD.decode(text)?;
        ensure!(key.len() == 22, "{key:?}");
        Ok(key)
    }

    /// Gives a speaker's pod its address, as the kubelet does; the flags that make it a member.
    fn member(&self, node: &Node, pod: &str) -> Result<Vec<String>> {
        let nic = node.nics.first().context("a NIC")?;
        let status = json!({"status": {"phase": "Running", "podIP": nic.ipv4.to_string(),
            "podIPs": [{"ip": nic.ipv4.to_string()}]}});
        self.client()
            .patch_status(Kind::Pod, NAMESPACE, pod, status)?;
        Ok(vec![
            format!("--ml-bindaddr={}", nic.ipv4),
            "--ml-labels=app=metallb,component=speaker".to_owned(),
            format!("--ml-secret-key-path={}", self._key.path().display()),
        ])
    }

    /// A Service with an endpoint on every node.
    fn add(&self, name: &str, more: &str) -> Result<()> {
        let nodes: Vec<&str> = self.world.nodes.iter().map(|n| n.name.as_str()).collect();
        let client = self.cluster.client();
        client.apply(&(service(name, "", more) + &endpoints(name, &nodes)))
    }

    /// The same with annotations.
    pub(crate) fn add_annotated(&self, name: &str, annotations: &str) -> Result<()> {
        let nodes: Vec<&str> = self.world.nodes.iter().map(|n| n.name.as_str()).collect();
        let client = self.cluster.client();
        client.apply(&(service(name, annotations, "") + &endpoints(name, &nodes)))
    }

    /// The administrator's client.
    pub(crate) fn client(&self) -> &Client {
        self.cluster.client()
    }

    /// The nodes, their LANs and clients.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The components and the namespaces they are in.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&Process, &Netns)> {
        let nodes = self.world.nodes.iter().map(|node| &node.ns);
        let speakers = self.speakers.iter().zip(nodes);
        speakers.chain([(&self.controller, self.cluster.netns())])
    }

    /// The cluster, to be disturbed.
    pub(crate) fn cluster_mut(&mut self) -> &mut Kubernetes {
        &mut self.cluster
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Kubernetes {
        &self.cluster
    }

    /// Takes a node back into load balancing.
    pub(crate) fn undrain(&self, node: &str) -> Result<()> {
        let label = "node.kubernetes.io/exclude-from-external-load-balancers";
        let labels = json!({"metadata": {"labels": {label: null}}});
        self.client().patch(Kind::Node, "", node, labels)
    }

    /// Takes a node out of load balancing.
    pub(crate) fn drain(&self, node: &str) -> Result<()> {
        let label = "node.kubernetes.io/exclude-from-external-load-balancers";
        let labels = json!({"metadata": {"labels": {label: ""}}});
        self.client().patch(Kind::Node, "", node, labels)
    }

    /// Waits until every Service has an address; gives those of each.
    pub(crate) fn wait_assigned(&mut self, count: usize) -> Result<BTreeMap<String, Vec<IpAddr>>> {
        let client = self.cluster.client();
        wait(&mut self.controller, "an address for every Service", || {
            let mut all = BTreeMap::new();
            for service in client.list(Kind::Service, "default")? {
                let name = service["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let ips: Vec<IpAddr> = addresses(&service)
                    .iter()
                    .map(|ip| ip.parse())
                    .collect::<Result<_, _>>()?;
                if !ips.is_empty() {
                    all.insert(name, ips);
                }
            }
            Ok((all.len() == count).then_some(all))
        })
    }

    /// Waits until all speakers know each other: until then the death of one says nothing to the
    /// others, and addresses move as one after the other is seen.
    fn wait_members(&self) -> Result<()> {
        for speaker in &self.speakers {
            wait_until("the other members", DEADLINE, || {
                let log = speaker.log();
                let alive = log.iter().filter(|l| l.contains("member is alive"));
                Ok((alive.count() + 1 >= self.speakers.len()).then_some(()))
            })
            .with_context(|| self.story())?;
        }
        Ok(())
    }

    /// Waits until each address is answered for by one node, the same on every LAN; gives the
    /// nodes' names.
    pub(crate) fn wait_owned(&self, ips: &[IpAddr]) -> Result<BTreeMap<IpAddr, String>> {
        wait_until("one owner of every address", DEADLINE, || {
            let mut owners = BTreeMap::new();
            for lan in 0..self.world.lans.len() {
                let answers = self.world.client(lan)?.ask(ips, WINDOW)?;
                for ip in ips {
                    let Ok(owner) = self.world.owner(&answers, *ip) else {
                        return Ok(None);
                    };
                    let before = owners.insert(*ip, owner.name.clone());
                    if before.is_some_and(|before| before != owner.name) {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(owners))
        })
        .with_context(|| self.story())
    }

    pub(crate) fn story(&self) -> String {
        let mut text = String::new();
        for process in self.speakers.iter().chain([&self.controller]) {
            text.push_str(&format!(
                "{} logged:\n  {}\n",
                process.label(),
                process.log().join("\n  ")
            ));
        }
        text
    }
}

/// Membership is on, found by the pods' labels: a dead node's addresses go to others, and nobody
/// else's move. What the API server says of the node hasn't changed.
fn a_killed_speaker_is_replaced_at_once() -> Result<()> {
    const COUNT: usize = 6;
    let mut site = Site::with_services(COUNT, Membership::On)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    site.wait_members()?;
    let owners = site.wait_owned(&ips)?;
    let dead = &owners[&ips[0]];
    let index = site.world.nodes.iter().position(|n| n.name == *dead);
    let index = index.context("an owner that is no node")?;
    site.speakers[index].kill()?;
    let moved = wait_until("other owners", DEADLINE, || {
        let now = site.wait_owned(&ips)?;
        Ok(now.values().all(|node| node != dead).then_some(now))
    })?;
    for (ip, node) in &owners {
        ensure!(
            node == dead || moved[ip] == *node,
            "{ip} moved without cause"
        );
    }
    Ok(())
}

fn every_address_has_one_owner() -> Result<()> {
    const COUNT: usize = 9;
    let mut site = Site::with_services(COUNT, Membership::Off)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    let owners = site.wait_owned(&ips)?;
    let nodes: std::collections::BTreeSet<_> = owners.values().collect();
    ensure!(nodes.len() == 3, "the load is spread: {owners:?}");
    for ip in &ips {
        site.world.client(0)?.get(*ip, DEADLINE)?;
    }
    // The speakers say so.
    let client = site.cluster.client();
    for (name, ips) in &assigned {
        let node = &owners[&ips[0]];
        let said = format!("announcing from node \"{node}\" with protocol \"layer2\"");
        let speaker = &mut site.speakers[0];
        wait(speaker, "the event nodeAssigned", || {
            let events = client.list(Kind::Event, "default")?;
            let found = events.iter().find(|e| {
                e["reason"] == "nodeAssigned"
                    && e["involvedObject"]["name"] == **name
                    && e["message"] == *said
            });
            Ok(found.cloned())
        })?;
    }
    // A drained node gives its addresses away, all of them and nobody else any.
    let drained = &owners[&ips[0]];
    site.drain(drained)?;
    let moved = wait_until("other owners", DEADLINE, || {
        let now = site.wait_owned(&ips)?;
        Ok(now.values().all(|node| node != drained).then_some(now))
    })?;
    for (ip, node) in &owners {
        ensure!(
            node == drained || moved[ip] == *node,
            "{ip} moved without cause"
        );
    }
    Ok(())
}

fn announcements_outlive_the_api_server() -> Result<()> {
    const COUNT: usize = 4;
    let mut site = Site::with_services(COUNT, Membership::On)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    site.wait_members()?;
    let owners = site.wait_owned(&ips)?;
    site.cluster.kill_server()?;
    // Each watch has failed and been tried again by then: the log says so once a kind.
    for speaker in &mut site.speakers {
        let troubles = |log: Vec<String>| {
            log.iter()
                .filter(|l| l.contains("can't be watched now"))
                .count()
        };
        wait_until("speakers that notice", DEADLINE, || {
            Ok((troubles(speaker.log()) >= 10).then_some(()))
        })?;
    }
    ensure!(
        site.wait_owned(&ips)? == owners,
        "nothing moves without the API server"
    );
    site.cluster.start_server()?;
    site.add("late", "")?;
    let assigned = site.wait_assigned(COUNT + 1)?;
    site.wait_owned(&assigned["late"])?;
    ensure!(
        site.wait_owned(&ips)? == owners,
        "nothing moves when it is back"
    );
    for (name, old) in &assigned {
        ensure!(
            name == "late" || old.iter().all(|ip| ips.contains(ip)),
            "{name} got another address"
        );
    }
    ensure!(
        site.cluster
            .client()
            .list(Kind::IPAddressPool, NAMESPACE)?
            .len()
            == 1
    );
    Ok(())
}

fn controller(cluster: &Kubernetes) -> Result<Process> {
    let flags = [
        "--pod-name=controller",
        "--deployment=controller",
        "--ml-secret-name=memberlist",
    ];
    setup::start(cluster, cluster.netns(), "controller", &flags)
}
