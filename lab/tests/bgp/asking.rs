//! `corten bgp`.

use crate::line::{DEADLINE, Frr, Line, all};
use anyhow::{Context, Result, ensure};
use corten_lab::corten::Corten;
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::fs;

/// Waits until the prefix stands as wanted with the only peer.
fn wait_standing(corten: &Corten, prefix: &str, standing: &str) -> Result<Value> {
    let mut last = Value::Null;
    wait_until(prefix, DEADLINE, || {
        // Right after its start nobody answers yet.
        last = corten.bgp_json(&["routes"]).unwrap_or_default();
        let routes = last[0]["routes"].as_array().into_iter().flatten();
        let mut found = routes.filter(|r| r["prefix"] == prefix && r["standing"] == standing);
        Ok(found.next().cloned())
    })
    .with_context(|| format!("{last}\n{}", corten.story()))
}

pub(crate) fn what_is_announced_is_shown() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "communities: [\"64512:7\"]")?;
    let corten = line.start()?;
    let route = wait_standing(&corten, "198.51.100.0/32", "pending")?;
    ensure!(route["why"] == "there is no session", "{route}");
    let frr = Frr::start(&line, "frr-asking", "neighbor 192.0.2.1 remote-as 64512")?;
    let route = wait_standing(&corten, "198.51.100.0/32", "announced")?;
    ensure!(route["services"][0] == "default/web1", "{route}");
    ensure!(route["communities"][0] == "64512:7", "{route}");
    let route = wait_standing(&corten, "2001:db8:100::/128", "withheld")?;
    ensure!(
        route["why"]
            .as_str()
            .is_some_and(|why| why.contains("IPv6")),
        "{route}"
    );
    frr.wait_route("198.51.100.0/32", true)?;
    let said = corten.bgp(&["peers", "router"])?;
    all(
        &said,
        &[
            "router 192.0.2.2:179: Established for ",
            "AS 64512, identifier 192.0.2.1, at 192.0.2.1:",
            "peer: AS 64513, identifier 192.0.2.2, carries IPv4 unicast",
            "hold time 90 s, keepalive 30 s",
            "route refresh; ",
            "routes: 2 announced, 0 pending, 0 can't be announced",
            "sent: 1 OPEN, ",
        ],
    )?;
    all(
        &corten.bgp(&["routes"])?,
        &["PREFIX", "198.51.100.1/32", "default/web2"],
    )?;
    // The first table was whole before its end was told, though addresses were new.
    let messages = corten.bgp_json(&["messages"])?;
    let texts: Vec<_> = messages.as_array().context("no list")?.iter().collect();
    let at = |part: &str| {
        let text = |m: &&&Value| m["text"].as_str().is_some_and(|text| text.contains(part));
        let at = texts.iter().position(|m| text(&m));
        at.with_context(|| format!("no {part:?} in {messages}"))
    };
    ensure!(
        at("sent OPEN")? < at("sent UPDATE, 2 announced: 198.51.100.0/32")?,
        "{messages}"
    );
    ensure!(
        at("2 announced")? < at("sent UPDATE, End-of-RIB")?,
        "{messages}"
    );
    at("received OPEN, AS 64513")?;
    let file = line.manifests.path().with_extension("pcap");
    let name = file.display().to_string();
    corten.bgp(&["messages", "router", "--pcap", &name])?;
    let capture = fs::read(&file)?;
    fs::remove_file(&file)?;
    ensure!(capture.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4]));
    let octets: usize = texts
        .iter()
        .filter_map(|m| m["length"].as_u64())
        .sum::<u64>()
        .try_into()?;
    ensure!(capture.len() >= 24 + octets, "{}", capture.len());
    // A peer that isn't there is no empty answer.
    let error = corten
        .bgp(&["messages", "nobody"])
        .err()
        .context("nobody is there")?;
    all(&format!("{error:#}"), &["nobody"])
}
