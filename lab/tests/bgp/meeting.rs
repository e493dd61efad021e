//! Sessions with every router, and with those that misbehave.

use crate::line::{DEADLINE, Frr, Line, all, established, object};
use anyhow::{Context, Result, ensure};
use corten_lab::router::{self, Bird};
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Long enough for a machine that is busy, and nothing beside the timers of a session: who waits
/// for one of them waits for 90 seconds.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn frr_hears_both_families() -> Result<()> {
    // The router sees localASN, of four octets, and nothing of myASN.
    let peer = "myASN: 64512, localASN: 4200000001, peerASN: 64513, peerAddress: 192.0.2.2, \
                dualStackAddressFamily: true";
    let communities = "communities: [\"64512:7\", \"large:64512:1:2\"], localPref: 150";
    let line = Line::new(peer, communities)?;
    let frr = Frr::start(&line, "frr", "neighbor 192.0.2.1 remote-as 4200000001")?;
    let mut corten = line.start()?;
    corten
        .wait_status("a session", |s| established(&s))
        .with_context(|| frr.bgpd.log().join("\n"))?;
    let v4 = frr.wait_route("198.51.100.0/32", true)?;
    all(&v4, &["192.0.2.1 from 192.0.2.1", "64512:7", "64512:1:2"])?;
    let path = v4.lines().map(str::trim).find(|l| l.starts_with("42"));
    ensure!(path == Some("4200000001"), "{v4}");
    // LOCAL_PREF isn't for other ASes.
    ensure!(!v4.contains("localpref 150"), "{v4}");
    let v6 = frr.wait_route("2001:db8:100::/128", true)?;
    all(&v6, &["2001:db8::1", "fe80::", "64512:7", "64512:1:2"])?;
    frr.wait_route("198.51.100.1/32", true)?;
    // The first table was whole before its end was told, though addresses and session were new.
    let messages = corten.bgp_json(&["messages"])?;
    let at = |part: &str| {
        let text = |m: &Value| m["text"].as_str().is_some_and(|text| text.contains(part));
        let at = messages
            .as_array()
            .and_then(|all| all.iter().position(text));
        at.with_context(|| format!("no {part:?} in {messages}"))
    };
    let end = at("sent UPDATE, End-of-RIB")?;
    ensure!(at("2 announced: 198.51.100.0/32")? < end, "{messages}");
    ensure!(at("2 announced: 2001:db8:100::/128")? < end, "{messages}");
    // One Service more, one less: their routes only, in the same session.
    line.service("web3")?;
    // Both its updates have come before they are counted.
    for new in ["198.51.100.2/32", "2001:db8:100::2/128"] {
        frr.wait_route(new, true)?;
    }
    let before = frr.neighbour()?;
    line.manifests.remove("web2.yaml")?;
    frr.wait_route("198.51.100.1/32", false)?;
    frr.wait_route("2001:db8:100::1/128", false)?;
    for kept in ["198.51.100.0/32", "198.51.100.2/32", "2001:db8:100::/128"] {
        frr.wait_route(kept, true)?;
    }
    let after = frr.neighbour()?;
    for what in ["connectionsEstablished", "connectionsDropped"] {
        ensure!(before[what] == after[what], "{before}\n{after}");
    }
    ensure!(after["connectionsEstablished"] == 1, "{after}");
    let updates = |v: &Value| v["messageStats"]["updatesRecv"].as_u64();
    let sent = updates(&after).zip(updates(&before)).map(|(a, b)| a - b);
    ensure!(sent == Some(2), "one withdrawal a family: {sent:?}");
    let metrics = line.metrics()?;
    let labels = "{peer=\"192.0.2.2:179\",vrf=\"default\"}";
    all(
        &metrics,
        &[
            &format!("metallb_bgp_session_up{labels} 1\n"),
            &format!("metallb_bgp_announced_prefixes_total{labels} 4\n"),
            &format!("metallb_bgp_opens_sent{labels} 1\n"),
            "metallb_speaker_announced{service=\"default/web1\",protocol=\"bgp\"",
        ],
    )?;
    let explained = corten.explain("default/web1")?;
    all(
        &explained,
        &["router: eBGP to 192.0.2.2:179", "198.51.100.0/32"],
    )?;
    ensure!(!explained.contains("doesn't speak BGP"), "{explained}");
    // Told before it ends, and in time.
    let begin = Instant::now();
    let end = corten.stop()?;
    ensure!(end.success(), "{end}\n{}", corten.story());
    ensure!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    let told = |v: &Value| v["lastNotificationReason"] == "Cease/Administrative Shutdown";
    frr.wait_neighbour("the farewell", told)?;
    frr.wait_route("198.51.100.0/32", false)?;
    Ok(())
}

