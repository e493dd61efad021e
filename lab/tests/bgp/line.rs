//! A node with Corten, a router, and the cable between them.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::{Corten, Status};
use corten_lab::manifests::{self, Manifests, Stack};
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::router;
use corten_lab::wait::wait_until;
use corten_lab::world::Node;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A node with Corten and a router, joined by a cable.
pub(crate) struct Line {
    pub(crate) node: Node,
    pub(crate) router: Netns,
    pub(crate) manifests: Manifests,
}

const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata:\n  name: node1\n---\n";

impl Line {
    /// One with a pool of both families, and two Services of both.
    pub(crate) fn new(peer: &str, advertisement: &str) -> Result<Self> {
        let (near, far) = router::cable()?;
        let manifests = Manifests::new()?;
        let config = NODE.to_owned()
            + &manifests::namespace("default")
            + &manifests::pool("both", &["198.51.100.0/28", "2001:db8:100::/124"])
            + &object("v1beta2", "BGPPeer", "router", peer)
            + &object("v1beta1", "BGPAdvertisement", "all", advertisement);
        manifests.write("config.yaml", &config)?;
        let line = Self {
            node: Node {
                name: "node1".to_owned(),
                ns: near,
                nics: Vec::new(),
            },
            router: far,
            manifests,
        };
        line.service("web1")?;
        line.service("web2")?;
        Ok(line)
    }

    pub(crate) fn service(&self, name: &str) -> Result<()> {
        let text = manifests::service(name, Stack::Dual, &[], &["node1"]);
        self.manifests.write(&format!("{name}.yaml"), &text)
    }

    pub(crate) fn start(&self) -> Result<Corten> {
        let metrics = ["--allocate", "--metrics", "127.0.0.1:9120"];
        Corten::start(&self.node, self.manifests.path(), &metrics)
    }

    pub(crate) fn metrics(&self) -> Result<String> {
        let to = "127.0.0.1:9120".parse()?;
        self.node.ns.run(|| metrics_text(to))
    }
}

fn metrics_text(to: std::net::SocketAddr) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(to)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: corten\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) fn object(version: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: \
         metallb-system\nspec: {{{spec}}}\n---\n"
    )
}

/// FRR's zebra and bgpd.
pub(crate) struct Frr {
    ns: Netns,
    dir: String,
    _zebra: Process,
    _bfdd: Option<Process>,
    pub(crate) bgpd: Process,
}

impl Frr {
    pub(crate) fn start(line: &Line, name: &str, neighbour: &str) -> Result<Self> {
        Self::start_with_bfd(line, name, neighbour, "")
    }

    /// With a bfdd, if it is given a configuration.
    pub(crate) fn start_with_bfd(
        line: &Line,
        name: &str,
        neighbour: &str,
        bfd: &str,
    ) -> Result<Self> {
        let ns = line.router.clone();
        let dir = router::scratch(name)?;
        let config = format!(
            "router bgp 64513\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n \
             {neighbour}\n neighbor 192.0.2.1 passive\n address-family ipv4 unicast\n  neighbor \
             192.0.2.1 activate\n exit-address-family\n address-family ipv6 unicast\n  neighbor \
             192.0.2.1 activate\n exit-address-family\nexit\n"
        );
        Self::run(&ns, &dir, &config, bfd)
    }

    /// With these configurations of bgpd and, unless it is empty, bfdd.
    pub(crate) fn run(ns: &Netns, dir: &Path, config: &str, bfd: &str) -> Result<Self> {
        // bgpd takes a next hop for usable only where zebra says how it is reached.
        let zebra = router::zebra(ns, dir)?;
        let bfdd = match bfd {
            "" => None,
            config => Some(router::frr(ns, dir, "bfdd", config)?),
        };
        let bgpd = router::frr(ns, dir, "bgpd", config)?;
        let frr = Self {
            ns: ns.clone(),
            dir: dir.display().to_string(),
            _zebra: zebra,
            _bfdd: bfdd,
            bgpd,
        };
        wait_until("bgpd", DEADLINE, || Ok(frr.says("show bgp summary").ok()))
            .with_context(|| frr.bgpd.log().join("\n"))?;
        Ok(frr)
    }

    pub(crate) fn says(&self, command: &str) -> Result<String> {
        self.daemon_says("bgpd", &[command])
    }

    /// What a daemon answers to commands given one after the other.
    pub(crate) fn daemon_says(&self, daemon: &str, commands: &[&str]) -> Result<String> {
        let mut args = vec!["--vty_socket", &self.dir, "-d", daemon];
        args.extend(commands.iter().flat_map(|command| ["-c", command]));
        self.ns.output("vtysh", &args)
    }

    /// Waits until a prefix is there with a usable next hop, or isn't.
    pub(crate) fn wait_route(&self, prefix: &str, there: bool) -> Result<String> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let mut last = String::new();
        wait_until(prefix, DEADLINE, || {
            last = self.says(&format!("show bgp {family} unicast {prefix}"))?;
            let wanted = match there {
                true => last.contains(", valid, "),
                false => !last.contains("BGP routing table entry"),
            };
            Ok(wanted.then(|| last.clone()))
        })
        .with_context(|| last)
    }

    /// Waits until the answer to a command has a word in it.
    pub(crate) fn wait_said(&self, command: &str, word: &str) -> Result<String> {
        let mut last = String::new();
        wait_until(word, DEADLINE, || {
            last = self.says(command)?;
            Ok(last.contains(word).then(|| last.clone()))
        })
        .with_context(|| last)
    }

    pub(crate) fn neighbour(&self) -> Result<Value> {
        let said = self.says("show bgp neighbors 192.0.2.1 json")?;
        let mut all: Value = serde_json::from_str(&said)?;
        Ok(all["192.0.2.1"].take())
    }

    pub(crate) fn wait_neighbour(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Value::Null;
        wait_until(what, DEADLINE, || {
            last = self.neighbour()?;
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("{last}"))
    }
}

pub(crate) fn all(text: &str, facts: &[&str]) -> Result<()> {
    for fact in facts {
        ensure!(text.contains(fact), "no {fact:?} in {text}");
    }
    Ok(())
}

pub(crate) fn established(status: &Status) -> Option<()> {
    let up = |p: &corten_lab::corten::BgpPeer| p.state == "Established";
    (!status.bgp_peers.is_empty() && status.bgp_peers.iter().all(up)).then_some(())
}
