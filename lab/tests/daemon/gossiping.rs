//! Membership on real links: who crashes, leaves, returns or is cut off, and who answers then.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::Corten;
use corten_lab::frame::{self, How};
use corten_lab::http;
use corten_lab::manifests::{Stack, state_directory};
use corten_lab::raw::RawSocket;
use corten_lab::site::{self, DEADLINE, Site, WINDOW, basics};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::{Node, Owners, Plan};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "gossiping::a_crash_moves_addresses",
        a_crash_moves_addresses,
    ),
    (
        "gossiping::off_a_crash_moves_nothing",
        off_a_crash_moves_nothing,
    ),
    (
        "gossiping::one_who_leaves_hands_over",
        one_who_leaves_hands_over,
    ),
    (
        "gossiping::a_partition_divides_and_heals",
        a_partition_divides_and_heals,
    ),
    (
        "gossiping::without_gossip_the_lan_decides",
        without_gossip_the_lan_decides,
    ),
    (
        "gossiping::nothing_before_others_were_asked",
        nothing_before_others_were_asked,
    ),
    (
        "gossiping::another_secret_stays_outside",
        another_secret_stays_outside,
    ),
    (
        "gossiping::who_was_stopped_asks_before_it_answers",
        who_was_stopped_asks_before_it_answers,
    ),
    (
        "gossiping::sticky_owners_keep_what_they_have",
        sticky_owners_keep_what_they_have,
    ),
    (
        "gossiping::a_taken_port_is_waited_for",
        a_taken_port_is_waited_for,
    ),
    ("gossiping::loss_and_load_kill_nobody", loss_and_load),
    (
        "gossiping::a_secret_changes_while_running",
        a_secret_changes_while_running,
    ),
];

const SERVICES: usize = 9;

/// Flags of a member that joins all others, and further ones.
fn member(node: &Node, further: &[&str]) -> Vec<String> {
    let all: Vec<IpAddr> = (11..=13).map(|i| IpAddr::from([10, 1, 0, i])).collect();
    let mut flags = site::member_flags(node, &all);
    flags.extend(further.iter().map(ToString::to_string));
    flags
}

/// Three members with Services, all announced.
fn members(further: impl Fn(&Node) -> Vec<String>) -> Result<(Site, Vec<IpAddr>)> {
    let mut site = Site::new(&Plan::default())?;
    site.manifests.write("config.yaml", &basics())?;
    let stacks = [Stack::V4, Stack::V6, Stack::Dual];
    for (i, stack) in (1..=SERVICES).zip(stacks.into_iter().cycle()) {
        site.write_service(&format!("web{i}"), stack, &[])?;
    }
    site.start_each(further)?;
    site.wait_announced()?;
    let addresses = site.addresses()?;
    Ok((site, addresses))
}

fn gossiping() -> Result<(Site, Vec<IpAddr>)> {
    let (mut site, addresses) = members(|node| member(node, &[]))?;
    for instance in &mut site.instances {
        wait_alive(instance, &["node1", "node2", "node3"])?;
    }
    wait_one_owner(&site, &addresses, &[])?;
    Ok((site, addresses))
}

/// A minute from one try to join who is missing to the next, and a connection that was begun before
/// may take its ten seconds to be given up.
const HEALED: Duration = Duration::from_secs(75);

fn wait_alive(instance: &mut Corten, nodes: &[&str]) -> Result<()> {
    let what = format!("{nodes:?} alive on {}", instance.node);
    instance.wait_status(&what, |s| (s.alive() == nodes).then_some(()))
}

fn wait_member(instance: &mut Corten, node: &str, state: &str) -> Result<()> {
    let what = format!("{node} {state} on {}", instance.node);
    instance.wait_status(&what, |s| (s.member(node) == state).then_some(()))
}

fn node_of(site: &Site, owners: &Owners, ip: IpAddr) -> Option<String> {
    let macs: Vec<_> = owners.get(&ip)?.iter().collect();
    let [mac] = macs[..] else { return None };
    site.world.node_of(*mac).map(|n| n.name.clone())
}

/// Waits until each address has exactly one owner, none of those in `gone`.
fn wait_one_owner(site: &Site, addresses: &[IpAddr], gone: &[&str]) -> Result<()> {
    for lan in 0..site.world.lans.len() {
        site.wait_owners(lan, addresses, |owners| {
            let fine = |ip: &IpAddr| {
                node_of(site, owners, *ip).is_some_and(|n| !gone.contains(&n.as_str()))
            };
            addresses.iter().all(fine)
        })?;
    }
    Ok(())
}

