//! Who takes all descriptors, or all connections, silences nobody on the LAN.

use crate::small;
use anyhow::{Context, Result, ensure};
use corten_lab::manifests::{self, Stack};
use corten_lab::site::{DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "exhausting::taken_descriptors_silence_nobody",
        taken_descriptors_silence_nobody,
    ),
    (
        "exhausting::bad_requests_end_their_connection_only",
        bad_requests_end_their_connection_only,
    ),
];

const METRICS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9120);
/// Where the Service that is checked is served.
const CHECKED: u16 = 8080;
/// How long a write to a server that doesn't read may take.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is sent on a connection that is then left open.
fn openings() -> Vec<Vec<u8>> {
    let mut huge = b"GET /metrics HTTP/1.1\r\nx: ".to_vec();
    huge.resize(1 << 20, b'x');
    vec![
        Vec::new(),
        b"GET /met".to_vec(),
        b"GET /metrics HTTP/1.1\r\nhost: x\r\n".to_vec(),
        (0..=255).cycle().take(4096).collect(),
        b"POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\nx".to_vec(),
        huge,
    ]
}

/// Opens `count` connections each to the control socket and the metrics address.
fn hogs(site: &Site, count: usize) -> Result<(Vec<UnixStream>, Vec<TcpStream>)> {
    let socket = site.instances.first().context("an instance")?;
    let socket = socket.state().join("corten.sock");
    let (mut control, mut metrics) = (Vec::new(), Vec::new());
    site.world.node(0)?.ns.run(|| {
        for opening in openings().iter().cycle().take(count) {
            let mut stream = UnixStream::connect(&socket)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            // Refused in the middle, or not read: both are right.
            let _ = stream.write_all(opening);
            control.push(stream);
            let mut stream = TcpStream::connect(METRICS)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let _ = stream.write_all(opening);
            metrics.push(stream);
        }
        Ok(())
    })?;
    Ok((control, metrics))
}

/// A host with `default/web1`, which is checked and announced; its server.
fn checked() -> Result<(Site, TcpListener)> {
    let mut site = small()?;
    let server = site
        .world
        .node(0)?
        .ns
        .run(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, CHECKED))?))?;
    let check = format!("{{tcp: {{port: {CHECKED}}}, interval: 100ms, rise: 1, fall: 1}}");
    site.write_service("web1", Stack::V4, &[("corten.io/health", &check)])?;
    site.start(&[])?;
    site.wait_announced()?;
    Ok((site, server))
}

fn taken_descriptors_silence_nobody() -> Result<()> {
    let (mut site, server) = checked()?;
    let web1 = site.addresses()?;
    let id = site.allocator()?.process().id().to_string();
    let used = std::fs::read_dir(format!("/proc/{id}/fd"))?.count();
    let limit = format!("--nofile={}", used + 4);
    let done = Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status()?;
    ensure!(done.success(), "prlimit: {done}");
    let held = hogs(&site, 20)?;
    let said = |site: &mut Site, what: &str| -> Result<usize> {
        let log = site.allocator()?.process().log();
        Ok(log.iter().filter(|l| l.contains(what)).count())
    };
    for what in ["can't be accepted", "not tried"] {
        wait_until(what, DEADLINE, || {
            Ok((said(&mut site, what)? > 0).then_some(()))
        })
        .with_context(|| site.story())?;
    }
    // What can't be read now stays; what is new waits.
    site.manifests.write(
        "web2.yaml",
        &manifests::service("web2", Stack::V4, &[], &["node1"]),
    )?;
    site.allocator()?.process().signal(Signal::SIGHUP)?;
    wait_until("an unreadable directory", DEADLINE, || {
        Ok((said(&mut site, ": can't be read: Too many open files")? > 0).then_some(()))
    })
    .with_context(|| site.story())?;
    for _ in 0..3 {
        site.owners(0, &web1).with_context(|| site.story())?;
    }
    ensure!(
        said(&mut site, "can't be accepted")? <= 2,
        "{}",
        site.story()
    );
    ensure!(said(&mut site, "not tried")? == 1, "{}", site.story());
    ensure!(said(&mut site, "not healthy")? == 0, "{}", site.story());
    drop(held);
    site.allocator()?.wait_status("all as it was", |s| {
        let all = s.services.iter().all(|s| s.announced);
        (all && s.services.len() == 2 && s.rejections.is_empty()).then_some(())
    })?;
    site.wait_announced()?;
    // And the check goes on.
    drop(server);
    site.wait_owners(0, &web1, |o| {
        o.values().all(std::collections::BTreeSet::is_empty)
    })?;
    Ok(())
}

fn bad_requests_end_their_connection_only() -> Result<()> {
    let (mut site, _server) = checked()?;
    let web1 = site.addresses()?;
    let before = site.allocator()?.process().resident_kib()?;
    let held = hogs(&site, 60)?;
    for _ in 0..3 {
        site.owners(0, &web1)?;
    }
    let after = site.allocator()?.process().resident_kib()?;
    ensure!(after < before + (4 << 10), "{before} KiB became {after}");
    drop(held);
    site.allocator()?.status()?;
    let health = site.world.node(0)?.ns.run(|| {
        let mut stream = TcpStream::connect(METRICS)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")?;
        Ok(std::io::read_to_string(stream)?)
    })?;
    ensure!(health.starts_with("HTTP/1.1 200"), "{health}");
    let log = site.allocator()?.process().log();
    ensure!(log.len() < 20, "{}", site.story());
    Ok(())
}
