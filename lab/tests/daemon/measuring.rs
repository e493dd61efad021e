//! Metrics and health of a running instance, as a scraper on the node sees them.

use anyhow::{Context, Result, ensure};
use corten_lab::frame;
use corten_lab::http;
use corten_lab::raw::RawSocket;
use corten_lab::site::{DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use corten_lab::world::Node;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    ("measuring::frames_are_counted", frames_are_counted),
    ("measuring::the_lan_is_not_served", the_lan_is_not_served),
];

/// Where metrics are unless told otherwise.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9120);

fn page(node: &Node, path: &str) -> Result<String> {
    node.ns.run(|| http::page(DEFAULT, path, DEADLINE))
}

/// The value of a series, given by its whole name with labels; `None` if there is none.
fn value(page: &str, series: &str) -> Result<Option<f64>> {
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|text| text.parse().with_context(|| format!("{series} {text}")))
        .transpose()
}

fn frames_are_counted() -> Result<()> {
    const QUESTIONS: u8 = 7;
    let site = Site::with_services(3)?;
    for (ip, owner) in site.owners(0, &site.addresses()?)? {
        let requests = format!("metallb_layer2_requests_received{{ip=\"{ip}\"}}");
        let responses = format!("metallb_layer2_responses_sent{{ip=\"{ip}\"}}");
        let read = || -> Result<(f64, f64)> {
            let page = page(owner, "/metrics")?;
            let asked = value(&page, &requests)?.with_context(|| page.clone())?;
            let answered = value(&page, &responses)?.with_context(|| page.clone())?;
            Ok((asked, answered))
        };
        let before = read()?;
        let client = site.world.client(0)?;
        let socket = client.socket()?;
        for _ in 0..QUESTIONS {
            socket.send(&client.question(ip))?;
        }
        heard(&socket, ip, QUESTIONS)?;
        let after = read()?;
        let grown = (after.0 - before.0, after.1 - before.1);
        let wanted = (f64::from(QUESTIONS), f64::from(QUESTIONS));
        ensure!(grown == wanted, "{ip} grew by {grown:?}, not {wanted:?}");

        let announced = format!("node=\"{}\"", owner.name);
        for node in &site.world.nodes {
            let page = page(node, "/metrics")?;
            let of_ip = format!("ip=\"{ip}\"");
            let said: Vec<&str> = page
                .lines()
                .filter(|l| l.starts_with("metallb_speaker_announced{") && l.contains(&of_ip))
                .collect();
            if node.name == owner.name {
                let [line] = said[..] else {
                    anyhow::bail!("one series on the owner: {said:?}");
                };
                ensure!(line.contains(&announced) && line.ends_with(" 1"), "{line}");
            } else {
                ensure!(said.is_empty(), "{} has nothing: {said:?}", node.name);
            }
        }
    }
    Ok(())
}

/// Waits for so many answers.
fn heard(socket: &RawSocket, ip: IpAddr, count: u8) -> Result<()> {
    let mut buffer = RawSocket::buffer();
    let mut answers = 0;
    wait_until("answers to the questions", DEADLINE, || {
        let received = socket.receive(&mut buffer, Duration::from_millis(50))?;
        let claim = received.and_then(|r| frame::claim(r.frame));
        let answer = claim.is_some_and(|c| {
            c.ip == ip && matches!(c.how, frame::How::ArpReply | frame::How::NaSolicited)
        });
        answers += u8::from(answer);
        Ok((answers == count).then_some(()))
    })
}

/// Ready on loopback; a host on the LAN is refused, whichever address of the node it asks.
fn the_lan_is_not_served() -> Result<()> {
    let site = Site::with_services(1)?;
    let client = site.world.client(0)?;
    for node in &site.world.nodes {
        for path in ["/readyz", "/healthz"] {
            page(node, path).with_context(|| path)?;
        }
        let nic = node.nics.first().context("a NIC")?;
        for ip in [IpAddr::from(nic.ipv4), IpAddr::from(nic.ipv6)] {
            let to = SocketAddr::new(ip, DEFAULT.port());
            let tried = client
                .ns
                .run(|| Ok(TcpStream::connect_timeout(&to, DEADLINE).map_err(|e| e.kind())))?;
            ensure!(
                matches!(tried, Err(std::io::ErrorKind::ConnectionRefused)),
                "{to}: {tried:?}"
            );
        }
    }
    Ok(())
}