/// The owners now, by name; each must have exactly one.
fn owners(site: &Site, addresses: &[IpAddr]) -> Result<Vec<String>> {
    let owners = site.owners(0, addresses)?;
    Ok(addresses.iter().map(|ip| owners[ip].name.clone()).collect())
}

fn a_crash_moves_addresses() -> Result<()> {
    let (mut site, addresses) = gossiping()?;
    let before = owners(&site, &addresses)?;
    ensure!(before.iter().collect::<BTreeSet<_>>().len() == 3);
    site.instance("node2")?.kill()?;
    wait_one_owner(&site, &addresses, &["node2"])?;
    for (i, now) in owners(&site, &addresses)?.iter().enumerate() {
        // Only what was the dead node's moves.
        ensure!(
            before[i] == "node2" || before[i] == *now,
            "{}",
            addresses[i]
        );
    }
    // Nobody has to hear of it from the one who takes over.
    wait_member(site.instance("node1")?, "node2", "dead")?;
    // It returns, and everybody agrees again.
    site.instance("node2")?.restart()?;
    for instance in &mut site.instances {
        wait_alive(instance, &["node1", "node2", "node3"])?;
    }
    site.wait_owners(0, &addresses, |owners| {
        let now = addresses.iter().map(|ip| node_of(&site, owners, *ip));
        now.eq(before.iter().cloned().map(Some))
    })?;
    Ok(())
}

/// Without membership nobody notices; the addresses wait for their owner.
fn off_a_crash_moves_nothing() -> Result<()> {
    let (mut site, addresses) = members(|_| Vec::new())?;
    wait_one_owner(&site, &addresses, &[])?;
    let before = owners(&site, &addresses)?;
    ensure!(site.instance("node1")?.status()?.gossip.is_none());
    site.instance("node2")?.kill()?;
    // Longer than gossip would need for a crash: an observation, nothing is waited for.
    let seen = site
        .world
        .client(0)?
        .ask(&addresses, Duration::from_secs(9))?;
    for (ip, before) in addresses.iter().zip(&before) {
        let now = node_of(&site, &seen, *ip);
        let want = Some(before.clone()).filter(|n| n != "node2");
        ensure!(now == want, "{ip}: {before} became {now:?}");
    }
    Ok(())
}

fn one_who_leaves_hands_over() -> Result<()> {
    let (mut site, addresses) = gossiping()?;
    let begun = Instant::now();
    let status = site.instance("node2")?.stop()?;
    ensure!(status.success(), "{status}");
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    // The others answer by the time the process has ended.
    let seen = site
        .world
        .client(0)?
        .ask_all(&addresses, DEADLINE, WINDOW)?;
    for ip in &addresses {
        let owner = node_of(&site, &seen, *ip).with_context(|| format!("{ip}: {seen:?}"))?;
        ensure!(owner != "node2", "{ip}");
    }
    wait_member(site.instance("node1")?, "node2", "left")
}

/// Cuts a node's gossip off, and nothing else.
const CUT: &str = "table inet cut {
    chain in { type filter hook input priority 0; meta l4proto {tcp, udp} th dport 7946 drop; }
    chain out { type filter hook output priority 0; meta l4proto {tcp, udp} th dport 7946 drop; }
}";

fn a_partition_divides_and_heals() -> Result<()> {
    let (mut site, addresses) = gossiping()?;
    let before = owners(&site, &addresses)?;
    site.world.node(1)?.ns.nft(CUT)?;
    wait_alive(site.instance("node1")?, &["node1", "node3"])?;
    wait_alive(site.instance("node2")?, &["node2"])?;
    site.world.node(1)?.ns.nft("delete table inet cut")?;
    for instance in &site.instances {
        wait_until("the partition's end", HEALED, || {
            let alive = instance.status()?;
            Ok((alive.alive() == ["node1", "node2", "node3"]).then_some(()))
        })?;
    }
    wait_owned_by(&site, &addresses, &before)
}

/// Nobody's gossip reaches anybody, and the LAN works: one owner each, the one before.
fn without_gossip_the_lan_decides() -> Result<()> {
    let (mut site, addresses) = gossiping()?;
    let before = owners(&site, &addresses)?;
    for node in &site.world.nodes {
        node.ns.nft(CUT)?;
    }
    for name in ["node1", "node2", "node3"] {
        wait_alive(site.instance(name)?, &[name])?;
    }
    wait_owned_by(&site, &addresses, &before)?;
    the_lan_s_word_is_shown(&mut site, &addresses, &before)?;
    // One that starts anew finds out, too.
    site.instance("node2")?.restart()?;
    site.instance("node2")?.wait_ready()?;
    wait_one_owner(&site, &addresses, &[])
}

