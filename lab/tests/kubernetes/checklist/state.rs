//! "ConfigurationState" and the rest of the webhooks: which component says what is wrong.

use crate::objects::{NAMESPACE, custom, password};
use crate::setup::{self, DEADLINE};
use anyhow::{Context, Result};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::process::Process;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "what_is_wrong_is_said_by_whom",
        what_is_wrong_is_said_by_whom,
    ),
    ("peers_meet_on_a_node", peers_meet_on_a_node),
];

/// A cluster with two nodes and their speakers, and no webhooks.
struct Two {
    cluster: Kubernetes,
    speakers: Vec<Process>,
}

impl Two {
    fn start(more: &[&str]) -> Result<Self> {
        let cluster = setup::cluster()?;
        let mut speakers = Vec::new();
        for (node, port) in [("n1", "17472"), ("n2", "17473")] {
            cluster.client().apply(&format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: {node}, labels: {{host: {node}}}}}\n"
            ))?;
            let node = format!("--node-name={node}");
            let port = format!("--health-probe-port={port}");
            let mut flags = vec![node.as_str(), port.as_str(), "--port=0"];
            flags.extend(more);
            let ns = cluster.netns();
            speakers.push(setup::start(&cluster, ns, "speaker", &flags)?);
        }
        let two = Self { cluster, speakers };
        two.say(["", ""])?;
        Ok(two)
    }

    fn client(&self) -> &Client {
        self.cluster.client()
    }

    fn apply(&self, kind: &str, name: &str, spec: &str) -> Result<()> {
        self.client().apply(&custom(kind, name, spec))
    }

    fn delete(&self, kind: Kind, name: &str) -> Result<()> {
        self.client().delete(kind, NAMESPACE, name)
    }

    /// Waits until each speaker gives this as the cause, or is content if it is empty.
    fn say(&self, wanted: [&str; 2]) -> Result<()> {
        let mut last = Vec::new();
        let found = wait_until(&format!("{wanted:?}"), DEADLINE, || {
            last.clear();
            for node in ["n1", "n2"] {
                let name = format!("speaker-{node}");
                let state = self
                    .client()
                    .get(Kind::ConfigurationState, NAMESPACE, &name)?;
                last.push(state.map_or(Value::Null, |mut state| state["status"].take()));
            }
            let right = |(state, wanted): (&Value, &&str)| {
                let result = if wanted.is_empty() {
                    "Valid"
                } else {
                    "Invalid"
                };
                let cause = match *wanted {
                    "" => String::new(),
                    cause => format!("configuration error: {cause}"),
                };
                let said = state["errorSummary"].as_str().unwrap_or_default();
                state["result"] == result && said == cause
            };
            Ok(last.iter().zip(&wanted).all(right).then_some(()))
        });
        found.with_context(|| {
            let logs: Vec<String> = self.speakers.iter().map(|s| s.log().join("\n  ")).collect();
            format!("{last:?}\n{}", logs.join("\n"))
        })
    }
}

/// A Secret of another type, a profile, an alias: the cause in MetalLB's words where it is used,
/// nothing where it isn't, and nothing once it is put right.
fn what_is_wrong_is_said_by_whom() -> Result<()> {
    let two = Two::start(&[])?;
    let peer = |name: &str, host: &str, more: &str| {
        let spec = format!(
            "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.9, \
             nodeSelectors: [{{matchLabels: {{host: {host}}}}}]{more}"
        );
        two.apply("BGPPeer", name, &spec)
    };
    let opaque = password("secret", "x").replace("type: kubernetes.io/basic-auth", "type: Opaque");
    two.client().apply(&opaque)?;
    peer("one", "n1", ", passwordSecret: {name: secret}")?;
    let secret = "parsing peer one secret type mismatch on \"metallb-system\"/\"secret\", type \
                  \"kubernetes.io/basic-auth\" is expected \n\
                  failed to parse peer one password secret";
    two.say([secret, ""])?;
    // The other node has its own trouble.
    peer("two", "n2", ", bfdProfile: fast")?;
    let profile = "peer two referencing non existing bfd profile fast";
    two.say([secret, profile])?;
    two.client().delete(Kind::Secret, NAMESPACE, "secret")?;
    let missing = "parsing peer one secret ref not found for peer config \
                   \"metallb-system\"/\"one\"\nfailed to parse peer one password secret";
    two.say([missing, profile])?;
    two.client().apply(&password("secret", "x"))?;
    two.say(["", profile])?;
    two.apply("BFDProfile", "fast", "receiveInterval: 300")?;
    two.say(["", ""])?;
    // Broken while in use, by one who isn't held back by a webhook.
    two.delete(Kind::BFDProfile, "fast")?;
    two.say(["", profile])?;
    two.apply("BFDProfile", "fast", "receiveInterval: 300")?;
    two.say(["", ""])?;
    // An alias nobody has defined yet.
    two.apply("BGPAdvertisement", "all", "communities: [nothing]")?;
    let alias = "invalid community format: nothing\n\
                 invalid community \"nothing\" in BGP advertisement";
    two.say([alias, alias])?;
    two.apply(
        "Community",
        "c",
        "communities: [{name: nothing, value: \"64512:1\"}]",
    )?;
    two.say(["", ""])?;
    // A state that somebody removes or edits comes back.
    two.delete(Kind::ConfigurationState, "speaker-n1")?;
    let edited = json!({"status": {"result": "Invalid", "errorSummary": "nonsense"}});
    two.client()
        .patch_status(Kind::ConfigurationState, NAMESPACE, "speaker-n2", edited)?;
    two.say(["", ""])
}

/// Two peers with one address on two nodes are two peers; a label that brings them together is
/// said where they meet, and taken back.
fn peers_meet_on_a_node() -> Result<()> {
    let two = Two::start(&["--bgp-type=frr"])?;
    for (name, label) in [("one", "host: n1"), ("two", "side: right")] {
        let spec = format!(
            "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.9, \
             nodeSelectors: [{{matchLabels: {{{label}}}}}]"
        );
        two.apply("BGPPeer", name, &spec)?;
    }
    let right = |node: &str, side: Option<&str>| {
        let labels = json!({"metadata": {"labels": {"side": side}}});
        two.client().patch(Kind::Node, "", node, labels)
    };
    right("n2", Some("right"))?;
    two.say(["", ""])?;
    right("n1", Some("right"))?;
    let meet = "peer 192.0.2.9 already exists, FRR mode doesn't support duplicate BGPPeers \
                selecting the same node";
    two.say([meet, ""])?;
    right("n1", None)?;
    two.say(["", ""])?;
    two.delete(Kind::BGPPeer, "one")?;
    right("n1", Some("right"))?;
    two.say(["", ""])
}
