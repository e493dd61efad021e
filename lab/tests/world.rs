//! The lab itself: what the scenarios stand on.

use anyhow::{Context, Result, ensure};
use corten_lab::frame::{Mac, arp_request};
use corten_lab::http::Connection;
use corten_lab::netns::Netns;
use corten_lab::process::runs;
use corten_lab::raw::RawSocket;
use corten_lab::stage;
use corten_lab::trial::{self, Trial};
use corten_lab::wait::wait_until;
use corten_lab::world::{Client, Plan, World};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

const TRIALS: &[Trial] = &[
    ("kernels_answer_for_their_own", kernels_answer_for_their_own),
    ("nobody_answers_for_a_service", nobody_answers_for_a_service),
    (
        "a_connection_survives_its_entry",
        a_connection_survives_its_entry,
    ),
    ("a_stranger_is_heard", a_stranger_is_heard),
    ("cables_and_loss", cables_and_loss),
    ("a_nic_comes_and_goes", a_nic_comes_and_goes),
    (
        "nothing_is_left_after_sigkill",
        nothing_is_left_after_sigkill,
    ),
    ("works_in_a_user_namespace", works_in_a_user_namespace),
];

const WINDOW: Duration = Duration::from_millis(200);
const DEADLINE: Duration = Duration::from_secs(10);
/// Makes this program build a world and wait to be killed.
const HOLD: &str = "--hold-a-world";

fn main() -> ExitCode {
    if std::env::args().any(|a| a == HOLD) {
        return match hold() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e:#}");
                ExitCode::FAILURE
            }
        };
    }
    trial::main(TRIALS)
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| text.to_owned())
}

fn kernels_answer_for_their_own() -> Result<()> {
    let world = World::build(&Plan::default())?;
    for (i, client) in world.clients.iter().enumerate() {
        for node in &world.nodes {
            let nic = node.nics.get(i).context("nic")?;
            let addresses = [nic.ipv4.into(), nic.ipv6.into()];
            for (ip, macs) in client.ask(&addresses, WINDOW)? {
                ensure!(macs == BTreeSet::from([nic.mac]), "{ip}: {macs:?}");
            }
        }
    }
    Ok(())
}

fn nobody_answers_for_a_service() -> Result<()> {
    let world = World::build(&Plan::default())?;
    let addresses = [ip("192.0.2.7")?, ip("2001:db8:1::7")?];
    for client in &world.clients {
        for (ip, macs) in client.ask(&addresses, WINDOW)? {
            ensure!(macs.is_empty(), "{ip}: {macs:?}");
        }
    }
    // Nor on the LAN between nodes and pods, where they are local.
    let node = world.node(0)?;
    let heard = node.ns.run(|| {
        let socket = RawSocket::on("cni0")?;
        socket.send(&arp_request(
            socket.mac(),
            "10.99.0.11".parse()?,
            "192.0.2.7".parse()?,
        ))?;
        let mut buffer = RawSocket::buffer();
        let mut answers = 0;
        while let Some(r) = socket.receive(&mut buffer, WINDOW)? {
            answers += usize::from(r.frame.get(12..14) == Some(&[8, 6]));
        }
        Ok(answers)
    })?;
    ensure!(heard == 0, "{heard} ARP frames");
    Ok(())
}

fn enter_by(client: &Client, ip: IpAddr, mac: Mac) -> Result<()> {
    client.ns.ip(&[format!(
        "neigh replace {ip} lladdr {mac} dev eth0 nud permanent"
    )])
}

fn a_connection_survives_its_entry() -> Result<()> {
    let world = World::build(&Plan::default())?;
    for (i, client) in world.clients.iter().enumerate() {
        for ip in [ip("192.0.2.7")?, ip("2001:db8:1::7")?] {
            world.name(ip, "shop/web");
            let entry =
                |n| Ok::<Mac, anyhow::Error>(world.node(n)?.nics.get(i).context("nic")?.mac);
            enter_by(client, ip, entry(0)?)?;
            let to = SocketAddr::new(ip, 80);
            let mut connection = client.ns.run(|| Connection::open(to, DEADLINE))?;
            for n in [0, 1, 2] {
                enter_by(client, ip, entry(n)?)?;
                let body = connection.get("/")?;
                ensure!(body == format!("{ip} shop/web\n"), "{body}");
            }
            let prober = client.probe(&[ip], Duration::from_millis(1));
            enter_by(client, ip, entry(0)?)?;
            client.get(ip, DEADLINE)?;
            let tally = prober.stop()?;
            ensure!(tally.sent > 0 && tally.lost.is_empty(), "{tally:?}");
        }
    }
    Ok(())
}

