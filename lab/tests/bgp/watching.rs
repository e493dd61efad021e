//! BFD beside the sessions.

use crate::line::{DEADLINE, Frr, Line, all, object};
use anyhow::{Context, Result, ensure};
use corten_lab::corten::{BgpPeer, Corten};
use corten_lab::manifests::{self, Stack};
use corten_lab::netns::Netns;
use corten_lab::router::Bird;
use corten_lab::wait::wait_until;
use std::time::{Duration, Instant};

/// The hold time is no help: what is noticed sooner is noticed by BFD.
const PEER: &str = "myASN: 64512, peerASN: 64513, holdTime: 90s, bfdProfile: fast";
/// Long enough for a machine that is busy, and nothing beside the hold time.
const SOON: Duration = Duration::from_secs(20);

// Three intervals pass without a word only where nobody runs for a second: sessions are counted
// here, and a machine that is busy must not end one.

const FRR: &str = "neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 bfd profile fast";
pub(crate) const BFDD: &str = "bfd\n profile fast\n  detect-multiplier 3\n  receive-interval 300\n  \
                    transmit-interval 300\n exit\nexit\n";

fn line(peer: &str) -> Result<Line> {
    let line = Line::new(&format!("{PEER}, {peer}"), "")?;
    profile(&line, "transmitInterval: 300, receiveInterval: 300")?;
    Ok(line)
}

pub(crate) fn profile(line: &Line, spec: &str) -> Result<()> {
    let profile = object("v1beta1", "BFDProfile", "fast", spec);
    line.manifests.write("bfd.yaml", &profile)
}

/// Waits until the only peer is as wanted.
pub(crate) fn wait_peer(
    corten: &Corten,
    what: &str,
    wanted: impl Fn(&BgpPeer) -> bool,
) -> Result<BgpPeer> {
    let mut last = None;
    wait_until(what, DEADLINE, || {
        // Right after its start nobody answers yet.
        let peer = corten.status().ok();
        last = peer.and_then(|status| status.bgp_peers.into_iter().next());
        Ok(last.clone().filter(&wanted))
    })
    .with_context(|| format!("{last:?}\n{}", corten.story()))
}

pub(crate) fn up(peer: &BgpPeer) -> bool {
    peer.state == "Established" && peer.bfd.as_ref().is_some_and(|bfd| bfd.state == "Up")
}

/// Nothing passes the router's end of the cable, and neither end sees a link go down.
fn cut(router: &Netns) -> Result<()> {
    let chain =
        |hook| format!("chain {hook} {{ type filter hook {hook} priority -300; policy drop; }}");
    let (input, output) = (chain("input"), chain("output"));
    router.nft(&format!("table inet cut {{\n{input}\n{output}\n}}"))
}

fn mend(router: &Netns) -> Result<()> {
    router.nft("delete table inet cut")
}

/// The cable is cut: the session ends long before the hold time. It is mended: all is as before.
fn dies_and_comes_back(line: &Line, corten: &Corten) -> Result<()> {
    let cut_at = Instant::now();
    cut(&line.router)?;
    let lost = wait_peer(corten, "the end of the session", |p| {
        p.state != "Established"
    })?;
    let took = cut_at.elapsed();
    ensure!(took < SOON, "{took:?}");
    let bfd = lost.bfd.context("no BFD")?;
    let why = bfd.diagnostic.as_deref();
    ensure!(
        bfd.downs == 1 && why == Some("control detection time expired"),
        "{bfd:?}"
    );
    mend(&line.router)?;
    wait_peer(corten, "everything again", up)?;
    Ok(())
}

