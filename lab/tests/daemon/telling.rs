//! What is said on the LAN unasked, as the kernels and switches there take it.

use anyhow::{Context, Result, ensure};
use corten_lab::frame::{self, How, Mac};
use corten_lab::manifests::{self, Stack};
use corten_lab::netns::Netns;
use corten_lab::raw::RawSocket;
use corten_lab::site::{self, DEADLINE, Site};
use corten_lab::sniff::{Heard, Sniffer};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::Plan;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "telling::duplicate_address_detection_fails",
        duplicate_address_detection_fails,
    ),
    ("telling::defend_tells_again", defend_tells_again),
    ("telling::a_refresh_comes_again", a_refresh_comes_again),
    ("telling::the_rate_is_kept", the_rate_is_kept),
];

/// Rounds of the schedule of an address that was gained: at once, then every 1.1 s for 5 s.
const ROUNDS: usize = 5;
/// Longer than the schedule pauses between two rounds.
const PAUSE: Duration = Duration::from_millis(1500);

/// Gratuitous frames for an address by this host, each heard once (a sniffer hears them twice).
fn unasked(sniffer: &Sniffer, ip: IpAddr, by: &BTreeSet<Mac>) -> Vec<Heard> {
    let heard = sniffer.heard().into_iter().filter(|h| {
        h.claim.ip == ip
            && by.contains(&h.claim.mac)
            && matches!(h.claim.how, How::ArpGratuitous | How::NaUnsolicited)
    });
    heard.step_by(2).collect()
}

fn is_duplicate(ns: &Netns) -> Result<bool> {
    let text = ns.output("ip", &["-json", "-6", "addr", "show", "dev", "eth0"])?;
    let links: Vec<Value> = serde_json::from_str(&text)?;
    let addresses = links.iter().filter_map(|l| l["addr_info"].as_array());
    Ok(addresses.flatten().any(|a| a["dadfailed"] == true))
}

/// A kernel that wants one of our addresses for itself asks first (RFC 4862 §5.4), and hears that
/// it is taken.
fn duplicate_address_detection_fails() -> Result<()> {
    let mut site = Site::new(&Plan::default())?;
    site.manifests.write("config.yaml", &site::basics())?;
    site.write_service("web", Stack::V6, &[])?;
    site.start(&[])?;
    site.wait_announced()?;
    let address = *site.addresses()?.first().context("an address")?;
    // What is said unasked would do as an answer.
    site.wait_quiet(0, PAUSE)?;
    let (host, _nic) = site.world.stranger(0, 201, &[])?;
    host.sysctl("ipv6/conf/all/accept_dad", "1")?;
    host.sysctl("ipv6/conf/eth0/accept_dad", "1")?;
    host.sysctl("ipv6/conf/eth0/dad_transmits", "1")?;
    host.ip(&[format!("addr add {address}/128 dev eth0")])?;
    wait_until("dadfailed", DEADLINE, || {
        Ok(is_duplicate(&host)?.then_some(()))
    })
    .with_context(|| site.story())?;
    // An address nobody has is the host's, by the same question.
    host.ip(&[
        format!("addr del {address}/128 dev eth0"),
        "addr add 2001:db8:1::ffff/128 dev eth0".to_owned(),
    ])?;
    wait_until("the end of the detection", DEADLINE, || {
        let text = host.output("ip", &["-json", "-6", "addr", "show", "dev", "eth0"])?;
        Ok((!text.contains("tentative")).then_some(()))
    })?;
    ensure!(!is_duplicate(&host)?, "a free address was defended");
    Ok(())
}

/// One Service of both families and an advertisement with this annotation; its schedule is over.
fn settled(annotation: (&str, &str)) -> Result<(Site, Vec<IpAddr>)> {
    let mut site = Site::new(&Plan::default())?;
    let config = manifests::namespace("default")
        + &manifests::pool("both", &["192.0.2.0/24", "2001:db8:1::/64"])
        + &manifests::advertisement("everything", &[annotation], &[]);
    site.manifests.write("config.yaml", &config)?;
    site.write_service("web", Stack::Dual, &[])?;
    site.start(&[])?;
    site.wait_announced()?;
    let addresses = site.addresses()?;
    Ok((site, addresses))
}

