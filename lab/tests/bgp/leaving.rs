//! The ways to go: for good, so that routers look for other ways first, and for a restart.

use crate::line::{DEADLINE, Frr, Line, all, established};
use crate::watching::{BFDD, profile, up, wait_peer};
use anyhow::{Result, ensure};
use corten_lab::manifests::{self, Stack};
use corten_lab::wait::wait_until;
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

/// FRR looks at BFD, too, and at its C bit: that this process's silence says nothing about the way.
pub(crate) fn frr_keeps_routes_over_a_restart() -> Result<()> {
    let line = Line::new(&format!("{PEER}, bfdProfile: fast"), "")?;
    profile(&line, "transmitInterval: 300, receiveInterval: 300")?;
    let bfd = "\n neighbor 192.0.2.1 bfd\n neighbor 192.0.2.1 bfd profile fast\n \
               neighbor 192.0.2.1 bfd check-control-plane-failure";
    let router = format!("{ROUTER}{bfd}");
    let frr = Frr::start_with_bfd(&line, "frr-restart", &router, BFDD)?;
    let mut corten = line.start()?;
    wait_peer(&corten, "a session with BFD", up)?;
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
    // A crash is no failure of the way, either.
    wait_peer(&corten, "a session with BFD again", up)?;
    corten.kill()?;
    let stale = frr.wait_said(show, "stale")?;
    all(&stale, &[", valid, ", "best"])?;
    corten.restart()?;
    wait_peer(&corten, "a session with BFD again", up)?;
    let fresh = || Ok((!frr.says(show)?.contains("stale")).then_some(()));
    wait_until("fresh routes", DEADLINE, fresh)?;
    Ok(())
}

/// An endpoint that comes and goes: each loss is told at once, and what is back only once it has
/// stayed.
pub(crate) fn what_flaps_is_held_down() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "")?;
    let held =
        |time: &str| format!("name: all\n  annotations: {{corten.io/bgp-hold-down: {time}}}\n");
    let (short, long) = (held("1s"), held("10m"));
    line.manifests.edit("config.yaml", "name: all\n", &short)?;
    let frr = Frr::start(&line, "frr-flapping", "neighbor 192.0.2.1 remote-as 64512")?;
    let corten = line.start()?;
    let prefix = "198.51.100.0/32";
    frr.wait_route(prefix, true)?;
    let flap = || -> Result<()> {
        let without = manifests::service("web1", Stack::Dual, &[], &[]);
        line.manifests.write("web1.yaml", &without)?;
        frr.wait_route(prefix, false)?;
        line.service("web1")
    };
    flap()?;
    frr.wait_route(prefix, true)?;
    line.manifests.edit("config.yaml", &short, &long)?;
    flap()?;
    let why = "BGPAdvertisement all holds it down so long";
    let says = || Ok(corten.explain("default/web1")?.contains(why).then_some(()));
    wait_until("a word on it", DEADLINE, says)?;
    frr.wait_route(prefix, false)?;
    frr.wait_route("198.51.100.1/32", true)?;
    line.manifests.edit("config.yaml", &long, "name: all\n")?;
    frr.wait_route(prefix, true)?;
    Ok(())
}
