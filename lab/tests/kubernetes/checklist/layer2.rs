//! "L2": which node answers for which Service, on which interfaces.

use crate::announcing::{Membership, Site};
use crate::objects::{NAMESPACE, custom, endpoints, service};
use crate::setup::{DEADLINE, addresses};
use anyhow::{Context, Result, ensure};
use corten_engine::election::{Candidate, rank};
use corten_engine::names::NodeName;
use corten_lab::kubernetes::Kind;
use corten_lab::site::WINDOW;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[
    ("nodes_are_selected", nodes_are_selected),
    ("nodes_are_preferred", nodes_are_preferred),
    ("services_are_selected", services_are_selected),
    (
        "sharing_services_have_one_node",
        sharing_services_have_one_node,
    ),
    ("interfaces_are_selected", interfaces_are_selected),
];

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// Which of these nodes the hash chooses.
fn winner<'a>(nodes: &[&'a str], ip: IpAddr) -> &'a str {
    let names: Vec<NodeName> = nodes.iter().map(|node| NodeName::from(*node)).collect();
    let candidates = names.iter().map(|node| Candidate {
        node,
        score: 0,
        claims: false,
    });
    let ranked = rank(ip, candidates);
    let first = ranked.first().map(|r| r.candidate.node.as_str());
    let found = nodes.iter().find(|node| Some(**node) == first);
    found.copied().unwrap_or_default()
}

/// A site whose Services' addresses are owned by whom the hash says.
struct Choosing {
    site: Site,
    /// Addresses of `web1` … in order, the first of each.
    ips: Vec<IpAddr>,
    /// Who owns them if nothing is said of nodes.
    baseline: Vec<String>,
}

impl Choosing {
    fn start(services: usize) -> Result<Self> {
        let mut site = Site::with_services(services, Membership::Off)?;
        for node in NODES {
            let labels = json!({"metadata": {"labels": {"host": node}}});
            site.client().patch(Kind::Node, "", node, labels)?;
        }
        let assigned = site.wait_assigned(services)?;
        let ips: Vec<IpAddr> = assigned
            .values()
            .filter_map(|ips| ips.first())
            .copied()
            .collect();
        let owners = site.wait_owned(&ips)?;
        let baseline = ips.iter().map(|ip| owners[ip].clone()).collect();
        Ok(Self {
            site,
            ips,
            baseline,
        })
    }

    /// A node that doesn't own the first address by the hash, and the third one.
    fn others(&self) -> (&'static str, &'static str) {
        let mut others = NODES.into_iter().filter(|node| *node != self.baseline[0]);
        let (one, two) = (others.next(), others.next());
        (one.unwrap_or_default(), two.unwrap_or_default())
    }

    /// Makes or changes an advertisement; `spec` is the inside of a flow mapping.
    fn advertise(&self, name: &str, spec: &str) -> Result<()> {
        let client = self.site.client();
        // Server-side apply would leave what another spec had said of lists alone.
        client.delete(Kind::L2Advertisement, NAMESPACE, name)?;
        client.apply(&custom("L2Advertisement", name, spec))
    }

    fn stop_advertising(&self, name: &str) -> Result<()> {
        let client = self.site.client();
        client.delete(Kind::L2Advertisement, NAMESPACE, name)
    }

    fn label(&self, node: &str, label: &str, value: Option<&str>) -> Result<()> {
        let labels = json!({"metadata": {"labels": {label: value}}});
        self.site.client().patch(Kind::Node, "", node, labels)
    }

    fn network(&self, node: &str, unavailable: &str) -> Result<()> {
        let condition = json!({"type": "NetworkUnavailable", "status": unavailable});
        let status = json!({"status": {"conditions": [condition]}});
        self.site
            .client()
            .patch_status(Kind::Node, "", node, status)
    }

    /// Who answers for an address on a LAN.
    fn answering(&self, lan: usize, ip: IpAddr) -> Result<Vec<String>> {
        let world = self.site.world();
        let answers = world.client(lan)?.ask(&[ip], WINDOW)?;
        let macs = answers.get(&ip).into_iter().flatten();
        let names = macs.map(|mac| world.node_of(*mac).map_or("?", |n| n.name.as_str()));
        Ok(names.map(str::to_owned).collect())
    }