fn a_stranger_is_heard() -> Result<()> {
    let world = World::build(&Plan::default())?;
    let sniffer = world.lan(0)?.sniff()?;
    let (_stranger, nic) = world.stranger(0, 201, &["192.0.2.7/32", "2001:db8:1::7/128"])?;
    let addresses = [ip("192.0.2.7")?, ip("2001:db8:1::7")?];
    let owners = wait_until("the stranger's answer", DEADLINE, || {
        let owners = world.client(0)?.ask(&addresses, WINDOW)?;
        Ok(owners.values().all(|m| !m.is_empty()).then_some(owners))
    })?;
    for (ip, macs) in owners {
        ensure!(macs == BTreeSet::from([nic.mac]), "{ip}: {macs:?}");
        let witness = sniffer.heard();
        ensure!(
            witness
                .iter()
                .any(|h| h.claim.ip == ip && h.claim.mac == nic.mac),
            "{ip} was not sniffed"
        );
    }
    ensure!(
        sniffer.hand_overs(|_| true, WINDOW).is_empty(),
        "one owner each"
    );
    Ok(())
}

fn cables_and_loss() -> Result<()> {
    let world = World::build(&Plan::default())?;
    let (node, client) = (world.node(0)?, world.client(0)?);
    let nic = node.nics.first().context("nic")?;
    let answers = || -> Result<bool> {
        let owners = client.ask(&[nic.ipv4.into()], WINDOW)?;
        Ok(owners.values().all(|macs| !macs.is_empty()))
    };
    let wait = |what: &str, want: bool| {
        wait_until(what, DEADLINE, || Ok((answers()? == want).then_some(())))
    };
    node.ns.set_loss("eth0", 100)?;
    ensure!(!answers()?, "every frame is lost");
    node.ns.set_loss("eth0", 0)?;
    ensure!(answers()?, "no frame is lost");
    world.lan(0)?.set_cable(nic, false)?;
    wait("silence without a cable", false)?;
    world.lan(0)?.set_cable(nic, true)?;
    wait("an answer after plugging in", true)?;
    node.ns.set_link("eth0", false)?;
    wait("silence of a link set down", false)
}

fn a_nic_comes_and_goes() -> Result<()> {
    let mut world = World::build(&Plan::default())?;
    world.add_nic(0, 0, "eth7", 77)?;
    world.settle()?;
    let nic = world.node(0)?.nics.last().context("nic")?.clone();
    let ask = || world.client(0)?.ask(&[nic.ipv4.into()], WINDOW);
    let macs = ask()?.remove(&nic.ipv4.into()).unwrap_or_default();
    ensure!(macs.contains(&nic.mac), "{macs:?}");
    world.lan(0)?.remove(&nic)?;
    let links = world.node(0)?.ns.output("ip", &["-json", "link"])?;
    ensure!(!links.contains("eth7"), "{links}");
    Ok(())
}

/// Builds a world with a process and a file in it, says so and waits.
fn hold() -> Result<()> {
    stage::enter()?;
    let world = World::build(&Plan::default())?;
    let file = stage::scratch()?.join("corten-lab-was-here");
    std::fs::write(&file, "")?;
    let child = world
        .node(0)?
        .ns
        .spawn("sleeper", "sleep", &["1000000".to_owned()])?;
    println!("{} {}", child.id(), file.display());
    loop {
        std::thread::park();
    }
}

fn nothing_is_left_after_sigkill() -> Result<()> {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let mut lab = Command::new(std::env::current_exe()?)
            .arg(HOLD)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(lab.stdout.take().context("stdout")?).read_line(&mut line)?;
        let (pid, file) = line.trim().split_once(' ').context("no world was built")?;
        let pid = pid.parse()?;
        ensure!(runs(pid), "{pid} runs");
        ensure!(!Path::new(file).exists(), "{file} is seen from outside");
        let id = i32::try_from(lab.id())?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal)?;
        lab.wait()?;
        wait_until("the child's end", DEADLINE, || {
            Ok((!runs(pid)).then_some(()))
        })?;
        let named = Netns::new("bystander")?.output("ip", &["netns", "list"])?;
        ensure!(named.is_empty(), "{named}");
    }
    Ok(())
}

/// As a user without privileges, whatever this one has.
fn works_in_a_user_namespace() -> Result<()> {
    // Where that user can read it.
    let program = stage::scratch()?.join("world");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let out = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--bounding-set", "-all", "--inh-caps", "-all", "--"])
        .arg(&program)
        .arg("a_connection_survives_its_entry")
        .output()?;
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(out.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}
