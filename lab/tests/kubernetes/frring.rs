//! Where an FRR of frr-k8s holds a node's sessions: it is told what to, and gives them up without
//! ever two of them. The lab plays frr-k8s: it configures a real FRR by what the object says.

use crate::objects::{self, NAMESPACE, custom, endpoints, service};
use crate::permitting::unused;
use crate::setup::{self, DEADLINE, deployed, wait};
use anyhow::{Context, Result, ensure};
use corten_lab::corten;
use corten_lab::kubernetes::{Client, Kind, Kubernetes, Relay};
use corten_lab::manifests::state_directory;
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::router::{self, Bird};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TRIALS: &[Trial] = &[("frr_speaks_and_yields", frr_speaks_and_yields)];

/// Namespace of frr-k8s.
const FRR: &str = "frr-k8s-system";
/// Where the router listens.
const PORT: u16 = 1790;

/// A cluster, a node and a router at the other end of its cable.
struct Place {
    cluster: Kubernetes,
    node: Netns,
    bird: Bird,
    directory: TempDir,
    _relay: Relay,
}

impl Place {
    fn build() -> Result<Self> {
        let cluster = setup::cluster()?;
        let client = cluster.client();
        client.apply(include_str!("frrconfigurations.yaml"))?;
        client.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {FRR}}}\n---\n{}",
            deployed("frr-k8s/rbac.yaml")?
        ))?;
        client.apply(&objects::node("node1"))?;
        let labels = json!({"metadata": {"labels": {"kubernetes.io/hostname": "node1"}}});
        client.patch(Kind::Node, "", "node1", labels)?;
        let pool = "addresses: [\"198.51.100.0/28\"]";
        client.apply(&custom("IPAddressPool", "pool", pool))?;
        let advertisement = "communities: [\"64512:7\", \"large:64512:1:2\"], localPref: 150";
        client.apply(&custom("BGPAdvertisement", "all", advertisement))?;
        let peer = format!(
            "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, peerPort: {PORT}, \
             sourceAddress: 192.0.2.1, holdTime: 90s, password: open-sesame, bfdProfile: calm"
        );
        client.apply(&custom("BFDProfile", "calm", "receiveInterval: 400"))?;
        client.apply(&custom("BGPPeer", "router", &peer))?;
        let (node, far) = router::cable()?;
        let text = format!(
            "router id 192.0.2.2;\nprotocol device {{}}\nprotocol bgp corten {{ \
             local 192.0.2.2 port {PORT} as 64513; neighbor 192.0.2.1 as 64512; passive; error wait time 1, 1; \
             password \"open-sesame\"; ipv4 {{ import all; export none; }}; }}\n"
        );
        let bird = Bird::start(&far, "frr-k8s-bird", &text)?;
        let relay = cluster.relay_to(&node)?;
        let place = Self {
            cluster,
            node,
            bird,
            directory: state_directory("node1")?,
            _relay: relay,
        };
        place.service("web1", "198.51.100.0")?;
        Ok(place)
    }

    fn client(&self) -> &Client {
        self.cluster.client()
    }

    /// A Service that has its address already.
    fn service(&self, name: &str, ip: &str) -> Result<()> {
        let client = self.client();
        client.apply(&(service(name, "", "") + &endpoints(name, &["node1"])))?;
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
        client.patch_status(Kind::Service, "default", name, status)
    }

    /// Where the speaker is asked; nobody else's lab sees it.
    fn socket(&self) -> String {
        let socket = self.directory.path().join("corten.sock");
        socket.display().to_string()
    }

    fn speaker(&self, mode: &str) -> Result<Process> {
        let socket = self.socket();
        let flags = [
            "--node-name=node1",
            "--frrk8s-namespace=frr-k8s-system",
            "--socket",
            &socket,
            mode,
        ];
        setup::start(&self.cluster, &self.node, "speaker", &flags)
    }

    fn object(&self) -> Result<Option<Value>> {
        self.client()
            .get(Kind::FRRConfiguration, FRR, "metallb-node1")
    }

    /// Waits until the node's object is as wanted.
    fn wait_object(
        &self,
        speaker: &mut Process,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        let found = wait(speaker, what, || {
            last = self.object()?;
            Ok(last.clone().filter(|object| wanted(object)))
        });
        found.with_context(|| format!("{last:?}"))
    }

    /// Waits until the router has the route, or hasn't.
    fn wait_route(&self, speaker: &mut Process, prefix: &str, there: bool) -> Result<()> {
        wait(speaker, &format!("{prefix}: {there}"), || {
            let said = self.bird.says(&["show", "route", prefix]);
            let found = said.unwrap_or_default().contains("via ");
            Ok((found == there).then_some(()))
        })
    }

    /// What `corten` says of the peer.
    fn wait_peer(&self, speaker: &mut Process, wanted: &str) -> Result<()> {
        let (socket, mut last) = (self.socket(), String::new());
        let found = wait(speaker, wanted, || {
            let args = ["bgp", "peers", "--socket", &socket];
            let said = self.node.run(|| corten::command(&args))?;
            last = String::from_utf8_lossy(&said.stdout).into_owned();
            Ok(last.contains(wanted).then_some(()))
        });
        found.with_context(|| last)
    }

    /// Whether ServiceBGPStatus says that the peer is told of the first Service.
    fn wait_status(&self, speaker: &mut Process, told: bool) -> Result<()> {
        wait(speaker, &format!("ServiceBGPStatus: {told}"), || {
            let all = self.client().list(Kind::ServiceBGPStatus, NAMESPACE)?;
            let ours = |o: &Value| {
                o["status"]["serviceName"] == "web1" && o["status"]["peers"] == json!(["router"])
            };
            Ok((all.iter().any(ours) == told).then_some(()))
        })
    }
}

