//! A user's machine on a LAN: asks who has an address, and uses it.

use super::Nic;
use crate::frame::{self, How, Mac};
use crate::http;
use crate::netns::Netns;
use crate::probe::Prober;
use crate::raw::RawSocket;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Questions in one burst: few enough for the receive buffers at both ends, where the client's own
/// questions count too.
const AT_ONCE: usize = 64;
/// Time between bursts.
const BREATH: Duration = Duration::from_millis(10);

/// Who answered for which address.
pub type Owners = BTreeMap<IpAddr, BTreeSet<Mac>>;

/// A user's machine.
#[derive(Debug)]
pub struct Client {
    /// Its namespace.
    pub ns: Netns,
    /// Its NIC.
    pub nic: Nic,
}

impl Client {
    pub(crate) fn new(ns: Netns, nic: Nic) -> Self {
        Self { ns, nic }
    }

    /// Asks the LAN once for each address, by ARP or NDP, and collects every answer that comes
    /// within `window`. An address nobody answered for has an empty set.
    ///
    /// # Errors
    /// If the link is down.
    pub fn ask(&self, addresses: &[IpAddr], window: Duration) -> Result<Owners> {
        let socket = self.socket()?;
        let mut owners = self.begin(&socket, addresses)?;
        collect_for(&socket, window, &mut owners)?;
        Ok(owners)
    }

    /// Asks for each address, some at a time.
    fn begin(&self, socket: &RawSocket, addresses: &[IpAddr]) -> Result<Owners> {
        let mut owners: Owners = addresses.iter().map(|ip| (*ip, BTreeSet::new())).collect();
        for some in addresses.chunks(AT_ONCE) {
            for ip in some {
                socket.send(&self.question(*ip))?;
            }
            collect_for(socket, BREATH, &mut owners)?;
        }
        Ok(owners)
    }

    /// Asks the LAN once for each address, waits until somebody has answered for each, at most
    /// `patience`, and collects for `window` what else comes.
    ///
    /// # Errors
    /// If the link is down.
    pub fn ask_all(
        &self,
        addresses: &[IpAddr],
        patience: Duration,
        window: Duration,
    ) -> Result<Owners> {
        let socket = self.socket()?;
        let mut owners = self.begin(&socket, addresses)?;
        let end = Instant::now() + patience;
        while owners.values().any(BTreeSet::is_empty)
            && let Some(left) = end.checked_duration_since(Instant::now())
        {
            collect(&socket, left, &mut owners)?;
        }
        collect_for(&socket, window, &mut owners)?;
        Ok(owners)
    }

    /// Asks for an address and waits for the first answer: how long it took, or `None` after
    /// `timeout`.
    ///
    /// # Errors
    /// If the link is down.
    pub fn time_answer(
        &self,
        socket: &RawSocket,
        ip: IpAddr,
        timeout: Duration,
    ) -> Result<Option<(Mac, Duration)>> {
        let question = self.question(ip);
        let mut buffer = RawSocket::buffer();
        let start = Instant::now();
        socket.send(&question)?;
        while let Some(left) = timeout.checked_sub(start.elapsed()) {
            let Some(received) = socket.receive(&mut buffer, left)? else {
                continue;
            };
            let took = start.elapsed();
            if let Some(claim) = frame::claim(received.frame)
                && claim.ip == ip
                && matches!(claim.how, How::ArpReply | How::NaSolicited)
            {
                return Ok(Some((claim.mac, took)));
            }
        }
        Ok(None)
    }

    /// A raw socket on the client's NIC.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn socket(&self) -> Result<RawSocket> {
        self.ns.run(|| RawSocket::on(&self.nic.interface))
    }

    /// The frame that asks the LAN who has an address.
    #[must_use]
    pub fn question(&self, ip: IpAddr) -> Vec<u8> {
        match ip {
            IpAddr::V4(ip) => frame::arp_request(self.nic.mac, self.nic.ipv4, ip),
            IpAddr::V6(ip) => frame::solicitation(self.nic.mac, self.nic.ipv6, ip),
        }
    }

    /// `curl http://IP/`.
    ///
    /// # Errors
    /// If nobody answers within `timeout`.
    pub fn get(&self, ip: IpAddr, timeout: Duration) -> Result<String> {
        self.ns.run(|| http::get(SocketAddr::new(ip, 80), timeout))
    }

    /// Starts asking for pages at these addresses, over and over.
    #[must_use]
    pub fn probe(&self, addresses: &[IpAddr], interval: Duration) -> Prober {
        let targets = addresses.iter().map(|ip| SocketAddr::new(*ip, 80));
        Prober::start(&self.ns, targets.collect(), interval)
    }

    /// The same, forgetting before each request who had the address: what a machine would see that
    /// has just come.
    #[must_use]
    pub fn probe_forgetting(&self, addresses: &[IpAddr], interval: Duration) -> Prober {
        let targets = addresses.iter().map(|ip| SocketAddr::new(*ip, 80));
        Prober::start_forgetful(&self.ns, targets.collect(), interval)
    }

    /// What the kernel's neighbour table says about an address.
    ///
    /// # Errors
    /// If `ip` can't be run.
    pub fn neighbour(&self, ip: IpAddr) -> Result<Option<Mac>> {
        let text = self
            .ns
            .output("ip", &["-json", "neigh", "show", "to", &ip.to_string()])?;
        let entries: Vec<BTreeMap<String, serde_json::Value>> =
            serde_json::from_str(&text).context("ip neigh")?;
        Ok(entries
            .first()
            .and_then(|e| e.get("lladdr")?.as_str())
            .and_then(parse))
    }

    /// Forgets what the kernel learnt about every neighbour.
    ///
    /// # Errors
    /// If `ip` can't be run.
    pub fn forget_neighbours(&self) -> Result<()> {
        self.ns.ip(&["neigh flush all"])
    }

    /// The link-local address, from the MAC (RFC 4291 appendix A).
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.nic.mac.0;
        let pair = |x, y| u16::from_be_bytes([x, y]);
        let id = [pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
        Ipv6Addr::new(0xfe80, 0, 0, 0, id[0], id[1], id[2], id[3])
    }
}

/// Takes note of every frame that comes within `time`.
fn collect_for(socket: &RawSocket, time: Duration, owners: &mut Owners) -> Result<()> {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        collect(socket, left, owners)?;
    }
    Ok(())
}

/// Takes note of a frame, if one comes within `timeout`.
fn collect(socket: &RawSocket, timeout: Duration, owners: &mut Owners) -> Result<()> {
    let mut buffer = RawSocket::buffer();
    let Some(received) = socket.receive(&mut buffer, timeout)? else {
        return Ok(());
    };
    let answered =
        frame::claim(received.frame).filter(|c| matches!(c.how, How::ArpReply | How::NaSolicited));
    if let Some(claim) = answered
        && let Some(macs) = owners.get_mut(&claim.ip)
    {
        macs.insert(claim.mac);
    }
    Ok(())
}

fn parse(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut mac {
        *octet = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    Some(Mac(mac))
}