pub(crate) fn frr_within_the_as() -> Result<()> {
    // It is localASN that makes the two of one AS.
    let peer = "myASN: 64512, localASN: 64513, dynamicASN: internal, peerAddress: 192.0.2.2, \
                password: open-sesame";
    let line = Line::new(peer, "localPref: 150, aggregationLength: 28")?;
    let neighbour = "neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.1 password open-sesame";
    let frr = Frr::start(&line, "frr-ibgp", neighbour)?;
    let mut corten = line.start()?;
    corten.wait_status("a session", |s| established(&s))?;
    let route = frr.wait_route("198.51.100.0/28", true)?;
    all(
        &route,
        &["Local", "192.0.2.1 from 192.0.2.1", "localpref 150"],
    )?;
    // Another password is another connection: the router refuses it.
    line.manifests
        .edit("config.yaml", "open-sesame", "open-barley")?;
    corten.wait_status("the end of the session", |s| {
        established(&s).is_none().then_some(())
    })?;
    frr.wait_route("198.51.100.0/28", false)?;
    line.manifests
        .edit("config.yaml", "open-barley", "open-sesame")?;
    corten.wait_status("a session again", |s| established(&s))?;
    frr.wait_route("198.51.100.0/28", true)?;
    Ok(())
}

pub(crate) fn bird_over_ipv6() -> Result<()> {
    let peer = "myASN: 64512, localASN: 4200000001, peerASN: 4200000002, peerAddress: \
                \"2001:db8::2\", peerPort: 1790";
    let line = Line::new(peer, "communities: [\"64512:7\"]")?;
    let text = "router id 192.0.2.2;\nprotocol device {}\nprotocol bgp corten {\n  local \
                2001:db8::2 port 1790 as 4200000002;\n  neighbor 2001:db8::1 as 4200000001;\n  passive;\n  \
                ipv6 { import all; export none; };\n}\n";
    let bird = Bird::start(&line.router, "bird", text)?;
    let mut corten = line.start()?;
    let mut last = String::new();
    wait_until("a route", DEADLINE, || {
        last = bird
            .says(&["show", "route", "all", "2001:db8:100::/128"])
            .unwrap_or_default();
        Ok(last.contains("BGP.next_hop").then_some(()))
    })
    .with_context(|| format!("{last}\n{}", corten.story()))?;
    all(
        &last,
        &[
            "BGP.next_hop: 2001:db8::1 fe80::",
            "(64512,7)",
            "BGP.as_path: 4200000001\n",
        ],
    )?;
    // A session over IPv6 alone carries IPv6 alone, and `explain` says so.
    let explained = corten.explain("default/web1")?;
    all(&explained, &["198.51.100.0/32: not announced"])?;
    corten.stop()?;
    wait_until("the farewell", DEADLINE, || {
        last = bird.says(&["show", "protocols", "all", "corten"])?;
        let told = last.contains("Received: Administrative shutdown");
        Ok(told.then_some(()))
    })
    .with_context(|| last)
}

/// A connection from elsewhere is closed without a word.
fn shown_out(from: SocketAddr, to: SocketAddr) -> Result<()> {
    use std::io::Read as _;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(from)?;
        socket.connect(to).await?.into_std()
    })?;
    let mut stream = stream;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    ensure!(stream.read(&mut [0; 1])? == 0, "an answer");
    Ok(())
}

