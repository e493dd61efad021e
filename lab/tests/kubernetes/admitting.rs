//! The webhooks, asked by the real API server.

use crate::objects::{NAMESPACE, custom};
use crate::setup::{self, DEADLINE, deployed};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind, Kubernetes};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::{Value, json};

pub(crate) const TRIALS: &[Trial] = &[
    ("bad_objects_are_refused", bad_objects_are_refused),
    ("peers_have_two_versions", peers_have_two_versions),
    (
        "a_spoilt_certificate_is_replaced",
        a_spoilt_certificate_is_replaced,
    ),
];

const SERVICE: &str = "metallb-webhook-service";
const SECRET: &str = "metallb-webhook-cert";

/// Has the API server ask a controller that runs beside it, and waits until it is answered.
pub(crate) fn enable(cluster: &Kubernetes) -> Result<()> {
    let client = cluster.client();
    client.apply(&deployed("webhooks.yaml")?)?;
    cluster.proxy(NAMESPACE, SERVICE, 443, 9443)?;
    wait_answered(client)
}

/// Waits until the webhooks are asked and let through what nothing is wrong with, and the conversion
/// too: the API server learns by a watch that it has to ask, and whom to trust for each of them.
fn wait_answered(client: &Client) -> Result<()> {
    let probe = |value: &str| {
        let spec = format!("communities: [{{name: probe, value: \"{value}\"}}]");
        custom("Community", "probe", &spec)
    };
    wait_until("a refusal of the webhooks", DEADLINE, || {
        let refused = client.would_apply(&probe("nonsense")).err();
        let said = refused.map(|error| format!("{error:#}"));
        Ok(said.filter(|said| said.contains("denied the request")))
    })?;
    client.would_apply(&probe("64512:1"))?;
    let probe = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\n\
         metadata: {name: probe, namespace: metallb-system}\n\
         spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.254}\n";
    wait_until("an answer of the conversion", DEADLINE, || {
        Ok(client.apply(probe).ok())
    })?;
    client.delete(Kind::BGPPeer, NAMESPACE, "probe")?;
    Ok(())
}

/// Takes the key away from the certificate's Secret, and waits until it has another.
pub(crate) fn spoil(client: &Client) -> Result<()> {
    let key = || -> Result<Value> {
        let secret = client.get(Kind::Secret, NAMESPACE, SECRET)?;
        Ok(secret.context("no Secret")?["data"]["tls.key"].clone())
    };
    let before = key()?;
    client.patch(
        Kind::Secret,
        NAMESPACE,
        SECRET,
        json!({"data": {"tls.key": null}}),
    )?;
    wait_until("another key", DEADLINE, || {
        let now = key()?;
        Ok((now.is_string() && now != before).then_some(()))
    })
}

/// Checks that applying is refused with a text that says `expected`.
fn refused(client: &Client, object: &str, expected: &str) -> Result<()> {
    match client.apply(object) {
        Ok(()) => anyhow::bail!("allowed: {object}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(expected), "{object}: {text}");
            ensure!(
                text.contains("denied the request"),
                "not by the webhook: {text}"
            );
            Ok(())
        }
    }
}