/// FRR on the node, configured as the object says: what frr-k8s does.
struct FrrK8s {
    _zebra: Process,
    bgpd: Process,
}

impl FrrK8s {
    fn start(ns: &Netns, spec: &Value) -> Result<Self> {
        let dir = router::scratch("frr-k8s")?;
        let mut text = String::new();
        for router in spec["bgp"]["routers"].as_array().context("routers")? {
            let neighbor = &router["neighbors"][0];
            let word = |field: &str| neighbor[field].as_str().unwrap_or_default();
            let address = word("address");
            text.push_str(&format!(
                "router bgp {asn}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
                 neighbor {address} remote-as {peer}\n neighbor {address} port {port}\n \
                 neighbor {address} password {password}\n \
                 neighbor {address} update-source {source}\n address-family ipv4 unicast\n  \
                 neighbor {address} activate\n",
                asn = router["asn"],
                peer = neighbor["asn"],
                port = neighbor["port"],
                password = word("password"),
                source = word("sourceaddress"),
            ));
            for prefix in router["prefixes"].as_array().into_iter().flatten() {
                let prefix = prefix.as_str().unwrap_or_default();
                text.push_str(&format!("  network {prefix}\n"));
            }
            text.push_str(" exit-address-family\nexit\n");
        }
        let zebra = router::zebra(ns, &dir)?;
        let bgpd = router::frr(ns, &dir, "bgpd", &text)?;
        Ok(Self {
            _zebra: zebra,
            bgpd,
        })
    }
}

fn neighbor(prefixes: &[&str]) -> Value {
    json!({
        "address": "192.0.2.2", "asn": 64513, "port": PORT, "sourceaddress": "192.0.2.1",
        "holdTime": "90s", "keepaliveTime": "30s", "password": "open-sesame",
        "bfdProfile": "calm", "enableGracefulRestart": false, "ebgpMultiHop": false,
        "dualStackAddressFamily": false, "disableMP": false,
        "toAdvertise": {
            "allowed": {"mode": "filtered", "prefixes": prefixes},
            "withLocalPref": [{"localPref": 150, "prefixes": prefixes}],
            "withCommunity": [
                {"community": "large:64512:1:2", "prefixes": prefixes},
                {"community": "64512:7", "prefixes": prefixes},
            ],
        },
    })
}

/// What the object says of these prefixes (`spec/metallb.md` §6.6).
fn spec(prefixes: &[&str]) -> Value {
    json!({
        "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "node1"}},
        "bgp": {
            "routers": [{"asn": 64512, "prefixes": prefixes, "neighbors": [neighbor(prefixes)]}],
            "bfdProfiles": [{
                "name": "calm", "receiveInterval": 400, "transmitInterval": 300,
                "detectMultiplier": 3, "echoInterval": 50, "echoMode": false,
                "passiveMode": false, "minimumTtl": 254,
            }],
        },
    })
}

