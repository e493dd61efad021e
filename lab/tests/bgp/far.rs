//! Peers with a router between, and those behind a device.

use crate::line::{Frr, Line, all, established};
use crate::watching::{BFDD, profile, up, wait_peer};
use anyhow::{Context as _, Result, ensure};
use corten_lab::corten::Bfd;
use corten_lab::netns::Netns;

/// The cable's other end becomes a router, with the peer, 203.0.113.2, behind it.
fn between(line: &mut Line) -> Result<Netns> {
    let middle = std::mem::replace(&mut line.router, Netns::new("beyond")?);
    let path = line.router.path();
    middle.ip(&[
        format!("link add mid type veth peer name beyond netns {path}"),
        "address add 203.0.113.1/24 dev mid".to_owned(),
        "link set mid up".to_owned(),
    ])?;
    middle.sysctl("ipv4/ip_forward", "1")?;
    line.router.ip(&[
        "address add 203.0.113.2/24 dev beyond",
        "link set beyond up",
        "route add 192.0.2.0/24 via 203.0.113.1",
    ])?;
    let ours = &line.node.ns;
    ours.ip(&["route add 203.0.113.0/24 via 192.0.2.2"])?;
    Ok(middle)
}

pub(crate) fn a_router_between() -> Result<()> {
    // As with MetalLB's own BGP, a peer further away needs no ebgpMultiHop.
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 203.0.113.2, holdTime: 90s";
    let mut line = Line::new(peer, "")?;
    let middle = between(&mut line)?;
    profile(&line, "transmitInterval: 300, receiveInterval: 300")?;
    let neighbour = "neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 ebgp-multihop 5\n \
                     neighbor 192.0.2.1 bfd profile fast";
    let frr = Frr::start_with_bfd(&line, "frr-beyond", neighbour, BFDD)?;
    let mut corten = line.start()?;
    corten.wait_status("a session", |s| established(&s))?;
    frr.wait_route("198.51.100.0/32", true)?;
    // With it BFD is for several hops.
    let far = "holdTime: 90s, ebgpMultiHop: true, bfdProfile: fast";
    line.manifests.edit("config.yaml", "holdTime: 90s", far)?;
    let said = || {
        let said = frr.daemon_says("bfdd", &["show bfd peers json"]);
        said.unwrap_or_else(|error| format!("{error:#}"))
    };
    let peer = wait_peer(&corten, "a session with BFD", up).with_context(said)?;
    ensure!(peer.bfd.is_some_and(|bfd| bfd.multihop && bfd.downs == 0));
    all(&said(), &["\"status\":\"up\"", "\"multihop\":true"])?;
    frr.wait_route("198.51.100.0/32", true)?;
    // What comes from further away than `minimumTtl` allows isn't the peer. TCP gets through.
    let further = "type filter hook forward priority 0\nudp dport 4784 ip ttl set 200";
    let table = format!("table ip further {{\nchain forward {{\n{further}\n}}\n}}");
    middle.nft(&table)?;
    // The router may notice first, and say so by BGP.
    wait_peer(&corten, "the end of the session", |p| {
        let lost = |bfd: &Bfd| bfd.packets_ignored > 0 && bfd.downs == 1;
        p.state != "Established" && p.bfd.as_ref().is_some_and(lost)
    })?;
    middle.nft("delete table ip further")?;
    wait_peer(&corten, "everything again", up).with_context(said)?;
    frr.wait_route("198.51.100.0/32", true)?;
    Ok(())
}

/// The session and BFD go through the device of the VRF. Where the kernel has none, any device does
/// to see that.
pub(crate) fn behind_a_device() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, vrf: red, bfdProfile: fast";
    let line = Line::new(peer, "")?;
    profile(&line, "transmitInterval: 300, receiveInterval: 300")?;
    let neighbour = "neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 bfd profile fast";
    let frr = Frr::start_with_bfd(&line, "frr-vrf", neighbour, BFDD)?;
    let mut corten = line.start()?;
    let error = corten.wait_status("an error", |s| {
        s.bgp_peers.into_iter().find_map(|p| p.error)
    })?;
    all(&error, &["there is no interface or VRF device red"])?;
    let near = &line.node.ns;
    if near.ip(&["link add red type vrf table 10"]).is_ok() {
        near.ip(&["link set red up", "link set near master red"])?;
    } else {
        near.ip(&["link set near down", "link set near name red"])?;
        near.ip(&["link set red up"])?;
    }
    near.ip(&["address replace 2001:db8::1/64 dev red nodad"])?;
    wait_peer(&corten, "a session with BFD", up)?;
    frr.wait_route("198.51.100.0/32", true)?;
    let labels = "{peer=\"192.0.2.2:179\",vrf=\"red\"}";
    all(
        &line.metrics()?,
        &[&format!("metallb_bgp_session_up{labels} 1\n")],
    )
}
