//! What the definitions themselves refuse, without a webhook.

use crate::objects::custom;
use crate::setup;
use anyhow::{Result, ensure};
use corten_lab::corten;
use corten_lab::manifests::Manifests;
use corten_lab::trial::Trial;

pub(crate) const TRIALS: &[Trial] = &[(
    "definitions_refuse_what_nobody_can_use",
    definitions_refuse_what_nobody_can_use,
)];

/// Kind, what is wrong, what the API server says, and the same put right.
const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "IPAddressPool",
        "addresses: []",
        "no addresses",
        "addresses: [192.0.2.0/24]",
    ),
    (
        "BGPAdvertisement",
        "aggregationLength: 33",
        "aggregationLength must be at most 32",
        "aggregationLength: 32",
    ),
    (
        "BGPAdvertisement",
        "aggregationLengthV6: 129",
        "aggregationLengthV6 must be at most 128",
        "aggregationLengthV6: 128",
    ),
    (
        "BGPAdvertisement",
        "aggregationLength: 24, serviceSelectors: [{matchLabels: {a: b}}]",
        "mutually exclusive",
        "aggregationLength: 32, serviceSelectors: [{matchLabels: {a: b}}]",
    ),
    (
        "BGPPeer",
        "myASN: 0, peerASN: 2, peerAddress: 192.0.2.1",
        "0 is not a valid AS number",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerAddress: 192.0.2.1",
        "just one of peerASN and dynamicASN",
        "myASN: 1, dynamicASN: external, peerAddress: 192.0.2.1",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, dynamicASN: internal, peerAddress: 192.0.2.1",
        "just one of peerASN and dynamicASN",
        "myASN: 1, peerASN: 0, dynamicASN: internal, peerAddress: 192.0.2.1",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2",
        "just one of peerAddress and interface",
        "myASN: 1, peerASN: 2, interface: eth0",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, interface: eth0",
        "just one of peerAddress and interface",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, interface: \"\"",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 1, ebgpMultiHop: true, peerAddress: 192.0.2.1",
        "ebgpMultiHop needs",
        "myASN: 1, peerASN: 1, ebgpMultiHop: false, peerAddress: 192.0.2.1",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, password: a, passwordSecret: {name: b}",
        "password and passwordSecret are mutually exclusive",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, password: a, passwordSecret: {name: \"\"}",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 2900ms",
        "hold time must be 0 or at least 3s",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 3s",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: -10s",
        "hold time must be 0 or at least 3s",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 0s",
    ),
    (
        "BGPPeer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 9s, keepaliveTime: 10s",
        "keepalive time must not be longer",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 1m30s, keepaliveTime: 10s",
    ),
];

/// Each is refused by the API server alone and by what reads objects at run time, so that the
/// definitions refuse nothing anybody could have used; put right, both take it.
fn definitions_refuse_what_nobody_can_use() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    for (kind, wrong, says, right) in CASES {
        let (wrong, right) = (custom(kind, "case", wrong), custom(kind, "case", right));
        match client.apply(&wrong) {
            Ok(()) => anyhow::bail!("allowed: {wrong}"),
            Err(error) => ensure!(format!("{error:#}").contains(says), "{wrong}{error:#}"),
        }
        client.apply(&right)?;
        ensure!(!valid(&wrong)?, "only the definition refuses {wrong}");
        ensure!(valid(&right)?, "only the definition takes {right}");
    }
    Ok(())
}

/// Whether `corten validate` takes this.
fn valid(object: &str) -> Result<bool> {
    let directory = Manifests::new()?;
    directory.write("object.yaml", object)?;
    let path = directory.path().display().to_string();
    let out = corten::command(&["validate", &path])?;
    Ok(out.status.success())
}