fn generation(object: &Value) -> Option<u64> {
    object["metadata"]["generation"].as_u64()
}

fn frr_speaks_and_yields() -> Result<()> {
    const ONE: &[&str] = &["198.51.100.0/32"];
    const TWO: &[&str] = &["198.51.100.0/32", "198.51.100.1/32"];
    let place = Place::build()?;
    let client = place.client();
    let mut speaker = place.speaker("--bgp-type=frr-k8s")?;
    let first = place.wait_object(&mut speaker, "the object", |o| o["spec"] == spec(ONE))?;
    ensure!(generation(&first) == Some(1), "written at once: {first}");
    place.wait_peer(&mut speaker, "HeldByFrr")?;
    place.wait_status(&mut speaker, true)?;
    // One Service more is one write.
    place.service("web2", "198.51.100.1")?;
    let second = place.wait_object(&mut speaker, "both prefixes", |o| o["spec"] == spec(TWO))?;
    ensure!(generation(&second) <= Some(3), "{second}");
    // What somebody edits is put right; what another speaker finds right isn't touched.
    let edited = json!({"spec": {"bgp": {"bfdProfiles": [], "routers": []}}});
    client.patch(Kind::FRRConfiguration, FRR, "metallb-node1", edited)?;
    let right = place.wait_object(&mut speaker, "what it was", |o| o["spec"] == spec(TWO))?;
    speaker.kill()?;
    let mut speaker = place.speaker("--bgp-type=frr-k8s")?;
    place.wait_peer(&mut speaker, "HeldByFrr")?;
    place.wait_status(&mut speaker, true)?;
    let still = place.object()?.context("the object")?;
    ensure!(generation(&still) == generation(&right), "{right}\n{still}");
    let mut frr = FrrK8s::start(&place.node, &still["spec"])?;
    let route = place.wait_route(&mut speaker, "198.51.100.1/32", true);
    route.with_context(|| frr.bgpd.log().join("\n"))?;

    // The change-over: FRR is told to do nothing, and nobody dials while it still speaks.
    speaker.signal(Signal::SIGTERM)?;
    speaker.wait(DEADLINE)?;
    let mut speaker = place.speaker("--bgp-type=native")?;
    let idle = json!({
        "bgp": {"routers": []},
        "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "node1"}},
    });
    place.wait_object(&mut speaker, "an empty object", |o| o["spec"] == idle)?;
    place.wait_peer(&mut speaker, "isn't closed yet")?;
    place.wait_route(&mut speaker, "198.51.100.1/32", true)?;
    frr.bgpd.kill()?;
    drop(frr);
    place.wait_peer(&mut speaker, "Established")?;
    place.wait_route(&mut speaker, "198.51.100.1/32", true)?;
    place.wait_status(&mut speaker, true)?;

    // A peer that somebody else asks FRR for is FRR's, for as long as they do.
    client.apply(&format!(
        "apiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\n\
         metadata: {{name: theirs, namespace: {FRR}}}\n\
         spec: {{bgp: {{routers: [{{asn: 64512, neighbors: [\
         {{address: 192.0.2.2, asn: 64513}}]}}]}}}}\n---\n"
    ))?;
    place.wait_peer(&mut speaker, "FRRConfiguration theirs names it")?;
    place.wait_route(&mut speaker, "198.51.100.1/32", false)?;
    place.wait_status(&mut speaker, false)?;
    client.delete(Kind::FRRConfiguration, FRR, "theirs")?;
    place.wait_peer(&mut speaker, "Established")?;
    place.wait_route(&mut speaker, "198.51.100.1/32", true)?;
    let grants = deployed("frr-k8s/rbac.yaml")?;
    wait_until("the use of every grant", DEADLINE, || {
        let mut left = unused(&place.cluster, &grants, "speaker")?;
        // A list is for a server that doesn't stream it.
        left.retain(|(_, _, verb)| verb != "list");
        Ok(left.is_empty().then_some(()))
    })?;
    Ok(())
}