fn defend_tells_again() -> Result<()> {
    let (site, addresses) = settled(("corten.io/address-conflict", "defend"))?;
    site.wait_quiet(0, PAUSE)?;
    let owners = site.owners(0, &addresses)?;
    let (stranger, nic) = site.world.stranger(0, 201, &[])?;
    let sniffer = site.world.lan(0)?.sniff()?;
    for (ip, owner) in owners {
        let claim = match ip {
            IpAddr::V4(ip) => frame::arp_request(nic.mac, ip, ip),
            IpAddr::V6(ip) => frame::advertisement(nic.mac, ip),
        };
        stranger.run(|| RawSocket::on("eth0")?.send(&claim))?;
        let macs = owner.nics.iter().map(|n| n.mac).collect();
        wait_until("a word of the owner's", DEADLINE, || {
            Ok((!unasked(&sniffer, ip, &macs).is_empty()).then_some(()))
        })
        .with_context(|| format!("{ip} of {}\n{}", owner.name, site.story()))?;
    }
    Ok(())
}

fn a_refresh_comes_again() -> Result<()> {
    let mut site = Site::new(&Plan::default())?;
    let sniffer = site.world.lan(0)?.sniff()?;
    let config = manifests::namespace("default")
        + &manifests::pool("both", &["192.0.2.0/24", "2001:db8:1::/64"])
        + &manifests::advertisement("everything", &[("corten.io/gratuitous-refresh", "1s")], &[]);
    site.manifests.write("config.yaml", &config)?;
    site.write_service("web", Stack::Dual, &[])?;
    site.start(&[])?;
    site.wait_announced()?;
    let addresses = site.addresses()?;
    ensure!(addresses.len() == 2, "{addresses:?}");
    for address in addresses {
        let owner = site.owners(0, &[address])?[&address];
        let macs = owner.nics.iter().map(|n| n.mac).collect();
        // One frame a round: the schedule's, and two more.
        wait_until("a second refresh", DEADLINE, || {
            Ok((unasked(&sniffer, address, &macs).len() >= ROUNDS + 2).then_some(()))
        })
        .with_context(|| format!("{:?}", unasked(&sniffer, address, &macs)))?;
    }
    Ok(())
}

/// Never more than the rate allows since the first could be sent: a witness can hear too late,
/// never too early.
fn the_rate_is_kept() -> Result<()> {
    const RATE: u32 = 20;
    /// What may go at once at such a rate.
    const AT_ONCE: usize = 2;
    const SERVICES: u8 = 30;
    let plan = Plan {
        nodes: 1,
        lans: vec!["red".to_owned()],
        ..Plan::default()
    };
    let mut site = Site::new(&plan)?;
    site.manifests.write("config.yaml", &site::basics())?;
    site.start(&["--gratuitous-rate", &RATE.to_string()])?;
    let sniffer = site.world.lan(0)?.sniff()?;
    let all: String = (1..=SERVICES)
        .map(|i| manifests::service(&format!("web{i}"), Stack::V4, &[], &["node1"]))
        .collect();
    let start = Instant::now();
    site.manifests.write("services.yaml", &all)?;
    let wanted: BTreeSet<IpAddr> = (0..SERVICES)
        .map(|i| Ipv4Addr::new(192, 0, 2, i).into())
        .collect();
    let heard = wait_until("every address", DEADLINE, || {
        let mut heard = sniffer.heard();
        heard.retain(|h| h.claim.how == How::ArpGratuitous);
        let told: BTreeSet<IpAddr> = heard.iter().map(|h| h.claim.ip).collect();
        Ok((told == wanted).then_some(heard))
    })
    .with_context(|| site.story())?;
    for (h, number) in heard.iter().step_by(2).zip(1_usize..) {
        let Some(waited) = number.checked_sub(AT_ONCE) else {
            continue;
        };
        let least = Duration::from_secs(1) / RATE * u32::try_from(waited)?;
        let at = h.at.duration_since(start);
        ensure!(at >= least, "frame {number} after {at:?}, not {least:?}");
    }
    Ok(())
}
