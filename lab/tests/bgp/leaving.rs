//! The ways to go: for good, so that routers look for other ways first, and for a restart.

use crate::line::{Frr, Line, all, established};
use anyhow::{Result, ensure};
use serde_json::Value;

const PEER: &str =
    "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, enableGracefulRestart: true";
const ROUTER: &str = "bgp graceful-restart\n bgp graceful-restart stalepath-time 300\n \
                      neighbor 192.0.2.1 remote-as 64512";
const LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

pub(crate) fn frr_is_told_before_a_node_leaves() -> Result<()> {
    let line = Line::new(PEER, "")?;
    let annotation = "annotations: {corten.io/bgp-graceful-shutdown: 6s}";
    let named = format!("name: router\n  {annotation}\n");
    line.manifests
        .edit("config.yaml", "name: router\n", &named)?;
    let frr = Frr::start(&line, "frr-leaving", ROUTER)?;
    let mut corten = line.start()?;
    corten.wait_status("a session", |s| established(&s))?;
    let route = frr.wait_route("198.51.100.0/32", true)?;
    ensure!(!route.contains("graceful-shutdown"), "{route}");
    let labelled = format!("name: node1\n  labels: {{{LABEL}: \"\"}}\n");
    line.manifests
        .edit("config.yaml", "name: node1\n", &labelled)?;
    // Marked first, with the session up.
    let marked = frr.wait_said("show bgp ipv4 unicast 198.51.100.0/32", "graceful-shutdown")?;
    all(&marked, &[", valid, "])?;
    // Then gone, not kept; then the session, in words.
    frr.wait_route("198.51.100.0/32", false)?;
    let told = |v: &Value| v["lastNotificationReason"] == "Cease/Administrative Shutdown";
    let seen = frr.wait_neighbour("the farewell", told)?;
    all(&seen.to_string(), &["this node leaves load balancing"])?;
    corten.wait_status("no session", |s| {
        let why = s.bgp_peers.first()?.error.clone()?;
        why.contains("leaves load balancing").then_some(())
    })?;
    line.manifests
        .edit("config.yaml", &labelled, "name: node1\n")?;
    corten.wait_status("a session again", |s| established(&s))?;
    let back = frr.wait_route("198.51.100.0/32", true)?;
    ensure!(!back.contains("graceful-shutdown"), "{back}");
    Ok(())
}

pub(crate) fn frr_keeps_routes_over_a_restart() -> Result<()> {
    let line = Line::new(PEER, "")?;
    let frr = Frr::start(&line, "frr-restart", ROUTER)?;
    let mut corten = line.start()?;
    corten.wait_status("a session", |s| established(&s))?;
    for prefix in ["198.51.100.0/32", "198.51.100.1/32"] {
        frr.wait_route(prefix, true)?;
    }
    let end = corten.stop()?;
    ensure!(end.success(), "{end}\n{}", corten.story());
    let show = "show bgp ipv4 unicast 198.51.100.0/32";
    let stale = frr.wait_said(show, "stale")?;
    all(&stale, &[", valid, ", "best"])?;
    // What is gone when it is back is told once the table is whole.
    line.manifests.remove("web2.yaml")?;
    corten.restart()?;
    frr.wait_route("198.51.100.1/32", false)?;
    let fresh = frr.says(show)?;
    ensure!(
        fresh.contains(", valid, ") && !fresh.contains("stale"),
        "{fresh}"
    );
    let neighbour = frr.neighbour()?;
    ensure!(neighbour["connectionsEstablished"] == 2, "{neighbour}");
    Ok(())
}
