//! Exactly one node answers for an address, membership being off.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::Corten;
use corten_lab::frame::{self, How};
use corten_lab::raw::RawSocket;
use corten_lab::site::{self, DEADLINE, Site, WINDOW};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::Client;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "owning::every_address_has_one_owner",
        every_address_has_one_owner,
    ),
    (
        "owning::a_known_owner_is_asked_directly",
        a_known_owner_is_asked_directly,
    ),
    (
        "owning::a_queue_of_questions_is_answered_whole",
        a_queue_of_questions_is_answered_whole,
    ),
    (
        "owning::snooping_switches_pass_questions",
        snooping_switches_pass_questions,
    ),
    (
        "owning::sigterm_leaves_addresses_unowned",
        sigterm_leaves_addresses_unowned,
    ),
];

/// Questions that wait in the sockets are more than the daemon takes in one turn: each has to be
/// answered, the one after the last turn, too.
fn a_queue_of_questions_is_answered_whole() -> Result<()> {
    const QUESTIONS: usize = 200;
    let mut site = Site::with_services(1)?;
    let address = *site.addresses()?.first().context("no address")?;
    for instance in &mut site.instances {
        instance.process().signal(Signal::SIGSTOP)?;
    }
    let client = site.world.client(0)?;
    let socket = client.socket()?;
    for _ in 0..QUESTIONS {
        socket.send(&client.question(address))?;
    }
    for instance in &mut site.instances {
        instance.process().signal(Signal::SIGCONT)?;
    }
    let mut answers = 0;
    let mut buffer = RawSocket::buffer();
    wait_until("an answer to every question", DEADLINE, || {
        while let Some(received) = socket.receive(&mut buffer, Duration::from_millis(10))? {
            let answer = frame::claim(received.frame).is_some_and(|c| c.how == How::ArpReply);
            answers += usize::from(answer);
        }
        Ok((answers >= QUESTIONS).then_some(()))
    })
    .with_context(|| format!("{answers} answers to {QUESTIONS} questions"))
}

fn every_address_has_one_owner() -> Result<()> {
    let site = Site::with_services(12)?;
    let addresses = site.addresses()?;
    ensure!(
        addresses.len() == 16,
        "four of twelve are dual stack: {addresses:?}"
    );
    let sniffers = site.sniff()?;
    let red = site.owners(0, &addresses)?;
    let blue = site.owners(1, &addresses)?;
    let mut owners = BTreeSet::new();
    for ip in &addresses {
        let (a, b) = (&red[ip].name, &blue[ip].name);
        ensure!(a == b, "{ip}: {a} on red, {b} on blue");
        owners.insert(a.clone());
        for client in &site.world.clients {
            client.get(*ip, DEADLINE)?;
        }
    }
    ensure!(owners.len() == 3, "the load is spread: {owners:?}");
    site::only_from(&sniffers, &addresses, &[])?;
    // What the daemons say about themselves is what the LAN sees.
    for i in 0..site.instances.len() {
        let status = site.instances[i].status()?;
        for s in status.services {
            let by = &red[&s.addresses[0]].name;
            ensure!(
                s.winner.as_ref() == Some(by),
                "{}: {:?} {by}",
                s.service,
                s.winner
            );
            ensure!(s.announced == (*by == site.instances[i].node), "{s:?} {by}");
        }
    }
    Ok(())
}

/// Answers to a question for `ip`, from `socket`'s interface.
fn answered(socket: &RawSocket, question: &[u8], ip: IpAddr) -> Result<bool> {
    socket.send(question)?;
    let mut buffer = RawSocket::buffer();
    let end = Instant::now() + DEADLINE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Some(received) = socket.receive(&mut buffer, left)? else {
            continue;
        };
        if frame::claim(received.frame).is_some_and(|c| c.ip == ip) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn directly(client: &Client, to: frame::Mac, ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => frame::arp_request_to(to, client.nic.mac, client.nic.ipv4, ip),
        IpAddr::V6(ip) => frame::solicitation_to(to, ip, client.nic.mac, client.nic.ipv6, ip),
    }
}

/// A kernel confirms an entry of its neighbour table by asking the owner, not the LAN.
fn a_known_owner_is_asked_directly() -> Result<()> {
    let site = Site::with_services(3)?;
    let client = site.world.client(0)?;
    let socket = client.socket()?;
    for (ip, owner) in site.owners(0, &site.addresses()?)? {
        let mac = owner.nics.first().context("nic")?.mac;
        ensure!(
            answered(&socket, &directly(client, mac, ip), ip)?,
            "{ip}: a unicast question went unanswered"
        );
    }
    Ok(())
}

/// A switch that snoops on MLD passes a question only to ports that reported its group.
fn snooping_switches_pass_questions() -> Result<()> {
    let mut site = Site::new(&corten_lab::world::Plan::default())?;
    site.world.lan(0)?.snoop()?;
    site.manifests.write("config.yaml", &site::basics())?;
    site.start(&[])?;
    for i in 1..=6 {
        site.write_service(&format!("web{i}"), corten_lab::manifests::Stack::V6, &[])?;
    }
    site.wait_announced()?;
    let addresses = site.addresses()?;
    site.owners(0, &addresses)?;
    Ok(())
}

/// Once a node has left nobody answers: nothing takes over, membership being off.
fn sigterm_leaves_addresses_unowned() -> Result<()> {
    let mut site = Site::with_services(3)?;
    let addresses = site.addresses()?;
    for instance in &mut site.instances {
        let status = Corten::stop(instance)?;
        ensure!(status.code() == Some(0), "{status}\n{}", instance.story());
    }
    let owners = site
        .world
        .client(0)?
        .ask(&addresses, WINDOW.min(Duration::from_millis(200)))?;
    ensure!(owners.values().all(BTreeSet::is_empty), "{owners:?}");
    Ok(())
}
