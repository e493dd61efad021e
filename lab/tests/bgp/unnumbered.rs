//! Peers without an address.

use crate::line::{DEADLINE, Frr, Line, all, object};
use anyhow::{Context, Result, ensure};
use corten_lab::router;
use corten_lab::wait::wait_until;

/// Neither end of the cable has an address but those the kernel makes.
pub(crate) fn frr_without_an_address() -> Result<()> {
    let peer = "myASN: 64512, dynamicASN: external, interface: near, bfdProfile: fast";
    let line = Line::new(peer, "communities: [\"64512:7\"]")?;
    let profile = "transmitInterval: 300, receiveInterval: 300";
    let profile = object("v1beta1", "BFDProfile", "fast", profile);
    line.manifests.write("bfd.yaml", &profile)?;
    for (ns, name, host) in [(&line.node.ns, "near", 1), (&line.router, "far", 2)] {
        ns.ip(&[
            format!("address delete 192.0.2.{host}/24 dev {name}"),
            format!("address delete 2001:db8::{host}/64 dev {name}"),
        ])?;
    }
    let frr = unnumbered(&line)?;
    let mut corten = line.start()?;
    let mut last = None;
    wait_until("a session with BFD", DEADLINE, || {
        let status = corten.status().ok();
        last = status.and_then(|status| status.bgp_peers.into_iter().next());
        let up = last.as_ref().is_some_and(|peer| {
            let watched = peer.bfd.as_ref().is_some_and(|bfd| bfd.state == "Up");
            peer.state == "Established" && watched
        });
        Ok(up.then_some(()))
    })
    .with_context(|| {
        format!(
            "{last:?}\n{}\n{}",
            corten.story(),
            frr.bgpd.log().join("\n")
        )
    })?;
    for prefix in ["198.51.100.0/32", "2001:db8:100::/128"] {
        let route = frr.wait_route(prefix, true)?;
        all(&route, &["fe80::", "64512:7"])?;
    }
    // The router's kernel, which takes advertisements, doesn't take the node for a way out.
    let show = ["-6", "route", "show", "default"];
    let routes = line.router.output("ip", &show)?;
    ensure!(routes.trim().is_empty(), "{routes}");
    line.service("web3")?;
    frr.wait_route("198.51.100.2/32", true)?;
    let end = corten.stop()?;
    ensure!(end.success(), "{end}\n{}", corten.story());
    frr.wait_route("198.51.100.0/32", false)?;
    Ok(())
}

fn unnumbered(line: &Line) -> Result<Frr> {
    let dir = router::scratch("frr-unnumbered")?;
    let config = "router bgp 64513\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n \
                  neighbor far interface remote-as external\n neighbor far bfd profile fast\n \
                  address-family ipv4 unicast\n  neighbor far activate\n exit-address-family\n \
                  address-family ipv6 unicast\n  neighbor far activate\n exit-address-family\nexit\n";
    let bfd = "bfd\n profile fast\n  detect-multiplier 3\n  receive-interval 300\n  \
               transmit-interval 300\n exit\nexit\n";
    Frr::run(&line.router, &dir, config, bfd)
}