fn bad_objects_are_refused() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let controller = setup::controller(&cluster)?;
    enable(&cluster).with_context(|| controller.log().join("\n"))?;
    let pool = |name: &str, addresses: &str| {
        custom("IPAddressPool", name, &format!("addresses: [{addresses}]"))
    };
    client.apply(&pool("first", "192.0.2.0/28"))?;
    client.apply(&pool("second", "192.0.2.16/28"))?;
    refused(client, &pool("third", "192.0.2.8-192.0.2.9"), "overlaps")?;
    refused(client, &pool("second", "192.0.2.0/27"), "overlaps")?;
    let aggregated = "ipAddressPools: [first], aggregationLength: 26";
    refused(
        client,
        &custom("BGPAdvertisement", "a", aggregated),
        "invalid aggregation length 26",
    )?;
    let selectors = "nodeSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]";
    refused(
        client,
        &custom("L2Advertisement", "a", selectors),
        "nodeSelectors",
    )?;
    let peer = |address: &str| {
        let spec = format!("myASN: 1, peerASN: 2, peerAddress: {address}, bfdProfile: fast");
        custom("BGPPeer", "peer", &spec)
    };
    refused(client, &peer("192.0.2.400"), "invalid BGPPeer address")?;
    let community = |value: &str| {
        custom(
            "Community",
            "c",
            &format!("communities: [{{name: a, value: \"{value}\"}}]"),
        )
    };
    refused(client, &community("99999999:1"), "invalid community")?;
    client.apply(&community("1:1"))?;
    refused(client, &community("nonsense"), "invalid community")?;
    let again = "communities: [{name: a, value: \"2:2\"}]";
    let again = custom("Community", "d", again);
    refused(client, &again, "duplicate definition of community")?;
    client.apply(&custom("BFDProfile", "fast", "receiveInterval: 300"))?;
    client.apply(&peer("192.0.2.4"))?;
    let kept = client.delete(Kind::BFDProfile, NAMESPACE, "fast");
    let text = format!("{:#}", kept.err().context("a profile in use was deleted")?);
    ensure!(text.contains("failed to delete BFDProfile"), "{text}");
    for (kind, spec) in [
        ("IPAddressPool", "addresses: [198.51.100.0/24]"),
        ("L2Advertisement", ""),
        ("BGPAdvertisement", ""),
        ("BGPPeer", "myASN: 1, peerASN: 2, peerAddress: 192.0.2.5"),
        ("BFDProfile", ""),
        ("Community", ""),
    ] {
        let elsewhere = custom(kind, "elsewhere", spec);
        let elsewhere = elsewhere.replace(&format!("namespace: {NAMESPACE}"), "namespace: default");
        let cause = format!("resource must be created in {NAMESPACE} namespace");
        refused(client, &elsewhere, &cause)?;
    }
    Ok(())
}

fn peers_have_two_versions() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let _controller = setup::controller(&cluster)?;
    enable(&cluster)?;
    // The authority in the definition is what the conversion is asked with.
    let old = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\n\
         metadata: {name: old, namespace: metallb-system}\n\
         spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, peerPort: 180}\n";
    client.apply(old)?;
    let new = client
        .get(Kind::BGPPeer, NAMESPACE, "old")?
        .context("old")?;
    ensure!(new["spec"]["peerPort"] == 180, "{new}");
    client.apply(&custom(
        "BGPPeer",
        "new",
        "myASN: 1, peerASN: 2, peerAddress: 192.0.2.2, vrf: red",
    ))?;
    let shown = client
        .get(Kind::OLD_BGP_PEER, NAMESPACE, "new")?
        .context("new")?;
    ensure!(shown["apiVersion"] == "metallb.io/v1beta1", "{shown}");
    ensure!(shown["spec"]["peerAddress"] == "192.0.2.2", "{shown}");
    let both = client.list(Kind::OLD_BGP_PEER, NAMESPACE)?;
    ensure!(both.len() == 2, "{both:?}");
    Ok(())
}

fn a_spoilt_certificate_is_replaced() -> Result<()> {
    let cluster = setup::cluster()?;
    let client = cluster.client();
    let controller = setup::controller(&cluster)?;
    enable(&cluster)?;
    spoil(client)?;
    wait_answered(client).with_context(|| controller.log().join("\n"))?;
    // Whoever applies the manifests again takes the authority away; it comes back.
    client.apply(&setup::definitions()?)?;
    let configuration = "metallb-webhook-configuration";
    client.delete(Kind::ValidatingWebhookConfiguration, "", configuration)?;
    client.apply(&deployed("webhooks.yaml")?)?;
    wait_until("the authority in every webhook", DEADLINE, || {
        let found = client.get(Kind::ValidatingWebhookConfiguration, "", configuration)?;
        let found = found.context("configuration")?;
        let webhooks = found["webhooks"].as_array().context("webhooks")?;
        ensure!(webhooks.len() == 6, "{found}");
        let known = |w: &Value| w["clientConfig"]["caBundle"].is_string();
        Ok(webhooks.iter().all(known).then_some(()))
    })?;
    wait_answered(client).with_context(|| controller.log().join("\n"))
}