/// The router makes the connection, and nobody else may.
pub(crate) fn bird_connects() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, password: open-sesame";
    let line = Line::new(peer, "")?;
    let listen = "name: router\n  annotations: {corten.io/bgp-listen: \"1790\"}\n";
    line.manifests
        .edit("config.yaml", "name: router\n", listen)?;
    let mut corten = line.start()?;
    let waits = |s: corten_lab::corten::Status| {
        let peer = s.bgp_peers.into_iter().next()?;
        (peer.state == "Active").then_some(())
    };
    corten.wait_status("a peer that is waited for", waits)?;
    // Somebody else gets in and is shown out.
    line.router.ip(&["address add 192.0.2.3/24 dev far"])?;
    let to = "192.0.2.1:1790".parse()?;
    line.router.run(|| shown_out("192.0.2.3:0".parse()?, to))?;
    let text = "router id 192.0.2.2;\nprotocol device {}\nprotocol bgp corten {\n  local \
                192.0.2.2 as 64513;\n  neighbor 192.0.2.1 port 1790 as 64512;\n  \
                password \"open-sesame\";\n  connect delay time 1;\n  error wait time 1, 1;\n  \
                ipv4 { import all; export none; };\n}\n";
    let bird = Bird::start(&line.router, "bird-connects", text)?;
    corten.wait_status("a session", |s| established(&s))?;
    wait_until("a route", DEADLINE, || {
        let said = bird.says(&["show", "route", "198.51.100.0/32"]);
        Ok(said.unwrap_or_default().contains("via ").then_some(()))
    })
}

pub(crate) fn gobgp_hears_both_families() -> Result<()> {
    let peer =
        "myASN: 64512, dynamicASN: external, peerAddress: 192.0.2.2, dualStackAddressFamily: true";
    let line = Line::new(peer, "communities: [\"64512:7\", \"large:64512:1:2\"]")?;
    let config = router::scratch("gobgp")?.join("gobgpd.toml");
    let families = ["ipv4-unicast", "ipv6-unicast"].map(|family| {
        format!(
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n"
        )
    });
    let text = "[global.config]\nas = 4200000002\nrouter-id = \"192.0.2.2\"\n[[neighbors]]\n\
                [neighbors.config]\nneighbor-address = \"192.0.2.1\"\npeer-as = 64512\n\
                [neighbors.transport.config]\npassive-mode = true\n"
        .to_owned()
        + &families.concat();
    fs::write(&config, text)?;
    let args = ["-f".to_owned(), config.display().to_string()];
    let gobgpd = line.router.spawn("gobgpd", "gobgpd", &args)?;
    let mut corten = line.start()?;
    let mut last = String::new();
    for (family, prefix, next_hop) in [
        ("ipv4", "198.51.100.0/32", "192.0.2.1"),
        ("ipv6", "2001:db8:100::/128", "2001:db8::1"),
    ] {
        wait_until(prefix, DEADLINE, || {
            let said = line
                .router
                .output("gobgp", &["global", "rib", "-a", family]);
            last = said.unwrap_or_else(|error| format!("{error:#}"));
            let found = last.lines().find(|line| line.contains(prefix));
            Ok(found.map(str::to_owned))
        })
        .and_then(|route| all(&route, &[next_hop, "64512:7", "64512:1:2"]))
        .with_context(|| format!("{last}\n{}{:?}", corten.story(), gobgpd.log()))?;
    }
    corten.stop()?;
    wait_until("the end of the routes", DEADLINE, || {
        last = line.router.output("gobgp", &["global", "rib"])?;
        Ok((!last.contains("198.51.100.")).then_some(()))
    })
    .with_context(|| last)
}

/// FRR takes only what has come one hop, and only a peer that says that it is a customer.
pub(crate) fn frr_wants_a_near_customer() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "")?;
    let neighbour = "neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 ttl-security hops 1\n \
                     neighbor 192.0.2.1 local-role provider strict-mode";
    let frr = Frr::start(&line, "frr-near", neighbour)?;
    let annotations =
        "annotations: {corten.io/bgp-ttl-security: \"1\", corten.io/bgp-role: customer}";
    line.manifests.edit(
        "config.yaml",
        "name: router\n",
        &format!("name: router\n  {annotations}\n"),
    )?;
    let mut corten = line.start()?;
    corten.wait_status("a session", |s| established(&s))?;
    frr.wait_route("198.51.100.0/32", true)?;
    let seen = frr.neighbour()?;
    ensure!(seen["remoteRole"] == "customer", "{seen}");
    Ok(())
}