pub(crate) fn frr_and_a_dead_cable() -> Result<()> {
    let line = line("peerAddress: 192.0.2.2")?;
    let frr = Frr::start_with_bfd(&line, "frr-bfd", FRR, BFDD)?;
    let corten = line.start()?;
    wait_peer(&corten, "a session with BFD", up).with_context(|| {
        frr.daemon_says("bfdd", &["show bfd peers"])
            .unwrap_or_default()
    })?;
    frr.wait_route("198.51.100.0/32", true)?;
    let said = frr.daemon_says("bfdd", &["show bfd peers json"])?;
    all(
        &said,
        &[
            "\"status\":\"up\"",
            "\"multihop\":false",
            "\"remote-receive-interval\":300",
        ],
    )?;
    dies_and_comes_back(&line, &corten)?;
    frr.wait_route("198.51.100.0/32", true)?;
    let labels = "{peer=\"192.0.2.2\",vrf=\"default\"}";
    let metrics = line.metrics()?;
    all(
        &metrics,
        &[
            &format!("metallb_bfd_session_up{labels} 1\n"),
            &format!("metallb_bfd_session_down_events{labels} 1\n"),
            &format!("metallb_bfd_session_up_events{labels} 2\n"),
        ],
    )?;
    // Other intervals are agreed on while the session is up.
    profile(&line, "transmitInterval: 400, receiveInterval: 400")?;
    wait_until("the other interval", DEADLINE, || {
        let said = frr.daemon_says("bfdd", &["show bfd peers json"])?;
        Ok(said
            .contains("\"remote-receive-interval\":400")
            .then_some(()))
    })?;
    let peer = wait_peer(&corten, "the session", up)?;
    ensure!(peer.bfd.is_some_and(|bfd| bfd.downs == 1));
    Ok(())
}

/// Echo packets go both ways; when the router's forwarding plane returns none any more, the way is
/// dead although its BFD goes on.
pub(crate) fn frr_returns_echoes() -> Result<()> {
    let line = line("peerAddress: 192.0.2.2")?;
    // Echo packets are IPv4's, and so is all that depends on them.
    line.manifests
        .edit("config.yaml", "    - \"2001:db8:100::/124\"\n", "")?;
    for name in ["web1", "web2"] {
        let service = manifests::service(name, Stack::V4, &[], &["node1"]);
        line.manifests.write(&format!("{name}.yaml"), &service)?;
    }
    // Control packets are too slow to notice anything.
    let slow = "transmitInterval: 1000, receiveInterval: 1000";
    profile(&line, &format!("{slow}, echoMode: true, echoInterval: 300"))?;
    for ns in [&line.node.ns, &line.router] {
        ns.sysctl("ipv4/ip_forward", "1")?;
    }
    let bfdd = "bfd\n profile fast\n  detect-multiplier 3\n  receive-interval 1000\n  \
                transmit-interval 1000\n  echo-mode\n  echo transmit-interval 300\n  \
                echo receive-interval 300\n exit\nexit\n";
    let frr = Frr::start_with_bfd(&line, "frr-echo", FRR, bfdd)?;
    let corten = line.start()?;
    let echoes = |p: &BgpPeer| {
        up(p)
            && p.bfd
                .as_ref()
                .is_some_and(|b| b.echo && b.echoes_returned > 10)
    };
    let counted = || frr.daemon_says("bfdd", &["show bfd peers counters json"]);
    let said = || counted().unwrap_or_default();
    let peer = wait_peer(&corten, "echoes that come back", echoes).with_context(said)?;
    ensure!(peer.bfd.is_some_and(|bfd| bfd.downs == 0));
    // The router's own come back to it by way of our forwarding plane.
    let mut last = String::new();
    wait_until("echoes that come back to the router", DEADLINE, || {
        last = counted()?;
        let none = last.contains("\"echo-packet-input\":0,");
        Ok((!none && last.contains("\"echo-packet-input\":")).then_some(()))
    })
    .with_context(|| last)?;
    line.router.sysctl("ipv4/ip_forward", "0")?;
    let failed = |p: &BgpPeer| {
        let why = p.bfd.as_ref().and_then(|bfd| bfd.diagnostic.as_deref());
        p.state != "Established" && why == Some("echo function failed")
    };
    wait_peer(&corten, "the end of the session", failed)?;
    line.router.sysctl("ipv4/ip_forward", "1")?;
    wait_peer(&corten, "everything again", echoes).with_context(said)?;
    frr.wait_route("198.51.100.0/32", true)?;
    let metrics = line.metrics()?;
    let returned = "metallb_bfd_echo_packet_input{peer=\"192.0.2.2\",vrf=\"default\"} ";
    ensure!(!metrics.contains(&format!("{returned}0\n")), "{metrics}");
    all(&metrics, &[returned])?;
    // Over several hops there are none, and somebody says so.
    line.manifests.edit(
        "config.yaml",
        "bfdProfile: fast",
        "bfdProfile: fast, ebgpMultiHop: true",
    )?;
    let mut last = Vec::new();
    wait_until("a warning", DEADLINE, || {
        last = corten.status()?.warnings;
        Ok(last
            .concat()
            .contains("asks for echo packets")
            .then_some(()))
    })
    .with_context(|| last.concat())?;
    Ok(())
}

