//! Speakers of a cluster and a real router: what the API server's objects say is what it learns.

use crate::announcing::{Membership, Site};
use crate::objects::{NAMESPACE, custom, password};
use crate::setup::DEADLINE;
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::Kind;
use corten_lab::router::Bird;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const TRIALS: &[Trial] = &[(
    "a_router_learns_what_objects_say",
    a_router_learns_what_objects_say,
)];

/// Where the router listens.
const PORT: u16 = 1790;

/// BIRD on a client of the first LAN, a neighbour of every node.
struct Neighbour(Bird);

impl Neighbour {
    fn start(world: &World, password: &str) -> Result<Self> {
        let client = world.client(0)?;
        let own = client.nic.ipv4;
        let mut text = format!("router id {own};\nprotocol device {{}}\n");
        for node in &world.nodes {
            let nic = node.nics.first().context("a NIC")?;
            text.push_str(&format!(
                "protocol bgp {} {{ local {own} port {PORT} as 64513; \
                 neighbor {} as 64512; passive; password \"{password}\"; \
                 ipv4 {{ import all; export none; }}; }}\n",
                node.name, nic.ipv4
            ));
        }
        Ok(Self(Bird::start(&client.ns, "kubernetes-bird", &text)?))
    }

    /// The nodes an address is learnt from.
    fn learnt(&self, prefix: &str) -> Result<Vec<String>> {
        // Nothing learnt is an error of the command's.
        let said = self.0.says(&["show", "route", prefix]).unwrap_or_default();
        let from = |line: &str| {
            let rest = line.split_once('[')?.1;
            Some(rest.split_once(' ')?.0.to_owned())
        };
        let mut nodes: Vec<_> = said.lines().filter_map(from).collect();
        nodes.sort();
        Ok(nodes)
    }

    fn wait_learnt(&self, site: &Site, prefix: &str, wanted: &[&str]) -> Result<()> {
        let mut last = Vec::new();
        wait_until("the router's routes", DEADLINE, || {
            last = self.learnt(prefix)?;
            Ok((last == wanted).then_some(()))
        })
        .with_context(|| format!("{prefix} from {last:?}, not {wanted:?}\n{}", site.story()))
    }
}

/// Waits until just these nodes say that they tell the peer of the Service; gives the uids of what
/// they say it with.
fn wait_statuses(site: &Site, wanted: &[&str]) -> Result<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut last = Vec::new();
    wait_until("a status of each node", DEADLINE, || {
        last = site.client().list(Kind::ServiceBGPStatus, NAMESPACE)?;
        let mut said = BTreeMap::new();
        for object in &last {
            let status = &object["status"];
            let whole = json!({"node": status["node"], "serviceName": "web1",
                "serviceNamespace": "default", "peers": ["router"]});
            // One that is made has no status for a moment.
            if *status != whole || object["metadata"]["labels"]["metallb.io/node"] != status["node"]
            {
                return Ok(None);
            }
            said.insert(text(&status["node"]), text(&object["metadata"]["uid"]));
        }
        let right = last.len() == wanted.len() && wanted.iter().all(|n| said.contains_key(*n));
        Ok(right.then_some(said))
    })
    .with_context(|| format!("{last:?}, not {wanted:?}\n{}", site.story()))
}

fn a_router_learns_what_objects_say() -> Result<()> {
    const ALL: &[&str] = &["node1", "node2", "node3"];
    let mut site = Site::with_services(1, Membership::Off)?;
    let assigned = site.wait_assigned(1)?;
    let ips = assigned.values().flatten();
    let v4 = ips.filter(|ip| ip.is_ipv4()).map(|ip| format!("{ip}/32"));
    let prefix = v4.into_iter().next().context("an IPv4 address")?;
    let router = site.world().client(0)?.nic.ipv4;
    let bird = Neighbour::start(site.world(), "of the Secret")?;
    let client = site.client();
    // The peer comes before its Secret.
    let peer = format!(
        "myASN: 64512, peerASN: 64513, peerAddress: {router}, peerPort: {PORT}, \
         passwordSecret: {{name: bgp}}"
    );
    client.apply(&custom("BGPPeer", "router", &peer))?;
    client.apply(&custom("BGPAdvertisement", "everything", ""))?;
    client.apply(&password("bgp", "of the Secret"))?;
    bird.wait_learnt(&site, &prefix, ALL)?;
    let before = wait_statuses(&site, ALL)?;
    // A speaker that begins again says nothing anew.
    site.restart_speaker("node1")?;
    bird.wait_learnt(&site, &prefix, ALL)?;
    ensure!(wait_statuses(&site, ALL)? == before, "made anew");
    let client = site.client();
    // A password that isn't the router's ends the sessions, and the right one brings them back.
    client.apply(&password("bgp", "of somebody else"))?;
    bird.wait_learnt(&site, &prefix, &[])?;
    client.apply(&password("bgp", "of the Secret"))?;
    bird.wait_learnt(&site, &prefix, ALL)?;
    // A node that leaves load balancing takes its route with it, and nobody else's.
    site.drain("node2")?;
    bird.wait_learnt(&site, &prefix, &["node1", "node3"])?;
    let left = wait_statuses(&site, &["node1", "node3"])?;
    ensure!(
        left.iter().all(|(node, uid)| before[node] == *uid),
        "made anew"
    );
    site.undrain("node2")?;
    bird.wait_learnt(&site, &prefix, ALL)?;
    // Only the nodes the peer selects speak to it.
    let labels = json!({"metadata": {"labels": {"rack": "a"}}});
    client.patch(Kind::Node, "", "node3", labels)?;
    let selected = json!({"spec": {"nodeSelectors": [{"matchLabels": {"rack": "a"}}]}});
    client.patch(Kind::BGPPeer, NAMESPACE, "router", selected)?;
    bird.wait_learnt(&site, &prefix, &["node3"])?;
    wait_statuses(&site, &["node3"]).map(drop)
}