pub(crate) fn the_wrong_as_is_named() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64999, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "")?;
    let _frr = Frr::start(&line, "frr-as", "neighbor 192.0.2.1 remote-as 64512")?;
    let mut corten = line.start()?;
    corten.wait_status("an error that names both", |s| {
        let error = s.bgp_peers.into_iter().find_map(|p| p.error)?;
        all(&error, &["64513", "64999"]).ok()
    })?;
    let up = "metallb_bgp_session_up{peer=\"192.0.2.2:179\",vrf=\"default\"} 0\n";
    all(&line.metrics()?, &[up])?;
    // Nor is it the kind that dynamicASN asks for.
    line.manifests
        .edit("config.yaml", "peerASN: 64999", "dynamicASN: internal")?;
    corten.wait_status("another error", |s| {
        let errors = s.bgp_peers.into_iter().filter_map(|p| p.error);
        errors.into_iter().find(|e| e.contains("(internal)"))
    })?;
    // What fits may be any.
    let external = "dynamicASN: external";
    line.manifests
        .edit("config.yaml", "dynamicASN: internal", external)?;
    corten.wait_status("a session", |s| established(&s))?;
    Ok(())
}

pub(crate) fn a_silent_peer_holds_nothing_up() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "")?;
    let silent = object(
        "v1beta2",
        "BGPPeer",
        "silent",
        &format!("{peer}, peerPort: 1790"),
    );
    line.manifests.write("silent.yaml", &silent)?;
    // The kernel takes the connection, and nobody ever reads from it.
    let bind = || Ok(TcpListener::bind("192.0.2.2:1790")?);
    let _listener = line.router.run(bind)?;
    let frr = Frr::start(&line, "frr-silent", "neighbor 192.0.2.1 remote-as 64512")?;
    let mut corten = line.start()?;
    corten.wait_status("a peer that was sent an OPEN", |s| {
        let peers = s.bgp_peers.iter();
        let mut sent = peers.filter(|p| p.peer == "silent" && p.state == "OpenSent");
        sent.next().map(|_| ())
    })?;
    frr.wait_route("198.51.100.0/32", true)?;
    let begin = Instant::now();
    let end = corten.stop()?;
    let took = begin.elapsed();
    ensure!(end.success(), "{end}\n{}", corten.story());
    ensure!(took < SOON, "{took:?}");
    let told = |v: &Value| v["lastNotificationReason"] == "Cease/Administrative Shutdown";
    frr.wait_neighbour("the farewell", told)?;
    Ok(())
}

pub(crate) fn a_crash_is_noticed() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, holdTime: 3s";
    let line = Line::new(peer, "")?;
    let frr = Frr::start(&line, "frr-crash", "neighbor 192.0.2.1 remote-as 64512")?;
    let mut corten = line.start()?;
    frr.wait_route("198.51.100.0/32", true)?;
    let held = frr.neighbour()?["bgpTimerHoldTimeMsecs"].clone();
    ensure!(held == 3000, "{held}");
    corten.kill()?;
    frr.wait_route("198.51.100.0/32", false)?;
    corten.restart()?;
    frr.wait_route("198.51.100.0/32", true)?;
    // The cable is pulled: both ends notice by the hold timer, and come back by themselves.
    line.router.set_link("far", false)?;
    corten.wait_status("the end of the session", |s| {
        established(&s).is_none().then_some(())
    })?;
    line.router.set_link("far", true)?;
    line.router
        .ip(&["address replace 2001:db8::2/64 dev far nodad"])?;
    corten.wait_status("a session again", |s| established(&s))?;
    frr.wait_route("198.51.100.0/32", true)?;
    Ok(())
}
