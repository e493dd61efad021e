//! The words of `corten explain`, for a person at a terminal.

use crate::output::printable;

use super::{Deferred, Explained, Frames, LastAnswer};
use corten_engine::advertise::bgp::Verdict as BgpVerdict;
use corten_engine::advertise::l2::{Home, Verdict};
use corten_engine::explain::{Allocation, Explanation, InterfaceState, NodeReport, bgp};
use std::fmt;

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.explanation;
        writeln!(f, "{} as seen by {}", e.service, e.node)?;
        addresses(f, e)?;
        match &e.winner {
            Some(winner) => writeln!(f, "Owner:     {winner}")?,
            None => writeln!(f, "Owner:     nobody")?,
        }
        section(f, "Nodes", e.nodes.iter().map(node))?;
        let ads = e
            .advertisements
            .iter()
            .map(|ad| format!("{}: {}", ad.name, ad.text));
        section(f, "L2Advertisements", ads)?;
        let interfaces = e.interfaces.iter().map(|i| {
            let state = match i.state {
                InterfaceState::Absent => "not usable here",
                InterfaceState::Present(s) if s.arp && s.ndp => "ARP and NDP",
                InterfaceState::Present(s) if s.arp => "ARP only",
                InterfaceState::Present(s) if s.ndp => "NDP only",
                InterfaceState::Present(_) => "neither ARP nor NDP",
            };
            format!("{}: {state}", i.name)
        });
        section(f, "Interfaces", interfaces)?;
        bgp(f, &e.bgp)?;
        section(f, "Deferred", self.deferred.iter().map(ToString::to_string))?;
        section(f, "Frames", self.frames.iter().map(ToString::to_string))?;
        section(f, "Rejected", e.rejections.iter().map(ToString::to_string))?;
        section(f, "Remarks", e.remarks.iter().cloned())
    }
}

/// Nothing if nothing of BGP is configured.
fn bgp(f: &mut fmt::Formatter<'_>, report: &bgp::Report) -> fmt::Result {
    let nodes = report.nodes.iter().map(|n| match n.verdict {
        BgpVerdict::Announce(_) => format!("{}: {}", n.node, n.text),
        BgpVerdict::Withhold(_) => format!("{}: doesn't announce: {}", n.node, n.text),
    });
    section(f, "BGP nodes", nodes)?;
    let ads = report.advertisements.iter();
    let ads = ads.map(|ad| format!("{}: {}", ad.name, ad.text));
    section(f, "BGPAdvertisements", ads)?;
    let peers = report.peers.iter().flat_map(|peer| {
        let session = peer.session.as_deref();
        let head = format!(
            "{}: {}",
            peer.peer,
            session.unwrap_or("not a peer of this node")
        );
        let here = session.is_some();
        let prefixes = peer.prefixes.iter().filter(move |_| here);
        let prefixes = prefixes.map(|p| format!("  {}: {}", p.prefix, p.text));
        std::iter::once(head).chain(prefixes)
    });
    section(f, "BGPPeers", peers)?;
    section(f, "BGP remarks", report.remarks.iter().cloned())
}

fn addresses(f: &mut fmt::Formatter<'_>, e: &Explanation) -> fmt::Result {
    let list: Vec<_> = e.addresses.iter().map(ToString::to_string).collect();
    let list = if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    };
    // Where they come from is news only when there are none.
    if e.allocation == Allocation::Elsewhere && !e.addresses.is_empty() {
        writeln!(f, "Addresses: {list}")?;
    } else {
        writeln!(f, "Addresses: {list} ({})", e.allocation)?;
    }
    match &e.pool {
        Home::Pool(name) => writeln!(f, "Pool:      {name}"),
        Home::Nowhere => writeln!(f, "Pool:      none"),
        Home::Uncertain(pools) if pools.is_empty() => {
            writeln!(f, "Pool:      unknown: some pools can't be read")
        }
        Home::Uncertain(pools) => {
            let names: Vec<_> = pools.iter().map(ToString::to_string).collect();
            writeln!(f, "Pool:      perhaps {} (rejected)", names.join(", "))
        }
    }
}

fn node(n: &NodeReport) -> String {
    let mut text = match n.verdict {
        Verdict::Announce(_) => format!("{}: {}", n.node, n.text),
        Verdict::Withhold(_) => format!("{}: doesn't announce: {}", n.node, n.text),
    };
    if n.claims {
        text.push_str("; claims it");
    }
    if n.suspected {
        text.push_str("; suspected, and a candidate until it is found dead");
    }
    text
}

fn section(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    lines: impl Iterator<Item = String>,
) -> fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        writeln!(f, "\n{title}")?;
    }
    for line in lines {
        writeln!(f, "  {}", printable(&line))?;
    }
    Ok(())
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = &self.ip;
        match &self.to {
            None => write!(
                f,
                "{ip}: not answered yet: gossip doesn't reach every node, so the LAN is asked first"
            ),
            Some(node) => write!(
                f,
                "{ip}: not answered: gossip doesn't reach {node}, which answers for it; asked for \
                 again every second"
            ),
        }
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ip,
            requests,
            responses,
            gratuitous,
            last_answer,
        } = self;
        write!(
            f,
            "{ip}: asked {requests}, answered {responses}, gratuitous {gratuitous}, "
        )?;
        match last_answer {
            None => f.write_str("never answered yet"),
            Some(LastAnswer {
                mac,
                interface,
                seconds_ago,
            }) => {
                write!(
                    f,
                    "last answer {seconds_ago:.1} s ago to {mac} on {interface}"
                )
            }
        }
    }
}