/// Whoever leaves an address to a node that gossip doesn't reach says so, and to whom.
fn the_lan_s_word_is_shown(site: &mut Site, addresses: &[IpAddr], owners: &[String]) -> Result<()> {
    let services = site.instance("node1")?.status()?.services;
    let web = services.iter().find(|s| s.service == "default/web1");
    let first = web.and_then(|s| s.addresses.first());
    let place = addresses.iter().position(|ip| Some(ip) == first);
    let owner = place.and_then(|i| owners.get(i)).context("no address")?;
    let others = ["node1", "node2", "node3"];
    for other in others.into_iter().filter(|name| name != owner) {
        let instance = site.instance(other)?;
        let want = format!("gossip doesn't reach {owner}, which answers for it");
        wait_until("word of the deference", DEADLINE, || {
            let said = instance.explain("default/web1")?;
            Ok(said.contains(&want).then_some(()))
        })?;
    }
    let metrics = SocketAddr::from(([127, 0, 0, 1], 9120));
    let node = site.world.node(0)?;
    let page = node.ns.run(|| http::page(metrics, "/metrics", DEADLINE))?;
    let alone = "corten_gossip_members{state=\"alive\"} 1";
    ensure!(page.lines().any(|line| line == alone), "{page}");
    Ok(())
}