pub(crate) fn bird_and_a_dead_cable() -> Result<()> {
    let line = line("peerAddress: \"2001:db8::2\", peerPort: 1790")?;
    let text = "router id 192.0.2.2;\nprotocol device {}\nprotocol bfd {\n  interface \"far\" { \
                interval 300 ms; multiplier 3; };\n}\nprotocol bgp corten {\n  local 2001:db8::2 \
                port 1790 as 64513;\n  neighbor 2001:db8::1 as 64512;\n  passive;\n  error wait time 1, 2;\n  bfd on;\n  \
                ipv6 { import all; export none; };\n}\n";
    let bird = Bird::start(&line.router, "bird-bfd", text)?;
    let corten = line.start()?;
    wait_peer(&corten, "a session with BFD", up)
        .with_context(|| bird.says(&["show", "bfd", "sessions"]).unwrap_or_default())?;
    dies_and_comes_back(&line, &corten)?;
    Ok(())
}

pub(crate) fn an_administrator_kills_nothing() -> Result<()> {
    let line = line("peerAddress: 192.0.2.2")?;
    // A bgpd that doesn't look at BFD: what is drawn from it is our doing alone.
    let at = "peer 192.0.2.1 local-address 192.0.2.2 interface far";
    let bfdd = format!("{BFDD}bfd\n {at}\n  profile fast\n exit\nexit\n");
    let frr = Frr::start_with_bfd(
        &line,
        "frr-admin",
        "neighbor 192.0.2.1 remote-as 64512",
        &bfdd,
    )?;
    let mut corten = line.start()?;
    let before = wait_peer(&corten, "a session with BFD", up)?;
    let at_bfdd = |last| ["configure terminal", "bfd", at, last];
    frr.daemon_says("bfdd", &at_bfdd("shutdown"))?;
    // What the peer said of itself is forgotten soon, since it says no more.
    let told = |p: &BgpPeer| {
        let down = p.bfd.as_ref().is_some_and(|bfd| bfd.state == "Down");
        down && corten
            .story()
            .contains("BFD session ended by an administrator")
    };
    let stays = |p: &BgpPeer| {
        ensure!(
            p.state == "Established" && p.up_seconds >= before.up_seconds,
            "{p:?}"
        );
        Ok(())
    };
    stays(&wait_peer(&corten, "the administrator's wish", told)?)?;
    frr.daemon_says("bfdd", &at_bfdd("no shutdown"))?;
    stays(&wait_peer(&corten, "BFD again", up)?)?;
    // The profile goes: the router hears that it is by our wish, and the session stays as it is.
    line.manifests
        .edit("config.yaml", ", bfdProfile: fast", "")?;
    stays(&wait_peer(&corten, "no BFD", |p| p.bfd.is_none())?)?;
    let mut last = String::new();
    wait_until("a router that was told", DEADLINE, || {
        last = frr.daemon_says("bfdd", &["show bfd peers json"])?;
        let told = last.contains("\"remote-diagnostic\":\"administratively down\"");
        Ok((told && last.contains("\"status\":\"down\"")).then_some(()))
    })
    .with_context(|| last)?;
    stays(&wait_peer(&corten, "the session", |_| true)?)?;
    ensure!(corten.stop()?.success());
    let told =
        |v: &serde_json::Value| v["lastNotificationReason"] == "Cease/Administrative Shutdown";
    frr.wait_neighbour("the farewell", told)?;
    Ok(())
}