    /// Waits until an address is answered for by this node on each LAN, or by nobody.
    fn wait(&self, ip: IpAddr, wanted: [Option<&str>; 2]) -> Result<()> {
        let mut last = Vec::new();
        let found = wait_until(&format!("{ip} owned by {wanted:?}"), DEADLINE, || {
            last.clear();
            for lan in 0..2 {
                last.push(self.answering(lan, ip)?);
            }
            let right = |(found, wanted): (&Vec<String>, &Option<&str>)| {
                found.iter().map(String::as_str).eq(wanted.iter().copied())
            };
            Ok(last.iter().zip(&wanted).all(right).then_some(()))
        });
        found.with_context(|| format!("{last:?}\n{}", self.site.story()))
    }

    /// Waits until a node owns an address on both LANs.
    fn owned(&self, ip: IpAddr, by: &str) -> Result<()> {
        self.wait(ip, [Some(by), Some(by)])
    }

    /// Waits until every address is owned as the hash says.
    fn as_hashed(&self) -> Result<()> {
        let mut pairs = self.ips.iter().zip(&self.baseline);
        pairs.try_for_each(|(ip, node)| self.owned(*ip, node))
    }

    /// Waits until a Service has addresses.
    fn assigned(&self, service: &str) -> Result<Vec<IpAddr>> {
        wait_until(&format!("addresses of {service}"), DEADLINE, || {
            let found = self.site.client().get(Kind::Service, "default", service)?;
            let found = addresses(&found.context("no such Service")?);
            let found: Vec<IpAddr> = found
                .iter()
                .map(|ip| ip.parse())
                .collect::<Result<_, _>>()?;
            Ok(Some(found).filter(|ips| !ips.is_empty()))
        })
    }

    /// Waits for an event on a Service.
    fn event(&self, service: &str, reason: &str, text: &str) -> Result<()> {
        wait_until(&format!("{reason} {text} of {service}"), DEADLINE, || {
            let events = self.site.client().list(Kind::Event, "default")?;
            let said = |e: &Value| {
                e["involvedObject"]["name"] == service
                    && e["reason"] == reason
                    && e["message"].as_str().is_some_and(|m| m.contains(text))
            };
            Ok(events.iter().any(said).then_some(()))
        })
        .with_context(|| self.site.story())
    }
}

/// Conditions, the exclude label, `nodeSelectors`: who may not announce doesn't, and who may
/// again does again.
fn nodes_are_selected() -> Result<()> {
    let lab = Choosing::start(3)?;
    let (ip, owner) = (lab.ips[0], lab.baseline[0].clone());
    let (other, third) = lab.others();
    lab.network(&owner, "True")?;
    lab.network(third, "True")?;
    lab.owned(ip, other)?;
    lab.network(third, "False")?;
    lab.network(&owner, "False")?;
    lab.as_hashed()?;
    lab.site.drain(&owner)?;
    lab.network(other, "True")?;
    lab.owned(ip, third)?;
    lab.network(other, "False")?;
    lab.site.undrain(&owner)?;
    lab.as_hashed()?;

    let select = |hosts: &[&str]| {
        let selectors: Vec<String> = hosts
            .iter()
            .map(|host| format!("{{matchLabels: {{host: {host}}}}}"))
            .collect();
        format!("nodeSelectors: [{}]", selectors.join(", "))
    };
    lab.advertise("everything", &select(&[other]))?;
    for ip in &lab.ips {
        lab.owned(*ip, other)?;
    }
    lab.advertise("everything", &select(&[other, third]))?;
    for ip in &lab.ips {
        lab.owned(*ip, winner(&[other, third], *ip))?;
    }
    // Nobody has the label, then somebody gets it.
    lab.advertise("everything", "nodeSelectors: [{matchLabels: {zone: a}}]")?;
    lab.wait(ip, [None, None])?;
    lab.label(third, "zone", Some("a"))?;
    lab.owned(ip, third)
}