fn nothing_before_others_were_asked() -> Result<()> {
    let site = Site::new(&Plan::default())?;
    site.manifests.write("config.yaml", &basics())?;
    let node = site.world.node(0)?;
    // Nobody else: there is nothing to wait for.
    let alone = ["--allocate", "--gossip-bind", "10.1.0.11"];
    let mut first = Corten::start(node, site.manifests.path(), &alone)?;
    let begun = Instant::now();
    first.wait_ready()?;
    ensure!(begun.elapsed() < Duration::from_secs(5));
    first.kill()?;
    // Others may be there, and don't answer: ten seconds.
    let join = [&alone[..], &["--join", "10.1.0.12"]].concat();
    let mut second = Corten::start(node, site.manifests.path(), &join)?;
    let begun = Instant::now();
    let early = second.wait_status("an answer", Some)?;
    ensure!(!early.ready && begun.elapsed() < Duration::from_secs(8));
    second.wait_ready()?;
    ensure!(
        begun.elapsed() > Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

/// Questions that came while a process was stopped were another's to answer.
fn who_was_stopped_asks_before_it_answers() -> Result<()> {
    let (mut site, addresses) = gossiping()?;
    site.world.add_client(0, 102)?;
    let before = owners(&site, &addresses)?;
    ensure!(before.iter().any(|n| n == "node2"));
    site.instance("node2")?.process().signal(Signal::SIGSTOP)?;
    wait_one_owner(&site, &addresses, &["node2"])?;
    // A client that asks only now: whatever node2 answers it is too late.
    let late = site.world.clients.last().context("no client")?;
    let socket = late.socket()?;
    for ip in &addresses {
        socket.send(&late.question(*ip))?;
    }
    site.instance("node2")?.process().signal(Signal::SIGCONT)?;
    // It knows by then that it was stopped, and has thrown away what it was asked meanwhile.
    let instance = site.instance("node2")?;
    wait_until("the end of silence", HEALED, || {
        Ok(instance.story().contains("answering again").then_some(()))
    })
    .with_context(|| instance.story())?;
    wait_alive(instance, &["node1", "node2", "node3"])?;
    let owned: BTreeSet<_> = site.world.node(1)?.nics.iter().map(|n| n.mac).collect();
    let mut answers = 0;
    let mut buffer = RawSocket::buffer();
    while let Some(received) = socket.receive(&mut buffer, WINDOW)? {
        let answer = frame::claim(received.frame)
            .filter(|c| matches!(c.how, How::ArpReply | How::NaSolicited));
        let Some(claim) = answer else { continue };
        answers += 1;
        ensure!(
            !owned.contains(&claim.mac),
            "node2 answered for {}",
            claim.ip
        );
    }
    ensure!(answers >= addresses.len(), "{answers}");
    // It is a member as before, and has its addresses back.
    site.wait_owners(0, &addresses, |owners| {
        let now = addresses.iter().map(|ip| node_of(&site, owners, *ip));
        now.eq(before.iter().cloned().map(Some))
    })?;
    Ok(())
}

/// Waits until every member says that its claims reached everybody and count.
fn wait_sticky(site: &mut Site) -> Result<()> {
    for instance in &mut site.instances {
        wait_until("a sticky fleet", HEALED, || {
            // One just restarted doesn't answer yet.
            let gossip = instance.status().ok().and_then(|s| s.gossip);
            Ok(gossip.and_then(|g| (g.ownership == "sticky").then_some(())))
        })?;
    }
    Ok(())
}

/// Waits until each address is answered for by the node named, and by no other.
fn wait_owned_by(site: &Site, addresses: &[IpAddr], by: &[String]) -> Result<()> {
    site.wait_owners(0, addresses, |owners| {
        let now = addresses.iter().map(|ip| node_of(site, owners, *ip));
        now.eq(by.iter().cloned().map(Some))
    })?;
    Ok(())
}

/// With the slower detector: a node that a busy machine starves must not count as dead.
fn sticky_owners_keep_what_they_have() -> Result<()> {
    let further = ["--ownership", "sticky", "--gossip-detector", "conservative"];
    let (mut site, addresses) = members(|node| member(node, &further))?;
    wait_one_owner(&site, &addresses, &[])?;
    let hashed = owners(&site, &addresses)?;
    ensure!(hashed.iter().any(|n| n == "node2"));
    // Changing over moves nothing.
    wait_sticky(&mut site)?;
    wait_owned_by(&site, &addresses, &hashed)?;
    // A crash moves what was its; the return moves nothing back.
    site.instance("node2")?.kill()?;
    wait_one_owner(&site, &addresses, &["node2"])?;
    let moved = owners(&site, &addresses)?;
    site.instance("node2")?.restart()?;
    wait_sticky(&mut site)?;
    for instance in &mut site.instances {
        wait_alive(instance, &["node1", "node2", "node3"])?;
    }
    wait_owned_by(&site, &addresses, &moved)?;
    let said = site.instance("node2")?.explain("default/web1")?;
    ensure!(said.contains("whoever has the address keeps it"), "{said}");
    // Neither does one that was stopped take anything back.
    let stopped = moved.first().context("no address")?.clone();
    let instance = site.instance(&stopped)?;
    instance.process().signal(Signal::SIGSTOP)?;
    wait_one_owner(&site, &addresses, &[&stopped])?;
    let moved = owners(&site, &addresses)?;
    let instance = site.instance(&stopped)?;
    instance.process().signal(Signal::SIGCONT)?;
    wait_until("the end of silence", HEALED, || {
        Ok(instance.story().contains("answering again").then_some(()))
    })?;
    wait_owned_by(&site, &addresses, &moved)
}

/// Another process has node1's port, such as a speaker of MetalLB's on its way out.
fn a_taken_port_is_waited_for() -> Result<()> {
    let mut site = Site::new(&Plan::default())?;
    site.manifests.write("config.yaml", &basics())?;
    for name in ["web1", "web2", "web3"] {
        site.write_service(name, Stack::V4, &[])?;
    }
    let node = site.world.node(0)?;
    let nic = node.nics.first().context("a NIC")?;
    let at = SocketAddr::from((nic.ipv4, 7946));
    let taken = node
        .ns
        .run(|| Ok((UdpSocket::bind(at)?, TcpListener::bind(at)?)))?;
    for node in &site.world.nodes {
        let allocates = (node.name == "node2").then(|| "--allocate".to_owned());
        let flags: Vec<String> = member(node, &[]).into_iter().chain(allocates).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let instance = Corten::start(node, site.manifests.path(), &flags)?;
        site.instances.push(instance);
    }
    let says_so = |instance: &mut Corten| {
        instance.wait_status("word of the port", |s| {
            let says = |w: &String| w.contains("until gossip has its port");
            (!s.ready && s.warnings.iter().any(says)).then_some(())
        })
    };
    says_so(site.instance("node1")?)?;
    for name in ["node2", "node3"] {
        site.instance(name)?.wait_ready()?;
    }
    let allocator = site.instance("node2")?;
    let addresses: Vec<IpAddr> = allocator.wait_status("an address for every Service", |s| {
        let all = site::addresses(&s);
        let done = all.len() == 3 && all.values().all(|a| !a.is_empty());
        done.then(|| all.into_values().flatten().collect())
    })?;
    wait_one_owner(&site, &addresses, &["node1"])?;
    // It isn't ready for Kubernetes either, and can be told to go.
    let metrics = SocketAddr::from(([127, 0, 0, 1], 9120));
    let node = site.world.node(0)?;
    let page = |path| node.ns.run(|| http::page(metrics, path, DEADLINE));
    ensure!(page("/readyz").is_err() && page("/healthz").is_ok());
    let status = site.instance("node1")?.stop()?;
    ensure!(status.success(), "{status}");
    site.instance("node1")?.restart()?;
    says_so(site.instance("node1")?)?;
    drop(taken);
    for instance in &mut site.instances {
        instance.wait_ready()?;
        wait_alive(instance, &["node1", "node2", "node3"])?;
    }
    wait_one_owner(&site, &addresses, &[])
}

/// A file with a secret, kept as long as the directory.
fn secret(text: &str) -> Result<(tempfile::TempDir, String)> {
    let directory = state_directory("secret")?;
    let path = directory.path().join("secret");
    std::fs::write(&path, text)?;
    Ok((directory, path.display().to_string()))
}

fn another_secret_stays_outside() -> Result<()> {
    let (_a, ours) = secret("one secret\n")?;
    let (_b, theirs) = secret("another secret")?;
    let (mut site, _) = members(|node| {
        let path = if node.name == "node3" { &theirs } else { &ours };
        member(node, &["--gossip-secret", path])
    })?;
    wait_alive(site.instance("node1")?, &["node1", "node2"])?;
    let outside = site.instance("node3")?.status()?;
    ensure!(outside.alive() == ["node3"], "{outside:?}");
    let dropped = site
        .instance("node1")?
        .wait_status("strangers counted", |s| {
            let gossip = s.gossip?;
            gossip.dropped.get("no key opens the message").copied()
        })?;
    ensure!(dropped > 0);
    Ok(())
}

fn a_secret_changes_while_running() -> Result<()> {
    let (_dir, path) = secret("old")?;
    let flags = ["--gossip-secret", &path, "--gossip-secret-grace", "8s"];
    let (mut site, _) = members(|node| member(node, &flags))?;
    for instance in &mut site.instances {
        wait_alive(instance, &["node1", "node2", "node3"])?;
    }
    std::fs::write(&path, "new")?;
    // Who knows only the new one gets in as soon as the others use it, and nobody was lost.
    site.instance("node3")?.restart()?;
    for instance in &mut site.instances {
        wait_until("three members", DEADLINE + DEADLINE, || {
            let status = instance.status().ok();
            Ok(status.and_then(|s| (s.alive().len() == 3).then_some(())))
        })
        .with_context(|| instance.story())?;
    }
    for node in ["node1", "node2"] {
        let log = site.instance(node)?.story();
        let dead = |l: &str| l.contains("member is dead") && !l.contains("node3");
        ensure!(!log.lines().any(dead), "{log}");
        ensure!(log.contains("secret changed"), "{log}");
    }
    Ok(())
}

/// Lossy links and a busy machine; `CORTEN_SOAK` sets for how many seconds.
fn loss_and_load() -> Result<()> {
    let time = match std::env::var("CORTEN_SOAK") {
        Ok(seconds) => Duration::from_secs(seconds.parse().context("CORTEN_SOAK")?),
        Err(_) => Duration::from_secs(10),
    };
    let (mut site, addresses) = gossiping()?;
    let before = owners(&site, &addresses)?;
    for node in &site.world.nodes {
        // Out and in: one packet in twenty between two nodes.
        node.ns.set_loss("eth0", 3)?;
    }
    let end = Instant::now() + time;
    std::thread::scope(|s| {
        s.spawn(|| {
            let mut n: u64 = 1;
            while Instant::now() < end {
                n = std::hint::black_box(n.wrapping_mul(3));
            }
        });
    });
    for node in &site.world.nodes {
        node.ns.set_loss("eth0", 0)?;
    }
    let mut accused = (0, 0);
    for instance in &mut site.instances {
        let status = instance.status()?;
        let gossip = status.gossip.as_ref().context("membership is off")?;
        accused.0 += gossip.accusations;
        accused.1 += gossip.acquittals;
        let story = instance.story();
        ensure!(!story.contains("member is dead"), "{story}");
    }
    println!("    {} accused, {} acquitted", accused.0, accused.1);
    ensure!(owners(&site, &addresses)? == before);
    Ok(())
}
