//! What a user applies first: our definitions, then objects as MetalLB documents them.

use crate::objects::{NAMESPACE, custom};
use crate::setup;
use anyhow::{Result, ensure};
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;

pub(crate) const TRIALS: &[Trial] = &[(
    "definitions_are_taken_and_objects_listed",
    definitions_are_taken_and_objects_listed,
)];

/// One of each kind, with the fields users set.
fn samples() -> String {
    [
        custom(
            "IPAddressPool",
            "first",
            "addresses: [192.168.10.0/24, 192.168.9.1-192.168.9.5, \"fc00:f853:cc0:e799::/124\"], \
             autoAssign: true, avoidBuggyIPs: true, \
             serviceAllocation: {priority: 50, namespaces: [ns-a], \
             serviceSelectors: [{matchExpressions: [{key: app, operator: In, values: [bar]}]}]}",
        ),
        custom(
            "L2Advertisement",
            "l2",
            "ipAddressPools: [first], interfaces: [eth0], \
             nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]",
        ),
        custom(
            "BGPAdvertisement",
            "bgp",
            "ipAddressPools: [first], aggregationLength: 32, localPref: 100, \
             communities: [\"65535:65282\", alias]",
        ),
        custom(
            "Community",
            "aliases",
            "communities: [{name: alias, value: \"64512:100\"}]",
        ),
        custom(
            "BFDProfile",
            "fast",
            "receiveInterval: 300, transmitInterval: 300, minimumTtl: 254",
        ),
        custom(
            "BGPPeer",
            "router",
            "myASN: 64512, peerASN: 64513, peerAddress: 172.30.0.3, holdTime: 90s",
        ),
    ]
    .concat()
}

fn definitions_are_taken_and_objects_listed() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    client.apply(&samples())?;
    for kind in [
        Kind::IPAddressPool,
        Kind::L2Advertisement,
        Kind::BGPAdvertisement,
        Kind::Community,
        Kind::BFDProfile,
        Kind::BGPPeer,
    ] {
        let found = client.list(kind, NAMESPACE)?;
        ensure!(found.len() == 1, "{kind:?}: {found:?}");
    }
    let peer = client
        .get(Kind::BGPPeer, NAMESPACE, "router")?
        .unwrap_or_default();
    ensure!(
        peer["spec"]["peerPort"] == 179,
        "defaults are filled in: {peer}"
    );
    let refused = client.apply(&custom("BFDProfile", "slow", "receiveInterval: 5"));
    ensure!(refused.is_err(), "10 ms is the least");
    Ok(())
}