/// `preferredNodeSelectors`, alone and with everything else that selects.
fn nodes_are_preferred() -> Result<()> {
    let lab = Choosing::start(3)?;
    let (ip, owner) = (lab.ips[0], lab.baseline[0].clone());
    let (other, third) = lab.others();
    let prefer = |weight: u32, label: &str| {
        format!("{{weight: {weight}, preference: {{matchLabels: {{{label}}}}}}}")
    };
    let preferring = |terms: &[String]| format!("preferredNodeSelectors: [{}]", terms.join(", "));
    // Who has the label, until it is taken away.
    lab.advertise("everything", &preferring(&[prefer(10, "tier: gold")]))?;
    lab.as_hashed()?;
    lab.label(other, "tier", Some("gold"))?;
    lab.owned(ip, other)?;
    lab.label(other, "tier", None)?;
    lab.as_hashed()?;
    // What all have is no preference.
    for node in NODES {
        lab.label(node, "all", Some("every"))?;
    }
    lab.advertise("everything", &preferring(&[prefer(50, "all: every")]))?;
    lab.as_hashed()?;
    // Out of load balancing and back.
    lab.advertise(
        "everything",
        &preferring(&[prefer(10, &format!("host: {third}"))]),
    )?;
    lab.owned(ip, third)?;
    lab.site.drain(third)?;
    lab.owned(ip, winner(&[&owner, other], ip))?;
    lab.site.undrain(third)?;
    lab.owned(ip, third)?;
    // Another preference.
    lab.advertise(
        "everything",
        &preferring(&[prefer(10, &format!("host: {other}"))]),
    )?;
    lab.owned(ip, other)?;
    // Together with what must be.
    let must = |hosts: [&str; 2]| {
        let [a, b] = hosts;
        format!("nodeSelectors: [{{matchLabels: {{host: {a}}}}}, {{matchLabels: {{host: {b}}}}}]")
    };
    let soft = preferring(&[prefer(10, &format!("host: {third}"))]);
    lab.advertise("everything", &format!("{}, {soft}", must([other, third])))?;
    lab.owned(ip, third)?;
    lab.advertise(
        "everything",
        &format!("{}, {soft}", must([other, other]))
            .replace(&format!(", {{matchLabels: {{host: {other}}}}}]"), "]"),
    )?;
    lab.owned(ip, other)?;
    // Weights add up over advertisements.
    lab.advertise(
        "everything",
        &preferring(&[prefer(100, &format!("host: {third}"))]),
    )?;
    lab.owned(ip, third)?;
    for (name, weight) in [("one", 60), ("two", 50)] {
        lab.advertise(
            name,
            &preferring(&[prefer(weight, &format!("host: {other}"))]),
        )?;
    }
    lab.owned(ip, other)?;
    // For some Services only.
    for name in ["one", "two"] {
        lab.stop_advertising(name)?;
    }
    lab.advertise("everything", "")?;
    lab.as_hashed()?;
    let labels = json!({"metadata": {"labels": {"app": "one"}}});
    lab.site
        .client()
        .patch(Kind::Service, "default", "web1", labels)?;
    let scoped = "serviceSelectors: [{matchLabels: {app: one}}]";
    let soft = preferring(&[prefer(10, &format!("host: {third}"))]);
    lab.advertise("some", &format!("{scoped}, {soft}"))?;
    lab.owned(ip, third)?;
    for (ip, node) in lab.ips.iter().zip(&lab.baseline).skip(1) {
        lab.owned(*ip, node)?;
    }
    Ok(())
}

/// `serviceSelectors` and endpoints.
fn services_are_selected() -> Result<()> {
    let lab = Choosing::start(2)?;
    let (one, two) = (lab.ips[0], lab.ips[1]);
    let (other, third) = lab.others();
    let client = lab.site.client();
    let label = |service: &str, app: Option<&str>| {
        let labels = json!({"metadata": {"labels": {"app": app}}});
        client.patch(Kind::Service, "default", service, labels)
    };
    let some = "serviceSelectors: [{matchLabels: {app: a}}]";
    lab.advertise("everything", some)?;
    lab.wait(one, [None, None])?;
    label("web1", Some("a"))?;
    lab.owned(one, &lab.baseline[0])?;
    lab.wait(two, [None, None])?;
    label("web1", Some("b"))?;
    lab.wait(one, [None, None])?;
    // Any of several.
    let any = "serviceSelectors: [{matchLabels: {app: a}}, {matchLabels: {app: b}}]";
    lab.advertise("everything", any)?;
    lab.owned(one, &lab.baseline[0])?;
    // Two advertisements on two nodes: one of them.
    let on = |node: &str| format!("{any}, nodeSelectors: [{{matchLabels: {{host: {node}}}}}]");
    lab.advertise("everything", &on(other))?;
    lab.owned(one, other)?;
    lab.advertise("second", &on(third))?;
    lab.owned(one, winner(&[other, third], one))?;
    lab.stop_advertising("second")?;
    // The right Service and the wrong pool.
    let elsewhere = "addresses: [198.51.100.0/24], autoAssign: false";
    client.apply(&custom("IPAddressPool", "elsewhere", elsewhere))?;
    lab.advertise("everything", &format!("{any}, ipAddressPools: [elsewhere]"))?;
    lab.wait(one, [None, None])?;
    lab.advertise("everything", &format!("{any}, ipAddressPools: [pool]"))?;
    lab.owned(one, &lab.baseline[0])?;
    lab.advertise("everything", "")?;
    lab.as_hashed()?;

    // Traffic for the node's own endpoints goes where they are.
    let local = json!({"spec": {"externalTrafficPolicy": "Local"}});
    client.patch(Kind::Service, "default", "web2", local)?;
    for node in [other, third] {
        client.delete(Kind::EndpointSlice, "default", "web2-1")?;
        client.apply(&endpoints("web2", &[node]))?;
        lab.owned(two, node)?;
    }
    lab.site.world().client(0)?.get(two, DEADLINE)?;
    // TCP and UDP in one Service.
    let mixed = service("mixed", "", "").replace(
        "ports: [{port: 80}]",
        "ports: [{name: t, port: 80, protocol: TCP}, {name: u, port: 80, protocol: UDP}]",
    );
    client.apply(&(mixed + &endpoints("mixed", &NODES)))?;
    let mixed = lab.assigned("mixed")?;
    let first = *mixed.first().context("an address")?;
    lab.owned(first, winner(&NODES, first))?;
    lab.site.world().client(0)?.get(first, DEADLINE).map(drop)
}

