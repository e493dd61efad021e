//! The words of `corten bgp`, for a person at a terminal.

use crate::output::{Style, columns, printable};
use crate::report::{Bfd, BgpMessage, BgpMessages, BgpPeer, BgpRoutes, BgpSession, Standing};

/// A paragraph for each peer.
pub(super) fn peers(peers: &[BgpPeer], style: Style) -> String {
    let paragraphs: Vec<_> = peers.iter().map(|peer| paragraph(peer, style)).collect();
    paragraphs.join("\n")
}

fn paragraph(peer: &BgpPeer, style: Style) -> String {
    let state = match peer.up_seconds {
        Some(seconds) => format!("{} for {seconds} s", style.good(&peer.state)),
        None => style.bad(&peer.state),
    };
    let address = peer.address.as_deref().unwrap_or("without an address");
    let vrf = peer.vrf.as_ref();
    let vrf = vrf.map_or_else(String::new, |vrf| format!(" in VRF {vrf}"));
    let mut lines = vec![format!(
        "{} {address}{vrf}: {state}",
        style.strong(&peer.peer)
    )];
    lines.extend(peer.session.iter().flat_map(session));
    lines.extend(peer.bfd.iter().map(|of| bfd(of, style)));
    lines.push(format!(
        "routes: {} announced, {} pending, {} can't be announced; the peer's: {}, all dropped",
        peer.announced,
        peer.pending,
        peer.withheld,
        if peer.heard.is_empty() {
            "0"
        } else {
            &peer.heard
        }
    ));
    lines.push(format!("sent: {}", counted(&peer.sent)));
    lines.push(format!("received: {}", counted(&peer.received)));
    if let Some(error) = &peer.error {
        let ago = peer.error_seconds;
        let ago = ago.map_or_else(String::new, |seconds| format!(" ({seconds} s ago)"));
        lines.push(format!("last error: {}{ago}", printable(error)));
        lines.push(format!("attempts that failed: {}", peer.retries));
    }
    lines.join("\n  ") + "\n"
}

fn session(session: &BgpSession) -> [String; 4] {
    let off = |seconds| match seconds {
        0 => "off".to_owned(),
        seconds => format!("{seconds} s"),
    };
    [
        format!(
            "AS {}, identifier {}, at {}",
            session.asn, session.identifier, session.local
        ),
        format!(
            "peer: AS {}, identifier {}, carries {}{}",
            session.peer_asn,
            session.peer_identifier,
            session.families.join(" and "),
            if session.kept {
                ", keeps routes over a restart"
            } else {
                ""
            }
        ),
        format!(
            "hold time {}, keepalive {}",
            off(session.hold_seconds),
            off(session.keepalive_seconds)
        ),
        format!("peer's capabilities: {}", session.capabilities.join("; ")),
    ]
}

fn bfd(bfd: &Bfd, style: Style) -> String {
    let state = match bfd.state.as_str() {
        "Up" => style.good("Up"),
        state => style.bad(state),
    };
    let kind = if bfd.multihop {
        "several hops"
    } else {
        "one hop"
    };
    let mut text = format!("BFD: {state}, {kind}, at {}", bfd.local);
    if let Some(peer) = &bfd.peer_state {
        text += &format!(", peer {peer}");
    }
    if let Some(time) = bfd.transmit_milliseconds {
        text += &format!(", sent every {time} ms");
    }
    if let Some(time) = bfd.detection_milliseconds {
        text += &format!(", dead after {time} ms");
    }
    if bfd.echo {
        let (sent, returned) = (bfd.echoes_sent, bfd.echoes_returned);
        text += &format!(", {returned} of {sent} echo packets back");
    }
    text += &format!(", up {} and down {} times", bfd.ups, bfd.downs);
    for words in bfd.diagnostic.iter().chain(&bfd.error) {
        text += &format!("; {}", printable(words));
    }
    text
}

fn counted(messages: &BgpMessages) -> String {
    format!(
        "{} OPEN, {} UPDATE, {} KEEPALIVE, {} ROUTE-REFRESH, {} NOTIFICATION",
        messages.opens,
        messages.updates,
        messages.keepalives,
        messages.route_refreshes,
        messages.notifications
    )
}

/// A row for each peer and prefix.
pub(super) fn routes(routes: &[BgpRoutes], style: Style) -> String {
    let rows = routes.iter().flat_map(|of| {
        of.routes.iter().map(move |route| {
            let standing = match route.standing {
                Standing::Announced => style.good("announced"),
                Standing::Pending => "pending".to_owned(),
                Standing::Withheld => style.bad("withheld"),
            };
            let or_none = |texts: &[String]| match texts {
                [] => "-".to_owned(),
                texts => texts.join(","),
            };
            vec![
                of.peer.clone(),
                route.prefix.clone(),
                standing,
                route.local_pref.map_or("-".to_owned(), |p| p.to_string()),
                or_none(&route.communities),
                or_none(&route.services),
                route.why.as_deref().map_or("-".to_owned(), printable),
            ]
        })
    });
    let header = [
        "PEER",
        "PREFIX",
        "STATE",
        "LOCALPREF",
        "COMMUNITIES",
        "SERVICES",
        "WHY",
    ];
    columns(&header, rows.collect())
}

/// A row for each message.
pub(super) fn messages(messages: &[BgpMessage]) -> String {
    let rows = messages.iter().map(|message| {
        vec![
            format!("{:.6}", message.time),
            message.peer.clone(),
            message.length.to_string(),
            printable(&message.text),
        ]
    });
    columns(&["TIME", "PEER", "OCTETS", "MESSAGE"], rows.collect())
}
