//! `corten status`.

use crate::cli::StatusArgs;
use crate::output::{self, Style};
use crate::report::{BgpPeer, Member, Service, Status};
use std::process::ExitCode;

/// Asks the running instance and prints its snapshot.
pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let status: Status = crate::control::get(&args.connect.socket, "/v1/status")?;
    output::emit(&status, args.output.output, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(status: &Status, style: Style) -> String {
    let mut out = summary(status, style);
    let rows = status
        .services
        .iter()
        .map(|s| service_row(s, style))
        .collect();
    section(
        &mut out,
        style,
        "SERVICES",
        &["SERVICE", "ADDRESSES", "POOL", "HERE", "BGP", "WHY"],
        rows,
    );
    let rows = status.pools.iter().map(pool_row).collect();
    section(
        &mut out,
        style,
        "POOLS",
        &["POOL", "ADDRESSES", "IN USE", "FREE"],
        rows,
    );
    let rows = status
        .interfaces
        .iter()
        .map(|i| {
            vec![
                i.name.clone(),
                i.mac.clone(),
                yes_or(&i.no_arp),
                yes_or(&i.no_ndp),
            ]
        })
        .collect();
    section(
        &mut out,
        style,
        "INTERFACES",
        &["INTERFACE", "MAC", "ARP", "NDP"],
        rows,
    );
    let rows = status
        .conflicts
        .iter()
        .map(|c| {
            let kind = if c.proxy_arp { "proxy ARP" } else { "stranger" };
            vec![
                c.ip.clone(),
                c.mac.clone(),
                c.interface.clone(),
                kind.to_owned(),
            ]
        })
        .collect();
    section(
        &mut out,
        style,
        "CONFLICTS",
        &["ADDRESS", "MAC", "INTERFACE", "KIND"],
        rows,
    );
    bgp_peers(&mut out, status, style);
    let members = status.gossip.iter().flat_map(|g| &g.members);
    section(
        &mut out,
        style,
        "MEMBERS",
        &["MEMBER", "ADDRESS", "STATE", "FOR", "SUSPECTED BY"],
        members.map(member_row).collect(),
    );
    list(&mut out, style, "REJECTED", &status.rejections);
    list(&mut out, style, "WARNINGS", &status.warnings);
    out
}

fn summary(status: &Status, style: Style) -> String {
    let ready = if status.ready {
        style.good("ready")
    } else {
        style.bad("not ready yet")
    };
    let role = if status.allocator {
        "allocator"
    } else {
        "follows the ledger"
    };
    format!(
        "{} {}, {role}, membership {}, up {} s, corten {}\n",
        style.strong(&status.node),
        ready,
        status.membership,
        status.uptime_seconds,
        status.version
    )
}

fn service_row(service: &Service, style: Style) -> Vec<String> {
    let here = if service.announced {
        style.good("yes")
    } else {
        "no".to_owned()
    };
    let addresses = if service.addresses.is_empty() {
        "<none>".to_owned()
    } else {
        service.addresses.join(",")
    };
    let bgp = if service.bgp_peers.is_empty() {
        "-".to_owned()
    } else {
        service.bgp_peers.join(",")
    };
    let pool = service.pool.clone().unwrap_or_else(|| "<none>".to_owned());
    vec![
        service.service.clone(),
        addresses,
        pool,
        here,
        bgp,
        service.message.clone(),
    ]
}

fn bgp_peers(out: &mut String, status: &Status, style: Style) {
    let rows = status
        .bgp_peers
        .iter()
        .map(|p| peer_row(p, style))
        .collect();
    section(
        out,
        style,
        "BGP PEERS",
        &[
            "PEER",
            "ADDRESS",
            "STATE",
            "FOR",
            "BFD",
            "ANNOUNCED",
            "LAST ERROR",
        ],
        rows,
    );
}

fn peer_row(peer: &BgpPeer, style: Style) -> Vec<String> {
    let state = if peer.up_seconds.is_some() {
        style.good(&peer.state)
    } else {
        style.bad(&peer.state)
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let address = match (&peer.address, &peer.vrf) {
        (Some(address), Some(vrf)) => Some(format!("{address} in {vrf}")),
        (address, _) => address.clone(),
    };
    let announced = match peer.withheld {
        0 => peer.announced.to_string(),
        withheld => format!("{} ({withheld} can't be)", peer.announced),
    };
    let error = peer.error.as_ref().map(|error| match peer.error_seconds {
        Some(seconds) => format!("{error} ({seconds} s ago)"),
        None => error.clone(),
    });
    vec![
        peer.peer.clone(),
        or_none(address),
        state,
        or_none(peer.up_seconds.map(|s| format!("{s} s"))),
        peer.bfd
            .as_ref()
            .map_or("-".to_owned(), |bfd| match bfd.state.as_str() {
                "Up" => style.good(&bfd.state),
                state => style.bad(state),
            }),
        announced,
        or_none(error),
    ]
}

fn pool_row(pool: &crate::report::Pool) -> Vec<String> {
    let (used, free) = pool.usage.map_or_else(
        || ("?".to_owned(), "?".to_owned()),
        |u| {
            let both = |v4: i64, v6: i64| match (
                u.assigned_ipv4.saturating_add(u.available_ipv4),
                u.assigned_ipv6.saturating_add(u.available_ipv6),
            ) {
                (_, 0) => v4.to_string(),
                (0, _) => v6.to_string(),
                _ => format!("{v4}/{v6}"),
            };
            (
                both(u.assigned_ipv4, u.assigned_ipv6),
                both(u.available_ipv4, u.available_ipv6),
            )
        },
    );
    vec![pool.name.clone(), pool.addresses.join(","), used, free]
}

fn member_row(member: &Member) -> Vec<String> {
    let suspected = member.suspicion.as_ref().map(|s| {
        let by = s.by.join(",");
        format!("{by} (dead in {:.1} s)", s.seconds_left)
    });
    vec![
        member.node.clone(),
        member.address.clone(),
        member.state.clone(),
        format!("{} s", member.seconds),
        suspected.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn yes_or(why_not: &Option<String>) -> String {
    why_not.clone().unwrap_or_else(|| "yes".to_owned())
}

fn section(out: &mut String, style: Style, title: &str, header: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&style.faint(title));
    out.push('\n');
    out.push_str(&output::columns(header, rows));
}

fn list(out: &mut String, style: Style, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&style.faint(title));
    out.push('\n');
    for item in items {
        out.push_str(item);
        out.push('\n');
    }
}