/// Several Services with one address of each family: one node has both, and each Service says so.
fn sharing_services_have_one_node() -> Result<()> {
    const SHARING: [(&str, u16); 3] = [("s1", 81), ("s2", 82), ("s3", 83)];
    let lab = Choosing::start(1)?;
    for (name, port) in SHARING {
        let text = service(
            name,
            "metallb.io/allow-shared-ip: k",
            ", ipFamilyPolicy: RequireDualStack",
        );
        let text = text.replace("port: 80", &format!("port: {port}"));
        lab.site
            .client()
            .apply(&(text + &endpoints(name, &NODES)))?;
    }
    let shared = lab.assigned("s1")?;
    ensure!(shared.len() == 2, "{shared:?}");
    let owner = winner(&NODES, shared[0]);
    for ip in &shared {
        lab.owned(*ip, owner)?;
    }
    for (name, _) in SHARING {
        ensure!(lab.assigned(name)? == shared, "{name}");
        let text = format!("announcing from node \"{owner}\" with protocol \"layer2\"");
        lab.event(name, "nodeAssigned", &text)?;
    }
    Ok(())
}

/// `interfaces`: each LAN hears of what is for it alone.
fn interfaces_are_selected() -> Result<()> {
    let lab = Choosing::start(1)?;
    let (ip, owner) = (lab.ips[0], lab.baseline[0].as_str());
    let (other, _) = lab.others();
    let shown = |wanted: &[&str]| {
        wait_until(&format!("a status with {wanted:?}"), DEADLINE, || {
            let all = lab.site.client().list(Kind::ServiceL2Status, NAMESPACE)?;
            let [status] = all.as_slice() else {
                return Ok(None);
            };
            let found = status["status"]["interfaces"].as_array();
            let names = found
                .into_iter()
                .flatten()
                .filter_map(|i| i["name"].as_str());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            Ok((names == wanted).then_some(()))
        })
    };
    lab.advertise("everything", "interfaces: [eth0]")?;
    lab.wait(ip, [Some(owner), None])?;
    shown(&["eth0"])?;
    lab.advertise("everything", "interfaces: [eth1]")?;
    lab.wait(ip, [None, Some(owner)])?;
    shown(&["eth1"])?;
    lab.advertise("everything", "interfaces: [nowhere]")?;
    lab.wait(ip, [None, None])?;
    lab.event(
        "web1",
        "announceFailed",
        &format!("not announcing from node \"{owner}\""),
    )?;
    lab.advertise("everything", "interfaces: [eth0]")?;
    lab.advertise("second", "interfaces: [eth1]")?;
    lab.wait(ip, [Some(owner), Some(owner)])?;
    shown(&["eth0", "eth1"])?;
    // On one node by one interface, on another by the other.
    lab.stop_advertising("second")?;
    let on = |node: &str, interface: &str| {
        format!("interfaces: [{interface}], nodeSelectors: [{{matchLabels: {{host: {node}}}}}]")
    };
    lab.advertise("everything", &on(other, "eth0"))?;
    lab.wait(ip, [Some(other), None])?;
    lab.advertise("everything", &on(owner, "eth1"))?;
    lab.wait(ip, [None, Some(owner)])
}
